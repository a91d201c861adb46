//! Limits of MCP servers over HTTP, and the client that keeps them.

use std::sync::Arc;
use std::time::Duration;

use mcphub_core::Result;
use mcphub_core::connection::Era;
use mcphub_core::secret::Credentials;

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
    /// How long a `tools/call` may take, a handshake before it included. Default 60 s.
    pub call_timeout: Duration,
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
    pub(super) http: reqwest::Client,
    pub(super) settings: Arc<McpSettings>,
}

impl McpClient {
    /// A client that keeps these limits.
    ///
    /// # Errors
    /// `Internal` when the process has not installed a rustls crypto provider.
    pub fn new(settings: McpSettings) -> Result<Self> {
        let http = http::client(settings.connect_timeout, MAX_REDIRECTS)?;
        Ok(Self {
            http,
            settings: Arc::new(settings),
        })
    }

    /// This client, or one with connections of its own where a server's certificates ask for it.
    ///
    /// # Errors
    /// `InvalidInput` for what is no certificate in PEM.
    pub fn certified(&self, credentials: &Credentials) -> Result<Self> {
        let (authorities, identity) = (&credentials.authorities, &credentials.identity);
        if authorities.is_none() && identity.is_none() {
            return Ok(self.clone());
        }
        let builder = http::builder(self.settings.connect_timeout, MAX_REDIRECTS)?;
        Ok(Self {
            http: http::certified(builder, authorities.as_deref(), identity.as_ref())?,
            settings: Arc::clone(&self.settings),
        })
    }

    pub(in crate::upstream) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Its limits.
    pub fn settings(&self) -> &McpSettings {
        &self.settings
    }

    /// This client for servers that are spoken to in this era.
    #[must_use]
    pub fn in_era(&self, era: Era) -> Self {
        Self {
            http: self.http.clone(),
            settings: Arc::new(McpSettings {
                era,
                ..McpSettings::clone(&self.settings)
            }),
        }
    }

    /// This client with another limit for calls.
    #[must_use]
    pub fn with_call_timeout(&self, limit: Duration) -> Self {
        Self {
            http: self.http.clone(),
            settings: Arc::new(McpSettings {
                call_timeout: limit,
                ..McpSettings::clone(&self.settings)
            }),
        }
    }
}
