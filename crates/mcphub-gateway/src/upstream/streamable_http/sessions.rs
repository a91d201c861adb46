//! Sessions with a server of the legacy era, each for one session of a client.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::wire::Era;
use crate::upstream::owner::Owner;

/// The most sessions with one server. Of more, those that were not used for longest are forgotten:
/// whoever had one is met anew.
const MAX_SESSIONS: u64 = 1_024;

/// How long a session is kept that is not used.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The sessions with one server.
pub(super) struct UpstreamSessions(Cache<Owner, Arc<OnceCell<Era>>>);

impl UpstreamSessions {
    pub(super) fn new() -> Self {
        let sessions = Cache::builder()
            .max_capacity(MAX_SESSIONS)
            .time_to_idle(IDLE)
            .build();
        Self(sessions)
    }

    pub(super) fn of(&self, owner: Owner) -> Arc<OnceCell<Era>> {
        self.0.get_with(owner, Arc::default)
    }

    /// Forgets a session that is none any more, unless there is another one already.
    pub(super) fn forget(&self, owner: &Owner, wrong: &Arc<OnceCell<Era>>) {
        if self
            .0
            .get(owner)
            .is_some_and(|known| Arc::ptr_eq(&known, wrong))
        {
            self.0.invalidate(owner);
        }
    }
}
