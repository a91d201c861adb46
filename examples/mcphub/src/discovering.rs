//! `[[discover]]` in the configuration: MCP servers that come and go by themselves.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::join_all;
use futures::stream::{self, StreamExt};
use mcphub_core::catalog::CatalogSource;
use mcphub_core::discovery::{DiscoveredCatalog, Discovery, Rejected, Source};
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};
use mcphub_deploy::docker::{self, DockerDiscovery, DockerSettings};
use mcphub_deploy::kubernetes::{self, KubernetesDiscovery, KubernetesSettings, Namespaces};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::{sleep, sleep_until};

/// The most places of a configuration.
const MAX: usize = 16;
/// How long a change is waited for to be over: a container starts with several events, and an update
/// of pods with more.
const SETTLE: Duration = Duration::from_millis(200);
/// How long after the end of a stream of changes it is begun anew.
const AGAIN: Duration = Duration::from_secs(5);
/// The most changes that one look answers for.
const MAX_DRAINED: usize = 1_024;

/// A place as it is configured: one of `docker` and `kubernetes`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// A Docker daemon: `default`, `unix:///PATH` or `tcp://HOST:PORT`.
    docker: Option<String>,
    /// A cluster: `default`, or a context of the kubeconfig.
    kubernetes: Option<String>,
    /// Where servers are called. Default `container`, and `service` of a cluster.
    reach: Option<ReachSetting>,
    /// The network whose addresses of containers are taken. Default the first of a container by name.
    network: Option<String>,
    /// The namespaces of a cluster, at most 16, or `["*"]` for all. Default that of the service
    /// account, or of the context.
    namespaces: Option<Vec<String>>,
    /// Where published ports are, or those of nodes. Default where the daemon is, or the API server of
    /// the cluster, where that is an IP address; for containers else this machine.
    host: Option<IpAddr>,
    /// How often it is looked, besides when a change is told: 1 to 3,600 seconds. Default 15.
    #[serde(default = "every")]
    every: u64,
    /// How long a server stays that is gone, up to 86,400 seconds. Default 30.
    #[serde(default = "grace")]
    grace: u64,
}

/// `reach` of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ReachSetting {
    /// A container at its own address, in one of its networks; the default for containers
    Container,
    /// A container at the port that is published on the host
    Host,
    /// A service of a cluster at its own address; the default for services
    Service,
    /// The pods that are ready behind a service, each a replica
    Pods,
    /// A service at its port on the nodes
    Node,
}

fn every() -> u64 {
    15
}

fn grace() -> u64 {
    30
}

/// A Docker daemon to look at. `default` is where the environment says, else the usual socket.
///
/// # Errors
/// `InvalidInput` for a way to reach servers that is not of containers.
pub fn docker(
    daemon: &str,
    reach: Option<ReachSetting>,
    network: Option<&String>,
    host: Option<IpAddr>,
) -> Result<DockerDiscovery> {
    let mut settings = DockerSettings::default();
    settings.daemon = Some(daemon.to_owned()).filter(|it| it != "default");
    settings.reach = match reach {
        None | Some(ReachSetting::Container) => docker::Reach::Container,
        Some(ReachSetting::Host) => docker::Reach::Host,
        Some(_) => {
            let message = "containers are reached as `container` or `host`";
            return Err(Error::invalid(message));
        }
    };
    settings.network = network.cloned();
    settings.host = host;
    Ok(DockerDiscovery::new(settings))
}

