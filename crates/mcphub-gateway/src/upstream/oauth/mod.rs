//! OAuth 2: the gateway as a client of the authorization server that an API or an MCP server
//! belongs to.
//!
//! | file | holds |
//! |---|---|
//! | `server` | one exchange with an authorization server, within bounds |
//! | `metadata` | what such a server says of itself (RFC 8414, OpenID Connect Discovery 1.0) |
//! | `resource` | where an MCP server says that its tokens come from (RFC 9728) |
//! | `registration` | a client that registers itself (RFC 7591) |
//! | `token`, `slot` | tokens for calls, each kept while it lasts |
//! | `renewal` | those of logins, renewed (RFC 6749, 6) |
//! | `client` | tokens of a client of its own (RFC 6749, 4.4) |
//! | `exchange` | tokens for whoever calls (RFC 8693) |
//! | `web` | a login that comes back to the gateway |
//! | `login`, `device` | how a person lets the gateway have tokens (RFC 6749, 4.1; RFC 8628) |
//!
//! Forms and JSON answers, so there is no OAuth library here: `oauth2` 5 would bring older versions
//! of crates that are there already (`rand`, `thiserror`), which the project does not take.

mod client;
mod device;
mod exchange;
mod login;
mod metadata;
mod registration;
mod renewal;
mod resource;
mod server;
mod slot;
mod token;
mod web;

pub(super) use client::{Asked, Authority};
pub use device::DeviceLogin;
pub(super) use exchange::nobody;
pub(crate) use login::value;
pub use login::{BrowserLogin, Login, LoginSettings};
pub(super) use resource::is_challenged;
pub(super) use slot::Granted;
pub(super) use token::{Keeper, Means, Tokens};
pub(crate) use web::Web;
