//! Federation: the tools of many servers become one list, by pure functions.
//!
//! A [`Listing`] is what one server lists. A [`Snapshot`] is made from the listings of all servers
//! and never changes: it has a [`View`] of all servers with prefixed names and one of each server
//! with its own names, the answers to `tools/list` as finished text, and where each call goes.

mod instructions;
mod listing;
mod name;
mod snapshot;
mod view;

pub use listing::Listing;
pub use snapshot::{Member, Scope, Snapshot};
pub use view::{Page, Route, View};
