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
use mcphub_deploy::docker::{DockerDiscovery, DockerSettings, Reach};
use serde::Deserialize;
use tokio::time::{sleep, sleep_until};

/// The most places of a configuration.
const MAX: usize = 16;
/// How long a change is waited for to be over: a container starts with several events.
const SETTLE: Duration = Duration::from_millis(200);
/// How long after the end of a stream of changes it is begun anew.
const AGAIN: Duration = Duration::from_secs(5);
/// The most changes that one look answers for.
const MAX_DRAINED: usize = 1_024;

/// A place as it is configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// A Docker daemon: `default`, `unix:///PATH` or `tcp://HOST:PORT`.
    docker: String,
    /// Whether containers are reached at their own addresses or at published ports of the host.
    /// Default `container`.
    #[serde(default)]
    reach: ReachSetting,
    /// The network whose addresses are taken. Default the first of a container by name.
    network: Option<String>,
    /// Where published ports are. Default the daemon's host, where that is an IP address, else this
    /// machine.
    host: Option<IpAddr>,
    /// How often it is looked, besides when the daemon tells of a change: 1 to 3,600 seconds.
    /// Default 15.
    #[serde(default = "every")]
    every: u64,
    /// How long a server stays that is gone, up to 86,400 seconds. Default 30.
    #[serde(default = "grace")]
    grace: u64,
}

/// `reach` of a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ReachSetting {
    /// At its own address, in one of its networks
    #[default]
    Container,
    /// At the port that is published on the host
    Host,
}

fn every() -> u64 {
    15
}

fn grace() -> u64 {
    30
}

impl From<ReachSetting> for Reach {
    fn from(setting: ReachSetting) -> Self {
        match setting {
            ReachSetting::Container => Self::Container,
            ReachSetting::Host => Self::Host,
        }
    }
}

/// A Docker daemon to look at. `default` is where the environment says, else the usual socket.
pub fn docker(
    daemon: &str,
    reach: ReachSetting,
    network: Option<&String>,
    host: Option<IpAddr>,
) -> DockerDiscovery {
    let mut settings = DockerSettings::default();
    settings.daemon = Some(daemon.to_owned()).filter(|it| it != "default");
    settings.reach = reach.into();
    settings.network = network.cloned();
    settings.host = host;
    DockerDiscovery::new(settings)
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
            let network = place.network.as_ref();
            Ok(Watched {
                source: catalog.add_source(Duration::from_secs(place.grace)),
                discovery: Arc::new(docker(&place.docker, place.reach, network, place.host)),
                name: format!("docker {}", place.docker),
                every: Duration::from_secs(place.every),
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
            self.look_at(place, &mut Said::default()).await;
        }))
        .await;
    }

    /// Looks again whenever something may have changed. Never ends.
    pub async fn keep(&self) {
        join_all(self.places.iter().map(|place| self.keep_at(place))).await;
        std::future::pending::<()>().await;
    }

    async fn keep_at(&self, place: &Watched) {
        let mut said = Said::default();
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
    use super::*;

    #[test]
    fn a_place_is_checked_when_it_is_read() {
        let read = |text: &str| toml::from_str::<Place>(text);
        let place = read("docker = \"default\"\nreach = \"host\"\ngrace = 0").unwrap();
        assert_eq!(
            (place.every, place.grace, place.reach),
            (15, 0, ReachSetting::Host)
        );
        for wrong in [
            "",
            "docker = \"default\"\nreach = \"moon\"",
            "kube = \"default\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
