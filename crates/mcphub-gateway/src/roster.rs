//! The servers as they are now, and the snapshot that is served.

mod health;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use mcphub_core::Result;
use mcphub_core::catalog::{Catalog, CatalogServer, CatalogVersion, Upstream as Target};
use mcphub_core::event::Circuit;
use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolSet;
use mcphub_core::virtual_server::VirtualServer;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use self::health::{ServerHealth, ServerState};
use crate::alerts::Vitals;
use crate::approval::approved;
use crate::federation::{Listing, Member, Part, Scope, Snapshot};
use crate::guard::{Guard, GuardSettings, Turned};
use crate::metrics::Metrics;
use crate::upstream::{Guarded, Inventory, Upstream, listed_tools, planned_tools};

/// What is made within this time is made at once.
const QUICK: Duration = Duration::from_millis(1);

/// How long a change that a server tells of may wait.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// The servers of the current catalogue with what each of them lists.
///
/// Requests read the snapshot without a lock. Whatever changes a server makes a new snapshot under
/// the lock, so that snapshots follow each other in order.
#[derive(Debug)]
pub(crate) struct Roster {
    state: Mutex<State>,
    snapshot: ArcSwap<Snapshot>,
    signal: watch::Sender<Signal>,
    page_size: usize,
    guard: GuardSettings,
    metrics: Arc<Metrics>,
    /// Where circuits that change are told.
    turns: mpsc::Sender<Turned>,
    /// What is listed of a server that is hidden.
    nothing: Arc<Listing>,
    /// Those of the host: they go before those of the catalogue.
    configured: Vec<VirtualServer>,
}

/// What a listener for changes gets to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Something changed: look again.
    Changed,
    /// The gateway ends its streams.
    Closed,
}

#[derive(Debug, Default)]
struct State {
    version: Option<CatalogVersion>,
    /// The number of the read that gave the catalogue.
    read: u64,
    servers: BTreeMap<ServerName, Server>,
    /// Those of the host and of the catalogue, by name.
    virtual_servers: Vec<VirtualServer>,
    /// Counts connections: a late answer of a replaced one is told apart.
    connections: u64,
    /// When the snapshot was made, and how long that took.
    made: Option<(Instant, Duration)>,
    /// Whether a server lists something else by now.
    stale: bool,
}

#[derive(Debug)]
struct Server {
    entry: Arc<CatalogServer>,
    upstream: Arc<dyn Upstream>,
    guard: Arc<Guard>,
    listing: Arc<Listing>,
    state: ServerState,
    /// How many of its tools wait for approval.
    waiting: usize,
    /// Whether it was left out of the lists that were made last.
    hidden: bool,
    /// What it adds to snapshots, and the listing of which that was made.
    part: Option<(Arc<Listing>, Arc<Part>)>,
    connection: u64,
    /// Asks the server for its tools as long as it is here. None is asked that is down.
    _watcher: Option<Watcher>,
}

impl Server {
    /// Takes over a revision in which nothing but logins of users changed: nobody else notices those.
    fn takes_logins(&self, entry: &CatalogServer) -> bool {
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
        ) = (&self.entry.upstream, &entry.upstream)
        else {
            return false;
        };
        before == connection
            && had.differ_in_logins_of_users(credentials)
            && same_tools(&self.entry, entry)
            && self.upstream.take_logins(credentials)
    }
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

