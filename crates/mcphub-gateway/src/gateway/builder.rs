//! How a gateway is put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use mcphub_core::catalog::CatalogSource;
use mcphub_core::event::EventBus;
use mcphub_core::launch::Launcher;
use mcphub_core::principal::Authenticator;
use mcphub_core::secret::{DataKey, GrantKeeper};
use mcphub_core::shared::{Rate, Shared};
use mcphub_core::store::AuditStore;
use mcphub_core::virtual_server::VirtualServer;
use mcphub_core::{Error, Result};
use tokio::sync::{Mutex, Semaphore, mpsc};

use super::{Gateway, Inner, MAX_TURNS, watch};
use crate::alerts::{AlertSettings, Webhook};
use crate::auth::{Gate, SignIns};
use crate::call_log::{CallAudit, CallLog};
use crate::issuer::TokenIssuer;
use crate::login::{Logins, UserLogins};
use crate::mcp::http::limit::Limit;
use crate::mcp::http::load::Load;
use crate::mcp::mark::Marks;
use crate::mcp::memory::Memories;
use crate::mcp::roots::Roots;
use crate::mcp::session::Sessions;
use crate::mcp::touched::Touched;
use crate::metrics::Metrics;
use crate::roster::Roster;
use crate::settings::GatewaySettings;
use crate::upstream::native::NativeClient;
use crate::upstream::{Connect, Connector, UpstreamSettings};

/// Makes a [`Gateway`].
#[derive(Debug)]
#[must_use]
pub struct GatewayBuilder {
    source: Arc<dyn CatalogSource>,
    settings: GatewaySettings,
    events: Option<Arc<dyn EventBus>>,
    shared: Option<Shared>,
    rate: Option<Rate>,
    upstreams: UpstreamSettings,
    grants: Option<Arc<dyn GrantKeeper>>,
    launcher: Option<Arc<dyn Launcher>>,
    connector: Option<Arc<dyn Connect>>,
    authenticator: Option<Arc<dyn Authenticator>>,
    sign_ins: Option<Arc<SignIns>>,
    user_logins: Option<UserLogins>,
    virtual_servers: Vec<VirtualServer>,
    audit: Option<(Arc<dyn AuditStore>, CallAudit)>,
    alerts: Option<(AlertSettings, Option<Webhook>)>,
    mark_keys: Vec<DataKey>,
    issuer: Option<Arc<TokenIssuer>>,
}

impl GatewayBuilder {
    pub(super) fn new(source: Arc<dyn CatalogSource>) -> Self {
        Self {
            source,
            settings: GatewaySettings::default(),
            events: None,
            shared: None,
            rate: None,
            upstreams: UpstreamSettings::default(),
            grants: None,
            launcher: None,
            connector: None,
            authenticator: None,
            sign_ins: None,
            user_logins: None,
            virtual_servers: Vec::new(),
            audit: None,
            alerts: None,
            mark_keys: Vec::new(),
            issuer: None,
        }
    }

    /// Limits and choices.
    pub fn settings(mut self, settings: GatewaySettings) -> Self {
        self.settings = settings;
        self
    }

    /// Where changes are announced. Without it they are found by asking, within
    /// [`GatewaySettings::poll_interval`].
    pub fn events(mut self, events: Arc<dyn EventBus>) -> Self {
        self.events = Some(events);
        self
    }

    /// What this gateway shares with others over the same catalogue: [events](Self::events), sessions
    /// that were ended, what clients used of their rate, and, where there is a
    /// [cache](mcphub_core::shared::Cache), answers that may be given again.
    pub fn shared(mut self, shared: Shared) -> Self {
        self.events = Some(shared.events.clone());
        self.shared = Some(shared);
        self
    }

