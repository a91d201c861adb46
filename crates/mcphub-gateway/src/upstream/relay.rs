//! Servers that speak MCP themselves: whole requests, with all that is said until they are answered.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mcphub_core::Result;
use mcphub_core::principal::Principal;
use mcphub_core::shared::SessionKey;
use serde_json::value::RawValue;

use super::client::ClientAbilities;

/// A server that takes requests of any method.
///
/// # Behavior
/// - `ready`, `open` and each `next` end within a bound that the implementation documents.
/// - An exchange that is dropped before its end is cancelled: the server is told.
/// - What is said in an exchange belongs to its request and to no other.
#[async_trait]
pub trait Relay: Send + Sync + Debug + 'static {
    /// Does what has to be done before a request can be sent, which its server does not see yet:
    /// it is met, where it was not. Default: nothing has to be.
    async fn ready(&self, _request: &Forward) -> Result<()> {
        Ok(())
    }

    /// Sends a request.
    async fn open(&self, request: Arc<Forward>) -> Result<Box<dyn Exchange>>;

    /// The time within which `open` and each `next` end by themselves, where they do. The gateway sets
    /// no timer of its own for what is over before it would fire. Default: none is known.
    fn step_limit(&self) -> Option<Duration> {
        None
    }

    /// How long a request may take with all that is said until its answer, besides the time in which
    /// its client is asked. Default as the gateway has it.
    fn limit(&self) -> Option<Duration> {
        None
    }

    /// Whether anything may be kept for sessions of clients by now. Only of those that asked something
    /// while that is so, or made it so, [`Relay::forget`] is told. Default it may.
    fn keeps_sessions(&self) -> bool {
        true
    }

    /// A session of a client has ended, and what is kept for it can be given up. Default: nothing is.
    fn forget(&self, _session: SessionKey) {}

    /// The URI of one of these resources, the server's own, each time it may have changed.
    fn updates(&self, uris: Vec<String>) -> BoxStream<'static, String>;
}

/// One request that is on its way, and what comes back.
#[async_trait]
pub trait Exchange: Send + Debug {
    /// What the server says next. Not to be called after [`Said::Result`] or [`Said::Failure`].
    async fn next(&mut self) -> Result<Said>;

    /// Answers a request of the server: the member `result` or `error` of the response.
    async fn answer(&mut self, id: &RawValue, answer: Response) -> Result<()>;

    /// What tells the server something in the session that the exchange is in, also once the exchange
    /// is over. Default: nothing does.
    fn teller(&self) -> Option<Arc<dyn Tell>> {
        None
    }
}

/// Tells a server something that is no answer.
///
/// # Behavior
/// - `tell` ends within 2 s. It begins no session, and keeps none: once the session is over, nothing
///   is told.
#[async_trait]
pub trait Tell: Send + Sync + Debug + 'static {
    /// Sends a notification of this method, with these `params`.
    async fn tell(&self, method: &str, params: &RawValue) -> Result<()>;
}

/// A request for a server, with its own names and URIs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Forward {
    /// The method.
    pub method: String,
    /// What `Mcp-Name` repeats, where the method has such a thing.
    pub name: Option<String>,
    /// The members of `params` but `_meta`: JSON text without the braces.
    pub params: String,
    /// The members of `_meta` that are neither the transport's nor the connection's.
    pub meta: String,
    /// Whether the caller wants to hear of progress.
    pub progress: bool,
    /// The least severe log message that the caller wants. `None`: none.
    pub log_level: Option<String>,
    /// The caller did not choose that level, so that a server with a choice of its own is not asked.
    pub choice: bool,
    /// What the caller can be asked.
    pub abilities: ClientAbilities,
    /// Whose session it belongs to, where the caller has one.
    pub session: Option<SessionKey>,
    /// What stands for who the caller is, where callers are asked that: no two of them share anything
    /// that a server keeps.
    pub principal: Option<SessionKey>,
    /// Whether twice is as good as once: it only reads, or is a tool that says so.
    pub repeatable: bool,
    /// Who the caller is, where callers are asked that: a server may have a login of theirs.
    pub who: Option<Arc<Principal>>,
    /// Headers that repeat parameters (`Mcp-Param-*`).
    pub headers: Vec<(String, String)>,
}

/// One thing that a server says in an exchange. All text is on one line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Said {
    /// A notification.
    Notification {
        /// Its method.
        method: String,
        /// Its `params`; `{}` where it has none.
        params: Box<RawValue>,
    },
    /// A request, to be answered by the caller's client.
    Request {
        /// Its id on this connection.
        id: Box<RawValue>,
        /// Its method.
        method: String,
        /// Its `params`; `{}` where it has none.
        params: Box<RawValue>,
    },
    /// The result. It is the last.
    Result(Box<RawValue>),
    /// The error. It is the last.
    Failure(Failure),
}

/// What a request of a server is answered with.
#[derive(Debug, Clone)]
pub enum Response {
    /// The member `result`.
    Result(Box<RawValue>),
    /// The member `error`.
    Error(Box<RawValue>),
}

/// A JSON-RPC error as a server gave it.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Failure {
    /// Its code.
    pub code: i64,
    /// Its message.
    #[serde(default)]
    pub message: String,
    /// Its data, as text.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
}
