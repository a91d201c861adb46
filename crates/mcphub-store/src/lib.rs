//! What mcphub keeps.
//!
//! | module | holds |
//! |---|---|
//! | [`sqlite`] | the [`Store`] in one file, the default |
//! | [`postgres`] | the [`Store`] on a PostgreSQL server, for several nodes |
//! | [`memory`] | the event bus of a single process |
//! | [`master_key`], [`vault`] | how credentials are encrypted before any backend sees them |
//!
//! [`open`] picks the backend by URL. It needs a tokio runtime, which the host starts.

pub mod master_key;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod master_keys;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod vault;

pub use master_key::MasterKey;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use master_keys::MasterKeys;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use open::{SCHEMA, StoreSettings, connect, open, schema};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{Exported, Imported, KeyStatus, Problem, Rotation, SqlStore, Status, TenantStatus};
