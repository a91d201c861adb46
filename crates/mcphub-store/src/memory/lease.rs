//! Leases of a single process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mcphub_core::shared::{Lease, Leases};
use mcphub_core::{Error, Result};

/// Leases between the parts of one process. What nobody holds costs no memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLeases {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    held: HashMap<String, (u64, Instant)>,
}

impl MemoryLeases {
    /// Nothing is held.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Leases for MemoryLeases {
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>> {
        let (now, until) = span(time)?;
        let mut state = self.state();
        state.held.retain(|_, (_, until)| *until > now);
        if state.held.contains_key(name) {
            return Ok(None);
        }
        state.last += 1;
        let token = state.last;
        state.held.insert(name.to_owned(), (token, until));
        Ok(Some(Lease {
            name: name.to_owned(),
            token,
        }))
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool> {
        let (now, until) = span(time)?;
        let mut state = self.state();
        let held = state.held.get_mut(&lease.name);
        let held = held.filter(|(token, until)| *token == lease.token && *until > now);
        Ok(held.map(|held| held.1 = until).is_some())
    }

    async fn give_back(&self, lease: Lease) -> Result<bool> {
        let mut state = self.state();
        let now = Instant::now();
        let held = state.held.get(&lease.name);
        let is_held = held.is_some_and(|(token, until)| *token == lease.token && *until > now);
        if is_held {
            state.held.remove(&lease.name);
        }
        Ok(is_held)
    }
}

fn span(time: Duration) -> Result<(Instant, Instant)> {
    let now = Instant::now();
    let until = now.checked_add(time);
    Ok((
        now,
        until.ok_or_else(|| Error::invalid("nothing is lent for so long"))?,
    ))
}
