//! What many servers cost: the start, and each call.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::calls::{modern, through};
use crate::client::Client;
use crate::load::{self, Script};
use crate::party::{Duties, Gateway, Party};
use crate::seed::Seed;
use crate::{Turns, median};

const PATIENCE: Duration = Duration::from_secs(60);

/// From the start of the process to the first call that is answered, with 50 servers of 100 tools.
pub async fn start(turns: Turns) {
    let upstreams = Party::start(&["servers", "100"]);
    let mut gateway = Gateway::start(&upstreams, 50, "modern", Duties::Routing).await;
    let mut times = Vec::new();
    for _ in 0..turns.rounds {
        let begun = Instant::now();
        gateway.again();
        let script = through(&gateway, "modern", 50);
        let request = script.requests[49].bytes("");
        loop {
            if tokio::net::TcpStream::connect(script.server).await.is_ok() {
                let mut client = Client::connect(script.server).await;
                client.exchange(&request).await;
                if load::text(&client).contains(r#""content":"#) {
                    break;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "no call was answered");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        times.push(begun.elapsed().as_secs_f64());
    }
    println!(
        "start to first call, 50 servers with 100 tools: {:.0} ms\n",
        median(&mut times) * 1e3
    );
}

/// What calls and changes cost by the number of servers.
pub async fn report(turns: Turns, numbers: Vec<usize>, tools: usize) {
    println!(
        "| servers with {tools} tools | memory | processor time of a call, first row = 1 | a change is served after | first list after it, more than others | p99 of calls while servers change |\n|--:|--:|--:|--:|--:|--:|"
    );
    let mut first = None;
    for servers in numbers {
        let upstreams = Party::start(&["servers", &tools.to_string()]);
        let (gateway, seed) = Gateway::seeded(&upstreams, servers).await;
        let calls = through(&gateway, "modern", servers);
        load::run(&calls, 32, turns.time).await;
        let (mut number, before) = (0, gateway.party.work());
        for _ in 0..turns.rounds {
            number += load::run(&calls, 32, turns.time).await.calls;
        }
        let each = (gateway.party.work() - before) / number as f64;
        let ratio = each / *first.get_or_insert(each);
        let memory = gateway.party.memory() / 1024.0;
        let mut changes = Changes {
            gateway: &gateway,
            seed,
            upstreams: upstreams.address,
            servers,
            made: 0,
        };
        let (served, list) = changes.alone(turns).await;
        let p99 = changes.under(turns, &calls).await;
        println!(
            "| {servers} | {memory:.1} MiB | {ratio:.2} | {:.1} ms | {:.1} ms | {p99:.2} |",
            served * 1e3,
            list * 1e3
        );
    }
    println!();
}

/// Changes of one server each.
struct Changes<'a> {
    gateway: &'a Gateway,
    seed: Seed,
    upstreams: SocketAddr,
    servers: usize,
    made: usize,
}

impl Changes<'_> {
    /// Changes a server, and waits until that is served.
    async fn next(&mut self) {
        let before = self.gateway.count("mcphub_catalogs_total").await;
        self.made += 1;
        // One that is far from that before it.
        let server = self.made * 7_919 % self.servers;
        self.seed.save(server, self.upstreams, self.made).await;
        let begun = Instant::now();
        while self.gateway.count("mcphub_catalogs_total").await == before {
            assert!(begun.elapsed() < PATIENCE, "a change is not served");
            // Metrics of ten thousand servers are a megabyte: asking more often would be what is measured.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How long it takes from when a gateway sees that something changed until that is served, and how
    /// much longer the first list takes then than the next, in seconds.
    async fn alone(&mut self, turns: Turns) -> (f64, f64) {
        let list = Script {
            server: self.gateway.party.address,
            opening: None,
            requests: [modern("/mcp", "tools/list", "", "")].into(),
        };
        let (mut client, requests, _) = load::connect(&list, 0).await;
        let (mut served, mut more) = (Vec::new(), Vec::new());
        for _ in 0..turns.rounds {
            let before = self
                .gateway
                .count("mcphub_catalog_reading_seconds_total")
                .await;
            self.next().await;
            let after = self
                .gateway
                .count("mcphub_catalog_reading_seconds_total")
                .await;
            served.push(after - before);
            let mut times = [0.0; 4];
            for time in &mut times {
                let begun = Instant::now();
                client.exchange(&requests[0]).await;
                *time = begun.elapsed().as_secs_f64();
            }
            let [first, others @ ..] = &mut times;
            more.push(*first - median(others));
        }
        (median(&mut served), median(&mut more))
    }

    /// The 99th percentile of the time of calls while one server after another changes, beside that of
    /// the same calls while none does.
    async fn under(&mut self, turns: Turns, calls: &Script) -> f64 {
        // As long as it takes for several changes to be noticed.
        let time = turns.time * 4;
        let mut ratios = Vec::new();
        for _ in 0..turns.rounds {
            let quiet = load::run(calls, 32, time).await.p99();
            let mut running = std::pin::pin!(load::run(calls, 32, time));
            let busy = loop {
                tokio::select! {
                    run = &mut running => break run.p99(),
                    () = self.next() => {}
                }
            };
            ratios.push(busy / quiet);
        }
        median(&mut ratios)
    }
}
