//! What protects the others from a server that fails: a circuit breaker and a bulkhead for each.
//!
//! Whoever calls a server asks its [`Guard`] first and says afterwards how it went. While all is
//! well that is a few atomic operations: no lock, no clock, no memory.

mod breaker;
mod settings;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mcphub_core::event::Circuit;
use mcphub_core::server::ServerName;
use mcphub_core::{Error, ErrorKind, Fault};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::breaker::{Breaker, Epoch};
pub use self::settings::GuardSettings;
use crate::metrics::Meter;
use crate::upstream::CallResult;

/// When to come again after a refusal of a bulkhead: about as long as a call takes.
const BUSY: Duration = Duration::from_secs(1);

/// The bits that count the calls that run: 16 million.
const RUNNING: u64 = (1 << 24) - 1;

/// A call that was made and runs.
const CALL: u64 = RUNNING + 1 + 1;

/// The longest reason that is kept of a failure, in characters.
const MAX_WHY: usize = 300;

/// Decides whether a server is called.
///
/// # Behavior
/// - After [`GuardSettings::failures`] failures in a row the circuit opens: calls are refused at once,
///   and the refusal says when the server is tried again.
/// - After [`GuardSettings::pause`], twice that after the next time, and so on to
///   [`GuardSettings::max_pause`], one call is let through; its outcome closes the circuit or opens it
///   again. A list that succeeds in the meantime ends the pause.
/// - At most [`GuardSettings::max_calls`] calls run at once; more are refused.
/// - What a server answers, an error of a tool included, is no failure. No connection, no answer in
///   time, an answer that makes no sense, and HTTP 502, 503 and 504 are.
pub struct Guard {
    server: ServerName,
    breaker: Breaker,
    /// The calls that run, and above them all that were made: one operation counts both.
    calls: AtomicU64,
    failures: AtomicU64,
    max_calls: u64,
    turns: Told,
    meter: Option<Arc<Meter>>,
}

/// Who hears of a circuit that changed.
#[derive(Debug)]
enum Told {
    Gateway(mpsc::Sender<Turned>),
    /// The log: it is that of a replica, whose server goes on with others.
    Log(usize),
}

/// A circuit that changed.
#[derive(Debug)]
pub(crate) struct Turned {
    pub(crate) server: ServerName,
    pub(crate) circuit: Circuit,
    /// What the last failure was.
    pub(crate) why: Option<Arc<str>>,
}

/// A call that may be made, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<G: Deref<Target = Guard>> {
    guard: G,
    epoch: Epoch,
    noted: bool,
}

/// A call that may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    why: Why,
    /// When the same call may be let through.
    pub(crate) after: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// The last failure.
    Open(Arc<str>),
    /// Another call tries the server.
    Probed(Arc<str>),
    /// So many calls run already.
    Full(u64),
}

impl Guard {
    pub(crate) fn new(
        server: ServerName,
        settings: &GuardSettings,
        turns: mpsc::Sender<Turned>,
    ) -> Self {
        Self {
            server,
            breaker: Breaker::new(settings),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            max_calls: most(settings),
            turns: Told::Gateway(turns),
            meter: None,
        }
    }

    /// The same, which counts what it does here.
    pub(crate) fn counting(self, meter: Arc<Meter>) -> Self {
        Self {
            meter: Some(meter),
            ..self
        }
    }

    /// What counts the calls of the server.
    pub(crate) fn meter(&self) -> Option<&Arc<Meter>> {
        self.meter.as_ref()
    }

    /// That of a replica, by its number.
    pub(crate) fn of_replica(server: ServerName, number: usize, settings: &GuardSettings) -> Self {
        Self {
            server,
            breaker: Breaker::new(settings),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            max_calls: most(settings),
            turns: Told::Log(number),
            meter: None,
        }
    }

    /// How many calls run.
    pub(crate) fn running(&self) -> usize {
        usize::try_from(self.calls.load(Ordering::Relaxed) & RUNNING).unwrap_or(usize::MAX)
    }

