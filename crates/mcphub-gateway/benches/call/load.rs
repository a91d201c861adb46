//! The client: raw sockets that send the same bytes again and again, so that what is measured is
//! the server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::time::ClockId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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

struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server)
            .await
            .expect("the server listens");
        stream.set_nodelay(true).expect("a socket option");
        Self {
            stream,
            buffer: Vec::with_capacity(8192),
        }
    }

    /// Sends a request and reads its answer into the buffer.
    async fn exchange(&mut self, request: &[u8]) {
        self.stream
            .write_all(request)
            .await
            .expect("the server reads");
        self.buffer.clear();
        while message_end(&self.buffer).is_none() {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .expect("the server answers");
            assert!(read > 0, "the server closed the connection");
        }
    }
}

/// Where the first HTTP message ends, if it is there whole: after `content-length` bytes of body,
/// or after the last chunk.
pub fn message_end(buffer: &[u8]) -> Option<usize> {
    let head = find(buffer, b"\r\n\r\n")? + 4;
    let lines = buffer[..head].split(|byte| *byte == b'\n');
    let mut length = 0;
    for line in lines {
        if let Some(value) = value_of(line, b"content-length:") {
            length = value.parse().ok()?;
        } else if value_of(line, b"transfer-encoding:").is_some() {
            return buffer.ends_with(b"0\r\n\r\n").then_some(buffer.len());
        }
    }
    (buffer.len() >= head + length).then_some(head + length)
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let known = line.get(..name.len())?;
    let value = known
        .eq_ignore_ascii_case(name)
        .then(|| &line[name.len()..])?;
    std::str::from_utf8(value).ok().map(str::trim)
}

fn find(buffer: &[u8], what: &[u8]) -> Option<usize> {
    buffer.windows(what.len()).position(|window| window == what)
}
