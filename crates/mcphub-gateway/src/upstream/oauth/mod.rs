//! OAuth 2: the gateway as a client of the authorization server that an API or an MCP server
//! belongs to.
//!
//! | file | holds |
//! |---|---|
//! | `server` | one exchange with an authorization server, within bounds |
//! | `metadata` | what such a server says of itself (RFC 8414, OpenID Connect Discovery 1.0) |
//! | `resource` | where an MCP server says that its tokens come from (RFC 9728) |
//! | `registration` | a client that registers itself (RFC 7591) |
//! | `token` | tokens for calls: got as a client (RFC 6749, 4.4), or renewed (6) |
//! | `login`, `device` | how a person lets the gateway have tokens (RFC 6749, 4.1; RFC 8628) |
//!
//! Forms and JSON answers, so there is no OAuth library here: `oauth2` 5 would bring older versions
//! of crates that are there already (`rand`, `thiserror`), which the project does not take.

mod device;
mod login;
mod metadata;
mod registration;
mod resource;
mod server;
mod token;

pub use device::DeviceLogin;
pub use login::{BrowserLogin, Login, LoginSettings};
pub(super) use resource::is_challenged;
pub(super) use token::{Asked, Authority, Granted, Keeper, Tokens};
