//! Types, traits and orchestration of mcphub: from an API document to an MCP tool call.
//!
//! ```text
//! document ─▶ ApiSpec ─▶ ToolSet ─▶ Project ─▶ Artifact ─▶ Deployment ─▶ ServerRecord ─▶ Catalog ─▶ call
//!            parse      plan       render     build       apply         register        federate
//! ```
//!
//! Each stage has one module with its value and the trait that produces it. A stage takes only the
//! value of the stage before it. Implementations live in other crates; a third party's backend
//! depends on this crate alone. There is no I/O and no runtime in here.

pub mod artifact;
pub mod audit;
pub mod call;
pub mod catalog;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod connection;
pub mod deployment;
pub mod discovery;
pub mod error;
pub mod event;
pub mod job;
pub mod key;
pub mod launch;
pub mod password;
pub mod platform;
pub mod principal;
pub mod project;
pub mod role;
pub mod schema;
pub mod secret;
pub mod server;
pub mod shared;
pub mod sign_in;
pub mod spec;
pub mod store;
pub mod tenant;
mod token;
pub mod tool;
pub mod user;
pub mod virtual_server;

pub use error::{Error, ErrorKind, Fault, Result};
pub use platform::Platform;
