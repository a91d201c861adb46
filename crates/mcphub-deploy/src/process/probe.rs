//! Whether an MCP server answers on loopback.
//!
//! The probe speaks HTTP through hyper itself: a proxy of the environment, TLS and a connection
//! pool, which a whole client brings, would all be wrong here.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use mcphub_core::deployment::Endpoint;
use mcphub_core::secret::ExposeSecret;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest time for one request.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 1024 * 1024;

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// Asks until the server answers, for ever: the caller has the time limit. `last` holds what was
/// wrong with the last attempt.
///
/// # Errors
/// `Upstream` when the answer will not get better: the server refuses its own token.
pub(super) async fn until_ready(endpoint: &Endpoint, last: &mut String) -> Result<()> {
    loop {
        let attempt = timeout(ATTEMPT, attempt(endpoint)).await;
        match attempt.unwrap_or_else(|_| {
            Err(Attempt::Again(
                "it did not answer a request within 10 s".to_owned(),
            ))
        }) {
            Ok(()) => return Ok(()),
            Err(Attempt::Again(problem)) => *last = problem,
            Err(Attempt::Never(problem)) => return Err(Error::new(ErrorKind::Upstream, problem)),
        }
        sleep(PAUSE).await;
    }
}

enum Attempt {
    Again(String),
    Never(String),
}

impl<E: std::error::Error> From<E> for Attempt {
    fn from(error: E) -> Self {
        Self::Again(error.to_string())
    }
}

/// `server/discover`, and where the answer is not of the modern era, `initialize` (MCP 2026-07-28,
/// basic/transports/streamable-http, Backward Compatibility).
async fn attempt(endpoint: &Endpoint) -> Result<(), Attempt> {
    let client = json!({ "name": "mcphub", "version": env!("CARGO_PKG_VERSION") });
    let discover = json!({
        "jsonrpc": "2.0", "id": "ready", "method": "server/discover",
        "params": { "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": client,
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    });
    let modern = [
        ("mcp-protocol-version", MODERN),
        ("mcp-method", "server/discover"),
    ];
    let answer = send(endpoint, Method::POST, &modern, Some(&discover)).await?;
    if answer.is_modern() {
        return Ok(());
    }
    answer.check()?;
    let initialize = json!({
        "jsonrpc": "2.0", "id": "ready", "method": "initialize",
        "params": { "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client },
    });
    let answer = send(endpoint, Method::POST, &[], Some(&initialize)).await?;
    if let Some(session) = &answer.session {
        // Politeness; a server may well refuse it.
        let headers = [
            ("mcp-session-id", session.as_str()),
            ("mcp-protocol-version", LEGACY),
        ];
        let _ = timeout(
            Duration::from_secs(1),
            send(endpoint, Method::DELETE, &headers, None),
        )
        .await;
    }
    if answer
        .message
        .as_ref()
        .is_some_and(|message| message.get("result").is_some())
    {
        return Ok(());
    }
    answer.check()?;
    Err(Attempt::Again(format!(
        "it answered neither server/discover nor initialize (HTTP {})",
        answer.status
    )))
}

struct Answer {
    status: StatusCode,
    session: Option<String>,
    /// The JSON-RPC response, where there was one.
    message: Option<Value>,
}

impl Answer {
    /// A result, or an error that only the modern era has: header mismatch, missing capability,
    /// unsupported version.
    fn is_modern(&self) -> bool {
        let Some(message) = &self.message else {
            return false;
        };
        let code = message.pointer("/error/code").and_then(Value::as_i64);
        message.get("result").is_some() || matches!(code, Some(-32022..=-32020))
    }

    fn check(&self) -> Result<(), Attempt> {
        match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Attempt::Never(format!(
                "the server refuses the token it was given (HTTP {})",
                self.status
            ))),
            status if status.is_server_error() => {
                Err(Attempt::Again(format!("it answered HTTP {status}")))
            }
            _ => Ok(()),
        }
    }
}

async fn send(
    endpoint: &Endpoint,
    method: Method,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Result<Answer, Attempt> {
    let url = &endpoint.url;
    let (host, port) = (
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default(),
    );
    let mut request = Request::builder()
        .method(method)
        .uri(url.path())
        .header(HOST, format!("{host}:{port}"))
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    for (name, value) in &endpoint.headers {
        let mut secret = HeaderValue::from_str(value.expose_secret())?;
        secret.set_sensitive(true);
        request = request.header(
            if name.eq_ignore_ascii_case("authorization") {
                AUTHORIZATION.as_str()
            } else {
                name
            },
            secret,
        );
    }
    let request = request.body(Full::new(
        body.map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default(),
    ))?;

    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async { read(sender.send_request(request).await?).await };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        // The connection has ended; what it had received is still to be read.
        _ = connection => exchange.await,
    }
}

