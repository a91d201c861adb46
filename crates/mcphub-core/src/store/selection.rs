//! Virtual servers in a store.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Saved;
use crate::Result;
use crate::server::ServerName;
use crate::virtual_server::{StoredVirtualServer, VirtualServer, VirtualServerListing};

/// The virtual servers of a tenant.
///
/// # Behavior
/// - `save_virtual_server` makes one, or changes it and lets its revision grow; what is there already
///   is no change. What was saved comes back whole.
/// - With a revision it is a `Conflict` unless the virtual server has that one, 0 for one that is not
///   there: of several at once one succeeds.
/// - A name that a server has is a `Conflict`; that of a removed one is free. One that cannot be is
///   `InvalidInput`, and a definition of more than [`VirtualServer::MAX_DEFINITION`] or more than
///   [`VirtualServer::MAX`] of them are `TooLarge`.
/// - `remove_virtual_server` of one that is not there is `false`.
/// - `virtual_servers` is sorted by name, and its pages join.
/// - Every change of one is a change of the registry, counted in the same step.
#[async_trait]
pub trait VirtualServerStore: Send + Sync + Debug + 'static {
    /// Makes or changes a virtual server.
    async fn save_virtual_server(
        &self,
        server: &VirtualServer,
        revision: Option<u64>,
    ) -> Result<Saved>;

    /// The virtual server of that name.
    async fn virtual_server(&self, name: &ServerName) -> Result<Option<StoredVirtualServer>>;

    /// At most `limit` virtual servers after that name; a limit that is not 1 to 1,000 is
    /// `InvalidInput`.
    async fn virtual_servers(
        &self,
        after: Option<&ServerName>,
        limit: u32,
    ) -> Result<VirtualServerListing>;

    /// Removes a virtual server. Whether it was there.
    async fn remove_virtual_server(&self, name: &ServerName) -> Result<bool>;
}
