//! Somebody is told of servers that fail, and when that is over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use futures::StreamExt;
use mcphub_core::event::{Alert, AlertState, Event};
use mcphub_gateway::{AlertSettings, Webhook};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::faulty_server::{Fault, FaultyServer};
use crate::support::{BOUND, Hub, builder, quick, serve_gateway, until};

/// What is posted, in its order.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (sender, posted) = mpsc::unbounded_channel();
    let take = move |body: String| {
        let taken = sender.send(serde_json::from_str(&body).unwrap());
        async move { taken.unwrap() }
    };
    let router = Router::new().route("/alerts", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, posted)
}

#[tokio::test]
async fn a_circuit_that_opens_is_told_once_and_so_is_its_end() {
    let (hub, server) = (
        Arc::new(Hub::default()),
        FaultyServer::start(Fault::Closed).await,
    );
    hub.attach("shop", &server.url);
    let shared = mcphub_store::memory::shared();
    let mut events = shared.events.subscribe();
    let (url, mut posted) = receiver().await;
    let mut settings = quick();
    settings.guard.failures = 2;
    (settings.guard.pause, settings.guard.max_pause) =
        (Duration::from_millis(10), Duration::from_millis(10));
    let mut alerts = AlertSettings::default();
    alerts.clear_after = Duration::ZERO;
    let gateway = builder(&hub, settings).shared(shared);
    let webhook = Webhook::new(url.parse().unwrap(), None).unwrap();
    let gateway = gateway.alerts(alerts, Some(webhook));
    let served = serve_gateway(hub, gateway.build().unwrap()).await;
    let call = async || {
        let params = json!({"name": "shop_t"});
        served.modern("tools/call", params).await.1["result"]["isError"] == true
    };
    assert!(call().await && call().await);
    let next = tokio::time::timeout(BOUND, posted.recv()).await;
    let begun = next.unwrap().unwrap();
    assert_eq!(
        (&begun["server"], &begun["alert"]),
        (&json!("shop"), &json!("circuit-open"))
    );
    assert_eq!(begun["state"], "firing");
    server.well.store(true, Ordering::SeqCst);
    until("the call to succeed", async || !call().await).await;
    let next = tokio::time::timeout(BOUND, posted.recv()).await;
    assert_eq!(next.unwrap().unwrap()["state"], "resolved");
    let mut states = Vec::new();
    while states.last() != Some(&AlertState::Resolved) {
        let event = tokio::time::timeout(BOUND, events.next()).await;
        if let Event::Alerted {
            server,
            alert,
            state,
        } = event.unwrap().unwrap().unwrap()
        {
            assert_eq!((server.as_str(), alert), ("shop", Alert::CircuitOpen));
            states.push(state);
        }
    }
    assert_eq!(states, [AlertState::Firing, AlertState::Resolved]);
    assert!(posted.try_recv().is_err(), "each is told once");
}
