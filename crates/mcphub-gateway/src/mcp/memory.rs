//! What a client of the old era said once and for its whole session.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use mcphub_core::shared::SessionKey;
use moka::sync::Cache;
use tokio::sync::watch;

use super::level::Level;

/// The most sessions of which something is remembered. Of more, those that were not used for
/// longest are forgotten.
const MAX_SESSIONS: u64 = 100_000;

/// How long it is remembered when the session is not used.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// The most resources that one session may watch.
pub(crate) const MAX_WATCHED: usize = 1_000;

/// What sessions said, on this node: a client that meets another one says it there.
pub(crate) struct Memories(Cache<SessionKey, Arc<Memory>>);

/// What one session said.
#[derive(Debug)]
pub(crate) struct Memory {
    /// One more than the [`Level`], or zero.
    level: AtomicU8,
    watched: watch::Sender<BTreeSet<String>>,
}

impl Memories {
    pub(crate) fn new() -> Self {
        let sessions = Cache::builder()
            .max_capacity(MAX_SESSIONS)
            .time_to_idle(IDLE)
            .build();
        Self(sessions)
    }

    /// What a session said, to be added to.
    pub(crate) fn of(&self, session: SessionKey) -> Arc<Memory> {
        self.0.get_with(session, Arc::default)
    }

    /// The level of log messages that a session asked for.
    pub(crate) fn level(&self, session: Option<SessionKey>) -> Option<Level> {
        self.0.get(&session?)?.level()
    }

    /// The session has ended.
    pub(crate) fn forget(&self, session: SessionKey) {
        self.0.invalidate(&session);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            level: AtomicU8::new(0),
            watched: watch::Sender::default(),
        }
    }
}

impl Memory {
    pub(crate) fn level(&self) -> Option<Level> {
        Level::from_rank(self.level.load(Ordering::Relaxed).checked_sub(1)?)
    }

    pub(crate) fn set_level(&self, level: Level) {
        self.level.store(level as u8 + 1, Ordering::Relaxed);
    }

    /// Watches a resource, by its public URI. `false` when there are too many.
    pub(crate) fn watch(&self, uri: &str) -> bool {
        let mut fits = true;
        self.watched.send_if_modified(|watched| {
            fits = watched.len() < MAX_WATCHED || watched.contains(uri);
            fits && watched.insert(uri.to_owned())
        });
        fits
    }

    pub(crate) fn unwatch(&self, uri: &str) {
        self.watched.send_if_modified(|watched| watched.remove(uri));
    }

    /// The resources that are watched, and each change of that.
    pub(crate) fn watched(&self) -> watch::Receiver<BTreeSet<String>> {
        self.watched.subscribe()
    }
}

impl fmt::Debug for Memories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memories").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_remembers_its_level_and_what_it_watches() {
        let memories = Memories::new();
        let (one, other) = (SessionKey::of("a"), SessionKey::of("b"));
        memories.of(one).set_level(Level::Debug);
        memories.of(one).set_level(Level::Emergency);
        assert_eq!(memories.level(Some(one)), Some(Level::Emergency));
        assert_eq!(
            (memories.level(Some(other)), memories.level(None)),
            (None, None)
        );
        let memory = memories.of(one);
        let watched = memory.watched();
        for n in 0..MAX_WATCHED {
            assert!(memory.watch(&format!("a:{n}")));
        }
        assert!(memory.watch("a:0") && !memory.watch("a:more"));
        memory.unwatch("a:0");
        assert_eq!(watched.borrow().len(), MAX_WATCHED - 1);
        memories.forget(one);
        assert_eq!(memories.level(Some(one)), None);
    }
}
