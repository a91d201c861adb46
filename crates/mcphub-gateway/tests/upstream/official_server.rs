//! Upstreams built with the official SDK, in both eras.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use mcphub_core::ErrorKind;
use mcphub_core::call::Arguments;
use mcphub_core::deployment::Endpoint;
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::streamable_http::{McpClient, McpHttp, McpSettings};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter,
    Tool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, Peer, RoleServer, ServerHandler};
use serde_json::json;
use tokio::sync::broadcast;
use url::Url;

use crate::bookshop;

const LEGACY: &[ProtocolVersion] = &[
    ProtocolVersion::V_2025_03_26,
    ProtocolVersion::V_2025_06_18,
    ProtocolVersion::V_2025_11_25,
];
const MODERN: &[ProtocolVersion] = &[ProtocolVersion::V_2026_07_28];

/// A server with two pages of tools that repeats what it is told.
#[derive(Clone)]
struct Echo {
    versions: &'static [ProtocolVersion],
    peers: Arc<Mutex<Vec<Peer<RoleServer>>>>,
    changed: broadcast::Sender<()>,
    listeners: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

impl Echo {
    /// Waits until a client listens, and announces a change to it.
    async fn announce(&self) {
        for _ in 0..500 {
            let peers = self.peers.lock().unwrap().clone();
            if self.listeners.load(Ordering::SeqCst) > 0 {
                self.changed.send(()).unwrap();
                return;
            }
            for peer in peers {
                if peer.notify_tool_list_changed().await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody listens");
    }
}

impl ServerHandler for Echo {
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(self.versions)
    }

    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_tool_list_changed()
                .build(),
        )
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        self.peers.lock().unwrap().push(context.peer);
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({"type": "object"}).as_object().unwrap().clone();
        let tool = |name: &'static str| Tool::new(name, "Repeats.\nAll of it.", schema.clone());
        let mut page = ListToolsResult::default();
        match request.and_then(|request| request.cursor) {
            None => {
                page.tools = vec![tool("echo"), tool("fail")];
                page.next_cursor = Some("2".into());
            }
            Some(_) => page.tools = vec![tool("last")],
        }
        Ok(page)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match &*request.name {
            "echo" => {
                let text = serde_json::to_string(&request.arguments).unwrap();
                Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
            }
            "fail" => Ok(CallToolResult::error(vec![ContentBlock::text("it failed")]).into()),
            _ => Err(ErrorData::invalid_params("no such tool", None)),
        }
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changed = self.changed.subscribe();
        self.listeners.fetch_add(1, Ordering::SeqCst);
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                Ok(()) = changed.recv() => context.sink().notify_tool_list_changed().await.unwrap(),
            }
        }
    }
}

struct Server {
    echo: Echo,
    service: StreamableHttpService<Echo, LocalSessionManager>,
}

impl Server {
    fn new(
        versions: &'static [ProtocolVersion],
        change: impl FnOnce(StreamableHttpServerConfig) -> StreamableHttpServerConfig,
    ) -> Self {
        let echo = Echo {
            versions,
            peers: Arc::default(),
            changed: broadcast::channel(4).0,
            listeners: Arc::default(),
            calls: Arc::default(),
        };
        let handler = echo.clone();
        let config = change(StreamableHttpServerConfig::default());
        let service =
            StreamableHttpService::new(move || Ok(handler.clone()), Arc::default(), config);
        Self { echo, service }
    }

    /// Serves until the guard is dropped; on the same port if one is given.
    async fn serve(&self, port: u16) -> (Url, Running) {
        let running = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let router = axum::Router::new().nest_service("/mcp", self.service.clone());
        let listener = running
            .spawn(async move {
                let mut attempt = 0;
                loop {
                    // The port is free once the last server's runtime has ended.
                    match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
                        Ok(listener) => break listener,
                        Err(error) if attempt == 100 => panic!("{error}"),
                        Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                    attempt += 1;
                }
            })
            .await
            .unwrap();
        let url = Url::parse(&format!("http://{}/mcp", listener.local_addr().unwrap())).unwrap();
        running.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (url, Running(Some(running)))
    }
}

/// A server with a runtime of its own, so that its connections end with it.
struct Running(Option<tokio::runtime::Runtime>);

