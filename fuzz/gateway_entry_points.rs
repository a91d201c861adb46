//! What clients and MCP servers send to the gateway, read as the gateway reads it: nothing may panic
//! or hang, and what is promised of the answer holds. The fuzz targets call these functions, and so
//! does a test with a fixed start.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::routing::post;
use futures::stream::{self, BoxStream};
use mcphub_core::Result;
use mcphub_core::call::Arguments;
use mcphub_core::catalog::{
    Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream as Target,
};
use mcphub_core::deployment::Endpoint;
use mcphub_core::server::ServerName;
use mcphub_core::spec::Dialect;
use mcphub_core::tool::{ApiInfo, ToolSet};
use mcphub_gateway::Gateway;
use mcphub_gateway::federation::{Kind, Listing, Member, Scope, Snapshot};
use mcphub_gateway::upstream::streamable_http::{McpClient, McpHttp, McpSettings};
use mcphub_gateway::upstream::{CallResult, Connect, Upstream, UpstreamTool};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// Nothing takes longer, on a busy machine either.
const BOUND: Duration = Duration::from_secs(20);
/// The longest body of an answer that is looked at.
const MAX_ANSWER: usize = 1 << 20;
/// What must not be seen in an error.
const SECRET: &str = "s3cret-t1cket";
/// The most tools of one list.
const MAX_TOOLS: usize = 200;

/// Any bytes as a request to the endpoint: a line with method and path, lines of headers, an empty
/// one, the body.
///
/// The answer is never a fault of the gateway's own. One in JSON is a message, or one for each of a
/// batch, and a tool was called with what the body says, byte for byte.
pub fn message(data: &[u8]) {
    let _ = answer(data);
}

/// The same, and the answer where it is JSON.
pub fn answer(data: &[u8]) -> Option<Value> {
    let end = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&data[..end], data.get(end + 2..).unwrap_or_default()),
        None => (&b""[..], data),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let (method, path) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .unwrap_or(("POST", "/mcp"));
    let (Ok(method), Ok(path)) = (method.parse::<Method>(), path.parse::<Uri>()) else {
        return None;
    };
    if !path.path().starts_with("/mcp") {
        return None;
    }
    let mut request = Request::new(Body::from(body.to_vec()));
    *request.method_mut() = method;
    *request.uri_mut() = path;
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let gateway = gateway();
    runtime().block_on(async {
        let answer = within(gateway.router().oneshot(request))
            .await
            .unwrap_or_else(|never| match never {});
        let status = answer.status();
        assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{status}");
        let kind = answer.headers().get(header::CONTENT_TYPE);
        if kind.is_none_or(|kind| kind != "application/json") || status != StatusCode::OK {
            // A stream of events stays open.
            return None;
        }
        let bytes = within(axum::body::to_bytes(answer.into_body(), MAX_ANSWER)).await;
        let bytes = bytes.unwrap_or_else(|error| panic!("{error}"));
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}"));
        let messages = value
            .as_array()
            .map_or(std::slice::from_ref(&value), Vec::as_slice);
        for message in messages {
            assert_eq!(message.get("jsonrpc"), Some(&json!("2.0")), "{message}");
            assert!(
                message.get("result").is_some() != message.get("error").is_some(),
                "{message}"
            );
            echoed(message, body);
        }
        Some(value)
    })
}

/// The shop answers with what it was called with.
fn echoed(message: &Value, body: &[u8]) {
    let text = message
        .pointer("/result/content/0/text")
        .and_then(Value::as_str);
    if let Some(arguments) = text.filter(|_| message.pointer("/result/echo").is_some()) {
        let found = body
            .windows(arguments.len().max(1))
            .any(|part| part == arguments.as_bytes());
        assert!(found || arguments == "{}", "{arguments} was not sent");
    }
}

