//! The store on a PostgreSQL server (14 or newer), which several nodes share.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | where the server is, and the bounds of what is asked of it |
//! | `server` | the pool of connections |
//! | `transaction` | a transaction on one of them |
//! | `migration` | the schema, brought up to date |
//! | `index` | which indexes there have to be |
//! | `failure` | what PostgreSQL's error codes mean |
//! | `shared` | [state that nodes share](shared()), beside a store or without one |
//!
//! **Durable.** A change is on the server's disk when it is acknowledged, unless the server is
//! configured otherwise (`synchronous_commit`, `fsync`). What was not acknowledged because the
//! connection broke may be there or not; saving again finds out and does no harm.
//!
//! **Shared.** Writers of a registry take turns, which one row's lock sees to; readers never wait.
//! Every wait has a bound: for a connection, for a lock, for an answer. All are
//! `Unavailable` or `Timeout` errors, which may be tried again, and service goes on by itself
//! when the server is back.

mod failure;
mod index;
mod migration;
mod server;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod transaction;

use mcphub_core::{Error, Result};

use crate::master_key::MasterKey;
use crate::master_keys::MasterKeys;
use crate::sql::{Engine, Failure, Keys, SqlStore};

pub(crate) use failure::explain;
pub(crate) use index::indexes;
pub(crate) use server::{Server, in_time};
pub use settings::PostgresSettings;
pub use shared::shared;
pub(crate) use transaction::Transaction;

/// Opens the store on a server; makes its schema when it is missing, and brings an older one up to
/// date, which one of several nodes that start together does.
///
/// A server has no folder to keep a key file in: the master key has to be given, the same to all
/// nodes.
///
/// # Errors
/// - `InvalidInput` when the URL is wrong, the database or the role does not exist, there is no
///   key, or it is another than the one that the credentials are encrypted with;
/// - `NotFound` when the schema is not there and is not to be made;
/// - `PermissionDenied` when the server refuses the password, or the role may not make the schema;
/// - `Unsupported` when the schema is newer than this version knows;
/// - `Unavailable` when the server cannot be reached.
pub async fn open(settings: &PostgresSettings, key: Option<MasterKey>) -> Result<SqlStore> {
    open_with(settings, key.map(|key| MasterKeys::from(key).into())).await
}

/// Like [`open`], with whatever wraps keys.
pub(crate) async fn open_with(settings: &PostgresSettings, keys: Option<Keys>) -> Result<SqlStore> {
    let location = settings.location();
    open_server(settings, keys)
        .await
        .map_err(|Failure(error)| error.during("store::open").with("store", location))
}

/// The version of the schema on a server, which is left as it is; `None` where there is none.
///
/// # Errors
/// As [`open`].
pub async fn schema(settings: &PostgresSettings) -> Result<Option<i64>> {
    let version = async {
        let mut connection = server::connect(settings).await?;
        let version = migration::version(&mut connection, settings).await?;
        server::close(connection).await;
        Ok(version)
    };
    version.await.map_err(|Failure(error): Failure| {
        error
            .during("store::schema")
            .with("store", settings.location())
    })
}

/// The version that this build makes.
#[cfg(test)]
pub(crate) fn newest_schema() -> i64 {
    let versions = migration::MIGRATIONS
        .iter()
        .map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

async fn open_server(settings: &PostgresSettings, keys: Option<Keys>) -> Result<SqlStore, Failure> {
    let keys = keys.ok_or_else(|| {
        Error::invalid(
            "a store on a server needs the master key that all its nodes share: set \
             MCPHUB_MASTER_KEY, such as to what `openssl rand -hex 32` prints, or name a key_file",
        )
    })?;
    let mut connection = server::connect(settings).await?;
    migration::run(&mut connection, settings).await?;
    server::close(connection).await;
    let engine = Engine::Postgres(Server::new(settings)?);
    SqlStore::over(engine, settings.location(), async |_| Ok(keys)).await
}
