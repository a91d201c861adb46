//! The servers as they are now, and the snapshot that is served.

mod health;
mod server;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use mcphub_core::Result;
use mcphub_core::catalog::{Catalog, CatalogServer, CatalogVersion, Upstream as Target};
use mcphub_core::event::Circuit;
use mcphub_core::server::ServerName;
use mcphub_core::virtual_server::VirtualServer;
use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio::time::{Instant, sleep};

pub use self::health::{ServerHealth, ServerState};
pub(crate) use self::server::{Connected, Watcher};
use self::server::{Server, Standing};
use crate::approval::approved;
use crate::federation::{Listing, Part, Scope, Snapshot};
use crate::guard::{Guard, GuardSettings, Turned};
use crate::metrics::Metrics;
use crate::upstream::{Guarded, Inventory, Upstream};

/// What is made within this time is made at once.
const QUICK: Duration = Duration::from_millis(1);

/// How long a change that a server tells of may wait.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// The most servers of which a snapshot is made, and dropped, where requests are answered: it takes
/// less time than handing it over.
const FEW: usize = 200;

/// How long a snapshot of more is kept that is served no more. Requests that have it are over by then,
/// mostly, so that none of them has to drop it.
const KEPT: Duration = Duration::from_secs(1);

/// The servers of the current catalogue with what each of them lists.
///
/// Requests read the snapshot without a lock. Whoever changes which servers there are, or makes a
/// snapshot, takes its [turn](Roster::turn), so that snapshots follow each other in order. Locks are
/// held for as long as one server takes: what goes through all of them holds none.
#[derive(Debug)]
pub(crate) struct Roster {
    turn: Arc<tokio::sync::Mutex<Turn>>,
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

/// What it takes to change which servers there are, and to make snapshots.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The number of the read that gave the catalogue.
    read: u64,
    /// Counts connections: a late answer of a replaced one is told apart.
    connections: u64,
}

#[derive(Debug, Default)]
struct State {
    version: Option<CatalogVersion>,
    /// In the order of their names.
    servers: Arc<[Arc<Server>]>,
    /// Those of the host and of the catalogue, by name.
    virtual_servers: Arc<[VirtualServer]>,
    /// When the snapshot was made, and how long that took.
    made: Option<(Instant, Duration)>,
    /// Whether a server lists something else by now.
    stale: bool,
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
            turn: Arc::default(),
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

    /// Waits until nobody else makes a change.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<Turn> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Whether going through so many servers would keep requests waiting.
    pub(crate) fn is_long(servers: usize) -> bool {
        servers > FEW
    }

    /// How many servers there are.
    pub(crate) fn len(&self) -> usize {
        self.state().servers.len()
    }

    /// The upstreams of all servers.
    pub(crate) fn upstreams(&self) -> Vec<Arc<dyn Upstream>> {
        let servers = self.servers();
        let upstreams = servers.iter().map(|server| Arc::clone(&server.upstream));
        upstreams.collect()
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
        turn: &mut Turn,
        mut catalog: Catalog,
        read: u64,
        connect: impl Fn(&CatalogServer) -> Arc<dyn Upstream>,
        watch: impl Fn(Connected) -> Watcher,
    ) {
        if read < turn.read {
            return;
        }
        turn.read = read;
        let before = self.servers();
        let mut known = before.iter().peekable();
        catalog
            .servers
            .sort_by(|one, other| one.name.cmp(&other.name));
        catalog
            .servers
            .dedup_by(|one, other| one.name == other.name);
        let mut fresh = Vec::new();
        let servers = catalog.servers.into_iter().map(|entry| {
            while known.next_if(|known| known.name < entry.name).is_some() {}
            let known = known.next_if(|known| known.name == entry.name);
            if let Some(known) = known
                && known.takes(&entry)
            {
                return Arc::clone(known);
            }
            turn.connections += 1;
            let server = Arc::new(self.server(entry, turn.connections, known, &connect));
            fresh.push(Arc::clone(&server));
            server
        });
        let servers = servers.collect();
        let virtual_servers = self.chosen(catalog.virtual_servers).into();
        let mut state = self.state();
        state.servers = servers;
        state.virtual_servers = virtual_servers;
        state.version = Some(catalog.version);
        drop(state);
        // Only now, because what servers list that are not here is ignored.
        for server in fresh {
            server.watch(&watch);
        }
        self.publish();
        self.notify();
    }

