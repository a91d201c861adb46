//! What is started beside the gateway: MCP servers that answer at next to no cost, and the proxy.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{client, faulty, official, proxy};

const ANSWER: &str = r#"{"content":[{"type":"text","text":"Order 4711: 3 items, 129.50 EUR, paid, to be sent on Tuesday from the warehouse in Utrecht."}]"#;

/// Runs one of them for as long as this process.
pub async fn run(args: &[String]) {
    let address = match args {
        [name, tools] if name == "servers" => {
            let tools = tools.parse().expect("a number of tools");
            mcp(tools).await
        }
        [name] if name == "api" => official::api().await,
        [name, api] if name == "official" => official::serve(api).await,
        [name, fault] if name == "faulty" => faulty::serve(fault).await,
        [name, fault] if name == "child" => faulty::child(fault),
        [name, to] if name == "proxy" => proxy::start(to.parse().expect("an address")).await,
        _ => panic!("no party: {args:?}"),
    };
    println!("{address}");
    std::future::pending().await
}

/// As many MCP servers as there are paths, with so many tools each: those below `/legacy/` speak
/// 2025-11-25, the others 2026-07-28.
async fn mcp(tools: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let tools: Arc<str> = list(tools).into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&tools)));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, tools: Arc<str>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(4096);
    loop {
        while let Some(end) = client::message_end(&buffer) {
            let reply = answer(&buffer[..end], &tools);
            buffer.drain(..end);
            stream.write_all(reply.as_bytes()).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
}

pub fn answer(request: &[u8], tools: &str) -> String {
    let text = str::from_utf8(request).expect("a request is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head has an end");
    if !head.starts_with("POST ") {
        return "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n".to_owned();
    }
    let legacy = head.starts_with("POST /legacy/");
    // The proxy sends bodies in chunks.
    let json = body.find('{').zip(body.rfind('}'));
    let (from, to) = json.expect("a body has a message");
    let message: Message<'_> = serde_json::from_str(&body[from..=to]).expect("a message");
    let Some(id) = message.id else {
        return "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned();
    };
    let complete = if legacy {
        ""
    } else {
        r#","resultType":"complete""#
    };
    let outcome = match &*message.method {
        "server/discover" if !legacy => format!(
            r#""result":{{"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}}{complete}}}"#
        ),
        "initialize" if legacy => r#""result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#.to_owned(),
        "ping" => r#""result":{}"#.to_owned(),
        "tools/list" => format!(
            r#""result":{{"tools":[{}]{complete}}}"#,
            tools.replace("Look up", &format!("Look up {}", turn(head)))
        ),
        "tools/call" => format!(r#""result":{ANSWER}{complete}}}"#),
        _ => r#""error":{"code":-32601,"message":"Method not found"}"#.to_owned(),
    };
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#);
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// The number of the place that a server was moved to, in `/modern/7/3/mcp`; zero in one without.
fn turn(head: &str) -> &str {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let mut segments = path.split('/').rev();
    segments
        .nth(1)
        .filter(|_| path.matches('/').count() == 4)
        .unwrap_or("0")
}

/// Definitions of tools, of some 500 bytes each.
pub fn list(tools: usize) -> String {
    let mut list = String::new();
    for number in 0..tools {
        let comma = if number > 0 { "," } else { "" };
        write!(list, r#"{comma}{{"name":"tool_{number}","title":"Look up an order","description":"Gives an order with its items, what they cost, whether it is paid, and when it is sent. The number is that on the invoice.","inputSchema":{{"type":"object","properties":{{"order":{{"type":"integer","description":"The number of the order"}},"items":{{"type":"boolean","description":"Whether each item is told","default":true}},"currency":{{"type":"string","enum":["EUR","USD","GBP"]}}}},"required":["order"]}},"annotations":{{"readOnlyHint":true}}}}"#).expect("a text takes what is written");
    }
    list
}
