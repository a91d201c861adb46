//! Registered servers.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ToolPage, ToolSearch};
use crate::Result;
use crate::artifact::Artifact;
use crate::secret::Credentials;
use crate::server::{Serve, ServerName, ServerRecord};
use crate::spec::Document;
use crate::tool::{ToolChoices, ToolKind, ToolName, ToolSet};

/// Registered servers.
///
/// # Behavior
/// - `save` writes all of a registration or none of it, and is durable when it returns.
/// - `save` under an existing name replaces it and grows its revision; a registration equal to
///   what is there changes nothing and says so.
/// - `replace` does what `save` does if the server still has the revision given, and is a
///   `Conflict` otherwise, also when it is not there: of several at once one succeeds.
/// - `remove` hides a server with its documents and credentials; of an unknown name it is `false`.
/// - `restore` brings a removed server back as it was, under a new revision, unless another took
///   its name; what was not removed is `None`.
/// - `save` and `restore` of a name that a virtual server has are a `Conflict`.
/// - `purge` deletes a removed server with all that belongs to it; any other it leaves alone, and so
///   does `purge_removed`.
/// - A revision is used once: a name that was removed and comes back has a greater one.
/// - `registry_version` grows by one with every change, in the same step as the change.
/// - `list` is sorted by name, and its pages join without gap or repetition, also of what a filter
///   leaves.
/// - `revisions` has each server that `list` has without a filter, by name, with its revision.
/// - A word is a run of letters and digits, and each part of it that begins with a capital after a
///   small letter: `getPet` has the words `getpet`, `get` and `pet`. Case makes no difference, nor
///   does what comes after the first 64 characters of a word.
/// - `search` finds the tools of registered servers that have a word beginning with each word of
///   the text: those by whose name and title alone they are found first, then in the order in which
///   they came to be. Its pages join without gap or repetition, also while servers come and go. A
///   text without a word, or with more than 16, is `InvalidInput`.
/// - `get` of a server planned by another [`PLAN_VERSION`](crate::tool::PLAN_VERSION) is a
///   `Conflict`; `list` shows it with its version.
#[async_trait]
pub trait ServerStore: Send + Sync + Debug + 'static {
    /// Writes a registration.
    async fn save(&self, registration: &Registration) -> Result<Saved>;

    /// Writes a registration in place of the revision that it was made from.
    async fn replace(&self, registration: &Registration, revision: u64) -> Result<Saved>;

    /// The server of that name.
    async fn get(&self, name: &ServerName) -> Result<Option<ServerRecord>>;

    /// The name of the server that was registered from that source; of several, the first by name.
    async fn find_by_source(&self, source: &str) -> Result<Option<ServerName>>;

    /// A page of servers.
    async fn list(&self, page: &Page) -> Result<Listing>;

    /// Which revision each registered server has: what a catalogue is compared with, so that a change
    /// of one of many servers costs little.
    async fn revisions(&self) -> Result<Vec<ServerRevision>>;

    /// A page of the tools that some words are found in.
    async fn search(&self, search: &ToolSearch) -> Result<ToolPage>;

    /// Removes a server, which can be restored until it is purged or its name is saved under
    /// again. Whether there was one.
    async fn remove(&self, name: &ServerName) -> Result<bool>;

    /// Brings a removed server back. Its revision now, if there was one.
    async fn restore(&self, name: &ServerName) -> Result<Option<u64>>;

    /// Deletes a removed server for good. Whether there was one.
    async fn purge(&self, name: &ServerName) -> Result<bool>;

    /// Deletes at most `limit` servers for good that were removed before that time, in Unix
    /// milliseconds. How many there were; a limit that is not 1 to 1,000 is `InvalidInput`.
    async fn purge_removed(&self, before: i64, limit: u32) -> Result<u64>;

    /// How often the registered servers changed.
    async fn registry_version(&self) -> Result<u64>;
}

/// Which revision of a server is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRevision {
    /// Unique.
    pub name: ServerName,
    /// Grows with every change of this server.
    pub revision: u64,
    /// How its calls are made.
    pub serve: Serve,
    /// What planned its tools.
    pub plan_version: u32,
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
    /// What was chosen for its tools.
    pub choices: ToolChoices,
}

/// What saving something did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Its revision now.
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
    /// Which servers.
    pub filter: ServerFilter,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
            filter: ServerFilter::default(),
        }
    }
}

/// Which servers are listed. Conditions that are given have all to be met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerFilter {
    /// Served in this way.
    pub serve: Option<Serve>,
    /// Whose name and title have words that begin with each of these, as
    /// [`search`](ServerStore::search) has it.
    pub text: Option<String>,
    /// That have a tool of this name.
    pub tool: Option<ToolName>,
    /// That have a tool of this kind.
    pub kind: Option<ToolKind>,
    /// In this state. Default [`ServerStatus::Registered`].
    pub status: ServerStatus,
}

/// Where a server is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerStatus {
    /// It is there.
    #[default]
    Registered,
    /// It is there, and its tools were planned by another
    /// [`PLAN_VERSION`](crate::tool::PLAN_VERSION).
    Outdated,
    /// It was removed, and can be restored.
    Removed,
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
    /// What was chosen for its tools.
    #[serde(default, skip_serializing_if = "ToolChoices::is_default")]
    pub choices: ToolChoices,
}