    /// A server of the catalogue that is new, or not what it was.
    fn server(
        &self,
        entry: Arc<CatalogServer>,
        connection: u64,
        known: Option<&Arc<Server>>,
        connect: impl Fn(&CatalogServer) -> Arc<dyn Upstream>,
    ) -> Server {
        let name = entry.name.clone();
        let meter = self.metrics.of(&name);
        let guard = guarding(&self.guard, &entry);
        let guard = Guard::new(name, &guard, self.turns.clone()).counting(meter);
        let guard = Arc::new(guard);
        let upstream = Guarded::new(connect(&entry), Arc::clone(&guard));
        Server::new(entry, connection, Arc::new(upstream), guard, known)
    }

    /// Takes an upstream's answer over. Ignored when the server was replaced meanwhile. Gives after
    /// which time [`Roster::catch_up`] is to be called, where it is.
    pub(crate) fn listed(
        &self,
        name: &ServerName,
        connection: u64,
        answer: Result<Inventory>,
    ) -> Option<Duration> {
        let find = |state: &State| {
            let found = state.find(name).filter(|it| it.connection == connection);
            found.cloned()
        };
        let server = find(&self.state())?;
        let (known, entry) = {
            let standing = server.standing();
            (Arc::clone(&standing.listing), Arc::clone(&standing.entry))
        };
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
        find(&state)?;
        server.guard.listed(answer.as_ref().map(drop));
        if let Some(meter) = server.guard.meter() {
            meter.listed(answer.is_ok());
        }
        let mut standing = server.standing();
        let was = standing.state;
        let changed = match answer {
            Ok((listing, waiting)) => {
                standing.state = ServerState::Ready;
                if waiting > standing.waiting {
                    tracing::warn!(server = %name, waiting, "tools of a server are new or changed and wait for approval");
                }
                standing.waiting = waiting;
                // What is not the one that was known was read for that above.
                let changed = !Arc::ptr_eq(&standing.listing, &listing)
                    && !standing.listing.same_as(&listing);
                if changed {
                    standing.listing = listing;
                }
                changed
            }
            Err(error) => {
                standing.state = ServerState::Unreachable;
                tracing::warn!(server = %name, error = %error.report(), "a server did not list its tools");
                false
            }
        };
        let turned = was != standing.state;
        drop(standing);
        let mut later = None;
        if changed || (self.guard.hide && turned) {
            let rest = state.made.and_then(|(at, took)| rest(took, at.elapsed()));
            later = Some(rest.unwrap_or_default());
            state.stale = true;
        }
        drop(state);
        if turned {
            self.notify();
        }
        later
    }

    /// Reads what the list of a server means, for whoever lists first, who would read it of all servers
    /// at once. Nobody waits for it, and a start does not.
    pub(crate) fn read(&self, name: &ServerName) {
        let server = self.state().find(name).cloned();
        if let Some(server) = server {
            let listing = Arc::clone(&server.standing().listing);
            listing.read();
        }
    }

    /// Whether a server lists something else than what is served, of which no snapshot is being made.
    pub(crate) fn is_stale(&self) -> bool {
        self.state().stale
    }

    /// Serves what servers list by now.
    pub(crate) fn catch_up(&self, _: &mut Turn) {
        self.publish();
        self.notify();
    }

    /// Whether a server has not answered for the first time yet.
    pub(crate) fn is_settling(&self) -> bool {
        let servers = self.servers();
        servers
            .iter()
            .any(|server| server.standing().state == ServerState::Listing)
    }

    pub(crate) fn virtual_servers(&self) -> Vec<(ServerName, usize)> {
        let (snapshot, servers) = (self.snapshot(), Arc::clone(&self.state().virtual_servers));
        let tools = |server: &VirtualServer| {
            let view = snapshot.view(&Scope::Server(server.name.clone()))?;
            Some((server.name.clone(), view.tool_count()))
        };
        servers.iter().filter_map(tools).collect()
    }

