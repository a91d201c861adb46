//! Large answers wait for each other, so that their sum is bounded as each one is.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers up to this many bytes never wait.
pub(super) const FREE: usize = 64 * 1024;

/// What is counted, in bytes.
const UNIT: usize = 1024;

/// How many bytes of large answers there may be at once.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    left: Arc<Semaphore>,
    total: u32,
}

/// Room for one answer, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room(Option<OwnedSemaphorePermit>);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        let total = units(bytes).max(1);
        Self {
            left: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Waits for room. Whoever has some never asks for more, so that no two wait for each other; an
    /// answer larger than the whole budget takes all of it.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let units = units(bytes).min(self.total);
        // An error is a closed semaphore, and nobody closes it.
        Room(Arc::clone(&self.left).acquire_many_owned(units).await.ok())
    }
}

impl Room {
    /// That of an answer which needs none.
    pub(super) const NONE: Self = Self(None);

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Gives back what an answer of this size does not need.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.0 {
            let surplus = permit
                .num_permits()
                .saturating_sub(units(bytes).max(1) as usize);
            drop(permit.split(surplus));
        }
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT))
        .unwrap_or(u32::MAX)
        .min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_is_given_back_is_there_for_the_next() {
        let budget = Budget::new(10 * UNIT);
        let mut first = budget.room(8 * UNIT).now_or_never().unwrap();
        assert!(budget.room(3 * UNIT).now_or_never().is_none());
        first.shrink(7 * UNIT + 1);
        assert!(budget.room(3 * UNIT).now_or_never().is_none());
        first.shrink(7 * UNIT);
        let second = budget.room(3 * UNIT).now_or_never().unwrap();
        drop((first, second));
        assert!(!budget.room(usize::MAX).now_or_never().unwrap().is_none());
    }
}