async fn read(mut response: Response<Incoming>) -> Result<Answer, Attempt> {
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let is_stream =
        header("content-type").is_some_and(|value| value.starts_with("text/event-stream"));
    let mut answer = Answer {
        status: response.status(),
        session: header("mcp-session-id"),
        message: None,
    };
    let mut body = Vec::new();
    while let Some(frame) = response.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        body.extend_from_slice(&data);
        if body.len() > MAX_ANSWER {
            return Err(Attempt::Again(
                "it answered a probe with more than 1 MiB".to_owned(),
            ));
        }
        if is_stream {
            answer.message = event_data(&body).find_map(|event| reply(&event));
            if answer.message.is_some() {
                return Ok(answer);
            }
        }
    }
    if !is_stream {
        answer.message = reply(&body);
    }
    Ok(answer)
}

/// The JSON-RPC response to our request. An error may come without an id when the server did not
/// get so far as to read it.
fn reply(body: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(body).ok()?;
    let ours = message
        .get("id")
        .is_none_or(|id| id.is_null() || id == "ready");
    let whole = message.get("result").is_some() || message.pointer("/error/code").is_some();
    (ours
        && whole
        && message
            .get("jsonrpc")
            .is_some_and(|version| version == "2.0"))
    .then_some(message)
}

/// The data of the whole events in an event stream.
fn event_data(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    let whole = text.rfind("\n\n").map_or(0, |end| end);
    let events: Vec<Vec<u8>> = text[..whole]
        .split("\n\n")
        .map(|event| {
            let data: Vec<&str> = event
                .lines()
                .filter_map(|line| line.strip_prefix("data:"))
                .map(str::trim_start)
                .collect();
            data.join("\n").into_bytes()
        })
        .collect();
    events.into_iter()
}

#[cfg(test)]
mod tests {
    use mcphub_core::secret::SecretString;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection with what `answer` makes of the request's text.
    async fn server(answer: impl Fn(&str) -> String + Send + 'static) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 8192];
                let mut used = 0;
                while !request[..used].ends_with(b"}") && !request.starts_with(b"DELETE") {
                    used += stream.read(&mut request[used..]).await.unwrap();
                }
                let response = answer(&String::from_utf8_lossy(&request[..used]));
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        Endpoint {
            url,
            headers: vec![("authorization".into(), SecretString::from("Bearer t0ken"))],
        }
    }

    fn http(status: &str, kind: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    const RESULT: &str = r#"{"jsonrpc":"2.0","id":"ready","result":{}}"#;

    #[tokio::test]
    async fn a_modern_server_is_ready_when_it_discovers() {
        let endpoint = server(|request| {
            let request = request.to_ascii_lowercase();
            let good = [
                "mcp-method: server/discover",
                "mcp-protocol-version: 2026-07-28",
                "bearer t0ken",
            ];
            let status = if good.iter().all(|part| request.contains(part)) {
                "200 OK"
            } else {
                "500 No"
            };
            http(
                status,
                "application/json",
                if status == "200 OK" { RESULT } else { "{}" },
            )
        });
        until_ready(&endpoint.await, &mut String::new())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn an_event_stream_that_stays_open_is_an_answer() {
        let endpoint = server(|_| {
            let body = format!(": hi\r\n\r\nevent: message\r\ndata: {RESULT}\r\n\r\n");
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n{body}"
            )
        });
        until_ready(&endpoint.await, &mut String::new())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_legacy_server_is_ready_when_it_initializes() {
        for refusal in [
            http(
                "400 Bad Request",
                "application/json",
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no session"}}"#,
            ),
            http(
                "200 OK",
                "application/json",
                r#"{"jsonrpc":"2.0","id":"ready","error":{"code":-32601,"message":"?"}}"#,
            ),
            http("404 Not Found", "text/html", "<p>"),
        ] {
            let endpoint = server(move |request| {
                if request.contains("initialize") {
                    http("200 OK", "application/json", RESULT)
                } else {
                    refusal.clone()
                }
            });
            until_ready(&endpoint.await, &mut String::new())
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn an_error_of_the_modern_era_is_an_answer() {
        let endpoint = server(|request| {
            assert!(!request.contains("initialize"));
            http(
                "400 Bad Request",
                "application/json",
                r#"{"jsonrpc":"2.0","id":"ready","error":{"code":-32022,"message":"v"}}"#,
            )
        });
        until_ready(&endpoint.await, &mut String::new())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_refused_token_ends_the_waiting_and_is_not_shown() {
        let endpoint = server(|_| http("401 Unauthorized", "text/plain", "no"));
        let error = until_ready(&endpoint.await, &mut String::new())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("refuses the token"), "{error}");
        assert!(!format!("{error:?}").contains("t0ken"));
    }

    #[tokio::test]
    async fn what_is_no_mcp_is_never_ready_and_says_why() {
        for (status, expected) in [("200 OK", "neither"), ("502 Bad Gateway", "502")] {
            let endpoint = server(move |_| http(status, "text/html", "<html>")).await;
            let mut last = String::new();
            assert!(
                timeout(
                    Duration::from_millis(300),
                    until_ready(&endpoint, &mut last)
                )
                .await
                .is_err()
            );
            assert!(last.contains(expected), "{last}");
        }
    }
}
