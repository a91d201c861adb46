//! An MCP server over streamable HTTP, of either era.
//!
//! Results are relayed as the server wrote them: the envelope is read, what is inside is not.

mod answer;
mod changes;
mod exchange;
mod session;
mod sessions;
mod settings;
mod updates;
mod wire;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mcphub_core::Result;
use mcphub_core::call::Arguments;
use mcphub_core::deployment::Endpoint;
use mcphub_core::secret::Credentials;
use mcphub_core::shared::SessionKey;
use serde_json::value::RawValue;

use self::session::ENDING;
use self::wire::Wire;
use super::access::Access;
use super::lists::{self, Lists};
use super::message::{self, Call, Params};
use super::{About, CallResult, Exchange, Forward, Inventory, Relay, Upstream, UpstreamTool};
use crate::federation::Kind;
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
            wire: Arc::new(Wire::new(endpoint, client, None)),
        }
    }

    /// As [`McpHttp::new`], for a server that access tokens let in to.
    pub(in crate::upstream) fn let_in(
        endpoint: Endpoint,
        client: McpClient,
        access: Option<Arc<Access>>,
    ) -> Self {
        Self {
            wire: Arc::new(Wire::new(endpoint, client, access)),
        }
    }
}

impl Lists for Wire {
    fn ask(&self, call: &Call<'_>) -> impl Future<Output = Result<Box<RawValue>>> + Send {
        self.request(call)
    }

    fn about(&self) -> Arc<About> {
        self.about()
    }

    fn name(&self) -> &str {
        &self.host
    }

    fn bounds(&self) -> (usize, usize) {
        let settings = &self.client.settings;
        (settings.max_tools, settings.max_message)
    }
}

#[async_trait]
impl Upstream for McpHttp {
    /// All pages. Ends within [`McpSettings::list_timeout`].
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        self.wire
            .within(
                self.wire.client.settings.list_timeout,
                lists::all(&*self.wire, Kind::Tools),
            )
            .await
    }

    /// All pages of all lists. Ends within [`McpSettings::list_timeout`].
    async fn inventory(&self) -> Result<Inventory> {
        self.wire.tidy();
        self.wire
            .within(
                self.wire.client.settings.list_timeout,
                lists::inventory(&*self.wire),
            )
            .await
    }

    fn relay(&self) -> Option<&dyn Relay> {
        Some(self)
    }

    /// Ends within [`McpSettings::list_timeout`].
    async fn check(&self) -> Result<()> {
        let limit = self.wire.client.settings.list_timeout;
        self.wire.within(limit, self.wire.check()).await
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

    /// Ends the sessions, within 2 s. A login that is being renewed is waited for.
    async fn close(&self) {
        let ending = tokio::time::timeout(ENDING, self.wire.end(None));
        let _ = tokio::join!(ending, self.wire.settle());
    }

    fn take_logins(&self, credentials: &Credentials) -> bool {
        self.wire.take_logins(credentials)
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        changes::changes(Arc::clone(&self.wire))
    }
}

#[async_trait]
impl Relay for McpHttp {
    /// Ends within [`McpSettings::list_timeout`].
    async fn ready(&self, request: &Forward) -> Result<()> {
        let limit = self.wire.client.settings.list_timeout;
        self.wire.within(limit, self.wire.ready(request)).await
    }

    /// Ends within [`McpSettings::call_timeout`].
    async fn open(&self, request: Arc<Forward>) -> Result<Box<dyn Exchange>> {
        let limit = self.wire.client.settings.call_timeout;
        // Pinned here and in what it awaits, because a future that is handed on has room for itself
        // again in each that takes it, and all of that is allocated for every call.
        let opening = pin!(self.wire.open(request));
        let exchange = self.wire.within(limit, opening).await?;
        Ok(Box::new(exchange))
    }

    fn step_limit(&self) -> Option<Duration> {
        let settings = &self.wire.client.settings;
        let limits = [settings.first_byte_timeout, settings.idle_timeout];
        limits
            .into_iter()
            .flatten()
            .chain([settings.call_timeout])
            .max()
    }

    fn limit(&self) -> Option<Duration> {
        self.wire.client.settings.total_timeout
    }

    fn keeps_sessions(&self) -> bool {
        self.wire.keeps_sessions()
    }

    fn forget(&self, session: SessionKey) {
        if !self.keeps_sessions() {
            return;
        }
        let wire = Arc::clone(&self.wire);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { wire.end(Some(session)).await });
        }
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
