//! Render: a [`ToolSet`] becomes the source of a standalone MCP server.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::tool::ToolSet;
use crate::{Error, Result};

/// Writes projects in one language. A pure function.
///
/// # Behavior
/// - The same input gives the same bytes: no clock, no random, no machine.
/// - Text of the document reaches code only as an escaped literal.
/// - The project does not depend on mcphub.
/// - Every variable that the project reads is listed in [`Project::environment`].
pub trait Target: Send + Sync + Debug + 'static {
    /// The name that people type, such as `python`.
    fn name(&self) -> &'static str;

    /// Writes the project.
    fn render(&self, tools: &ToolSet, options: &RenderOptions) -> Result<Project>;
}

/// Options of [`Target::render`].
#[derive(Debug, Clone)]
pub struct RenderOptions {
    /// The name of the project and of its server, such as `bookshop`.
    pub name: String,
    /// The base URL that the project uses by default, absolute.
    pub base_url: Option<Url>,
}

/// A source tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Such as `bookshop`.
    pub name: String,
    /// How it is started once built.
    pub runtime: Runtime,
    /// The variables that it reads.
    pub environment: Vec<Variable>,
    files: BTreeMap<String, Bytes>,
}

/// What a project needs in order to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Runtime {
    /// `python -m MODULE`, after the project was installed with its dependencies.
    Python {
        /// The module.
        module: String,
    },
    /// `node MAIN`, after `npm install` and `npm run build`.
    Node {
        /// The program below the project's folder.
        main: String,
    },
    /// `cargo run --release`; once built, the program below `target/release`.
    Cargo {
        /// Its name.
        program: String,
    },
}

/// An environment variable of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Such as `BOOKSHOP_API_KEY`.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// For the README.
    pub description: String,
}

/// What an environment variable is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Purpose {
    /// `http` or `stdio`.
    Transport,
    /// The address to listen on.
    Host,
    /// The port to listen on.
    Port,
    /// A token that clients of the server itself have to send as `Authorization: Bearer`.
    ServerToken,
    /// The API's base URL.
    BaseUrl,
    /// Headers for every call to the API: a JSON object of strings.
    Headers,
    /// A bearer token for the API.
    Bearer,
    /// The secret of one security scheme, by name.
    Scheme(String),
    /// A client certificate and its private key: a PEM file, or its text.
    Identity,
    /// Certificates of authorities to trust besides the system's: a PEM file, or its text.
    Authorities,
}

impl Project {
    /// An empty project.
    pub fn new(name: impl Into<String>, runtime: Runtime, environment: Vec<Variable>) -> Self {
        Self {
            name: name.into(),
            runtime,
            environment,
            files: BTreeMap::new(),
        }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// `InvalidInput` unless `path` is relative, uses `/`, and has no empty, `.` or `..` part.
    pub fn add(&mut self, path: impl Into<String>, contents: impl Into<Bytes>) -> Result<()> {
        let path = path.into();
        let legal = path.split('/').all(|part| !matches!(part, "" | "." | ".."))
            && !path.contains(['\\', '\0', ':']);
        if !legal {
            return Err(Error::invalid("a project file needs a relative path").with("path", path));
        }
        self.files.insert(path, contents.into());
        Ok(())
    }

    /// The files by path, sorted.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files
            .iter()
            .map(|(path, contents)| (path.as_str(), contents))
    }

    /// One file.
    pub fn file(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    /// The variable with that purpose.
    pub fn variable(&self, purpose: &Purpose) -> Option<&Variable> {
        self.environment
            .iter()
            .find(|variable| variable.purpose == *purpose)
    }

    /// The lower-case hex SHA-256 over paths and contents.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (path, contents) in &self.files {
            for part in [path.as_bytes(), contents] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        crate::spec::hex(&hash.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_project() {
        let mut project = Project::new("x", Runtime::Python { module: "x".into() }, Vec::new());
        for path in ["/etc/passwd", "../x", "a/../b", "a//b", "", "c:\\x"] {
            assert!(project.add(path, "").is_err(), "{path}");
        }
        project.add("src/x/__init__.py", "").unwrap();
        let before = project.digest();
        project.add("src/x/__init__.py", "pass").unwrap();
        assert_ne!(project.digest(), before);
    }
}
