//! An MCP server over streamable HTTP, of either era.
//!
//! Results are relayed as the server wrote them: the envelope is read, what is inside is not.

mod answer;
mod changes;
mod message;
mod settings;
mod wire;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mcphub_core::call::Arguments;
use mcphub_core::deployment::Endpoint;
use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use self::message::{Call, Params, one_line};
use self::wire::Wire;
use super::{CallResult, Upstream, UpstreamTool};
pub use settings::{McpClient, McpSettings};

/// An MCP server over streamable HTTP.
///
/// The first request finds out which era the server speaks: `server/discover` of 2026-07-28, else
/// the `initialize` handshake of 2025-11-25 and before. What was found is kept; a session that the
/// server has forgotten, or a server that changed its era, is met anew once within the same call.
pub struct McpHttp {
    wire: Arc<Wire>,
}

impl McpHttp {
    /// The server at `endpoint`. Nothing is sent yet.
    pub fn new(endpoint: Endpoint, client: McpClient) -> Self {
        Self {
            wire: Arc::new(Wire::new(endpoint, client)),
        }
    }

    async fn all_tools(&self) -> Result<Vec<UpstreamTool>> {
        let settings = &self.wire.client.settings;
        let (mut tools, mut cursor, mut bytes) = (Vec::new(), None::<String>, 0);
        loop {
            let result = self
                .wire
                .request(&Call::new("tools/list", Params::list(cursor.as_deref())))
                .await?;
            bytes += result.get().len();
            let page: Page<'_> = serde_json::from_str(result.get())
                .map_err(|error| self.nonsense("tools/list").caused_by(error))?;
            for definition in page.tools {
                match serde_json::from_str::<Named>(definition.get()) {
                    Ok(Named { name }) => tools.push(UpstreamTool {
                        name,
                        definition: one_line(definition),
                    }),
                    Err(error) => {
                        tracing::warn!(server = %self.wire.host, %error, "a listed tool is left out")
                    }
                }
            }
            if tools.len() > settings.max_tools || bytes > settings.max_message {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    "the MCP server lists more tools than are taken",
                )
                .with("server", &self.wire.host)
                .with("limit", settings.max_tools));
            }
            match page.next_cursor {
                None => return Ok(tools),
                // A server that gives the same cursor for ever, or pages without tools.
                next if next == cursor || tools.is_empty() => {
                    return Err(self
                        .nonsense("tools/list")
                        .with("reason", "its pages do not end"));
                }
                next => cursor = next,
            }
        }
    }

    fn nonsense(&self, method: &'static str) -> Error {
        Error::new(
            ErrorKind::Upstream,
            "the MCP server's answer makes no sense",
        )
        .with("server", &self.wire.host)
        .with("method", method)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[async_trait]
impl Upstream for McpHttp {
    /// All pages. Ends within [`McpSettings::list_timeout`].
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        self.wire
            .within(self.wire.client.settings.list_timeout, self.all_tools())
            .await
    }

    /// Ends within [`McpSettings::call_timeout`].
    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult> {
        let call = Call::new("tools/call", Params::call(tool, arguments.text())).named(tool);
        let result = self
            .wire
            .within(
                self.wire.client.settings.call_timeout,
                self.wire.request(&call),
            )
            .await?;
        message::tool_result(result)
            .map(CallResult::from)
            .map_err(|error| error.with("server", &self.wire.host))
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        changes::changes(Arc::clone(&self.wire))
    }
}

impl fmt::Debug for McpHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpHttp")
            .field("server", &self.wire.host)
            .finish_non_exhaustive()
    }
}
