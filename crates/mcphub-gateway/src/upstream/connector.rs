//! From a server in the catalogue to its upstream.

use std::sync::Arc;

use mcphub_core::Result;
use mcphub_core::catalog::{CatalogServer, Upstream as Target};
use mcphub_core::secret::{Credentials, GrantKeeper};
use url::Url;

use super::native::{NativeApi, NativeClient, NativeSettings};
use super::streamable_http::{McpClient, McpHttp, McpSettings};
use super::{Connect, Down, Upstream};

/// Limits of all upstreams, by kind.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct UpstreamSettings {
    /// Of HTTP APIs that the gateway calls itself.
    pub native: NativeSettings,
    /// Of MCP servers over streamable HTTP.
    pub mcp: McpSettings,
}

/// Connects every kind of server; all upstreams of a kind share one pool of connections.
#[derive(Debug, Clone)]
pub struct Connector {
    native: NativeClient,
    mcp: McpClient,
    grants: Option<Arc<dyn GrantKeeper>>,
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
        })
    }

    /// Keeps logins of native servers where the catalogue has them from when they were renewed.
    #[must_use]
    pub fn keeping(mut self, grants: Arc<dyn GrantKeeper>) -> Self {
        self.grants = Some(grants);
        self
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
        Ok(match &self.grants {
            Some(grants) => api.keeping(server.name.clone(), grants.clone()),
            None => api,
        })
    }
}

impl Connect for Connector {
    fn connect(&self, server: &CatalogServer) -> Arc<dyn Upstream> {
        let tools = || Arc::clone(&server.tools);
        match &server.upstream {
            Target::Native {
                base_url,
                credentials,
            } => match self.native(server, base_url, credentials) {
                Ok(api) => Arc::new(api),
                Err(error) => Arc::new(Down::new(tools(), error.report())),
            },
            Target::Mcp(endpoint) => Arc::new(McpHttp::new(endpoint.clone(), self.mcp.clone())),
            Target::Down(reason) => Arc::new(Down::new(tools(), reason.clone())),
            _ => Arc::new(Down::new(
                tools(),
                "this gateway does not know its kind of server".to_owned(),
            )),
        }
    }
}
