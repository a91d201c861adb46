//! From a server in the catalogue to its upstream.

use std::sync::Arc;

use mcphub_core::Result;
use mcphub_core::catalog::{CatalogServer, Upstream as Target};

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
            } => Arc::new(NativeApi::with_client(
                tools(),
                base_url.clone(),
                credentials.clone(),
                self.native.clone(),
            )),
            Target::Mcp(endpoint) => Arc::new(McpHttp::new(endpoint.clone(), self.mcp.clone())),
            Target::Down(reason) => Arc::new(Down::new(tools(), reason.clone())),
            _ => Arc::new(Down::new(
                tools(),
                "this gateway does not know its kind of server".to_owned(),
            )),
        }
    }
}
