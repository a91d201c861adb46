//! Servers over HTTP+SSE of 2024-11-05, played by the test.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use mcphub_core::ErrorKind;
use mcphub_core::call::Arguments;
use mcphub_core::deployment::Endpoint;
use mcphub_core::shared::SessionKey;
use mcphub_gateway::upstream::channel::{ChannelSettings, McpChannel};
use mcphub_gateway::upstream::streamable_http::{McpClient, McpSettings};
use mcphub_gateway::upstream::{Exchange, Forward, Said, Upstream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::bookshop;

const SOON: Duration = Duration::from_secs(20);

/// A server that answers calls with the number of the stream that they belong to.
#[derive(Default)]
struct Server {
    streams: Mutex<Vec<Option<mpsc::UnboundedSender<Event>>>>,
    /// What `initialize` said that each stream's client can be asked.
    abilities: Mutex<Vec<Value>>,
    refusing: Mutex<bool>,
    /// Where the messages go.
    address: Mutex<Option<String>>,
    /// The headers of the last message.
    last: Mutex<HeaderMap>,
}

impl Server {
    async fn start() -> (Arc<Self>, McpChannel) {
        bookshop::install_crypto();
        let server = Arc::new(Self::default());
        let router = Router::new()
            .route("/sse", get(open))
            .route("/messages", post(receive))
            .with_state(Arc::clone(&server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sse?key=k", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let endpoint = Endpoint {
            url: url.parse().unwrap(),
            headers: vec![("x-key".to_owned(), "s3cret".into())],
        };
        let client = McpClient::new(McpSettings::default()).unwrap();
        let mut settings = ChannelSettings::default();
        settings.initial_backoff = Duration::from_millis(10);
        settings.max_own = 2;
        (server, McpChannel::sse(endpoint, client, settings))
    }

    fn streams(&self) -> usize {
        self.streams.lock().unwrap().len()
    }

    fn say(&self, stream: usize, message: &Value) {
        let event = Event::default().event("message").data(message.to_string());
        if let Some(Some(stream)) = self.streams.lock().unwrap().get(stream) {
            let _ = stream.send(event);
        }
    }

    fn break_all(&self) {
        for stream in self.streams.lock().unwrap().iter_mut() {
            *stream = None;
        }
    }
}

async fn open(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    if headers.get("x-key").is_none_or(|key| key != "s3cret") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (sender, events) = mpsc::unbounded_channel();
    let mut streams = server.streams.lock().unwrap();
    let address = server.address.lock().unwrap().clone();
    let address = address.unwrap_or_else(|| format!("/messages?stream={}", streams.len()));
    sender
        .send(Event::default().event("endpoint").data(address))
        .unwrap();
    streams.push(Some(sender));
    server.abilities.lock().unwrap().push(Value::Null);
    Sse::new(UnboundedReceiverStream::new(events).map(Ok::<_, Infallible>)).into_response()
}

async fn receive(
    State(server): State<Arc<Server>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    if *server.refusing.lock().unwrap() {
        return StatusCode::NOT_FOUND;
    }
    let query = query.unwrap_or_default();
    assert!(query.ends_with("&key=k"), "{query}");
    assert_eq!(headers["x-key"], "s3cret");
    let stream = query.trim_start_matches("stream=").split('&').next();
    let stream: usize = stream.unwrap().parse().unwrap();
    let message: Value = serde_json::from_str(&body).unwrap();
    *server.last.lock().unwrap() = headers;
    let answer = |result: Value| {
        server.say(
            stream,
            &json!({"jsonrpc": "2.0", "id": message["id"], "result": result}),
        );
    };
    match message["method"].as_str() {
        Some("initialize") => {
            let abilities = message["params"]["capabilities"].clone();
            server.abilities.lock().unwrap()[stream] = abilities;
            answer(json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}}));
        }
        Some("tools/list") => {
            answer(json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}));
        }
        Some("tools/call") if message["params"]["arguments"]["ask"] == true => {
            server.say(
                stream,
                &json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": "?"}}),
            );
        }
        Some("tools/call") => answer(json!({"content": [], "stream": stream})),
        _ => {}
    }
    StatusCode::ACCEPTED
}

