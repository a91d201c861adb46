//! Alerts: what somebody has to look at, told when it begins and when it is over.
//!
//! | file | has |
//! |---|---|
//! | `rule` | when an alert begins and ends, a pure function of what is seen and when |
//! | `webhook` | who is told over HTTP, signed |

mod rule;
mod webhook;

use std::collections::BTreeMap;
use std::time::Duration;

use mcphub_core::event::{Alert, AlertState, Event};
use mcphub_core::server::ServerName;
use tokio::time::Instant;

use self::rule::Condition;
use self::webhook::Post;
pub use self::webhook::Webhook;
use crate::gateway::Inner;

/// How often servers are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Over how long failures of calls are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// When somebody is told of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlertSettings {
    /// How long a server has to be down, or not to list its tools, before that is told. Default 60 s.
    pub down_after: Duration,
    /// How long something has to be over before that is told. Default 30 s: what comes and goes is
    /// one alert.
    pub clear_after: Duration,
    /// From how many failures of 100 calls on within a minute that is told; it is over in a minute
    /// with less than half as many. `None` never. Default 20.
    pub error_percent: Option<u8>,
    /// How many calls a minute needs to be judged by its failures. Default 20.
    pub min_calls: u64,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            down_after: Duration::from_secs(60),
            clear_after: Duration::from_secs(30),
            error_percent: Some(20),
            min_calls: 20,
        }
    }
}

/// What is seen of a server.
#[derive(Debug, Clone)]
pub(crate) struct Vitals {
    pub(crate) server: ServerName,
    /// It is down, or did not list its tools.
    pub(crate) down: bool,
    /// Its circuit is not closed.
    pub(crate) open: bool,
    /// Tools of it wait for approval.
    pub(crate) waiting: bool,
    /// Its calls since it was connected, and those that failed.
    pub(crate) calls: u64,
    pub(crate) failures: u64,
}

/// What is known of each server, from one look to the next.
#[derive(Debug)]
pub(crate) struct Alerts {
    settings: AlertSettings,
    post: Option<Post>,
    servers: BTreeMap<ServerName, Watched>,
    looked: Option<Instant>,
}

#[derive(Debug)]
struct Watched {
    conditions: [(Alert, Condition); 4],
    /// The minute that is counted: when it began, and what was counted before.
    began: Instant,
    calls: u64,
    failures: u64,
    /// Whether too many calls of the last whole minute failed.
    failing: bool,
}

impl Alerts {
    /// Has to be called within a runtime where there is a webhook.
    pub(crate) fn new(settings: AlertSettings, webhook: Option<&Webhook>) -> Self {
        Self {
            settings,
            post: webhook.map(Webhook::start),
            servers: BTreeMap::new(),
            looked: None,
        }
    }

    /// Looks at the servers, at most once a second, and tells what began and what is over.
    pub(crate) async fn look(&mut self, gateway: &Inner) {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now - looked < EVERY) {
            return;
        }
        self.looked = Some(now);
        for (server, alert, state) in self.turns(gateway.roster.vitals(), now) {
            match state {
                AlertState::Firing => tracing::warn!(%server, ?alert, "an alert"),
                _ => tracing::warn!(%server, ?alert, "an alert is over"),
            }
            if let Some(post) = &self.post {
                post.send(&server, alert, state);
            }
            if let Some(events) = &gateway.events {
                // A hint: whoever misses it sees the state when it looks.
                let event = Event::Alerted {
                    server,
                    alert,
                    state,
                };
                let _ = events.publish(event).await;
            }
        }
    }

    fn turns(&mut self, seen: Vec<Vitals>, now: Instant) -> Vec<(ServerName, Alert, AlertState)> {
        let mut turns = Vec::new();
        let mut before = std::mem::take(&mut self.servers);
        for vitals in seen {
            let watched = before.remove(&vitals.server);
            let mut watched = watched.unwrap_or_else(|| Watched::new(&vitals, now));
            watched.count(&vitals, &self.settings, now);
            for (alert, condition) in &mut watched.conditions {
                let (holds, after, clear) = match alert {
                    Alert::ServerDown => (vitals.down, self.settings.down_after, None),
                    Alert::CircuitOpen => (vitals.open, Duration::ZERO, None),
                    // A minute has passed already.
                    Alert::Failing => (watched.failing, Duration::ZERO, Some(Duration::ZERO)),
                    _ => (vitals.waiting, Duration::ZERO, Some(Duration::ZERO)),
                };
                let clear = clear.unwrap_or(self.settings.clear_after);
                if let Some(firing) = condition.look(holds, after, clear, now) {
                    let state = if firing {
                        AlertState::Firing
                    } else {
                        AlertState::Resolved
                    };
                    turns.push((vitals.server.clone(), *alert, state));
                }
            }
            self.servers.insert(vitals.server, watched);
        }
        // What is wrong with a server that was removed is over.
        for (server, watched) in before {
            let firing = watched.conditions.iter().filter(|(_, it)| it.is_firing());
            turns.extend(firing.map(|(alert, _)| (server.clone(), *alert, AlertState::Resolved)));
        }
        turns
    }
}

