//! The store in a SQL database, written once for all engines.
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the engines, and a session with one of them |
//! | `statement` | a statement with its values, and the rows it gives |
//! | `migration` | a schema, brought up to date |
//! | `tenant` | tenants, and handles for them |
//! | `registration`, `server`, `document`, `credential` | servers and what belongs to them |
//! | `audit` | what was changed, by whom |
//! | `failure` | what an engine says, in words that help |
//!
//! What differs between engines is in their folders: how connections are made, the schema's
//! definition, and what their error codes mean. Statements stay within what both understand: `$1`
//! for the first value, `ON CONFLICT`, `RETURNING`, row values. Times are Unix milliseconds of the
//! process that writes; no order depends on them.

mod audit;
mod credential;
mod document;
mod engine;
mod failure;
mod migration;
mod registration;
mod server;
mod statement;
mod tenant;

use std::fmt;
use std::sync::Arc;

use mcphub_core::tenant::Scope;
use mcphub_core::{Error, Result};

use crate::master_key::MasterKey;
use crate::vault::Vault;

pub(crate) use engine::{Engine, Session};
pub(crate) use failure::{Explained, Failure};
pub(crate) use migration::apply as migrate;

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
    vault: Vault,
    location: String,
}

impl SqlStore {
    /// The largest document that is stored, in bytes.
    pub const MAX_DOCUMENT: usize = 64 << 20;

    /// A store over an engine whose schema is current. `key` gives the master key; it is told the
    /// id of the one that credentials are encrypted with, if there are any.
    pub(crate) async fn over(
        engine: Engine,
        location: String,
        key: impl AsyncFnOnce(Option<String>) -> Result<MasterKey>,
    ) -> Result<Self, Failure> {
        let mut session = engine.read().await?;
        let used = credential::key_id_in_use(&mut session).await?;
        let vault = Vault::new(&key(used).await?);
        credential::refuse_another_key(&mut session, &vault).await?;
        drop(session);
        let store = Self {
            shared: Arc::new(Shared {
                engine,
                vault,
                location,
            }),
            tenant_id: 0,
            scope: Scope::default(),
        };
        store.for_scope(Scope::default()).await
    }

    /// Closes all connections, also of other handles. SQLite then folds the write-ahead log into
    /// the file; without this it does so when the file is opened the next time.
    pub async fn close(&self) {
        self.engine().close().await;
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    fn vault(&self) -> &Vault {
        &self.shared.vault
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
            .field("vault", &self.shared.vault)
            .finish_non_exhaustive()
    }
}

/// Runs file access, hashing or (de)serialising of what may be megabytes off the async runtime.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::internal("the store's work was interrupted").caused_by(error)),
    }
}

/// Now, in Unix milliseconds.
fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
