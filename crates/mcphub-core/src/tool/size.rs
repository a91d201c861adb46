//! How large tools may be together, and what they lose when they are larger.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How large the list of an API's tools may be: the bytes of the tools in the result of `tools/list`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ListLimit {
    /// As large as the document is as JSON without white space, with the files that it refers to; at
    /// least [`ListLimit::FLOOR`].
    #[default]
    Document,
    /// So many bytes.
    Bytes(usize),
    /// As large as it is.
    None,
}

impl ListLimit {
    /// What every list may have, in bytes: a model reads that at once, and what MCP itself says of
    /// each tool outweighs a small document.
    pub const FLOOR: usize = 48 << 10;

    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for ListLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Document => f.write_str("document"),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for ListLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "document" => Ok(Self::Document),
            "none" => Ok(Self::None),
            number => number.parse().map(Self::Bytes).map_err(|_| {
                Error::invalid("a list is limited to a number of bytes, `document` or `none`")
                    .with("limit", text.chars().take(64).collect::<String>())
            }),
        }
    }
}

/// Something that tools can do without. No argument is among them, nor its type, its listed values,
/// or that it is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Simplification {
    /// Descriptions inside of the members of answers.
    NestedOutputText,
    /// What is inside of the members of answers: they keep their descriptions and types.
    NestedOutput,
    /// Whole output schemas.
    Output,
    /// Descriptions and examples inside of arguments.
    NestedInputText,
    /// Descriptions of arguments after their first sentence, titles, and examples.
    ArgumentText,
    /// Descriptions of tools after their first paragraph.
    ToolText,
    /// What is deep inside of arguments: it keeps its type, and its values where they are listed.
    NestedInput,
}

impl Simplification {
    /// What costs a model least to lose comes first: what it reads after a call, then what explains one,
    /// then what it needs to write one.
    pub const ORDER: [Self; 7] = [
        Self::NestedOutputText,
        Self::NestedOutput,
        Self::Output,
        Self::NestedInputText,
        Self::ArgumentText,
        Self::ToolText,
        Self::NestedInput,
    ];

    /// What is lost, with its verb.
    pub const fn loss(self) -> &'static str {
        match self {
            Self::NestedOutputText => "descriptions inside of the members of answers are",
            Self::NestedOutput => "what is inside of the members of answers is",
            Self::Output => "the output schema is",
            Self::NestedInputText => "descriptions and examples inside of arguments are",
            Self::NestedInput => "what is deep inside of arguments is",
            Self::ArgumentText => "all but the first sentence about each argument is",
            Self::ToolText => "all but the first paragraph of the description is",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        for text in ["document", "none", "65536"] {
            assert_eq!(text.parse::<ListLimit>().unwrap().to_string(), text);
        }
        for bad in ["", "-1", "64k", "all"] {
            assert!(bad.parse::<ListLimit>().is_err(), "{bad}");
        }
    }
}
