//! The gateway: keeps the snapshot current, and serves it.

mod builder;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use futures::StreamExt;
use futures::future::FutureExt;
use futures::stream::{self, BoxStream};
use mcphub_core::catalog::CatalogSource;
use mcphub_core::event::{Circuit, Event, EventBus};
use mcphub_core::principal::Principal;
use mcphub_core::server::ServerName;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use crate::alerts::{AlertSettings, Alerts, Webhook};
use crate::auth::{Gate, SignIns};
use crate::call_log::CallLog;
use crate::federation::{Scope, View};
use crate::guard::Turned;
use crate::hosts::Hosts;
use crate::issuer::TokenIssuer;
use crate::listener::Listener;
use crate::login::Logins;
use crate::mcp;
use crate::mcp::cancel::Cancellable;
use crate::mcp::http::GatewayService;
use crate::mcp::http::limit::Limit;
use crate::mcp::http::load::Load;
use crate::mcp::http::sse::Letterboxes;
use crate::mcp::mark::Marks;
use crate::mcp::memory::Memories;
use crate::mcp::questions::Questions;
use crate::mcp::roots::Roots;
use crate::mcp::session::Sessions;
use crate::mcp::touched::{Told, Touched};
use crate::metrics::{self, Metrics};
use crate::roster::{Roster, ServerHealth, Turn};
use crate::serving;
use crate::settings::GatewaySettings;
use crate::upstream::Connect;

pub use builder::GatewayBuilder;

/// The most circuits that may have changed since it was told last; more are not told.
const MAX_TURNS: usize = 256;

/// How long servers may take to be told that the gateway ends, and how many are told at once.
const LEAVING: Duration = Duration::from_secs(3);
const LEAVING_AT_ONCE: usize = 64;

/// The most announcements that are taken at once.
const MAX_DRAINED: usize = 1_024;

/// All MCP servers of a catalogue behind one endpoint. Cheap to clone.
///
/// # Behavior
/// - Requests are answered from the last snapshot and never wait for a new one.
/// - A server that is slow, dead or broken does not keep others out of a list, nor slows them; its
///   last good list, or the planned one, stays, and a call of it says what is wrong.
/// - A server whose name and revision did not change keeps its upstream.
/// - The tasks that it starts end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    source: Arc<dyn CatalogSource>,
    pub(crate) events: Option<Arc<dyn EventBus>>,
    alerts: Option<(AlertSettings, Option<Webhook>)>,
    connector: Arc<dyn Connect>,
    reads: AtomicU64,
    /// The catalogue could not be read the last time.
    blind: AtomicBool,
    pub(crate) settings: GatewaySettings,
    pub(crate) roster: Roster,
    pub(crate) metrics: Arc<Metrics>,
    /// Where calls are noted.
    pub(crate) calls: Option<Arc<CallLog>>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) roots: Roots,
    pub(crate) running: Arc<Cancellable>,
    pub(crate) memories: Memories,
    pub(crate) touched: Touched,
    pub(crate) marks: Marks,
    /// What says to authorization servers who calls.
    pub(crate) issuer: Option<Arc<TokenIssuer>>,
    pub(crate) limit: Option<Arc<Limit>>,
    pub(crate) load: Load,
    /// Who is let in; without it everybody is.
    pub(crate) gate: Option<Arc<Gate>>,
    /// How users sign in; without it nobody does.
    pub(crate) sign_ins: Option<Arc<SignIns>>,
    /// How users log in to servers; without it nobody does here.
    pub(crate) logins: Option<Arc<Logins>>,
    pub(crate) streams: Arc<Semaphore>,
    /// Turns of servers that are asked what they list.
    lists: Arc<Semaphore>,
    /// Circuits that changed.
    turns: Mutex<mpsc::Receiver<Turned>>,
    pub(crate) letterboxes: Arc<Letterboxes>,
}

impl Gateway {
    /// A gateway over this catalogue, with default settings.
    pub fn builder(source: Arc<dyn CatalogSource>) -> GatewayBuilder {
        GatewayBuilder::new(source)
    }

