//! Clients of 2025-11-25 are told when what they had their user open is done
//! (`notifications/elicitation/complete`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

/// The most that wait to be told; more are not told, and their clients try again by themselves.
const MAX_WAITING: usize = 1_024;

/// How many a stream may be behind.
const MAX_BEHIND: usize = 64;

/// The longest name that is looked at, in bytes.
const MAX_NAME: usize = 64;

/// Elicitations that were completed, at whichever node.
pub(crate) struct Completed {
    /// Those whose logins may not be in the catalogue yet that is served.
    waiting: Mutex<Vec<Arc<str>>>,
    told: broadcast::Sender<Arc<str>>,
}

impl Default for Completed {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            told: broadcast::Sender::new(MAX_BEHIND),
        }
    }
}

impl Completed {
    /// Takes what somebody said.
    pub(crate) fn heard(&self, elicitation: &str) {
        let mut waiting = self.waiting();
        if elicitation.len() <= MAX_NAME && waiting.len() < MAX_WAITING {
            waiting.push(elicitation.into());
        }
    }

    /// Tells all that was heard: the catalogue is served that has the logins.
    pub(crate) fn tell(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        for elicitation in waiting {
            // Fails where nobody listens.
            let _ = self.told.send(elicitation);
        }
    }

    /// What is told from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<str>> {
        self.told.subscribe()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<str>>> {
        // Each change is made whole before anything in it can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
