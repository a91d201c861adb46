//! Several gateways over one store, as people start them, and the servers that they share.
//!
//! `MCPHUB_TEST_REDIS`, `MCPHUB_TEST_REDIS_CLUSTER` and `MCPHUB_TEST_POSTGRES` name the servers.

use std::time::{Duration, Instant};

use mcphub_cli::demo_api::DOCUMENT;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const PATIENCE: Duration = Duration::from_secs(30);

/// A server that a variable names, with a corner of its own for this test.
pub fn shared(variable: &str) -> Option<String> {
    let Ok(url) = std::env::var(variable) else {
        println!("NOT RUN: set {variable}, as `scripts/test-servers.sh run` does");
        return None;
    };
    let began = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_micros();
    let corner = if url.starts_with("redis") {
        "prefix"
    } else {
        "schema"
    };
    Some(format!(
        "{url}?{corner}=n{:x}_{began:x}",
        std::process::id()
    ))
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().timeout(PATIENCE).build();
    client.expect("a client")
}

fn request(client: &Client, node: &Gateway, method: &str) -> RequestBuilder {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}});
    post(client, node, &body)
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method)
}

fn post(client: &Client, node: &Gateway, body: &Value) -> RequestBuilder {
    client
        .post(node.url())
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(body.to_string())
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("the gateway answers")
}

async fn tools(client: &Client, node: &Gateway) -> usize {
    let body = send(request(client, node, "tools/list"))
        .await
        .bytes()
        .await;
    let body: Value = serde_json::from_slice(&body.expect("a body")).expect("JSON");
    body["result"]["tools"].as_array().expect("tools").len()
}

async fn nodes_share(variable: &str) {
    let Some(shared) = shared(variable) else {
        return;
    };
    let (sandbox, client) = (Sandbox::new(), client());
    let spec = sandbox.write("bookshop.yaml", DOCUMENT);
    let args = ["serve", "--shared", &shared, "--rate-limit", "40/d"];
    let nodes = [
        Gateway::start(&sandbox, &args),
        Gateway::start(&sandbox, &args),
    ];

    // A third process registers an API, as `up` in a terminal does; it serves too.
    let third = Gateway::start(&sandbox, &["up", &spec, "--shared", &shared]);
    let begun = Instant::now();
    let mut asked = 0;
    for node in &nodes {
        while tools(&client, node).await == 0 {
            assert!(begun.elapsed() < PATIENCE, "the change did not arrive");
            asked += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        asked += 1;
    }
    third.stop();

    // A session of the old era goes on at another node, and ends at both.
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let begun_at_one = send(post(&client, &nodes[0], &initialize)).await;
    let session = begun_at_one.headers()["mcp-session-id"]
        .to_str()
        .expect("text")
        .to_owned();
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping", "params": {}});
    let ping = |node: &Gateway| post(&client, node, &ping).header("mcp-session-id", &session);
    assert_eq!(send(ping(&nodes[1])).await.status(), 200);
    let end = client
        .request(Method::DELETE, nodes[1].url())
        .header("mcp-session-id", &session);
    assert_eq!(send(end).await.status(), 204);
    asked += 3;
    let ended = Instant::now();
    loop {
        asked += 1;
        match send(ping(&nodes[0])).await.status().as_u16() {
            404 => break,
            _ => assert!(
                ended.elapsed() < PATIENCE,
                "the session goes on at the other node"
            ),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // One rate for both.
    assert!(asked < 35, "{asked} requests: too many to tell");
    let mut allowed = 0;
    for turn in 0..80 {
        let answer = send(request(&client, &nodes[turn % 2], "tools/list")).await;
        match answer.status().as_u16() {
            200 => allowed += 1,
            429 => assert!(answer.headers().contains_key("retry-after")),
            other => panic!("{other}"),
        }
    }
    assert_eq!(asked + allowed, 40);
    for node in nodes {
        let health = send(client.get(format!("http://{}/healthz", node.address()))).await;
        assert_eq!(health.status(), 200);
        assert!(node.stop().success());
    }
}

#[tokio::test]
async fn nodes_share_through_redis() {
    nodes_share("MCPHUB_TEST_REDIS").await;
}

#[tokio::test]
async fn nodes_share_through_a_redis_cluster() {
    nodes_share("MCPHUB_TEST_REDIS_CLUSTER").await;
}

#[tokio::test]
async fn nodes_share_through_postgresql() {
    nodes_share("MCPHUB_TEST_POSTGRES").await;
}

#[test]
fn shared_state_that_cannot_be_reached_is_said_before_anything_is_served() {
    let sandbox = Sandbox::new();
    // Nobody listens on port 1 of loopback.
    let serve = sandbox.run(&["serve", "--shared", "redis://:s3cret@127.0.0.1:1"]);
    assert_eq!(serve.code, Some(6), "{serve:?}");
    assert!(
        serve.stderr.contains("Redis") && !serve.stderr.contains("s3cret"),
        "{serve:?}"
    );
    let serve = sandbox.run(&["serve", "--shared", "etcd://127.0.0.1"]);
    assert_eq!(serve.code, Some(2), "{serve:?}");
    let serve = sandbox.run(&["serve", "--rate-limit", "fast"]);
    assert_eq!(serve.code, Some(2), "{serve:?}");
    assert!(serve.stderr.contains("100/s"), "{serve:?}");
}
