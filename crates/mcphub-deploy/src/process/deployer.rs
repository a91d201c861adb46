//! [`ProcessDeployer`]: which deployments there are.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::deployment::{Deployer, Deployment, DeploymentSpec, LogLine, Phase};
use mcphub_core::server::ServerName;
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::ports::Ports;
use super::supervisor::{Unit, supervise};

/// Limits of a [`ProcessDeployer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProcessSettings {
    /// How many of the last lines of each server are kept. Default 1,000, of 8 KiB at most.
    pub log_lines: usize,
    /// How long a server that was replaced goes on beside the new one, so that those who still
    /// call it learn where the new one is. Default 1 s.
    pub overlap: Duration,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            log_lines: 1000,
            overlap: Duration::from_secs(1),
        }
    }
}

/// How many changes a reader of [`Deployer::watch`] may be behind before it misses some.
const WATCH_BUFFER: usize = 1024;

/// Runs each deployment as a process group of this machine, on a loopback port of its own.
///
/// The program finds [`INHERITED`](super::INHERITED) variables of the host, those of the spec,
/// `PYTHONUNBUFFERED=1`, and in the artifact's variables the transport (`http`), the host
/// (`127.0.0.1`), the port, and a random token of 256 bits, which it has to ask of its clients. It
/// serves `/mcp`. Its standard input is empty.
///
/// A port is kept through restarts unless somebody else has taken it; then the deployment's endpoint
/// changes. Secrets of the spec are replaced in what the server prints.
///
/// Dropping the deployer kills its servers; [`ProcessDeployer::shutdown`] stops them politely. All
/// methods need a tokio runtime with time and I/O enabled.
pub struct ProcessDeployer {
    settings: ProcessSettings,
    units: Mutex<BTreeMap<ServerName, Arc<Unit>>>,
    /// One apply or remove at a time for each name.
    turns: Mutex<HashMap<ServerName, Arc<tokio::sync::Mutex<()>>>>,
    /// The supervisors. Dropping the set ends them, and with them their processes.
    tasks: Mutex<JoinSet<()>>,
    ports: Ports,
    changes: broadcast::Sender<Deployment>,
}

impl ProcessDeployer {
    /// A deployer that runs nothing yet.
    pub fn new(settings: ProcessSettings) -> Self {
        Self {
            settings,
            units: Mutex::default(),
            turns: Mutex::default(),
            tasks: Mutex::default(),
            ports: Ports::default(),
            changes: broadcast::channel(WATCH_BUFFER).0,
        }
    }

    /// Stops all deployments, at the same time and politely.
    pub async fn shutdown(&self) {
        let names: Vec<ServerName> = lock(&self.units).keys().cloned().collect();
        join_all(names.iter().map(|name| self.remove(name))).await;
        // What was replaced and still overlaps.
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
    }

    async fn turn(&self, name: &ServerName) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = lock(&self.turns);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(name.clone()).or_default())
        };
        turn.lock_owned().await
    }

    fn unit(&self, name: &ServerName) -> Option<Arc<Unit>> {
        lock(&self.units).get(name).cloned()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Lets the replaced unit go on for a moment, then stops it.
    fn retire(&self, old: Arc<Unit>) {
        let overlap = self.settings.overlap;
        self.spawn(async move {
            tokio::time::sleep(overlap).await;
            old.stop.cancel();
            old.stopped.cancelled().await;
        });
    }
}

#[async_trait]
impl Deployer for ProcessDeployer {
    async fn apply(&self, spec: DeploymentSpec) -> Result<Deployment> {
        let _turn = self.turn(&spec.name).await;
        let old = self.unit(&spec.name);
        let unit = Unit::new(
            spec,
            self.settings.log_lines,
            &self.ports,
            self.changes.clone(),
            old.is_none(),
        )?;
        unit.command()?;
        // Also when this future is dropped: what was not started is not listed.
        let mut attempt = Attempt {
            units: &self.units,
            unit: &unit,
            listed: false,
        };
        if old.is_none() {
            attempt.list();
        }
        let instance = match unit.start().await {
            Ok(instance) => instance,
            Err(error) => {
                unit.enter(Phase::Failed, Some(error.to_string()));
                return Err(error);
            }
        };
        if let Some(old) = &old {
            old.set_public(false);
        }
        attempt.keep();
        unit.set_public(true);
        let deployment = unit.enter(Phase::Ready, None);
        self.spawn(supervise(Arc::clone(&unit), instance));
        if let Some(old) = old {
            self.retire(old);
        }
        Ok(deployment)
    }

    async fn status(&self, name: &ServerName) -> Result<Option<Deployment>> {
        Ok(self.unit(name).map(|unit| unit.deployment()))
    }

    async fn list(&self) -> Result<Vec<Deployment>> {
        Ok(lock(&self.units)
            .values()
            .map(|unit| unit.deployment())
            .collect())
    }

    async fn remove(&self, name: &ServerName) -> Result<bool> {
        // Before the turn: a first start is given up, not waited for.
        let known = self.unit(name).inspect(|unit| unit.stop.cancel()).is_some();
        let _turn = self.turn(name).await;
        let Some(unit) = lock(&self.units).remove(name) else {
            return Ok(known);
        };
        unit.stop.cancel();
        unit.stopped.cancelled().await;
        // The supervisor of one that failed has ended before.
        if unit.deployment().phase != Phase::Stopped {
            unit.enter(Phase::Stopped, None);
        }
        Ok(true)
    }

    fn logs(&self, name: &ServerName) -> BoxStream<'static, Result<LogLine>> {
        match self.unit(name) {
            Some(unit) => unit.output.follow(),
            None => {
                let error =
                    Error::not_found("there is no deployment of that name").with("name", name);
                stream::once(async { Err(error) }).boxed()
            }
        }
    }

    fn watch(&self) -> BoxStream<'static, Result<Deployment>> {
        stream::unfold(self.changes.subscribe(), |mut changes| async move {
            let change = match changes.recv().await {
                Ok(change) => Ok(change),
                Err(broadcast::error::RecvError::Lagged(count)) => Err(Error::new(
                    ErrorKind::Unavailable,
                    "changes of deployments were missed; list them again",
                )
                .with("missed", count)),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((change, changes))
        })
        .boxed()
    }
}

/// A first start: listed while it lasts, and unlisted when it fails or is dropped.
struct Attempt<'a> {
    units: &'a Mutex<BTreeMap<ServerName, Arc<Unit>>>,
    unit: &'a Arc<Unit>,
    listed: bool,
}

impl Attempt<'_> {
    fn list(&mut self) {
        lock(self.units).insert(self.unit.spec.name.clone(), Arc::clone(self.unit));
        self.unit.announce_now();
        self.listed = true;
    }

    fn keep(&mut self) {
        lock(self.units).insert(self.unit.spec.name.clone(), Arc::clone(self.unit));
        self.listed = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.listed {
            lock(self.units).remove(&self.unit.spec.name);
        }
    }
}

impl fmt::Debug for ProcessDeployer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<ServerName> = lock(&self.units).keys().cloned().collect();
        f.debug_struct("ProcessDeployer")
            .field("settings", &self.settings)
            .field("deployments", &names)
            .finish()
    }
}

/// Every change under these locks is whole, so that a panic elsewhere leaves them usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