    /// Reads the catalogue, serves it, and waits until every new server has listed its tools, at
    /// most [`GatewaySettings::settle`]. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// Those of the catalogue; then what was served before goes on. A server that does not answer
    /// is no error.
    pub async fn refresh(&self) -> Result<()> {
        let mut signals = self.inner.roster.signals();
        self.inner.read_catalog().await?;
        let settled =
            async { while self.inner.roster.is_settling() && signals.changed().await.is_ok() {} };
        // Running out of time is fine: the list comes when the server answers.
        let _ = timeout(self.inner.settings.settle, settled).await;
        self.inner.catch_up().await;
        Ok(())
    }

    /// Keeps what is served current: on events, and by asking for the catalogue's version every
    /// [`GatewaySettings::poll_interval`]. Never ends by itself; drop it in order to stop. Errors
    /// of the catalogue are logged, and asked for again.
    pub async fn run(&self) {
        match &self.inner.calls {
            Some(calls) => drop(tokio::join!(self.keep_current(), calls.write())),
            None => self.keep_current().await,
        }
    }

    async fn keep_current(&self) {
        let mut events = match &self.inner.events {
            Some(bus) => bus.subscribe().chain(stream::pending()).boxed(),
            None => stream::pending().boxed(),
        };
        let alerts = self.inner.alerts.as_ref();
        let mut alerts =
            alerts.map(|(settings, hook)| Alerts::new(settings.clone(), hook.as_ref()));
        loop {
            let updated = self.inner.update().await;
            if let (Ok(()), Some(logins)) = (&updated, &self.inner.logins) {
                logins.completed.tell();
            }
            self.inner.note(updated);
            self.inner.questions.expire();
            if self.inner.roster.look() {
                self.inner.catch_up().await;
            }
            if let Some(alerts) = &mut alerts {
                alerts.look(&self.inner).await;
            }
            tokio::select! {
                event = events.next() => {
                    self.inner.heed(event);
                    drain(&mut events, |event| self.inner.heed(event));
                }
                turned = self.inner.turned() => self.inner.announce(turned).await,
                () = sleep(self.inner.settings.poll_interval) => {}
            }
        }
    }

    /// The HTTP service: `/mcp` with all servers, `/mcp/{server}` with one, `GET /healthz`; `/sse` and
    /// `/sse/{server}` with `/messages` for clients that know HTTP+SSE of 2024-11-05 only; `/auth/…`
    /// where users [sign in](GatewayBuilder::sign_ins), and [log in to
    /// servers](GatewayBuilder::user_logins).
    pub fn router(&self) -> Router {
        let hosts = Hosts::of_endpoint(&self.inner.settings, None);
        mcp::http::router_of(Arc::clone(&self.inner), hosts)
    }

    /// Serves what [`Gateway::router`] does to the connections of a port, until `stop` ends. Then it takes
    /// no more, and ends with the last request that is open; event streams last until the gateway
    /// [closes](Gateway::close). Dropped before, it stops too, and nobody waits for what is open.
    ///
    /// Messages to `/mcp`, which nearly all requests are, cost less on this way than through the router,
    /// and it knows where connections come from. To be called in a Tokio runtime.
    pub async fn serve(&self, listener: Listener, stop: impl Future<Output = ()>) {
        let hosts = Hosts::of_endpoint(&self.inner.settings, listener.address());
        let service = GatewayService::new(Arc::clone(&self.inner), hosts);
        serving::serve(listener, service, stop).await;
    }

    /// The HTTP service for operators, which asks nobody who they are: `GET /metrics` with what is
    /// counted, as OpenMetrics text, and `GET /healthz` with all servers. It belongs on an address
    /// of its own that clients do not reach.
    pub fn metrics_router(&self) -> Router {
        metrics::router(Arc::clone(&self.inner))
    }

    /// Serves what [`Gateway::metrics_router`] does to the connections of a port, for ever. On an address
    /// of loopback, requests name a host of loopback or one that the settings allow.
    pub async fn serve_metrics(&self, listener: Listener) {
        let hosts = Hosts::of_operators(&self.inner.settings, listener.address());
        let router = hosts.guard(self.metrics_router());
        // It goes on after errors of single connections, and has no others.
        let _ = axum::serve(listener, router).await;
    }

