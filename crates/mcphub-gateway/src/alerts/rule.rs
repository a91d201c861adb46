//! When an alert begins and ends.

use std::time::Duration;

use tokio::time::Instant;

/// Something that may be wrong. It is told once it held for a while, and is over once it did not
/// hold for another: what comes and goes is told once.
#[derive(Debug, Default)]
pub(super) struct Condition {
    firing: bool,
    /// Since when it is otherwise than was told.
    since: Option<Instant>,
}

impl Condition {
    /// Takes over whether it holds now, and says when it begins (`true`) or ends.
    pub(super) fn look(
        &mut self,
        holds: bool,
        after: Duration,
        clear: Duration,
        now: Instant,
    ) -> Option<bool> {
        if holds == self.firing {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let needed = if holds { after } else { clear };
        if now - since < needed {
            return None;
        }
        self.since = None;
        self.firing = holds;
        Some(holds)
    }

    pub(super) fn is_firing(&self) -> bool {
        self.firing
    }
}
