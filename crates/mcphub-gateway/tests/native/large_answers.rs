//! Large answers of many calls at once: each in its turn, and none held for a client that is gone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::join_all;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_gateway::upstream::native::NativeApi;
use mcphub_gateway::upstream::{CallResult, Upstream};
use mcphub_gateway::{Gateway, Listener};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::bookshop;
use crate::recording_api::{RecordingApi, Reply};

const MIB: usize = 1024 * 1024;

/// `/hours` has an answer of this size and states it, `/public` has it in chunks of unstated
/// number, and all others are small.
async fn api(bytes: usize) -> RecordingApi {
    RecordingApi::start(move |request| match &*request.target {
        "/hours" => Reply::Whole(200, "text/plain", vec![b'x'; bytes]),
        "/public" => {
            let head =
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n\r\n";
            let chunk = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes));
            Reply::Raw([head, &chunk].concat().into_bytes())
        }
        _ => Reply::json("{}"),
    })
    .await
}

fn native(url: &Url) -> NativeApi {
    bookshop::native_with(url, Credentials::default(), |settings| {
        settings.max_response = 2 * MIB;
        settings.max_held = 2 * MIB;
        settings.timeout = Duration::from_millis(1500);
    })
}

async fn call(api: &NativeApi, tool: &str) -> CallResult {
    Upstream::call(api, tool, &Arguments::default())
        .await
        .unwrap()
}

fn error(result: &CallResult) -> Option<String> {
    let result: Value = serde_json::from_slice(result.as_bytes()).unwrap();
    (result["isError"] == true).then(|| result["content"][0]["text"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_large_answer_waits_until_those_before_it_were_taken() {
    let server = api(MIB + MIB / 2).await;
    let api = native(&server.url);
    for tool in ["open_hours", "public"] {
        let first = call(&api, tool).await;
        assert_eq!(error(&first), None);
        let text = error(&call(&api, tool).await).unwrap();
        assert!(
            text.starts_with("The gateway holds too many large answers at once")
                && text.contains(&server.host()),
            "{text}"
        );
        assert_eq!(error(&call(&api, "find_books").await), None, "a small one");
        let rest = first.into_bytes().slice(MIB..);
        assert!(
            error(&call(&api, tool).await).is_some(),
            "half is not taken"
        );
        drop(rest);
        assert_eq!(error(&call(&api, tool).await), None);
    }
}

#[tokio::test]
async fn many_at_once_all_have_their_turn() {
    let server = api(MIB).await;
    let api = bookshop::native_with(&server.url, Credentials::default(), |settings| {
        settings.max_response = MIB;
        settings.max_held = 2 * MIB;
    });
    let calls = (0..24).map(|n| {
        let tool = ["open_hours", "public"][n % 2];
        let api = &api;
        async move { error(&call(api, tool).await) }
    });
    assert_eq!(join_all(calls).await, vec![None; 24]);
}

/// A gateway with the bookshop that has room for one answer of 8 MiB, over HTTP.
async fn gateway(api: &Url) -> (Gateway, SocketAddr) {
    let gateway = bookshop::hub::gateway(api, |native| native.max_held = 8 * MIB).await;
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let listener = Listener::new(tcp).write_timeout(Duration::from_millis(300));
    let router = gateway.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (gateway, address)
}

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open_hours"}}"#;

#[tokio::test]
async fn a_client_that_reads_nothing_gives_back_what_was_held_for_it() {
    let server = api(8 * MIB).await;
    let (_gateway, address) = gateway(&server.url).await;
    for accept in ["application/json", "text/event-stream"] {
        let mut idle = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /mcp/shop HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\naccept: {accept}\r\ncontent-length: {}\r\n\r\n{CALL}",
            CALL.len()
        );
        let before = server.requests().len();
        idle.write_all(head.as_bytes()).await.unwrap();
        let start = Instant::now();
        while server.requests().len() == before {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "it is not called"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let answer = reqwest::Client::new()
            .post(format!("http://{address}/mcp/shop"))
            .header("content-type", "application/json")
            .header("accept", accept)
            .body(CALL)
            .send()
            .await
            .unwrap();
        let text = answer.text().await.unwrap();
        assert!(text.len() > 8 * MIB, "{text:.200}");
        drop(idle);
    }
}
