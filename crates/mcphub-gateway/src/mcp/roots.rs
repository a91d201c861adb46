//! Who is told that the roots of a client changed: the servers of before 2026-07-28 that asked for them
//! in its session (2025-11-25, Roots, Root List Changes). In the modern era a server asks again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use mcphub_core::server::ServerName;
use mcphub_core::shared::SessionKey;
use moka::sync::Cache;
use serde_json::value::RawValue;
use tokio::runtime::Handle;

use crate::upstream::Tell;

/// The method by which a server asks.
pub(crate) const LIST: &str = "roots/list";

/// The notification.
pub(crate) const CHANGED: &str = "notifications/roots/list_changed";

/// The most sessions in which servers asked; those that were not used for longest are forgotten.
const MAX_SESSIONS: u64 = 4_096;

/// How long one is remembered in which nothing is asked or told.
const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// The most servers that are told in a session.
const MAX_SERVERS: usize = 256;

/// How many are told at once.
const AT_ONCE: usize = 16;

/// The servers that asked for roots, by the client's session.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    /// Made for the first: most servers never ask, and an empty cache takes 100 KiB.
    asked: OnceLock<Cache<SessionKey, Arc<Asked>>>,
}

#[derive(Debug, Default)]
struct Asked(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    servers: BTreeMap<ServerName, Arc<dyn Tell>>,
    /// They are being told.
    telling: bool,
    /// The roots changed meanwhile.
    again: bool,
}

impl Roots {
    /// A server asked for the roots of a client.
    pub(crate) fn asked(&self, session: SessionKey, server: &ServerName, teller: Arc<dyn Tell>) {
        let cache = self.asked.get_or_init(|| {
            Cache::builder()
                .max_capacity(MAX_SESSIONS)
                .time_to_idle(IDLE)
                .build()
        });
        let asked = cache.get_with(session, Arc::default);
        let mut state = asked.state();
        if state.servers.len() < MAX_SERVERS || state.servers.contains_key(server) {
            state.servers.insert(server.clone(), teller);
        }
    }

    /// The client says that its roots changed. Those who asked are told in the background, and once
    /// more where it says so again meanwhile, however often.
    pub(crate) fn changed(&self, session: SessionKey) {
        let asked = self.asked.get().and_then(|cache| cache.get(&session));
        let (Some(asked), Ok(runtime)) = (asked, Handle::try_current()) else {
            return;
        };
        let mut state = asked.state();
        if std::mem::replace(&mut state.telling, true) {
            state.again = true;
            return;
        }
        drop(state);
        runtime.spawn(async move { asked.tell().await });
    }

    /// The session has ended.
    pub(crate) fn forget(&self, session: SessionKey) {
        if let Some(cache) = self.asked.get() {
            cache.invalidate(&session);
        }
    }
}

impl Asked {
    async fn tell(&self) {
        let nothing = RawValue::from_string("{}".to_owned()).unwrap_or_default();
        loop {
            let servers = self.state().servers.clone();
            stream::iter(servers)
                .for_each_concurrent(AT_ONCE, async |(server, teller)| {
                    if let Err(error) = teller.tell(CHANGED, &nothing).await {
                        tracing::debug!(%server, error = %error.report(), "a server did not hear that roots changed");
                    }
                })
                .await;
            let mut state = self.state();
            if !std::mem::take(&mut state.again) {
                state.telling = false;
                return;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use mcphub_core::Result;
    use tokio::sync::Semaphore;

    use super::*;

    /// Counts what it is told, each time once somebody lets it.
    #[derive(Debug)]
    struct Counting {
        told: AtomicUsize,
        open: Semaphore,
    }

    #[async_trait]
    impl Tell for Counting {
        async fn tell(&self, method: &str, _: &RawValue) -> Result<()> {
            assert_eq!(method, CHANGED);
            self.open.acquire().await.unwrap().forget();
            self.told.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn changes_while_a_server_is_told_are_told_once_more_and_to_no_other_session() {
        let (roots, name) = (Roots::default(), ServerName::new("files").unwrap());
        let (one, other) = (SessionKey::of("a"), SessionKey::of("b"));
        let server = || {
            Arc::new(Counting {
                told: AtomicUsize::new(0),
                open: Semaphore::new(0),
            })
        };
        let (asked, elsewhere) = (server(), server());
        roots.asked(one, &name, asked.clone());
        roots.asked(other, &name, elsewhere.clone());
        for _ in 0..1_000 {
            roots.changed(one);
        }
        asked.open.add_permits(1_000);
        elsewhere.open.add_permits(1_000);
        settle().await;
        let told = |it: &Counting| it.told.load(Ordering::SeqCst);
        assert_eq!((told(&asked), told(&elsewhere)), (2, 0));
        roots.changed(one);
        settle().await;
        assert_eq!(told(&asked), 3);
        roots.forget(one);
        roots.changed(one);
        settle().await;
        assert_eq!(told(&asked), 3);
    }
}
