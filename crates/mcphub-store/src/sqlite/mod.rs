//! The store in one SQLite file.
//!
//! | file | holds |
//! |---|---|
//! | `file` | what has to be true of the path before SQLite sees it |
//! | `connection` | the pools and their pragmas |
//! | `migration` | the schema, brought up to date |
//! | `registration`, `server`, `document`, `credential` | the tables; `registration` is the only writer |
//! | `failure` | what SQLite says, in words that help |
//!
//! **Durable.** A change is on disk when it is acknowledged, also after a loss of power:
//! `synchronous = FULL` syncs the write-ahead log with every commit, where `NORMAL`, the usual
//! choice with WAL, keeps a database whole but may lose its last commits. Registrations are rare;
//! a millisecond each is nothing.
//!
//! **Shared.** Several processes of one machine may use one file. Writers of a process queue for
//! its single writing connection, writers of several processes wait for each other up to
//! [`SqliteStore::BUSY_TIMEOUT`]; readers never wait. Not on a network file system, where WAL does
//! not work.

mod connection;
mod credential;
mod document;
mod failure;
mod file;
mod migration;
mod registration;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use mcphub_core::{Error, Result};

use crate::master_key::{MasterKey, folder};
use crate::vault::Vault;
use connection::Pools;
use failure::Failure;

/// A store in a SQLite file, or in memory.
pub struct SqliteStore {
    pools: Pools,
    vault: Vault,
    location: String,
}

impl SqliteStore {
    /// How long a write waits for another process. After that it is an `Unavailable` error, which
    /// may be tried again.
    pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

    /// The largest document that is stored, in bytes.
    pub const MAX_DOCUMENT: usize = 64 << 20;

    /// Opens the store in a file; makes the file, with mode 0600, and the folder it is in when
    /// they are missing, and brings an older schema up to date. Without a key the file
    /// [`MasterKey::FILE`] next to it is used, or made.
    ///
    /// # Errors
    /// - `InvalidInput` when the path or its folder cannot be one, the file is no SQLite database
    ///   or another program's, the key file holds no key, or the key is another than the one that
    ///   the credentials are encrypted with;
    /// - `PermissionDenied` when the files may not be written, or others may read the key file;
    /// - `Unsupported` when the schema is newer than this version knows;
    /// - `Unavailable` when another process keeps the file locked or the disk is full;
    /// - `Internal` when the file is damaged.
    pub async fn open(path: impl AsRef<Path>, key: Option<MasterKey>) -> Result<Self> {
        let path = path.as_ref();
        let location = path.display().to_string();
        Self::open_file(path, key, location.clone())
            .await
            .map_err(|Failure(error)| error.during("store::open").with("path", location))
    }

    /// An empty store that is gone with its process. Without a key a random one is used.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no memory or no randomness.
    pub async fn in_memory(key: Option<MasterKey>) -> Result<Self> {
        let pools = async {
            let pools = Pools::in_memory().await?;
            migration::run(pools.writer()).await?;
            Ok(pools)
        };
        let pools = pools
            .await
            .map_err(|Failure(error): Failure| error.during("store::open"))?;
        Ok(Self {
            pools,
            vault: Vault::new(&key.map_or_else(MasterKey::generate, Ok)?),
            location: "memory".to_owned(),
        })
    }

    /// Closes all connections. SQLite then folds the write-ahead log into the file; without this
    /// it does so when the file is opened the next time.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    async fn open_file(
        path: &Path,
        key: Option<MasterKey>,
        location: String,
    ) -> Result<Self, Failure> {
        let owned = path.to_owned();
        blocking(move || file::prepare(&owned)).await?;
        let pools = Pools::open(path).await?;
        migration::run(pools.writer()).await?;
        let used = credential::key_id_in_use(pools.writer()).await?;
        let key_file = folder(path).join(MasterKey::FILE);
        let key = blocking(move || match (key, &used) {
            (Some(key), _) => Ok(key),
            (None, None) => MasterKey::load_or_create(&key_file),
            (None, Some(id)) => MasterKey::load(&key_file)?.ok_or_else(|| {
                Error::invalid(format!(
                    "the key file is missing and the credentials are encrypted with its key \
                     (id {id}); restore it, or give the key"
                ))
                .with("key file", key_file.display())
            }),
        });
        let vault = Vault::new(&key.await?);
        credential::refuse_another_key(pools.writer(), &vault).await?;
        Ok(Self {
            pools,
            vault,
            location,
        })
    }

    /// Says of an error where it happened.
    fn explain<T>(&self, operation: &'static str, outcome: Result<T, Failure>) -> Result<T> {
        outcome.map_err(|Failure(error)| error.during(operation).with("store", &self.location))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("location", &self.location)
            .field("vault", &self.vault)
            .finish_non_exhaustive()
    }
}

/// Runs file access, hashing or (de)serialising of what may be megabytes off the async runtime.
async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::internal("the store's work was interrupted").caused_by(error)),
    }
}
