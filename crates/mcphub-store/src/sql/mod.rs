//! The store in a SQL database, written once for all engines.
//!
//! | file | holds |
//! |---|---|
//! | `engine` | the engines, and a session with one of them |
//! | `statement` | a statement with its values, and the rows it gives |
//! | `migration` | a schema, brought up to date |
//! | `registration`, `server`, `document`, `credential` | the tables; `registration` is the only writer |
//! | `failure` | what an engine says, in words that help |
//!
//! What differs between engines is in their folders: how connections are made, the schema's
//! definition, and what their error codes mean. Statements stay within what both understand: `$1`
//! for the first value, `ON CONFLICT`, `RETURNING`, row values. Times are Unix milliseconds of the
//! process that writes; no order depends on them.

mod credential;
mod document;
mod engine;
mod failure;
mod migration;
mod registration;
mod server;
mod statement;

use std::fmt;

use mcphub_core::{Error, Result};

use crate::master_key::MasterKey;
use crate::vault::Vault;

pub(crate) use engine::{Engine, Session};
pub(crate) use failure::{Explained, Failure};
pub(crate) use migration::apply as migrate;

/// The store in a SQL database. [`sqlite`](crate::sqlite) and [`postgres`](crate::postgres) open
/// one.
pub struct SqlStore {
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
        Ok(Self {
            engine,
            vault,
            location,
        })
    }

    /// Closes all connections. SQLite then folds the write-ahead log into the file; without this
    /// it does so when the file is opened the next time.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    #[cfg(test)]
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Says of an error where it happened.
    fn explain<T>(&self, operation: &'static str, outcome: Result<T, Failure>) -> Result<T> {
        outcome.map_err(|Failure(error)| error.during(operation).with("store", &self.location))
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("location", &self.location)
            .field("vault", &self.vault)
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
