//! A gateway on a loopback socket with servers that do as they are told.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::call::Arguments;
use mcphub_core::catalog::{
    Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream as Target,
};
use mcphub_core::connection::Connection;
use mcphub_core::deployment::Endpoint;
use mcphub_core::schema::Schema;
use mcphub_core::server::ServerName;
use mcphub_core::spec::{Dialect, Method};
use mcphub_core::tool::{ApiInfo, Tool, ToolName, ToolSet};
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::{
    CallResult, Connect, Connector, Down, Upstream, UpstreamSettings, UpstreamTool,
};
use mcphub_gateway::{Gateway, GatewayBuilder, GatewaySettings, Listener};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use url::Url;

/// No test waits longer for anything.
pub const BOUND: Duration = Duration::from_secs(10);

/// A server whose tools a test sets.
#[derive(Debug)]
pub struct Server {
    pub tools: Mutex<Vec<Value>>,
    /// How `tools` behaves.
    pub listing: Mutex<Listing>,
    pub listed: AtomicUsize,
    pub calls: Mutex<Vec<(String, String)>>,
    /// Calls that were given up before they ended.
    pub cancelled: AtomicUsize,
    changes: broadcast::Sender<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    Answers,
    Fails,
    Hangs,
}

impl Server {
    pub fn with(names: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            tools: Mutex::new(names.iter().map(|name| definition(name)).collect()),
            listing: Mutex::new(Listing::Answers),
            listed: AtomicUsize::new(0),
            calls: Mutex::default(),
            cancelled: AtomicUsize::new(0),
            changes: broadcast::Sender::new(16),
        })
    }

    /// Replaces the tools and says so.
    pub fn change(&self, names: &[&str]) {
        *self.tools.lock().unwrap() = names.iter().map(|name| definition(name)).collect();
        let _ = self.changes.send(());
    }
}

fn definition(name: &str) -> Value {
    json!({"name": name, "title": "name", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}})
}

struct CountCancelled<'a>(&'a AtomicUsize, bool);

impl Drop for CountCancelled<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(usize::from(!self.1), Ordering::SeqCst);
    }
}

#[async_trait]
impl Upstream for Server {
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        self.listed.fetch_add(1, Ordering::SeqCst);
        let listing = *self.listing.lock().unwrap();
        match listing {
            Listing::Answers => {}
            Listing::Fails => return Err(Error::new(ErrorKind::Unavailable, "no connection")),
            Listing::Hangs => std::future::pending().await,
        }
        let tools = self.tools.lock().unwrap();
        let tool = |tool: &Value| UpstreamTool {
            name: tool["name"].as_str().unwrap().to_owned(),
            definition: RawValue::from_string(tool.to_string()).unwrap(),
        };
        Ok(tools.iter().map(tool).collect())
    }

    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        self.calls
            .lock()
            .unwrap()
            .push((tool.to_owned(), arguments.text().get().to_owned()));
        let mut guard = CountCancelled(&self.cancelled, false);
        let result = match tool {
            "hang" => std::future::pending().await,
            "unreachable" => {
                Err(Error::new(ErrorKind::Unavailable, "no connection").with("host", "127.0.0.1:1"))
            }
            "bug" => Err(Error::internal("a secret detail")),
            "large" => {
                Ok(json!({"content": [{"type": "text", "text": "x".repeat(200_000)}]}).to_string())
            }
            "lines" => Ok("{\n\"content\":\r\n[]}".to_owned()),
            _ => Ok(
                json!({"content": [{"type": "text", "text": arguments.text().get()}]}).to_string(),
            ),
        };
        guard.1 = true;
        result.map(|text| RawValue::from_string(text).unwrap().into())
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        BroadcastStream::new(self.changes.subscribe())
            .map(|_| ())
            .boxed()
    }
}

