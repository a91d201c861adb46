//! Sessions with a server of the legacy era, each for one session of a client.

use std::sync::{Arc, OnceLock};
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
#[derive(Default)]
pub(super) struct UpstreamSessions {
    /// Made for the first one: most servers keep none, and an empty cache takes 100 KiB.
    cache: OnceLock<Cache<Owner, Arc<OnceCell<Era>>>>,
}

impl UpstreamSessions {
    pub(super) fn of(&self, owner: Owner) -> Arc<OnceCell<Era>> {
        let cache = self.cache.get_or_init(|| {
            Cache::builder()
                .max_capacity(MAX_SESSIONS)
                .time_to_idle(IDLE)
                .build()
        });
        cache.get_with(owner, Arc::default)
    }

    /// Whether there ever was one.
    pub(super) fn any(&self) -> bool {
        self.cache.get().is_some()
    }

    /// Forgets a session that is none any more, unless there is another one already.
    pub(super) fn forget(&self, owner: &Owner, wrong: &Arc<OnceCell<Era>>) {
        let Some(cache) = self.cache.get() else {
            return;
        };
        let known = cache.get(owner);
        if known.is_some_and(|known| Arc::ptr_eq(&known, wrong)) {
            cache.invalidate(owner);
        }
    }

    /// Takes out those of a client's session, or all of them.
    pub(super) fn take(&self, of: Option<SessionKey>) -> Vec<Arc<Session>> {
        let mut taken = Vec::new();
        let Some(cache) = self.cache.get() else {
            return taken;
        };
        for (owner, cell) in cache {
            if of.is_none() || owner.session() == of {
                cache.invalidate(&*owner);
                if let Some(Era::Legacy(session)) = cell.get() {
                    taken.push(Arc::clone(session));
                }
            }
        }
        taken
    }

    /// Ends those that were not used for long.
    pub(super) fn tidy(&self) {
        if let Some(cache) = self.cache.get() {
            cache.run_pending_tasks();
        }
    }
}
