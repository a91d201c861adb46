//! Servers that fail are left alone for a while, and the others do not notice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcphub_core::event::{Circuit, Event};
use mcphub_gateway::GatewaySettings;
use serde_json::{Value, json};

use crate::faulty_server::{Fault, FaultyServer};
use crate::mcp_server::{Era, McpServer};
use crate::support::{Hub, Served, Server, builder, quick, serve, serve_gateway, serve_hub, until};

/// A pause that no test waits for.
const LONG: Duration = Duration::from_secs(600);

fn settings(failures: u32, pause: Duration) -> GatewaySettings {
    let mut settings = quick();
    settings.guard.failures = failures;
    (settings.guard.pause, settings.guard.max_pause) = (pause, pause);
    settings
}

async fn call(served: &Served, tool: &str) -> Value {
    served.modern("tools/call", json!({"name": tool})).await.1
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text in {answer}"))
}

fn failed(answer: &Value) -> bool {
    answer["result"]["isError"] == true
}

async fn health(served: &Served, name: &str) -> Value {
    let answer = served.client.get(served.url("/healthz")).send().await;
    let whole: Value = answer.unwrap().json().await.unwrap();
    let servers = whole["servers"].as_array().unwrap();
    let server = servers.iter().find(|server| server["name"] == name);
    server.unwrap().clone()
}

#[tokio::test]
async fn bad_servers_are_left_alone_and_the_others_do_not_notice() {
    let good = Server::with(&["echo"]);
    let faults = [
        ("closed", Fault::Closed),
        ("dripping", Fault::Dripping),
        ("garbage", Fault::Garbage),
        ("hanging", Fault::Hanging),
    ];
    let hub = Arc::new(Hub::default());
    hub.register("good", &good);
    let mut servers = Vec::new();
    for (name, fault) in faults {
        let server = FaultyServer::start(fault).await;
        hub.attach(name, &server.url);
        servers.push((name, server));
    }
    let mut settings = settings(3, LONG);
    settings.stream_timeout = Duration::from_millis(300);
    let served = serve_hub(hub, settings).await;
    until("all lists", async || served.names().await.len() == 5).await;

    let bad = async {
        for (name, server) in &servers {
            let tool = format!("{name}_t");
            for _ in 0..3 {
                let answer = call(&served, &tool).await;
                assert!(failed(&answer), "{name}: {answer}");
            }
            let begun = Instant::now();
            let answer = call(&served, &tool).await;
            let told = text(&answer);
            assert!(
                told.contains("not called for now; it is tried again in 600 s (last failure: "),
                "{told}"
            );
            assert_eq!(answer["result"]["_meta"]["mcphub/retryAfterSeconds"], 600);
            assert!(begun.elapsed() < Duration::from_millis(250), "it waited");
            assert_eq!(server.calls.load(Ordering::SeqCst), 3, "{name} was called");
            assert_eq!(health(&served, name).await["circuit"], "open");
        }
    };
    let others = async {
        for _ in 0..200 {
            let answer = call(&served, "good_echo").await;
            assert!(
                !failed(&answer) && answer.get("error").is_none(),
                "{answer}"
            );
        }
    };
    tokio::join!(bad, others);
    let expected = json!({"name": "good", "state": "ready", "tools": 1});
    assert_eq!(health(&served, "good").await, expected);
}

#[tokio::test]
async fn a_server_that_answers_again_is_called_again_and_both_is_told() {
    let (hub, server) = (
        Arc::new(Hub::default()),
        FaultyServer::start(Fault::Closed).await,
    );
    hub.attach("shop", &server.url);
    let shared = mcphub_store::memory::shared();
    let mut events = shared.events.subscribe();
    let gateway = builder(&hub, settings(2, Duration::from_millis(50))).shared(shared);
    let served = serve_gateway(hub, gateway.build().unwrap()).await;
    for _ in 0..2 {
        call(&served, "shop_t").await;
    }
    server.well.store(true, Ordering::SeqCst);
    until("the call to succeed", async || {
        !failed(&call(&served, "shop_t").await)
    })
    .await;
    let mut circuits = Vec::new();
    while circuits.last() != Some(&Circuit::Closed) {
        let event = tokio::time::timeout(crate::support::BOUND, events.next()).await;
        if let Event::CircuitChanged { server, circuit } = event.unwrap().unwrap().unwrap() {
            assert_eq!(server.as_str(), "shop");
            circuits.push(circuit);
        }
    }
    assert_eq!(
        circuits,
        [Circuit::Open, Circuit::HalfOpen, Circuit::Closed]
    );
    let expected = json!({"name": "shop", "state": "ready", "tools": 1});
    assert_eq!(health(&served, "shop").await, expected);
}

