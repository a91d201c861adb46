//! Requests to one server, in the era that it speaks.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::deployment::Endpoint;
use mcphub_core::secret::ExposeSecret;
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use rmcp::transport::common::http_header::{
    HEADER_MCP_METHOD, HEADER_MCP_NAME, HEADER_MCP_PROTOCOL_VERSION, HEADER_SESSION_ID,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use super::answer::{self, Answer};
use super::message::{Call, Failure, LEGACY, MODERN, Params, initialized};
use super::settings::McpClient;
use crate::upstream::http;

/// What a server was found to speak.
#[derive(Debug, Clone)]
pub(super) enum Era {
    /// 2026-07-28: every request stands for itself.
    Modern,
    /// 2025-11-25 and before, after the handshake.
    Legacy {
        /// The negotiated revision.
        version: &'static str,
        /// The session, where the server keeps one.
        session: Option<HeaderValue>,
    },
}

/// One server and what is known of it.
pub(super) struct Wire {
    endpoint: Endpoint,
    pub(super) client: McpClient,
    /// Host and port, the part of the URL that may be shown.
    pub(super) host: String,
    /// Found once by whoever needs it first; replaced when it turns out to be wrong.
    era: ArcSwap<OnceCell<Era>>,
    next_id: AtomicU64,
}

impl Wire {
    pub(super) fn new(endpoint: Endpoint, client: McpClient) -> Self {
        let host = http::host(&endpoint.url);
        Self {
            endpoint,
            client,
            host,
            era: ArcSwap::default(),
            next_id: AtomicU64::new(1),
        }
    }

    /// The result of a request.
    ///
    /// # Errors
    /// `Upstream` with `code` and `message` for a JSON-RPC error, `Unavailable` when there is no
    /// connection.
    pub(super) async fn request(&self, call: &Call<'_>) -> Result<Box<RawValue>> {
        let mut stale = true;
        loop {
            let cell = self.era.load_full();
            let known = cell.initialized();
            let era = cell.get_or_try_init(|| self.probe()).await?;
            let id = self.id();
            let response = self.post(era, call, id).await?;
            let status = response.status();
            let answer = self.read(response, id).await?;
            // A server that was restarted has forgotten the session or speaks another era. What it
            // refuses with one of these it has not done.
            if stale && known && refuses_era(era, status, &answer) {
                stale = false;
                self.forget(&cell);
                continue;
            }
            return match answer {
                Answer::Result(result) => Ok(result),
                Answer::Failure(failure) => Err(self.failure(call.method, &failure)),
                Answer::Status => Err(self.status(status)),
            };
        }
    }

    /// The era of the server, found out if need be.
    pub(super) async fn era(&self) -> Result<Era> {
        let cell = self.era.load_full();
        cell.get_or_try_init(|| self.probe()).await.cloned()
    }

    /// Bounds a piece of work.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "the MCP server did not answer within {} s",
                    limit.as_secs_f64()
                ),
            )
            .with("server", &self.host))
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn forget(&self, wrong: &Arc<OnceCell<Era>>) {
        self.era.compare_and_swap(wrong, Arc::default());
    }

    /// The server is met anew with the next request.
    pub(super) fn forget_era(&self) {
        self.era.store(Arc::default());
    }

    /// Which era the server speaks (MCP 2026-07-28, Versioning, Backward Compatibility).
    /// `server/discover` is asked because it does nothing: a server of the legacy era that does not
    /// look at versions would carry out a call without a handshake.
    async fn probe(&self) -> Result<Era> {
        let id = self.id();
        let response = self
            .post(
                &Era::Modern,
                &Call::new("server/discover", Params::default()),
                id,
            )
            .await?;
        let status = response.status();
        match self.read(response, id).await {
            Ok(Answer::Result(result)) => {
                let discovered = serde_json::from_str::<Discovered>(result.get());
                if discovered.is_ok_and(|it| {
                    it.supported_versions
                        .iter()
                        .any(|version| version == MODERN)
                }) {
                    return Ok(Era::Modern);
                }
            }
            Ok(Answer::Failure(failure)) if failure.is_modern() => {
                // An unsupported version may still leave the versions of the handshake.
                tracing::debug!(server = %self.host, code = failure.code, "a modern request is refused");
            }
            Ok(Answer::Failure(_)) => {}
            Ok(Answer::Status) if status.is_client_error() && !refuses_caller(status) => {}
            Ok(Answer::Status) => return Err(self.status(status)),
            // A success that is no JSON-RPC is not of this era either.
            Err(error) if error.kind() == ErrorKind::Upstream && status.is_success() => {}
            Err(error) => return Err(error),
        }
        self.initialize().await
    }

    /// The handshake of the legacy era (MCP 2025-11-25, Lifecycle).
    async fn initialize(&self) -> Result<Era> {
        let id = self.id();
        let none = Era::Legacy {
            version: LEGACY[0],
            session: None,
        };
        let response = self
            .post(&none, &Call::new("initialize", Params::initialize()), id)
            .await?;
        let status = response.status();
        let session = response.headers().get(HEADER_SESSION_ID).cloned();
        let result = match self.read(response, id).await? {
            Answer::Result(result) => result,
            Answer::Failure(failure) => return Err(self.failure("initialize", &failure)),
            Answer::Status => return Err(self.status(status)),
        };
        let agreed = serde_json::from_str::<Initialized>(result.get()).ok();
        let version = agreed.and_then(|it| {
            LEGACY
                .into_iter()
                .find(|known| *known == it.protocol_version)
        });
        let version = version.ok_or_else(|| {
            Error::new(
                ErrorKind::Upstream,
                "the MCP server speaks no revision that mcphub speaks",
            )
            .with("server", &self.host)
        })?;
        let era = Era::Legacy { version, session };
        let response = self
            .send(
                Method::POST,
                self.headers(&era, None)?,
                Some(initialized()?),
            )
            .await?;
        if !response.status().is_success() {
            return Err(self.status(response.status()));
        }
        Ok(era)
    }

    /// Sends a request; the response may be of any status.
    pub(super) async fn post(&self, era: &Era, call: &Call<'_>, id: u64) -> Result<Response> {
        let message = call.message(id, matches!(era, Era::Modern))?;
        self.send(Method::POST, self.headers(era, Some(call))?, Some(message))
            .await
    }

    /// Opens the stream of server messages that the legacy era has (MCP 2025-11-25, Transports,
    /// Listening for Messages from the Server).
    pub(super) async fn get(&self, era: &Era) -> Result<Response> {
        self.send(Method::GET, self.headers(era, None)?, None).await
    }

    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<Vec<u8>>,
    ) -> Result<Response> {
        let mut request = self
            .client
            .http
            .request(method, self.endpoint.url.clone())
            .headers(headers);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        request.send().await.map_err(|error| {
            let (kind, text) = if error.is_connect() {
                (
                    ErrorKind::Unavailable,
                    "the MCP server could not be reached",
                )
            } else {
                (
                    ErrorKind::Upstream,
                    "the MCP server did not answer as HTTP asks",
                )
            };
            Error::new(kind, text)
                .with("server", &self.host)
                .with("reason", http::cause(&error.without_url()))
        })
    }

    async fn read(&self, response: Response, id: u64) -> Result<Answer> {
        let limit = self.client.settings.max_message;
        answer::read(response, id, limit)
            .await
            .map_err(|error| error.with("server", &self.host))
    }

    fn headers(&self, era: &Era, call: Option<&Call<'_>>) -> Result<HeaderMap> {
        let mut headers = HeaderMap::with_capacity(8);
        for (name, secret) in &self.endpoint.headers {
            let wrong = || {
                Error::invalid("a header of the MCP server's endpoint is not possible")
                    .with("header", name)
            };
            let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.append(known, value);
        }
        let get = call.is_none() && matches!(era, Era::Legacy { .. });
        let accept = if get {
            "text/event-stream, application/json"
        } else {
            "application/json, text/event-stream"
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        match era {
            Era::Modern => {
                headers.insert(
                    HEADER_MCP_PROTOCOL_VERSION,
                    HeaderValue::from_static(MODERN),
                );
                if let Some(call) = call {
                    headers.insert(HEADER_MCP_METHOD, HeaderValue::from_static(call.method));
                    if let Some(name) = call.name {
                        headers.insert(HEADER_MCP_NAME, header_text(name));
                    }
                }
            }
            Era::Legacy { version, session } => {
                // The request that negotiates the version cannot have it yet.
                if call.is_none_or(|call| call.method != "initialize") {
                    headers.insert(
                        HEADER_MCP_PROTOCOL_VERSION,
                        HeaderValue::from_static(version),
                    );
                }
                if let Some(session) = session {
                    headers.insert(HEADER_SESSION_ID, session.clone());
                }
            }
        }
        Ok(headers)
    }

    fn failure(&self, method: &'static str, failure: &Failure) -> Error {
        Error::new(ErrorKind::Upstream, "the MCP server answered with an error")
            .with("server", &self.host)
            .with("method", method)
            .with("code", failure.code)
            .with("message", http::clip(&failure.message, 1_000))
    }

    pub(super) fn status(&self, status: StatusCode) -> Error {
        Error::new(
            ErrorKind::Upstream,
            format!("the MCP server answered HTTP {}", status.as_u16()),
        )
        .with("server", &self.host)
        .set_retryable(status.is_server_error())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
}

/// Whether a server refuses the way it is spoken to, and not the request.
fn refuses_era(era: &Era, status: StatusCode, answer: &Answer) -> bool {
    let refused = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
    );
    refused
        && match era {
            Era::Modern => match answer {
                Answer::Failure(failure) => {
                    failure.code
                        == i64::from(rmcp::model::ErrorCode::UNSUPPORTED_PROTOCOL_VERSION.0)
                }
                _ => true,
            },
            Era::Legacy { .. } => true,
        }
}

/// 401, 403 and 429 are about who asks, in either era.
fn refuses_caller(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    )
}

/// A value of `Mcp-Name` (MCP 2026-07-28, Streamable HTTP, Value Encoding).
fn header_text(text: &str) -> HeaderValue {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t'))
        && text.trim_matches([' ', '\t']) == text
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    if let (true, Ok(value)) = (plain, HeaderValue::from_str(text)) {
        return value;
    }
    let encoded = format!("=?base64?{}?=", STANDARD.encode(text));
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_as_the_table_of_value_encoding_says() {
        for (text, header) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(header_text(text), header);
        }
    }
}
