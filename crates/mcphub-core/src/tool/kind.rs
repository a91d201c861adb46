//! What a tool does to the world, in one word.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ToolAnnotations;
use crate::{Error, Result};

/// What a call of a tool does, as its annotations say (MCP 2026-07-28, ToolAnnotations).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ToolKind {
    /// It changes nothing.
    ReadOnly,
    /// It changes something and destroys nothing.
    Additive,
    /// It may destroy something.
    Destructive,
}

impl ToolKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Additive, Self::Destructive];

    /// `read-only`, `additive` or `destructive`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Additive => "additive",
            Self::Destructive => "destructive",
        }
    }
}

impl From<&ToolAnnotations> for ToolKind {
    fn from(annotations: &ToolAnnotations) -> Self {
        // The other hint means nothing of a tool that only reads.
        if annotations.read_only_hint {
            Self::ReadOnly
        } else if annotations.destructive_hint {
            Self::Destructive
        } else {
            Self::Additive
        }
    }
}

impl fmt::Display for ToolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ToolKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| {
            Error::invalid("a tool is `read-only`, `additive` or `destructive`").with("kind", text)
        })
    }
}
