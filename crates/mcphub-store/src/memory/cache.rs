//! What a single process keeps.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use mcphub_core::Result;
use mcphub_core::shared::cache::{Cache, CacheKey, admit};
use moka::Expiry;

/// What an entry takes besides its value, about.
const OVERHEAD: usize = 256;

/// A cache of so many bytes, of which what is asked for often stays longest.
#[derive(Debug, Clone)]
pub struct MemoryCache {
    kept: moka::sync::Cache<CacheKey, Kept>,
}

#[derive(Debug, Clone)]
struct Kept {
    value: Bytes,
    until: Instant,
}

impl MemoryCache {
    /// A cache that keeps nothing yet, and at most so many bytes.
    pub fn new(size: u64) -> Self {
        let weigh = |_: &CacheKey, kept: &Kept| {
            u32::try_from(kept.value.len() + OVERHEAD).unwrap_or(u32::MAX)
        };
        Self {
            kept: moka::sync::Cache::builder()
                .max_capacity(size)
                .weigher(weigh)
                .expire_after(At)
                .build(),
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        Ok(self.kept.get(key).map(|kept| kept.value))
    }

    async fn put(&self, key: &CacheKey, value: Bytes, keep: Duration) -> Result<()> {
        admit(&value, keep)?;
        let until = Instant::now() + keep;
        self.kept.insert(*key, Kept { value, until });
        Ok(())
    }

    async fn remove(&self, key: &CacheKey) -> Result<()> {
        self.kept.invalidate(key);
        Ok(())
    }
}

/// Each ends at its own time.
struct At;

impl Expiry<CacheKey, Kept> for At {
    fn expire_after_create(&self, _: &CacheKey, kept: &Kept, now: Instant) -> Option<Duration> {
        Some(kept.until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &CacheKey,
        kept: &Kept,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(kept.until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    mcphub_core::cache_conformance!(async || {
        let cache: Arc<dyn Cache> = Arc::new(MemoryCache::new(8 << 20));
        (Arc::new([cache.clone(), cache]), ())
    });

    #[tokio::test]
    async fn no_more_is_kept_than_there_is_room_for() {
        const SIZE: u64 = 100_000;
        let cache = MemoryCache::new(SIZE);
        for number in 0..500_u64 {
            let key = CacheKey::of([&number.to_be_bytes()[..]]);
            let value = Bytes::from(vec![b'x'; 1_000]);
            cache
                .put(&key, value, Duration::from_secs(60))
                .await
                .unwrap();
        }
        cache.kept.run_pending_tasks();
        let held: usize = cache.kept.iter().map(|(_, kept)| kept.value.len()).sum();
        assert!((1_000..=SIZE as usize).contains(&held), "{held}");
    }
}
