//! An MCP server over a channel of messages: the input and output of a program, or HTTP+SSE.
//!
//! One connection is shared by all calls: requests are told apart by their ids (MCP 2026-07-28,
//! Transports, stdio). Results are relayed as the server wrote them.

mod dial;
mod exchange;
mod lines;
mod link;
mod meeting;
mod program;
mod settings;
mod sse;
mod updates;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::Result;
use mcphub_core::call::Arguments;
use mcphub_core::connection::Era;
use mcphub_core::deployment::Endpoint;
use mcphub_core::launch::{Launch, Launcher};
use mcphub_core::shared::SessionKey;
use serde_json::value::RawValue;

use self::dial::Line;
use self::lines::Lines;
use self::program::Program;
use self::sse::Sse;
use super::access::Access;
use super::http;
use super::lists::{self, Lists};
use super::message::{self, Call, Params};
use super::streamable_http::McpClient;
use super::{About, CallResult, Exchange, Forward, Inventory, Relay, Upstream, UpstreamTool};
use crate::federation::Kind;
pub use settings::ChannelSettings;

/// An MCP server over a channel.
///
/// # Behavior
/// - The channel is opened by the first request, once for all callers, and again by the next
///   request after it ended: at once if it was open for 10 s, else after a pause that doubles from
///   [`ChannelSettings::initial_backoff`] to [`ChannelSettings::max_backoff`]. Requests meanwhile
///   fail at once and say why.
/// - A start is not given up because who asked for it does not wait any more.
/// - A call that nobody waits for any more is cancelled.
/// - The channel is closed, and its program ends, when this is dropped, and nobody waits for it.
/// - A server of the legacy era does not say which request it asks something for, or writes a log
///   message for. It reaches the caller where there is no doubt: while one request is on its way, or
///   only requests of one client's session. Else it is refused, or lost, rather than told to another.
/// - With [`ChannelSettings::max_own`] there is no doubt: such a server has a channel for each
///   session of a client, and for each call of a client without one that can be asked something.
pub struct McpChannel {
    lines: Lines,
}

impl McpChannel {
    /// The program that is started so. Nothing is started yet.
    pub fn program(launch: Launch, launcher: Arc<dyn Launcher>, settings: ChannelSettings) -> Self {
        let name = launch.server.to_string();
        let program = Program { launch, launcher };
        Self {
            lines: Lines::new(&name, Arc::new(program), settings),
        }
    }

    /// The server at `endpoint` over HTTP+SSE of 2024-11-05. Nothing is sent yet.
    pub fn sse(endpoint: Endpoint, client: McpClient, settings: ChannelSettings) -> Self {
        Self::sse_let_in(endpoint, client, settings, None)
    }

    /// As [`McpChannel::sse`], for a server that access tokens let in to.
    pub(in crate::upstream) fn sse_let_in(
        endpoint: Endpoint,
        client: McpClient,
        settings: ChannelSettings,
        access: Option<Arc<Access>>,
    ) -> Self {
        let host = http::host(&endpoint.url);
        let sse = Sse {
            endpoint,
            client,
            access,
        };
        let settings = ChannelSettings {
            era: Era::Legacy,
            ..settings
        };
        Self {
            lines: Lines::new(&host, Arc::new(sse), settings),
        }
    }
}

impl Lists for Arc<Line> {
    fn ask(&self, call: &Call<'_>) -> impl Future<Output = Result<Box<RawValue>>> + Send {
        self.request(call)
    }

    fn about(&self) -> Arc<About> {
        Line::about(self)
    }

    fn name(&self) -> &str {
        Line::name(self)
    }

    fn bounds(&self) -> (usize, usize) {
        (self.settings.max_tools, self.settings.max_list)
    }
}

#[async_trait]
impl Upstream for McpChannel {
    /// All pages. Ends within [`ChannelSettings::start_timeout`] and
    /// [`ChannelSettings::list_timeout`] together; when it is dropped, a start goes on.
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        let line = &self.lines.shared;
        let tools = lists::all(line, Kind::Tools);
        line.within(line.settings.to_list(), tools).await
    }

    /// As [`Upstream::tools`], all pages of all lists.
    async fn inventory(&self) -> Result<Inventory> {
        self.lines.tidy();
        let line = &self.lines.shared;
        let all = lists::inventory(line);
        line.within(line.settings.to_list(), all).await
    }

    fn relay(&self) -> Option<&dyn Relay> {
        Some(self)
    }

    /// Ends within [`ChannelSettings::call_timeout`], a start before it included.
    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        let call = Call::new("tools/call", Params::call(tool, arguments.text()));
        let line = &self.lines.shared;
        let result = line.within(line.settings.call_timeout, line.request(&call));
        message::tool_result(result.await?)
            .map(CallResult::from)
            .map_err(|error| error.with("server", line.name()))
    }

    /// An item when the server says that a list of it changed, and when it ended: then it is asked
    /// again, and so started again.
    fn changes(&self) -> BoxStream<'static, ()> {
        stream::unfold(self.lines.shared.changes(), |mut changes| async {
            changes.changed().await.ok().map(|()| ((), changes))
        })
        .boxed()
    }
}

#[async_trait]
impl Relay for McpChannel {
    /// Ends within [`ChannelSettings::call_timeout`], a start before it included.
    async fn open(&self, request: Arc<Forward>) -> Result<Box<dyn Exchange>> {
        let shared = &self.lines.shared;
        let opening = async {
            let (line, lease) = self.lines.of(&request).await?;
            line.open(&request, lease).await
        };
        let exchange = shared.within(shared.settings.call_timeout, opening).await?;
        Ok(Box::new(exchange))
    }

    fn limit(&self) -> Option<Duration> {
        self.lines.shared.settings.total_timeout
    }

    fn keeps_sessions(&self) -> bool {
        self.lines.keep_sessions()
    }

    fn forget(&self, session: SessionKey) {
        self.lines.forget(session);
    }

    fn updates(&self, uris: Vec<String>) -> BoxStream<'static, String> {
        updates::updates(Arc::clone(&self.lines.shared), uris)
    }
}

impl fmt::Debug for McpChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpChannel")
            .field("server", &self.lines.shared.name())
            .finish_non_exhaustive()
    }
}
