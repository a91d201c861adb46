//! An MCP server over streamable HTTP, of either era.
//!
//! Results are relayed as the server wrote them: the envelope is read, what is inside is not.

mod answer;
mod changes;
mod exchange;
mod message;
mod sessions;
mod settings;
mod updates;
mod wire;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mcphub_core::call::Arguments;
use mcphub_core::deployment::Endpoint;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;

use self::message::{Call, Params};
use self::wire::Wire;
use super::{
    About, CallResult, Exchange, Forward, Inventory, Relay, Upstream, UpstreamTool, one_line,
};
use crate::federation::Kind;
use crate::members::Members;
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

    /// All pages of a list.
    async fn all(&self, kind: Kind) -> Result<Vec<UpstreamTool>> {
        let settings = &self.wire.client.settings;
        let (mut items, mut cursor, mut bytes) = (Vec::new(), None::<String>, 0);
        loop {
            let call = Call::new(kind.method(), Params::list(cursor.as_deref()));
            let result = self.wire.request(&call).await?;
            bytes += result.get().len();
            let page = Page::read(&result, kind)
                .map_err(|error| self.nonsense(kind.method()).caused_by(error))?;
            for definition in page.items {
                let name = Members::read(definition.get())
                    .ok()
                    .and_then(|it| it.string(kind.key()).ok()?.map(Cow::into_owned));
                match name {
                    Some(name) => items.push(UpstreamTool {
                        name,
                        definition: one_line(definition),
                    }),
                    None => {
                        tracing::warn!(server = %self.wire.host, kind = kind.member(), "what is listed without a name is left out");
                    }
                }
            }
            if items.len() > settings.max_tools || bytes > settings.max_message {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    "the MCP server lists more than is taken",
                )
                .with("server", &self.wire.host)
                .with("method", kind.method())
                .with("limit", settings.max_tools));
            }
            match page.next_cursor {
                None => return Ok(items),
                // A server that gives the same cursor for ever, or pages with nothing in them.
                next if next == cursor || items.is_empty() => {
                    return Err(self
                        .nonsense(kind.method())
                        .with("reason", "its pages do not end"));
                }
                next => cursor = next,
            }
        }
    }

    /// A list besides the tools. One that fails is empty: it does not hide the others.
    async fn also(&self, kind: Kind, offered: bool) -> Vec<UpstreamTool> {
        if !offered {
            return Vec::new();
        }
        self.all(kind).await.unwrap_or_else(|error| {
            tracing::warn!(server = %self.wire.host, error = %error.report(), "a list is left out");
            Vec::new()
        })
    }

    async fn everything(&self) -> Result<Inventory> {
        self.wire.era().await?;
        let tools = self.all(Kind::Tools).await?;
        // What the server said when it was met for this.
        let about = self.wire.about();
        let (prompts, resources, templates) = futures::join!(
            self.also(Kind::Prompts, about.prompts),
            self.also(Kind::Resources, about.resources),
            self.also(Kind::ResourceTemplates, about.resources),
        );
        Ok(Inventory {
            tools,
            prompts,
            resources,
            templates,
            about: About::clone(&about),
        })
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

struct Page<'a> {
    items: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn read(result: &'a RawValue, kind: Kind) -> serde_json::Result<Self> {
        let members = Members::read(result.get())?;
        let items = members.get(kind.member());
        let next = members.get("nextCursor");
        Ok(Self {
            items: serde_json::from_str(items.map_or("null", RawValue::get))?,
            next_cursor: serde_json::from_str(next.map_or("null", RawValue::get))?,
        })
    }
}

#[async_trait]
impl Upstream for McpHttp {
    /// All pages. Ends within [`McpSettings::list_timeout`].
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        self.wire
            .within(
                self.wire.client.settings.list_timeout,
                self.all(Kind::Tools),
            )
            .await
    }

    /// All pages of all lists. Ends within [`McpSettings::list_timeout`].
    async fn inventory(&self) -> Result<Inventory> {
        self.wire
            .within(self.wire.client.settings.list_timeout, self.everything())
            .await
    }

    fn relay(&self) -> Option<&dyn Relay> {
        Some(self)
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

#[async_trait]
impl Relay for McpHttp {
    /// Ends within [`McpSettings::call_timeout`].
    async fn open(&self, request: Forward) -> Result<Box<dyn Exchange>> {
        let limit = self.wire.client.settings.call_timeout;
        let exchange = self.wire.within(limit, self.wire.open(&request)).await?;
        Ok(Box::new(exchange))
    }

    fn updates(&self, uris: Vec<String>) -> BoxStream<'static, String> {
        updates::updates(Arc::clone(&self.wire), uris)
    }
}

impl fmt::Debug for McpHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpHttp")
            .field("server", &self.wire.host)
            .finish_non_exhaustive()
    }
}
