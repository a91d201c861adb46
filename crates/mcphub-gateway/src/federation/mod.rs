//! Federation: what many servers list becomes one list of each [`Kind`], by pure functions.
//!
//! A [`Listing`] is what one server lists. A [`Snapshot`] is made from the listings of all servers
//! and never changes: it has a [`View`] of all servers with prefixed names and URIs and one of each
//! server with its own, the lists as finished text, and where each request goes.

mod instructions;
mod kind;
pub(crate) mod links;
mod listing;
mod name;
mod pages;
mod parameter;
mod restricted;
mod snapshot;
mod uri;
mod view;

pub use kind::Kind;
pub use listing::Listing;
pub use pages::Page;
pub use parameter::HeaderParameter;
pub use snapshot::{Member, Scope, Snapshot};
pub use view::{NoRoute, Route, View};