/// Lines as the names of tools, of two servers, with an empty line between them. In each view every
/// tool has one legal name of its own, which leads back to it.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (first, second) = text.split_once("\n\n").unwrap_or((&text, ""));
    let api = ApiInfo {
        title: "Fuzz".to_owned(),
        version: "1".to_owned(),
        dialect: Dialect::default(),
        description: Some(text.chars().take(200).collect()),
    };
    let upstream: Arc<dyn Upstream> = Arc::new(Shop);
    let server = |name: &str, lines: &str| -> Option<(ServerName, Arc<Listing>)> {
        let tools = lines.lines().take(MAX_TOOLS).filter_map(tool);
        let listing = Arc::new(Listing::new(tools.collect()));
        Some((ServerName::new(name).ok()?, listing))
    };
    let servers: Vec<_> = [server("a", first), server("a-b", second)]
        .into_iter()
        .flatten()
        .collect();
    let members: Vec<_> = servers
        .iter()
        .map(|(server, listing)| Member {
            server,
            api: &api,
            plan: None,
            listing,
            upstream: &upstream,
        })
        .collect();
    let snapshot = Snapshot::new(&members, 7);
    let scopes = servers.iter().map(|(name, _)| Scope::Server(name.clone()));
    for scope in scopes.chain([Scope::All]) {
        let max = if scope == Scope::All { 64 } else { 128 };
        let tools: usize = members
            .iter()
            .filter(|member| scope == Scope::All || scope == Scope::Server(member.server.clone()))
            .map(|member| member.listing.len())
            .sum();
        let Some(view) = snapshot.view(&scope) else {
            panic!("{scope:?} is not there");
        };
        let mut seen = HashMap::new();
        let mut cursor: Option<String> = None;
        while let Some(page) = view.page(Kind::Tools, cursor.as_deref()) {
            let page: Value =
                serde_json::from_slice(&page.result).unwrap_or_else(|error| panic!("{error}"));
            for tool in page["tools"].as_array().into_iter().flatten() {
                let name = tool["name"].as_str().unwrap_or_default();
                let legal = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
                assert!(
                    (1..=max).contains(&name.len()) && name.bytes().all(legal),
                    "{name:?}"
                );
                let Ok(route) = view.route(name) else {
                    panic!("{name} leads nowhere");
                };
                let target = (route.server.clone(), route.own.clone());
                assert_eq!(seen.insert(target, name.to_owned()), None, "{name}");
            }
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), tools, "every tool is listed once");
    }
}

fn tool(name: &str) -> Option<UpstreamTool> {
    let definition = json!({"name": name, "inputSchema": {"type": "object"}});
    let definition = RawValue::from_string(definition.to_string()).ok()?;
    Some(UpstreamTool {
        name: name.to_owned(),
        definition,
    })
}

/// Any bytes as the stream of events with which an MCP server answers a call, whose id is 2. It ends
/// with a result in JSON, or with an error that shows no secret.
pub fn events(data: &[u8]) {
    let _ = result(data);
}

/// The same, and the result where there is one.
pub fn result(data: &[u8]) -> Option<String> {
    static SENT: OnceLock<(McpClient, url::Url, Arc<Mutex<Bytes>>)> = OnceLock::new();
    // One at a time: there is one server.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (client, url, body) = SENT.get_or_init(|| {
        let body = Arc::new(Mutex::new(Bytes::new()));
        let url = runtime().block_on(serve(Arc::clone(&body)));
        (
            McpClient::new(settings()).unwrap_or_else(|error| panic!("{error}")),
            url,
            body,
        )
    });
    *body.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Bytes::copy_from_slice(data);
    let upstream = McpHttp::new(
        Endpoint {
            url: url.clone(),
            headers: vec![("X-Ticket".to_owned(), SECRET.into())],
        },
        client.clone(),
    );
    let arguments = Arguments::parse("{}").ok()?;
    match runtime().block_on(within(upstream.call("t", &arguments))) {
        Ok(result) => {
            let read = serde_json::from_slice::<Box<RawValue>>(result.as_bytes());
            assert!(read.is_ok(), "{read:?}");
            read.ok().map(|raw| raw.get().to_owned())
        }
        Err(error) => {
            assert!(!error.report().to_string().contains(SECRET));
            None
        }
    }
}

