//! What a request carries, and the way that it takes.

use std::sync::atomic::Ordering;

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use mcphub_core::Result;
use mcphub_core::principal::Principal;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};

use super::{Era, MCP_METHOD, MCP_NAME, MCP_PROTOCOL_VERSION, MCP_SESSION_ID, Wire};
use crate::upstream::message::{Call, MODERN};
use crate::upstream::response::HttpResponse;
use crate::upstream::{Forward, http, traced};

impl Wire {
    /// Sends a request; the response may be of any status.
    pub(in crate::upstream::streamable_http) async fn post(
        &self,
        era: &Era,
        call: &Call<'_>,
        id: u64,
        whose: Option<&Principal>,
    ) -> Result<HttpResponse> {
        let message = call.message(id, matches!(era, Era::Modern))?;
        let headers = self.headers(era, Some(call))?;
        let sending = self.send(Method::POST, headers, Some(message), whose);
        match self.client.settings.first_byte_timeout {
            Some(limit) => self.within(limit, sending).await,
            None => sending.await,
        }
    }

    /// Opens the stream of server messages that the legacy era has (MCP 2025-11-25, Transports,
    /// Listening for Messages from the Server).
    pub(in crate::upstream::streamable_http) async fn get(
        &self,
        era: &Era,
        whose: Option<&Principal>,
    ) -> Result<HttpResponse> {
        let headers = self.headers(era, None)?;
        self.send(Method::GET, headers, None, whose).await
    }

    /// Sends a request the shortest way that there is to the server.
    pub(super) async fn send(
        &self,
        method: Method,
        mut headers: HeaderMap,
        body: Option<Vec<u8>>,
        whose: Option<&Principal>,
    ) -> Result<HttpResponse> {
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(Bytes::from);
        let direct = self.direct.as_ref();
        let Some((origin, target)) = direct.filter(|_| !self.redirects.load(Ordering::Relaxed))
        else {
            return Box::pin(self.send_by_client(method, headers, body, whose)).await;
        };
        // The first request may be led elsewhere.
        let first = (!self.heard.load(Ordering::Relaxed))
            .then(|| (method.clone(), headers.clone(), body.clone()));
        headers.insert(USER_AGENT, HeaderValue::from_static(http::AGENT));
        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = target.clone();
        *request.headers_mut() = headers;
        let again = self.client.settings.reconnect.then_some(http::RECONNECT);
        let sent = origin.send(request, again).await;
        let response = sent
            .map_err(|error| http::unanswered(&self.host, !error.is_connect(), &error.cause()))?;
        if first.is_some() {
            self.heard.store(true, Ordering::Relaxed);
        }
        if !leads_elsewhere(&response) {
            return Ok(response.into());
        }
        self.redirects.store(true, Ordering::Relaxed);
        match first {
            Some((method, headers, body)) => {
                Box::pin(self.send_by_client(method, headers, body, whose)).await
            }
            None => Ok(response.into()),
        }
    }

    /// Sends a request over TLS, through a proxy, with a token, or after redirects.
    async fn send_by_client(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<Bytes>,
        whose: Option<&Principal>,
    ) -> Result<HttpResponse> {
        let mut request = self
            .client
            .http()
            .await?
            .request(method, self.endpoint.url.clone())
            .headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        if let Some(access) = &self.access {
            // Boxed, so that servers which need no token carry none of it.
            let reconnect = self.client.settings.reconnect;
            let sent = Box::pin(access.send(request, whose, reconnect));
            return sent.await.map(HttpResponse::from);
        }
        let (client, request) = request.build_split();
        let request = request.map_err(|error| http::unsent(&self.host, error))?;
        let sent = http::execute(&client, request, self.client.settings.reconnect).await;
        let sent = sent.map_err(|error| http::unsent(&self.host, error))?;
        Ok(sent.into())
    }

    pub(super) fn forward_headers(&self, era: &Era, forward: &Forward) -> Result<HeaderMap> {
        let mut headers = self.base_headers(era, false)?;
        match era {
            Era::Modern => {
                headers.insert(MCP_METHOD, header_text(&forward.method));
                if let Some(name) = &forward.name {
                    headers.insert(MCP_NAME, header_text(name));
                }
                for (name, value) in &forward.headers {
                    if let (Ok(name), Ok(value)) = (
                        HeaderName::from_bytes(name.as_bytes()),
                        HeaderValue::from_str(value),
                    ) {
                        headers.insert(name, value);
                    }
                }
            }
            Era::Legacy(session) => {
                headers.insert(
                    MCP_PROTOCOL_VERSION,
                    HeaderValue::from_static(session.version),
                );
            }
        }
        traced::add(&forward.meta, &mut headers);
        Ok(headers)
    }

    /// What every request carries: the endpoint's own headers, what is accepted, the version of the
    /// modern era, and the session of the other.
    fn base_headers(&self, era: &Era, streaming: bool) -> Result<HeaderMap> {
        let mut headers = http::endpoint_headers(&self.endpoint)?;
        let accept = if streaming {
            "text/event-stream, application/json"
        } else {
            "application/json, text/event-stream"
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        match era {
            Era::Modern => {
                headers.insert(MCP_PROTOCOL_VERSION, HeaderValue::from_static(MODERN));
            }
            Era::Legacy(session) => {
                if let Some(id) = &session.id {
                    headers.insert(MCP_SESSION_ID, id.clone());
                }
            }
        }
        Ok(headers)
    }

    pub(super) fn headers(&self, era: &Era, call: Option<&Call<'_>>) -> Result<HeaderMap> {
        let get = call.is_none() && matches!(era, Era::Legacy(_));
        let mut headers = self.base_headers(era, get)?;
        match era {
            Era::Modern => {
                if let Some(call) = call {
                    headers.insert(MCP_METHOD, HeaderValue::from_static(call.method));
                    if let Some(name) = call.name {
                        headers.insert(MCP_NAME, header_text(name));
                    }
                }
            }
            Era::Legacy(session) => {
                // The request that negotiates the version cannot have it yet.
                if call.is_none_or(|call| call.method != "initialize") {
                    headers.insert(
                        MCP_PROTOCOL_VERSION,
                        HeaderValue::from_static(session.version),
                    );
                }
            }
        }
        Ok(headers)
    }
}

/// Whether an answer is a redirect, which is followed within one origin.
fn leads_elsewhere<B>(response: &axum::http::Response<B>) -> bool {
    response.status().is_redirection() && response.headers().contains_key(LOCATION)
}

fn header_text(text: &str) -> HeaderValue {
    HeaderValue::from_str(&http::encoded(text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}
