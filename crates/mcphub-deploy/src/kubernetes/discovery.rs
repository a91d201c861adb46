//! What is there now, and that it changed, asked of the API server.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Endpoints as OldEndpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Resource};
use mcphub_core::discovery::{Discovered, Discovery, Rejected};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::cluster::{Cluster, explained};
use super::endpoints::Endpoints;
use super::service::{self, Seen};
use crate::labels::SERVER;

/// How many objects one answer has, and how many are read of a namespace.
const PAGE: u32 = 100;
const MAX_SERVICES: usize = 1_024;
const MAX_SLICES: usize = 4_096;

/// How services are found and reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KubernetesSettings {
    /// The context of the kubeconfig. Default the service account of the pod where `KUBECONFIG` is
    /// not set, else the kubeconfig's current context.
    pub context: Option<String>,
    /// Where services are looked for. Default [`Namespaces::Own`].
    pub namespaces: Namespaces,
    /// Where they are called. Default [`Reach::Service`].
    pub reach: Reach,
    /// With [`Reach::Node`]: where a node is. Default where the API server is, where that is named by
    /// an IP address.
    pub host: Option<IpAddr>,
    /// How long the cluster may take to answer. Default 10 s.
    pub limit: Duration,
}

/// Which namespaces are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Namespaces {
    /// That of the service account, or of the context.
    #[default]
    Own,
    /// These, at most [`Namespaces::MAX`].
    Named(Vec<String>),
    /// All of the cluster.
    All,
}

impl Namespaces {
    /// The most that can be named.
    pub const MAX: usize = 16;
}

/// Where a service is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// At its own address in the cluster, which shares calls out among the pods: for servers that
    /// keep no sessions, or where the service keeps clients where they are.
    #[default]
    Service,
    /// At the pods that are ready, each a replica: sessions stay where they began.
    Pods,
    /// At its port on the nodes: for a gateway outside of the cluster.
    Node,
}

impl Default for KubernetesSettings {
    fn default() -> Self {
        Self {
            context: None,
            namespaces: Namespaces::default(),
            reach: Reach::default(),
            host: None,
            limit: Duration::from_secs(10),
        }
    }
}

/// The services of a cluster that say that they are MCP servers.
#[derive(Clone)]
pub struct KubernetesDiscovery {
    settings: KubernetesSettings,
    /// Kept while it answers: making one reads files, and may run a program.
    cluster: Arc<Mutex<Option<Cluster>>>,
    building: Arc<Mutex<()>>,
}

impl KubernetesDiscovery {
    /// Looks nowhere yet: the cluster may come later.
    ///
    /// # Errors
    /// `InvalidInput` for namespaces that cannot be, none at all, or more than [`Namespaces::MAX`].
    pub fn new(settings: KubernetesSettings) -> Result<Self> {
        if let Namespaces::Named(names) = &settings.namespaces {
            if names.is_empty() || names.len() > Namespaces::MAX {
                return Err(Error::invalid("1 to 16 namespaces can be named"));
            }
            let legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
            let wrong = |it: &&String| it.is_empty() || it.len() > 63 || !it.bytes().all(legal);
            if let Some(name) = names.iter().find(wrong) {
                let message = "a namespace has 1 to 63 small letters, digits and `-`";
                return Err(Error::invalid(message).with("namespace", name));
            }
        }
        Ok(Self {
            settings,
            cluster: Arc::default(),
            building: Arc::default(),
        })
    }

    async fn cluster(&self) -> Result<Cluster> {
        let mut known = self.cluster.lock().await;
        if let Some(cluster) = &*known {
            return Ok(cluster.clone());
        }
        let (context, limit) = (self.settings.context.clone(), self.settings.limit);
        let cluster = Cluster::find(context, limit, &self.building).await?;
        *known = Some(cluster.clone());
        Ok(cluster)
    }

    async fn look(&self) -> Result<Discovered> {
        let cluster = self.cluster().await?;
        let (seen, mut more) = self.services(&cluster).await?;
        let mut endpoints = Endpoints::of(&seen);
        if self.settings.reach == Reach::Pods && !seen.is_empty() {
            self.read_endpoints(&cluster, &mut endpoints).await?;
        }
        let nodes = self.settings.host.or(cluster.host);
        let mut found = service::servers(seen, &endpoints, self.settings.reach, nodes);
        found.rejected.append(&mut more);
        Ok(found)
    }

    /// The services with the label, and the namespaces that have too many.
    async fn services(&self, cluster: &Cluster) -> Result<(Seen, Vec<Rejected>)> {
        let (mut seen, mut more) = (Seen::new(), Vec::new());
        for api in self.apis::<Service>(cluster) {
            let mut take = |service| seen.extend(service::read(service));
            let listed = pages(&api, MAX_SERVICES, &mut take).await;
            if !listed.map_err(|error| explained(error, "services"))? {
                let place = match api.namespace() {
                    Some(name) => format!("namespace {name}"),
                    None => "all namespaces".to_owned(),
                };
                let why = "there are more services with the label than are read: 1,024".to_owned();
                more.push(Rejected { place, why });
            }
        }
        Ok((seen, more))
    }

    async fn read_endpoints(&self, cluster: &Cluster, into: &mut Endpoints) -> Result<()> {
        for api in self.apis::<EndpointSlice>(cluster) {
            let listed = pages(&api, MAX_SLICES, &mut |slice| into.slice(slice)).await;
            match listed {
                Ok(_) => {}
                Err(error) if is_unknown(&error) => {
                    return self.read_old_endpoints(cluster, into).await;
                }
                Err(error) => return Err(explained(error, "endpointslices")),
            }
        }
        Ok(())
    }

