//! Virtual servers: what of the servers' lists is theirs, and how their calls differ.

mod edit;
mod preset;
mod select;

pub(crate) use preset::Preset;
pub(super) use select::{about, has_server, select};
