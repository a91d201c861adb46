//! What somebody chooses for the tools of one API. It is kept with the registration.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ListLimit, Profile};
use crate::{Error, Result};

/// What somebody chooses for the tools of one API. Stored as JSON: a choice that is not there is the
/// default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct ToolChoices {
    /// Which operations become tools. Default: all.
    #[serde(skip_serializing_if = "Selection::is_everything")]
    pub selection: Selection,
    /// How large the list of all tools may be.
    #[serde(skip_serializing_if = "ListLimit::is_default")]
    pub list_limit: ListLimit,
    /// The form of schemas.
    #[serde(skip_serializing_if = "Profile::is_default")]
    pub profile: Profile,
}

impl ToolChoices {
    /// Whether everything is as it is by default.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which operations become tools.
///
/// An operation is selected when, for every facet that `include` names, one of the criteria of that
/// facet matches; when no criterion of `exclude` matches; and when it only reads, if `read_only`
/// asks for that. So two tags are either tag, and a tag and a method are both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Selection {
    /// What is wanted; empty for everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<Criterion>,
    /// What is not wanted. It counts more than `include`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Criterion>,
    /// Only tools whose annotations say that they read: `readOnlyHint`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

impl Selection {
    /// Whether every operation is selected.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// What is looked at of an operation, and the glob that it is compared with: `tag=books`,
/// `path=/users/*`. In a glob `*` is any text, `/` included, and `?` is one character; a method is
/// compared in any case, all else exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Criterion {
    /// What is looked at.
    pub facet: Facet,
    /// What it is compared with, 1 to [`Criterion::MAX_GLOB`] bytes.
    pub glob: String,
}

/// What is looked at of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Facet {
    /// Any of its tags.
    Tag,
    /// Its group ([`Tool::group`](super::Tool::group)).
    Group,
    /// Its HTTP method.
    Method,
    /// Its path template, such as `/pets/{petId}`.
    Path,
    /// Its `operationId`.
    OperationId,
    /// The name of its tool.
    Tool,
}

impl Facet {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Tag,
        Self::Group,
        Self::Method,
        Self::Path,
        Self::OperationId,
        Self::Tool,
    ];

    /// `tag`, `group`, `method`, `path`, `id` or `tool`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Group => "group",
            Self::Method => "method",
            Self::Path => "path",
            Self::OperationId => "id",
            Self::Tool => "tool",
        }
    }
}

impl Criterion {
    /// The longest glob, in bytes.
    pub const MAX_GLOB: usize = 1_024;

    /// One criterion.
    ///
    /// # Errors
    /// `InvalidInput` when the glob is empty or too long.
    pub fn new(facet: Facet, glob: impl Into<String>) -> Result<Self> {
        let glob = glob.into();
        if (1..=Self::MAX_GLOB).contains(&glob.len()) {
            Ok(Self { facet, glob })
        } else {
            Err(Error::invalid("a glob has 1 to 1,024 bytes").with("facet", facet.as_str()))
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.facet.as_str(), self.glob)
    }
}

impl FromStr for Criterion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = |name: &str| Facet::ALL.into_iter().find(|facet| facet.as_str() == name);
        let parts = text.split_once('=');
        match parts.and_then(|(name, glob)| Some((known(name.trim())?, glob.trim()))) {
            Some((facet, glob)) => Self::new(facet, glob),
            None => Err(Error::invalid(
                "a criterion is KEY=GLOB with KEY one of tag, group, method, path, id and tool, for example tag=books",
            )
            .with("criterion", text.chars().take(64).collect::<String>())),
        }
    }
}

impl Serialize for Criterion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Criterion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_read_as_they_are_written() {
        for text in [
            "tag=books",
            "group=orders",
            "method=GET",
            "path=/a={b}*",
            "id=list?",
            "tool=*",
        ] {
            assert_eq!(text.parse::<Criterion>().unwrap().to_string(), text);
        }
        for bad in ["", "books", "tags=books", "tag=", "=x", "Tag=x"] {
            assert!(bad.parse::<Criterion>().is_err(), "{bad}");
        }
        assert!(Criterion::new(Facet::Tag, "x".repeat(1_025)).is_err());
    }

    #[test]
    fn what_is_not_chosen_is_not_stored() {
        let mut choices = ToolChoices::default();
        assert!(choices.is_default());
        assert_eq!(serde_json::to_string(&choices).unwrap(), "{}");
        choices.selection.include = vec!["tag=books".parse().unwrap()];
        choices.selection.read_only = true;
        let text = serde_json::to_string(&choices).unwrap();
        assert_eq!(
            text,
            r#"{"selection":{"include":["tag=books"],"readOnly":true}}"#
        );
        assert_eq!(serde_json::from_str::<ToolChoices>(&text).unwrap(), choices);
    }
}