impl Watched {
    fn new(vitals: &Vitals, now: Instant) -> Self {
        let all = [
            Alert::ServerDown,
            Alert::CircuitOpen,
            Alert::Failing,
            Alert::ToolsWaiting,
        ];
        Self {
            conditions: all.map(|alert| (alert, Condition::default())),
            began: now,
            calls: vitals.calls,
            failures: vitals.failures,
            failing: false,
        }
    }

    /// Judges the minute that is over, if one is.
    fn count(&mut self, vitals: &Vitals, settings: &AlertSettings, now: Instant) {
        if now - self.began < WINDOW {
            return;
        }
        // A server that was connected anew counts from the beginning.
        let calls = vitals.calls.saturating_sub(self.calls);
        let failures = vitals.failures.saturating_sub(self.failures);
        (self.began, self.calls, self.failures) = (now, vitals.calls, vitals.failures);
        let Some(percent) = settings.error_percent.map(u64::from) else {
            return;
        };
        let enough = calls >= settings.min_calls.max(1);
        let reached = |part: u64| failures.saturating_mul(100) >= calls.saturating_mul(part);
        self.failing = match self.failing {
            // With fewer calls nothing is known, and it stays as it was.
            _ if !enough => self.failing,
            true => reached((percent / 2).max(1)),
            false => reached(percent),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn vitals() -> Vitals {
        Vitals {
            server: ServerName::new("shop").unwrap(),
            down: false,
            open: false,
            waiting: false,
            calls: 0,
            failures: 0,
        }
    }

    /// Looks every second and gives the second and the kind of each turn.
    fn looked(seconds: u32, seen: impl Fn(u32) -> Vec<Vitals>) -> Vec<(u32, Alert, AlertState)> {
        let mut alerts = Alerts::new(AlertSettings::default(), None);
        let begin = Instant::now();
        let turns = (0..seconds).flat_map(|second| {
            let turns = alerts.turns(seen(second), begin + second * SECOND);
            turns
                .into_iter()
                .map(move |(_, alert, state)| (second, alert, state))
        });
        turns.collect()
    }

    #[test]
    fn a_server_that_is_down_for_a_minute_is_told_once_until_it_is_back_for_good() {
        let turns = looked(300, |second| {
            // It comes back for a moment again and again.
            let down = (10..200).contains(&second) && !(100..110).contains(&second);
            vec![Vitals { down, ..vitals() }]
        });
        assert_eq!(
            turns,
            [
                (70, Alert::ServerDown, AlertState::Firing),
                (230, Alert::ServerDown, AlertState::Resolved)
            ]
        );
    }

    #[test]
    fn failures_are_told_by_the_minute_and_are_over_at_half_as_many() {
        // Failures of 10 calls a second: 30 %, 15 %, 5 %, each for two minutes.
        let failed = |second: u32| {
            let parts = [(0, 30), (120, 15), (240, 5)];
            let whole = |(from, percent): (u32, u32)| {
                u64::from(second.saturating_sub(from).min(120) * percent / 10)
            };
            parts.map(whole).iter().sum()
        };
        let turns = looked(400, |second| {
            let (calls, failures) = (u64::from(second * 10), failed(second));
            vec![Vitals {
                calls,
                failures,
                ..vitals()
            }]
        });
        assert_eq!(
            turns,
            [
                (60, Alert::Failing, AlertState::Firing),
                (300, Alert::Failing, AlertState::Resolved)
            ]
        );
    }

    #[test]
    fn what_is_wrong_with_a_server_ends_with_it() {
        let turns = looked(10, |second| {
            let seen = Vitals {
                waiting: true,
                open: second == 0,
                ..vitals()
            };
            if second < 5 { vec![seen] } else { Vec::new() }
        });
        assert_eq!(
            turns,
            [
                (0, Alert::CircuitOpen, AlertState::Firing),
                (0, Alert::ToolsWaiting, AlertState::Firing),
                (5, Alert::CircuitOpen, AlertState::Resolved),
                (5, Alert::ToolsWaiting, AlertState::Resolved)
            ]
        );
    }
}
