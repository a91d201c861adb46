//! What many servers cost: the start, and each call.

use std::time::{Duration, Instant};

use crate::calls::through;
use crate::client::Client;
use crate::load;
use crate::party::{Duties, Gateway, Party};
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

/// Processor time of a call by the number of servers.
pub async fn report(turns: Turns, numbers: Vec<usize>) {
    println!("| servers | memory | processor time of a call, first row = 1 |\n|--:|--:|--:|");
    let mut first = None;
    for servers in numbers {
        let upstreams = Party::start(&["servers", "10"]);
        let gateway = Gateway::start(&upstreams, servers, "modern", Duties::Routing).await;
        let script = through(&gateway, "modern", servers);
        load::run(&script, 32, turns.time).await;
        let (mut calls, before) = (0, gateway.party.work());
        for _ in 0..turns.rounds {
            calls += load::run(&script, 32, turns.time).await.calls;
        }
        let each = (gateway.party.work() - before) / calls as f64;
        let ratio = each / *first.get_or_insert(each);
        let memory = gateway.party.memory() / 1024.0;
        println!("| {servers} | {memory:.1} MiB | {ratio:.2} |");
    }
    println!();
}