#[tokio::test]
async fn errors_of_tools_are_answers() {
    let server = Server::with(&["wrong"]);
    let served = serve(&[("shop", &server)], settings(1, LONG)).await;
    for _ in 0..3 {
        // Unknown to its server, which is well.
        served
            .modern(
                "tools/call",
                json!({"name": "shop_wrong", "arguments": {"a": 1}}),
            )
            .await;
    }
    assert_eq!(health(&served, "shop").await["circuit"], Value::Null);
}

#[tokio::test]
async fn servers_that_fail_can_be_hidden_until_they_are_tried_again() {
    let (shop, other) = (Server::with(&["echo", "unreachable"]), Server::with(&["a"]));
    let mut settings = settings(1, Duration::from_millis(300));
    settings.guard.hide = true;
    let served = serve(&[("shop", &shop), ("other", &other)], settings).await;
    let all = ["other_a", "shop_echo", "shop_unreachable"];
    assert_eq!(served.names().await, all);
    call(&served, "shop_unreachable").await;
    until("the tools to be hidden", async || {
        served.names().await == ["other_a"]
    })
    .await;
    until("the tools to be seen again", async || {
        served.names().await == all
    })
    .await;
    assert!(!failed(&call(&served, "shop_echo").await));
}

#[tokio::test]
async fn a_server_that_is_busy_refuses_what_is_too_much_and_the_others_go_on() {
    let (shop, other) = (Server::with(&["hang", "echo"]), Server::with(&["echo"]));
    let mut settings = quick();
    settings.guard.max_calls = 2;
    let served = serve(&[("shop", &shop), ("other", &other)], settings).await;
    let hanging: Vec<_> = (0..2)
        .map(|id| {
            let params = json!({"name": "shop_hang"});
            let body = crate::support::modern_body(id, "tools/call", params);
            tokio::spawn(served.modern_request("/mcp", &body).send())
        })
        .collect();
    until("both calls to run", async || {
        shop.calls.lock().unwrap().len() == 2
    })
    .await;
    let refused = call(&served, "shop_echo").await;
    assert!(text(&refused).contains("as many calls of it run as may at once, 2"));
    assert_eq!(refused["result"]["_meta"]["mcphub/retryAfterSeconds"], 1);
    assert!(!failed(&call(&served, "other_echo").await));
    assert_eq!(health(&served, "shop").await["circuit"], Value::Null);
    hanging.iter().for_each(|call| call.abort());
    until("there to be room", async || {
        !failed(&call(&served, "shop_echo").await)
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_is_at_too_much_says_when_to_come_again_and_answers_probes() {
    let (shop, talker) = (
        Server::with(&["hang", "echo"]),
        McpServer::start(Era::Modern).await,
    );
    let hub = Arc::new(Hub::default());
    hub.register("shop", &shop);
    hub.attach("talker", &talker.url);
    let mut settings = quick();
    settings.max_requests = 2;
    let served = serve_hub(hub, settings).await;
    until("all lists", async || served.names().await.len() > 2).await;
    // One that is answered at once or not at all, and one whose answer is a stream.
    let body = |tool: &str| {
        let mut params = json!({"name": tool});
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/logLevel": "error",
        });
        crate::support::modern_body(1, "tools/call", params)
    };
    let hanging = tokio::spawn(served.modern_request("/mcp", &body("shop_hang")).send());
    let stream = served.modern_request("/mcp", &body("talker_hang")).send();
    let stream = stream.await.unwrap();
    assert_eq!(stream.status(), 200);
    until("the call to run", async || {
        shop.calls.lock().unwrap().len() == 1
    })
    .await;
    let request = served.modern_request("/mcp", &body("shop_echo"));
    let shed = request.send().await.unwrap();
    assert_eq!(shed.status(), 503);
    assert_eq!(shed.headers()["retry-after"], "1");
    let told: Value = shed.json().await.unwrap();
    assert_eq!(told["error"]["code"], -31_503);
    assert_eq!(told["error"]["data"]["mcphub/retryAfterSeconds"], 1);
    assert_eq!(health(&served, "shop").await["state"], "ready");
    drop(stream);
    until("there to be room", async || {
        let answer = served.modern_request("/mcp", &body("shop_echo")).send();
        answer.await.unwrap().status() == 200
    })
    .await;
    hanging.abort();
}

#[tokio::test]
async fn requests_besides_calls_are_refused_too_and_say_when_to_come_again() {
    let (hub, server) = (
        Arc::new(Hub::default()),
        FaultyServer::start(Fault::Closed).await,
    );
    hub.attach("shop", &server.url);
    let served = serve_hub(hub, settings(1, LONG)).await;
    call(&served, "shop_t").await;
    let body = crate::support::modern_body(1, "x/unknown", json!({}));
    let (_, answer) = crate::support::answer(served.modern_request("/mcp/shop", &body)).await;
    assert_eq!(answer["error"]["data"]["mcphub/retryAfterSeconds"], 600);
}
