//! The rate limiter of a single process.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{Decision, Rate, RateLimiter};
use moka::Expiry;
use moka::ops::compute::Op;
use moka::sync::Cache;

use crate::digest::Digested;

/// A rate limiter for at most [`MemoryRateLimiter::CAPACITY`] keys. Beyond that, keys that are rarely
/// used are forgotten first, so that a flood of new ones frees none that is busy.
#[derive(Debug, Clone)]
pub struct MemoryRateLimiter {
    begun: Instant,
    used: Cache<Digested, Used>,
}

/// What is kept of a key.
#[derive(Debug, Clone, Copy)]
struct Used {
    due: u64,
    /// How long that is from when it was written.
    lasts: Duration,
}

impl MemoryRateLimiter {
    /// How many keys are remembered.
    pub const CAPACITY: u64 = 100_000;

    /// A limiter that knows nobody.
    pub fn new() -> Self {
        Self::for_keys(Self::CAPACITY)
    }

    fn for_keys(capacity: u64) -> Self {
        Self {
            begun: Instant::now(),
            used: Cache::builder()
                .max_capacity(capacity)
                .expire_after(UntilDue)
                .build(),
        }
    }

    /// Decides at once.
    pub fn decide(&self, key: &str, rate: Rate) -> Decision {
        let mut decision = None;
        self.used
            .entry(Digested::of(key))
            .and_compute_with(|known| {
                // Read while nobody else can decide about this key, so that times of a key never go back.
                let now = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                let due = known.map_or(0, |known| known.into_value().due);
                let (decided, next) = rate.decide(due, now);
                decision = Some(decided);
                match next {
                    Some(due) => Op::Put(Used {
                        due,
                        lasts: Duration::from_micros(due - now),
                    }),
                    None => Op::Nop,
                }
            });
        // The closure always ran.
        decision.unwrap_or(Decision::Allowed { remaining: 0 })
    }
}

impl Default for MemoryRateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RateLimiter for MemoryRateLimiter {
    async fn take(&self, key: &str, rate: Rate) -> Result<Decision> {
        Ok(self.decide(key, rate))
    }
}

/// A key is forgotten once its burst is whole again.
struct UntilDue;

impl Expiry<Digested, Used> for UntilDue {
    fn expire_after_create(&self, _: &Digested, used: &Used, _: Instant) -> Option<Duration> {
        Some(used.lasts)
    }

    fn expire_after_update(
        &self,
        _: &Digested,
        used: &Used,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(used.lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn threads_together_get_no_more_than_the_burst() {
        let limiter = MemoryRateLimiter::new();
        let rate: Rate = "1000/d".parse().unwrap();
        let allowed = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..500)
                            .filter(|_| {
                                matches!(limiter.decide("key", rate), Decision::Allowed { .. })
                            })
                            .count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(allowed, 1_000);
    }

    #[test]
    fn a_flood_of_keys_is_bounded_and_frees_no_busy_one() {
        let limiter = MemoryRateLimiter::for_keys(1_000);
        let rate: Rate = "5/d".parse().unwrap();
        for _ in 0..50 {
            limiter.decide("busy", rate);
        }
        for number in 0..5_000 {
            limiter.decide(&number.to_string(), rate);
            if number % 50 == 0 {
                let busy = limiter.decide("busy", rate);
                assert!(
                    matches!(busy, Decision::Limited { .. }),
                    "after {number} keys"
                );
            }
        }
        limiter.used.run_pending_tasks();
        assert!(limiter.used.entry_count() <= 1_000);
    }

    #[test]
    fn a_key_costs_nothing_once_its_burst_is_whole() {
        let limiter = MemoryRateLimiter::new();
        let rate: Rate = "100/s".parse().unwrap();
        limiter.decide("key", rate);
        let begun = Instant::now();
        while limiter.used.contains_key(&Digested::of("key")) {
            assert!(begun.elapsed() < Duration::from_secs(10));
            thread::yield_now();
        }
    }
}
