//! From a server in the catalogue to its upstream.

use std::sync::Arc;
use std::time::Duration;

use mcphub_core::catalog::{CatalogServer, Upstream as Target};
use mcphub_core::connection::{Connection, Remote, Zone};
use mcphub_core::launch::Launcher;
use mcphub_core::secret::{Credentials, GrantKeeper};
use mcphub_core::server::ServerName;
use mcphub_core::shared::Cache;
use mcphub_core::tool::{Tool, ToolSet};
use mcphub_core::{Error, ErrorKind, Result};
use url::Url;

use super::access::Access;
use super::channel::{ChannelSettings, McpChannel};
use super::native::{NativeApi, NativeClient, NativeSettings};
use super::oauth::{Keeper, Means};
use super::reads::KeptReads;
use super::replicas::{CheckSettings, Replica, ReplicaSettings, Replicas};
use super::streamable_http::{McpClient, McpHttp, McpSettings};
use super::{AnswerCache, Connect, Down, Upstream};
use crate::guard::GuardSettings;
use crate::issuer::TokenIssuer;
use crate::metrics::Metrics;

/// The most programs of one server that each belong to a client's session, where that is wanted.
const MAX_PROGRAMS: u32 = 16;

/// The most streams of one server over HTTP+SSE that each belong to a client's session.
const MAX_STREAMS: u32 = 256;

/// How long a server over HTTP+SSE may take to open its stream and to agree on a revision.
const SSE_START: Duration = Duration::from_secs(15);

/// Limits of all upstreams, by kind.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct UpstreamSettings {
    /// Of HTTP APIs that the gateway calls itself.
    pub native: NativeSettings,
    /// Of MCP servers over streamable HTTP.
    pub mcp: McpSettings,
    /// Of MCP servers that are programs.
    pub channel: ChannelSettings,
    /// How the replicas of a server are checked.
    pub checks: CheckSettings,
    /// Where this gateway is: replicas of its zone, and of none, are called before others. Default
    /// nowhere, so that all are near.
    pub zone: Option<Zone>,
}

/// Connects every kind of server; all upstreams of a kind share one pool of connections.
#[derive(Debug, Clone)]
pub struct Connector {
    native: NativeClient,
    mcp: McpClient,
    grants: Option<Arc<dyn GrantKeeper>>,
    issuer: Option<Arc<TokenIssuer>>,
    channel: ChannelSettings,
    checks: CheckSettings,
    zone: Option<Zone>,
    guard: GuardSettings,
    launcher: Option<Arc<dyn Launcher>>,
    cache: Option<(Arc<dyn Cache>, Arc<Metrics>)>,
}

impl Connector {
    /// A connector with these limits.
    ///
    /// # Errors
    /// `Internal` when the process has not installed a rustls crypto provider.
    pub fn new(settings: UpstreamSettings) -> Result<Self> {
        Ok(Self {
            native: NativeClient::new(settings.native)?,
            mcp: McpClient::new(settings.mcp)?,
            grants: None,
            issuer: None,
            channel: settings.channel,
            checks: settings.checks,
            zone: settings.zone,
            guard: GuardSettings::default(),
            launcher: None,
            cache: None,
        })
    }

    /// Starts servers that are programs. Without it such a server is down.
    #[must_use]
    pub fn launching(mut self, launcher: Arc<dyn Launcher>) -> Self {
        self.launcher = Some(launcher);
        self
    }

    /// Keeps answers that may be given again, and counts how often they are.
    #[must_use]
    pub(crate) fn caching(mut self, cache: Arc<dyn Cache>, metrics: Arc<Metrics>) -> Self {
        self.cache = Some((cache, metrics));
        self
    }

    /// What keeps answers of a server. Of those that were discovered nothing is: their revisions are
    /// this node's own.
    fn answers(&self, server: &CatalogServer) -> Option<AnswerCache> {
        let (cache, metrics) = self.cache.as_ref()?;
        if server.revision.registry == 0 {
            return None;
        }
        let meter = metrics.of(&server.name);
        Some(AnswerCache::of(server, Arc::clone(cache), meter))
    }

