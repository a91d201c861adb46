//! The load: so many connections that send the same bytes again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::time::ClockId;

use crate::client::Client;

/// What one call took, in seconds.
pub struct Cost {
    /// The time that all connections took together, by the number of calls.
    pub wall: f64,
    /// The processor time of this process: the server that is measured, the API and the client.
    pub cpu: f64,
}

/// Keeps `connections` busy for so long.
pub async fn run(server: SocketAddr, request: &[u8], connections: usize, time: Duration) -> Cost {
    let request: Arc<[u8]> = request.into();
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::connect(server).await);
    }
    let (start, work) = (Instant::now(), processor_time());
    let tasks = clients.into_iter().map(|mut client| {
        let request = Arc::clone(&request);
        tokio::spawn(async move {
            let mut calls = 0_u64;
            while start.elapsed() < time {
                client.exchange(&request).await;
                calls += 1;
            }
            calls
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await.expect("a client does not fail");
    }
    let (wall, cpu) = (start.elapsed(), processor_time() - work);
    Cost {
        wall: wall.as_secs_f64() / calls as f64,
        cpu: cpu.as_secs_f64() / calls as f64,
    }
}

fn processor_time() -> Duration {
    ClockId::CLOCK_PROCESS_CPUTIME_ID
        .now()
        .expect("the clock of the process")
        .into()
}

/// Checks that the server does what is measured.
pub async fn answers(server: SocketAddr, request: &[u8], expected: &str) {
    let mut client = Client::connect(server).await;
    client.exchange(request).await;
    let answer = String::from_utf8_lossy(&client.buffer);
    let ok = answer.starts_with("HTTP/1.1 200") && !answer.contains(r#""isError":true"#);
    assert!(ok && answer.contains(expected), "{answer}");
}
