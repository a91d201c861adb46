//! What many servers cost: the start, and each call.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::calls::{direct, modern, through};
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

/// What calls and changes cost by the number of servers. What the machine makes of so many is seen in
/// the same calls through the plain proxy, and while the servers of another gateway change.
pub async fn report(turns: Turns, numbers: Vec<usize>, tools: usize) {
    println!(
        "| servers with {tools} tools | memory | processor time of a call, first row = 1 | without lists | of the proxy | a change is served after | first list after it, more than others | p99 of calls while servers change | while those of another gateway do |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    let mut first = None;
    for servers in numbers {
        let upstreams = Party::start(&["servers", &tools.to_string()]);
        let proxy = Party::start(&["proxy", &upstreams.address.to_string()]);
        let (gateway, seed) = Gateway::seeded(&upstreams, servers).await;
        let calls = through(&gateway, "modern", servers);
        let costs = Costs::of(turns, &gateway, &calls, &proxy, servers).await;
        let [ours, alone, theirs] = costs.beside(first.get_or_insert(costs));
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
        let (other, seed) = Gateway::seeded(&upstreams, servers).await;
        let mut changes = Changes {
            gateway: &other,
            seed,
            made: 0,
            ..changes
        };
        let elsewhere = changes.under(turns, &calls).await;
        println!(
            "| {servers} | {memory:.1} MiB | {ours:.2} | {alone:.2} | {theirs:.2} | {:.1} ms | {:.1} ms | {p99:.2} | {elsewhere:.2} |",
            served * 1e3,
            list * 1e3
        );
    }
    println!();
}

/// The processor time of a call, in seconds.
#[derive(Clone, Copy)]
struct Costs {
    ours: f64,
    /// The same without what the gateway does while nobody calls: it asks servers what they list.
    alone: f64,
    /// Of the proxy, over as many places.
    theirs: f64,
}

impl Costs {
    async fn of(
        turns: Turns,
        gateway: &Gateway,
        calls: &Script,
        proxy: &Party,
        servers: usize,
    ) -> Self {
        let direct = direct(proxy.address, "modern", servers);
        // The first turn warms up connections, caches and the allocator.
        for script in [calls, &direct] {
            load::run(script, 32, turns.time).await;
        }
        let (idle, before) = (turns.time * 8, gateway.party.work());
        tokio::time::sleep(idle).await;
        let idle = (gateway.party.work() - before) / idle.as_secs_f64();
        let [mut ours, mut theirs] = [(0.0, 0.0, 0.0); 2];
        for _ in 0..turns.rounds {
            for (party, script, (work, number, wall)) in [
                (&gateway.party, calls, &mut ours),
                (proxy, &direct, &mut theirs),
            ] {
                let before = party.work();
                let run = load::run(script, 32, turns.time).await;
                *work += party.work() - before;
                *number += run.calls as f64;
                *wall += run.wall;
            }
        }
        let (work, number, wall) = ours;
        Self {
            ours: work / number,
            alone: (work - idle * wall) / number,
            theirs: theirs.0 / theirs.1,
        }
    }

    /// As multiples of others.
    fn beside(&self, other: &Self) -> [f64; 3] {
        [
            self.ours / other.ours,
            self.alone / other.alone,
            self.theirs / other.theirs,
        ]
    }
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

    /// The 99th percentile of the time of calls, of this gateway or of another, while one server after
    /// another changes, beside that of the same calls while none does.
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
