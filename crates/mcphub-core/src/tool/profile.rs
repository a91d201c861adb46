//! What clients take of JSON Schema.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The form of schemas. MCP says JSON Schema 2020-12; some clients, or the models behind them, take
/// less and refuse a tool, or the whole list with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Profile {
    /// Shared models are below `$defs`, and `$ref` leads to them.
    #[default]
    Standard,
    /// No `$defs` and no `$ref`: models stand where they are used, up to 8 references deep and as
    /// far as they fit the bound of a schema. Of what is deeper, or contains itself, there is the
    /// type.
    Inlined,
    /// As `Inlined`, and no combinator (`allOf`, `anyOf`, `oneOf`, `not`, `if`), one type for each
    /// schema and no `format`; schemas accept what any of their alternatives does. No output
    /// schemas.
    Plain,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Inlined, Self::Plain];

    /// `standard`, `inlined` or `plain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Inlined => "inlined",
            Self::Plain => "plain",
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text);
        known.ok_or_else(|| {
            Error::invalid("a profile is `standard`, `inlined` or `plain`")
                .with("profile", text.chars().take(64).collect::<String>())
        })
    }
}