/// A catalogue that a test edits, and the upstreams of its servers.
#[derive(Debug, Default)]
pub struct Hub {
    servers: Mutex<HashMap<String, (u64, Arc<Server>)>>,
    /// MCP servers that are really called.
    remote: Mutex<HashMap<String, (u64, Url)>>,
    /// MCP servers that are really called, at several addresses.
    fleets: Mutex<HashMap<String, (u64, Connection)>>,
    /// What was planned for every server.
    pub planned: Mutex<Vec<Tool>>,
    /// Servers that cannot be called.
    pub down: Mutex<Vec<String>>,
    version: AtomicU64,
    pub fails: std::sync::atomic::AtomicBool,
    pub connected: AtomicUsize,
}

impl Hub {
    /// Adds a server, or a new revision of it.
    pub fn register(&self, name: &str, server: &Arc<Server>) {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        self.servers
            .lock()
            .unwrap()
            .insert(name.into(), (version, Arc::clone(server)));
    }

    /// Adds an MCP server that is called over HTTP.
    pub fn attach(&self, name: &str, url: &Url) {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        self.remote
            .lock()
            .unwrap()
            .insert(name.into(), (version, url.clone()));
    }

    /// Adds an MCP server at several addresses.
    pub fn attach_all(&self, name: &str, connection: Connection) {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        let mut connected = self.fleets.lock().unwrap();
        connected.insert(name.into(), (version, connection));
    }

    /// Makes a new revision of a server that cannot be called.
    pub fn take_down(&self, name: &str, server: &Arc<Server>) {
        self.down.lock().unwrap().push(name.into());
        self.register(name, server);
    }

    /// How often a tool of a server was called.
    pub fn calls(&self, name: &str, tool: &str) -> usize {
        let servers = self.servers.lock().unwrap();
        let calls = servers[name].1.calls.lock().unwrap();
        calls.iter().filter(|(called, _)| called == tool).count()
    }

    pub fn remove(&self, name: &str) {
        self.servers.lock().unwrap().remove(name);
        self.remote.lock().unwrap().remove(name);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn failure(&self) -> Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            Err(Error::internal("the store is away"))
        } else {
            Ok(())
        }
    }
}

/// A tool as the planner makes it.
pub fn planned(name: &str) -> Tool {
    let binding = json!({"method": "GET", "path": "/", "accept": "*/*"});
    Tool {
        name: ToolName::new(name).unwrap(),
        title: None,
        description: "Planned.".into(),
        input: Schema::from_object(json!({"type": "object"}).as_object().unwrap().clone()),
        output: None,
        annotations: Method::Get.into(),
        tags: Vec::new(),
        binding: serde_json::from_value(binding).unwrap(),
    }
}

fn plan(title: &str, tools: Vec<Tool>) -> Arc<ToolSet> {
    let api = ApiInfo {
        title: title.into(),
        version: "1.0".into(),
        dialect: Dialect::default(),
        description: Some("Sells things.".into()),
    };
    Arc::new(ToolSet {
        api,
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools,
    })
}

#[async_trait]
impl CatalogSource for Hub {
    async fn version(&self) -> Result<CatalogVersion> {
        self.failure()?;
        Ok(CatalogVersion {
            registry: self.version.load(Ordering::SeqCst),
            deployments: 0,
        })
    }

