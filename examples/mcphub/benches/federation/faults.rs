//! How long calls of nine servers take while a tenth does something wrong, or clients do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::calls::{self, modern};
use crate::faulty::{CHILD_FAULTS, FAULTS};
use crate::load;
use crate::party::{self, Duties, Gateway, Party};
use crate::{Turns, median};

const WELL: usize = 9;
/// Connections that call the others, and how long each waits between two calls: the machine is not
/// busy, so that a slow answer is somebody's fault.
const CALLERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(10);
/// Clients that call the server that fails, and how long each waits for an answer.
const VICTIMS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(1);
/// Files that are left to all else; as many clients as there are files beyond are idle.
const FILES: usize = 500;
/// Its circuit stays closed, so that each call reaches it.
const CONFIG: &str = "[guard]\nfailures = 0\n";

/// What clients do, in the order of the table.
const CLIENTS: [&str; 3] = [
    "never read",
    "send a byte a second",
    "are there and say nothing",
];

/// Measures each fault beside calls that nothing disturbs, in turns.
pub async fn report(turns: Turns) {
    println!(
        "| the tenth server, or clients | calls of the others | p99 beside undisturbed |\n|---|--:|--:|"
    );
    let upstreams = Party::start(&["servers", "10"]);
    let well: String = (0..WELL)
        .map(|server| party::at(&upstreams, "modern", server))
        .collect();
    for fault in FAULTS {
        let faulty = Party::start(&["faulty", fault]);
        let config = format!("{CONFIG}{well}{}", party::at(&faulty, "modern", WELL));
        measure(&config, fault, fault, turns).await;
    }
    for fault in CHILD_FAULTS {
        let program = std::env::current_exe().expect("this program has a path");
        let command = format!(
            "[servers.s{WELL}]\ncommand = {program:?}\nargs = [{:?}, \"child\", {fault:?}]\n",
            party::MARK
        );
        measure(
            &format!("{CONFIG}{well}{command}"),
            fault,
            &format!("a program: {fault}"),
            turns,
        )
        .await;
    }
    for fault in CLIENTS {
        let config = format!("{CONFIG}{well}{}", party::at(&upstreams, "modern", WELL));
        measure(&config, fault, &format!("clients: {fault}"), turns).await;
    }
    println!();
}

async fn measure(config: &str, fault: &str, row: &str, turns: Turns) {
    let gateway = Gateway::with(config, WELL + 1, Duties::Routing).await;
    let others = calls::through(&gateway, "modern", WELL);
    let last = calls::through(&gateway, "modern", WELL + 1).requests[WELL].clone();
    let address = gateway.party.address;
    let time = turns.time * 2;
    let mut clients = Vec::new();
    for number in 0..CALLERS {
        clients.push(load::connect(&others, number).await);
    }
    let (mut ratios, mut number) = (Vec::new(), 0);
    // The first round warms up.
    for round in 0..=turns.rounds {
        let quiet = calm(&mut clients, time).await;
        let mut disturbing = JoinSet::new();
        let mut kept = Vec::new();
        match fault {
            "never read" => kept = deaf(address, 50).await,
            "send a byte a second" => {
                for _ in 0..100 {
                    disturbing.spawn(drip(address));
                }
            }
            "are there and say nothing" => kept = silent(address).await,
            _ => {
                for _ in 0..VICTIMS {
                    disturbing.spawn(call(address, last.bytes("")));
                }
            }
        }
        let busy = calm(&mut clients, time).await;
        disturbing.abort_all();
        drop(kept);
        if round > 0 {
            number += busy.len();
            ratios.push(p99(busy) / p99(quiet));
        }
    }
    println!("| {row} | {number} | {:.2} |", median(&mut ratios));
}

type Connected = (crate::client::Client, Vec<Vec<u8>>, usize);

/// The times of calls for so long, in microseconds.
async fn calm(clients: &mut Vec<Connected>, time: Duration) -> Vec<f64> {
    let begun = Instant::now();
    let tasks = std::mem::take(clients)
        .into_iter()
        .map(|(mut client, requests, mut next)| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < time {
                    let asked = Instant::now();
                    client.exchange(&requests[next % requests.len()]).await;
                    times.push(asked.elapsed().as_micros() as f64);
                    let well = client.buffer.starts_with(b"HTTP/1.1 200");
                    assert!(well, "{}", load::text(&client));
                    next += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                ((client, requests, next), times)
            })
        });
    let tasks: Vec<_> = tasks.collect();
    let mut all = Vec::new();
    for task in tasks {
        let (client, times) = task.await.expect("calls of others are answered well");
        clients.push(client);
        all.extend(times);
    }
    all
}

fn p99(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

/// Calls the server that fails, again and again, whatever comes.
async fn call(gateway: SocketAddr, request: Vec<u8>) {
    loop {
        let answer = async {
            let mut stream = TcpStream::connect(gateway).await?;
            stream.write_all(&request).await?;
            let mut some = [0; 512];
            tokio::io::AsyncReadExt::read(&mut stream, &mut some).await
        };
        // An error, or none in time: the next call says the same.
        let _ = tokio::time::timeout(PATIENCE, answer).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Clients that ask for more than fits the buffers of a connection, and read nothing of it.
async fn deaf(gateway: SocketAddr, number: usize) -> Vec<TcpStream> {
    let list = modern("/mcp", "tools/list", "", "").bytes("");
    let mut streams = Vec::new();
    for _ in 0..number {
        let mut stream = TcpStream::connect(gateway).await.expect("a gateway");
        // The gateway may stop reading, too.
        for _ in 0..200 {
            let sent = stream.write_all(&list);
            if tokio::time::timeout(PAUSE, sent).await.is_err() {
                break;
            }
        }
        streams.push(stream);
    }
    streams
}

async fn drip(gateway: SocketAddr) {
    let Ok(mut stream) = TcpStream::connect(gateway).await else {
        return;
    };
    for byte in b"POST /mcp HTTP/1.1\r\nhost: localhost\r\n" {
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// As many as the limit of open files leaves room for, 10,000 at most.
async fn silent(gateway: SocketAddr) -> Vec<TcpStream> {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let files = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    let number = files
        .map_or(FILES, |files| files.saturating_sub(FILES))
        .min(10_000);
    let mut streams = Vec::new();
    for _ in 0..number {
        streams.push(TcpStream::connect(gateway).await.expect("a gateway"));
    }
    streams
}
