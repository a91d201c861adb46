//! Virtual servers: chosen tools, prompts and resources of several servers under a name of their
//! own, some of them called and described otherwise, or with arguments that are set.

mod edit;
mod preset;
mod select;

use std::collections::BTreeMap;

use mcphub_core::server::ServerName;
use mcphub_core::tool::{Tool, ToolName};
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
///
/// Tools that mcphub made of an API are selected by what they were made of, too: `SERVER/tag=GLOB`,
/// `SERVER/method=GLOB` and `SERVER/path=GLOB`, such as `shop/path=/orders*`. Case counts, but for
/// methods.
#[derive(Debug, Clone)]
pub struct Pattern {
    server: ServerName,
    text: String,
    of: Of,
    glob: WildMatch,
}

/// What a glob is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The own name or URI.
    Name,
    Tag,
    Method,
    Path,
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

impl Pattern {
    /// The longest pattern, in bytes.
    pub const MAX: usize = 1_024;

    /// Whether it selects by what tools were made of: nothing else has that.
    pub fn is_of_tools(&self) -> bool {
        self.of != Of::Name
    }

    fn matches(&self, server: &ServerName, own: &str) -> bool {
        self.of == Of::Name && self.server == *server && self.glob.matches(own)
    }

    fn is_of_plan(&self, server: &ServerName) -> bool {
        self.is_of_tools() && self.server == *server
    }

    /// Whether it selects a tool by what that was made of.
    fn selects(&self, tool: &Tool) -> bool {
        match self.of {
            Of::Name => false,
            Of::Tag => tool.tags.iter().any(|tag| self.glob.matches(tag)),
            Of::Method => {
                let method = tool.binding.method.as_str().to_ascii_uppercase();
                self.glob.matches(&method)
            }
            Of::Path => self.glob.matches(&tool.binding.path),
        }
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
        let (of, glob) = match glob.split_once('=') {
            Some(("tag", glob)) => (Of::Tag, glob.to_owned()),
            Some(("method", glob)) => (Of::Method, glob.to_ascii_uppercase()),
            Some(("path", glob)) => (Of::Path, glob.to_owned()),
            _ => (Of::Name, glob.to_owned()),
        };
        if glob.is_empty() || text.len() > Self::MAX {
            return Err(wrong());
        }
        Ok(Self {
            server: ServerName::new(server).map_err(|_| wrong())?,
            text: text.to_owned(),
            of,
            glob: WildMatch::new(&glob),
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
    use serde_json::value::RawValue;

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
    fn a_tool_is_selected_by_what_it_was_made_of() {
        let binding =
            serde_json::json!({"method": "POST", "path": "/orders/{id}", "accept": "*/*"});
        let definition = RawValue::from_string(r#"{"name":"t","inputSchema":{}}"#.to_owned());
        let mut tool = Tool::listed(&definition.unwrap()).unwrap();
        tool.binding = serde_json::from_value(binding).unwrap();
        tool.tags = vec!["Orders".to_owned(), "admin".to_owned()];
        let selects = |text: &str| text.parse::<Pattern>().unwrap().selects(&tool);
        for right in [
            "tag=Ord*",
            "tag=admin",
            "method=post",
            "method=P*T",
            "path=/orders/*",
        ] {
            assert!(selects(&format!("shop/{right}")), "{right}");
        }
        for wrong in ["t", "*", "tag=orders", "method=GET", "path=/orders"] {
            assert!(!selects(&format!("shop/{wrong}")), "{wrong}");
        }
        assert!("shop/tag=".parse::<Pattern>().is_err());
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
