//! Whether memory grows with the number of calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::calls::through;
use crate::load;
use crate::party::{Duties, Gateway, Party};

const SERVERS: usize = 50;
const CONNECTIONS: usize = 256;
const PARTS: usize = 10;

/// Makes so many calls with keys, a rate, metrics and the audit log on, and prints the memory at each
/// tenth of them.
pub async fn report(calls: usize) {
    let upstreams = Party::start(&["servers", "10"]);
    let gateway = Gateway::start(&upstreams, SERVERS, "modern", Duties::All).await;
    let script = through(&gateway, "modern", SERVERS);
    let mut clients = Vec::new();
    for number in 0..CONNECTIONS {
        clients.push(load::connect(&script, number).await);
    }
    println!("| calls over {CONNECTIONS} connections | memory |\n|--:|--:|");
    let begun = Instant::now();
    for part in 1..=PARTS {
        let left = Arc::new(AtomicUsize::new(calls / PARTS));
        let tasks: Vec<_> = clients
            .into_iter()
            .map(|(mut client, requests, mut next)| {
                let left = Arc::clone(&left);
                tokio::spawn(async move {
                    let one = |left: usize| left.checked_sub(1);
                    while left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one)
                        .is_ok()
                    {
                        client.exchange(&requests[next % requests.len()]).await;
                        let well = client.buffer.starts_with(b"HTTP/1.1 200");
                        assert!(well, "{}", load::text(&client));
                        next += 1;
                    }
                    (client, requests, next)
                })
            })
            .collect();
        clients = Vec::new();
        for task in tasks {
            clients.push(task.await.expect("a client does not fail"));
        }
        let memory = gateway.party.memory() / 1024.0;
        println!("| {} | {memory:.1} MiB |", calls / PARTS * part);
    }
    println!(
        "\n{:.0} calls a second\n",
        calls as f64 / begun.elapsed().as_secs_f64()
    );
}
