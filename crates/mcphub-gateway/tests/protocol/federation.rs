//! Many servers, some of them slow, dead, changing or gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    Events, Hub, Listing, Server, modern_body, planned, quick, serve, serve_hub, until,
};

async fn health(hub: &crate::support::Served) -> Value {
    hub.client
        .get(hub.url("/healthz"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_server_that_hangs_does_not_hold_up_the_others() {
    let (good, slow) = (Server::with(&["a"]), Server::with(&["b"]));
    *slow.listing.lock().unwrap() = Listing::Hangs;
    let began = Instant::now();
    let hub = serve(&[("good", &good), ("slow", &slow)], quick()).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "refresh waited for the server that hangs"
    );
    assert_eq!(hub.names().await, ["good_a"]);
    let expected = json!([
        {"name": "good", "state": "ready", "tools": 1},
        {"name": "slow", "state": "listing", "tools": 0},
    ]);
    assert_eq!(health(&hub).await["servers"], expected);
}

#[tokio::test]
async fn planned_tools_are_listed_until_the_server_answers() {
    let server = Server::with(&["actual"]);
    *server.listing.lock().unwrap() = Listing::Fails;
    let hub = Arc::new(Hub::default());
    hub.planned.lock().unwrap().push(planned("planned"));
    hub.register("shop", &server);
    let hub = serve_hub(hub, quick()).await;
    assert_eq!(hub.names().await, ["shop_planned"]);
    *server.listing.lock().unwrap() = Listing::Answers;
    until("the server's own list", async || {
        hub.names().await == ["shop_actual"]
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_down_keeps_its_tools_and_says_why_when_called() {
    let server = Server::with(&["echo"]);
    let hub = Arc::new(Hub::default());
    hub.planned.lock().unwrap().push(planned("echo"));
    hub.register("shop", &server);
    let hub = serve_hub(hub, quick()).await;
    let (_, listed) = hub.modern("tools/list", json!({})).await;
    hub.hub.take_down("shop", &server);
    until("the server to be down", async || {
        health(&hub).await["servers"][0] == json!({"name": "shop", "state": "down", "tools": 1})
    })
    .await;
    assert_eq!(hub.modern("tools/list", json!({})).await.1, listed);
    let (status, body) = hub.modern("tools/call", json!({"name": "shop_echo"})).await;
    assert_eq!(
        (status.as_u16(), &body["result"]["isError"]),
        (200, &json!(true))
    );
    let text = body["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("its process ended with status 1"), "{text}");
}

#[tokio::test]
async fn a_server_that_fails_keeps_its_last_list_and_heals() {
    let server = Server::with(&["a", "b"]);
    let mut settings = quick();
    settings.list_interval = Duration::from_millis(20);
    let hub = serve(&[("shop", &server)], settings).await;
    assert_eq!(hub.names().await, ["shop_a", "shop_b"]);
    *server.listing.lock().unwrap() = Listing::Fails;
    until("the failure to be seen", async || {
        health(&hub).await["servers"][0]["state"] == "unreachable"
    })
    .await;
    assert_eq!(health(&hub).await["status"], "degraded");
    assert_eq!(hub.names().await, ["shop_a", "shop_b"]);
    *server.tools.lock().unwrap() = Server::with(&["c"]).tools.lock().unwrap().clone();
    *server.listing.lock().unwrap() = Listing::Answers;
    until("the new list", async || hub.names().await == ["shop_c"]).await;
    assert_eq!(health(&hub).await["status"], "ok");
}

#[tokio::test]
async fn a_server_whose_list_takes_too_long_is_marked() {
    let server = Server::with(&["a"]);
    *server.listing.lock().unwrap() = Listing::Hangs;
    let mut settings = quick();
    settings.list_timeout = Duration::from_millis(30);
    settings.list_interval = Duration::from_millis(30);
    let hub = serve(&[("shop", &server)], settings).await;
    until("the time-out", async || {
        health(&hub).await["servers"][0]["state"] == "unreachable"
    })
    .await;
    *server.listing.lock().unwrap() = Listing::Answers;
    until("the list", async || hub.names().await == ["shop_a"]).await;
}

#[tokio::test]
async fn changes_of_the_catalogue_are_served_and_told() {
    let (one, two) = (Server::with(&["a"]), Server::with(&["b"]));
    let hub = serve(&[("one", &one)], quick()).await;
    let body = modern_body(
        1,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let mut events = Events::open(hub.modern_request("/mcp", &body)).await;
    events.next().await.unwrap();
    hub.hub.register("two", &two);
    assert_eq!(
        events.next().await.unwrap()["method"],
        "notifications/tools/list_changed"
    );
    until("the new server", async || {
        hub.names().await == ["one_a", "two_b"]
    })
    .await;
    hub.hub.remove("one");
    until("the server to go", async || hub.names().await == ["two_b"]).await;
}

#[tokio::test]
async fn a_stream_of_a_server_that_goes_ends() {
    let server = Server::with(&["a"]);
    let hub = serve(&[("shop", &server)], quick()).await;
    let body = modern_body(
        1,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let mut events = Events::open(hub.modern_request("/mcp/shop", &body)).await;
    events.next().await.unwrap();
    hub.hub.remove("shop");
    assert_eq!(
        events.next().await.unwrap()["method"],
        "notifications/cancelled"
    );
    assert_eq!(events.next().await.unwrap()["id"], 1);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_change_elsewhere_is_not_told() {
    let (one, two) = (Server::with(&["a"]), Server::with(&["b"]));
    let hub = serve(&[("one", &one), ("two", &two)], quick()).await;
    let body = modern_body(
        1,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let mut events = Events::open(hub.modern_request("/mcp/one", &body)).await;
    events.next().await.unwrap();
    events.line().await.unwrap();
    two.change(&["c"]);
    until("the change", async || {
        hub.names().await == ["one_a", "two_c"]
    })
    .await;
    assert!(events.is_silent().await);
}

#[tokio::test]
async fn servers_that_did_not_change_keep_their_connection() {
    let (one, two) = (Server::with(&["a"]), Server::with(&["b"]));
    let hub = serve(&[("one", &one)], quick()).await;
    assert_eq!(hub.hub.connected.load(Ordering::SeqCst), 1);
    hub.hub.register("two", &two);
    until("the new server", async || hub.names().await.len() == 2).await;
    assert_eq!(
        (
            hub.hub.connected.load(Ordering::SeqCst),
            one.listed.load(Ordering::SeqCst)
        ),
        (2, 1)
    );
    hub.hub.register("one", &one);
    until("the new revision", async || {
        hub.hub.connected.load(Ordering::SeqCst) == 3
    })
    .await;
}

#[tokio::test]
async fn a_catalogue_that_fails_leaves_what_is_served() {
    let server = Server::with(&["a"]);
    let hub = serve(&[("shop", &server)], quick()).await;
    hub.hub.fails.store(true, Ordering::SeqCst);
    assert!(hub.gateway.refresh().await.is_err());
    assert_eq!(hub.names().await, ["shop_a"]);
    hub.hub.register("two", &Server::with(&["b"]));
    hub.hub.fails.store(false, Ordering::SeqCst);
    until("the catalogue to be read again", async || {
        hub.names().await.len() == 2
    })
    .await;
}

#[tokio::test]
async fn long_names_are_cut_and_still_reach_their_tools() {
    let long = ["x".repeat(70), "x".repeat(71)];
    let server = Server::with(&[&long[0], &long[1]]);
    let hub = serve(&[("shop", &server)], quick()).await;
    let names = hub.names().await;
    assert!(
        names[0] != names[1] && names.iter().all(|name| name.len() == 64),
        "{names:?}"
    );
    for (public, own) in names.iter().zip(&long) {
        assert_eq!(
            hub.modern("tools/call", json!({"name": public})).await.0,
            200
        );
        assert_eq!(server.calls.lock().unwrap().last().unwrap().0, *own);
    }
}

#[tokio::test]
async fn an_empty_hub_is_served_too() {
    let hub = serve_hub(Arc::new(Hub::default()), quick()).await;
    assert_eq!(hub.names().await, Vec::<String>::new());
    let version = json!({"registry": 0, "deployments": 0});
    let expected = json!({"status": "ok", "catalog": "current", "version": version, "servers": []});
    assert_eq!(health(&hub).await, expected);
}

#[tokio::test]
async fn what_the_gateway_started_ends_with_it() {
    let server = Server::with(&["a"]);
    let mut settings = quick();
    settings.list_interval = Duration::from_millis(5);
    let hub = serve(&[("shop", &server)], settings).await;
    let weak = Arc::downgrade(&server);
    until("lists in a row", async || {
        server.listed.load(Ordering::SeqCst) > 3
    })
    .await;
    drop((hub, server));
    until("the last task to end", async || weak.strong_count() == 0).await;
}
