//! An MCP server that lists its one tool as it should, and answers calls in the wrong way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its connection is closed.
    Closed,
    /// Nothing.
    Hanging,
    /// A byte now and then.
    Dripping,
    /// What is no JSON-RPC.
    Garbage,
}

#[derive(Debug)]
pub struct FaultyServer {
    pub url: Url,
    pub calls: AtomicUsize,
    /// Calls are answered as they should.
    pub well: AtomicBool,
    fault: Fault,
}

impl FaultyServer {
    pub async fn start(fault: Fault) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let server = Arc::new(Self {
            url: url.parse().unwrap(),
            calls: AtomicUsize::new(0),
            well: AtomicBool::new(false),
            fault,
        });
        let serving = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&serving);
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request = read(&mut stream).await?;
        let result = match request["method"].as_str()? {
            "server/discover" => {
                json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
            }
            "tools/list" => json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}),
            "tools/call" => {
                self.calls.fetch_add(1, Ordering::SeqCst);
                if !self.well.load(Ordering::SeqCst) {
                    return self.fail(stream).await;
                }
                json!({"content": [{"type": "text", "text": "well"}]})
            }
            _ => return None,
        };
        let body = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
        stream.write_all(answer(&body).as_bytes()).await.ok()
    }

    async fn fail(&self, mut stream: TcpStream) -> Option<()> {
        match self.fault {
            Fault::Closed => {}
            Fault::Hanging => std::future::pending().await,
            Fault::Garbage => stream.write_all(answer("nonsense").as_bytes()).await.ok()?,
            Fault::Dripping => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
                stream.write_all(head.as_bytes()).await.ok()?;
                loop {
                    stream.write_all(b" ").await.ok()?;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        Some(())
    }
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The JSON of one request.
async fn read(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return Some(body);
        }
    }
}
