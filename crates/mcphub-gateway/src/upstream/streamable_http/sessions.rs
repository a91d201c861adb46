//! Sessions with a server of the legacy era, each for one session of a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcphub_core::shared::SessionKey;
use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::session::Session;
use super::wire::Era;
use crate::upstream::owner::Owner;

/// The most sessions with one server. Of more, those that were not used for longest are forgotten:
/// whoever had one is met anew.
const MAX_SESSIONS: u64 = 1_024;

/// How long a session is kept that is not used.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The sessions with one server.
pub(super) struct UpstreamSessions {
    cache: Cache<Owner, Arc<OnceCell<Era>>>,
    /// Whether there ever was one: most servers keep none, and are not to be asked about each that a
    /// client ends.
    any: AtomicBool,
}

impl UpstreamSessions {
    pub(super) fn new() -> Self {
        let sessions = Cache::builder()
            .max_capacity(MAX_SESSIONS)
            .time_to_idle(IDLE)
            .build();
        Self {
            cache: sessions,
            any: AtomicBool::new(false),
        }
    }

    pub(super) fn of(&self, owner: Owner) -> Arc<OnceCell<Era>> {
        self.any.store(true, Ordering::Relaxed);
        self.cache.get_with(owner, Arc::default)
    }

    /// Whether there ever was one.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Forgets a session that is none any more, unless there is another one already.
    pub(super) fn forget(&self, owner: &Owner, wrong: &Arc<OnceCell<Era>>) {
        if self
            .cache
            .get(owner)
            .is_some_and(|known| Arc::ptr_eq(&known, wrong))
        {
            self.cache.invalidate(owner);
        }
    }

    /// Takes out those of a client's session, or all of them.
    pub(super) fn take(&self, of: Option<SessionKey>) -> Vec<Arc<Session>> {
        let mut taken = Vec::new();
        for (owner, cell) in &self.cache {
            if of.is_none() || owner.session() == of {
                self.cache.invalidate(&*owner);
                if let Some(Era::Legacy(session)) = cell.get() {
                    taken.push(Arc::clone(session));
                }
            }
        }
        taken
    }

    /// Ends those that were not used for long.
    pub(super) fn tidy(&self) {
        self.cache.run_pending_tasks();
    }
}