async fn call(server: &McpChannel) -> mcphub_core::Result<Value> {
    let arguments = Arguments::default();
    let called = timeout(SOON, server.call("t", &arguments)).await;
    let result = called.expect("in time")?;
    Ok(serde_json::from_slice(result.as_bytes()).unwrap())
}

fn forward(session: Option<&str>, arguments: &str) -> Forward {
    let mut forward = Forward::default();
    forward.method = "tools/call".to_owned();
    forward.params = format!(r#""name":"t","arguments":{arguments}"#);
    forward.session = session.map(SessionKey::of);
    forward
}

async fn opened(server: &McpChannel, forward: Forward) -> Box<dyn Exchange> {
    let opening = server.relay().unwrap().open(forward.into());
    timeout(SOON, opening).await.expect("in time").unwrap()
}

async fn result(server: &McpChannel, forward: Forward) -> Value {
    let mut exchange = opened(server, forward).await;
    let said = timeout(SOON, exchange.next()).await.expect("in time");
    match said.unwrap() {
        Said::Result(result) => serde_json::from_str(result.get()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_is_listed_and_called_and_a_broken_stream_is_opened_anew() {
    let (server, upstream) = Server::start().await;
    assert_eq!(upstream.tools().await.unwrap()[0].name, "t");
    assert_eq!(call(&upstream).await.unwrap()["stream"], 0);
    let mut changes = upstream.changes();
    server.break_all();
    let heard = timeout(SOON, changes.next()).await;
    heard.expect("the end is a change").unwrap();
    let deadline = tokio::time::Instant::now() + SOON;
    let again = loop {
        // It ended early, so there is a pause.
        match call(&upstream).await {
            Ok(again) => break again,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(again["stream"], 1);
}

#[tokio::test]
async fn each_session_has_a_stream_of_its_own_that_says_what_its_client_can_be_asked() {
    let (server, upstream) = Server::start().await;
    upstream.tools().await.unwrap();
    let of = async |session| result(&upstream, forward(session, "{}")).await["stream"].clone();
    let (a, b) = (of(Some("a")).await, of(Some("b")).await);
    assert_ne!(a, b);
    assert_eq!((of(Some("a")).await, of(Some("b")).await), (a, b));
    assert_eq!(server.streams(), 3);
    let abilities = server.abilities.lock().unwrap().clone();
    assert!(abilities[0]["elicitation"].is_object(), "lists show all");
    assert_eq!(abilities[1..], [json!({}), json!({})]);
}

#[tokio::test]
async fn what_is_asked_reaches_the_call_that_it_is_asked_for() {
    let (_server, upstream) = Server::start().await;
    let asking = |session| forward(session, r#"{"ask":true}"#);
    let (mut a, mut b) = (
        opened(&upstream, asking(Some("a"))).await,
        opened(&upstream, asking(Some("b"))).await,
    );
    for exchange in [&mut a, &mut b] {
        let said = timeout(SOON, exchange.next()).await.expect("in time");
        assert!(matches!(said, Ok(Said::Request { .. })), "{said:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_not_taken_fails_the_call_and_the_next_one_begins_anew() {
    let (server, upstream) = Server::start().await;
    call(&upstream).await.unwrap();
    *server.refusing.lock().unwrap() = true;
    let error = call(&upstream).await.unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    *server.refusing.lock().unwrap() = false;
    let deadline = tokio::time::Instant::now() + SOON;
    while call(&upstream).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn messages_are_never_sent_to_another_origin() {
    let (server, upstream) = Server::start().await;
    *server.address.lock().unwrap() = Some("http://evil.example/messages".to_owned());
    let error = call(&upstream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Upstream);
    assert!(error.to_string().contains("another origin"), "{error}");
}

#[tokio::test]
async fn the_trace_of_a_call_goes_in_headers_too() {
    let (server, upstream) = Server::start().await;
    call(&upstream).await.unwrap();
    assert!(!server.last.lock().unwrap().contains_key("traceparent"));
    let parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    let mut traced = forward(None, "{}");
    traced.meta = format!(r#""traceparent":"{parent}","baggage":"a=1""#);
    result(&upstream, traced).await;
    let last = server.last.lock().unwrap().clone();
    assert_eq!(last["traceparent"], parent);
    assert_eq!(last["baggage"], "a=1");
}