    async fn catalog(&self) -> Result<Catalog> {
        let version = self.version().await?;
        let servers = self.servers.lock().unwrap();
        let server = |(name, (revision, _)): (&String, &(u64, Arc<Server>))| {
            Arc::new(CatalogServer {
                name: ServerName::new(name).unwrap(),
                revision: CatalogVersion {
                    registry: *revision,
                    deployments: 0,
                },
                tools: plan(
                    &format!("The {name} API"),
                    self.planned.lock().unwrap().clone(),
                ),
                upstream: if self.down.lock().unwrap().contains(name) {
                    Target::Down("its process ended with status 1".into())
                } else {
                    Target::Mcp(Endpoint {
                        url: "http://127.0.0.1:1/mcp".parse().unwrap(),
                        headers: Vec::new(),
                    })
                },
            })
        };
        let remote = self.remote.lock().unwrap();
        let remote = remote.iter().map(|(name, (revision, url))| {
            Arc::new(CatalogServer {
                name: ServerName::new(name).unwrap(),
                revision: CatalogVersion {
                    registry: *revision,
                    deployments: 0,
                },
                tools: plan(name, Vec::new()),
                upstream: Target::Mcp(Endpoint {
                    url: url.clone(),
                    headers: Vec::new(),
                }),
            })
        });
        let connected = self.fleets.lock().unwrap();
        let connected = connected.iter().map(|(name, (revision, connection))| {
            Arc::new(CatalogServer {
                name: ServerName::new(name).unwrap(),
                revision: CatalogVersion {
                    registry: *revision,
                    deployments: 0,
                },
                tools: plan(name, Vec::new()),
                upstream: Target::Connected {
                    connection: connection.clone(),
                    credentials: Default::default(),
                    listed: Default::default(),
                },
            })
        });
        let servers = servers.iter().map(server);
        Ok(Catalog {
            version,
            servers: servers.chain(remote).chain(connected).collect(),
            ..Catalog::default()
        })
    }
}

impl Connect for Hub {
    fn connect(&self, server: &CatalogServer) -> Arc<dyn Upstream> {
        self.connected.fetch_add(1, Ordering::SeqCst);
        if let Target::Down(reason) = &server.upstream {
            return Arc::new(Down::new(Arc::clone(&server.tools), reason.clone()));
        }
        let name = server.name.as_str();
        if self.remote.lock().unwrap().contains_key(name)
            || self.fleets.lock().unwrap().contains_key(name)
        {
            let mut settings = UpstreamSettings::default();
            settings.mcp.initial_backoff = Duration::from_millis(10);
            settings.checks.interval = Duration::from_millis(50);
            return Connector::new(settings).unwrap().connect(server);
        }
        let servers = self.servers.lock().unwrap();
        Arc::clone(&servers[server.name.as_str()].1) as Arc<dyn Upstream>
    }
}

/// A gateway that serves and keeps itself current until it is dropped.
pub struct Served {
    pub gateway: Gateway,
    pub hub: Arc<Hub>,
    pub address: SocketAddr,
    pub client: reqwest::Client,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|task| task.abort());
    }
}

pub fn quick() -> GatewaySettings {
    let mut settings = GatewaySettings::default();
    settings.poll_interval = Duration::from_millis(20);
    settings.settle = Duration::from_millis(200);
    settings
}

pub fn gateway(hub: &Arc<Hub>, settings: GatewaySettings) -> Gateway {
    builder(hub, settings).build().unwrap()
}

pub fn builder(hub: &Arc<Hub>, settings: GatewaySettings) -> GatewayBuilder {
    // The second installation in one process fails, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let source = Arc::clone(hub) as Arc<dyn CatalogSource>;
    let connector = Arc::clone(hub) as Arc<dyn Connect>;
    Gateway::builder(source)
        .connector(connector)
        .settings(settings)
}

/// Serves these servers.
pub async fn serve(servers: &[(&str, &Arc<Server>)], settings: GatewaySettings) -> Served {
    let hub = Arc::new(Hub::default());
    for (name, server) in servers {
        hub.register(name, server);
    }
    serve_hub(hub, settings).await
}

pub async fn serve_hub(hub: Arc<Hub>, settings: GatewaySettings) -> Served {
    let gateway = gateway(&hub, settings);
    serve_gateway(hub, gateway).await
}

pub async fn serve_gateway(hub: Arc<Hub>, gateway: Gateway) -> Served {
    gateway.refresh().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = {
        let gateway = gateway.clone();
        let listener = Listener::new(listener);
        tokio::spawn(async move { gateway.serve(listener, std::future::pending()).await })
    };
    let running = {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.run().await })
    };
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Served {
        gateway,
        hub,
        address,
        client,
        tasks: vec![serving, running],
    }
}

