//! Announcements of changed lists, in both eras.

use std::sync::Arc;

use futures::stream::{self, Stream};
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::error::RpcError;
use super::message::{Request, members};
use super::methods::LISTEN;
use crate::federation::Scope;
use crate::gateway::Inner;
use crate::roster::Signal;

/// The announcement of the old era.
pub(crate) const LIST_CHANGED: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// The changes of the list of one endpoint.
#[derive(Debug)]
pub(crate) struct ListChanges {
    gateway: Arc<Inner>,
    scope: Scope,
    signals: watch::Receiver<Signal>,
    seen: String,
}

impl ListChanges {
    /// Changes since the list with this digest.
    pub(crate) fn since(gateway: &Arc<Inner>, scope: Scope, digest: &str) -> Self {
        let signals = gateway.roster.signals();
        Self {
            gateway: Arc::clone(gateway),
            scope,
            signals,
            seen: digest.to_owned(),
        }
    }

    /// Waits for the next change. `None` when there will be none: the server is gone, or the
    /// gateway ends its streams.
    pub(crate) async fn next(&mut self) -> Option<()> {
        loop {
            // Read before looking, so that no change falls between.
            if *self.signals.borrow_and_update() == Signal::Closed {
                return None;
            }
            let snapshot = self.gateway.roster.snapshot();
            let digest = snapshot.view(&self.scope)?.digest();
            if digest != self.seen {
                digest.clone_into(&mut self.seen);
                return Some(());
            }
            self.signals.changed().await.ok()?;
        }
    }
}

/// A `subscriptions/listen` request (2026-07-28, Subscriptions).
#[derive(Debug)]
pub(crate) struct Subscription {
    id: Box<RawValue>,
    /// Whether changes of the list of tools are asked for. The gateway has nothing else to tell.
    tools: bool,
}

impl Subscription {
    pub(crate) fn read(request: &Request<'_>) -> Result<Self, RpcError> {
        debug_assert_eq!(request.method, LISTEN);
        let Some(filter) = request.params.get("notifications") else {
            return Err(RpcError::malformed_params(
                "Invalid params: `notifications` is not an object",
            ));
        };
        let filter = members("notifications", filter)?;
        let tools = match filter.get("toolsListChanged").map(RawValue::get) {
            Some("true") => true,
            None | Some("false" | "null") => false,
            Some(_) => {
                return Err(RpcError::malformed_params(
                    "Invalid params: `toolsListChanged` is not a boolean",
                ));
            }
        };
        Ok(Self {
            id: request.id.to_owned(),
            tools,
        })
    }

    /// Its messages, each on one line: the acknowledgement, the changes, and, when it is not the
    /// client who ends it, a cancellation and the response.
    pub(crate) fn messages(
        self,
        changes: ListChanges,
    ) -> impl Stream<Item = String> + Send + 'static {
        stream::unfold(
            (self, changes, Step::Acknowledge),
            |(this, mut changes, step)| async move {
                let (message, next) = match step {
                    Step::Acknowledge => (this.acknowledged(), Step::Announce),
                    Step::Announce => loop {
                        match changes.next().await {
                            Some(()) if this.tools => break (this.changed(), Step::Announce),
                            Some(()) => {}
                            None => break (this.cancelled(), Step::Respond),
                        }
                    },
                    Step::Respond => (this.response(), Step::End),
                    Step::End => return None,
                };
                Some((message, (this, changes, next)))
            },
        )
    }

    fn acknowledged(&self) -> String {
        let granted = if self.tools {
            r#"{"toolsListChanged":true}"#
        } else {
            "{}"
        };
        self.notification(
            "notifications/subscriptions/acknowledged",
            &format!(r#","notifications":{granted}"#),
        )
    }

    fn changed(&self) -> String {
        self.notification("notifications/tools/list_changed", "")
    }

    /// 2026-07-28, Cancellation: a server says so when it ends a subscription.
    fn cancelled(&self) -> String {
        self.notification(
            "notifications/cancelled",
            &format!(r#","requestId":{}"#, self.id.get()),
        )
    }

    fn notification(&self, method: &str, members: &str) -> String {
        let id = self.id.get();
        format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}{members}}}}}"#
        )
    }

    /// 2026-07-28, Subscriptions, Graceful Closure.
    fn response(&self) -> String {
        let id = self.id.get();
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
        )
    }
}

/// What a subscription says next.
#[derive(Debug, Clone, Copy)]
enum Step {
    Acknowledge,
    Announce,
    Respond,
    End,
}
