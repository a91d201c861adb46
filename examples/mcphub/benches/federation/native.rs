//! Calls that the gateway makes of an API itself, beside an MCP server for the same API behind the
//! proxy.

use serde_json::json;
use tempfile::TempDir;

use crate::calls::call;
use crate::load::{self, Request, Script};
use crate::party::{self, Party};
use crate::{Turns, median};

/// Whether the server asks the API, as the gateway does, or has what the API answers.
const SERVERS: [&str; 2] = ["asks the API", "has the answer itself"];

/// Measures 1, 32 and 256 connections.
pub async fn report(turns: Turns) {
    println!("| a server that | connections | calls/s | processor time |\n|---|--:|--:|--:|");
    let api = Party::start(&["api"]);
    let (gateway, _folder) = gateway(&api);
    for what in SERVERS {
        let asks = what == SERVERS[0];
        let to = if asks {
            api.address.to_string()
        } else {
            String::new()
        };
        let server = Party::start(&["official", &to]);
        let proxy = Party::start(&["proxy", &server.address.to_string()]);
        // What the server has in itself, the API does for the gateway.
        let ours: Vec<&Party> = if asks {
            vec![&gateway]
        } else {
            vec![&gateway, &api]
        };
        let theirs = vec![&proxy, &server];
        let scripts = [
            (ours, script(&gateway, "orders_getOrder")),
            (theirs, script(&proxy, "getOrder")),
        ];
        for connections in [1, 32, 256] {
            let mut costs = [(); 2].map(|()| Cost::default());
            // The first round warms up connections, caches and the allocator.
            for round in 0..=turns.rounds {
                for ((parties, script), cost) in scripts.iter().zip(&mut costs) {
                    let work = || parties.iter().map(|party| party.work()).sum::<f64>();
                    let before = work();
                    let run = load::run(script, connections, turns.time).await;
                    if round > 0 {
                        cost.rates.push(run.rate());
                        cost.work += work() - before;
                        cost.calls += run.calls as f64;
                    }
                }
            }
            let [ours, theirs] = costs;
            let rounds = ours.rates.iter().zip(&theirs.rates);
            let mut ratios: Vec<_> = rounds.map(|(ours, theirs)| ours / theirs).collect();
            println!(
                "| {what} | {connections} | {:.2} | {:.2} |",
                median(&mut ratios),
                (ours.work / ours.calls) / (theirs.work / theirs.calls),
            );
        }
    }
    println!();
}

/// What all rounds took.
#[derive(Default)]
struct Cost {
    rates: Vec<f64>,
    /// In seconds.
    work: f64,
    calls: f64,
}

fn script(party: &Party, tool: &str) -> Script {
    let requests: [Request; 1] = [call("/mcp", tool, "modern", "")];
    Script {
        server: party.address,
        opening: None,
        requests: requests.into(),
    }
}

/// `mcphub up` with the API, and the folder of its store.
fn gateway(api: &Party) -> (Party, TempDir) {
    let folder = party::folder();
    let parameter = |name: &str, place: &str, schema: serde_json::Value| json!({"name": name, "in": place, "required": place == "path", "schema": schema});
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Orders", "version": "1"},
        "servers": [{"url": format!("http://{}", api.address)}],
        "paths": {"/orders/{order}": {"get": {
            "operationId": "getOrder",
            "description": "Gives an order with its items, what they cost, whether it is paid, and when it is sent.",
            "parameters": [
                parameter("order", "path", json!({"type": "integer"})),
                parameter("items", "query", json!({"type": "boolean"})),
                parameter("currency", "query", json!({"type": "string", "enum": ["EUR", "USD", "GBP"]})),
            ],
            "responses": {"200": {"description": "The order", "content": {"application/json": {}}}},
        }}},
    });
    std::fs::write(folder.path().join("orders.json"), document.to_string()).expect("a file");
    (party::up(&folder, "orders.json"), folder)
}
