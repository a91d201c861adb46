//! The store in one SQLite file.
//!
//! | file | holds |
//! |---|---|
//! | `file` | what has to be true of the path before SQLite sees it |
//! | `connection` | the pools and their pragmas |
//! | `transaction` | a transaction on one of their connections |
//! | `migration` | the schema, brought up to date |
//! | `failure` | what SQLite's result codes mean |
//!
//! **Durable.** A change is on disk when it is acknowledged, also after a loss of power:
//! `synchronous = FULL` syncs the write-ahead log with every commit, where `NORMAL`, the usual
//! choice with WAL, keeps a database whole but may lose its last commits. Registrations are rare;
//! a millisecond each is nothing.
//!
//! **Shared.** Several processes of one machine may use one file. Writers of a process queue for
//! its single writing connection, writers of several processes wait for each other up to
//! [`BUSY_TIMEOUT`]; readers never wait. Not on a network file system, where WAL does
//! not work.

mod connection;
mod failure;
mod file;
mod migration;
#[cfg(test)]
mod tests;
mod transaction;

use std::path::Path;
use std::time::Duration;

use mcphub_core::{Error, Result};

use crate::master_key::{MasterKey, folder};
use crate::master_keys::MasterKeys;
use crate::sql::{Engine, Failure, Keys, SqlStore, blocking};

pub(crate) use connection::Pools;
pub(crate) use failure::explain;
pub(crate) use file::OpenFile;
pub(crate) use transaction::Transaction;

/// How long a write waits for another process. After that it is an `Unavailable` error, which may
/// be tried again.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the store in a file; makes the file, with mode 0600, and the folder it is in when they are
/// missing, and brings an older schema up to date. Without a key the file [`MasterKey::FILE`] next
/// to it is used, or made.
///
/// # Errors
/// - `InvalidInput` when the path or its folder cannot be one, the file is no SQLite database or
///   another program's, the key file holds no key, or the key is another than the one that the
///   credentials are encrypted with;
/// - `PermissionDenied` when the files may not be written, or others may read the key file;
/// - `Unsupported` when the schema is newer than this version knows;
/// - `Unavailable` when another process keeps the file locked or the disk is full;
/// - `Internal` when the file is damaged.
pub async fn open(path: impl AsRef<Path>, key: Option<MasterKey>) -> Result<SqlStore> {
    open_with(path.as_ref(), key.map(|key| MasterKeys::from(key).into())).await
}

/// Like [`open`], with whatever wraps keys.
pub(crate) async fn open_with(path: &Path, keys: Option<Keys>) -> Result<SqlStore> {
    let location = path.display().to_string();
    open_file(path, keys, location.clone())
        .await
        .map_err(|Failure(error)| error.during("store::open").with("path", location))
}

/// An empty store that is gone with its process. Without a key a random one is used.
///
/// # Errors
/// `Internal` when the operating system gives no memory or no randomness.
pub async fn in_memory(key: Option<MasterKey>) -> Result<SqlStore> {
    in_memory_with(key.map(|key| MasterKeys::from(key).into())).await
}

/// Like [`in_memory`], with whatever wraps keys.
pub(crate) async fn in_memory_with(keys: Option<Keys>) -> Result<SqlStore> {
    let opened = async {
        let pools = Pools::in_memory().await?;
        migration::run(pools.writer()).await?;
        let random = || MasterKey::generate().map(|key| MasterKeys::from(key).into());
        let keys = async |_| keys.map_or_else(random, Ok);
        SqlStore::over(Engine::Sqlite(pools), "memory".to_owned(), keys).await
    };
    opened
        .await
        .map_err(|Failure(error): Failure| error.during("store::open"))
}

/// The version of the schema in a file, which is left as it is; `None` where there is none.
///
/// # Errors
/// As [`open`].
pub async fn schema(path: &Path) -> Result<Option<i64>> {
    let version = async {
        if !path.exists() {
            return Ok(None);
        }
        let owned = path.to_owned();
        blocking(move || file::prepare(&owned)).await?;
        migration::version(path).await
    };
    version.await.map_err(|Failure(error): Failure| {
        error.during("store::schema").with("path", path.display())
    })
}

/// The name of every index of the schema, and the statement that makes it.
pub(crate) async fn indexes() -> Result<Vec<(String, String)>, Failure> {
    let pools = Pools::in_memory().await?;
    migration::run(pools.writer()).await?;
    let indexes = "SELECT name, sql FROM sqlite_schema
        WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
    let indexes = sqlx::query_as(indexes).fetch_all(pools.readers()).await?;
    pools.close().await;
    Ok(indexes)
}

/// The version that this build makes.
#[cfg(test)]
pub(crate) fn newest_schema() -> i64 {
    let versions = migration::MIGRATIONS
        .iter()
        .map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

async fn open_file(path: &Path, keys: Option<Keys>, location: String) -> Result<SqlStore, Failure> {
    let owned = path.to_owned();
    blocking(move || file::prepare(&owned)).await?;
    let pools = Pools::open(path).await?;
    migration::run(pools.writer()).await?;
    let key_file = folder(path).join(MasterKey::FILE);
    let keys = async |used: Option<String>| {
        let find = move || match (keys, used) {
            (Some(keys), _) => Ok(keys),
            (None, None) => MasterKeys::load_or_create(&key_file).map(Into::into),
            (None, Some(id)) => match MasterKeys::load(&key_file)? {
                Some(keys) => Ok(keys.into()),
                None => Err(Error::invalid(format!(
                    "the key file is missing and the credentials are encrypted with its key \
                     (id {id}); restore it, or give the key"
                ))
                .with("key file", key_file.display())),
            },
        };
        blocking(find).await
    };
    SqlStore::over(Engine::Sqlite(pools), location, keys).await
}
