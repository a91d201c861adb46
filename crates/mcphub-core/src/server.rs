//! Register: what the platform knows about one MCP server.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use crate::artifact::Artifact;
use crate::tool::{ToolChoices, ToolSet};
use crate::{Error, ErrorKind, Result};

/// The name of a server: 1 to 32 of `[a-z0-9-]`, first and last a letter or digit. It is a path
/// segment (`/mcp/NAME`) and, with `_`, the prefix of its tools; it has no `_`, so that the first
/// `_` of a prefixed name ends the prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ServerName(Arc<str>);

impl ServerName {
    /// The longest name, in characters.
    pub const MAX: usize = 32;

    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is not legal.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let legal = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if legal
            && (1..=Self::MAX).contains(&name.len())
            && !name.starts_with('-')
            && !name.ends_with('-')
        {
            return Ok(Self(name.into()));
        }
        Err(
            Error::invalid("a server name has 1 to 32 characters of a-z, 0-9 and inner `-`")
                .with("name", name.chars().take(64).collect::<String>()),
        )
    }

    /// The legal name nearest to a title: lower case, runs of anything else become one `-`, cut
    /// at a word. `api` when nothing is left.
    pub fn from_title(title: &str) -> Self {
        let mut name = String::new();
        for word in title
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
        {
            let separator = usize::from(!name.is_empty());
            if name.len() + separator + word.len() > Self::MAX {
                break;
            }
            if separator == 1 {
                name.push('-');
            }
            name.push_str(&word.to_ascii_lowercase());
        }
        if name.is_empty() {
            name = title
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .take(Self::MAX)
                .collect();
            name.make_ascii_lowercase();
        }
        Self(if name.is_empty() {
            "api".into()
        } else {
            name.into()
        })
    }

    /// The name with a number, for the second and later of the same title.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let suffix = format!("-{number}");
        let stem: String = self.0.chars().take(Self::MAX - suffix.len()).collect();
        Self(format!("{}{suffix}", stem.trim_end_matches('-')).into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ServerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for ServerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// How a server's calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Serve {
    /// The gateway makes the HTTP request itself.
    #[default]
    Native,
    /// A generated project runs as a local process.
    Process,
    /// An MCP server that exists already answers at a URL.
    Remote,
    /// An MCP server that exists already is a program, which the gateway starts and speaks to over its
    /// standard input and output.
    Stdio,
}

impl Serve {
    /// `native`, `process`, `remote` or `stdio`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Process => "process",
            Self::Remote => "remote",
            Self::Stdio => "stdio",
        }
    }
}

impl FromStr for Serve {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "native" => Ok(Self::Native),
            "process" => Ok(Self::Process),
            "remote" => Ok(Self::Remote),
            "stdio" => Ok(Self::Stdio),
            _ => Err(
                Error::invalid("a server is served `native`, `process`, `remote` or `stdio`")
                    .with("serve", text),
            ),
        }
    }
}

/// A registered server.
#[derive(Debug, Clone)]
pub struct ServerRecord {
    /// Unique.
    pub name: ServerName,
    /// Where its document came from.
    pub source: String,
    /// The SHA-256 of its document.
    pub document_digest: String,
    /// How its calls are made.
    pub serve: Serve,
    /// The base URL that was given, in place of the document's.
    pub base_url: Option<Url>,
    /// What was chosen for its tools.
    pub choices: ToolChoices,
    /// Its tools.
    pub tools: Arc<ToolSet>,
    /// What runs, for a server that is not native.
    pub artifact: Option<Artifact>,
    /// Grows with every change of this server.
    pub revision: u64,
}

impl ServerRecord {
    /// The base URL of its calls.
    ///
    /// # Errors
    /// As [`base_url`].
    pub fn base_url(&self) -> Result<Url> {
        base_url(self.base_url.as_ref(), &self.tools, &self.source)
    }
}

/// The base URL of an API: the one given, else the document's first server, resolved against where
/// the document came from (OpenAPI 3.0.4, Server Object).
///
/// # Errors
/// `InvalidInput` when that is no absolute http(s) URL: the message asks for a base URL.
pub fn base_url(given: Option<&Url>, tools: &ToolSet, source: &str) -> Result<Url> {
    if let Some(url) = given {
        return http(url.clone());
    }
    let stated = tools.servers.first().map_or("/", String::as_str);
    let resolved =
        Url::parse(stated).or_else(|_| Url::parse(source).and_then(|base| base.join(stated)));
    resolved.ok().map_or_else(|| Err(no_base_url(stated)), http)
}

fn http(url: Url) -> Result<Url> {
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err(no_base_url(url.as_str()))
    }
}

fn no_base_url(stated: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        "the document does not say where its API is; give the base URL, for example --base-url https://api.example.com",
    )
    .with("server in the document", stated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_titles() {
        for (title, name) in [
            (
                "Swagger Petstore - OpenAPI 3.0",
                "swagger-petstore-openapi-3-0",
            ),
            ("日本", "api"),
            (
                "GitHub v3 REST API for everybody and their dog",
                "github-v3-rest-api-for-everybody",
            ),
            (
                "Pneumonoultramicroscopicsilicovolcanoconiosis",
                "pneumonoultramicroscopicsilicovo",
            ),
        ] {
            assert_eq!(ServerName::from_title(title).as_str(), name);
            assert!(ServerName::new(name).is_ok());
        }
        assert_eq!(
            ServerName::from_title(&"a".repeat(32))
                .numbered(12)
                .as_str()
                .len(),
            32
        );
        for bad in ["", "-a", "a-", "A", "a_b", "a/b"] {
            assert!(ServerName::new(bad).is_err(), "{bad}");
        }
    }
}