    /// How many calls were made, and how many of them failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let calls = self.calls.load(Ordering::Relaxed) / (RUNNING + 1);
        (calls, self.failures.load(Ordering::Relaxed))
    }

    /// Asks to make a call.
    pub(crate) fn admit<G: Deref<Target = Self>>(guard: G) -> Result<Permit<G>, Refused> {
        let this = &*guard;
        let running = this.calls.fetch_add(CALL, Ordering::Relaxed) & RUNNING;
        if running >= this.max_calls {
            this.calls.fetch_sub(CALL, Ordering::Relaxed);
            return Err(Refused {
                why: Why::Full(this.max_calls),
                after: BUSY,
            });
        }
        match this.breaker.admit(Instant::now) {
            Ok((epoch, turned)) => {
                this.tell(turned, None);
                Ok(Permit {
                    guard,
                    epoch,
                    noted: false,
                })
            }
            Err(refused) => {
                this.calls.fetch_sub(CALL, Ordering::Relaxed);
                Err(refused)
            }
        }
    }

    /// What the server is asked beside calls went well, or it did not.
    pub(crate) fn listed(&self, outcome: Result<(), &Error>) {
        match outcome {
            Ok(()) => self.tell(self.breaker.alive(), None),
            Err(error) if is_failure(error) => {
                let why = reason(&error.to_string());
                let epoch = self.breaker.epoch();
                let turned = self.breaker.failed(epoch, &why, Instant::now());
                self.tell(turned, Some(why));
            }
            Err(_) => {}
        }
    }

    /// What is thought of the server, and when it is tried again where it is not called.
    pub(crate) fn circuit(&self) -> (Circuit, Option<Duration>) {
        self.breaker.circuit(Instant::now())
    }

    fn tell(&self, turned: Option<Circuit>, why: Option<Arc<str>>) {
        let Some(circuit) = turned else { return };
        if let Some(meter) = &self.meter {
            meter.turned(circuit);
        }
        match &self.turns {
            Told::Gateway(turns) => {
                let server = self.server.clone();
                // A hint: whoever misses it sees the state when it looks.
                let _ = turns.try_send(Turned {
                    server,
                    circuit,
                    why,
                });
            }
            Told::Log(replica) => {
                let (server, why) = (&self.server, why.as_deref());
                tracing::warn!(%server, replica, ?circuit, why, "the circuit of a replica changed");
            }
        }
    }
}

impl<G: Deref<Target = Guard>> Permit<G> {
    /// The server answered.
    pub(crate) fn answered(&mut self) {
        self.noted = true;
        let turned = self.guard.breaker.answered(self.epoch);
        self.guard.tell(turned, None);
    }

    /// The server did not answer as it should.
    pub(crate) fn failed(&mut self, why: &str) {
        self.noted = true;
        self.guard.failures.fetch_add(1, Ordering::Relaxed);
        let why = reason(why);
        let turned = self.guard.breaker.failed(self.epoch, &why, Instant::now());
        self.guard.tell(turned, Some(why));
    }

    /// Takes from an error what it tells of the server.
    pub(crate) fn refused(&mut self, error: &Error) {
        if is_failure(error) {
            self.failed(&error.to_string());
        } else if error.fault() != Fault::Internal {
            self.answered();
        }
    }

    /// Takes from the outcome of a call what it tells of the server.
    pub(crate) fn note(&mut self, outcome: &mcphub_core::Result<CallResult>) {
        match outcome {
            Ok(result) => match result.trouble() {
                None => self.answered(),
                Some(why) => self.failed(why),
            },
            Err(error) => self.refused(error),
        }
    }
}

impl<G: Deref<Target = Guard>> Drop for Permit<G> {
    fn drop(&mut self) {
        self.guard.calls.fetch_sub(1, Ordering::Relaxed);
        if !self.noted {
            self.guard.breaker.given_up(self.epoch);
        }
    }
}

impl Refused {
    /// When to come again, in whole seconds, at least one.
    pub(crate) fn seconds(&self) -> u64 {
        self.after.as_secs() + u64::from(self.after.subsec_nanos() > 0)
    }