fn settings() -> McpSettings {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut settings = McpSettings::default();
    settings.call_timeout = Duration::from_secs(5);
    settings.max_message = 256 * 1024;
    settings
}

/// An MCP server on a loopback socket that answers calls with this body.
async fn serve(body: Arc<Mutex<Bytes>>) -> url::Url {
    let answer = move |request: Bytes| async move {
        let request: Value = serde_json::from_slice(&request).unwrap_or_default();
        if request["method"] == "server/discover" {
            let result = json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}});
            let message = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
            return (
                [(header::CONTENT_TYPE, "application/json")],
                Bytes::from(message.to_string()),
            );
        }
        let body = body
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone();
        ([(header::CONTENT_TYPE, "text/event-stream")], body)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.unwrap_or_else(|error| panic!("{error}"));
    let address = listener
        .local_addr()
        .unwrap_or_else(|error| panic!("{error}"));
    let router = Router::new().route("/mcp", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/mcp")
        .parse()
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, work)
        .await
        .unwrap_or_else(|_| panic!("no end within {BOUND:?}"))
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap_or_else(|error| panic!("{error}")))
}

/// A gateway over two shops.
fn gateway() -> &'static Gateway {
    static GATEWAY: OnceLock<Gateway> = OnceLock::new();
    GATEWAY.get_or_init(|| {
        let inside = runtime().enter();
        let gateway = Gateway::builder(Arc::new(Shop))
            .connector(Arc::new(Shop))
            .build();
        let gateway = gateway.unwrap_or_else(|error| panic!("{error}"));
        drop(inside);
        let read = runtime().block_on(gateway.refresh());
        read.unwrap_or_else(|error| panic!("{error}"));
        gateway
    })
}

/// A catalogue of two servers, and each of them: a tool answers with its arguments.
#[derive(Debug)]
struct Shop;

#[async_trait]
impl CatalogSource for Shop {
    async fn version(&self) -> Result<CatalogVersion> {
        Ok(CatalogVersion::default())
    }

    async fn catalog(&self) -> Result<Catalog> {
        let tools = Arc::new(ToolSet {
            api: ApiInfo {
                title: "Shop".to_owned(),
                version: "1".to_owned(),
                dialect: Dialect::default(),
                description: None,
            },
            servers: Vec::new(),
            security_schemes: Default::default(),
            tools: Vec::new(),
        });
        let unused = Endpoint {
            url: "http://127.0.0.1:9/mcp"
                .parse()
                .unwrap_or_else(|error| panic!("{error}")),
            headers: Vec::new(),
        };
        let server = |name: &str| -> Result<Arc<CatalogServer>> {
            Ok(Arc::new(CatalogServer {
                name: ServerName::new(name)?,
                revision: CatalogVersion::default(),
                tools: Arc::clone(&tools),
                upstream: Target::Mcp(unused.clone()),
            }))
        };
        Ok(Catalog {
            version: CatalogVersion::default(),
            servers: vec![server("depot")?, server("shop")?],
            ..Catalog::default()
        })
    }
}

impl Connect for Shop {
    fn connect(&self, _server: &CatalogServer) -> Arc<dyn Upstream> {
        Arc::new(Shop)
    }
}

#[async_trait]
impl Upstream for Shop {
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        Ok(["buy", "look at"].into_iter().filter_map(tool).collect())
    }

    async fn call(&self, _tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        let text = arguments.text().get();
        let result = json!({"content": [{"type": "text", "text": text}], "echo": true});
        let result = RawValue::from_string(result.to_string());
        Ok(result.unwrap_or_else(|error| panic!("{error}")).into())
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        Box::pin(stream::pending())
    }
}
