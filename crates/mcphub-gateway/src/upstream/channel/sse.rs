//! The transport HTTP+SSE (MCP 2024-11-05, Transports): a stream of events from the server, which
//! begins with the address to which messages are posted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::StreamExt;
use futures::{sink, stream};
use mcphub_core::deployment::Endpoint;
use mcphub_core::launch::Channel;
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::mpsc;
use url::Url;

use super::dial::Dial;
use crate::upstream::access::{Access, how_to_get_in};
use crate::upstream::events::{Events, broken, is_events};
use crate::upstream::response::HttpResponse;
use crate::upstream::streamable_http::McpClient;
use crate::upstream::{http, traced};

/// The event that tells where messages are posted.
const ENDPOINT: &str = "endpoint";

/// A server over HTTP+SSE.
pub(super) struct Sse {
    pub(super) endpoint: Endpoint,
    pub(super) client: McpClient,
    pub(super) access: Option<Arc<Access>>,
}

#[async_trait]
impl Dial for Sse {
    /// Ends within the first byte's limit, else that of lists, of
    /// [`McpSettings`](crate::upstream::streamable_http::McpSettings).
    async fn dial(&self) -> Result<Channel> {
        let settings = self.client.settings();
        let limit = settings.first_byte_timeout.unwrap_or(settings.list_timeout);
        let opened = tokio::time::timeout(limit, self.open()).await;
        let (events, address, headers) = opened.unwrap_or_else(|_| {
            let message = "the MCP server opened no stream of events in time";
            Err(Error::new(ErrorKind::Timeout, message))
        })?;
        // Whoever reads hears of what cannot be sent any more, too.
        let (failed, failures) = mpsc::channel(1);
        let poster = Poster {
            client: self.client.clone(),
            access: self.access.clone(),
            host: http::host(&address),
            address,
            headers,
            limit,
            failed,
        };
        let outgoing = sink::unfold(poster, |poster, line| async {
            poster.post(line).await.map(|()| poster)
        });
        let incoming = stream::unfold(Some((events, failures)), |open| async {
            let (mut events, mut failures) = open?;
            let next = tokio::select! {
                next = events.next() => next,
                Some(error) = failures.recv() => Err(error),
            };
            events.forget_read();
            match next {
                Ok(Some(data)) => Some((Ok(Bytes::from(data)), Some((events, failures)))),
                Ok(None) => Some((Err(broken("the stream of events ended")), None)),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Channel {
            outgoing: Box::pin(outgoing),
            incoming: incoming.boxed(),
        })
    }
}

impl Sse {
    async fn open(&self) -> Result<(Events, Url, HeaderMap)> {
        let host = http::host(&self.endpoint.url);
        let headers = http::endpoint_headers(&self.endpoint)?;
        let request = self.client.http().await?.get(self.endpoint.url.clone());
        let request = request.headers(headers.clone());
        let request = request.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let response = send(self.access.as_deref(), request, &host).await?;
        let status = response.status();
        if !status.is_success() {
            let error = http::refused(&host, status);
            return Err(match how_to_get_in(&response) {
                Some(how) => error.with("how it lets in", how),
                None => error,
            });
        }
        if !is_events(&response) {
            let message = "the MCP server has no stream of events at this URL";
            return Err(Error::new(ErrorKind::Upstream, message).with("server", &host));
        }
        let mut events = Events::new(response, self.client.settings().max_message);
        while let Some((name, data)) = events.next_named().await? {
            if name.as_deref() == Some(ENDPOINT) {
                return Ok((events, self.address(data.trim())?, headers));
            }
        }
        Err(broken("the stream ended before it told where messages go"))
    }

    /// Where messages are posted. It is of the same origin, because credentials go there; a query
    /// of the endpoint's own, which is one of them, goes there too.
    fn address(&self, told: &str) -> Result<Url> {
        let endpoint = &self.endpoint.url;
        let address = endpoint.join(told).ok();
        let mut address = address
            .filter(|address| address.origin() == endpoint.origin())
            .ok_or_else(|| {
                let message = "the MCP server wants its messages sent to another origin";
                Error::new(ErrorKind::Upstream, message).with("server", http::host(endpoint))
            })?;
        let missing: Vec<_> = endpoint
            .query_pairs()
            .filter(|(name, _)| address.query_pairs().all(|(known, _)| known != *name))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if !missing.is_empty() {
            address.query_pairs_mut().extend_pairs(missing);
        }
        Ok(address)
    }
}

/// Posts messages, one after the other, so that they arrive in order.
struct Poster {
    client: McpClient,
    access: Option<Arc<Access>>,
    address: Url,
    host: String,
    headers: HeaderMap,
    /// How long the server may take to take one.
    limit: Duration,
    failed: mpsc::Sender<Error>,
}

impl Poster {
    async fn post(&self, line: Bytes) -> Result<()> {
        let request = self.client.http().await?.post(self.address.clone());
        let mut headers = self.headers.clone();
        traced::add_of_message(&line, &mut headers);
        let request = request
            .headers(headers)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(self.limit)
            .body(line);
        let error = match send(self.access.as_deref(), request, &self.host).await {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => http::refused(&self.host, response.status()),
            Err(error) => error,
        };
        // Fails when nobody reads, or it was said already.
        let _ = self.failed.try_send(error);
        Err(broken("a message was not taken"))
    }
}

/// Sends a request, with the gateway's own token where the server wants one.
async fn send(
    access: Option<&Access>,
    request: RequestBuilder,
    host: &str,
) -> Result<HttpResponse> {
    match access {
        Some(access) => access
            .send(request, None, true)
            .await
            .map(HttpResponse::from),
        None => {
            let (client, request) = request.build_split();
            let request = request.map_err(|error| http::unsent(host, error))?;
            let sent = http::execute(&client, request, true).await;
            let sent = sent.map_err(|error| http::unsent(host, error))?;
            Ok(sent.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::streamable_http::McpSettings;

    fn address(endpoint: &str, told: &str) -> Result<String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sse = Sse {
            endpoint: Endpoint {
                url: endpoint.parse().unwrap(),
                headers: Vec::new(),
            },
            client: McpClient::new(McpSettings::default()).unwrap(),
            access: None,
        };
        sse.address(told).map(String::from)
    }

    #[test]
    fn messages_go_to_the_same_origin_with_the_query_that_lets_in() {
        let endpoint = "https://example.com/a/sse?key=s3cret";
        for (told, wanted) in [
            (
                "/messages/?id=1",
                "https://example.com/messages/?id=1&key=s3cret",
            ),
            ("messages", "https://example.com/a/messages?key=s3cret"),
            (
                "https://example.com/m?key=own",
                "https://example.com/m?key=own",
            ),
        ] {
            assert_eq!(address(endpoint, told).unwrap(), wanted);
        }
        for told in [
            "https://evil.example/m",
            "//evil.example/m",
            "http://example.com/m",
            "https://example.com:8443/m",
            "file:///etc/passwd",
        ] {
            let error = address(endpoint, told).unwrap_err();
            assert!(!error.report().contains("s3cret"), "{}", error.report());
        }
    }
}