    /// Serves one client over a pair of byte streams, one JSON-RPC message a line, with the tools
    /// of all servers. Ends after the reader has ended and what was running is answered, or after
    /// 5 s.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub async fn serve_stdio<R, W>(&self, reader: R, writer: W) -> std::io::Result<()>
    where
        R: AsyncRead + Send + Unpin,
        W: AsyncWrite + Send + Unpin,
    {
        let scope = self.inner.settings.tools.scope(Scope::All);
        mcp::stdio::serve(&self.inner, scope, reader, writer).await
    }

    /// The servers that are served, by name.
    pub fn servers(&self) -> Vec<ServerHealth> {
        self.inner.roster.health().1
    }

    /// Tells all servers that they are not needed any more, as far as they want to know, and notes the
    /// last calls in the audit log, within 3 s. For when the gateway ends, and [`Gateway::run`] with
    /// it, which notes calls until then: what is asked of servers afterwards begins anew.
    pub async fn leave(&self) {
        let upstreams = self.inner.roster.upstreams();
        let leaving = stream::iter(upstreams)
            .for_each_concurrent(LEAVING_AT_ONCE, async |upstream| upstream.close().await);
        let noting = async {
            if let Some(calls) = &self.inner.calls {
                calls.finish(LEAVING).await;
            }
        };
        let _ = tokio::join!(timeout(LEAVING, leaving), noting);
    }

    /// The virtual servers, and how many tools each has now.
    pub fn virtual_servers(&self) -> Vec<(ServerName, usize)> {
        self.inner.roster.virtual_servers()
    }

    /// Ends all open streams politely, so that a graceful shutdown of the HTTP server does not
    /// wait for them. New streams end at once; other requests go on.
    pub fn close(&self) {
        self.inner.roster.close();
    }
}

/// Takes what is there already: one look serves all of it.
fn drain<T>(events: &mut BoxStream<'static, T>, mut each: impl FnMut(Option<T>)) {
    for _ in 0..MAX_DRAINED {
        match events.next().now_or_never() {
            Some(event) => each(event),
            None => break,
        }
    }
}

impl Inner {
    /// What somebody sees at an endpoint; `None` when there is no such server.
    pub(crate) fn view(&self, scope: &Scope, who: Option<&Principal>) -> Option<Arc<View>> {
        let snapshot = self.roster.snapshot();
        let Some(who) = who else {
            return snapshot.view(scope).cloned();
        };
        let view = snapshot.listed(scope)?.restricted(&who.permissions);
        Some(match scope {
            Scope::Found(_) => Arc::clone(view.searching()),
            Scope::All | Scope::Server(_) => view,
        })
    }

    /// Whether the catalogue could be read the last time.
    pub(crate) fn sees_catalog(&self) -> bool {
        !self.blind.load(Ordering::Relaxed)
    }

