//! How much memory the gateway has: idle, under load, and for each connection that does nothing.

use std::time::Duration;

use crate::calls::{modern, through};
use crate::client::Client;
use crate::load::{self, Script};
use crate::party::{Duties, Gateway, Party};

const SERVERS: usize = 50;
/// Below the limit of 1,024 open files that a process has without asking for more.
const IDLE: usize = 400;
const LOAD: Duration = Duration::from_secs(10);
/// How long memory may take to be given back, or threads to come to rest.
const REST: Duration = Duration::from_secs(2);

pub async fn report() {
    let upstreams = Party::start(&["servers", "10"]);
    let gateway = Gateway::start(&upstreams, SERVERS, "modern", Duties::Routing).await;
    let party = &gateway.party;
    let script = through(&gateway, "modern", SERVERS);
    tokio::time::sleep(REST).await;
    println!("| memory | |\n|---|--:|");
    let mib = |kib: f64| format!("{:.1} MiB", kib / 1024.0);
    println!(
        "| idle, {SERVERS} servers with 10 tools | {} |",
        mib(party.memory())
    );

    // What is warm is not counted for what comes next.
    load::run(&script, 32, REST).await;
    tokio::time::sleep(REST).await;
    let (kept, each) = held(party, &script).await;
    println!("| each idle connection of {IDLE} | {each:.1} KiB |");
    drop(kept);

    let subscribe = Script {
        requests: [modern(
            "/mcp",
            "subscriptions/listen",
            r#""notifications":{"toolsListChanged":true},"#,
            "",
        )]
        .into(),
        ..script.clone()
    };
    let (kept, each) = subscribed(party, &subscribe).await;
    println!("| each subscription of {IDLE} | {each:.1} KiB |");
    drop(kept);

    let first = load::run(&script, 256, LOAD).await;
    let after = party.memory();
    let second = load::run(&script, 256, LOAD).await;
    println!(
        "| after {:.1} million calls over 256 connections | {} |",
        first.calls as f64 / 1e6,
        mib(after)
    );
    println!(
        "| after {:.1} million more | {} |\n",
        second.calls as f64 / 1e6,
        mib(party.memory())
    );
}

/// Connections that have made one call, and what each costs in KiB.
async fn held(party: &Party, script: &Script) -> (Vec<Client>, f64) {
    let before = party.memory();
    let mut clients = Vec::new();
    for number in 0..IDLE {
        clients.push(load::connect(script, number).await.0);
    }
    tokio::time::sleep(REST).await;
    let each = (party.memory() - before) / IDLE as f64;
    (clients, each)
}

async fn subscribed(party: &Party, script: &Script) -> (Vec<Client>, f64) {
    let before = party.memory();
    let request = script.requests[0].bytes("");
    let mut clients = Vec::new();
    for _ in 0..IDLE {
        let mut client = Client::connect(script.server).await;
        client.begin(&request).await;
        assert!(
            client.buffer.starts_with(b"HTTP/1.1 200"),
            "{}",
            load::text(&client)
        );
        clients.push(client);
    }
    tokio::time::sleep(REST).await;
    let each = (party.memory() - before) / IDLE as f64;
    (clients, each)
}
