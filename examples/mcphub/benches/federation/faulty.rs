//! A server that meets its clients well and does something wrong on each call of a tool.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::{client, servers};

const EVENT: &str = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const JSON: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";

/// What a server over HTTP does on a call, in the order of the table.
pub const FAULTS: [&str; 9] = [
    "nobody listens any more",
    "breaks off in the headers",
    "breaks off in the body",
    "breaks off in a stream of events",
    "says nothing",
    "sends a byte now and then",
    "answers no HTTP",
    "answers without an end",
    "sends an event without an end",
];

/// What a program does.
pub const CHILD_FAULTS: [&str; 2] = ["ends", "fills its standard error"];

pub async fn serve(fault: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (fault, gone): (Arc<str>, _) = (fault.into(), Arc::new(Notify::new()));
    tokio::spawn(async move {
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { return };
                    tokio::spawn(connection(stream, Arc::clone(&fault), Arc::clone(&gone)));
                }
                () = gone.notified() => return,
            }
        }
    });
    address
}

async fn connection(mut stream: TcpStream, fault: Arc<str>, gone: Arc<Notify>) {
    let tools = servers::list(10);
    let mut buffer = Vec::with_capacity(4096);
    loop {
        while let Some(end) = client::message_end(&buffer) {
            let called = buffer[..end]
                .windows(12)
                .any(|window| window == b"\"tools/call\"");
            if called {
                // Whoever asked may have gone.
                let _ = fail(&mut stream, &fault, &gone).await;
                return;
            }
            let reply = servers::answer(&buffer[..end], &tools);
            buffer.drain(..end);
            if stream.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
        if !stream
            .read_buf(&mut buffer)
            .await
            .is_ok_and(|read| read > 0)
        {
            return;
        }
    }
}

/// The connection is closed afterwards.
async fn fail(stream: &mut TcpStream, fault: &str, gone: &Notify) -> std::io::Result<()> {
    match fault {
        "nobody listens any more" => {
            gone.notify_one();
            Ok(())
        }
        "breaks off in the headers" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-ty").await,
        "breaks off in the body" => {
            let begun = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{\"jsonrpc\":";
            stream.write_all(begun).await
        }
        "breaks off in a stream of events" => {
            stream.write_all(STREAM.as_bytes()).await?;
            chunk(stream, EVENT).await?;
            chunk(stream, &EVENT[..40]).await
        }
        "says nothing" => std::future::pending().await,
        "sends a byte now and then" => {
            stream.write_all(JSON.as_bytes()).await?;
            loop {
                chunk(stream, " ").await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        "answers no HTTP" => stream.write_all(&[0xff; 4096]).await,
        "answers without an end" => {
            stream.write_all(JSON.as_bytes()).await?;
            endless(stream, "{\"jsonrpc\":\"2.0\",\"result\":\"").await
        }
        "sends an event without an end" => {
            stream.write_all(STREAM.as_bytes()).await?;
            endless(stream, "data: ").await
        }
        _ => panic!("no fault: {fault}"),
    }
}

async fn endless(stream: &mut TcpStream, begin: &str) -> std::io::Result<()> {
    chunk(stream, begin).await?;
    let more = "x".repeat(64 * 1024);
    loop {
        chunk(stream, &more).await?;
    }
}

async fn chunk(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    stream.write_all(chunk.as_bytes()).await
}

/// A program that speaks MCP of 2025-11-25 over its standard input and output until it is called.
pub fn child(fault: &str) -> ! {
    let tools = servers::list(10);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line.contains("\"tools/call\"") {
            if fault == CHILD_FAULTS[0] {
                std::process::exit(1);
            }
            loop {
                if writeln!(std::io::stderr(), "{}", "x".repeat(4096)).is_err() {
                    std::process::exit(1);
                }
            }
        }
        let request = format!("POST /legacy/0/mcp HTTP/1.1\r\n\r\n{line}");
        let answer = servers::answer(request.as_bytes(), &tools);
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        if !body.is_empty() && writeln!(std::io::stdout(), "{body}").is_err() {
            std::process::exit(1);
        }
    }
    std::process::exit(0)
}
