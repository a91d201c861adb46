//! Federation: what many servers list becomes one list of each [`Kind`], by pure functions.
//!
//! A [`Listing`] is what one server lists. A [`Snapshot`] is made from the listings of all servers
//! and never changes: it has a [`View`] of all servers with prefixed names and URIs and one of each
//! server with its own, and of each
//! [`VirtualServer`](mcphub_core::virtual_server::VirtualServer), the lists as finished text, and
//! where each request goes.

mod instructions;
mod kind;
pub(crate) mod links;
mod listing;
mod meaning;
mod name;
mod pages;
mod parameter;
mod part;
mod restricted;
mod search;
mod snapshot;
mod uri;
mod view;
mod virtual_server;

pub use kind::Kind;
pub use listing::Listing;
pub use pages::Page;
pub use parameter::HeaderParameter;
pub use part::Part;
pub(crate) use search::{CALL_TOOL, DESCRIBE_TOOL, FIND_TOOLS};
pub use search::{FoundTool, Search, Tools};
pub use snapshot::{Member, Scope, Snapshot};
pub use view::{NoRoute, Route, View};
pub(crate) use virtual_server::Preset;
