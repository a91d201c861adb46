//! Apply: what should run here is started, what should not is stopped.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use futures::stream;
use secrecy::{ExposeSecret, SecretString};

use super::{CONCURRENCY, Failure, Platform, lock};
use crate::deployment::{Deployer, DeploymentSpec, Phase};
use crate::event::Event;
use crate::project::Purpose;
use crate::secret::Credentials;
use crate::server::{Serve, ServerName, ServerRecord};
use crate::store::{ServerFilter, ServerSummary};
use crate::{Error, Result};

/// What [`Platform::reconcile`] did.
#[derive(Debug, Default)]
pub struct Reconciled {
    /// Started or replaced.
    pub started: Vec<ServerName>,
    /// Stopped, because they are no longer registered.
    pub stopped: Vec<ServerName>,
    /// Should run and does not, and why.
    pub failed: BTreeMap<ServerName, Error>,
}

impl Platform {
    /// Makes what runs on this host agree with what is registered. One failure does not keep the
    /// others from running; a server that failed is tried again when it is registered anew, when the
    /// host starts again, or by [`Platform::retry_failed`].
    ///
    /// # Errors
    /// Those of the store. What a deployer says is in [`Reconciled::failed`].
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let Some(runtime) = &self.runtime else {
            return Ok(Reconciled::default());
        };
        let _only_one = self.reconciling.lock().await;
        self.reconcile_alone(runtime.deployer.as_ref()).await
    }

    /// Like [`Platform::reconcile`], and tries again what failed: servers that could not be built
    /// or started, and those that their deployer has given up. Cheap when nothing failed. A host
    /// calls it now and then, because what was missing may be there by now.
    ///
    /// # Errors
    /// As [`Platform::reconcile`].
    pub async fn retry_failed(&self) -> Result<Reconciled> {
        let Some(runtime) = &self.runtime else {
            return Ok(Reconciled::default());
        };
        let _only_one = self.reconciling.lock().await;
        let deployer = runtime.deployer.as_ref();
        lock(&self.failures).clear();
        for deployment in deployer.list().await? {
            if deployment.phase == Phase::Failed {
                deployer.remove(&deployment.name).await?;
            }
        }
        self.reconcile_alone(deployer).await
    }

    /// The caller holds `reconciling`.
    async fn reconcile_alone(&self, deployer: &dyn Deployer) -> Result<Reconciled> {
        let mut report = Reconciled::default();
        let processes = ServerFilter {
            serve: Some(Serve::Process),
            ..ServerFilter::default()
        };
        let summaries = self.servers_where(processes).await?;
        let wanted: Vec<_> = summaries
            .iter()
            .filter(|summary| summary.serve == Serve::Process)
            .collect();
        for running in deployer.list().await? {
            if wanted.iter().all(|summary| summary.name != running.name)
                && deployer.remove(&running.name).await?
            {
                report.stopped.push(running.name);
            }
        }
        lock(&self.failures).retain(|name, _| wanted.iter().any(|summary| summary.name == *name));
        let starts: Vec<_> = wanted
            .iter()
            .map(|summary| self.start(deployer, summary))
            .collect();
        let outcomes: Vec<_> = stream::iter(starts).buffered(CONCURRENCY).collect().await;
        for (summary, outcome) in wanted.into_iter().zip(outcomes) {
            let name = summary.name.clone();
            match outcome {
                Ok(false) => {}
                Ok(true) => {
                    lock(&self.failures).remove(&name);
                    report.started.push(name);
                }
                Err(error) => {
                    let failure = Failure {
                        revision: summary.revision,
                        message: error.report(),
                    };
                    lock(&self.failures).insert(name.clone(), failure);
                    report.failed.insert(name, error);
                }
            }
        }
        if !(report.started.is_empty() && report.stopped.is_empty() && report.failed.is_empty()) {
            self.deployments.fetch_add(1, Ordering::AcqRel);
        }
        let started = report.started.iter().map(|name| (name, Phase::Ready));
        let stopped = report.stopped.iter().map(|name| (name, Phase::Stopped));
        let failed = report.failed.keys().map(|name| (name, Phase::Failed));
        for (server, phase) in started.chain(stopped).chain(failed) {
            self.announce(Event::DeploymentChanged {
                server: server.clone(),
                phase,
            })
            .await;
        }
        Ok(report)
    }

    /// Starts a server unless this revision of it runs or has failed. Whether it was started.
    async fn start(&self, deployer: &dyn Deployer, summary: &ServerSummary) -> Result<bool> {
        let record = self.record(summary).await?;
        let failed = lock(&self.failures)
            .get(&record.name)
            .is_some_and(|failure| failure.revision == record.revision);
        let running = deployer.status(&record.name).await?;
        let current = running.is_some_and(|deployment| deployment.revision == record.revision);
        if failed || current {
            return Ok(false);
        }
        // Built again from the plan rather than taken from the record: that is quick where the build
        // is still there, and heals where its folder was removed.
        let artifact = self
            .build(&record.name, &record.tools, record.base_url()?)
            .await?;
        let credentials = self.store.credentials(&record.name).await?;
        let mut spec = DeploymentSpec::new(record.name.clone(), artifact);
        spec.revision = record.revision;
        spec.environment = environment(&spec, &record, &credentials)?;
        deployer.apply(spec).await.map(|_| true)
    }

    /// Announces the deployer's own changes until the host drops it: a host runs this beside the
    /// gateway, so that a restart of a process is known at once.
    pub async fn watch_deployments(&self) {
        let Some(runtime) = &self.runtime else { return };
        let mut changes = runtime.deployer.watch();
        while let Some(change) = changes.next().await {
            self.deployments.fetch_add(1, Ordering::AcqRel);
            if let Ok(deployment) = change {
                self.announce(Event::DeploymentChanged {
                    server: deployment.name,
                    phase: deployment.phase,
                })
                .await;
            }
        }
    }

    /// Stops everything that runs here.
    ///
    /// # Errors
    /// Those of the deployer, after all were tried.
    pub async fn stop_deployments(&self) -> Result<()> {
        let Some(runtime) = &self.runtime else {
            return Ok(());
        };
        let running = runtime.deployer.list().await?;
        let stopped =
            futures::future::join_all(running.iter().map(|d| runtime.deployer.remove(&d.name)))
                .await;
        stopped.into_iter().collect::<Result<Vec<_>>>().map(drop)
    }
}

/// The variables that hand base URL and credentials to a generated project.
fn environment(
    spec: &DeploymentSpec,
    record: &ServerRecord,
    credentials: &Credentials,
) -> Result<BTreeMap<String, SecretString>> {
    let mut environment = BTreeMap::new();
    for variable in &spec.artifact.environment {
        let value = match &variable.purpose {
            Purpose::BaseUrl => Some(record.base_url()?.to_string().into()),
            Purpose::Bearer => credentials.bearer.clone(),
            Purpose::Scheme(name) => credentials.schemes.get(name).cloned(),
            Purpose::Identity => credentials.identity.clone(),
            Purpose::Authorities => credentials.authorities.clone().map(Into::into),
            Purpose::Headers if !credentials.headers.is_empty() => {
                let headers: serde_json::Map<_, _> = credentials
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.expose_secret().into()))
                    .collect();
                Some(serde_json::Value::Object(headers).to_string().into())
            }
            // Where to listen is the deployer's part.
            _ => None,
        };
        if let Some(value) = value {
            environment.insert(variable.name.clone(), value);
        }
    }
    Ok(environment)
}
