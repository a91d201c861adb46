//! Events: hints that something changed. The store is the truth; a lost event costs time only.

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::deployment::Phase;
use crate::server::ServerName;
use crate::shared::SessionKey;

/// Carries events between the parts of a host, or between hosts.
///
/// # Behavior
/// - A subscriber gets every event published after `subscribe` returned, in the order in which its
///   publisher told them, unless it falls behind by more than the bus keeps, or the bus loses touch
///   with other hosts; then it gets [`Event::Lagged`] and goes on with the newest. An event from
///   shortly before may come as well.
/// - `publish` never waits for a subscriber, and is no error without one.
#[async_trait]
pub trait EventBus: Send + Sync + Debug + 'static {
    /// Tells everybody.
    async fn publish(&self, event: Event) -> Result<()>;

    /// Events from now on.
    fn subscribe(&self) -> BoxStream<'static, Result<Event>>;
}

/// What happened. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A server, or a virtual one, was registered, changed or removed.
    CatalogChanged {
        /// Which.
        server: ServerName,
    },
    /// A deployment changed its phase.
    DeploymentChanged {
        /// Which.
        server: ServerName,
        /// To what.
        phase: Phase,
    },
    /// A gateway stopped calling a server, tries it again, or calls it again.
    CircuitChanged {
        /// Which.
        server: ServerName,
        /// What it does now.
        circuit: Circuit,
    },
    /// Something somebody has to look at began, or is over.
    Alerted {
        /// Of which server.
        server: ServerName,
        /// What.
        alert: Alert,
        /// Whether it began.
        state: AlertState,
    },
    /// A client ended its session.
    SessionEnded {
        /// Which, without telling how to get in.
        session: SessionKey,
    },
    /// What a client was asked to have its user open in a browser is done.
    ElicitationCompleted {
        /// What it was called when the client was asked, which tells nobody else anything.
        elicitation: String,
    },
    /// Events were lost: read everything again.
    Lagged,
}

/// What somebody has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Alert {
    /// A server is down, or has not listed its tools, for a while.
    ServerDown,
    /// A server is not called, because it failed several times in a row.
    CircuitOpen,
    /// Too many calls of a server fail.
    Failing,
    /// Tools of a server are new or changed and wait for approval.
    ToolsWaiting,
}

/// Where an alert is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlertState {
    /// It began.
    Firing,
    /// It is over.
    Resolved,
}

/// Whether a gateway calls a server, by how its calls went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Circuit {
    /// It is called.
    Closed,
    /// It failed too often in a row, and is not called for a while.
    Open,
    /// It is tried again, with one call at a time.
    HalfOpen,
}
