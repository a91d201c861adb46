//! Logins that users make for themselves.

use std::fmt;

use async_trait::async_trait;

use super::{Credentials, Grant};
use crate::Result;
use crate::connection::Connection;
use crate::server::ServerName;
use crate::user::UserName;

/// Knows MCP servers that users log in to, and keeps what they let.
///
/// # Behavior
/// - `reached` is `None` for a server that is not there, or is no MCP server that exists already.
/// - `keep` puts the login in the place of the user's last one, in the log as that user's own change.
/// - `keep` is `InvalidInput`, and changes nothing, where the server is reached in another way by now: a
///   login goes nowhere but to where the user was told.
#[async_trait]
pub trait LoginKeeper: Send + Sync + fmt::Debug + 'static {
    /// How a server is reached, and what lets in there.
    async fn reached(&self, server: &ServerName) -> Result<Option<(Connection, Credentials)>>;

    /// Keeps a login to the server that is reached so.
    async fn keep(
        &self,
        server: &ServerName,
        connection: &Connection,
        user: &UserName,
        grant: Grant,
    ) -> Result<()>;
}
