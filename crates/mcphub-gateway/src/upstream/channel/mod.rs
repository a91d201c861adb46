//! An MCP server over a channel of lines, such as the input and output of a program.
//!
//! One connection is shared by all calls: requests are told apart by their ids (MCP 2026-07-28,
//! Transports, stdio). Results are relayed as the server wrote them.

mod dial;
mod failed;
mod link;
mod meeting;
mod message;
mod settings;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::call::Arguments;
use mcphub_core::launch::{Launch, Launcher};
use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::dial::Line;
use self::message::{Named, Params};
use super::{CallResult, Upstream, UpstreamTool};
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
pub struct McpProgram {
    line: Arc<Line>,
}

impl McpProgram {
    /// The server that is started so. Nothing is started yet.
    pub fn new(launch: Launch, launcher: Arc<dyn Launcher>, settings: ChannelSettings) -> Self {
        Self {
            line: Line::new(launch, launcher, settings),
        }
    }

    async fn all_tools(&self) -> Result<Vec<UpstreamTool>> {
        let settings = &self.line.settings;
        let (mut tools, mut cursor, mut bytes) = (Vec::new(), None::<String>, 0);
        loop {
            let params = Params::list(cursor.as_deref());
            let result = self.line.request("tools/list", params).await?;
            bytes += result.get().len();
            let page: Page<'_> =
                serde_json::from_str(result.get()).map_err(|error| nonsense().caused_by(error))?;
            for definition in page.tools {
                match serde_json::from_str::<Named>(definition.get()) {
                    Ok(Named { name }) => tools.push(UpstreamTool {
                        name,
                        definition: definition.to_owned(),
                    }),
                    Err(error) => {
                        tracing::warn!(server = %self.line.name(), %error, "a listed tool is left out");
                    }
                }
            }
            if tools.len() > settings.max_tools || bytes > settings.max_list {
                let message = "the MCP server lists more tools than are taken";
                return Err(Error::new(ErrorKind::TooLarge, message)
                    .set_fault(mcphub_core::Fault::Upstream)
                    .with("limit", settings.max_tools));
            }
            match page.next_cursor {
                None => return Ok(tools),
                // A server that gives the same cursor for ever, or pages without tools.
                next if next == cursor || tools.is_empty() => {
                    return Err(nonsense().with("reason", "its pages do not end"));
                }
                next => cursor = next,
            }
        }
    }

    async fn within<T>(&self, limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = tokio::time::timeout(limit, work).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let seconds = limit.as_secs_f64();
            let message = format!("the MCP server did not answer within {seconds} s");
            Err(Error::new(ErrorKind::Timeout, message))
        });
        outcome.map_err(|error| error.with("server", self.line.name()))
    }
}

fn nonsense() -> Error {
    let message = "the MCP server's list of tools makes no sense";
    Error::new(ErrorKind::Upstream, message)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[async_trait]
impl Upstream for McpProgram {
    /// All pages. Ends within [`ChannelSettings::start_timeout`] and
    /// [`ChannelSettings::list_timeout`] together; when it is dropped, a start goes on.
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        let settings = &self.line.settings;
        let limit = settings.start_timeout + settings.list_timeout;
        self.within(limit, self.all_tools()).await
    }

    /// Ends within [`ChannelSettings::call_timeout`], a start before it included.
    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        let params = Params::call(tool, arguments.text());
        let call = self.line.request("tools/call", params);
        let result = self.within(self.line.settings.call_timeout, call).await?;
        message::tool_result(result).map_err(|error| error.with("server", self.line.name()))
    }

    /// An item when the server says that its tools changed, and when it ended: then it is asked
    /// again, and so started again.
    fn changes(&self) -> BoxStream<'static, ()> {
        stream::unfold(self.line.changes(), |mut changes| async {
            changes.changed().await.ok().map(|()| ((), changes))
        })
        .boxed()
    }
}

impl fmt::Debug for McpProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpProgram")
            .field("server", &self.line.name())
            .finish_non_exhaustive()
    }
}
