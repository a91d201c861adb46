//! How often something may happen.

use std::fmt;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use crate::{Error, Result};

/// Counts what has a [`Rate`], for all nodes together.
///
/// # Behavior
/// - Of one key, as many calls of `take` are allowed at once as the rate's burst says, however many
///   ask at the same time and at however many nodes, and one more after each interval.
/// - A refused call costs nothing: its `retry_after` is when the next one is allowed, if nobody else
///   takes it.
/// - An allowed call says how many more would be allowed now.
/// - Keys do not share what they may use.
/// - A key that was not used for as long as its burst takes to refill costs no memory.
#[async_trait]
pub trait RateLimiter: Send + Sync + Debug + 'static {
    /// Takes one of what `key` may use.
    async fn take(&self, key: &str, rate: Rate) -> Result<Decision>;
}

/// What a [`RateLimiter`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may happen.
    Allowed {
        /// How many more may happen now.
        remaining: u32,
    },
    /// It may not happen now.
    Limited {
        /// In how long it may. Never zero.
        retry_after: Duration,
    },
}

/// So many in so long, evenly, after a burst.
///
/// Written `COUNT/UNIT`: `100/s`, `600/m`, `5000/h`, `10000/d`. The interval between two is rounded
/// up to a whole microsecond. The burst is the count unless it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate {
    interval: u64,
    burst: u32,
}

impl Rate {
    /// The largest count, and the largest burst.
    pub const MAX_COUNT: u32 = 1_000_000;
    /// The longest time that a count may be for.
    pub const MAX_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);

    /// `count` in each `period`.
    ///
    /// # Errors
    /// `InvalidInput` when the count is not in 1 to [`Rate::MAX_COUNT`], when the period is longer
    /// than [`Rate::MAX_PERIOD`], and when less than a microsecond is left for each.
    pub fn new(count: u32, period: Duration) -> Result<Self> {
        if !(1..=Self::MAX_COUNT).contains(&count) {
            return Err(Error::invalid("the count of a rate is from 1 to 1,000,000"));
        }
        if period > Self::MAX_PERIOD {
            return Err(Error::invalid("a rate is for a day at most"));
        }
        let micros = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        if micros < u64::from(count) {
            return Err(Error::invalid("a rate is for a million a second at most"));
        }
        Ok(Self {
            interval: micros.div_ceil(u64::from(count)),
            burst: count,
        })
    }

    /// One in so many seconds: at least 1, and at most a day.
    #[must_use]
    pub fn every(seconds: u32) -> Self {
        Self {
            interval: u64::from(seconds.clamp(1, 24 * 60 * 60)) * 1_000_000,
            burst: 1,
        }
    }

    /// Another burst: how many may happen at once after a pause. Zero becomes one, and more than
    /// [`Rate::MAX_COUNT`], or than what refills in 30 days, becomes that.
    #[must_use]
    pub fn with_burst(mut self, burst: u32) -> Self {
        // Times within a backend are then far below 2^53 µs, which a double holds exactly.
        let refills = (30 * Self::MAX_PERIOD).as_micros() / u128::from(self.interval);
        let most = u32::try_from(refills).unwrap_or(u32::MAX);
        self.burst = burst.clamp(1, most.min(Self::MAX_COUNT));
        self
    }

    /// How many may happen at once.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// The time between two once the burst is used, in microseconds.
    pub fn interval_micros(self) -> u64 {
        self.interval
    }

    /// How long a used burst takes to refill, in microseconds: 30 days at most.
    pub fn refill_micros(self) -> u64 {
        self.interval.saturating_mul(u64::from(self.burst))
    }

    /// Decides about one call by the generic cell rate algorithm, as every backend does.
    ///
    /// `due` is what the limiter keeps of a key: the time at which its burst is whole again, zero
    /// for a key that it does not know. Gives the decision and the new `due` where there is one: of a
    /// call that is allowed, and of a key that is kept as due later than it can be. All times are
    /// microseconds of one clock; one that was set back shuts nobody out for longer than an interval.
    pub fn decide(self, due: u64, now: u64) -> (Decision, Option<u64>) {
        let latest = now.saturating_add(self.refill_micros());
        let (refill, known) = (latest - now, due);
        let due = due.clamp(now, latest);
        let next = due.saturating_add(self.interval);
        let used = next - now;
        if used > refill {
            let retry_after = Duration::from_micros(used - refill);
            // Otherwise it would be found as late again, until the clock is where it was.
            let mended = (known > latest).then_some(latest);
            return (Decision::Limited { retry_after }, mended);
        }
        let remaining = (refill - used) / self.interval;
        let remaining = u32::try_from(remaining).unwrap_or(u32::MAX);
        (Decision::Allowed { remaining }, Some(next))
    }
}

