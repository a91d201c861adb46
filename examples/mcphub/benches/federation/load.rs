//! Clients that keep a server busy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::Client;

/// A request whose headers a client completes.
#[derive(Clone)]
pub struct Request {
    /// The head without its last, empty line.
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn post(path: &str, headers: &str, body: String) -> Self {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}"
        );
        Self { head, body }
    }

    pub fn bytes(&self, more: &str) -> Vec<u8> {
        format!("{}{more}\r\n{}", self.head, self.body).into_bytes()
    }
}

/// What clients ask, each on a connection of its own.
#[derive(Clone)]
pub struct Script {
    pub server: SocketAddr,
    /// Asked first; the session that it begins goes with all others.
    pub opening: Option<Request>,
    /// Asked in turns.
    pub requests: Arc<[Request]>,
}

/// How it went.
#[derive(Default)]
pub struct Run {
    pub calls: usize,
    /// In seconds.
    pub wall: f64,
    /// Of each call, in microseconds, in order.
    pub times: Vec<u32>,
}

impl Run {
    pub fn rate(&self) -> f64 {
        self.calls as f64 / self.wall
    }

    pub fn p99(&self) -> f64 {
        let at = self.times.len() * 99 / 100;
        self.times.get(at).copied().map_or(f64::NAN, f64::from)
    }
}

/// Keeps `connections` busy for so long.
pub async fn run(script: &Script, connections: usize, time: Duration) -> Run {
    let mut clients = Vec::new();
    for number in 0..connections {
        clients.push(connect(script, number).await);
    }
    let start = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|(mut client, requests, mut next)| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < time {
                    let begun = Instant::now();
                    client.exchange(&requests[next % requests.len()]).await;
                    times.push(begun.elapsed().as_micros() as u32);
                    assert!(
                        client.buffer.starts_with(b"HTTP/1.1 200"),
                        "{}",
                        text(&client)
                    );
                    next += 1;
                }
                times
            })
        })
        .collect();
    let mut run = Run::default();
    for task in tasks {
        run.times
            .extend(task.await.expect("a client does not fail"));
    }
    run.wall = start.elapsed().as_secs_f64();
    run.calls = run.times.len();
    run.times.sort_unstable();
    run
}

/// A client that has asked each request once, and been answered well; what it asks, and which next.
pub async fn connect(script: &Script, number: usize) -> (Client, Vec<Vec<u8>>, usize) {
    let mut client = Client::connect(script.server).await;
    let mut session = String::new();
    if let Some(opening) = &script.opening {
        client.exchange(&opening.bytes("")).await;
        let answer = text(&client);
        let line = answer
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("mcp-session-id:"));
        session = line.map(|line| format!("{line}\r\n")).unwrap_or_default();
    }
    let requests = script.requests.iter();
    let requests: Vec<_> = requests.map(|request| request.bytes(&session)).collect();
    let next = number % requests.len();
    client.exchange(&requests[next]).await;
    let answer = text(&client);
    let well = answer.starts_with("HTTP/1.1 200") && answer.contains(r#""result":"#);
    assert!(well && !answer.contains(r#""isError":true"#), "{answer}");
    (client, requests, next)
}

/// The last answer.
pub fn text(client: &Client) -> String {
    String::from_utf8_lossy(&client.buffer).into_owned()
}