    /// Guards each replica of a server like this. Default as [`GuardSettings`] are.
    #[must_use]
    pub fn guarding(mut self, guard: GuardSettings) -> Self {
        self.guard = guard;
        self
    }

    /// Keeps logins of native servers where the catalogue has them from when they were renewed.
    #[must_use]
    pub fn keeping(mut self, grants: Arc<dyn GrantKeeper>) -> Self {
        self.grants = Some(grants);
        self
    }

    /// Says to authorization servers who calls, where tokens are exchanged for that. Without it such
    /// calls are refused.
    #[must_use]
    pub fn issuing(mut self, issuer: Arc<TokenIssuer>) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// The upstream of a server, for who wants to know why there is none.
    ///
    /// # Errors
    /// `Unavailable` with the reason for a server that is down; `InvalidInput` for an address or
    /// credentials that cannot be used, `Unsupported` for a kind of server that is not known.
    pub fn reach(&self, server: &CatalogServer) -> Result<Arc<dyn Upstream>> {
        match &server.upstream {
            Target::Native {
                base_url,
                credentials,
            } => Ok(Arc::new(self.native(server, base_url, credentials)?)),
            Target::Mcp(endpoint) => {
                let upstream = McpHttp::new(endpoint.clone(), self.mcp.clone());
                Ok(self.keeping_reads(server, Arc::new(upstream)))
            }
            Target::Connected {
                connection,
                credentials,
                ..
            } => {
                let upstream = self.connected(&server.name, connection, credentials)?;
                let per_user = match connection {
                    Connection::Http(remote) | Connection::Sse(remote) => remote.per_user,
                    _ => false,
                };
                // Whoever has not been let in by the server gets nothing that others were given.
                if per_user || !credentials.exchanges.is_empty() {
                    return Ok(upstream);
                }
                Ok(self.keeping_reads(server, upstream))
            }
            Target::Down(reason) => Err(Error::new(ErrorKind::Unavailable, reason.clone())),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "this gateway does not know its kind of server",
            )),
        }
    }

    fn native(
        &self,
        server: &CatalogServer,
        base_url: &Url,
        credentials: &Credentials,
    ) -> Result<NativeApi> {
        let api = NativeApi::with_client(
            Arc::clone(&server.tools),
            base_url.clone(),
            credentials.clone(),
            self.native.clone(),
        )?;
        let api = match &self.grants {
            Some(grants) => api.keeping(server.name.clone(), grants.clone()),
            None => api,
        };
        let api = match &self.issuer {
            Some(issuer) => api.issuing(issuer.clone()),
            None => api,
        };
        Ok(match self.answers(server) {
            Some(answers) => api.caching(answers),
            None => api,
        })
    }

    /// The upstream, with what keeps its resources where answers are kept.
    fn keeping_reads(
        &self,
        server: &CatalogServer,
        upstream: Arc<dyn Upstream>,
    ) -> Arc<dyn Upstream> {
        match self.answers(server) {
            Some(answers) => Arc::new(KeptReads::new(upstream, answers)),
            None => upstream,
        }
    }

    fn channel_settings(&self, connection: &Connection) -> ChannelSettings {
        let mut settings = self.channel.clone();
        if let Some(limit) = connection.call_timeout() {
            settings.call_timeout = limit;
        }
        settings
    }

    /// The tokens that let requests to a server in.
    fn access(
        &self,
        server: &ServerName,
        remote: &Remote,
        credentials: &Credentials,
    ) -> Result<Option<Arc<Access>>> {
        let (clients, grants) = (&credentials.clients, &credentials.grants);
        let shared = clients.contains_key(Connection::LOGIN);
        if !remote.per_user && !shared && !grants.contains_key(Connection::LOGIN) {
            return Ok(None);
        }
        let keeper = self.grants.as_ref().map(|grants| Keeper {
            server: server.clone(),
            grants: Arc::clone(grants),
        });
        let means = Means {
            keeper,
            issuer: self.issuer.clone(),
        };
        let http = self.native.trusting(credentials.authorities.as_deref())?;
        let access = Access::new(server, remote, credentials, http, means);
        Ok(Some(Arc::new(access)))
    }

    fn connected(
        &self,
        server: &ServerName,
        connection: &Connection,
        credentials: &Credentials,
    ) -> Result<Arc<dyn Upstream>> {
        match connection {
            Connection::Http(remote) => {
                let client = self.mcp.of_server(credentials, &remote.limits)?;
                let client = client.with(|settings| {
                    settings.era = connection.era();
                    if let Some(limit) = connection.call_timeout() {
                        settings.call_timeout = limit;
                    }
                    // Another replica is asked instead.
                    settings.reconnect &= remote.replicas.is_empty();
                });
                let access = self.access(server, remote, credentials)?;
                let first =
                    McpHttp::let_in(remote.endpoint(credentials), client.clone(), access.clone());
                if remote.replicas.is_empty() {
                    return Ok(Arc::new(first));
                }
                let others = remote.replica_endpoints(credentials).into_iter();
                let others = others
                    .map(|endpoint| McpHttp::let_in(endpoint, client.clone(), access.clone()));
                let limit = client.settings().call_timeout;
                Ok(Arc::new(
                    self.replicas(server, remote, first, others, limit),
                ))
            }
            Connection::Stdio(command) => {
                let launcher = self.launcher.clone().ok_or_else(|| {
                    let message = "this host starts no programs";
                    Error::new(ErrorKind::Unsupported, message)
                })?;
                let mut settings = self.channel_settings(connection);
                settings.era = connection.era();
                if command.per_session {
                    settings.max_own = MAX_PROGRAMS;
                }
                let launch = command.launch(server, credentials)?;
                Ok(Arc::new(McpChannel::program(launch, launcher, settings)))
            }
            Connection::Sse(_) if !credentials.exchanges.is_empty() => Err(Error::new(
                ErrorKind::Unsupported,
                "tokens are exchanged over streamable HTTP; HTTP+SSE is one connection for all callers",
            )),
            Connection::Sse(remote) => {
                let client = self.mcp.of_server(credentials, &remote.limits)?;
                let mut settings = self.channel_settings(connection);
                settings.total_timeout = client.settings().total_timeout;
                settings.start_timeout = SSE_START;
                settings.max_own = MAX_STREAMS;
                let endpoint = remote.endpoint(credentials);
                let access = self.access(server, remote, credentials)?;
                Ok(Arc::new(McpChannel::sse_let_in(
                    endpoint, client, settings, access,
                )))
            }
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "this gateway cannot reach a server in this way",
            )
            .with("connection", connection)),
        }
    }

    fn replicas(
        &self,
        server: &ServerName,
        remote: &Remote,
        first: McpHttp,
        others: impl Iterator<Item = McpHttp>,
        limit: Duration,
    ) -> Replicas {
        let near = |zone: &Option<Zone>| match (&self.zone, zone) {
            (Some(here), Some(there)) => here == there,
            _ => true,
        };
        let first = Replica {
            upstream: Arc::new(first),
            weight: None,
            near: near(&remote.zone),
        };
        let others = others.zip(&remote.replicas).map(|(upstream, it)| Replica {
            upstream: Arc::new(upstream),
            weight: it.weight,
            near: near(&it.zone),
        });
        let settings = ReplicaSettings {
            guard: self.guard.clone(),
            checks: self.checks,
            hedge: remote.hedge,
            limit,
        };
        Replicas::new(
            server,
            std::iter::once(first).chain(others).collect(),
            &settings,
        )
    }
}

/// The tools of a server that cannot be asked for them.
fn known(server: &CatalogServer) -> Arc<ToolSet> {
    match &server.upstream {
        Target::Connected { listed, .. } if !listed.is_empty() => Arc::new(ToolSet {
            tools: listed.iter().filter_map(|it| Tool::listed(it)).collect(),
            ..ToolSet::clone(&server.tools)
        }),
        _ => Arc::clone(&server.tools),
    }
}

impl Connect for Connector {
    fn connect(&self, server: &CatalogServer) -> Arc<dyn Upstream> {
        self.reach(server)
            .unwrap_or_else(|error| Arc::new(Down::new(known(server), error.report())))
    }
}
