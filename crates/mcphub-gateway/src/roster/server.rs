//! One server, and what changes about it.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use mcphub_core::catalog::{CatalogServer, Upstream as Target};
use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolSet;
use tokio::task::JoinHandle;

use super::health::ServerState;
use crate::federation::{Listing, Member, Part};
use crate::guard::Guard;
use crate::upstream::{Upstream, listed_tools, planned_tools};

/// A server, as long as its upstream is the same.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: ServerName,
    pub(super) upstream: Arc<dyn Upstream>,
    pub(super) guard: Arc<Guard>,
    pub(super) connection: u64,
    standing: Mutex<Standing>,
    /// Asks the server for its tools as long as it is here. None is asked that is down.
    watcher: OnceLock<Watcher>,
}

/// What is known of a server now.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) entry: Arc<CatalogServer>,
    pub(super) listing: Arc<Listing>,
    pub(super) state: ServerState,
    /// How many of its tools wait for approval.
    pub(super) waiting: usize,
    /// Whether it was left out of the lists that were made last.
    pub(super) hidden: bool,
    /// What it added to the last snapshot.
    pub(super) part: Option<Arc<Part>>,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Watcher(pub(crate) JoinHandle<()>);

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A server whose upstream was just made.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) name: ServerName,
    pub(crate) connection: u64,
    pub(crate) upstream: Arc<dyn Upstream>,
    /// Whether its list can change while its revision does not.
    pub(crate) changes: bool,
}

impl Server {
    /// One that is reached by this upstream. Until it answers it lists what the one `before` did, where
    /// that has the same tools.
    pub(super) fn new(
        entry: Arc<CatalogServer>,
        connection: u64,
        upstream: Arc<dyn Upstream>,
        guard: Arc<Guard>,
        before: Option<&Arc<Self>>,
    ) -> Self {
        let state = match entry.upstream {
            Target::Down(_) => ServerState::Down,
            _ => ServerState::Listing,
        };
        let standing = Standing {
            listing: first_listing(&entry, before.map(|before| &**before)),
            state,
            waiting: 0,
            hidden: false,
            part: None,
            entry,
        };
        Self {
            name: standing.entry.name.clone(),
            upstream,
            guard,
            connection,
            standing: Mutex::new(standing),
            watcher: OnceLock::new(),
        }
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        // Each change is made whole before anything in it can panic.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the catalogue says of it.
    pub(super) fn entry(&self) -> Arc<CatalogServer> {
        Arc::clone(&self.standing().entry)
    }

    /// Begins to ask the server what it lists, unless it is down.
    pub(super) fn watch(&self, watch: impl Fn(Connected) -> Watcher) {
        let entry = self.entry();
        if matches!(entry.upstream, Target::Down(_)) {
            return;
        }
        self.watcher.get_or_init(|| {
            watch(Connected {
                name: self.name.clone(),
                connection: self.connection,
                upstream: Arc::clone(&self.upstream),
                changes: matches!(entry.upstream, Target::Mcp(_) | Target::Connected { .. }),
            })
        });
    }

    /// Whether it stays as it is by a later catalogue: its revision is the same, or nothing but logins
    /// of users changed, which are taken over and which nobody else notices.
    pub(super) fn takes(&self, entry: &Arc<CatalogServer>) -> bool {
        let mut standing = self.standing();
        if standing.entry.revision == entry.revision {
            return true;
        }
        let takes = self.takes_logins(&standing.entry, entry);
        if takes {
            standing.entry = Arc::clone(entry);
        }
        takes
    }

    fn takes_logins(&self, known: &CatalogServer, entry: &CatalogServer) -> bool {
        let (
            Target::Connected {
                connection: before,
                credentials: had,
                ..
            },
            Target::Connected {
                connection,
                credentials,
                ..
            },
        ) = (&known.upstream, &entry.upstream)
        else {
            return false;
        };
        before == connection
            && had.differ_in_logins_of_users(credentials)
            && same_tools(known, entry)
            && self.upstream.take_logins(credentials)
    }

    /// What goes into a snapshot.
    pub(super) fn member<'a>(
        &'a self,
        entry: &'a CatalogServer,
        listing: &'a Arc<Listing>,
    ) -> Member<'a> {
        Member {
            server: &self.name,
            api: &entry.tools.api,
            plan: plan(entry),
            listing,
            upstream: &self.upstream,
        }
    }
}

/// What the tools of a server were made of: those of one that exists already are its own.
fn plan(entry: &CatalogServer) -> Option<&ToolSet> {
    match &entry.upstream {
        Target::Connected { .. } => None,
        _ => Some(&entry.tools),
    }
}

/// What is listed until the upstream answers: what the server listed before, where its plan is
/// still the same; else what was planned.
fn first_listing(entry: &CatalogServer, before: Option<&Server>) -> Arc<Listing> {
    match before {
        Some(before) if same_tools(&before.entry(), entry) => {
            Arc::clone(&before.standing().listing)
        }
        _ => Arc::new(Listing::new(match &entry.upstream {
            Target::Connected { listed, .. } if !listed.is_empty() => listed_tools(listed),
            _ => planned_tools(&entry.tools),
        })),
    }
}

/// Whether both have the same plan, or listed the same.
fn same_tools(one: &CatalogServer, other: &CatalogServer) -> bool {
    let listed = match (&one.upstream, &other.upstream) {
        (Target::Connected { listed: one, .. }, Target::Connected { listed: other, .. }) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(&**other)
                    .all(|(one, other)| one.get() == other.get())
        }
        (one, other) => {
            matches!(one, Target::Connected { .. }) == matches!(other, Target::Connected { .. })
        }
    };
    listed && (Arc::ptr_eq(&one.tools, &other.tools) || one.tools == other.tools)
}
