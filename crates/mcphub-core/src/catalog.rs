//! Federate: everything that a gateway serves, as one immutable value.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::value::RawValue;
use url::Url;

use crate::Result;
use crate::connection::Connection;
use crate::deployment::Endpoint;
use crate::secret::Credentials;
use crate::server::ServerName;
use crate::tool::ToolSet;
use crate::virtual_server::VirtualServer;

/// Gives the gateway what to serve.
///
/// # Behavior
/// - `version` is cheap and differs after every change of what `catalog` would give.
/// - `catalog` has every registered server, by name; one that cannot be called is there as
///   [`Upstream::Down`] and does not keep the others out.
#[async_trait]
pub trait CatalogSource: Send + Sync + Debug + 'static {
    /// Which catalogue is current.
    async fn version(&self) -> Result<CatalogVersion>;

    /// The current catalogue.
    async fn catalog(&self) -> Result<Catalog>;
}

/// Tells catalogues apart: the count of changes in the store, and of changes of what runs here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CatalogVersion {
    /// Changes in the store, by any node.
    pub registry: u64,
    /// Changes of this node's deployments.
    pub deployments: u64,
}

/// All servers.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Which one this is.
    pub version: CatalogVersion,
    /// By name.
    pub servers: Vec<Arc<CatalogServer>>,
    /// Selections of what they have, by name.
    pub virtual_servers: Vec<VirtualServer>,
}

/// One server of a catalogue. Two values with the same name and revision are equal.
#[derive(Debug)]
pub struct CatalogServer {
    /// Unique in the catalogue.
    pub name: ServerName,
    /// Grows with every change of this server.
    pub revision: CatalogVersion,
    /// What mcphub planned for it: what is listed while the server itself has not answered.
    pub tools: Arc<ToolSet>,
    /// Where its calls go.
    pub upstream: Upstream,
}

/// Where the calls of a server go.
#[derive(Debug)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each server, behind an Arc, and most are the largest"
)]
pub enum Upstream {
    /// To the HTTP API itself.
    Native {
        /// The API's base URL.
        base_url: Url,
        /// What is sent in order to be let in.
        credentials: Credentials,
    },
    /// To an MCP server that a deployer runs.
    Mcp(Endpoint),
    /// To an MCP server that exists already.
    Connected {
        /// How it is reached.
        connection: Connection,
        /// What is sent in order to be let in, and the variables of a program.
        credentials: Credentials,
        /// What it listed when it was registered, as it wrote that: what is listed of it until it
        /// answers. Nothing where changed tools are not taken over; they are among the planned ones.
        listed: Arc<[Box<RawValue>]>,
    },
    /// Nowhere, for this reason.
    Down(String),
}