impl Roster {
    pub(crate) fn new(
        page_size: usize,
        configured: Vec<VirtualServer>,
        guard: GuardSettings,
        turns: mpsc::Sender<Turned>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            state: Mutex::default(),
            snapshot: ArcSwap::from_pointee(Snapshot::new(&[], page_size)),
            signal: watch::Sender::new(Signal::Changed),
            page_size,
            guard,
            metrics,
            turns,
            nothing: Arc::default(),
            configured,
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    pub(crate) fn signals(&self) -> watch::Receiver<Signal> {
        self.signal.subscribe()
    }

    pub(crate) fn close(&self) {
        self.signal.send_replace(Signal::Closed);
    }

    /// The upstreams of all servers.
    pub(crate) fn upstreams(&self) -> Vec<Arc<dyn Upstream>> {
        let state = self.state();
        let servers = state.servers.values();
        servers.map(|server| Arc::clone(&server.upstream)).collect()
    }

    /// The version of the catalogue that is served; `None` before the first.
    pub(crate) fn version(&self) -> Option<CatalogVersion> {
        self.state().version
    }

    /// Takes a catalogue over. A server with the name and revision that it had keeps its upstream
    /// and its list. `read` numbers the reads of the catalogue by when they began: one that began
    /// before another that was taken over already is ignored.
    pub(crate) fn reconcile(
        &self,
        catalog: Catalog,
        read: u64,
        connect: impl Fn(&CatalogServer) -> Arc<dyn Upstream>,
        watch: impl Fn(Connected) -> Watcher,
    ) {
        let mut state = self.state();
        if read < state.read {
            return;
        }
        let mut before = std::mem::take(&mut state.servers);
        let mut servers = BTreeMap::new();
        for entry in catalog.servers {
            let known = before.remove(&entry.name);
            let server = match known {
                Some(known) if known.entry.revision == entry.revision => known,
                Some(mut known) if known.takes_logins(&entry) => {
                    known.entry = entry;
                    known
                }
                known => {
                    state.connections += 1;
                    let connection = state.connections;
                    let name = entry.name.clone();
                    let meter = self.metrics.of(&name);
                    let guard = guarding(&self.guard, &entry);
                    let guard = Guard::new(name, &guard, self.turns.clone()).counting(meter);
                    let guard = Arc::new(guard);
                    let upstream = Guarded::new(connect(&entry), Arc::clone(&guard));
                    let upstream: Arc<dyn Upstream> = Arc::new(upstream);
                    let down = matches!(entry.upstream, Target::Down(_));
                    let watcher = (!down).then(|| {
                        watch(Connected {
                            name: entry.name.clone(),
                            connection,
                            upstream: Arc::clone(&upstream),
                            changes: matches!(
                                entry.upstream,
                                Target::Mcp(_) | Target::Connected { .. }
                            ),
                        })
                    });
                    Server {
                        listing: first_listing(&entry, known.as_ref()),
                        upstream,
                        guard,
                        waiting: 0,
                        hidden: false,
                        part: None,
                        state: if down {
                            ServerState::Down
                        } else {
                            ServerState::Listing
                        },
                        connection,
                        _watcher: watcher,
                        entry,
                    }
                }
            };
            servers.insert(server.entry.name.clone(), server);
        }
        state.servers = servers;
        state.virtual_servers = self.chosen(catalog.virtual_servers);
        state.version = Some(catalog.version);
        state.read = read;
        self.publish(&mut state);
        self.notify();
    }

    /// Takes an upstream's answer over. Ignored when the server was replaced meanwhile. Gives when
    /// [`Roster::catch_up`] is to be called, where that is later.
    pub(crate) fn listed(
        &self,
        name: &ServerName,
        connection: u64,
        answer: Result<Inventory>,
    ) -> Option<Duration> {
        let known = {
            let state = self.state();
            state
                .servers
                .get(name)
                .map(|server| (Arc::clone(&server.listing), Arc::clone(&server.entry)))
        };
        let (known, entry) = known?;
        // Reading the definitions is the long part and needs no lock; mostly they are known.
        let answer = answer.map(|inventory| {
            let (inventory, waiting) = approved(&entry, inventory);
            if known.repeats(&inventory) {
                return (known, waiting);
            }
            let listing = Listing::of(inventory);
            let listing = if known.same_as(&listing) {
                known
            } else {
                Arc::new(listing)
            };
            (listing, waiting)
        });
        let mut state = self.state();
        let server = state
            .servers
            .get_mut(name)
            .filter(|server| server.connection == connection)?;
        server.guard.listed(answer.as_ref().map(drop));
        if let Some(meter) = server.guard.meter() {
            meter.listed(answer.is_ok());
        }
        let was = server.state;
        let changed = match answer {
            Ok((listing, waiting)) => {
                server.state = ServerState::Ready;
                if waiting > server.waiting {
                    tracing::warn!(server = %name, waiting, "tools of a server are new or changed and wait for approval");
                }
                server.waiting = waiting;
                // What is not the one that was known was read for that above.
                let changed =
                    !Arc::ptr_eq(&server.listing, &listing) && !server.listing.same_as(&listing);
                if changed {
                    server.listing = listing;
                }
                changed
            }
            Err(error) => {
                server.state = ServerState::Unreachable;
                tracing::warn!(server = %name, error = %error.report(), "a server did not list its tools");
                false
            }
        };
        let now = server.state;
        let mut later = None;
        if changed || (self.guard.hide && was != now) {
            later = state.made.and_then(|(at, took)| rest(took, at.elapsed()));
            state.stale = true;
            if later.is_none() {
                self.publish(&mut state);
            }
        }
        if (changed && later.is_none()) || was != now {
            self.notify();
        }
        later
    }

    /// Reads what the list of a server means, for whoever lists first, who would read it of all servers
    /// at once. Nobody waits for it, and a start does not.
    pub(crate) fn read(&self, name: &ServerName) {
        let state = self.state();
        let listing = state
            .servers
            .get(name)
            .map(|server| Arc::clone(&server.listing));
        drop(state);
        if let Some(listing) = listing {
            listing.read();
        }
    }

    /// Serves what servers list by now, if that is not served.
    pub(crate) fn catch_up(&self) {
        let mut state = self.state();
        if state.stale {
            self.publish(&mut state);
            self.notify();
        }
    }

    /// Whether a server has not answered for the first time yet.
    pub(crate) fn is_settling(&self) -> bool {
        self.state()
            .servers
            .values()
            .any(|server| server.state == ServerState::Listing)
    }

    pub(crate) fn health(&self) -> (CatalogVersion, Vec<ServerHealth>) {
        let state = self.state();
        let servers = state.servers.values().map(|server| {
            let (circuit, pause) = server.guard.circuit();
            ServerHealth {
                name: server.entry.name.clone(),
                state: server.state,
                tools: server.listing.len(),
                circuit,
                waiting: server.waiting,
                retry_after: pause.map(|pause| pause.as_secs() + 1),
                replicas: server.upstream.replicas(),
            }
        });
        (state.version.unwrap_or_default(), servers.collect())
    }

    /// What alerts are made of.
    pub(crate) fn vitals(&self) -> Vec<Vitals> {
        let state = self.state();
        let servers = state.servers.values().map(|server| {
            let (calls, failures) = server.guard.counts();
            Vitals {
                server: server.entry.name.clone(),
                down: matches!(server.state, ServerState::Unreachable | ServerState::Down),
                open: server.guard.circuit().0 != Circuit::Closed,
                waiting: server.waiting > 0,
                calls,
                failures,
            }
        });
        servers.collect()
    }

    pub(crate) fn virtual_servers(&self) -> Vec<(ServerName, usize)> {
        let (snapshot, state) = (self.snapshot(), self.state());
        let tools = |server: &VirtualServer| {
            let view = snapshot.view(&Scope::Server(server.name.clone()))?;
            Some((server.name.clone(), view.tool_count()))
        };
        state.virtual_servers.iter().filter_map(tools).collect()
    }

    /// Hides the servers that are to be hidden by now, and shows those that are to be seen again.
    pub(crate) fn look(&self) {
        let mut state = self.state();
        let differs = |server: &Server| server.hidden != self.hides(server);
        if self.guard.hide && state.servers.values().any(differs) {
            self.publish(&mut state);
            self.notify();
        }
    }

    /// The virtual servers of the host, and those of a catalogue that have names of their own.
    fn chosen(&self, stored: Vec<VirtualServer>) -> Vec<VirtualServer> {
        let taken = |name: &ServerName| self.configured.iter().any(|it| it.name == *name);
        let (hidden, free): (Vec<_>, _) = stored.into_iter().partition(|it| taken(&it.name));
        for VirtualServer { name, .. } in hidden {
            tracing::warn!(%name, "a virtual server of the store is not served: the configuration has one of its name");
        }
        let mut servers = self.configured.clone();
        servers.extend::<Vec<_>>(free);
        servers.sort_by(|one, other| one.name.cmp(&other.name));
        servers
    }

    fn hides(&self, server: &Server) -> bool {
        let lost = matches!(server.state, ServerState::Unreachable | ServerState::Down);
        self.guard.hide && (lost || server.guard.circuit().0 == Circuit::Open)
    }

    fn publish(&self, state: &mut State) {
        let begun = Instant::now();
        let mut parts = Vec::with_capacity(state.servers.len());
        for server in state.servers.values_mut() {
            server.hidden = self.hides(server);
            parts.push(self.part(server));
        }
        let members = state.servers.values().map(|server| self.member(server));
        let members: Vec<Member<'_>> = members.collect();
        self.snapshot.store(Arc::new(Snapshot::of(
            &parts,
            &members,
            &state.virtual_servers,
            self.page_size,
        )));
        let took = begun.elapsed();
        (state.made, state.stale) = (Some((Instant::now(), took)), false);
        self.metrics.published(took);
    }

    /// As if the snapshot that is served had been made now, in this time.
    #[cfg(test)]
    pub(crate) fn made_in(&self, took: Duration) {
        self.state().made = Some((Instant::now(), took));
    }

    /// What a server adds to snapshots, made anew where what it lists is not what it was.
    fn part(&self, server: &mut Server) -> Arc<Part> {
        let listing = self.listing(server);
        if let Some((of, part)) = &server.part
            && Arc::ptr_eq(of, listing)
        {
            return Arc::clone(part);
        }
        let listing = Arc::clone(listing);
        let part = Arc::new(Part::new(&self.member(server), self.page_size));
        server.part = Some((listing, Arc::clone(&part)));
        part
    }

    fn member<'a>(&'a self, server: &'a Server) -> Member<'a> {
        Member {
            server: &server.entry.name,
            api: &server.entry.tools.api,
            plan: plan(&server.entry),
            listing: self.listing(server),
            upstream: &server.upstream,
        }
    }

    /// What is listed of a server.
    fn listing<'a>(&'a self, server: &'a Server) -> &'a Arc<Listing> {
        if server.hidden {
            &self.nothing
        } else {
            &server.listing
        }
    }

    fn notify(&self) {
        self.signal
            .send_if_modified(|signal| *signal == Signal::Changed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the next snapshot has to wait after one that took so long to make: while many servers
/// change at once, one is made for several of them, and making them takes a fifth of a core at most.
/// One that is made quickly waits for nothing.
fn rest(took: Duration, since: Duration) -> Option<Duration> {
    let wait = (took * 4).min(LONGEST_REST).checked_sub(since)?;
    (took > QUICK && !wait.is_zero()).then_some(wait)
}

/// What the tools of a server were made of: those of one that exists already are its own.
fn plan(entry: &CatalogServer) -> Option<&ToolSet> {
    match &entry.upstream {
        Target::Connected { .. } => None,
        _ => Some(&entry.tools),
    }
}

/// Each address of a server has room for as many calls.
fn guarding(settings: &GuardSettings, entry: &CatalogServer) -> GuardSettings {
    let mut settings = settings.clone();
    if let Target::Connected { connection, .. } = &entry.upstream {
        settings.max_calls = settings.max_calls.saturating_mul(connection.addresses());
    }
    settings
}

/// What is listed until the upstream answers: what the server listed before, where its plan is
/// still the same; else what was planned.
fn first_listing(entry: &CatalogServer, before: Option<&Server>) -> Arc<Listing> {
    match before {
        Some(before) if same_tools(&before.entry, entry) => Arc::clone(&before.listing),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_snapshot_waits_after_one_that_took_long() {
        let millis = Duration::from_millis;
        for (took, since, wait) in [
            (0, 0, None),
            (1, 0, None),
            (5, 0, Some(20)),
            (5, 15, Some(5)),
            (5, 20, None),
            (5, 3_000, None),
            (2_000, 100, Some(400)),
        ] {
            assert_eq!(
                rest(millis(took), millis(since)),
                wait.map(millis),
                "{took} {since}"
            );
        }
    }
}