/// A cluster to look at. `default` is that of the service account, else of the current context.
///
/// # Errors
/// `InvalidInput` for a way to reach servers that is not of services, and for namespaces that cannot
/// be.
pub fn kubernetes(
    context: &str,
    reach: Option<ReachSetting>,
    namespaces: Option<&[String]>,
    host: Option<IpAddr>,
) -> Result<KubernetesDiscovery> {
    let mut settings = KubernetesSettings::default();
    settings.context = Some(context.to_owned()).filter(|it| it != "default");
    settings.reach = match reach {
        None | Some(ReachSetting::Service) => kubernetes::Reach::Service,
        Some(ReachSetting::Pods) => kubernetes::Reach::Pods,
        Some(ReachSetting::Node) => kubernetes::Reach::Node,
        Some(_) => {
            let message = "services of a cluster are reached as `service`, `pods` or `node`";
            return Err(Error::invalid(message));
        }
    };
    settings.namespaces = match namespaces {
        None => Namespaces::Own,
        Some([all]) if all == "*" => Namespaces::All,
        Some(names) => Namespaces::Named(names.to_vec()),
    };
    settings.host = host;
    KubernetesDiscovery::new(settings)
}

impl Place {
    /// What looks there, with its name for a person.
    fn discovery(&self) -> Result<(Arc<dyn Discovery>, String)> {
        match (&self.docker, &self.kubernetes) {
            (Some(daemon), None) if self.namespaces.is_none() => {
                let found = docker(daemon, self.reach, self.network.as_ref(), self.host)?;
                Ok((Arc::new(found), format!("docker {daemon}")))
            }
            (None, Some(context)) if self.network.is_none() => {
                let namespaces = self.namespaces.as_deref();
                let found = kubernetes(context, self.reach, namespaces, self.host)?;
                Ok((Arc::new(found), format!("kubernetes {context}")))
            }
            (Some(_), None) => Err(Error::invalid("`namespaces` are of `kubernetes`")),
            (None, Some(_)) => Err(Error::invalid("a `network` is of `docker`")),
            _ => Err(Error::invalid(
                "a place is one of `docker` and `kubernetes`",
            )),
        }
    }
}

/// All places of a host, with what was found in them.
#[derive(Debug)]
pub struct Discovering {
    catalog: Arc<DiscoveredCatalog>,
    places: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    source: Source,
    discovery: Arc<dyn Discovery>,
    /// For a person.
    name: String,
    every: Duration,
    said: Mutex<Said>,
}

/// What was said already, so that it is said once.
#[derive(Debug, Default)]
struct Said {
    unreachable: bool,
    rejected: Vec<Rejected>,
    hidden: BTreeSet<ServerName>,
}

impl Discovering {
    /// Nothing was looked for yet.
    ///
    /// # Errors
    /// `InvalidInput` for a place that cannot be.
    pub fn new(registered: Arc<dyn CatalogSource>, places: &[Place]) -> Result<Self> {
        if places.len() > MAX {
            let message = "there are at most 16 places to discover servers in";
            return Err(Error::invalid(message).with("in", "[[discover]]"));
        }
        let catalog = Arc::new(DiscoveredCatalog::new(registered));
        let watched = places.iter().map(|place| {
            if !(1..=3_600).contains(&place.every) || place.grace > 86_400 {
                let message = "`every` is 1 to 3,600 seconds, and `grace` at most 86,400";
                return Err(Error::invalid(message).with("in", "[[discover]]"));
            }
            let looked = place.discovery();
            let (discovery, name) = looked.map_err(|error| error.with("in", "[[discover]]"))?;
            Ok(Watched {
                source: catalog.add_source(Duration::from_secs(place.grace)),
                discovery,
                name,
                every: Duration::from_secs(place.every),
                said: Mutex::default(),
            })
        });
        Ok(Self {
            places: watched.collect::<Result<_>>()?,
            catalog,
        })
    }

    /// What is registered, with what was found beside it.
    pub fn catalog(&self) -> Arc<DiscoveredCatalog> {
        Arc::clone(&self.catalog)
    }

    /// Looks everywhere once.
    pub async fn look(&self) {
        join_all(self.places.iter().map(|place| async {
            self.look_at(place, &mut *place.said.lock().await).await;
        }))
        .await;
    }

    /// Looks again whenever something may have changed. Never ends.
    pub async fn keep(&self) {
        join_all(self.places.iter().map(|place| self.keep_at(place))).await;
        std::future::pending::<()>().await;
    }

