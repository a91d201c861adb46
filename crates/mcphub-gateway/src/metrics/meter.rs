//! What is counted of one server: a few atomic additions for each request.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcphub_core::event::Circuit;

use crate::call_log::Note;

/// Upper bounds of the histogram of times, in microseconds; what takes longer than the last is in a
/// place of its own.
pub(super) const BOUNDS: [u64; 15] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    120_000_000,
];

/// What kind of request a server got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A call of a tool whose annotations say that it only reads.
    Read,
    /// A call of another tool.
    Write,
    /// Any other request: a prompt, a resource, a task …
    Other,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a result.
    Ok,
    /// With a result of a tool that says that it is an error.
    ToolError,
    /// With a JSON-RPC error: of the server, or because the request was wrong.
    Error,
    /// The server was not reached, broke off, or answered what makes no sense.
    Unanswered,
    /// The server did not answer in time.
    Late,
    /// The server was not asked: its circuit is open, or too many requests of it run.
    Refused,
    /// Whoever asked went away, or cancelled it.
    Abandoned,
}

/// What came of looking for an answer that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// It was given.
    Hit,
    /// It was given after the server had said that it is still right.
    Revalidated,
    /// The server was asked.
    Miss,
}

/// What is counted of a server, or of those together that are not counted alone.
#[derive(Debug, Default)]
pub struct Meter {
    begun: AtomicU64,
    kinds: [Requests; CallKind::ALL.len()],
    listed: AtomicU64,
    not_listed: AtomicU64,
    /// How often its circuit turned to closed, open and half-open.
    turns: [AtomicU64; 3],
    looked: [AtomicU64; Looked::ALL.len()],
}

#[derive(Debug, Default)]
struct Requests {
    ended: [AtomicU64; Ended::ALL.len()],
    places: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// The times of the requests of one kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) places: [u64; BOUNDS.len() + 1],
    pub(super) sum: Duration,
}

impl CallKind {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Other];

    /// Of a call of a tool.
    pub(crate) fn of_tool(reads: bool) -> Self {
        if reads { Self::Read } else { Self::Write }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Other => "other",
        }
    }
}

impl Ended {
    pub(crate) const ALL: [Self; 7] = [
        Self::Ok,
        Self::ToolError,
        Self::Error,
        Self::Unanswered,
        Self::Late,
        Self::Refused,
        Self::Abandoned,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::Error => "error",
            Self::Unanswered => "unanswered",
            Self::Late => "timeout",
            Self::Refused => "refused",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Looked {
    pub(crate) const ALL: [Self; 3] = [Self::Hit, Self::Revalidated, Self::Miss];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Revalidated => "revalidated",
            Self::Miss => "miss",
        }
    }
}

