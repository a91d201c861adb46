//! MCP servers behind one endpoint.
//!
//! A [`Gateway`] reads a catalogue, lists the tools of its servers under one roof, and answers MCP
//! over streamable HTTP and stdio, in both eras of the protocol:
//!
//! ```text
//! catalogue ─▶ upstream (one per server) ─▶ federation (one snapshot) ─▶ mcp (clients)
//! ```

mod alerts;
mod approval;
mod auth;
mod call_log;
pub mod federation;
mod gateway;
mod guard;
mod health;
mod hosts;
mod issuer;
mod listener;
mod login;
mod mcp;
mod members;
mod metrics;
mod roster;
mod serving;
mod settings;
mod trace;
pub mod upstream;

pub use alerts::{AlertSettings, Webhook};
pub use auth::{BearerAuthenticator, KeyAuthenticator, PasswordHasher, SignInSettings, SignIns};
pub use call_log::{AuditedCalls, CallAudit, WhenFull};
pub use gateway::{Gateway, GatewayBuilder};
pub use guard::{Guard, GuardSettings};
pub use hosts::{AllowedHost, Hosts, NotHere};
pub use issuer::TokenIssuer;
pub use listener::{ClientAddress, Listener};
pub use login::UserLogins;
pub use metrics::Meter;
pub use roster::{ServerHealth, ServerState};
pub use settings::{GatewaySettings, ToolsMode};
pub use trace::TraceContext;
