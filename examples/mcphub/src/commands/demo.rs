//! `mcphub demo`: the whole chain on a small API, step by step.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcphub_core::platform::{PublishRequest, Published};
use mcphub_core::secret::Credentials;
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::Document;
use mcphub_core::tool::ToolChoices;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::up;
use crate::cli::Demo;
use crate::config::Config;
use crate::demo_api::{self, DemoApi};
use crate::host::{self, Host};
use crate::{client_config, output, serving};

const PROTOCOL: &str = "2026-07-28";

pub async fn run(args: Demo) -> Result<ExitCode> {
    let begun = Instant::now();
    let api = start_api().await?;
    output::line(&format!("1. A bookshop API listens on {api}"))?;

    let config = Config {
        store: host::IN_MEMORY.to_owned(),
        ..Config::default()
    };
    let host = Host::open(&config).await?;
    let published = up::publish(&host, vec![request(api.clone())?]).await?;
    let Some(published) = published.first() else {
        return Err(Error::internal("the demo was not published"));
    };
    output::line(&format!(
        "2. Its OpenAPI document became {} MCP tools:",
        published.tools.tools.len()
    ))?;
    output::line(&tool_lines(published))?;

    let listener = listener(args.listen).await?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let gateway = host.gateway()?;
    gateway.refresh().await?;
    output::line(&format!(
        "3. The gateway serves them at http://{address}/mcp"
    ))?;

    let show = async {
        let answer = first_call(address).await?;
        output::line(
            "4. A client called bookshop_listBooks with {\"genre\": [\"novel\", \"poetry\"], \"limit\": 2}",
        )?;
        output::line(&format!("   and was answered: {answer}"))?;
        output::line(&format!(
            "\nReady after {:.1} s. Connect a client:",
            begun.elapsed().as_secs_f64()
        ))?;
        let url = format!("http://{address}/mcp");
        output::line("\nClaude Code, Cursor and other clients that read mcpServers:")?;
        output::json(&client_config::http("bookshop", &url))?;
        output::line("\nVS Code (.vscode/mcp.json):")?;
        output::json(&client_config::vs_code("bookshop", &url))?;
        output::line("\nYour own API: mcphub up YOUR-OPENAPI.yaml. Ctrl-C stops the demo.")?;
        std::future::pending::<Result<()>>().await
    };
    let stop = serving::stop_signal();
    tokio::select! {
        failed = show => failed?,
        served = serving::serve_http(&host, &gateway, listener, stop) => served?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn start_api() -> Result<Url> {
    let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let address = listener
        .local_addr()
        .map_err(|error| no_port().caused_by(error))?;
    tokio::spawn(DemoApi::new().serve(listener));
    Url::parse(&format!("http://{address}")).map_err(|error| no_port().caused_by(error))
}

/// The wanted port, or any other when it is in use: a demo should not fail on that.
async fn listener(wanted: SocketAddr) -> Result<TcpListener> {
    if let Some(listener) = serving::bind(wanted).await? {
        return Ok(listener);
    }
    output::say(&format!(
        "port {} is in use; another one is taken",
        wanted.port()
    ));
    listen(SocketAddr::new(wanted.ip(), 0)).await
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    serving::bind(address).await?.ok_or_else(no_port)
}

fn no_port() -> Error {
    Error::new(ErrorKind::Unavailable, "no free port on loopback")
}

fn request(base_url: Url) -> Result<PublishRequest> {
    Ok(PublishRequest {
        document: Document {
            source: "bookshop.yaml".to_owned(),
            bytes: Bytes::from_static(demo_api::DOCUMENT.as_bytes()),
        },
        name: Some(ServerName::new("bookshop")?),
        serve: Serve::Native,
        base_url: Some(base_url),
        credentials: Credentials {
            schemes: [("shopKey".to_owned(), demo_api::API_KEY.into())].into(),
            ..Credentials::default()
        },
        choices: ToolChoices::default(),
    })
}

fn tool_lines(published: &Published) -> String {
    let lines = published.tools.tools.iter().map(|tool| {
        let (method, path) = (tool.binding.method.as_str(), &tool.binding.path);
        format!("     {:<16} {method:<6} {path}", tool.name.as_str())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A call as any client of the 2026-07-28 revision makes it.
async fn first_call(address: SocketAddr) -> Result<String> {
    let failed = |error: reqwest::Error| {
        Error::new(ErrorKind::Unavailable, "the demo's own call failed").caused_by(error)
    };
    let body = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "bookshop_listBooks",
            "arguments": { "genre": ["novel", "poetry"], "limit": 2 },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": PROTOCOL,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "mcphub-demo", "version": env!("CARGO_PKG_VERSION") },
            },
        },
    });
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(failed)?;
    let response = client
        .post(format!("http://{address}/mcp"))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", PROTOCOL)
        .header("mcp-method", "tools/call")
        .header("mcp-name", "bookshop_listBooks")
        .body(body.to_string())
        .send()
        .await
        .map_err(failed)?;
    let bytes = response.bytes().await.map_err(failed)?;
    let answer: Value = serde_json::from_slice(&bytes).map_err(|error| {
        Error::internal("the demo's own call was answered with no JSON").caused_by(error)
    })?;
    let text = answer["result"]["content"][0]["text"].as_str();
    text.map(str::to_owned)
        .ok_or_else(|| Error::internal("the demo's own call failed").with("answer", answer))
}
