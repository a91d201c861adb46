//! Upstreams: what a call of a federated tool goes to.
//!
//! One folder or file per kind. Nothing in here knows who called or under which name: names are
//! mapped in `federation`, the protocol of clients is spoken in `mcp`.

mod access;
mod cache;
pub mod channel;
mod client;
mod connector;
mod context;
mod direct;
mod down;
mod events;
mod failed;
mod general;
mod guarded;
mod http;
mod inventory;
mod lists;
mod message;
pub mod native;
pub mod oauth;
mod owner;
mod pending;
mod planned;
mod progress;
mod reads;
mod relay;
mod replicas;
mod response;
mod result;
pub mod streamable_http;
mod traced;
mod turn;
mod updated;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mcphub_core::Result;
use mcphub_core::call::Arguments;
use mcphub_core::catalog::CatalogServer;
use mcphub_core::secret::Credentials;
use serde_json::value::RawValue;

use crate::guard::Guard;
use crate::metrics::Meter;

pub(crate) use access::LoginNeeded;
pub(crate) use cache::AnswerCache;
pub use client::ClientAbilities;
pub use connector::{Connector, UpstreamSettings};
pub use context::CallContext;
pub use down::Down;
pub(crate) use guarded::Guarded;
pub(crate) use http::{build, builder, cause, encoded, host};
pub use inventory::{About, Inventory};
pub(crate) use planned::listed_tools;
pub use planned::planned_tools;
pub use progress::Progress;
pub use relay::{Exchange, Failure, Forward, Relay, Response, Said, Tell};
pub use replicas::{CheckSettings, ReplicaHealth, Replicas};
pub use result::CallResult;
pub(crate) use result::{Given, one_line};

/// One MCP server as the gateway calls it.
///
/// # Behavior
/// - Every method ends within a bound that its implementation documents.
/// - A tool that fails is an `Ok` result with `isError`; an `Err` means that the server itself did
///   not answer as MCP asks.
#[async_trait]
pub trait Upstream: Send + Sync + Debug + 'static {
    /// The tools of the server, in its order, each as the JSON object that `tools/list` has.
    async fn tools(&self) -> Result<Vec<UpstreamTool>>;

    /// All that the server offers. Default: its tools.
    async fn inventory(&self) -> Result<Inventory> {
        self.tools().await.map(Inventory::of_tools)
    }

    /// What takes whole requests of a server that speaks MCP itself; calls of its tools go there
    /// too. Default: there is none.
    fn relay(&self) -> Option<&dyn Relay> {
        None
    }

    /// What decides whether the server is called, where something does: whoever calls asks it first.
    /// Default: nothing does. The gateway puts one before each upstream that it is given.
    fn guard(&self) -> Option<&Arc<Guard>> {
        None
    }

    /// What counts the calls of the server, where something does. Default: nothing does. The gateway
    /// puts one before each upstream that it is given.
    fn meter(&self) -> Option<&Arc<Meter>> {
        None
    }

    /// Whether the server answers, asked in the way that costs it least. Default: it lists its tools.
    async fn check(&self) -> Result<()> {
        self.tools().await.map(drop)
    }

    /// How its replicas are, where it has several addresses. Default: it has one.
    fn replicas(&self) -> Vec<ReplicaHealth> {
        Vec::new()
    }

    /// Calls a tool by its own name. The arguments are forwarded as they were sent.
    async fn call(&self, tool: &str, arguments: &Arguments<'_>) -> Result<CallResult>;

    /// As [`Upstream::call`], for somebody. Default: that makes no difference.
    async fn call_in(
        &self,
        tool: &str,
        arguments: &Arguments<'_>,
        _context: CallContext<'_>,
    ) -> Result<CallResult> {
        self.call(tool, arguments).await
    }

    /// The time within which `call` ends by itself, where it does. The gateway sets no timer of its
    /// own for a call that is over before it would fire. Default: none is known.
    fn call_limit(&self) -> Option<Duration> {
        None
    }

    /// An item each time the tools may have changed.
    fn changes(&self) -> BoxStream<'static, ()>;

    /// Takes over logins of users in place of those that it has, without meeting the server anew.
    /// Whether it did; where not, it has to be made anew. Default: it has none.
    fn take_logins(&self, _credentials: &Credentials) -> bool {
        false
    }

    /// Tells the server that it is not needed any more: the gateway ends. Default: nothing is told.
    async fn close(&self) {}
}

/// A tool as an upstream lists it, or a prompt, a resource or a template of one.
#[derive(Debug, Clone)]
pub struct UpstreamTool {
    /// Its own name or URI, which `definition` repeats.
    pub name: String,
    /// The JSON object, on one line.
    pub definition: Box<RawValue>,
}

/// Makes the upstream of a server in the catalogue. [`Connector`] is the one that the gateway uses.
///
/// # Behavior
/// - `connect` returns at once and connects to nothing: a server that cannot be reached says so
///   when it is asked.
pub trait Connect: Send + Sync + Debug + 'static {
    /// The upstream of this server.
    fn connect(&self, server: &CatalogServer) -> Arc<dyn Upstream>;
}
