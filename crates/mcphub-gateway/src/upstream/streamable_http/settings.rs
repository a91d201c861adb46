//! Limits of MCP servers over HTTP, and the client that keeps them.

use std::sync::Arc;
use std::time::Duration;

use mcphub_core::Result;
use mcphub_core::connection::{Era, Limits};
use mcphub_core::secret::Credentials;

use crate::upstream::direct::Direct;
use crate::upstream::general::General;
use crate::upstream::http;

/// The most redirects that are followed, within one origin.
const MAX_REDIRECTS: usize = 5;

/// Limits of one MCP server over streamable HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct McpSettings {
    /// How long connecting may take, name lookup and TLS included. Default 5 s.
    pub connect_timeout: Duration,
    /// Which era is spoken. Default as the server answers `server/discover`.
    pub era: Era,
    /// How long a `tools/call` may take, a handshake before it included, until it is answered or
    /// until something is said before the answer; then until the next. Default 60 s.
    pub call_timeout: Duration,
    /// How long the headers of an answer may take, connecting included. Default as long as a call.
    pub first_byte_timeout: Option<Duration>,
    /// How long a streamed answer may be silent between two messages. Default as long as a call.
    pub idle_timeout: Option<Duration>,
    /// How long a request may take with all that is said until its answer. Default as the gateway
    /// has it, [`GatewaySettings::stream_timeout`](crate::GatewaySettings::stream_timeout).
    pub total_timeout: Option<Duration>,
    /// The most connections that are kept for a host while they are not in use, each for 90 s.
    /// Default 1,024.
    pub max_idle_connections: usize,
    /// Whether a request for which there was no connection, so that the server saw nothing of it, is
    /// sent once more after 100 ms, while there is time. Default it is.
    pub reconnect: bool,
    /// How long all pages of `tools/list` together may take. Default 10 s.
    pub list_timeout: Duration,
    /// The most tools that one server may list. Default 10,000.
    pub max_tools: usize,
    /// The largest answer to one request in bytes, and the largest list of tools. Default 64 MiB.
    pub max_message: usize,
    /// The first pause before a broken stream of changes is opened again; it doubles with each
    /// failure. Default 1 s.
    pub initial_backoff: Duration,
    /// The longest such pause. Default 60 s.
    pub max_backoff: Duration,
}

impl Default for McpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            era: Era::Auto,
            call_timeout: Duration::from_secs(60),
            first_byte_timeout: None,
            idle_timeout: None,
            total_timeout: None,
            max_idle_connections: 1_024,
            reconnect: true,
            list_timeout: Duration::from_secs(10),
            max_tools: 10_000,
            max_message: 64 * 1024 * 1024,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
        }
    }
}

/// The connections to MCP servers, pooled by host. A clone shares them.
#[derive(Debug, Clone)]
pub struct McpClient {
    pub(super) http: General,
    /// For what needs nothing but HTTP.
    pub(super) direct: Direct,
    pub(super) settings: Arc<McpSettings>,
}

impl McpClient {
    /// A client that keeps these limits.
    ///
    /// # Errors
    /// `Internal` when the process has not installed a rustls crypto provider.
    pub fn new(settings: McpSettings) -> Result<Self> {
        let settings = Arc::new(settings);
        Ok(Self {
            http: general(&settings)?,
            direct: direct(&settings),
            settings,
        })
    }

    /// This client for one server, which may have limits of its own, and certificates: where these
    /// are about connections, it shares none with others.
    ///
    /// # Errors
    /// `InvalidInput` for what is no certificate in PEM.
    pub fn of_server(&self, credentials: &Credentials, limits: &Limits) -> Result<Self> {
        let ours = &*self.settings;
        let seconds = Limits::seconds;
        let most = limits.max_idle_connections.map(|most| most as usize);
        let settings = Arc::new(McpSettings {
            connect_timeout: seconds(limits.connect_timeout).unwrap_or(ours.connect_timeout),
            first_byte_timeout: seconds(limits.first_byte_timeout).or(ours.first_byte_timeout),
            idle_timeout: seconds(limits.idle_timeout).or(ours.idle_timeout),
            total_timeout: seconds(limits.total_timeout).or(ours.total_timeout),
            max_idle_connections: most.unwrap_or(ours.max_idle_connections),
            ..ours.clone()
        });
        let (authorities, identity) = (&credentials.authorities, &credentials.identity);
        let own = limits.connect_timeout.is_some() || most.is_some();
        let http = if authorities.is_some() || identity.is_some() {
            http::certified(
                builder(&settings)?,
                authorities.as_deref(),
                identity.as_ref(),
            )?
            .into()
        } else if own {
            general(&settings)?
        } else {
            self.http.clone()
        };
        Ok(Self {
            http,
            direct: if own {
                direct(&settings)
            } else {
                self.direct.clone()
            },
            settings,
        })
    }

    /// What goes over TLS or a proxy.
    ///
    /// # Errors
    /// As [`General::get`].
    pub(in crate::upstream) async fn http(&self) -> Result<&reqwest::Client> {
        self.http.get().await
    }

    /// Its limits.
    pub fn settings(&self) -> &McpSettings {
        &self.settings
    }

    /// This client with other limits that are not about connections.
    #[must_use]
    pub(in crate::upstream) fn with(&self, change: impl FnOnce(&mut McpSettings)) -> Self {
        let mut settings = McpSettings::clone(&self.settings);
        change(&mut settings);
        Self {
            http: self.http.clone(),
            direct: self.direct.clone(),
            settings: Arc::new(settings),
        }
    }
}

fn direct(settings: &McpSettings) -> Direct {
    Direct::new(
        settings.connect_timeout,
        settings.max_idle_connections,
        false,
    )
}

fn general(settings: &Arc<McpSettings>) -> Result<General> {
    let settings = Arc::clone(settings);
    General::later(move || builder(&settings))
}

fn builder(settings: &McpSettings) -> Result<reqwest::ClientBuilder> {
    let builder = http::builder(settings.connect_timeout, MAX_REDIRECTS)?;
    Ok(builder.pool_max_idle_per_host(settings.max_idle_connections))
}
