//! Virtual servers: chosen tools, prompts and resources of several servers under a name of their
//! own, some of them called and described otherwise, or with arguments that are set.
//!
//! A [`VirtualServer`] is what a gateway makes a view of. [`Definition`] is the form in which people
//! write one, and in which a store keeps it.

mod definition;
mod pattern;

use std::collections::{BTreeMap, HashSet};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::server::ServerName;
use crate::tool::ToolName;
use crate::{Error, Result};

pub use definition::{Changed, Definition};
pub use pattern::Pattern;

/// A named selection of what servers offer, served at `/mcp/{name}`.
///
/// # Behavior
/// - It follows its servers: what they list that is selected is there, and what they do not is not.
/// - Nothing that is not selected is reached through it, by whatever name.
/// - A tool keeps the name that it has at the endpoint of all servers unless it is given another.
/// - An argument that is set or hidden is in no schema, and a call that has it all the same is
///   refused.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VirtualServer {
    /// Its name.
    pub name: ServerName,
    /// What it tells a model about itself. Default: what it says of its servers.
    pub instructions: Option<String>,
    /// Tools that are selected.
    pub tools: Vec<Pattern>,
    /// Prompts that are selected.
    pub prompts: Vec<Pattern>,
    /// Resources and templates that are selected, by their URIs.
    pub resources: Vec<Pattern>,
    /// What is changed of tools, by server and own name.
    pub changes: BTreeMap<(ServerName, String), ToolChange>,
}

/// What is changed of a tool.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ToolChange {
    /// Its name here.
    pub name: Option<ToolName>,
    /// Its description here.
    pub description: Option<String>,
    /// Arguments that each call has, with their values.
    pub preset: Map<String, Value>,
    /// Arguments that no call has.
    pub hidden: Vec<String>,
}

/// A virtual server that a store keeps. As JSON: its name, its revision and its [`Definition`].
#[derive(Debug, Clone, PartialEq)]
pub struct StoredVirtualServer {
    /// What it is.
    pub server: VirtualServer,
    /// Grows with each change.
    pub revision: u64,
}

/// A page of virtual servers.
#[derive(Debug, Clone, Default)]
pub struct VirtualServerListing {
    /// Sorted by name.
    pub servers: Vec<StoredVirtualServer>,
    /// What to continue after, if there is more.
    pub next: Option<ServerName>,
}

impl VirtualServer {
    /// How many a tenant may keep: each of them is made anew whenever a server changes.
    pub const MAX: u32 = 1_000;

    /// The largest definition that is kept, in bytes of JSON.
    pub const MAX_DEFINITION: usize = 64 << 10;

    /// A virtual server without anything.
    pub fn new(name: ServerName) -> Self {
        Self {
            name,
            instructions: None,
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            changes: BTreeMap::new(),
        }
    }

    /// What of it may be meant otherwise: two tools that are given one name, and changes of tools
    /// that are not selected.
    ///
    /// # Errors
    /// `InvalidInput` that names the first.
    pub fn check(&self) -> Result<()> {
        let mut names = HashSet::new();
        for ((server, tool), change) in &self.changes {
            // What is selected by other things than names shows when the server is there.
            let may_be = |it: &Pattern| it.matches(server, tool) || it.is_of_plan(server);
            if !self.tools.iter().any(may_be) {
                return Err(Error::invalid("a tool that is changed is not selected")
                    .with("virtual server", &self.name)
                    .with("tool", format!("{server}/{tool}")));
            }
            if let Some(name) = &change.name
                && !names.insert(name.as_str())
            {
                return Err(Error::invalid("two tools are given one name")
                    .with("virtual server", &self.name)
                    .with("tool", name));
            }
        }
        Ok(())
    }
}

impl Serialize for StoredVirtualServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            name: &'a ServerName,
            revision: u64,
            definition: Definition,
        }
        let shown = Shown {
            name: &self.server.name,
            revision: self.revision,
            definition: Definition::of(&self.server),
        };
        shown.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_change_nothing_or_too_much_are_refused() {
        let shop = ServerName::new("shop").unwrap();
        let mut server = VirtualServer::new(ServerName::new("desk").unwrap());
        server.tools = vec!["shop/get*".parse().unwrap()];
        let named = ToolChange {
            name: Some(ToolName::new("book").unwrap()),
            ..ToolChange::default()
        };
        let key = |tool: &str| (shop.clone(), tool.to_owned());
        server.changes.insert(key("getBook"), named.clone());
        assert!(server.check().is_ok());
        server.changes.insert(key("getBooks"), named);
        assert!(server.check().is_err(), "one name twice");
        server.changes.remove(&key("getBooks"));
        server.changes.insert(key("addBook"), ToolChange::default());
        assert!(server.check().is_err(), "not selected");
    }
}
