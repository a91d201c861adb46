//! Connections that wait for their next request.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::line::Line;

/// How long one waits.
const MAX_WAIT: Duration = Duration::from_secs(90);

/// How often it is looked which have waited so long, or were closed by their server.
const LOOK: Duration = Duration::from_secs(15);

/// The connections of one origin that nobody uses.
pub(super) struct Idle {
    waiting: Mutex<Waiting>,
    most: usize,
}

#[derive(Default)]
struct Waiting {
    /// The last one is taken first.
    lines: Vec<(Instant, Box<Line>)>,
    /// Whether somebody looks after them.
    watched: bool,
}

impl Idle {
    /// Keeps so many.
    pub(super) fn new(most: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            most,
        }
    }

    /// The one that was used last.
    pub(super) fn take(&self) -> Option<Box<Line>> {
        // One that is too old, or closed, shows when it is asked, and is then replaced.
        self.lock().lines.pop().map(|(_, line)| line)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().lines.is_empty()
    }

    /// Takes back a connection, if it can be used again.
    pub(super) fn put(self: &Arc<Self>, mut line: Box<Line>) {
        if !line.is_open() {
            return;
        }
        let mut waiting = self.lock();
        if waiting.lines.len() >= self.most {
            return;
        }
        waiting.lines.push((Instant::now(), line));
        if !waiting.watched
            // A body can be dropped after its runtime.
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            waiting.watched = true;
            runtime.spawn(watch(Arc::downgrade(self)));
        }
    }

    /// Drops what has waited long enough. Whether any are left.
    fn look(&self) -> bool {
        let mut waiting = self.lock();
        waiting
            .lines
            .retain_mut(|(since, line)| since.elapsed() < MAX_WAIT && line.is_open());
        waiting.watched = !waiting.lines.is_empty();
        waiting.watched
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn watch(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let left = idle.upgrade().is_some_and(|idle| idle.look());
        if !left {
            return;
        }
    }
}