impl TryFrom<String> for Rate {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for Rate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("a rate is COUNT/UNIT with s, m, h or d, such as 100/s");
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(wrong()),
        };
        let count = count.trim().parse().map_err(|_| wrong())?;
        Self::new(count, Duration::from_secs(seconds))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = Duration::from_micros(self.interval);
        write!(f, "one every {interval:?} after a burst of {}", self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        let rate = |text: &str| {
            text.parse::<Rate>()
                .map(|r| (r.interval_micros(), r.burst()))
        };
        assert_eq!(rate("100/s").unwrap(), (10_000, 100));
        assert_eq!(rate(" 3 / m ").unwrap(), (20_000_000, 3));
        assert_eq!(rate("7/d").unwrap(), (12_342_857_143, 7));
        assert_eq!(rate("1000000/s").unwrap(), (1, 1_000_000));
        for wrong in [
            "",
            "100",
            "0/s",
            "-1/s",
            "1/w",
            "1000001/s",
            "1/s/s",
            "1e3/s",
            "99999999999/s",
        ] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_burst_is_from_one_to_the_largest_count() {
        let rate: Rate = "1/s".parse().unwrap();
        assert_eq!(rate.with_burst(0).burst(), 1);
        assert_eq!(rate.with_burst(u32::MAX).burst(), Rate::MAX_COUNT);
        let rate: Rate = "1/d".parse().unwrap();
        assert_eq!(Rate::every(u32::MAX), rate);
        assert_eq!(Rate::every(0), "1/s".parse().unwrap());
        assert_eq!(rate.with_burst(u32::MAX).burst(), 30);
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out_for_longer_than_an_interval() {
        let rate: Rate = "10/s".parse().unwrap();
        let retry_after = Duration::from_millis(100);
        let (decision, due) = rate.decide(u64::MAX, 5);
        assert_eq!(decision, Decision::Limited { retry_after });
        let (decision, _) = rate.decide(due.unwrap(), 100_005);
        assert_eq!(decision, Decision::Allowed { remaining: 0 });
    }

    proptest! {
        /// Whatever the gaps between calls: in any stretch of time no more are allowed than the
        /// burst and one for each interval, and whoever waits as told is allowed.
        #[test]
        fn no_more_than_the_rate_and_no_less(
            count in 1u32..50, burst in 1u32..20,
            gaps in proptest::collection::vec(0u64..200_000, 1..200),
        ) {
            let rate = Rate::new(count, Duration::from_secs(1)).unwrap().with_burst(burst);
            let (mut due, mut now) = (0, 1_000_000);
            let mut allowed = Vec::new();
            for gap in gaps {
                now += gap;
                match rate.decide(due, now) {
                    (Decision::Allowed { remaining }, Some(next)) => {
                        prop_assert!(remaining < burst);
                        due = next;
                        allowed.push(now);
                    }
                    (Decision::Limited { retry_after }, None) => {
                        let wait = u64::try_from(retry_after.as_micros()).unwrap();
                        prop_assert!(wait > 0 && wait <= rate.interval_micros());
                        prop_assert!(rate.decide(due, now + wait).1.is_some());
                        prop_assert!(rate.decide(due, now + wait - 1).1.is_none());
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            for (index, begin) in allowed.iter().enumerate() {
                for (offset, end) in allowed.iter().enumerate().skip(index) {
                    let taken = (offset - index + 1) as u64;
                    let most = u64::from(burst) + (end - begin) / rate.interval_micros();
                    prop_assert!(taken <= most, "{taken} of {most}");
                }
            }
        }
    }
}
