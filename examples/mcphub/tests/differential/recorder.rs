//! An API that answers everything alike and remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    /// Those that the binding makes, sorted; not those of the HTTP client itself.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: RecordedBody,
}

/// JSON is compared as a value, because white space may differ; everything else as bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordedBody {
    Json(Value),
    Bytes(Bytes),
}

const OF_THE_CLIENT: [&str; 7] =
    ["host", "user-agent", "accept-encoding", "connection", "content-length", "transfer-encoding", "keep-alive"];

/// A running recorder.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub url: Url,
    seen: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/base", listener.local_addr().unwrap())).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let app = Router::new().fallback(record).with_state(seen.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    /// What arrived since the last time.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn record(State(seen): State<Arc<Mutex<Vec<Recorded>>>>, request: Request) -> (StatusCode, &'static str) {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let target = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let body = body_of(&parts.headers, bytes);
    let mut headers: Vec<_> = parts
        .headers
        .iter()
        .filter(|(name, _)| !OF_THE_CLIENT.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect();
    headers.sort();
    seen.lock().unwrap().push(Recorded { method: parts.method.to_string(), target, headers, body });
    (StatusCode::OK, "recorded")
}

fn body_of(headers: &HeaderMap, bytes: Bytes) -> RecordedBody {
    let json = headers.get("content-type").is_some_and(|value| value.as_bytes().ends_with(b"json"));
    match serde_json::from_slice(&bytes) {
        Ok(value) if json => RecordedBody::Json(value),
        _ => RecordedBody::Bytes(bytes),
    }
}
