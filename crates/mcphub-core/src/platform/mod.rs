//! Orchestration: the stages one after the other, over `Arc<dyn …>`.
//!
//! Only the platform writes what it knows into the store; backends return values. It is a
//! [`CatalogSource`], which is all that a gateway sees of it.

mod login;
mod publish;
mod reconcile;
mod virtual_servers;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::future;
use futures::stream::{self, StreamExt};

pub use publish::{Prepared, PublishRequest, Published};
pub use reconcile::Reconciled;

use crate::artifact::Builder;
use crate::catalog::{Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream};
use crate::connection::Connection;
use crate::deployment::{Deployer, Deployment, Phase};
use crate::event::{Event, EventBus};
use crate::project::Target;
use crate::server::{Serve, ServerName, ServerRecord};
use crate::spec::SpecParser;
use crate::store::{Page, ServerFilter, ServerSummary, Store, ToolPage, ToolSearch};
use crate::tool::{PLAN_VERSION, PlanOptions, Planner};
use crate::{Error, Result};

/// How many servers are read or started at the same time.
const CONCURRENCY: usize = 8;

/// The stages of mcphub over exchangeable backends.
#[derive(Debug)]
pub struct Platform {
    parser: Arc<dyn SpecParser>,
    planner: Arc<dyn Planner>,
    store: Arc<dyn Store>,
    events: Option<Arc<dyn EventBus>>,
    runtime: Option<ProcessRuntime>,
    plan_options: PlanOptions,
    /// Grows when something that runs here changes.
    deployments: AtomicU64,
    /// Servers that do not run, and why.
    failures: Mutex<BTreeMap<ServerName, Failure>>,
    /// What the last catalogue was made of, so that unchanged servers are not read again.
    loaded: Mutex<HashMap<ServerName, Arc<ServerRecord>>>,
    /// Servers as the process answers that runs, until it is replaced by that of a newer revision.
    running: Mutex<BTreeMap<ServerName, Arc<CatalogServer>>>,
    reconciling: futures::lock::Mutex<()>,
}

/// What a platform needs in order to serve generated projects.
#[derive(Debug, Clone)]
pub struct ProcessRuntime {
    /// Writes the project.
    pub target: Arc<dyn Target>,
    /// Builds it.
    pub builder: Arc<dyn Builder>,
    /// Runs it.
    pub deployer: Arc<dyn Deployer>,
}

#[derive(Debug, Clone)]
struct Failure {
    revision: u64,
    message: String,
}