    /// The refusal for whoever called.
    pub(crate) fn error(&self) -> Error {
        let seconds = self.seconds();
        let message = match &self.why {
            Why::Open(_) => format!(
                "it failed several times in a row and is not called for now; it is tried again in {seconds} s"
            ),
            Why::Probed(_) => format!(
                "it failed several times in a row and another call is trying it just now; come again in {seconds} s"
            ),
            Why::Full(most) => {
                format!("as many calls of it run as may at once, {most}; come again in {seconds} s")
            }
        };
        let error = Error::new(ErrorKind::Unavailable, message);
        match &self.why {
            Why::Open(why) | Why::Probed(why) => error.with("last failure", why),
            Why::Full(_) => error,
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("server", &self.server)
            .field("circuit", &self.circuit())
            .field("running", &self.running())
            .finish_non_exhaustive()
    }
}

/// Whether an error says that its server is not well.
pub(crate) fn is_failure(error: &Error) -> bool {
    let kind = matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Upstream
    );
    kind && error.fault() == Fault::Upstream
}

/// As many as can be counted.
fn most(settings: &GuardSettings) -> u64 {
    u64::try_from(settings.max_calls).map_or(RUNNING, |most| most.min(RUNNING))
}

fn reason(why: &str) -> Arc<str> {
    match why.char_indices().nth(MAX_WHY) {
        Some((end, _)) => format!("{}…", &why[..end]).into(),
        None => why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(max_calls: usize) -> (Guard, mpsc::Receiver<Turned>) {
        let mut settings = GuardSettings::default();
        (settings.failures, settings.max_calls) = (2, max_calls);
        let (sender, turns) = mpsc::channel(8);
        let server = ServerName::new("shop").unwrap();
        (Guard::new(server, &settings, sender), turns)
    }

    fn unavailable() -> Error {
        Error::new(ErrorKind::Unavailable, "no connection")
    }

    #[test]
    fn a_bulkhead_refuses_what_is_too_many_and_counts_what_ended() {
        let (guard, _turns) = guard(2);
        let first = Guard::admit(&guard).unwrap();
        let _second = Guard::admit(&guard).unwrap();
        let refused = Guard::admit(&guard).unwrap_err();
        assert_eq!(
            (&refused.why, refused.seconds()),
            (&Why::Full(2), 1),
            "{}",
            refused.error()
        );
        drop(first);
        assert!(Guard::admit(&guard).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_told_with_the_last_failure_and_refusals_say_when_to_come_again() {
        let (guard, mut turns) = guard(9);
        for _ in 0..2 {
            Guard::admit(&guard).unwrap().refused(&unavailable());
        }
        let turned = turns.try_recv().unwrap();
        assert_eq!(turned.circuit, Circuit::Open);
        assert_eq!(turned.why.as_deref(), Some("no connection"));
        let text = Guard::admit(&guard).unwrap_err().error().to_string();
        assert_eq!(
            text,
            "it failed several times in a row and is not called for now; it is tried again in 5 s \
             (last failure: no connection)"
        );
        tokio::time::advance(Duration::from_secs(5)).await;
        let mut probe = Guard::admit(&guard).unwrap();
        assert_eq!(turns.try_recv().unwrap().circuit, Circuit::HalfOpen);
        probe.answered();
        assert_eq!(turns.try_recv().unwrap().circuit, Circuit::Closed);
        assert!(turns.try_recv().is_err());
    }

    #[test]
    fn what_the_caller_did_wrong_opens_nothing() {
        let (guard, mut turns) = guard(9);
        let refusal = Error::new(ErrorKind::Upstream, "HTTP 413").set_fault(Fault::Caller);
        for error in [
            &refusal,
            &Error::invalid("no"),
            &Error::internal("our own bug"),
        ] {
            for _ in 0..4 {
                Guard::admit(&guard).unwrap().refused(error);
                guard.listed(Err(error));
            }
        }
        assert!(Guard::admit(&guard).is_ok() && turns.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_fails_counts_and_one_that_succeeds_ends_the_pause() {
        let (guard, _turns) = guard(9);
        guard.listed(Err(&unavailable()));
        guard.listed(Err(&unavailable()));
        assert!(Guard::admit(&guard).is_err());
        guard.listed(Ok(()));
        assert_eq!(guard.circuit().0, Circuit::HalfOpen);
        Guard::admit(&guard).unwrap().answered();
        assert_eq!(guard.circuit(), (Circuit::Closed, None));
    }
}
