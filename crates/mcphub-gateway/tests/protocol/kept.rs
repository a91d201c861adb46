//! Resources that their servers say may be kept (MCP 2026-07-28, Caching).

use std::sync::Arc;

use mcphub_core::catalog::CatalogSource;
use mcphub_gateway::Gateway;
use mcphub_store::memory::{MemoryCache, shared};
use serde_json::{Value, json};

use crate::client::Client;
use crate::mcp_server::{Era, McpServer};
use crate::support::{Hub, Served, quick, serve_gateway, until};

const KEPT: &str = "test://shop/kept/public/600000/a";

/// A gateway that keeps what it may, in front of a server of the modern era.
async fn keeping() -> (Served, Arc<McpServer>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = McpServer::start(Era::Modern).await;
    let hub = Arc::new(Hub::default());
    hub.attach("shop", &server.url);
    let cache = Arc::new(MemoryCache::new(8 << 20));
    let gateway = Gateway::builder(Arc::clone(&hub) as Arc<dyn CatalogSource>)
        .settings(quick())
        .shared(shared().with_cache(cache));
    let served = serve_gateway(hub, gateway.build().unwrap()).await;
    until("the first list", async || {
        served.gateway.servers()[0].tools > 0
    })
    .await;
    (served, server)
}

async fn read(client: &Client<'_>, uri: &str) -> Value {
    client.result("resources/read", json!({"uri": uri})).await
}

fn reads(server: &McpServer) -> usize {
    server.sent("resources/read").len()
}

#[tokio::test]
async fn a_resource_for_everybody_is_read_once_and_its_time_runs_on() {
    let (served, server) = keeping().await;
    let modern = Client::of(&served, "/mcp", Era::Modern).await;
    let first = read(&modern, KEPT).await;
    assert_eq!(first["ttlMs"], 600_000);
    until("some time to pass", async || {
        let again = read(&modern, KEPT).await;
        assert_eq!(again["contents"], first["contents"]);
        assert_eq!(again["cacheScope"], "public");
        let left = again["ttlMs"].as_u64().unwrap();
        (1..600_000).contains(&left)
    })
    .await;
    // Another client, of the old era, at another endpoint.
    let old = Client::of(&served, "/mcp/shop", Era::Legacy).await;
    let theirs = read(&old, "test://kept/public/600000/a").await;
    assert_eq!(theirs["contents"][0]["text"], first["contents"][0]["text"]);
    assert_eq!(reads(&server), 1);
}

#[tokio::test]
async fn what_is_for_one_caller_or_for_no_time_is_read_each_time() {
    let (served, server) = keeping().await;
    let client = Client::of(&served, "/mcp", Era::Modern).await;
    for (number, uri) in (1..).zip([
        "test://shop/kept/private/600000/a",
        "test://shop/kept/public/0/a",
        "test://shop/kept/public/-1/a",
        "test://shop/kept/other/600000/a",
        "test://shop/a",
    ]) {
        assert_ne!(read(&client, uri).await, Value::Null);
        read(&client, uri).await;
        assert_eq!(reads(&server), 2 * number, "{uri}");
    }
    // What else is said can make another result.
    let before = reads(&server);
    read(&client, KEPT).await;
    client
        .result("resources/read", json!({"uri": KEPT, "more": 1}))
        .await;
    let meta = json!({"com.example/tenant": "two"});
    client
        .result("resources/read", json!({"uri": KEPT, "_meta": meta}))
        .await;
    assert_eq!(reads(&server), before + 3);
    let meta = json!({"com.example/tenant": "two",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"});
    client
        .result("resources/read", json!({"uri": KEPT, "_meta": meta}))
        .await;
    assert_eq!(reads(&server), before + 3);
}

#[tokio::test]
async fn a_resource_that_was_updated_is_read_anew_and_others_are_not() {
    let (served, server) = keeping().await;
    let client = Client::of(&served, "/mcp", Era::Modern).await;
    let other = "test://shop/kept/public/600000/other";
    let filter = json!({"notifications": {"resourceSubscriptions": [KEPT]}});
    let mut listening = client.events(5, "subscriptions/listen", filter).await;
    listening.next().await.unwrap();
    until("the server to be listened to", async || {
        let listens = server.sent("subscriptions/listen");
        let watches = |it: &crate::mcp_server::Sent| {
            it.body["params"]["notifications"]["resourceSubscriptions"][0].is_string()
        };
        listens.iter().any(watches) && server.streams.load(std::sync::atomic::Ordering::SeqCst) > 1
    })
    .await;
    let first = read(&client, KEPT).await;
    read(&client, other).await;
    assert_eq!(read(&client, KEPT).await["contents"], first["contents"]);
    assert_eq!(reads(&server), 2);
    let updated = json!({"uri": "test://kept/public/600000/a"});
    server.tell("notifications/resources/updated", updated);
    let told = listening.next().await.unwrap();
    assert_eq!(told["params"]["uri"], KEPT);
    assert_ne!(read(&client, KEPT).await["contents"], first["contents"]);
    read(&client, other).await;
    assert_eq!(reads(&server), 3);
}

#[tokio::test]
async fn nothing_is_given_from_before_a_list_changed_or_a_server_was_registered_anew() {
    let (served, server) = keeping().await;
    let client = Client::of(&served, "/mcp", Era::Modern).await;
    read(&client, KEPT).await;
    read(&client, KEPT).await;
    assert_eq!(reads(&server), 1);
    until("the server to be listened to", async || {
        server.streams.load(std::sync::atomic::Ordering::SeqCst) > 0
    })
    .await;
    server.add_prompt();
    until("the change to be heard", async || {
        read(&client, KEPT).await;
        reads(&server) == 2
    })
    .await;
    served.hub.attach("shop", &server.url);
    served.gateway.refresh().await.unwrap();
    until("the new revision", async || {
        read(&client, KEPT).await;
        reads(&server) == 3
    })
    .await;
}
