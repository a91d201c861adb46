//! Discover: MCP servers that come and go by themselves, such as containers with labels.
//!
//! A [`Discovery`] says what is there now. A [`DiscoveredCatalog`] puts that beside what is
//! registered. Nothing of it is stored: each host sees what it can reach.

mod catalog;

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::Serialize;

use crate::Result;
use crate::connection::Connection;
use crate::server::ServerName;

pub use catalog::{DiscoveredCatalog, Source};

/// Finds MCP servers in one place.
///
/// # Behavior
/// - `discover` gives what is there now, by name, each name once, and at most [`Discovered::MAX`]
///   servers; what is left out is among the rejected, with the reason.
/// - `changes` says that `discover` may give something else by now. It is a hint: it may say so too
///   often, and it ends when it can say so no more.
#[async_trait]
pub trait Discovery: Send + Sync + Debug + 'static {
    /// What is there now.
    async fn discover(&self) -> Result<Discovered>;

    /// That something changed, from now on.
    fn changes(&self) -> BoxStream<'static, ()>;
}

/// What is in one place.
#[derive(Debug, Clone, Default)]
pub struct Discovered {
    /// By name.
    pub servers: Vec<DiscoveredServer>,
    /// What says that it is a server and cannot be one.
    pub rejected: Vec<Rejected>,
}

impl Discovered {
    /// The most servers of one place.
    pub const MAX: usize = 256;
}

/// An MCP server that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoveredServer {
    /// What it is to be called.
    pub name: ServerName,
    /// What it is, for a person: `container shop-1`.
    pub place: String,
    /// How it is reached.
    pub connection: Connection,
}

/// Something that is no server although it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// What it is, for a person.
    pub place: String,
    /// Why it is none.
    pub why: String,
}
