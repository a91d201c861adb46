//! Virtual servers: chosen tools, prompts and resources of several servers under a name of their
//! own, some of them called and described otherwise, or with arguments that are set.

mod edit;
mod preset;
mod select;

use std::collections::BTreeMap;

use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolName;
use mcphub_core::{Error, Result};
use serde_json::{Map, Value};
use wildmatch::WildMatch;

pub(crate) use preset::Preset;

/// A named selection of what servers offer, served at `/mcp/{name}` in place of a server of that
/// name.
///
/// # Behavior
/// - It follows its servers: what they list that is selected is there, and what they do not is not.
/// - Nothing that is not selected is reached through it, by whatever name.
/// - A tool keeps the name that it has at the endpoint of all servers unless it is given another.
/// - An argument that is set or hidden is in no schema, and a call that has it all the same is
///   refused.
#[derive(Debug, Clone)]
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

/// What is selected of a server: `SERVER/GLOB`, such as `shop/get*`. In a glob `*` is any text and
/// `?` one character.
#[derive(Debug, Clone)]
pub struct Pattern {
    server: ServerName,
    text: String,
    glob: WildMatch,
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

impl VirtualServer {
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
        let mut names = std::collections::HashSet::new();
        for ((server, tool), change) in &self.changes {
            if !self.tools.iter().any(|it| it.matches(server, tool)) {
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

impl Pattern {
    /// The longest pattern, in bytes.
    pub const MAX: usize = 1_024;

    fn matches(&self, server: &ServerName, own: &str) -> bool {
        self.server == *server && self.glob.matches(own)
    }

    pub(super) fn any(patterns: &[Self], server: &ServerName, own: &str) -> bool {
        patterns.iter().any(|pattern| pattern.matches(server, own))
    }
}

impl std::str::FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid("a selection is SERVER/GLOB, such as shop/get* or shop/*")
                .with("selection", text.chars().take(64).collect::<String>())
        };
        let (server, glob) = text.split_once('/').ok_or_else(wrong)?;
        if glob.is_empty() || text.len() > Self::MAX {
            return Err(wrong());
        }
        Ok(Self {
            server: ServerName::new(server).map_err(|_| wrong())?,
            text: text.to_owned(),
            glob: WildMatch::new(glob),
        })
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_names_a_server_and_what_of_it() {
        let pattern: Pattern = "shop/get*".parse().unwrap();
        let shop = ServerName::new("shop").unwrap();
        assert!(pattern.matches(&shop, "getBook") && !pattern.matches(&shop, "addBook"));
        assert!(!pattern.matches(&ServerName::new("shop-2").unwrap(), "getBook"));
        let uri: Pattern = "docs/file:///a/*".parse().unwrap();
        assert!(uri.matches(&ServerName::new("docs").unwrap(), "file:///a/b/c"));
        for wrong in ["", "shop", "shop/", "/x", "*/x", "Shop/x"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }

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
