//! Streams of an API reach a client as progress while they come, and whole as the result.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex, split};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::bookshop;
use crate::recording_api::{RecordingApi, Reply};

const BOUND: Duration = Duration::from_secs(20);

/// `/hours` streams two events and, once the gate is open, a third; `/public` does so with lines;
/// `/books` answers at once.
async fn api(gate: &Arc<Notify>) -> RecordingApi {
    let gate = Arc::clone(gate);
    RecordingApi::start(move |request| {
        let (kind, first, then) = match &*request.target {
            "/hours" => (
                "text/event-stream",
                "event: step\ndata: {\"n\": 1}\n\n: idle\n\ndata: {\"n\": 2}\n\n",
                "data: {\"n\": 3}\n\n",
            ),
            "/public" => (
                "application/x-ndjson",
                "{\"n\": 1}\n{\"n\": 2}\n",
                "{\"n\": 3}\n",
            ),
            _ => return Reply::json("[]"),
        };
        let first = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n{first}");
        Reply::Gated(
            first.into_bytes(),
            Arc::clone(&gate),
            then.as_bytes().to_vec(),
        )
    })
    .await
}

fn call(tool: &str, modern: bool, token: Option<Value>) -> Value {
    let mut meta = json!({});
    if modern {
        meta["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    if let Some(token) = token {
        meta["progressToken"] = token;
    }
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "_meta": meta}})
}

/// The messages that a client gets: opens the gate once it has heard of two events.
async fn heard(gate: &Notify, token: &Value, mut next: impl AsyncFnMut() -> Value) -> Value {
    for n in 1..=3 {
        let message = tokio::time::timeout(BOUND, next()).await.unwrap();
        assert_eq!(
            message,
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {
                "progressToken": token, "progress": n, "message": format!("{{\"n\": {n}}}"),
            }})
        );
        if n == 2 {
            gate.notify_one();
        }
    }
    let answer = tokio::time::timeout(BOUND, next()).await.unwrap();
    assert_eq!(answer["id"], 7);
    answer["result"].clone()
}

fn has_all(result: &Value) {
    let text = result["content"][0]["text"].as_str().unwrap();
    for n in 1..=3 {
        assert!(text.contains(&format!("{{\"n\": {n}}}")), "{text}");
    }
}

struct Http {
    url: String,
    client: reqwest::Client,
}

impl Http {
    async fn of(api: &RecordingApi) -> Self {
        let gateway = bookshop::hub::gateway(&api.url, |_| {}).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp/shop", listener.local_addr().unwrap());
        let router = gateway.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, client }
    }

    async fn send(&self, message: &Value, accept: &str) -> reqwest::Response {
        let mut request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", accept);
        if message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string() {
            request = request
                .header("mcp-protocol-version", "2026-07-28")
                .header("mcp-method", "tools/call")
                .header("mcp-name", message["params"]["name"].as_str().unwrap());
        }
        request.body(message.to_string()).send().await.unwrap()
    }
}

const BOTH: &str = "application/json, text/event-stream";

