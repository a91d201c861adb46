//! Answers of one server that are kept, so that it is not asked again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcphub_core::Result;
use mcphub_core::catalog::CatalogServer;
use mcphub_core::shared::{Cache, CacheKey};
use tokio::time::{Instant, timeout_at};

use crate::metrics::{Looked, Meter};

/// What keeps answers of one server. Nothing fails by it: what cannot be looked up is asked for.
#[derive(Debug)]
pub(crate) struct AnswerCache {
    cache: Arc<dyn Cache>,
    meter: Arc<Meter>,
    /// What no other server has, nor this one with other addresses or credentials.
    server: CacheKey,
}

impl AnswerCache {
    /// Answers of a server as it is registered now: every change gives it another revision, and what
    /// was kept before is not found any more.
    pub(crate) fn of(server: &CatalogServer, cache: Arc<dyn Cache>, meter: Arc<Meter>) -> Self {
        let revision = server.revision.registry.to_be_bytes();
        Self {
            cache,
            meter,
            server: CacheKey::of([server.name.as_str().as_bytes(), &revision]),
        }
    }

    /// The key of an answer to what these parts say.
    pub(super) fn key<'a>(&'a self, parts: impl IntoIterator<Item = &'a [u8]>) -> CacheKey {
        CacheKey::of([&self.server.as_bytes()[..]].into_iter().chain(parts))
    }

    pub(super) async fn get(&self, key: &CacheKey, end: Instant) -> Option<Bytes> {
        in_time(self.cache.get(key), end).await.flatten()
    }

    pub(super) async fn put(&self, key: &CacheKey, value: Bytes, keep: Duration, end: Instant) {
        in_time(self.cache.put(key, value, keep), end).await;
    }

    pub(super) async fn remove(&self, key: &CacheKey, end: Instant) {
        in_time(self.cache.remove(key), end).await;
    }

    /// It was looked for an answer, with this outcome.
    pub(super) fn count(&self, looked: Looked) {
        self.meter.looked(looked);
    }
}

/// What came of a step within the time of its call.
async fn in_time<T>(step: impl Future<Output = Result<T>>, end: Instant) -> Option<T> {
    match timeout_at(end, step).await {
        Ok(Ok(done)) => Some(done),
        Ok(Err(error)) => {
            tracing::debug!(error = %error.report(), "a call goes on without the cache");
            None
        }
        Err(_) => None,
    }
}