/// A shop with a tool that answers its arguments.
pub async fn shop() -> (Served, Arc<Server>) {
    let server = Server::with(&["echo", "hang", "unreachable", "bug", "large", "lines"]);
    (serve(&[("shop", &server)], quick()).await, server)
}

impl Served {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client
            .post(self.url(path))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
    }

    /// A request of the modern era with the headers that belong to it.
    pub fn modern_request(&self, path: &str, body: &Value) -> RequestBuilder {
        let mut request = self
            .post(path)
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", body["method"].as_str().unwrap());
        let params = &body["params"];
        let name = match body["method"].as_str().unwrap() {
            "tools/call" | "prompts/get" => params["name"].as_str(),
            "resources/read" => params["uri"].as_str(),
            method if method.starts_with("tasks/") => params["taskId"].as_str(),
            _ => None,
        };
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
        request.body(body.to_string())
    }

    pub async fn modern(&self, method: &str, params: Value) -> (StatusCode, Value) {
        answer(self.modern_request("/mcp", &modern_body(1, method, params))).await
    }

    /// A request of the old era without a session.
    pub async fn old(&self, method: &str, params: Value) -> (StatusCode, Value) {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        answer(self.post("/mcp").body(body.to_string())).await
    }

    /// Begins a session and gives its id.
    pub async fn initialize(&self, version: &str) -> (String, Value) {
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let response = self
            .post("/mcp")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        let session = response.headers()["mcp-session-id"]
            .to_str()
            .unwrap()
            .to_owned();
        (session, response.json().await.unwrap())
    }

    pub async fn names(&self) -> Vec<String> {
        names(&self.modern("tools/list", json!({})).await.1)
    }
}

pub fn modern_body(id: i64, method: &str, mut params: Value) -> Value {
    if params.get("_meta").is_none() {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        });
    }
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = tokio::time::timeout(BOUND, request.send())
        .await
        .unwrap()
        .unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub fn names(answer: &Value) -> Vec<String> {
    let tools = answer["result"]["tools"]
        .as_array()
        .unwrap_or_else(|| panic!("no tools in {answer}"));
    tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen within {BOUND:?}"));
}

/// The events of an open stream.
pub struct Events(BoxStream<'static, String>);

impl Events {
    pub async fn open(request: RequestBuilder) -> Self {
        let response = tokio::time::timeout(BOUND, request.send())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(response.status(), 200);
        assert!(
            response.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/event-stream")
        );
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let bytes = response
            .bytes_stream()
            .map(|chunk| chunk.map_err(std::io::Error::other));
        let lines = stream::unfold(
            (bytes.boxed(), Vec::new()),
            |(mut bytes, mut buffer): (BoxStream<'static, _>, Vec<u8>)| async {
                loop {
                    if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                        let line = String::from_utf8(buffer.drain(..=end).collect()).unwrap();
                        return Some((line.trim_end().to_owned(), (bytes, buffer)));
                    }
                    buffer.extend_from_slice(&bytes.next().await?.ok()?);
                }
            },
        );
        Self(lines.boxed())
    }

    /// The next message; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Value> {
        let next = async {
            while let Some(line) = self.0.next().await {
                if let Some(data) = line.strip_prefix("data:") {
                    return Some(serde_json::from_str(data.trim()).unwrap());
                }
            }
            None
        };
        tokio::time::timeout(BOUND, next)
            .await
            .expect("an event within the bound")
    }

    /// The next line, whatever it is.
    pub async fn line(&mut self) -> Option<String> {
        tokio::time::timeout(BOUND, self.0.next())
            .await
            .expect("a line within the bound")
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.0.next())
            .await
            .is_err()
    }
}