    async fn keep_at(&self, place: &Watched) {
        let mut said = place.said.lock().await;
        loop {
            // Listening begins before looking, so that nothing is missed in between.
            let ended = stream::once(async { sleep(AGAIN).await }).map(|()| false);
            let changes = place.discovery.changes().map(|()| true).chain(ended);
            let mut changes = std::pin::pin!(changes);
            loop {
                let seen = self.look_at(place, &mut said).await;
                let next = Instant::now() + place.every;
                // A look that sees drops what is over its time.
                let dropped = self.catalog.next_drop(place.source).filter(|_| seen);
                let next = dropped.map_or(next, |at| at.min(next));
                tokio::select! {
                    change = changes.next() => match change {
                        Some(true) => {
                            sleep(SETTLE).await;
                            for _ in 0..MAX_DRAINED {
                                if changes.next().now_or_never().is_none() {
                                    break;
                                }
                            }
                        }
                        Some(false) | None => break,
                    },
                    () = sleep_until(next.into()) => {}
                }
            }
        }
    }

    /// Whether it was seen what is there.
    async fn look_at(&self, place: &Watched, said: &mut Said) -> bool {
        let name = &place.name;
        let found = place.discovery.discover().await;
        let seen = found.is_ok();
        match found {
            Ok(found) => {
                if std::mem::take(&mut said.unreachable) {
                    tracing::warn!(place = name, "servers can be discovered again");
                }
                for Rejected { place: what, why } in &found.rejected {
                    let known = said.rejected.iter();
                    if !known
                        .into_iter()
                        .any(|it| it.place == *what && it.why == *why)
                    {
                        tracing::warn!(place = name, %what, %why, "it says that it is an MCP server, and cannot be one");
                    }
                }
                said.rejected = found.rejected;
                self.catalog
                    .observe(place.source, found.servers, Instant::now());
            }
            Err(error) if !said.unreachable => {
                said.unreachable = true;
                tracing::warn!(place = name, error = %error.report(), "servers cannot be discovered; those found last stay");
            }
            Err(_) => {}
        }
        let hidden: BTreeSet<ServerName> = self.catalog.hidden().into_iter().collect();
        for server in hidden.difference(&said.hidden) {
            tracing::warn!(%server, "a server that was discovered is not served: its name is taken");
        }
        said.hidden = hidden;
        seen
    }
}

#[cfg(test)]
mod tests {
    use mcphub_core::ErrorKind;

    use super::*;

    #[test]
    fn a_place_is_checked_when_it_is_read() {
        let read = |text: &str| toml::from_str::<Place>(text);
        let place = read("docker = \"default\"\nreach = \"host\"\ngrace = 0").unwrap();
        assert_eq!(
            (place.every, place.grace, place.reach),
            (15, 0, Some(ReachSetting::Host))
        );
        for wrong in [
            "docker = \"default\"\nreach = \"moon\"",
            "kube = \"default\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_a_daemon_or_a_cluster_with_what_belongs_to_it() {
        let name = |text: &str| {
            let place: Place = toml::from_str(text).unwrap();
            place.discovery().map(|(_, name)| name)
        };
        for (text, expected) in [
            ("docker = \"default\"", "docker default"),
            (
                "kubernetes = \"prod\"\nreach = \"pods\"\nnamespaces = [\"*\"]",
                "kubernetes prod",
            ),
            (
                "kubernetes = \"default\"\nreach = \"node\"\nhost = \"192.0.2.1\"",
                "kubernetes default",
            ),
        ] {
            assert_eq!(name(text).unwrap(), expected);
        }
        for wrong in [
            "",
            "docker = \"default\"\nkubernetes = \"default\"",
            "docker = \"default\"\nreach = \"pods\"",
            "docker = \"default\"\nnamespaces = [\"a\"]",
            "kubernetes = \"default\"\nreach = \"container\"",
            "kubernetes = \"default\"\nnetwork = \"a\"",
            "kubernetes = \"default\"\nnamespaces = []",
            "kubernetes = \"default\"\nnamespaces = [\"*\", \"a\"]",
        ] {
            let error = name(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
        }
    }
}
