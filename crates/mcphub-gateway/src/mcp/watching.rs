//! Resources that a client watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{BoxStream, SelectAll, StreamExt};
use mcphub_core::principal::Principal;
use mcphub_core::server::ServerName;
use tokio::sync::watch;

use crate::federation::Scope;
use crate::gateway::Inner;
use crate::roster::Signal;
use crate::upstream::Upstream;

/// The updates of resources of one endpoint.
pub(crate) struct Watching {
    gateway: Arc<Inner>,
    scope: Scope,
    /// Who watches, where clients are asked who they are.
    who: Option<Arc<Principal>>,
    signals: watch::Receiver<Signal>,
    /// What is watched, and each change of that.
    wanted: watch::Receiver<BTreeSet<String>>,
    /// The servers that are asked, and for what.
    asked: BTreeMap<ServerName, (Arc<dyn Upstream>, Vec<String>)>,
    updates: SelectAll<BoxStream<'static, String>>,
}

impl Watching {
    /// Watches the resources with these public URIs.
    pub(crate) fn new(
        gateway: &Arc<Inner>,
        scope: Scope,
        who: Option<Arc<Principal>>,
        wanted: watch::Receiver<BTreeSet<String>>,
    ) -> Self {
        let mut this = Self {
            gateway: Arc::clone(gateway),
            scope,
            who,
            signals: gateway.roster.signals(),
            wanted,
            asked: BTreeMap::new(),
            updates: SelectAll::new(),
        };
        this.look();
        this
    }

    /// The public URI of the next resource that may have changed. Waits for ever when nothing is
    /// watched. Nothing is lost when it is given up.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            let looked = tokio::select! {
                Some(uri) = self.updates.next() => return uri,
                Ok(()) = self.wanted.changed() => true,
                Ok(()) = self.signals.changed() => true,
                else => false,
            };
            if !looked {
                return std::future::pending().await;
            }
            self.look();
        }
    }

    /// Asks the servers that have what is watched now, unless they are asked for just that.
    fn look(&mut self) {
        self.signals.mark_unchanged();
        let Some(view) = self.gateway.view(&self.scope, self.who.as_deref()) else {
            return;
        };
        let mut asked: BTreeMap<ServerName, (Arc<dyn Upstream>, Vec<String>)> = BTreeMap::new();
        for uri in self.wanted.borrow_and_update().iter() {
            if let Ok(route) = view.resource(uri) {
                let server = asked.entry(route.server);
                let (_, uris) = server.or_insert_with(|| (route.upstream, Vec::new()));
                uris.push(route.own.into());
            }
        }
        let same = asked.len() == self.asked.len()
            && asked.iter().zip(&self.asked).all(|(now, before)| {
                let ((name, (upstream, uris)), (known, (asked, of))) = (now, before);
                name == known && Arc::ptr_eq(upstream, asked) && uris == of
            });
        if same {
            return;
        }
        self.updates = SelectAll::new();
        for (server, (upstream, uris)) in &asked {
            let Some(relay) = upstream.relay() else {
                continue;
            };
            let (view, server) = (Arc::clone(&view), server.clone());
            let public = move |own: String| view.public_uri(&server, &own);
            self.updates
                .push(relay.updates(uris.clone()).map(public).boxed());
        }
        self.asked = asked;
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
