//! What runs for a client, by the id of its request.

use std::collections::HashMap;

use tokio::task::{AbortHandle, JoinSet};

/// Tasks by the id of their request. All end when this is dropped.
#[derive(Default)]
pub(super) struct Running {
    tasks: JoinSet<()>,
    handles: HashMap<String, AbortHandle>,
}

impl Running {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.handles.contains_key(id)
    }

    pub(super) fn spawn(&mut self, id: &str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.handles.insert(id.to_owned(), handle);
    }

    /// Ends a task. An id that is not running is ignored (2026-07-28, Cancellation).
    pub(super) fn cancel(&mut self, id: &str) {
        if let Some(handle) = self.handles.remove(id) {
            handle.abort();
        }
    }

    /// Waits until a task has ended; for ever when there is none.
    pub(super) async fn finished(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(ended) => {
                let task = ended.map_or_else(|error| error.id(), |(task, ())| task);
                self.handles.retain(|_, handle| handle.id() != task);
            }
            None => std::future::pending().await,
        }
    }
}
