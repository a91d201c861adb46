//! An API that remembers what it was asked, and answers what it was told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use crate::answers_table::PageAnswer;

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
#[derive(Debug, Clone)]
pub struct RecordedBody {
    pub bytes: Bytes,
    json: Option<Value>,
}

impl PartialEq for RecordedBody {
    fn eq(&self, other: &Self) -> bool {
        match (&self.json, &other.json) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.bytes == other.bytes,
        }
    }
}

/// Status, media type and body.
type Answer = (u16, &'static str, &'static [u8]);

/// Good and bad answers of an API.
/// A JSON object that is too large to be there as text and as structure.
static LARGE: [u8; 70_000] = {
    let mut text = [b'x'; 70_000];
    let (head, tail) = (br#"{"a":""#, br#""}"#);
    let mut at = 0;
    while at < head.len() {
        text[at] = head[at];
        at += 1;
    }
    text[69_998] = tail[0];
    text[69_999] = tail[1];
    text
};

pub static ANSWERS: [Answer; 13] = [
    (
        200,
        "text/plain; charset=utf-8",
        "recorded \u{fc}".as_bytes(),
    ),
    (
        200,
        "application/json",
        br#"{"a": [1, 2.50, null], "big": 12345678901234567890123}"#,
    ),
    (200, "application/json", b"[1, 2]"),
    (201, "application/json", b"null"),
    (204, "", b""),
    (200, "application/json", b"{broken"),
    (200, "image/png", b"\x89PNG"),
    (200, "application/pdf", b"%PDF"),
    (
        404,
        "application/problem+json",
        br#"{"title": "no such thing"}"#,
    ),
    (500, "text/html", b"<h1>out of paper</h1>"),
    (200, "application/json", &LARGE),
    (200, "text/event-stream", b"data: 1\n\nid: 2\ndata: \xc3"),
    (200, "application/x-ndjson", b"{\"n\": 1}\n{\"n\": 2}\n"),
];

const OF_THE_CLIENT: [&str; 9] = [
    "host",
    "user-agent",
    "accept-encoding",
    "connection",
    "content-length",
    "transfer-encoding",
    "keep-alive",
    // Of the standard `fetch` (WHATWG Fetch, HTTP-network-or-cache fetch).
    "accept-language",
    "sec-fetch-mode",
];

/// A running recorder.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub url: Url,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    seen: Vec<Recorded>,
    answer: Answer,
    /// By path and query after the base URL, without the secret, and the body after a space; each is
    /// asked once.
    pages: BTreeMap<String, PageAnswer>,
}

impl Recorder {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/base", listener.local_addr().unwrap())).unwrap();
        let state = Arc::new(Mutex::new(State {
            seen: Vec::new(),
            answer: ANSWERS[0],
            pages: BTreeMap::new(),
        }));
        let app = Router::new().fallback(record).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, state }
    }

    /// What everything is answered from now on.
    pub fn answer(&self, answer: Answer) {
        self.state.lock().unwrap().answer = answer;
    }

    /// What is answered from now on, by path and query.
    pub fn answer_pages(&self, pages: impl IntoIterator<Item = (String, PageAnswer)>) {
        self.state.lock().unwrap().pages = pages.into_iter().collect();
    }

    /// What arrived since the last time.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }
}

async fn record(Shared(state): Shared<Arc<Mutex<State>>>, request: Request) -> Response {
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
    let mut state = state.lock().unwrap();
    let page = page_of(&target, &body.bytes);
    state.seen.push(Recorded {
        method: parts.method.to_string(),
        target,
        headers,
        body,
    });
    if let Some(page) = state.pages.remove(&page) {
        return page_response(&page);
    }
    let (status, media_type, body) = state.answer;
    let response = Response::builder().status(status);
    let response = if media_type.is_empty() {
        response
    } else {
        response.header("content-type", media_type)
    };
    response.body(Body::from(body)).unwrap()
}

fn page_of(target: &str, body: &[u8]) -> String {
    let target = target.strip_prefix("/base").unwrap_or(target);
    let mut page = target.replace("&key=s3cret", "").replace("?key=s3cret", "");
    if !body.is_empty() {
        page.push(' ');
        page.push_str(&String::from_utf8_lossy(body));
    }
    page
}

fn page_response(page: &PageAnswer) -> Response {
    let response = Response::builder()
        .status(page.status)
        .header("content-type", "application/json");
    let response = match &page.link {
        Some(link) => response.header("link", link),
        None => response,
    };
    response.body(Body::from(page.body.to_string())).unwrap()
}

fn body_of(headers: &HeaderMap, bytes: Bytes) -> RecordedBody {
    let json = headers
        .get("content-type")
        .is_some_and(|value| value.as_bytes().ends_with(b"json"));
    let json = json.then(|| serde_json::from_slice(&bytes).ok()).flatten();
    RecordedBody { bytes, json }
}
