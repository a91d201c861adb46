//! What mcphub keeps.
//!
//! | module | holds |
//! |---|---|
//! | [`sqlite`] | the [`Store`] in one file, the default |
//! | [`postgres`] | the [`Store`] on a PostgreSQL server, for several nodes |
//! | [`memory`] | the state that nodes share, for a hub with one node |
//! | [`redis`], [`postgres::shared()`] | the same for several nodes |
//! | [`master_key`], [`vault`] | how credentials are encrypted before any backend sees them |
//!
//! [`open`] picks the store by URL, and [`shared()`] the shared state. Both need a tokio runtime, which
//! the host starts.
//!
//! [`Store`]: mcphub_core::store::Store

#[cfg(any(feature = "redis", feature = "postgres"))]
mod digest;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod fallback;
pub mod master_key;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod master_keys;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod reach;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod relay;
#[cfg(any(feature = "memory", feature = "sqlite", feature = "postgres"))]
mod scheme;
#[cfg(feature = "memory")]
mod shared;
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
#[cfg(feature = "memory")]
pub use shared::{SharedSettings, shared};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{
    Advice, Exported, Imported, KeyStatus, OptimizeOptions, Problem, Rotation, SqlStore, Status,
    TenantStatus,
};