    async fn read_old_endpoints(&self, cluster: &Cluster, into: &mut Endpoints) -> Result<()> {
        for api in self.apis::<OldEndpoints>(cluster) {
            let mut take = |endpoints| into.endpoints(endpoints);
            let listed = pages(&api, MAX_SLICES, &mut take).await;
            listed.map_err(|error| explained(error, "endpoints"))?;
        }
        Ok(())
    }

    /// One for each namespace that is looked at, or one for all.
    fn apis<K>(&self, cluster: &Cluster) -> Vec<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        let client = || cluster.client.clone();
        match &self.settings.namespaces {
            Namespaces::Own => vec![Api::default_namespaced(client())],
            Namespaces::Named(names) => {
                let names = names.iter();
                names.map(|name| Api::namespaced(client(), name)).collect()
            }
            Namespaces::All => vec![Api::all(client())],
        }
    }

    /// That something changed, until the API server cannot be asked.
    async fn watch(self) -> BoxStream<'static, ()> {
        let limit = self.settings.limit;
        let Ok(Ok(cluster)) = timeout(limit, self.cluster()).await else {
            return stream::empty().boxed();
        };
        let mut all = Vec::new();
        for api in self.apis::<Service>(&cluster) {
            all.push(told::<Service>(&api, cluster.clone()));
        }
        if self.settings.reach == Reach::Pods {
            let slices = self.apis::<EndpointSlice>(&cluster);
            let one = ListParams::default().labels(SERVER).limit(1);
            let asked = match slices.first() {
                Some(api) => timeout(limit, api.list_metadata(&one)).await,
                None => return stream::empty().boxed(),
            };
            match asked {
                Ok(Err(error)) if is_unknown(&error) => {
                    for api in self.apis::<OldEndpoints>(&cluster) {
                        all.push(told::<OldEndpoints>(&api, cluster.clone()));
                    }
                }
                Ok(Ok(_)) => {
                    for api in &slices {
                        all.push(told::<EndpointSlice>(api, cluster.clone()));
                    }
                }
                Ok(Err(_)) | Err(_) => return stream::empty().boxed(),
            }
        }
        // One that ends ends all: what it watched is not seen any more.
        let all = all
            .into_iter()
            .map(|it| it.map(Some).chain(stream::once(future::ready(None))));
        let all = stream::select_all(all.map(StreamExt::boxed));
        all.take_while(|it| future::ready(it.is_some()))
            .map(drop)
            .boxed()
    }
}

/// Whether the API server has nothing of the kind.
fn is_unknown(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Takes what has the label, page by page; `false` where there is more than `max`.
async fn pages<K>(api: &Api<K>, max: usize, take: &mut impl FnMut(K)) -> kube::Result<bool>
where
    K: Clone + fmt::Debug + DeserializeOwned,
{
    let mut params = ListParams::default().labels(SERVER).limit(PAGE);
    let mut read = 0;
    loop {
        let page = api.list(&params).await?;
        for object in page.items {
            if read == max {
                return Ok(false);
            }
            read += 1;
            take(object);
        }
        match page.metadata.continue_.filter(|it| !it.is_empty()) {
            // No page is empty that has a next one; a server that gives such has no end.
            Some(next) if params.continue_token.as_ref() != Some(&next) => {
                params.continue_token = Some(next);
            }
            _ => return Ok(true),
        }
    }
}

/// That something with the label came, changed or went. Ends where it cannot be listed: a client that
/// is made anew may be let in. What breaks off is taken up again, ever more slowly.
fn told<K>(api: &Api<K>, cluster: Cluster) -> BoxStream<'static, ()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    K: Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    // Nothing but that it changed is asked for: it is read when somebody looks.
    let api: Api<PartialObjectMeta<K>> = match api.namespace() {
        Some(namespace) => Api::namespaced(cluster.client, namespace),
        None => Api::all(cluster.client),
    };
    let config = watcher::Config::default().labels(SERVER).page_size(PAGE);
    let events = watch(api, config).default_backoff();
    let events = events.take_while(|event| {
        let lost = matches!(event, Err(watcher::Error::InitialListFailed(_)));
        future::ready(!lost)
    });
    let told = events.filter_map(|event| {
        let told = matches!(
            event,
            Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone)
        );
        future::ready(told.then_some(()))
    });
    told.boxed()
}

#[async_trait]
impl Discovery for KubernetesDiscovery {
    async fn discover(&self) -> Result<Discovered> {
        let limit = self.settings.limit;
        let looked = timeout(limit, self.look()).await.unwrap_or_else(|_| {
            let message = "the API server of the cluster did not answer in time";
            let error = Error::new(ErrorKind::Timeout, message);
            Err(error.with("seconds", limit.as_secs()))
        });
        if looked.is_err() {
            // Credentials may have been renewed, and clusters move.
            if let Ok(mut known) = self.cluster.try_lock() {
                *known = None;
            }
        }
        looked
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        stream::once(self.clone().watch()).flatten().boxed()
    }
}

impl fmt::Debug for KubernetesDiscovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("KubernetesDiscovery");
        shown
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_checked_before_anybody_is_asked() {
        let with = |names: &[&str]| {
            let names = names.iter().map(|it| (*it).to_owned()).collect();
            KubernetesDiscovery::new(KubernetesSettings {
                namespaces: Namespaces::Named(names),
                ..KubernetesSettings::default()
            })
        };
        assert!(with(&["team", "team-2"]).is_ok());
        for wrong in [&[][..], &[""], &["../kube-system"], &["Team"], &["a"; 17]] {
            assert_eq!(with(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
