//! When a request goes to a second replica.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mcphub_core::connection::Hedge;

/// How many of the last answers are looked at, and after how many it is done again.
const LOOKED_AT: usize = 128;
const EVERY: usize = 16;

/// From how many on their number means something.
const ENOUGH: usize = 32;

/// What a second request costs, and what each request gives: so at most one in ten goes twice, and
/// at most ten in a row.
const COST: u32 = 10;
const MOST: u32 = 100;

/// How long answers take, and how many requests may still go twice.
#[derive(Debug)]
pub(super) struct Pace {
    hedge: Hedge,
    credit: AtomicU32,
    /// In microseconds; 0 while nothing is known.
    slow: AtomicU64,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    micros: Vec<u64>,
    at: usize,
}

impl Pace {
    pub(super) fn new(hedge: Hedge) -> Self {
        Self {
            hedge,
            credit: AtomicU32::new(MOST),
            slow: AtomicU64::new(0),
            recent: Mutex::default(),
        }
    }

    /// After how long a request goes a second time; `None` while that is not known.
    pub(super) fn delay(&self) -> Option<Duration> {
        match self.hedge {
            Hedge::After(after) => Some(after),
            _ => match self.slow.load(Ordering::Relaxed) {
                0 => None,
                slow => Some(Duration::from_micros(slow)),
            },
        }
    }

    /// Whether one more request may go twice; then it is counted.
    pub(super) fn spend(&self) -> bool {
        let spent = |credit: u32| credit.checked_sub(COST);
        let order = Ordering::Relaxed;
        self.credit.fetch_update(order, order, spent).is_ok()
    }

    /// A request was answered after so long.
    pub(super) fn note(&self, took: Duration) {
        let earned = |credit: u32| (credit < MOST).then_some(credit + 1);
        let order = Ordering::Relaxed;
        let _ = self.credit.fetch_update(order, order, earned);
        if self.hedge != Hedge::Slowest {
            return;
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        // Each change is made whole before anything in it can panic.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.at;
        match recent.micros.get_mut(at) {
            Some(oldest) => *oldest = micros,
            None => recent.micros.push(micros),
        }
        recent.at = (at + 1) % LOOKED_AT;
        let known = recent.micros.len();
        if known >= ENOUGH && recent.at.is_multiple_of(EVERY) {
            let mut sorted = recent.micros.clone();
            drop(recent);
            let (_, slow, _) = sorted.select_nth_unstable(known * 95 / 100);
            self.slow.store(*slow, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_slowest_of_the_last_answers_say_when() {
        let pace = Pace::new(Hedge::Slowest);
        for _ in 0..31 {
            pace.note(MILLISECOND);
        }
        assert_eq!(pace.delay(), None, "too few are known");
        for at in 0..256 {
            pace.note(if at % 10 == 0 { 9 } else { 1 } * MILLISECOND);
        }
        assert_eq!(pace.delay(), Some(9 * MILLISECOND));
        for _ in 0..128 {
            pace.note(2 * MILLISECOND);
        }
        assert_eq!(pace.delay(), Some(2 * MILLISECOND), "it forgets");
    }

    #[test]
    fn at_most_one_request_in_ten_goes_twice() {
        let pace = Pace::new(Hedge::After(MILLISECOND));
        let twice = (0..1_000).filter(|_| {
            pace.note(MILLISECOND);
            pace.spend()
        });
        assert_eq!(twice.count(), 109, "one in ten, and ten at the beginning");
        assert_eq!(pace.delay(), Some(MILLISECOND));
    }
}
