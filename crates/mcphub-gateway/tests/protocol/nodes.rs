//! Several gateways over one catalogue, and what they share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcphub_core::event::Event;
use mcphub_core::secret::DataKey;
use mcphub_core::server::ServerName;
use mcphub_core::shared::{Rate, Shared};
use mcphub_gateway::GatewaySettings;
use serde_json::{Value, json};

use super::mcp_server::{Era, McpServer};
use super::support::*;

/// Two gateways which by themselves would not look at the catalogue again.
async fn two_nodes(shared: &Shared) -> (Served, Served, Arc<Server>) {
    let (hub, server) = (Arc::new(Hub::default()), Server::with(&["echo"]));
    hub.register("shop", &server);
    let mut settings = quick();
    settings.poll_interval = Duration::from_secs(3_600);
    let node = async || {
        let gateway = builder(&hub, settings.clone()).shared(shared.clone());
        serve_gateway(hub.clone(), gateway.build().unwrap()).await
    };
    (node().await, node().await, server)
}

async fn limited(rate: &str, settings: GatewaySettings, shared: &Shared) -> Served {
    let (hub, server) = (Arc::new(Hub::default()), Server::with(&["echo"]));
    hub.register("shop", &server);
    let rate: Rate = rate.parse().unwrap();
    let gateway = builder(&hub, settings)
        .shared(shared.clone())
        .rate_limit(rate);
    serve_gateway(hub, gateway.build().unwrap()).await
}

fn ping(node: &Served, session: &str) -> reqwest::RequestBuilder {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}});
    node.post("/mcp")
        .header("mcp-session-id", session)
        .body(body.to_string())
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    answer(request).await.0.as_u16()
}

fn list(node: &Served) -> reqwest::RequestBuilder {
    node.modern_request("/mcp", &modern_body(1, "tools/list", json!({})))
}

#[tokio::test]
async fn a_change_is_served_by_every_node_as_soon_as_one_tells_of_it() {
    let shared = mcphub_store::memory::shared();
    let (one, other, server) = two_nodes(&shared).await;
    one.hub.register("second", &server);
    let changed = Event::CatalogChanged {
        server: ServerName::new("second").unwrap(),
    };
    shared.events.publish(changed).await.unwrap();
    for node in [&one, &other] {
        until("the change", async || node.names().await.len() == 2).await;
    }
}

#[tokio::test]
async fn after_lost_events_everything_is_looked_at_again() {
    let shared = mcphub_store::memory::shared();
    let (one, _other, server) = two_nodes(&shared).await;
    one.hub.register("second", &server);
    shared.events.publish(Event::Lagged).await.unwrap();
    until("the change", async || one.names().await.len() == 2).await;
}

#[tokio::test]
async fn a_session_that_ends_at_one_node_has_ended_at_the_other_with_its_stream() {
    let shared = mcphub_store::memory::shared();
    let (one, other, _) = two_nodes(&shared).await;
    let (session, _) = one.initialize("2025-11-25").await;
    assert_eq!(status(ping(&other, &session)).await, 200);
    let open = other
        .client
        .get(other.url("/mcp"))
        .header("accept", "text/event-stream");
    let mut events = Events::open(open.header("mcp-session-id", &session)).await;

    let end = one
        .client
        .delete(one.url("/mcp"))
        .header("mcp-session-id", &session);
    assert_eq!(status(end).await, 204);

    assert_eq!(events.next().await, None);
    assert_eq!(status(ping(&other, &session)).await, 404);
    assert_eq!(status(ping(&one, &session)).await, 404);
}

#[tokio::test]
async fn a_client_over_its_rate_is_told_when_to_come_again() {
    let node = limited("2/h", quick(), &mcphub_store::memory::shared()).await;
    for _ in 0..2 {
        assert_eq!(status(list(&node)).await, 200);
    }
    let refused = list(&node).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let seconds: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=1_800).contains(&seconds), "{seconds}");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(
        (&body["id"], &body["error"]["code"]),
        (&Value::Null, &json!(-31_429))
    );
    // Probes are not counted, and other methods are.
    assert_eq!(status(node.client.get(node.url("/healthz"))).await, 200);
    assert_eq!(status(node.client.get(node.url("/mcp"))).await, 429);
}

#[tokio::test]
async fn whoever_waits_as_told_is_served() {
    let node = limited("2/s", quick(), &mcphub_store::memory::shared()).await;
    let begun = Instant::now();
    let mut served = 0;
    while served < 4 {
        let response = list(&node).send().await.unwrap();
        match response.headers().get("retry-after") {
            Some(seconds) => {
                let seconds = seconds.to_str().unwrap().parse().unwrap();
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            None => served += 1,
        }
        assert!(begun.elapsed() < BOUND);
    }
    assert!(begun.elapsed() >= Duration::from_millis(950));
}

#[tokio::test]
async fn two_nodes_count_one_rate() {
    let shared = mcphub_store::memory::shared();
    let nodes = [
        limited("4/h", quick(), &shared).await,
        limited("4/h", quick(), &shared).await,
    ];
    let mut served = 0;
    for turn in 0..10 {
        served += usize::from(status(list(&nodes[turn % 2])).await == 200);
    }
    assert_eq!(served, 4);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_a_rate_each() {
    let mut settings = quick();
    settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let node = limited("1/h", settings, &mcphub_store::memory::shared()).await;
    for client in ["203.0.113.1", "203.0.113.2"] {
        let from = || list(&node).header("x-forwarded-for", client);
        assert_eq!(
            [status(from()).await, status(from()).await],
            [200, 429],
            "{client}"
        );
    }
}

#[tokio::test]
async fn clients_of_an_untrusted_proxy_share_its_rate() {
    let node = limited("1/h", quick(), &mcphub_store::memory::shared()).await;
    let from = |client: &str| list(&node).header("x-forwarded-for", client);
    assert_eq!(status(from("203.0.113.1")).await, 200);
    assert_eq!(status(from("203.0.113.2")).await, 429);
}

#[test]
fn a_rate_without_a_place_to_count_in_is_refused() {
    let hub = Arc::new(Hub::default());
    let gateway = builder(&hub, quick()).rate_limit("1/s".parse().unwrap());
    assert!(gateway.build().is_err());
}

#[tokio::test]
async fn a_task_is_known_at_every_node_with_the_same_keys_and_at_no_other() {
    let server = McpServer::start(Era::Modern).await;
    let hub = Arc::new(Hub::default());
    hub.attach("shop", &server.url);
    let node = async |key: Option<u8>| {
        let keys = key.map(|key| DataKey::new(Box::new([key; 32])));
        let gateway = builder(&hub, quick()).mark_keys(keys.into_iter().collect());
        let node = serve_gateway(hub.clone(), gateway.build().unwrap()).await;
        until("the list", async || !node.names().await.is_empty()).await;
        node
    };
    let (made_at, same) = (node(Some(1)).await, node(Some(1)).await);
    let others = [node(Some(2)).await, node(None).await];
    let call = modern_body(1, "tools/call", json!({"name": "shop_link"}));
    let (_, made) = answer(made_at.modern_request("/mcp", &call)).await;
    let get = modern_body(1, "tasks/get", json!({"taskId": made["result"]["taskId"]}));
    let (_, found) = answer(same.modern_request("/mcp", &get)).await;
    assert_eq!(
        found["result"]["taskId"], made["result"]["taskId"],
        "{found}"
    );
    for other in &others {
        let (_, unknown) = answer(other.modern_request("/mcp", &get)).await;
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    }
}
