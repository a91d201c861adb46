//! The rate limiter of a single process.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{Decision, Rate, RateLimiter};

/// A rate limiter for at most [`MemoryRateLimiter::CAPACITY`] keys. Beyond that, those are forgotten
/// first whose burst is whole soonest, so that a flood of new ones frees none that is busy.
#[derive(Debug, Clone)]
pub struct MemoryRateLimiter(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    begun: Instant,
    /// Nobody outside knows which keys it gives the same number.
    hasher: RandomState,
    parts: [Mutex<Part>; PARTS],
    /// The most keys of a part.
    capacity: usize,
}

/// How many keys can be decided about at once.
const PARTS: usize = 64;

/// Some of the keys, by their hash.
#[derive(Debug, Default)]
struct Part {
    /// When the burst of each is whole, in microseconds of the limiter.
    due: HashMap<u64, u64>,
    /// At so many keys it is looked which are whole.
    room: usize,
}

impl MemoryRateLimiter {
    /// How many keys are remembered.
    pub const CAPACITY: usize = 100_000;

    /// A limiter that knows nobody.
    pub fn new() -> Self {
        Self::for_keys(Self::CAPACITY)
    }

    fn for_keys(capacity: usize) -> Self {
        Self(Arc::new(Parts {
            begun: Instant::now(),
            hasher: RandomState::new(),
            parts: std::array::from_fn(|_| Mutex::default()),
            capacity: capacity / PARTS,
        }))
    }

    /// Decides at once.
    pub fn decide(&self, key: &str, rate: Rate) -> Decision {
        let key = self.0.hasher.hash_one(key);
        let mut part = self.0.part(key);
        // Read while nobody else can decide about this key, so that times of a key never go back.
        let now = u64::try_from(self.0.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let due = part.due.get(&key).copied().unwrap_or(0);
        let (decision, next) = rate.decide(due, now);
        if let Some(next) = next {
            part.put(key, next, now, self.0.capacity);
        }
        decision
    }
}

impl Parts {
    fn part(&self, key: u64) -> MutexGuard<'_, Part> {
        // The remainder is below the number of parts.
        let part = &self.parts[(key % PARTS as u64) as usize];
        // Each change is made whole before anything in it can panic.
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn put(&mut self, key: u64, due: u64, now: u64, capacity: usize) {
        if let Some(known) = self.due.get_mut(&key) {
            *known = due;
            return;
        }
        if self.due.len() >= self.room {
            self.due.retain(|_, due| *due > now);
            if self.due.len() >= capacity
                && let Some((&soonest, _)) = self.due.iter().min_by_key(|(_, due)| **due)
            {
                self.due.remove(&soonest);
            }
            // So that keys which are whole take no more room than those which are not.
            self.room = (self.due.len() * 2).clamp(1, capacity);
        }
        self.due.insert(key, due);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    fn known(limiter: &MemoryRateLimiter) -> usize {
        let parts = limiter.0.parts.iter();
        parts.map(|part| part.lock().unwrap().due.len()).sum()
    }

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
        assert!(known(&limiter) <= 1_000);
    }

    #[test]
    fn keys_whose_bursts_are_whole_give_their_room_to_others() {
        let limiter = MemoryRateLimiter::new();
        let rate: Rate = "100/s".parse().unwrap();
        for number in 0..1_000 {
            limiter.decide(&number.to_string(), rate);
        }
        let (begun, mut number, mut most) = (Instant::now(), 1_000, known(&limiter));
        // Each is whole a hundredth of a second after its only request.
        while known(&limiter) >= most {
            most = most.max(known(&limiter));
            assert!(begun.elapsed() < Duration::from_secs(10));
            limiter.decide(&number.to_string(), rate);
            number += 1;
        }
    }
}
