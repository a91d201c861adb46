//! Orchestration: the stages one after the other, over `Arc<dyn …>`.
//!
//! Only the platform writes what it knows into the store; backends return values. It is a
//! [`CatalogSource`](crate::catalog::CatalogSource), which is all that a gateway sees of it.

mod catalog;
mod login;
mod publish;
mod reconcile;
mod tenant_logins;
mod virtual_servers;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

pub use publish::{Prepared, PublishRequest, Published};
pub use reconcile::Reconciled;
pub use tenant_logins::TenantLogins;

use crate::artifact::Builder;
use crate::catalog::CatalogServer;
use crate::deployment::Deployer;
use crate::event::{Event, EventBus};
use crate::project::Target;
use crate::server::{ServerName, ServerRecord};
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
    /// What the last catalogue had, so that servers that did not change are not read again.
    entries: Mutex<HashMap<ServerName, Arc<CatalogServer>>>,
    /// Of the others, those whose entry can change while their revision does not, the records.
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
            entries: Mutex::default(),
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
        if summary.plan_version != PLAN_VERSION {
            self.replan(summary).await?;
        }
        self.load(&summary.name, summary.revision).await
    }

    async fn load(&self, name: &ServerName, revision: u64) -> Result<Arc<ServerRecord>> {
        let known = lock(&self.loaded).get(name).cloned();
        if let Some(record) = known.filter(|record| record.revision == revision) {
            return Ok(record);
        }
        let record = self.store.get(name).await?.map(Arc::new);
        let record = record
            .ok_or_else(|| Error::not_found("the server was removed").with("server", name))?;
        lock(&self.loaded).insert(name.clone(), record.clone());
        Ok(record)
    }
}

/// A lock that outlives a panic of another holder: what it guards is only ever replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
