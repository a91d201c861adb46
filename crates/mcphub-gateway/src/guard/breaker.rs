//! The circuit breaker: closed, open, half-open with one probe. Its clock is the caller's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcphub_core::event::Circuit;
use tokio::time::Instant;

use super::settings::GuardSettings;
use super::{Refused, Why};

/// When a call was let through: how often the circuit had turned. What a call says that was let
/// through before the last turn counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// The circuit of one server.
#[derive(Debug)]
pub(super) struct Breaker {
    /// What a call has to know while all is well: the epoch, and below it the [`Mood`].
    word: AtomicU64,
    state: Mutex<State>,
    failures: u32,
    pause: Duration,
    max_pause: Duration,
}

/// Closed, and the last call was answered.
const QUIET: u64 = 0;
/// Closed, and the last call failed.
const WARY: u64 = 1;
/// Not closed.
const SHUT: u64 = 2;
const MOODS: u64 = 3;

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        /// How often in a row.
        times: u32,
        why: Arc<str>,
    },
    HalfOpen {
        /// Whether the one call is on its way.
        probing: bool,
        times: u32,
        why: Arc<str>,
    },
}

type Let = Result<(Epoch, Option<Circuit>), Refused>;

impl Breaker {
    pub(super) fn new(settings: &GuardSettings) -> Self {
        Self {
            word: AtomicU64::new(QUIET),
            state: Mutex::new(State::Closed { failures: 0 }),
            failures: settings.failures,
            pause: settings.pause,
            max_pause: settings.max_pause,
        }
    }

    /// Whether a call may go, in which epoch, and how that turned the circuit.
    pub(super) fn admit(&self, now: impl FnOnce() -> Instant) -> Let {
        let word = self.word.load(Ordering::Acquire);
        if word & MOODS != SHUT {
            return Ok((Epoch(word >> 2), None));
        }
        self.probe(now())
    }

    /// The server answered.
    pub(super) fn answered(&self, epoch: Epoch) -> Option<Circuit> {
        if self.word.load(Ordering::Acquire) == epoch.0 << 2 | QUIET {
            return None;
        }
        let mut state = self.state();
        if self.epoch() != epoch {
            return None;
        }
        let turned = match *state {
            State::Closed { .. } => {
                *state = State::Closed { failures: 0 };
                self.set(QUIET);
                return None;
            }
            State::HalfOpen { probing: true, .. } => Some(Circuit::Closed),
            State::HalfOpen { .. } | State::Open { .. } => return None,
        };
        *state = State::Closed { failures: 0 };
        self.turn(QUIET);
        turned
    }

