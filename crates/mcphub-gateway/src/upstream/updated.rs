//! What a server tells of resources on a connection that several share, and who watches them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::broadcast;

use crate::members::Members;

/// The notification that a resource changed.
pub(super) const UPDATED: &str = "notifications/resources/updated";

/// How many updates wait for a watcher; of more it hears that it missed some.
const WAITING: usize = 256;

/// The updates of resources of one connection.
#[derive(Default)]
pub(super) struct Updated {
    /// Made for who watches first: it has room for all that waits from the beginning.
    sender: OnceLock<broadcast::Sender<Update>>,
    watched: Mutex<HashMap<String, usize>>,
}

/// What a watcher hears.
#[derive(Debug, Clone)]
pub(super) enum Update {
    /// A resource may have changed.
    Of(Arc<str>),
    /// Something was missed: the server has to be asked to tell again.
    Lost,
}

impl Updated {
    /// Updates from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Update> {
        let sender = self.sender.get_or_init(|| broadcast::Sender::new(WAITING));
        sender.subscribe()
    }

    /// Tells of an update, from the `params` of its notification.
    pub(super) fn tell(&self, params: Option<&RawValue>) {
        if let Some(uri) = params.and_then(uri) {
            self.send(Update::Of(uri.into()));
        }
    }

    /// Tells that the connection was lost, and what it was to tell.
    pub(super) fn lost(&self) {
        self.send(Update::Lost);
    }

    fn send(&self, update: Update) {
        if let Some(sender) = self.sender.get() {
            // Fails when nobody watches any more.
            let _ = sender.send(update);
        }
    }

    /// One more watches each of these.
    pub(super) fn watch(&self, uris: &[String]) {
        let mut watched = self.watched();
        for uri in uris {
            *watched.entry(uri.clone()).or_default() += 1;
        }
    }

    /// One less watches each of these. Those that nobody watches any more are given.
    pub(super) fn unwatch(&self, uris: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut watched = self.watched();
        let mut ended = Vec::new();
        for uri in uris {
            if let Some(count) = watched.get_mut(&uri) {
                *count -= 1;
                if *count == 0 {
                    watched.remove(&uri);
                    ended.push(uri);
                }
            }
        }
        ended
    }

    /// Whether somebody watches this.
    pub(super) fn is_watched(&self, uri: &str) -> bool {
        self.watched().contains_key(uri)
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Each change is made whole before anything in it can panic.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The URI in the `params` of a notification of an update.
pub(super) fn uri(params: &RawValue) -> Option<String> {
    let params = Members::read(params.get()).ok()?;
    Some(params.string("uri").ok()??.into_owned())
}
