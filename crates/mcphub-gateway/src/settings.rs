//! Limits and choices of a gateway.

use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use crate::federation::Scope;
use crate::guard::GuardSettings;
use crate::hosts::AllowedHost;

/// Limits and choices of a [`Gateway`](crate::Gateway).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GatewaySettings {
    /// The largest message of a client, in bytes. Default 4 MiB. A larger one gets HTTP 413.
    pub body_limit: usize,
    /// How long a client may take to send its message. Default 30 s. A slower one gets HTTP 408.
    pub body_timeout: Duration,
    /// Web origins that may call, such as `https://chat.example.com`, besides those on a loopback
    /// host, which always may. Default none. Requests without `Origin` do not come from a web page
    /// of another site and always pass (MCP 2026-07-28, Streamable HTTP, Security).
    pub allowed_origins: Vec<String>,
    /// Names under which requests may come, besides those of loopback, of [`public_url`](Self::public_url)
    /// and of `allowed_origins`. Default none: then [`Gateway::serve`](crate::Gateway::serve) on an
    /// address of loopback takes those alone, so that no web page reaches it by giving its own name
    /// that address, and elsewhere, as [`Gateway::router`](crate::Gateway::router) does, any name.
    /// Another name gets HTTP 403, a request without exactly one `Host` 400 (MCP 2026-07-28, Streamable
    /// HTTP, Security; RFC 9110, 7.2).
    pub allowed_hosts: Vec<AllowedHost>,
    /// The URL at which others reach the gateway. Default none.
    pub public_url: Option<Url>,
    /// Says which gateway this is, in `GET /healthz`, to whoever looks for it. Default nothing.
    pub instance: Option<String>,
    /// How often [`Gateway::run`](crate::Gateway::run) asks whether the catalogue has changed.
    /// Default 500 ms.
    pub poll_interval: Duration,
    /// How long the catalogue may take to answer. Default 10 s.
    pub catalog_timeout: Duration,
    /// How long a server may take to list its tools. Default 10 s.
    pub list_timeout: Duration,
    /// How often a server over MCP is asked for its tools again, besides when it says that they
    /// changed; for the first time it comes at any time within that, so that servers that were met
    /// together are asked apart. Default 30 s.
    pub list_interval: Duration,
    /// How long [`Gateway::refresh`](crate::Gateway::refresh) waits for the first answer of
    /// servers that it does not know yet. Default 1 s. Until they answer, their planned tools are
    /// listed.
    pub settle: Duration,
    /// The longest a call may take, whatever its upstream's own limit. Default 120 s.
    pub call_timeout: Duration,
    /// The longest a request of an MCP server may take that goes on saying something, besides the
    /// time in which its client is asked for input. Default 10 min.
    pub stream_timeout: Duration,
    /// How long a client may take to answer what a server asks it. Default 5 min.
    pub input_timeout: Duration,
    /// The most tools in one page of `tools/list`, and as many prompts, resources or templates. Default 2,000: many clients read only one page.
    pub page_size: usize,
    /// How long clients may keep a list without asking again (`ttlMs`). Default 0: lists are
    /// cheap, and a client that does not listen for changes would be late.
    pub list_ttl: Duration,
    /// How often an open stream gets a comment that keeps it alive. Default 15 s.
    pub keep_alive: Duration,
    /// The most requests that are answered at once over HTTP, open streams of changes aside. Default
    /// 4,096. One more gets HTTP 503 and `Retry-After` before its body is read.
    pub max_requests: usize,
    /// The most streams open at once, over HTTP. Default 1,024. One more gets HTTP 503.
    pub max_streams: usize,
    /// The most requests of one stdio client that run at once. Default 64. More wait unread.
    pub max_in_flight: usize,
    /// The most messages in one batch of revision 2025-03-26. Default 100.
    pub max_batch: usize,
    /// The most ended sessions that are remembered, the oldest are forgotten. Default 10,000.
    pub max_ended_sessions: usize,
    /// How long other nodes remember that a session was ended. Default 7 days: ids have no age.
    pub ended_session_memory: Duration,
    /// When a server that fails is not called, and how many calls of it run at once.
    pub guard: GuardSettings,
    /// Whether clients are listed all tools, or find them. A client chooses for itself with
    /// `?tools=all` or `?tools=search` in its URL. Default all.
    pub tools: ToolsMode,
    /// Proxies in front of the gateway, whose `X-Forwarded-For` tells whom a rate is counted for.
    /// Default none: then that is whoever connects.
    pub trusted_proxies: Vec<IpNet>,
}

/// How clients get to know tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ToolsMode {
    /// All are listed.
    #[default]
    All,
    /// Three are listed, which find, describe and call the others.
    Search,
}

impl ToolsMode {
    /// The endpoint in this mode.
    pub(crate) fn scope(self, scope: Scope) -> Scope {
        match self {
            Self::All => scope,
            Self::Search => scope.found(),
        }
    }
}

impl Default for GatewaySettings {
    fn default() -> Self {
        Self {
            body_limit: 4 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            public_url: None,
            instance: None,
            poll_interval: Duration::from_millis(500),
            catalog_timeout: Duration::from_secs(10),
            list_timeout: Duration::from_secs(10),
            list_interval: Duration::from_secs(30),
            settle: Duration::from_secs(1),
            call_timeout: Duration::from_secs(120),
            stream_timeout: Duration::from_secs(10 * 60),
            input_timeout: Duration::from_secs(5 * 60),
            page_size: 2_000,
            list_ttl: Duration::ZERO,
            keep_alive: Duration::from_secs(15),
            max_requests: 4_096,
            max_streams: 1_024,
            max_in_flight: 64,
            max_batch: 100,
            max_ended_sessions: 10_000,
            ended_session_memory: Duration::from_secs(7 * 24 * 60 * 60),
            guard: GuardSettings::default(),
            tools: ToolsMode::default(),
            trusted_proxies: Vec::new(),
        }
    }
}
