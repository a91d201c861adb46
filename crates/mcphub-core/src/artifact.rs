//! Build: a [`Project`] becomes something that can be started.

use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::project::{Project, Variable};

/// Builds projects.
///
/// # Behavior
/// - Building a project of the same digest again is quick and gives an equal artifact.
/// - A build that fails or is dropped half-way leaves nothing that a later build takes for whole.
/// - A missing tool or an unreachable package index is an `Unavailable` error that says what to
///   install or do.
#[async_trait]
pub trait Builder: Send + Sync + Debug + 'static {
    /// Builds one project.
    async fn build(&self, project: &Project) -> Result<Artifact>;
}

/// A built project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The digest of the project that it was built from.
    pub digest: String,
    /// What to start.
    pub program: Program,
    /// The variables that it reads.
    pub environment: Vec<Variable>,
}

/// What a deployer starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Program {
    /// A command on this machine.
    Command {
        /// The executable, absolute.
        executable: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// Where it starts.
        directory: PathBuf,
    },
}