impl Platform {
    /// A platform that can publish native servers.
    pub fn new(
        parser: Arc<dyn SpecParser>,
        planner: Arc<dyn Planner>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            parser,
            planner,
            store,
            events: None,
            runtime: None,
            plan_options: PlanOptions::default(),
            deployments: AtomicU64::new(0),
            failures: Mutex::default(),
            loaded: Mutex::default(),
            running: Mutex::default(),
            reconciling: futures::lock::Mutex::default(),
        }
    }

    /// Adds what is needed in order to serve generated projects.
    #[must_use]
    pub fn with_runtime(mut self, runtime: ProcessRuntime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Adds a bus on which changes are announced.
    #[must_use]
    pub fn with_events(mut self, events: Arc<dyn EventBus>) -> Self {
        self.events = Some(events);
        self
    }

    /// Replaces the options of planning. The choices among them are those of each request.
    #[must_use]
    pub fn with_plan_options(mut self, options: PlanOptions) -> Self {
        self.plan_options = options;
        self
    }

    /// All registered servers, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn servers(&self) -> Result<Vec<ServerSummary>> {
        self.servers_where(ServerFilter::default()).await
    }

    /// The servers that a filter leaves, by name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn servers_where(&self, filter: ServerFilter) -> Result<Vec<ServerSummary>> {
        let mut servers = Vec::new();
        let mut page = Page {
            limit: 1_000,
            filter,
            ..Page::default()
        };
        loop {
            let listing = self.store.list(&page).await?;
            servers.extend(listing.servers);
            match listing.next {
                Some(next) => page.after = Some(next),
                None => return Ok(servers),
            }
        }
    }

    /// A page of the tools that some words are found in.
    ///
    /// # Errors
    /// `InvalidInput` for a text without a word, and those of the store.
    pub async fn search(&self, search: &ToolSearch) -> Result<ToolPage> {
        self.store.search(search).await
    }

    /// Removes a server, and stops what runs of it here. Whether there was one.
    ///
    /// # Errors
    /// Those of the store and the deployer.
    pub async fn remove(&self, name: &ServerName) -> Result<bool> {
        let removed = self.store.remove(name).await?;
        if removed {
            self.announce(Event::CatalogChanged {
                server: name.clone(),
            })
            .await;
            if let Some(runtime) = &self.runtime {
                runtime.deployer.remove(name).await?;
            }
        }
        Ok(removed)
    }

    /// Brings a removed server back as it was. Whether there was one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn restore(&self, name: &ServerName) -> Result<bool> {
        let restored = self.store.restore(name).await?.is_some();
        if restored {
            self.announce(Event::CatalogChanged {
                server: name.clone(),
            })
            .await;
        }
        Ok(restored)
    }

    async fn announce(&self, event: Event) {
        if let Some(events) = &self.events {
            // An event is a hint: whoever misses it finds the change by its version.
            let _ = events.publish(event).await;
        }
    }

    /// The record of a server, read again only when its revision has changed. A server that was
    /// planned by another version of mcphub is planned anew from its document.
    async fn record(&self, summary: &ServerSummary) -> Result<Arc<ServerRecord>> {
        let known = lock(&self.loaded).get(&summary.name).cloned();
        if let Some(record) = known.filter(|record| record.revision == summary.revision) {
            return Ok(record);
        }
        if summary.plan_version != PLAN_VERSION {
            self.replan(summary).await?;
        }
        let record = self.store.get(&summary.name).await?.map(Arc::new);
        let record = record.ok_or_else(|| {
            Error::not_found("the server was removed").with("server", &summary.name)
        })?;
        lock(&self.loaded).insert(summary.name.clone(), record.clone());
        Ok(record)
    }

    async fn catalog_server(
        &self,
        summary: &ServerSummary,
        deployments: &[Deployment],
    ) -> Option<Arc<CatalogServer>> {
        let record = match self.record(summary).await {
            Ok(record) => record,
            Err(error) if error.kind() == crate::ErrorKind::NotFound => return None,
            Err(error) => return Some(unreadable(summary, &error)),
        };
        if let Some(server) = self.until_replaced(&record, deployments) {
            return Some(server);
        }
        let (upstream, generation) = match record.serve {
            Serve::Native => (
                self.native(&record)
                    .await
                    .unwrap_or_else(|error| Upstream::Down(error.report())),
                0,
            ),
            Serve::Process => self.deployed(&record, deployments),
            Serve::Remote | Serve::Stdio => (
                self.connected(&record)
                    .await
                    .unwrap_or_else(|error| Upstream::Down(error.report())),
                0,
            ),
        };
        let server = Arc::new(CatalogServer {
            name: record.name.clone(),
            revision: CatalogVersion {
                registry: record.revision,
                deployments: generation,
            },
            tools: record.tools.clone(),
            upstream,
        });
        if matches!(server.upstream, Upstream::Mcp(_)) {
            lock(&self.running).insert(record.name.clone(), server.clone());
        }
        Some(server)
    }

    /// The server as it was, while the process of the revision before answers: this revision's
    /// plan may have tools that the process does not have.
    fn until_replaced(
        &self,
        record: &ServerRecord,
        deployments: &[Deployment],
    ) -> Option<Arc<CatalogServer>> {
        let ready = |deployment: &&Deployment| {
            deployment.name == record.name && deployment.phase == Phase::Ready
        };
        let runs = deployments.iter().find(ready)?.revision;
        let before = lock(&self.running).get(&record.name).cloned()?;
        let replaced = record.serve != Serve::Process || runs == record.revision;
        (!replaced && before.revision.registry == runs).then_some(before)
    }

    async fn native(&self, record: &ServerRecord) -> Result<Upstream> {
        let credentials = self.store.credentials(&record.name).await?;
        Ok(Upstream::Native {
            base_url: record.base_url()?,
            credentials,
        })
    }

    async fn connected(&self, record: &ServerRecord) -> Result<Upstream> {
        let document = self.store.document(&record.name).await?.ok_or_else(|| {
            Error::internal("the document of a registered server is gone")
                .with("server", &record.name)
        })?;
        Ok(Upstream::Connected {
            connection: Connection::from_document(&document)?,
            credentials: self.store.credentials(&record.name).await?,
        })
    }

    /// Where a deployed server answers. The second value differs whenever the first may.
    fn deployed(&self, record: &ServerRecord, deployments: &[Deployment]) -> (Upstream, u64) {
        let failure = lock(&self.failures)
            .get(&record.name)
            .map(|failure| failure.message.clone());
        let generation = self.deployments.load(Ordering::Acquire);
        let Some(deployment) = deployments
            .iter()
            .find(|deployment| deployment.name == record.name)
        else {
            let reason = failure.unwrap_or_else(|| "it is being started".to_owned());
            return (Upstream::Down(reason), generation);
        };
        match (deployment.phase, &deployment.endpoint) {
            (Phase::Ready, Some(endpoint)) => (Upstream::Mcp(endpoint.clone()), generation),
            (phase, _) => {
                let reason = deployment.message.clone().or(failure);
                (
                    Upstream::Down(
                        reason
                            .unwrap_or_else(|| format!("its process is {phase:?}").to_lowercase()),
                    ),
                    generation,
                )
            }
        }
    }
}

