//! What an API gets of the trace that a call belongs to.

use std::future::pending;

use mcphub_gateway::Listener;
use mcphub_gateway::upstream::native::{NativeSettings, Propagators};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bookshop;
use crate::recording_api::{Recorded, RecordingApi, Reply};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
const ALL: [(&str, &str); 3] = [
    ("traceparent", PARENT),
    ("tracestate", "a=1"),
    ("baggage", "user=ada"),
];

/// What an API gets of a call with these headers and these members of `_meta`.
async fn called(
    change: impl FnOnce(&mut NativeSettings),
    headers: &[(&str, &str)],
    meta: &[(&str, &str)],
    progress: bool,
) -> Recorded {
    let api = RecordingApi::start(|_| Reply::json("[]")).await;
    let gateway = bookshop::hub::gateway(&api.url, change).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp/shop", listener.local_addr().unwrap());
    let listener = Listener::new(listener);
    tokio::spawn(async move { gateway.serve(listener, pending()).await });
    let mut said = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    for (name, value) in meta {
        said[*name] = Value::from(*value);
    }
    if progress {
        said["progressToken"] = 1.into();
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "find_books", "arguments": {}, "_meta": said}});
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client
        .post(url)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "find_books");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    api.request()
}

fn told(request: &Recorded) -> [Option<&str>; 3] {
    ALL.map(|(name, _)| request.header(name))
}

#[tokio::test]
async fn the_name_of_a_trace_goes_on_wherever_it_was_said_and_baggage_does_not() {
    for progress in [false, true] {
        for (headers, meta) in [(&ALL[..], &[][..]), (&[], &ALL)] {
            let request = called(|_| {}, headers, meta, progress).await;
            assert_eq!(told(&request), [Some(PARENT), Some("a=1"), None]);
        }
    }
    assert_eq!(told(&called(|_| {}, &[], &[], false).await), [None; 3]);
}

#[tokio::test]
async fn the_operator_says_what_goes_on() {
    let baggage = |settings: &mut NativeSettings| {
        settings.propagators = Propagators::NONE;
        settings.propagators.baggage = true;
    };
    let request = called(baggage, &ALL, &[], false).await;
    assert_eq!(told(&request), [None, None, Some("user=ada")]);
    let none = |settings: &mut NativeSettings| settings.propagators = Propagators::NONE;
    assert_eq!(told(&called(none, &ALL, &[], false).await), [None; 3]);
}

#[tokio::test]
async fn what_is_no_trace_goes_nowhere() {
    let wrong = [("traceparent", "00-0-0-01"), ("tracestate", "a=1")];
    assert_eq!(told(&called(|_| {}, &wrong, &[], false).await), [None; 3]);
    assert_eq!(told(&called(|_| {}, &[], &wrong, false).await), [None; 3]);
    let evil = [("traceparent", PARENT), ("tracestate", "a=1\r\nx-evil: 1")];
    let request = called(|_| {}, &[], &evil, false).await;
    assert_eq!(told(&request), [Some(PARENT), None, None]);
    assert_eq!(request.header("x-evil"), None);
}