#[tokio::test]
async fn over_http_the_answer_becomes_an_event_stream() {
    let gate = Arc::new(Notify::new());
    let http = Http::of(&api(&gate).await).await;
    for (tool, modern, token) in [
        ("open_hours", true, json!("a \"name\"")),
        ("public", true, json!(12)),
        ("open_hours", false, json!("b")),
        ("public", false, json!(-1)),
    ] {
        let message = call(tool, modern, Some(token.clone()));
        let answer = http.send(&message, BOTH).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        let (mut bytes, mut buffer) = (answer.bytes_stream(), String::new());
        let result = heard(&gate, &token, async || {
            loop {
                if let Some((event, rest)) = buffer.split_once("\n\n") {
                    let message = serde_json::from_str(event.strip_prefix("data: ").unwrap());
                    buffer = rest.to_owned();
                    return message.unwrap();
                }
                let chunk = bytes.next().await.unwrap().unwrap();
                buffer.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        })
        .await;
        has_all(&result);
        assert_eq!(result.get("resultType").is_some(), modern);
        assert!(
            bytes.next().await.is_none(),
            "nothing comes after the result"
        );
    }
}

#[tokio::test]
async fn a_stream_that_comes_at_once_is_told_before_the_result() {
    let api = RecordingApi::start(|_| {
        let body = "data: {\"n\": 1}\n\ndata: {\"n\": 2}\n\ndata: {\"n\": 3}\n\n";
        Reply::Whole(200, "text/event-stream", body.into())
    })
    .await;
    let http = Http::of(&api).await;
    for modern in [true, false] {
        // Also over a connection that is there already.
        for _ in 0..3 {
            let message = call("open_hours", modern, Some(json!(1)));
            let answer = http.send(&message, BOTH).await;
            assert_eq!(answer.headers()["content-type"], "text/event-stream");
            let text = answer.text().await.unwrap();
            let mut events = text.split_terminator("\n\n");
            let result = heard(&Notify::new(), &json!(1), async || {
                let event = events.next().unwrap().strip_prefix("data: ").unwrap();
                serde_json::from_str(event).unwrap()
            })
            .await;
            has_all(&result);
            assert_eq!(events.next(), None);
        }
    }
}

#[tokio::test]
async fn over_stdio_messages_come_before_the_answer() {
    let gate = Arc::new(Notify::new());
    let server = api(&gate).await;
    let gateway = bookshop::hub::gateway(&server.url, |_| {}).await;
    let (ours, theirs) = duplex(1 << 16);
    let (reader, writer) = split(theirs);
    tokio::spawn(async move { gateway.serve_stdio(reader, writer).await });
    let (output, mut input) = split(ours);
    let mut output = BufReader::new(output).lines();
    let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    input
        .write_all(format!("{begin}\n").as_bytes())
        .await
        .unwrap();
    output.next_line().await.unwrap().unwrap();
    for (tool, modern) in [("shop_open_hours", true), ("shop_public", false)] {
        let message = call(tool, modern, Some(json!(tool)));
        input
            .write_all(format!("{message}\n").as_bytes())
            .await
            .unwrap();
        let result = heard(&gate, &json!(tool), async || {
            let line = output.next_line().await.unwrap().unwrap();
            serde_json::from_str(&line).unwrap()
        })
        .await;
        has_all(&result);
    }
}

#[tokio::test]
async fn without_anything_to_tell_or_anyone_to_hear_it_is_json() {
    let gate = Arc::new(Notify::new());
    let http = Http::of(&api(&gate).await).await;
    let token = || Some(json!(1));
    for (message, accept) in [
        // It does not stream.
        (call("find_books", true, token()), BOTH),
        (call("find_books", false, token()), BOTH),
        // Nobody asked, or what was asked with is no token.
        (call("open_hours", true, None), BOTH),
        (call("open_hours", false, Some(json!({}))), BOTH),
        // Nobody could take it.
        (call("open_hours", true, token()), "application/json"),
    ] {
        gate.notify_one();
        let answer = http.send(&message, accept).await;
        assert_eq!(
            answer.headers()["content-type"],
            "application/json",
            "{message}"
        );
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["id"], 7);
        assert!(
            answer["result"]["content"][0]["text"].is_string(),
            "{answer}"
        );
        if message["params"]["name"] == "open_hours" {
            has_all(&answer["result"]);
        } else {
            // It did not need the gate.
            tokio::time::timeout(BOUND, gate.notified()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_error_before_the_stream_keeps_its_status() {
    let gate = Arc::new(Notify::new());
    let http = Http::of(&api(&gate).await).await;
    let answer = http
        .send(&call("nothing", true, Some(json!(1))), BOTH)
        .await;
    assert_eq!(answer.headers()["content-type"], "application/json");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["code"], -32602);
}

#[tokio::test]
async fn a_stream_that_goes_on_gives_what_came_in_whole_lines() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let stream = format!("{head}data: 1\n\ndata: 2\n\ndata: unfinish");
    let server = RecordingApi::start(move |_| Reply::Stalled(stream.clone().into_bytes())).await;
    let http = Http::of(&server).await;
    let answer = http
        .send(&call("open_hours", true, Some(json!(1))), BOTH)
        .await;
    let (mut bytes, mut text) = (answer.bytes_stream(), String::new());
    while !text.contains(r#""message":"2""#) {
        let chunk = tokio::time::timeout(BOUND, bytes.next()).await.unwrap();
        text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
    // What comes has come; the time for the call is over at once.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
    while let Some(chunk) = bytes.next().await {
        text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
    }
    let last = text.trim_end().rsplit("data: {").next().unwrap();
    let answer: Value = serde_json::from_str(&format!("{{{last}")).unwrap();
    let result = &answer["result"];
    assert_eq!(result.get("isError"), None, "{result}");
    assert_eq!(result["content"][0]["text"], "data: 1\n\ndata: 2\n\n");
    let told = "[cut: the stream went on after 30 s; 18 bytes of it are given]";
    assert_eq!(result["content"][1]["text"], told);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_call() {
    let gate = Arc::new(Notify::new());
    let server = api(&gate).await;
    let http = Http::of(&server).await;
    let answer = http
        .send(&call("open_hours", true, Some(json!(1))), BOTH)
        .await;
    let mut bytes = answer.bytes_stream();
    assert!(bytes.next().await.is_some());
    drop(bytes);
    assert_eq!(server.open(), 1);
    let gone = async {
        while server.open() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(BOUND, gone).await.unwrap();
}
