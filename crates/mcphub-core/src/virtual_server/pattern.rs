//! What a virtual server selects of a server.

use std::fmt;
use std::str::FromStr;

use wildmatch::WildMatch;

use crate::server::ServerName;
use crate::tool::Tool;
use crate::{Error, Result};

/// What is selected of a server: `SERVER/GLOB`, such as `shop/get*`. In a glob `*` is any text and
/// `?` one character.
///
/// Tools that mcphub made of an API are selected by what they were made of, too: `SERVER/tag=GLOB`,
/// `SERVER/method=GLOB` and `SERVER/path=GLOB`, such as `shop/path=/orders*`. Case counts, but for
/// methods.
#[derive(Debug, Clone, PartialEq)]
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

impl Pattern {
    /// The longest pattern, in bytes.
    pub const MAX: usize = 1_024;

    /// The server that it selects of.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// Whether it selects by what tools were made of: nothing else has that.
    pub fn is_of_tools(&self) -> bool {
        self.of != Of::Name
    }

    /// Whether it selects what a server calls so.
    pub fn matches(&self, server: &ServerName, own: &str) -> bool {
        self.of == Of::Name && self.server == *server && self.glob.matches(own)
    }

    /// Whether it selects tools of that server by what they were made of.
    pub fn is_of_plan(&self, server: &ServerName) -> bool {
        self.is_of_tools() && self.server == *server
    }

    /// Whether it selects a tool by what that was made of.
    pub fn selects(&self, tool: &Tool) -> bool {
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

    /// Whether one of them selects what a server calls so.
    pub fn any(patterns: &[Self], server: &ServerName, own: &str) -> bool {
        patterns.iter().any(|pattern| pattern.matches(server, own))
    }
}

impl FromStr for Pattern {
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

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
}