fn unreadable(summary: &ServerSummary, error: &Error) -> Arc<CatalogServer> {
    let api = crate::tool::ApiInfo {
        title: summary.title.clone(),
        version: String::new(),
        dialect: crate::spec::Dialect::default(),
        description: None,
    };
    let tools = crate::tool::ToolSet {
        api,
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools: Vec::new(),
    };
    Arc::new(CatalogServer {
        name: summary.name.clone(),
        revision: CatalogVersion {
            registry: summary.revision,
            deployments: 0,
        },
        tools: Arc::new(tools),
        upstream: Upstream::Down(error.report()),
    })
}

/// A lock that outlives a panic of another holder: what it guards is only ever replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl CatalogSource for Platform {
    async fn version(&self) -> Result<CatalogVersion> {
        let registry = self.store.registry_version().await?;
        Ok(CatalogVersion {
            registry,
            deployments: self.deployments.load(Ordering::Acquire),
        })
    }

    async fn catalog(&self) -> Result<Catalog> {
        // The version is read first: a change in between makes the next comparison differ.
        let version = self.version().await?;
        let summaries = self.servers().await?;
        let deployments = match &self.runtime {
            Some(runtime) => runtime.deployer.list().await?,
            None => Vec::new(),
        };
        let servers: Vec<_> = summaries
            .iter()
            .map(|summary| self.catalog_server(summary, &deployments))
            .collect();
        let servers = stream::iter(servers)
            .buffered(CONCURRENCY)
            .filter_map(future::ready)
            .collect()
            .await;
        let registered = |name: &ServerName| summaries.iter().any(|summary| summary.name == *name);
        lock(&self.loaded).retain(|name, _| registered(name));
        lock(&self.running).retain(|name, _| registered(name));
        let virtual_servers = self.virtual_servers().await?;
        Ok(Catalog {
            version,
            servers,
            virtual_servers: virtual_servers.into_iter().map(|it| it.server).collect(),
        })
    }
}

#[cfg(test)]
mod tests;
