//! Ended sessions of a single process.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{SessionKey, Sessions};
use moka::Expiry;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// Remembers at most [`MemorySessions::CAPACITY`] ended sessions, of those the ones that were ended,
/// or asked for, last.
#[derive(Debug, Clone)]
pub struct MemorySessions {
    ended: Cache<SessionKey, Instant>,
}

impl MemorySessions {
    /// How many sessions are remembered.
    pub const CAPACITY: u64 = 100_000;

    /// No session was ended.
    pub fn new() -> Self {
        Self {
            ended: Cache::builder()
                .max_capacity(Self::CAPACITY)
                .eviction_policy(EvictionPolicy::lru())
                .expire_after(At)
                .build(),
        }
    }
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Sessions for MemorySessions {
    async fn end(&self, session: &SessionKey, keep: Duration) -> Result<()> {
        let Some(until) = Instant::now().checked_add(keep) else {
            return Err(mcphub_core::Error::invalid("nothing is kept for so long"));
        };
        self.ended
            .entry_by_ref(session)
            .and_compute_with(|known| match known {
                Some(known) if *known.value() >= until => Op::Nop,
                _ => Op::Put(until),
            });
        Ok(())
    }

    async fn has_ended(&self, session: &SessionKey) -> Result<bool> {
        Ok(self.ended.get(session).is_some())
    }
}

/// Each is forgotten at its own time.
struct At;

impl Expiry<SessionKey, Instant> for At {
    fn expire_after_create(&self, _: &SessionKey, at: &Instant, now: Instant) -> Option<Duration> {
        Some(at.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &SessionKey,
        at: &Instant,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(at.saturating_duration_since(now))
    }
}