    /// Says so once when the catalogue cannot be read any more, and once when it can be again.
    fn note(&self, outcome: Result<()>) {
        let was_blind = self.blind.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(error) if !was_blind => {
                tracing::warn!(error = %error.report(), "the catalogue cannot be read; what was read last is served");
            }
            Ok(()) if was_blind => tracing::warn!("the catalogue can be read again"),
            _ => {}
        }
    }

    /// Reads the catalogue unless it is the one that is served.
    async fn update(self: &Arc<Self>) -> Result<()> {
        let served = self.roster.version();
        if served.is_some() && served == Some(self.bounded(self.source.version()).await?) {
            return Ok(());
        }
        self.read_catalog().await
    }

    /// Takes from an event what it tells of sessions. Whatever it tells of the catalogue: the
    /// version says whether there is something to read.
    fn heed(&self, event: Option<Result<Event>>) {
        match event {
            Some(Ok(Event::SessionEnded { session })) => {
                self.sessions.note(session);
                self.forget_session(session);
            }
            Some(Ok(Event::ElicitationCompleted { elicitation })) => {
                if let Some(logins) = &self.logins {
                    logins.completed.heard(&elicitation);
                }
            }
            Some(Ok(Event::Lagged) | Err(_)) => self.sessions.doubt(),
            _ => {}
        }
    }

    /// Waits for a circuit that changes.
    async fn turned(&self) -> Turned {
        match self.turns.lock().await.recv().await {
            Some(turned) => turned,
            None => std::future::pending().await,
        }
    }

    /// Says that a circuit has changed, to people and to other parts of the host.
    async fn announce(&self, turned: Turned) {
        let Turned {
            server,
            circuit,
            why,
        } = turned;
        match circuit {
            Circuit::Open => {
                tracing::warn!(%server, why = why.as_deref(), "a server failed several times in a row and is not called for a while");
            }
            Circuit::Closed => tracing::warn!(%server, "a server that failed answers again"),
            _ => tracing::info!(%server, "a server that failed is tried again"),
        }
        if let Some(events) = &self.events {
            // A hint: whoever misses it sees the state when it looks.
            let _ = events
                .publish(Event::CircuitChanged { server, circuit })
                .await;
        }
    }

    /// Gives up what is kept here for a session, or a connection, that has ended.
    pub(crate) fn forget_session(&self, session: SessionKey) {
        self.memories.forget(session);
        self.roots.forget(session);
        let servers = match self.touched.take(session) {
            Told::Some(servers) => servers,
            Told::All => self.roster.upstreams(),
        };
        for upstream in servers {
            if let Some(relay) = upstream.relay() {
                relay.forget(session);
            }
        }
    }

    /// Ends a session on all nodes.
    pub(crate) async fn end_session(&self, session: SessionKey) {
        let keep = self.settings.ended_session_memory;
        self.forget_session(session);
        self.metrics.session_ended();
        self.sessions.end(session, keep).await;
        if let Some(events) = &self.events {
            // A hint: whoever misses it asks.
            let _ = events.publish(Event::SessionEnded { session }).await;
        }
    }

    async fn read_catalog(self: &Arc<Self>) -> Result<()> {
        let begun = Instant::now();
        let read = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        let catalog = self.bounded(self.source.catalog()).await?;
        let turn = self.roster.turn().await;
        let servers = catalog.servers.len().max(self.roster.len());
        self.change(turn, servers, move |inner, turn| {
            inner.roster.reconcile(
                turn,
                catalog,
                read,
                |server| inner.connector.connect(server),
                |server| inner.watch(server),
            );
        })
        .await?;
        self.metrics.caught_up(begun.elapsed());
        if let Some(logins) = &self.logins {
            logins.caught_up();
        }
        Ok(())
    }

    /// Serves what servers list by now, if that is not served.
    async fn catch_up(self: &Arc<Self>) {
        let turn = self.roster.turn().await;
        if self.roster.is_stale() {
            let servers = self.roster.len();
            let change = self.change(turn, servers, |inner, turn| inner.roster.catch_up(turn));
            // Only the end of the runtime keeps it from being made.
            let _ = change.await;
        }
    }

    /// Makes a change that goes through so many servers, where it keeps no request waiting.
    async fn change(
        self: &Arc<Self>,
        mut turn: OwnedMutexGuard<Turn>,
        servers: usize,
        work: impl FnOnce(&Arc<Self>, &mut Turn) + Send + 'static,
    ) -> Result<()> {
        if !Roster::is_long(servers) {
            work(self, &mut turn);
            return Ok(());
        }
        let inner = Arc::clone(self);
        let change = tokio::task::spawn_blocking(move || work(&inner, &mut turn));
        change.await.map_err(|error| {
            Error::internal("a change of the servers was interrupted").caused_by(error)
        })
    }

    async fn bounded<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.settings.catalog_timeout;
        timeout(limit, work).await.unwrap_or_else(|_| {
            Err(
                Error::new(ErrorKind::Timeout, "the catalogue did not answer in time")
                    .with("limit", format!("{limit:?}"))
                    .during("gateway::refresh"),
            )
        })
    }
}
