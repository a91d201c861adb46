//! Requests of the old era that can be cancelled by a message (2025-11-25, Cancellation).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcphub_core::shared::SessionKey;
use tokio::sync::Notify;

/// What runs for sessions, by the id of the request.
#[derive(Debug, Default)]
pub(crate) struct Cancellable(Mutex<Running>);

/// By session and id.
type Running = HashMap<(SessionKey, Box<str>), Arc<Notify>>;

/// A request that can be cancelled as long as this is there.
#[derive(Debug)]
pub(crate) struct Cancellation {
    all: Arc<Cancellable>,
    key: (SessionKey, Box<str>),
    signal: Arc<Notify>,
}

impl Cancellable {
    /// A request that runs. Of two with one id in one session, the newer can be cancelled.
    pub(crate) fn begin(self: &Arc<Self>, session: SessionKey, id: &str) -> Cancellation {
        let key = (session, Box::from(id));
        let signal = Arc::new(Notify::new());
        self.lock().insert(key.clone(), Arc::clone(&signal));
        Cancellation {
            all: Arc::clone(self),
            key,
            signal,
        }
    }

    /// Cancels a request. An id that is not running is ignored.
    pub(crate) fn cancel(&self, session: SessionKey, id: &str) {
        if let Some(signal) = self.lock().remove(&(session, Box::from(id))) {
            signal.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        // Each change is made whole before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancellation {
    /// Waits until the request is cancelled.
    pub(crate) async fn cancelled(&self) {
        self.signal.notified().await;
    }
}

impl Drop for Cancellation {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if all
            .get(&self.key)
            .is_some_and(|known| Arc::ptr_eq(known, &self.signal))
        {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn only_the_named_request_of_the_session_is_cancelled() {
        let all = Arc::new(Cancellable::default());
        let (one, other) = (SessionKey::of("a"), SessionKey::of("b"));
        let requests = [
            all.begin(one, "1"),
            all.begin(one, "\"1\""),
            all.begin(other, "1"),
        ];
        all.cancel(one, "1");
        all.cancel(one, "7");
        let cancelled = requests.each_ref().map(|it| it.cancelled().now_or_never());
        assert_eq!(cancelled, [Some(()), None, None]);
        drop(requests);
        assert!(all.lock().is_empty());
    }

    #[test]
    fn an_older_request_does_not_take_the_newer_with_it() {
        let all = Arc::new(Cancellable::default());
        let session = SessionKey::of("a");
        let older = all.begin(session, "1");
        let newer = all.begin(session, "1");
        drop(older);
        all.cancel(session, "1");
        assert!(newer.cancelled().now_or_never().is_some());
    }
}
