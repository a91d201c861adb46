//! One server at several addresses.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcphub_core::connection::{Connection, Replica};
use mcphub_core::secret::{Credentials, DataKey};
use serde_json::{Value, json};
use url::Url;

use crate::faulty_server::{Fault, FaultyServer};
use crate::mcp_server::{Era, McpServer};
use crate::support::{Hub, Served, answer, builder, modern_body, quick, serve_gateway, until};

/// A server that answers at the first URL and, as the texts say, elsewhere.
async fn at(urls: &[String], hedge: Option<&str>) -> Served {
    let (first, others) = urls.split_first().unwrap();
    let connection = Connection::http(first.parse().unwrap(), &mut Credentials::default());
    let replicas: Vec<Replica> = others.iter().map(|text| text.parse().unwrap()).collect();
    let hedge = hedge.map(|text| text.parse().unwrap());
    let connection = connection.unwrap().with_replicas(replicas, None, hedge);
    let hub = Arc::new(Hub::default());
    hub.attach_all("shop", connection.unwrap());
    let keys = vec![DataKey::new(Box::new([1; 32]))];
    let gateway = builder(&hub, quick()).mark_keys(keys);
    let served = serve_gateway(hub, gateway.build().unwrap()).await;
    until("the list", async || !served.names().await.is_empty()).await;
    served
}

/// Where nobody answers.
fn nowhere() -> Url {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    url.parse().unwrap()
}

async fn call(served: &Served, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    served.modern("tools/call", params).await.1
}

/// The id of a task of the shop, at the endpoint of the shop alone.
fn local(task: &Value) -> &str {
    task.as_str().unwrap().strip_prefix("shop/").unwrap()
}

fn failed(answer: &Value) -> bool {
    answer["result"]["isError"] == true || answer.get("error").is_some()
}

async fn replicas(served: &Served) -> Value {
    let answer = served.client.get(served.url("/healthz")).send().await;
    let whole: Value = answer.unwrap().json().await.unwrap();
    whole["servers"][0]["replicas"].clone()
}

#[tokio::test]
async fn a_dead_replica_costs_no_call_and_is_known() {
    let server = McpServer::start(Era::Modern).await;
    let served = at(&[nowhere().to_string(), server.url.to_string()], None).await;
    for _ in 0..12 {
        // Not said to be safe; but it never reached the dead one.
        let answer = call(&served, "shop_echo", json!({})).await;
        assert!(!failed(&answer), "{answer}");
    }
    assert_eq!(server.sent("tools/call").len(), 12);
    until("the check to fail", async || {
        replicas(&served).await[0]["answers"] == false
    })
    .await;
    assert_eq!(replicas(&served).await[1]["answers"], true);
    assert_eq!(replicas(&served).await[1]["circuit"], "closed");
}

#[tokio::test]
async fn a_call_that_broke_goes_elsewhere_only_if_twice_is_as_good_as_once() {
    for (reads, fails) in [(false, 1), (true, 0)] {
        let (bad, good) = (
            FaultyServer::start(Fault::Closed).await,
            FaultyServer::start(Fault::Closed).await,
        );
        good.well.store(true, Ordering::SeqCst);
        bad.reads.store(reads, Ordering::SeqCst);
        good.reads.store(reads, Ordering::SeqCst);
        let served = at(&[bad.url.to_string(), good.url.to_string()], None).await;
        let mut failures = 0;
        // Idle replicas take turns.
        for _ in 0..2 {
            let answer = call(&served, "shop_t", json!({})).await;
            failures += usize::from(failed(&answer));
        }
        assert_eq!(failures, fails, "reads: {reads}");
        assert_eq!(bad.calls.load(Ordering::SeqCst), 1);
        assert_eq!(good.calls.load(Ordering::SeqCst), 2 - fails);
    }
}

#[tokio::test]
async fn a_session_stays_where_it_is_and_sessions_are_shared_out() {
    let servers = [
        McpServer::start(Era::Legacy).await,
        McpServer::start(Era::Legacy).await,
    ];
    let served = at(&servers.each_ref().map(|it| it.url.to_string()), None).await;
    for number in 0..6 {
        let (session, _) = served.initialize("2025-11-25").await;
        for _ in 0..3 {
            let params = json!({"name": "shop_echo", "arguments": {"number": number}});
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
            let request = served.post("/mcp").header("mcp-session-id", &session);
            let (_, answer) = answer(request.body(body.to_string())).await;
            assert!(!failed(&answer), "{answer}");
        }
    }
    let numbers = servers.map(|server| -> HashSet<i64> {
        let sent = server.sent("tools/call").into_iter();
        sent.map(|sent| sent.body["params"]["arguments"]["number"].as_i64().unwrap())
            .collect()
    });
    assert_eq!(numbers.each_ref().map(HashSet::len), [3, 3]);
    assert!(numbers[0].is_disjoint(&numbers[1]));
}

