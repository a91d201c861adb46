//! The store in a SQL database, written once for all engines.
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the engines, and a session with one of them |
//! | `statement` | a statement with its values, and the rows it gives |
//! | `migration` | a schema, brought up to date |
//! | `tenant` | tenants, and handles for them |
//! | `keyring`, `rotation` | the keys that credentials are encrypted with, and their change |
//! | `registration`, `server`, `document`, `credential` | servers and what belongs to them |
//! | `tool`, `posting`, `search`, `words` | their tools, found by words |
//! | `virtual_server` | selections of what servers have |
//! | `status` | what is in a database, and whether it is as it should be |
//! | `optimize` | what makes a database slow, and its cure |
//! | `archive` | all of it in one file, for another store |
//! | `user`, `role` | users, and what they are in each tenant |
//! | `password`, `sign_in` | how users are let in |
//! | `api_key` | what programs are let in with |
//! | `job` | work that is done once, by whichever node |
//! | `audit` | what was changed, by whom |
//! | `change` | changes of one step |
//! | `plan` | that tests issue no statement that reads a whole table |
//! | `failure` | what an engine says, in words that help |
//!
//! What differs between engines is in their folders: how connections are made, the schema's
//! definition, and what their error codes mean. Statements stay within what both understand: `$1`
//! for the first value, `ON CONFLICT`, `RETURNING`, row values; `tool`, `posting` and `search`
//! alone say a list differently, and `words` has what each engine has of its own for finding servers. Times are Unix milliseconds of the
//! process that writes; no order depends on them.

mod api_key;
mod archive;
mod audit;
mod change;
mod credential;
mod document;
mod engine;
mod failure;
mod job;
mod keyring;
mod migration;
mod optimize;
mod password;
#[cfg(test)]
mod plan;
mod posting;
mod registration;
mod role;
mod rotation;
mod search;
mod server;
mod sign_in;
mod statement;
mod status;
mod tenant;
mod tool;
mod user;
mod virtual_server;
mod words;

use std::fmt;
use std::sync::Arc;

use mcphub_core::tenant::Scope;
use mcphub_core::{Error, Result};

use crate::master_keys::MasterKeys;

pub use archive::{Exported, Imported};
pub(crate) use engine::{Dialect, Engine, Session};
pub(crate) use failure::{Explained, Failure};
use keyring::Keyring;
pub(crate) use keyring::Keys;
pub(crate) use migration::{applied, apply as migrate};
pub use optimize::{Advice, OptimizeOptions};
pub use rotation::Rotation;
#[cfg(test)]
pub(crate) use statement::Statement;
pub use status::{KeyStatus, Problem, Status, TenantStatus};

/// A handle on the store in a SQL database, for one tenant and actor.
/// [`sqlite`](crate::sqlite) and [`postgres`](crate::postgres) open one, for the tenant `default`;
/// all handles made from one share its connections.
#[derive(Clone)]
pub struct SqlStore {
    shared: Arc<Shared>,
    tenant_id: i64,
    scope: Scope,
}

struct Shared {
    engine: Engine,
    keyring: Keyring,
    location: String,
}

impl SqlStore {
    /// The largest document that is stored, in bytes.
    pub const MAX_DOCUMENT: usize = 64 << 20;

    /// A store over an engine whose schema is current. `keys` gives what wraps keys; it is told the
    /// id of the master key that something is encrypted with, if anything is.
    pub(crate) async fn over(
        engine: Engine,
        location: String,
        keys: impl AsyncFnOnce(Option<String>) -> Result<Keys>,
    ) -> Result<Self, Failure> {
        let mut session = engine.read().await?;
        let used = keyring::master_key_in_use(&mut session).await?;
        let keyring = Keyring::new(keys(used).await?);
        keyring.check(&mut session).await?;
        drop(session);
        let store = Self {
            shared: Arc::new(Shared {
                engine,
                keyring,
                location,
            }),
            tenant_id: 0,
            scope: Scope::default(),
        };
        let store = store.for_scope(Scope::default()).await?;
        store.index_servers().await?;
        Ok(store)
    }

    /// Closes all connections, also of other handles, within 5 s on a server. SQLite then folds the write-ahead log into
    /// the file; without this it does so when the file is opened the next time.
    pub async fn close(&self) {
        self.engine().close().await;
    }

    /// The master keys, unless another system wraps keys.
    pub fn master_keys(&self) -> Option<&Arc<MasterKeys>> {
        self.keyring().keys().master.as_ref()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    fn keyring(&self) -> &Keyring {
        &self.shared.keyring
    }

    /// Says of an error where it happened.
    fn explain<T>(&self, operation: &'static str, outcome: Result<T, Failure>) -> Result<T> {
        outcome
            .map_err(|Failure(error)| error.during(operation).with("store", &self.shared.location))
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("location", &self.shared.location)
            .field("scope", &self.scope)
            .field("keyring", &self.shared.keyring)
            .finish_non_exhaustive()
    }
}

/// Runs file access, hashing or (de)serialising of what may be megabytes off the async runtime. It
/// begins at once.
pub(crate) fn blocking<T, F>(work: F) -> impl Future<Output = Result<T>> + Send
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let work = tokio::task::spawn_blocking(work);
    async {
        let interrupted =
            |error| Error::internal("the store's work was interrupted").caused_by(error);
        work.await.map_err(interrupted)?
    }
}

/// How many things a page of a list may have.
fn page_limit(limit: u32) -> Result<()> {
    if (1..=1_000).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid("a page has 1 to 1,000 entries").with("limit", limit))
}

/// Now, in Unix milliseconds.
fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
