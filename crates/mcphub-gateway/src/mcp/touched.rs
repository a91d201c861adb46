//! Which servers may keep something for a session, so that its end is told to no others.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use mcphub_core::shared::SessionKey;
use moka::sync::Cache;

use crate::upstream::Upstream;

/// The most sessions of which it is known. Of more, those that were not used for longest are
/// forgotten: what servers keep for them ends by itself.
const MAX_SESSIONS: u64 = 10_000;

/// How long it is known of a session that is not used. No server keeps anything for longer.
const IDLE: Duration = Duration::from_secs(30 * 60);

/// The most servers of one session that are told apart.
const MAX_SERVERS: usize = 256;

/// The servers by session.
#[derive(Default)]
pub(crate) struct Touched {
    /// Made for the first one, because an empty cache takes 100 KiB.
    sessions: OnceLock<Cache<SessionKey, Arc<Mutex<Servers>>>>,
}

/// Whom the end of a session is told to.
#[derive(Debug)]
pub(crate) enum Told {
    /// These servers.
    Some(Vec<Arc<dyn Upstream>>),
    /// Too many to be told apart: all.
    All,
}

/// By address, which nobody else has while there is a reference. `None`: too many.
type Servers = Option<HashMap<usize, Weak<dyn Upstream>>>;

impl Touched {
    /// A server may keep something for a session from now on.
    pub(crate) fn by(&self, session: SessionKey, server: &Arc<dyn Upstream>) {
        let sessions = self.sessions.get_or_init(|| {
            Cache::builder()
                .max_capacity(MAX_SESSIONS)
                .time_to_idle(IDLE)
                .build()
        });
        let servers = sessions.get_with(session, || Arc::new(Mutex::new(Some(HashMap::new()))));
        let mut servers = servers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = &mut *servers else { return };
        let address = Arc::as_ptr(server).cast::<()>().addr();
        if known.contains_key(&address) {
            return;
        }
        if known.len() >= MAX_SERVERS {
            // Those that were registered anew since.
            known.retain(|_, server| server.strong_count() > 0);
        }
        if known.len() < MAX_SERVERS {
            known.insert(address, Arc::downgrade(server));
        } else {
            *servers = None;
        }
    }

    /// A session has ended: whom that is told to.
    pub(crate) fn take(&self, session: SessionKey) -> Told {
        let servers = self.sessions.get().and_then(|it| it.remove(&session));
        let Some(servers) = servers else {
            return Told::Some(Vec::new());
        };
        let servers = servers.lock().unwrap_or_else(PoisonError::into_inner);
        match &*servers {
            Some(known) => Told::Some(known.values().filter_map(Weak::upgrade).collect()),
            None => Told::All,
        }
    }
}

impl fmt::Debug for Touched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Touched").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures::stream::{self, BoxStream, StreamExt};
    use mcphub_core::call::Arguments;
    use mcphub_core::{Error, Result};

    use super::*;
    use crate::upstream::{CallResult, UpstreamTool};

    #[derive(Debug)]
    struct Server;

    #[async_trait]
    impl Upstream for Server {
        async fn tools(&self) -> Result<Vec<UpstreamTool>> {
            Ok(Vec::new())
        }

        async fn call(&self, _tool: &str, _arguments: &Arguments<'_>) -> Result<CallResult> {
            Err(Error::internal("nobody calls it"))
        }

        fn changes(&self) -> BoxStream<'static, ()> {
            stream::pending().boxed()
        }
    }

    fn server() -> Arc<dyn Upstream> {
        Arc::new(Server)
    }

    fn told(touched: &Touched, session: SessionKey) -> Option<usize> {
        match touched.take(session) {
            Told::Some(servers) => Some(servers.len()),
            Told::All => None,
        }
    }

    #[test]
    fn the_end_of_a_session_is_told_to_its_servers_once() {
        let (touched, one) = (Touched::default(), SessionKey::of("one"));
        let (first, second) = (server(), server());
        assert_eq!(told(&touched, one), Some(0));
        touched.by(one, &first);
        touched.by(one, &first);
        touched.by(one, &second);
        touched.by(one, &server());
        assert_eq!(told(&touched, SessionKey::of("other")), Some(0));
        assert_eq!(told(&touched, one), Some(2), "the third is gone");
        assert_eq!(told(&touched, one), Some(0));
    }

    #[test]
    fn the_end_of_a_session_of_very_many_servers_is_told_to_all() {
        let (touched, one) = (Touched::default(), SessionKey::of("one"));
        for _ in 0..2 * MAX_SERVERS {
            touched.by(one, &server());
        }
        assert_eq!(told(&touched, one), Some(0), "none of them is left");
        let servers: Vec<_> = (0..=MAX_SERVERS).map(|_| server()).collect();
        for server in &servers {
            touched.by(one, server);
        }
        assert_eq!(told(&touched, one), None);
    }
}