    /// Whether servers are to be hidden by now, or to be seen again, which is to be
    /// [served](Roster::catch_up).
    pub(crate) fn look(&self) -> bool {
        if !self.guard.hide {
            return false;
        }
        let servers = self.servers();
        let differs = |server: &Arc<Server>| {
            let standing = server.standing();
            standing.hidden != self.hides(server, &standing)
        };
        let differ = servers.iter().any(differs);
        self.state().stale |= differ;
        differ
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

    fn hides(&self, server: &Server, standing: &Standing) -> bool {
        self.guard.hide
            && (matches!(standing.state, ServerState::Unreachable | ServerState::Down)
                || server.guard.circuit().0 == Circuit::Open)
    }

    /// Makes a snapshot of what servers list by now, and serves it.
    fn publish(&self) {
        let begun = Instant::now();
        let (servers, virtual_servers) = {
            let mut state = self.state();
            // What changes from here on is for the next one.
            state.stale = false;
            (
                Arc::clone(&state.servers),
                Arc::clone(&state.virtual_servers),
            )
        };
        let parts = servers.iter().map(|server| self.part(server));
        let parts: Vec<_> = parts.collect();
        let entries: Vec<_> = match &*virtual_servers {
            [] => Vec::new(),
            _ => servers.iter().map(|server| server.entry()).collect(),
        };
        let members = entries.iter().zip(servers.iter()).zip(&parts);
        let members = members.map(|((entry, server), part)| server.member(entry, part.listing()));
        let members: Vec<_> = members.collect();
        let next = Snapshot::of(&parts, &members, &virtual_servers, self.page_size);
        let before = self.snapshot.swap(Arc::new(next));
        let took = begun.elapsed();
        self.state().made = Some((Instant::now(), took));
        self.metrics.published(took);
        if Self::is_long(servers.len()) {
            retire(before);
        }
    }

    /// As if the snapshot that is served had been made now, in this time.
    #[cfg(test)]
    pub(crate) fn made_in(&self, took: Duration) {
        self.state().made = Some((Instant::now(), took));
    }

    /// What a server adds to snapshots, made anew where what it lists is not what it was.
    fn part(&self, server: &Server) -> Arc<Part> {
        let (listing, entry) = {
            let mut standing = server.standing();
            standing.hidden = self.hides(server, &standing);
            let listing = if standing.hidden {
                &self.nothing
            } else {
                &standing.listing
            };
            if let Some(part) = &standing.part
                && Arc::ptr_eq(part.listing(), listing)
            {
                return Arc::clone(part);
            }
            (Arc::clone(listing), Arc::clone(&standing.entry))
        };
        let part = Arc::new(Part::new(&server.member(&entry, &listing), self.page_size));
        server.standing().part = Some(Arc::clone(&part));
        part
    }

    fn notify(&self) {
        self.signal
            .send_if_modified(|signal| *signal == Signal::Changed);
    }

    fn servers(&self) -> Arc<[Arc<Server>]> {
        Arc::clone(&self.state().servers)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, name: &ServerName) -> Option<&Arc<Server>> {
        let found = self
            .servers
            .binary_search_by(|server| server.name.cmp(name));
        found.ok().and_then(|at| self.servers.get(at))
    }
}

/// How long the next snapshot has to wait after one that took so long to make: while many servers
/// change at once, one is made for several of them, and making them takes a fifth of a core at most.
/// One that is made quickly waits for nothing.
fn rest(took: Duration, since: Duration) -> Option<Duration> {
    let wait = (took * 4).min(LONGEST_REST).checked_sub(since)?;
    (took > QUICK && !wait.is_zero()).then_some(wait)
}

/// Drops a snapshot, once hardly anybody has it any more and where that keeps nobody waiting.
fn retire(snapshot: Arc<Snapshot>) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            sleep(KEPT).await;
            drop(tokio::task::spawn_blocking(move || drop(snapshot)).await);
        });
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
