//! The store: small traits for what the platform knows, and the bundle [`Store`].

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::Result;
use crate::artifact::Artifact;
use crate::secret::Credentials;
use crate::server::{Serve, ServerName, ServerRecord};
use crate::spec::Document;
use crate::tool::ToolSet;

/// Everything that a host keeps.
pub trait Store: ServerStore + DocumentStore + CredentialStore {}

impl<T: ServerStore + DocumentStore + CredentialStore> Store for T {}

/// Registered servers.
///
/// # Behavior
/// - `save` writes all of a registration or none of it, and is durable when it returns.
/// - `save` under an existing name replaces it and grows its revision; a registration equal to
///   what is there changes nothing and says so.
/// - `remove` removes a server with its documents and credentials; of an unknown name it is `false`.
/// - A revision is used once: a name that was removed and comes back has a greater one.
/// - `registry_version` grows by one with every change, in the same step as the change.
/// - `list` is sorted by name, and its pages join without gap or repetition.
/// - `get` of a server planned by another [`PLAN_VERSION`](crate::tool::PLAN_VERSION) is a
///   `Conflict`; `list` shows it with its version.
#[async_trait]
pub trait ServerStore: Send + Sync + Debug + 'static {
    /// Writes a registration.
    async fn save(&self, registration: &Registration) -> Result<Saved>;

    /// The server of that name.
    async fn get(&self, name: &ServerName) -> Result<Option<ServerRecord>>;

    /// The name of the server that was registered from that source; of several, the first by name.
    async fn find_by_source(&self, source: &str) -> Result<Option<ServerName>>;

    /// A page of servers.
    async fn list(&self, page: &Page) -> Result<Listing>;

    /// Removes a server. Whether there was one.
    async fn remove(&self, name: &ServerName) -> Result<bool>;

    /// How often the registered servers changed.
    async fn registry_version(&self) -> Result<u64>;
}

/// Uploaded documents.
///
/// # Behavior
/// - The document of a server is the one last saved, byte for byte.
#[async_trait]
pub trait DocumentStore: Send + Sync + Debug + 'static {
    /// The current document of a server.
    async fn document(&self, server: &ServerName) -> Result<Option<Document>>;
}

/// Credentials, encrypted at rest.
///
/// # Behavior
/// - What `save` was given comes back whole.
/// - No file of the store holds a secret in the clear.
/// - A ciphertext that was moved to another server or key does not open: an `Internal` error.
#[async_trait]
pub trait CredentialStore: Send + Sync + Debug + 'static {
    /// The credentials of a server; empty for an unknown one.
    async fn credentials(&self, server: &ServerName) -> Result<Credentials>;
}

/// What is saved of a server.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Unique.
    pub name: ServerName,
    /// The document with its source.
    pub document: Document,
    /// How its calls are made.
    pub serve: Serve,
    /// The base URL that was given, if any.
    pub base_url: Option<Url>,
    /// The planned tools.
    pub tools: Arc<ToolSet>,
    /// What was built, for a server that is not native.
    pub artifact: Option<Artifact>,
    /// What is sent to the API.
    pub credentials: Credentials,
}

/// What `save` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// The server's revision now.
    pub revision: u64,
    /// Whether anything changed.
    pub changed: bool,
}

/// Which part of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// Begin after this name.
    pub after: Option<ServerName>,
    /// At most so many, 1 to 1,000; another limit is `InvalidInput`. Default 100.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Sorted by name.
    pub servers: Vec<ServerSummary>,
    /// Where the next page begins, if there is one.
    pub next: Option<ServerName>,
}

/// A server without its tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSummary {
    /// Unique.
    pub name: ServerName,
    /// The API's title.
    pub title: String,
    /// Where its document came from.
    pub source: String,
    /// How its calls are made.
    pub serve: Serve,
    /// The base URL that was given, if any.
    pub base_url: Option<Url>,
    /// How many tools it has.
    pub tools: u32,
    /// Grows with every change of this server.
    pub revision: u64,
    /// What planned its tools.
    pub plan_version: u32,
}