    /// How often one client may ask, at all nodes together, counted by its address, or by its /64 of
    /// IPv6, and by its principal once that was [let in](Self::authenticator); more is answered with HTTP 429 and `Retry-After`. Needs [shared](Self::shared) state,
    /// and a host that tells [`ClientAddress`](crate::ClientAddress): without addresses all clients
    /// count as one. `GET /healthz` without a key is not counted.
    pub fn rate_limit(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Limits of the upstreams that the gateway makes by itself.
    pub fn upstreams(mut self, settings: UpstreamSettings) -> Self {
        self.upstreams = settings;
        self
    }

    /// Where logins of native servers are kept when they were renewed; without it a renewed login
    /// ends with this gateway.
    pub fn grants(mut self, grants: Arc<dyn GrantKeeper>) -> Self {
        self.grants = Some(grants);
        self
    }

    /// What starts servers that are programs; without it such servers are down.
    pub fn launcher(mut self, launcher: Arc<dyn Launcher>) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Who is let in over HTTP: whoever shows a bearer token that this knows (RFC 6750), and then
    /// only to the tools that they may call. Who was let in is asked about once a second, so that a
    /// revocation is seen so soon; while nobody can be asked, they go on for 5 min. Without it
    /// everybody is let in. `GET /healthz` is open to all and names, to who shows a key, the servers
    /// that they may use; a client over stdio is who started the program.
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Lets users sign in: `POST /auth/sign-in`, `/auth/refresh` and `/auth/sign-out`. What they get
    /// lets them in where the [authenticator](Self::authenticator) knows it. Default nobody does.
    pub fn sign_ins(mut self, sign_ins: Arc<SignIns>) -> Self {
        self.sign_ins = Some(sign_ins);
        self
    }

    /// Lets users log in to MCP servers of which each has a login of their own, by a URL that whoever calls
    /// without one is given: the error of 2025-11-25 for that, the question of 2026-07-28, or a text.
    /// Who opens it says who they are, with the password of a [sign-in](Self::sign_ins) or a token that
    /// the [authenticator](Self::authenticator) knows, so it needs both. Default nobody can.
    pub fn user_logins(mut self, logins: UserLogins) -> Self {
        self.user_logins = Some(logins);
        self
    }

    /// Virtual servers beside those of the catalogue, each at `/mcp/{name}` in place of a server, or
    /// of a virtual one of the catalogue, of its name. Default none.
    pub fn virtual_servers(mut self, servers: Vec<VirtualServer>) -> Self {
        self.virtual_servers = servers;
        self
    }

    /// Where calls are noted, and which: who called what, when, how it ended and how long it took, and
    /// never arguments or results. Notes are written beside calls, so the last of them are lost
    /// with a gateway that is killed. Default: none are noted.
    pub fn audit(mut self, log: Arc<dyn AuditStore>, audit: CallAudit) -> Self {
        self.audit = Some((log, audit));
        self
    }

    /// What somebody is told of servers: in the log, to [events](Self::events), and by a webhook.
    /// They are looked at while [`Gateway::run`] does. Default nothing.
    pub fn alerts(mut self, settings: AlertSettings, webhook: Option<Webhook>) -> Self {
        self.alerts = Some((settings, webhook));
        self
    }

    /// The keys of the marks that bind ids of tasks, and states of calls that wait, to whom they
    /// were given; whoever shows those of somebody else is told that there is no such thing. The
    /// first makes marks, all know them again. Default a random one, so that marks end with this
    /// gateway: of several nodes, all need the same.
    pub fn mark_keys(mut self, keys: Vec<DataKey>) -> Self {
        self.mark_keys = keys;
        self
    }

    /// Says to authorization servers who calls, where a server gets tokens in exchange for that, and
    /// publishes the keys at `/.well-known/jwks.json`, for everybody. Default nothing does, and such
    /// calls are refused.
    pub fn issuer(mut self, issuer: TokenIssuer) -> Self {
        self.issuer = Some(Arc::new(issuer));
        self
    }

    /// Makes upstreams in another way.
    pub fn connector(mut self, connector: Arc<dyn Connect>) -> Self {
        self.connector = Some(connector);
        self
    }

    /// The gateway, serving nothing until its first refresh.
    ///
    /// # Errors
    /// `InvalidInput` for a rate without shared state to count in, and for logins of users where nobody
    /// is asked who they are; otherwise as [`Connector::new`].
    pub fn build(self) -> Result<Gateway> {
        let metrics = Arc::<Metrics>::default();
        let cache = self.shared.as_ref().and_then(|shared| shared.cache.clone());
        let gate = self.authenticator.map(|it| Arc::new(Gate::new(it)));
        let logins = match (self.user_logins, &gate, &self.sign_ins) {
            (None, ..) => None,
            (Some(offered), Some(gate), Some(sign_ins)) => {
                let http = NativeClient::new(self.upstreams.native.clone())?;
                let (gate, sign_ins) = (Arc::clone(gate), Arc::clone(sign_ins));
                Some(Arc::new(Logins::new(offered, http, gate, sign_ins)))
            }
            _ => {
                return Err(Error::invalid(
                    "users log in to servers only where they are asked who they are",
                ));
            }
        };
        let connector = match self.connector {
            Some(connector) => connector,
            None => {
                let guard = self.settings.guard.clone();
                let mut connector = Connector::new(self.upstreams)?.guarding(guard);
                if let Some(grants) = self.grants {
                    connector = connector.keeping(grants);
                }
                if let Some(issuer) = &self.issuer {
                    connector = connector.issuing(issuer.clone());
                }
                if let Some(cache) = cache {
                    connector = connector.caching(cache, Arc::clone(&metrics));
                }
                if let Some(launcher) = self.launcher {
                    connector = connector.launching(launcher);
                }
                Arc::new(connector)
            }
        };
        let sessions = self.shared.as_ref().map(|shared| shared.sessions.clone());
        let limit = match (self.rate, self.shared) {
            (Some(rate), Some(shared)) => Some(Arc::new(Limit {
                rate,
                limiter: shared.limits,
            })),
            (Some(_), None) => {
                return Err(Error::invalid(
                    "a rate limit needs shared state to count in",
                ));
            }
            (None, _) => None,
        };
        let (teller, turns) = mpsc::channel(MAX_TURNS);
        let inner = Inner {
            source: self.source,
            events: self.events,
            alerts: self.alerts,
            connector,
            reads: AtomicU64::new(0),
            blind: AtomicBool::new(false),
            roster: Roster::new(
                self.settings.page_size,
                self.virtual_servers,
                self.settings.guard.clone(),
                teller,
                Arc::clone(&metrics),
            ),
            metrics,
            calls: self
                .audit
                .map(|(log, audit)| Arc::new(CallLog::new(log, audit))),
            turns: Mutex::new(turns),
            questions: Arc::default(),
            roots: Roots::default(),
            letterboxes: Arc::default(),
            running: Arc::default(),
            memories: Memories::new(),
            touched: Touched::default(),
            marks: Marks::new(self.mark_keys)?,
            issuer: self.issuer,
            sessions: Arc::new(Sessions::new(self.settings.max_ended_sessions, sessions)),
            limit,
            load: Load::new(self.settings.max_requests),
            sign_ins: self.sign_ins,
            gate,
            logins,
            streams: Arc::new(Semaphore::new(
                self.settings.max_streams.min(Semaphore::MAX_PERMITS),
            )),
            lists: Arc::new(Semaphore::new(watch::AT_ONCE)),
            settings: self.settings,
        };
        Ok(Gateway {
            inner: Arc::new(inner),
        })
    }
}