impl Drop for Running {
    fn drop(&mut self) {
        // On another thread, because a runtime may not end within another; every connection is
        // closed when this returns.
        let runtime = self.0.take().unwrap();
        let ended = std::thread::spawn(|| runtime.shutdown_timeout(Duration::from_secs(5)));
        ended.join().unwrap();
    }
}

fn upstream(url: Url) -> McpHttp {
    bookshop::install_crypto();
    let mut settings = McpSettings::default();
    settings.initial_backoff = Duration::from_millis(20);
    McpHttp::new(
        Endpoint {
            url,
            headers: Vec::new(),
        },
        McpClient::new(settings).unwrap(),
    )
}

fn arguments(json: &str) -> Arguments<'_> {
    Arguments::parse(json).unwrap()
}

/// What has to work with every server, of whatever era.
async fn lists_calls_and_hears_changes(server: Server) {
    let (url, _running) = server.serve(0).await;
    let upstream = upstream(url);

    let tools = upstream.tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["echo", "fail", "last"]);
    assert!(
        tools
            .iter()
            .all(|tool| !tool.definition.get().contains('\n'))
    );

    let result = upstream
        .call("echo", &arguments(r#"{"b":1,"a":"x"}"#))
        .await
        .unwrap();
    let result: serde_json::Value = serde_json::from_slice(result.as_bytes()).unwrap();
    assert_eq!(result["content"][0]["text"], r#"{"b":1,"a":"x"}"#);
    assert!(result.get("resultType").is_none());

    let result = upstream.call("fail", &arguments("{}")).await.unwrap();
    let result: serde_json::Value = serde_json::from_slice(result.as_bytes()).unwrap();
    assert_eq!(result["isError"], true);
    assert_eq!(result["content"][0]["text"], "it failed");

    let error = upstream
        .call("unknown", &arguments("{}"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Upstream);
    let facts: Vec<_> = error.context().collect();
    assert!(
        facts.contains(&("code", "-32602")) && facts.contains(&("message", "no such tool")),
        "{facts:?}"
    );

    let mut changes = upstream.changes();
    let heard = tokio::spawn(async move { changes.next().await });
    server.echo.announce().await;
    tokio::time::timeout(Duration::from_secs(10), heard)
        .await
        .expect("the change was not heard")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_modern_server_is_spoken_to_without_a_handshake() {
    lists_calls_and_hears_changes(Server::new(MODERN, |config| config)).await;
}

#[tokio::test]
async fn a_modern_server_may_answer_in_json() {
    lists_calls_and_hears_changes(Server::new(MODERN, |config| {
        config.with_json_response(true)
    }))
    .await;
}

#[tokio::test]
async fn a_legacy_server_with_sessions_gets_its_handshake() {
    lists_calls_and_hears_changes(Server::new(LEGACY, |config| config)).await;
}

#[tokio::test]
async fn a_legacy_server_without_sessions_lists_and_calls() {
    let server = Server::new(LEGACY, |config| {
        config
            .with_legacy_session_mode(false)
            .with_json_response(true)
    });
    let (url, _running) = server.serve(0).await;
    let upstream = upstream(url);
    assert_eq!(upstream.tools().await.unwrap().len(), 3);
    upstream.call("echo", &arguments("{}")).await.unwrap();
}

#[tokio::test]
async fn a_restarted_server_that_forgot_the_session_is_met_anew_within_the_call() {
    let (url, running) = Server::new(LEGACY, |config| config).serve(0).await;
    let upstream = upstream(url.clone());
    upstream.call("echo", &arguments("{}")).await.unwrap();
    drop(running);
    let second = Server::new(LEGACY, |config| config);
    let (_, _running) = second.serve(url.port().unwrap()).await;
    upstream.call("echo", &arguments("{}")).await.unwrap();
    assert_eq!(second.echo.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_comes_back_in_the_other_era_is_met_anew_within_the_call() {
    for (before, after) in [(LEGACY, MODERN), (MODERN, LEGACY)] {
        let (url, running) = Server::new(before, |config| config).serve(0).await;
        let upstream = upstream(url.clone());
        upstream.call("echo", &arguments("{}")).await.unwrap();
        drop(running);
        let second = Server::new(after, |config| config);
        let (_, _running) = second.serve(url.port().unwrap()).await;
        // The old connection has been closed; whoever keeps it has to be told, which this runtime
        // does after so many turns at the latest.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        upstream.call("echo", &arguments("{}")).await.unwrap();
        assert_eq!(second.echo.calls.load(Ordering::SeqCst), 1);
    }
}