    /// The server did not answer as it should.
    pub(super) fn failed(&self, epoch: Epoch, why: &Arc<str>, now: Instant) -> Option<Circuit> {
        if self.failures == 0 {
            return None;
        }
        let mut state = self.state();
        if self.epoch() != epoch {
            return None;
        }
        let times = match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                if *failures < self.failures {
                    self.set(WARY);
                    return None;
                }
                1
            }
            State::HalfOpen {
                probing: true,
                times,
                ..
            } => times.saturating_add(1),
            State::HalfOpen { .. } | State::Open { .. } => return None,
        };
        *state = State::Open {
            until: now + self.pause_after(times),
            times,
            why: Arc::clone(why),
        };
        self.turn(SHUT);
        Some(Circuit::Open)
    }

    /// A call ended without telling anything of the server.
    pub(super) fn given_up(&self, epoch: Epoch) {
        if self.word.load(Ordering::Acquire) & MOODS != SHUT {
            return;
        }
        let mut state = self.state();
        if let State::HalfOpen { probing, .. } = &mut *state
            && self.epoch() == epoch
        {
            *probing = false;
        }
    }

    /// The server does something: a pause ends.
    pub(super) fn alive(&self) -> Option<Circuit> {
        if self.word.load(Ordering::Acquire) & MOODS != SHUT {
            return None;
        }
        let mut state = self.state();
        let State::Open { times, why, .. } = &*state else {
            return None;
        };
        *state = State::HalfOpen {
            probing: false,
            times: *times,
            why: Arc::clone(why),
        };
        self.turn(SHUT);
        Some(Circuit::HalfOpen)
    }

    /// What is thought of the server, and when it is tried again.
    pub(super) fn circuit(&self, now: Instant) -> (Circuit, Option<Duration>) {
        match &*self.state() {
            State::Closed { .. } => (Circuit::Closed, None),
            // The next call tries it.
            State::Open { until, .. } if *until <= now => (Circuit::HalfOpen, None),
            State::Open { until, .. } => (Circuit::Open, Some(*until - now)),
            State::HalfOpen { .. } => (Circuit::HalfOpen, None),
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        Epoch(self.word.load(Ordering::Acquire) >> 2)
    }

    /// While the circuit is not closed: lets one call through when the pause is over.
    fn probe(&self, now: Instant) -> Let {
        let mut state = self.state();
        match &mut *state {
            // Somebody else closed it meanwhile.
            State::Closed { .. } => Ok((self.epoch(), None)),
            State::Open { until, why, .. } if now < *until => Err(Refused {
                why: Why::Open(Arc::clone(why)),
                after: *until - now,
            }),
            State::Open { times, why, .. } => {
                *state = State::HalfOpen {
                    probing: true,
                    times: *times,
                    why: Arc::clone(why),
                };
                self.turn(SHUT);
                Ok((self.epoch(), Some(Circuit::HalfOpen)))
            }
            State::HalfOpen {
                probing: true, why, ..
            } => Err(Refused {
                why: Why::Probed(Arc::clone(why)),
                after: super::BUSY,
            }),
            State::HalfOpen { probing, .. } => {
                *probing = true;
                Ok((self.epoch(), None))
            }
        }
    }

    fn pause_after(&self, times: u32) -> Duration {
        let doubled = 1_u32.checked_shl(times.saturating_sub(1));
        let pause = self.pause.saturating_mul(doubled.unwrap_or(u32::MAX));
        pause.min(self.max_pause)
    }

    /// Under the lock: another mood in the same epoch.
    fn set(&self, mood: u64) {
        let epoch = self.epoch().0;
        self.word.store(epoch << 2 | mood, Ordering::Release);
    }

    /// Under the lock: the next epoch.
    fn turn(&self, mood: u64) {
        let epoch = self.epoch().0.wrapping_add(1) & (u64::MAX >> 2);
        self.word.store(epoch << 2 | mood, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A breaker with its clock.
    struct Bench {
        breaker: Breaker,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            let mut settings = GuardSettings::default();
            (settings.failures, settings.pause, settings.max_pause) = (3, SECOND, 4 * SECOND);
            Self {
                breaker: Breaker::new(&settings),
                now: Instant::now(),
            }
        }

        fn admit(&self) -> Let {
            self.breaker.admit(|| self.now)
        }

        fn fail(&self, epoch: Epoch) -> Option<Circuit> {
            self.breaker.failed(epoch, &"why".into(), self.now)
        }

        /// Fails until it is open.
        fn opened() -> Self {
            let bench = Self::new();
            let turns = [0; 3].map(|_| bench.fail(bench.admit().unwrap().0));
            assert_eq!(turns, [None, None, Some(Circuit::Open)]);
            bench
        }
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let bench = Bench::new();
        for _ in 0..10 {
            let (epoch, _) = bench.admit().unwrap();
            assert_eq!((bench.fail(epoch), bench.fail(epoch)), (None, None));
            assert_eq!(bench.breaker.answered(epoch), None);
        }
        assert_eq!(bench.breaker.circuit(bench.now), (Circuit::Closed, None));
    }

    #[test]
    fn while_it_is_open_calls_are_refused_and_told_when_to_come_again() {
        let mut bench = Bench::opened();
        bench.now += SECOND / 4;
        let refused = bench.admit().unwrap_err();
        assert_eq!(
            (refused.why, refused.after),
            (Why::Open("why".into()), SECOND * 3 / 4)
        );
    }

    #[test]
    fn after_the_pause_one_call_tries_and_closes_it() {
        let mut bench = Bench::opened();
        bench.now += SECOND;
        let (probe, turned) = bench.admit().unwrap();
        assert_eq!(turned, Some(Circuit::HalfOpen));
        assert!(matches!(bench.admit().unwrap_err().why, Why::Probed(_)));
        assert_eq!(bench.breaker.answered(probe), Some(Circuit::Closed));
        assert!(bench.admit().is_ok());
    }

    #[test]
    fn pauses_double_to_a_bound_and_begin_anew_after_a_success() {
        let mut bench = Bench::opened();
        for seconds in [2, 4, 4, 4] {
            bench.now += 4 * SECOND;
            let (probe, _) = bench.admit().unwrap();
            assert_eq!(bench.fail(probe), Some(Circuit::Open));
            let pause = Some(Duration::from_secs(seconds));
            assert_eq!(bench.breaker.circuit(bench.now), (Circuit::Open, pause));
        }
        bench.now += 4 * SECOND;
        let (probe, _) = bench.admit().unwrap();
        bench.breaker.answered(probe);
        for _ in 0..3 {
            bench.fail(bench.admit().unwrap().0);
        }
        assert_eq!(bench.breaker.circuit(bench.now).1, Some(SECOND));
    }

    #[test]
    fn a_probe_that_tells_nothing_leaves_the_next_one_to_try() {
        let mut bench = Bench::opened();
        bench.now += SECOND;
        let (probe, _) = bench.admit().unwrap();
        bench.breaker.given_up(probe);
        assert!(bench.admit().is_ok());
        assert!(bench.admit().is_err());
    }

    #[test]
    fn calls_from_before_it_turned_say_nothing_any_more() {
        let mut bench = Bench::new();
        let late = [0; 9].map(|_| bench.admit().unwrap().0);
        for epoch in &late[..3] {
            bench.fail(*epoch);
        }
        bench.now += SECOND;
        let (probe, _) = bench.admit().unwrap();
        assert_eq!(bench.breaker.answered(late[3]), None, "not the probe");
        bench.breaker.given_up(late[4]);
        assert!(bench.admit().is_err(), "the probe is still on its way");
        bench.breaker.answered(probe);
        for epoch in &late[5..] {
            assert_eq!(bench.fail(*epoch), None);
        }
        assert_eq!(bench.breaker.circuit(bench.now).0, Circuit::Closed);
    }

    #[test]
    fn without_a_number_of_failures_it_never_opens() {
        let breaker = Breaker::new(&GuardSettings {
            failures: 0,
            ..GuardSettings::default()
        });
        for _ in 0..100 {
            let (epoch, _) = breaker.admit(Instant::now).unwrap();
            assert_eq!(breaker.failed(epoch, &"why".into(), Instant::now()), None);
        }
    }

    proptest::proptest! {
        /// Whatever happens in whatever order, at most one call is on its way while it is not
        /// closed, and it is never shut for longer than the longest pause.
        #[test]
        fn it_never_lets_two_probes_through_nor_stays_shut(steps in proptest::collection::vec(0_u8..6, 1..200)) {
            let mut bench = Bench::new();
            let mut calls: Vec<(Epoch, bool)> = Vec::new();
            for step in steps {
                match step {
                    0 | 1 => {
                        let closed = bench.breaker.circuit(bench.now).0 == Circuit::Closed;
                        if let Ok((epoch, _)) = bench.admit() {
                            let probing = calls.iter().any(|(it, probe)| *probe && *it == epoch);
                            proptest::prop_assert!(closed || !probing);
                            calls.push((epoch, !closed));
                        }
                    }
                    5 => bench.now += SECOND / 2,
                    _ => {
                        let Some((epoch, _)) = calls.pop() else { continue };
                        match step {
                            2 => drop(bench.breaker.answered(epoch)),
                            3 => drop(bench.fail(epoch)),
                            _ => bench.breaker.given_up(epoch),
                        }
                    }
                }
            }
            for (epoch, _) in calls {
                bench.breaker.given_up(epoch);
            }
            bench.now += 4 * SECOND;
            proptest::prop_assert!(bench.admit().is_ok());
        }
    }
}
