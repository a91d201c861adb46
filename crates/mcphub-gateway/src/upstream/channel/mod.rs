//! An MCP server over a channel of lines, such as the input and output of a program.
//!
//! One connection is shared by all calls: requests are told apart by their ids (MCP 2026-07-28,
//! Transports, stdio). Results are relayed as the server wrote them.

mod dial;
mod exchange;
mod failed;
mod link;
mod meeting;
mod pending;
mod settings;
mod updates;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::Result;
use mcphub_core::call::Arguments;
use mcphub_core::launch::{Channel, Launch, Launcher};
use serde_json::value::RawValue;

use self::dial::{Dial, Line};
use super::lists::{self, Lists};
use super::message::{self, Call, Params};
use super::{
    About, CallResult, ClientAbilities, Exchange, Forward, Inventory, Relay, Upstream, UpstreamTool,
};
use crate::federation::Kind;
pub use settings::ChannelSettings;

/// An MCP server that is a program.
///
/// # Behavior
/// - The program is started by the first request, once for all callers, and again by the next
///   request after it ended: at once if it ran for 10 s, else after a pause that doubles from
///   [`ChannelSettings::initial_backoff`] to [`ChannelSettings::max_backoff`]. Requests meanwhile
///   fail at once and say why.
/// - A start is not given up because who asked for it does not wait any more.
/// - A call that nobody waits for any more is cancelled.
/// - The program ends when this is dropped, and nobody waits for it.
/// - One of the legacy era does not say which request it asks something for, or writes a log message
///   for. It reaches the caller where there is no doubt: while one request is on its way, or only
///   requests of one client's session. Else it is refused, or lost, rather than told to another.
pub struct McpProgram {
    line: Arc<Line>,
}

impl McpProgram {
    /// The server that is started so. Nothing is started yet.
    pub fn new(launch: Launch, launcher: Arc<dyn Launcher>, settings: ChannelSettings) -> Self {
        let name = launch.server.to_string();
        let dial = Arc::new(Program { launch, launcher });
        Self {
            // Clients of all abilities share it.
            line: Line::new(name, dial, ClientAbilities::all(), settings),
        }
    }
}

struct Program {
    launch: Launch,
    launcher: Arc<dyn Launcher>,
}

#[async_trait]
impl Dial for Program {
    async fn dial(&self) -> Result<Channel> {
        self.launcher.launch(self.launch.clone()).await
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
impl Upstream for McpProgram {
    /// All pages. Ends within [`ChannelSettings::start_timeout`] and
    /// [`ChannelSettings::list_timeout`] together; when it is dropped, a start goes on.
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        let tools = lists::all(&self.line, Kind::Tools);
        self.line.within(self.line.settings.to_list(), tools).await
    }

    /// As [`Upstream::tools`], all pages of all lists.
    async fn inventory(&self) -> Result<Inventory> {
        let all = lists::inventory(&self.line);
        self.line.within(self.line.settings.to_list(), all).await
    }

    fn relay(&self) -> Option<&dyn Relay> {
        Some(self)
    }

    /// Ends within [`ChannelSettings::call_timeout`], a start before it included.
    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        let call = Call::new("tools/call", Params::call(tool, arguments.text()));
        let limit = self.line.settings.call_timeout;
        let result = self.line.within(limit, self.line.request(&call)).await?;
        message::tool_result(result)
            .map(CallResult::from)
            .map_err(|error| error.with("server", self.line.name()))
    }

    /// An item when the server says that a list of it changed, and when it ended: then it is asked
    /// again, and so started again.
    fn changes(&self) -> BoxStream<'static, ()> {
        stream::unfold(self.line.changes(), |mut changes| async {
            changes.changed().await.ok().map(|()| ((), changes))
        })
        .boxed()
    }
}

#[async_trait]
impl Relay for McpProgram {
    /// Ends within [`ChannelSettings::call_timeout`], a start before it included.
    async fn open(&self, request: Forward) -> Result<Box<dyn Exchange>> {
        let limit = self.line.settings.call_timeout;
        let exchange = self.line.within(limit, self.line.open(&request)).await?;
        Ok(Box::new(exchange))
    }

    fn updates(&self, uris: Vec<String>) -> BoxStream<'static, String> {
        updates::updates(Arc::clone(&self.line), uris)
    }
}

impl fmt::Debug for McpProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpProgram")
            .field("server", &self.line.name())
            .finish_non_exhaustive()
    }
}