#[tokio::test]
async fn a_canary_takes_its_percentage() {
    let (stable, canary) = (
        McpServer::start(Era::Modern).await,
        McpServer::start(Era::Modern).await,
    );
    let weighted = format!("{},weight=25", canary.url);
    let served = at(&[stable.url.to_string(), weighted], None).await;
    for _ in 0..40 {
        call(&served, "shop_echo", json!({})).await;
    }
    let taken = canary.sent("tools/call").len();
    assert!((9..=12).contains(&taken), "{taken} of 40");
    assert_eq!(stable.sent("tools/call").len(), 40 - taken);
}

#[tokio::test]
async fn calls_go_where_the_fewest_are() {
    let servers = [
        McpServer::start(Era::Modern).await,
        McpServer::start(Era::Modern).await,
    ];
    let served = at(&servers.each_ref().map(|it| it.url.to_string()), None).await;
    let body = modern_body(1, "tools/call", json!({"name": "shop_hang"}));
    let hanging = tokio::spawn(served.modern_request("/mcp", &body).send());
    let hangs = |server: &McpServer| server.sent("tools/call").len() == 1;
    until("the call to hang", async || {
        servers.iter().any(|it| hangs(it))
    })
    .await;
    let busy = usize::from(hangs(&servers[1]));
    for _ in 0..5 {
        assert!(!failed(&call(&served, "shop_echo", json!({})).await));
    }
    assert!(hangs(&servers[busy]), "it was given more");
    assert_eq!(servers[1 - busy].sent("tools/call").len(), 5);
    hanging.abort();
}

#[tokio::test]
async fn what_is_slow_and_safe_goes_to_a_second_replica() {
    for reads in [true, false] {
        let (slow, quick) = (
            FaultyServer::start(Fault::Hanging).await,
            FaultyServer::start(Fault::Hanging).await,
        );
        quick.well.store(true, Ordering::SeqCst);
        slow.reads.store(reads, Ordering::SeqCst);
        quick.reads.store(reads, Ordering::SeqCst);
        let urls = [slow.url.to_string(), quick.url.to_string()];
        let served = at(&urls, Some("20ms")).await;
        let answered = async {
            for _ in 0..4 {
                assert!(!failed(&call(&served, "shop_t", json!({})).await));
            }
        };
        let answered = tokio::time::timeout(Duration::from_secs(2), answered).await;
        assert_eq!(answered.is_ok(), reads, "reads: {reads}");
        assert!(slow.calls.load(Ordering::SeqCst) > 0, "it was never asked");
    }
}

#[tokio::test]
async fn a_task_is_found_where_it_is() {
    let servers = [
        FaultyServer::start(Fault::Closed).await,
        FaultyServer::start(Fault::Closed).await,
        FaultyServer::start(Fault::Closed).await,
    ];
    servers[2].has_task.store(true, Ordering::SeqCst);
    servers[2].well.store(true, Ordering::SeqCst);
    // Made through another gateway: this one does not know where.
    let elsewhere = at(&[servers[2].url.to_string()], None).await;
    let task = call(&elsewhere, "shop_t", json!({})).await["result"]["taskId"].clone();
    let served = at(&servers.each_ref().map(|it| it.url.to_string()), None).await;
    for _ in 0..3 {
        let body = modern_body(1, "tasks/get", json!({"taskId": local(&task)}));
        let (_, found) = answer(served.modern_request("/mcp/shop", &body)).await;
        assert_eq!(found["result"]["status"], "working", "{found}");
    }
    servers[2].has_task.store(false, Ordering::SeqCst);
    let body = modern_body(1, "tasks/get", json!({"taskId": local(&task)}));
    let (_, lost) = answer(served.modern_request("/mcp/shop", &body)).await;
    assert_eq!(lost["error"]["message"], "no such task");
}
