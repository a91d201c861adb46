//! `tools/call` of ten servers, beside the same through the proxy.

use std::net::SocketAddr;

use crate::load::{self, Request, Run, Script};
use crate::party::{Duties, Gateway, Party};
use crate::{Turns, median};

const SERVERS: usize = 10;
const ERAS: [(&str, &str); 2] = [("2026-07-28", "modern"), ("2025-11-25", "legacy")];

/// Measures both eras at 1, 32 and 256 connections, with nothing to do but routing, and with all.
pub async fn report(turns: Turns) {
    println!(
        "| era | connections | gateway | calls/s | processor time | p99 |\n|---|--:|---|--:|--:|--:|"
    );
    for (revision, era) in ERAS {
        let upstreams = Party::start(&["servers", "10"]);
        let proxy = Party::start(&["proxy", &upstreams.address.to_string()]);
        let routing = Gateway::start(&upstreams, SERVERS, era, Duties::Routing).await;
        let all = Gateway::start(&upstreams, SERVERS, era, Duties::All).await;
        let parties = [
            (&proxy, direct(proxy.address, era, SERVERS)),
            (&routing.party, through(&routing, era, SERVERS)),
            (&all.party, through(&all, era, SERVERS)),
        ];
        for connections in [1, 32, 256] {
            let mut costs = [(); 3].map(|()| Vec::new());
            // The first round warms up connections, caches and the allocator.
            for round in 0..=turns.rounds {
                for ((party, script), costs) in parties.iter().zip(&mut costs) {
                    let before = party.work();
                    let run = load::run(script, connections, turns.time).await;
                    if round > 0 {
                        costs.push(Cost::of(&run, party.work() - before));
                    }
                }
            }
            let [proxy, routing, all] = costs;
            for (name, costs) in [("routing", routing), ("all on", all)] {
                let ratio = |of: fn(&Cost) -> f64| {
                    let rounds = costs.iter().zip(&proxy);
                    let mut ratios: Vec<_> =
                        rounds.map(|(cost, proxy)| of(cost) / of(proxy)).collect();
                    median(&mut ratios)
                };
                // Processor time is counted in hundredths of a second: all rounds together.
                let work = |costs: &[Cost]| {
                    let (work, calls) = costs.iter().fold((0.0, 0.0), |(work, calls), cost| {
                        (work + cost.work, calls + cost.calls)
                    });
                    work / calls
                };
                println!(
                    "| {revision} | {connections} | {name} | {:.2} | {:.2} | {:.2} |",
                    ratio(|cost| cost.rate),
                    work(&costs) / work(&proxy),
                    ratio(|cost| cost.p99),
                );
            }
        }
    }
    println!();
}

/// What a round took.
struct Cost {
    rate: f64,
    p99: f64,
    /// In seconds.
    work: f64,
    calls: f64,
}

impl Cost {
    fn of(run: &Run, work: f64) -> Self {
        Self {
            rate: run.rate(),
            p99: run.p99(),
            work,
            calls: run.calls as f64,
        }
    }
}

/// Calls of so many servers through the proxy.
pub fn direct(proxy: SocketAddr, era: &str, servers: usize) -> Script {
    let requests =
        (0..servers).map(|server| call(&format!("/{era}/{server}/mcp"), "tool_7", era, ""));
    Script {
        server: proxy,
        opening: None,
        requests: requests.collect(),
    }
}

/// Calls of all servers of a gateway.
pub fn through(gateway: &Gateway, era: &str, servers: usize) -> Script {
    let tools = (0..servers).map(|server| format!("s{server}_tool_7"));
    let requests = tools.map(|tool| call("/mcp", &tool, era, &gateway.key));
    Script {
        server: gateway.party.address,
        opening: (era == "legacy").then(|| opening(&gateway.key)),
        requests: requests.collect(),
    }
}

pub fn call(path: &str, tool: &str, era: &str, headers: &str) -> Request {
    let arguments = r#"{"order":4711,"items":true,"currency":"EUR"}"#;
    if era == "legacy" {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        let headers = format!("mcp-protocol-version: 2025-11-25\r\n{headers}");
        return Request::post(path, &headers, body);
    }
    let params = format!(r#""name":"{tool}","arguments":{arguments},"#);
    modern(
        path,
        "tools/call",
        &params,
        &format!("mcp-name: {tool}\r\n{headers}"),
    )
}

/// A request of 2026-07-28.
pub fn modern(path: &str, method: &str, params: &str, headers: &str) -> Request {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let headers = format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{headers}");
    Request::post(path, &headers, body)
}

fn opening(key: &str) -> Request {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    Request::post("/mcp", key, body.to_owned())
}
