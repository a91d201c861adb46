//! Federate: what is registered and what runs here, as a gateway reads it.
//!
//! Entries are kept from one catalogue to the next, so that a change of one server costs what that
//! server has and a few operations for each other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use futures::future;
use futures::stream::{self, StreamExt};

use super::{CONCURRENCY, Platform, lock};
use crate::catalog::{Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream};
use crate::connection::{self, ChangePolicy};
use crate::deployment::{Deployment, Phase};
use crate::server::{Serve, ServerName, ServerRecord};
use crate::store::{ServerFilter, ServerRevision, ServerStatus};
use crate::tool::PLAN_VERSION;
use crate::{Error, ErrorKind, Result};

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
        let mut registered = self.store.revisions().await?;
        let mut unplanned = HashMap::new();
        if registered.iter().any(|it| it.plan_version != PLAN_VERSION) {
            unplanned = self.replan_outdated().await?;
            registered = self.store.revisions().await?;
        }
        let deployments = match &self.runtime {
            Some(runtime) => runtime.deployer.list().await?,
            None => Vec::new(),
        };
        let known = self.known(&registered);
        let unknown = registered
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none());
        let unknown: Vec<_> = unknown
            .map(|(server, _)| self.catalog_server(server, &unplanned, &deployments))
            .collect();
        let read: Vec<_> = stream::iter(unknown).buffered(CONCURRENCY).collect().await;
        let mut read = read.into_iter();
        let servers: Vec<_> = known
            .into_iter()
            .filter_map(|known| known.or_else(|| read.next().flatten()))
            .collect();
        self.remember(&servers);
        let virtual_servers = self.virtual_servers().await?;
        Ok(Catalog {
            version,
            servers,
            virtual_servers: virtual_servers.into_iter().map(|it| it.server).collect(),
        })
    }
}

impl Platform {
    /// Plans anew what another version of mcphub planned. Gives those that cannot be, and why.
    async fn replan_outdated(&self) -> Result<HashMap<ServerName, Error>> {
        let outdated = ServerFilter {
            status: ServerStatus::Outdated,
            ..ServerFilter::default()
        };
        let outdated = self.servers_where(outdated).await?;
        let replanning = outdated
            .iter()
            .filter(|summary| summary.plan_version != PLAN_VERSION)
            .map(async |summary| {
                let error = self.replan(summary).await.err()?;
                Some((summary.name.clone(), error))
            });
        let replanning: Vec<_> = replanning.collect();
        let failed = stream::iter(replanning).buffered(CONCURRENCY);
        Ok(failed.filter_map(future::ready).collect().await)
    }

    async fn catalog_server(
        &self,
        registered: &ServerRevision,
        unplanned: &HashMap<ServerName, Error>,
        deployments: &[Deployment],
    ) -> Option<Arc<CatalogServer>> {
        if let Some(error) = unplanned.get(&registered.name) {
            return Some(unreadable(registered, error));
        }
        let made = match registered.serve {
            Serve::Remote | Serve::Stdio => self.connected(registered).await,
            _ => return self.made_here(registered, deployments).await,
        };
        match made {
            Ok(server) => Some(Arc::new(server)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(unreadable(registered, &error)),
        }
    }

    /// A server that mcphub makes of a document.
    async fn made_here(
        &self,
        registered: &ServerRevision,
        deployments: &[Deployment],
    ) -> Option<Arc<CatalogServer>> {
        let record = match self.load(&registered.name, registered.revision).await {
            Ok(record) => record,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => return Some(unreadable(registered, &error)),
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
            _ => self.deployed(&record, deployments),
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

    /// The entries of the last catalogue, where they still are what they were.
    fn known(&self, registered: &[ServerRevision]) -> Vec<Option<Arc<CatalogServer>>> {
        let entries = lock(&self.entries);
        let known = |server: &ServerRevision| {
            let entry = entries.get(&server.name)?;
            (entry.revision.registry == server.revision).then(|| entry.clone())
        };
        registered.iter().map(known).collect()
    }

    fn remember(&self, servers: &[Arc<CatalogServer>]) {
        let lasting = servers.iter().filter(|server| lasts(server));
        let entries: HashMap<_, _> = lasting
            .map(|server| (server.name.clone(), server.clone()))
            .collect();
        let names: HashSet<&ServerName> = servers.iter().map(|server| &server.name).collect();
        lock(&self.loaded).retain(|name, _| names.contains(name) && !entries.contains_key(name));
        lock(&self.running).retain(|name, _| names.contains(name));
        *lock(&self.entries) = entries;
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

    /// An MCP server that exists already: its document says all, so that the plan, which takes many
    /// times the memory, is read only where tools are compared with it.
    async fn connected(&self, registered: &ServerRevision) -> Result<CatalogServer> {
        let name = &registered.name;
        let document = self
            .store
            .document(name)
            .await?
            .ok_or_else(|| Error::not_found("the server was removed").with("server", name))?;
        let (connection, mut listed) = connection::read(&document)?;
        let credentials = self.store.credentials(name).await;
        let follows = connection.changes() == ChangePolicy::Follow && credentials.is_ok();
        let planned = if follows {
            Vec::new()
        } else {
            std::mem::take(&mut listed)
        };
        let tools = connection::planned(name.to_string(), &planned);
        let upstream = match credentials {
            Ok(credentials) => Upstream::Connected {
                connection,
                credentials,
                listed: listed.into(),
            },
            Err(error) => Upstream::Down(error.report()),
        };
        Ok(CatalogServer {
            name: name.clone(),
            revision: CatalogVersion {
                registry: registered.revision,
                deployments: 0,
            },
            tools: Arc::new(tools),
            upstream,
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

/// Whether an entry stays what it is while the revision of its server does: it depends on nothing that
/// runs here, could be read, and has no login, which is renewed without a change of the server.
fn lasts(server: &CatalogServer) -> bool {
    match &server.upstream {
        Upstream::Native { credentials, .. } | Upstream::Connected { credentials, .. } => {
            credentials.grants.is_empty()
        }
        Upstream::Mcp(_) | Upstream::Down(_) => false,
    }
}

fn unreadable(server: &ServerRevision, error: &Error) -> Arc<CatalogServer> {
    let api = crate::tool::ApiInfo {
        title: server.name.to_string(),
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
        name: server.name.clone(),
        revision: CatalogVersion {
            registry: server.revision,
            deployments: 0,
        },
        tools: Arc::new(tools),
        upstream: Upstream::Down(error.report()),
    })
}
