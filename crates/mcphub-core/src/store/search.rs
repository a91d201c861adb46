//! Finding tools by words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::server::ServerName;
use crate::tool::{ToolKind, ToolName};
use crate::{Error, Result};

/// Which tools are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolSearch {
    /// Words, of which each has to begin a word of the tool's name, title or description. See
    /// [`search`](super::ServerStore::search) for what a word is.
    pub text: String,
    /// Tools of this kind only.
    pub kind: Option<ToolKind>,
    /// Begin after this place.
    pub after: Option<ToolPlace>,
    /// At most so many, 1 to 1,000; another limit is `InvalidInput`. Default 20.
    pub limit: u32,
}

impl ToolSearch {
    /// The first page of what is found by these words.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            kind: None,
            after: None,
            limit: 20,
        }
    }
}

/// A place in what a search finds, `CLASS.TOOL` as text. It stays good whatever is registered and
/// removed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ToolPlace {
    /// How well the words are met: 0 by name and title alone, 1 with the description.
    pub class: u8,
    /// Which tool. The store gives each a number, greater than those of before, that it keeps as
    /// long as its server has a tool of its name.
    pub tool: u64,
}

impl fmt::Display for ToolPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.class, self.tool)
    }
}

impl FromStr for ToolPlace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let place = text.split_once('.').and_then(|(class, tool)| {
            let (class, tool) = (class.parse().ok()?, tool.parse().ok()?);
            Some(Self { class, tool })
        });
        place.ok_or_else(|| Error::invalid("a place in a search is two numbers, such as 0.17"))
    }
}

impl From<ToolPlace> for String {
    fn from(place: ToolPlace) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for ToolPlace {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// A page of what a search finds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolPage {
    /// Those found by their name and title first; then in the order in which they came to be.
    pub tools: Vec<FoundTool>,
    /// Where the next page begins, if there is one.
    pub next: Option<ToolPlace>,
}

/// A tool that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundTool {
    /// Whose it is.
    pub server: ServerName,
    /// Unique in its server.
    pub name: ToolName,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For the model.
    pub description: String,
    /// What a call does.
    pub kind: ToolKind,
}
