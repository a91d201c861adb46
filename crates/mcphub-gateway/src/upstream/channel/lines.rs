//! The connections to one server: one that all share, and those that belong to somebody.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind, Result};
use moka::sync::Cache;

use super::dial::{Dial, Line};
use super::meeting::Era;
use super::settings::ChannelSettings;
use crate::upstream::owner::Owner;
use crate::upstream::{ClientAbilities, Forward};

/// How long a connection is kept that is not used.
const IDLE: Duration = Duration::from_secs(10 * 60);

/// Connections to one server.
pub(super) struct Lines {
    pub(super) shared: Arc<Line>,
    own: Option<Own>,
}

/// Connections that belong to somebody.
struct Own {
    dial: Arc<dyn Dial>,
    lines: Cache<(Owner, u32), Arc<Line>>,
    leases: Arc<Leases>,
    most: u32,
}

/// Which connections of callers without a session are in use, by what the caller can be asked.
#[derive(Debug, Default)]
struct Leases(Mutex<HashMap<Owner, BTreeSet<u32>>>);

/// A connection that nobody else uses as long as this is there.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Arc<Leases>,
    owner: Owner,
    number: u32,
}

impl Lines {
    /// Connections to a server of this name: one that is shared and, where `most` is more than 0, so
    /// many that are not.
    pub(super) fn new(name: &str, dial: Arc<dyn Dial>, settings: ChannelSettings) -> Self {
        let most = settings.max_own;
        // Clients of all abilities share it, if it is not for lists alone.
        let abilities = ClientAbilities::all();
        let own = (most > 0).then(|| Own {
            dial: Arc::clone(&dial),
            lines: Cache::builder()
                .max_capacity(u64::from(most))
                .time_to_idle(IDLE)
                .build(),
            leases: Arc::default(),
            most,
        });
        Self {
            shared: Line::new(name.to_owned(), dial, abilities, settings),
            own,
        }
    }

    /// The connection for a request. A server of the modern era needs no other than the one that is
    /// shared. A session has one of its own; a caller without a session that can be asked something
    /// has one to itself until the lease is dropped.
    ///
    /// # Errors
    /// `Unavailable` when there are as many as there may be, or the server cannot be started.
    pub(super) async fn of(&self, forward: &Forward) -> Result<(Arc<Line>, Option<Lease>)> {
        let shared = || Arc::clone(&self.shared);
        let Some(own) = &self.own else {
            return Ok((shared(), None));
        };
        if self.shared.met().await?.era == Era::Modern {
            return Ok((shared(), None));
        }
        let owner = Owner::of(forward);
        let lease = match owner.is_exclusive() {
            true => None,
            false => Some(Leases::take(&own.leases, &owner, own.most)?),
        };
        let number = lease.as_ref().map_or(0, |lease| lease.number);
        let line = own.lines.get_with((owner, number), || {
            let (name, dial) = (self.shared.name().to_owned(), Arc::clone(&own.dial));
            let settings = self.shared.settings.clone();
            Line::new(name, dial, forward.abilities.clone(), settings)
        });
        Ok((line, lease))
    }

    /// Whether a session can have one of its own.
    pub(super) fn keep_sessions(&self) -> bool {
        self.own.is_some()
    }

    /// Closes those of a session that has ended.
    pub(super) fn forget(&self, session: SessionKey) {
        let Some(own) = &self.own else { return };
        for (key, _) in &own.lines {
            if key.0.session() == Some(session) {
                own.lines.invalidate(&*key);
            }
        }
        own.lines.run_pending_tasks();
    }

    /// Ends those that were not used for long.
    pub(super) fn tidy(&self) {
        if let Some(own) = &self.own {
            own.lines.run_pending_tasks();
        }
    }
}

impl Leases {
    fn take(leases: &Arc<Self>, owner: &Owner, most: u32) -> Result<Lease> {
        let mut all = leases.all();
        let taken = all.entry(owner.clone()).or_default();
        let Some(number) = (0..most).find(|number| !taken.contains(number)) else {
            let message = "the MCP server has as many clients as it may have";
            return Err(Error::new(ErrorKind::Unavailable, message).with("limit", most));
        };
        taken.insert(number);
        Ok(Lease {
            leases: Arc::clone(leases),
            owner: owner.clone(),
            number,
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Owner, BTreeSet<u32>>> {
        // Each change is made whole before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut all = self.leases.all();
        if let Some(taken) = all.get_mut(&self.owner) {
            taken.remove(&self.number);
            if taken.is_empty() {
                all.remove(&self.owner);
            }
        }
    }
}
