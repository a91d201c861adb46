//! Apply: an [`Artifact`] becomes a running MCP server.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::Result;
use crate::artifact::Artifact;
use crate::server::ServerName;

/// Runs artifacts and keeps them running.
///
/// # Behavior
/// - `apply` returns when the server has answered an MCP request, or an error that has the end of
///   its output; then nothing of it is left behind.
/// - `apply` under a name that runs replaces it: the new one is ready before the old one stops.
///   When the new one does not get ready, the old one goes on.
/// - A server that ends by itself is started again after a growing pause, at most
///   [`RestartPolicy::max_restarts`] times within [`RestartPolicy::window`]; then its phase is
///   `Failed`.
/// - `remove` stops politely, kills after [`DeploymentSpec::stop_timeout`], and leaves no process of
///   the server's behind; for an unknown name it returns `false`.
/// - `logs` gives what was printed last, bounded, oldest first, then what follows.
/// - `watch` gives every later change of phase of every deployment.
/// - When the host ends in whatever way, so do its deployments.
#[async_trait]
pub trait Deployer: Send + Sync + Debug + 'static {
    /// Starts or replaces a deployment and waits until it is ready.
    async fn apply(&self, spec: DeploymentSpec) -> Result<Deployment>;

    /// The deployment of that name.
    async fn status(&self, name: &ServerName) -> Result<Option<Deployment>>;

    /// All deployments, by name.
    async fn list(&self) -> Result<Vec<Deployment>>;

    /// Stops a deployment. Whether there was one.
    async fn remove(&self, name: &ServerName) -> Result<bool>;

    /// The output of a deployment.
    fn logs(&self, name: &ServerName) -> BoxStream<'static, Result<LogLine>>;

    /// Changes of phase.
    fn watch(&self) -> BoxStream<'static, Result<Deployment>>;
}

/// What to run.
#[derive(Debug, Clone)]
pub struct DeploymentSpec {
    /// The server that it serves.
    pub name: ServerName,
    /// Which revision of the server this is; the deployment shows it again.
    pub revision: u64,
    /// What to start.
    pub artifact: Artifact,
    /// Variables for the program. The deployer adds those that say where to listen.
    pub environment: BTreeMap<String, SecretString>,
    /// When to start it again.
    pub restart: RestartPolicy,
    /// How long it may take to get ready. Default 30 s.
    pub ready_timeout: Duration,
    /// How long it may take to stop before it is killed. Default 5 s.
    pub stop_timeout: Duration,
}

impl DeploymentSpec {
    /// A deployment with default limits.
    pub fn new(name: ServerName, artifact: Artifact) -> Self {
        Self {
            name,
            revision: 0,
            artifact,
            environment: BTreeMap::new(),
            restart: RestartPolicy::default(),
            ready_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(5),
        }
    }
}

/// When a server that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// At most so many restarts within the window. Default 5.
    pub max_restarts: u32,
    /// Default 60 s.
    pub window: Duration,
    /// The first pause; it doubles with each restart. Default 200 ms.
    pub initial_backoff: Duration,
    /// The longest pause. Default 10 s.
    pub max_backoff: Duration,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            max_restarts: 5,
            window: Duration::from_secs(60),
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
        }
    }
}

/// A deployment as it is now.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The server that it serves.
    pub name: ServerName,
    /// The revision that runs.
    pub revision: u64,
    /// The digest of the artifact that runs.
    pub digest: String,
    /// What it is doing.
    pub phase: Phase,
    /// Where it answers. Kept through restarts.
    pub endpoint: Option<Endpoint>,
    /// Restarts since it was applied.
    pub restarts: u32,
    /// Why it is in this phase, for a person.
    pub message: Option<String>,
}

/// What a deployment is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// Started, not ready yet.
    Starting,
    /// Answers MCP requests.
    Ready,
    /// Ended by itself; will be started again.
    Restarting,
    /// Ended too often; will not be started again.
    Failed,
    /// Stopped on request.
    Stopped,
}

/// Where an MCP server answers streamable HTTP.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Such as `http://127.0.0.1:41234/mcp`.
    pub url: Url,
    /// Headers for every request.
    pub headers: Vec<(String, SecretString)>,
}

/// One line that a deployment printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Where.
    pub stream: LogStream,
    /// Without the line end, cut at 8 KiB.
    pub text: String,
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogStream {
    Stdout,
    Stderr,
}