impl Meter {
    /// A request has ended that took so long.
    fn ended(&self, kind: CallKind, ended: Ended, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| *bound < micros);
        // Enums number their variants from zero, and no place is beyond the last.
        let Some(requests) = self.kinds.get(kind as usize) else {
            return;
        };
        let counters = [
            requests.ended.get(ended as usize),
            requests.places.get(place),
        ];
        for counter in counters.into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        requests.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The server listed what it has, or it did not.
    pub(crate) fn listed(&self, well: bool) {
        let counter = if well { &self.listed } else { &self.not_listed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// It was looked for an answer of the server that is kept.
    pub(crate) fn looked(&self, looked: Looked) {
        if let Some(counter) = self.looked.get(looked as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often that came to each.
    pub(super) fn lookups(&self) -> [(&'static str, u64); Looked::ALL.len()] {
        Looked::ALL.map(|looked| {
            let counter = self.looked.get(looked as usize);
            let count = counter.map_or(0, |counter| counter.load(Ordering::Relaxed));
            (looked.as_str(), count)
        })
    }

    /// The server's circuit turned.
    pub(crate) fn turned(&self, to: Circuit) {
        if let Some(turns) = place(to).and_then(|at| self.turns.get(at)) {
            turns.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count(&self, kind: CallKind, ended: Ended) -> u64 {
        let counter = self.kinds.get(kind as usize);
        let counter = counter.and_then(|requests| requests.ended.get(ended as usize));
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// How many requests are on their way.
    pub(super) fn running(&self) -> u64 {
        // Ends are read before beginnings, so that there are never fewer of these.
        let ended = |kind| Ended::ALL.map(|ended| self.count(kind, ended));
        let ended: u64 = CallKind::ALL.into_iter().flat_map(ended).sum();
        self.begun.load(Ordering::Relaxed).saturating_sub(ended)
    }

    pub(super) fn times(&self, kind: CallKind) -> Option<Times> {
        let requests = self.kinds.get(kind as usize)?;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(Times {
            places: requests.places.each_ref().map(count),
            sum: Duration::from_micros(count(&requests.micros)),
        })
    }

    /// How often it was listed, and how often it did not list.
    pub(super) fn lists(&self) -> [(&'static str, u64); 2] {
        [("ok", &self.listed), ("failed", &self.not_listed)]
            .map(|(ended, counter)| (ended, counter.load(Ordering::Relaxed)))
    }

    pub(super) fn turns(&self, to: Circuit) -> u64 {
        let turns = place(to).and_then(|at| self.turns.get(at));
        turns.map_or(0, |turns| turns.load(Ordering::Relaxed))
    }
}

fn place(circuit: Circuit) -> Option<usize> {
    match circuit {
        Circuit::Closed => Some(0),
        Circuit::Open => Some(1),
        Circuit::HalfOpen => Some(2),
        _ => None,
    }
}

/// A request that is on its way. One that is dropped before it is said how it ended was abandoned.
#[derive(Debug)]
pub(crate) struct Counted<M: Deref<Target = Meter>> {
    meter: Option<M>,
    kind: CallKind,
    begun: Instant,
    ended: Ended,
    note: Option<Box<Note>>,
}

impl<M: Deref<Target = Meter>> Counted<M> {
    pub(crate) fn begin(meter: Option<M>, kind: CallKind) -> Self {
        if let Some(meter) = &meter {
            meter.begun.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            meter,
            kind,
            begun: Instant::now(),
            ended: Ended::Abandoned,
            note: None,
        }
    }

    /// Which kind of request it is.
    pub(crate) fn kind(&self) -> CallKind {
        self.kind
    }

    /// Has it noted in the audit log how it ends.
    pub(crate) fn noted(&mut self, note: Option<Box<Note>>) {
        self.note = note;
    }

    /// How it ended. What was said last counts.
    pub(crate) fn ended(&mut self, ended: Ended) {
        self.ended = ended;
    }

    /// That it was answered, well or with an error, where that is not known already.
    pub(crate) fn settled(&mut self, well: bool) {
        self.ended = match (self.ended, well) {
            (Ended::Abandoned, true) => Ended::Ok,
            (Ended::Abandoned | Ended::Ok | Ended::ToolError, false) => Ended::Error,
            (known, _) => known,
        };
    }

    /// How long it has taken.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl<M: Deref<Target = Meter>> Drop for Counted<M> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        if let Some(meter) = &self.meter {
            meter.ended(self.kind, self.ended, took);
        }
        if let Some(note) = self.note.take() {
            note.end(self.ended, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_running_until_it_is_dropped_and_counts_as_what_was_said_of_it() {
        let meter = Meter::default();
        let mut answered = Counted::begin(Some(&meter), CallKind::Read);
        let lost = Counted::begin(Some(&meter), CallKind::Write);
        assert_eq!(meter.running(), 2);
        answered.ended(Ended::Unanswered);
        answered.ended(Ended::Ok);
        drop((answered, lost));
        assert_eq!(meter.running(), 0);
        assert_eq!(meter.count(CallKind::Read, Ended::Ok), 1);
        assert_eq!(meter.count(CallKind::Read, Ended::Unanswered), 0);
        assert_eq!(meter.count(CallKind::Write, Ended::Abandoned), 1);
    }

    #[test]
    fn a_time_is_counted_once_below_the_least_bound_that_it_does_not_pass() {
        let meter = Meter::default();
        for millis in [0, 1, 2, 120_000, 120_001, u64::MAX / 2_000] {
            meter.ended(CallKind::Other, Ended::Ok, Duration::from_millis(millis));
        }
        let times = meter.times(CallKind::Other).unwrap();
        let mut wanted = [0; BOUNDS.len() + 1];
        (wanted[0], wanted[1], wanted[14], wanted[15]) = (2, 1, 1, 2);
        assert_eq!(times.places, wanted);
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn every_kind_and_every_end_has_a_place_and_a_name_of_its_own() {
        let meter = Meter::default();
        for kind in CallKind::ALL {
            for ended in Ended::ALL {
                meter.ended(kind, ended, Duration::ZERO);
                assert_eq!(meter.count(kind, ended), 1, "{kind:?} {ended:?}");
            }
        }
        let mut names = Ended::ALL.map(Ended::as_str).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Ended::ALL.len());
    }
}
