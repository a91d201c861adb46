//! What runs, asked of a daemon.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{EventsOptionsBuilder, ListContainersOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, future};
use mcphub_core::discovery::{Discovered, Discovery};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::time::timeout;

use super::labels;
use crate::labels::SERVER;

/// How containers are found and reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DockerSettings {
    /// The daemon: `unix:///PATH` or `tcp://HOST:PORT`, without TLS. Default the variable
    /// `DOCKER_HOST`, else `/var/run/docker.sock`.
    pub daemon: Option<String>,
    /// Which address of a container is taken. Default [`Reach::Container`].
    pub reach: Reach,
    /// The network whose addresses are taken. Default the first of a container by name.
    pub network: Option<String>,
    /// Where ports are reached that are published on any address. Default the daemon's host, where
    /// that is named by an IP address, else `127.0.0.1`.
    pub host: Option<IpAddr>,
    /// How long the daemon may take to answer. Default 10 s.
    pub limit: Duration,
}

/// Which address of a container is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Its own, in one of its networks: for a gateway on the daemon's host, or in that network.
    #[default]
    Container,
    /// That of the host, at the port that is published: for a gateway elsewhere.
    Host,
}

impl Default for DockerSettings {
    fn default() -> Self {
        Self {
            daemon: None,
            reach: Reach::default(),
            network: None,
            host: None,
            limit: Duration::from_secs(10),
        }
    }
}

impl DockerSettings {
    /// Where ports are reached that are published on any address.
    pub(super) fn host(&self) -> IpAddr {
        let daemon = self.daemon.as_deref();
        let there = daemon.and_then(|it| it.strip_prefix("tcp://")?.parse().ok());
        let there = there.map(|address: SocketAddr| address.ip());
        let local = || IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.host.or(there).unwrap_or_else(local)
    }
}

/// The running containers of a daemon that say that they are MCP servers.
#[derive(Debug, Clone)]
pub struct DockerDiscovery {
    settings: DockerSettings,
}

impl DockerDiscovery {
    /// Looks nowhere yet: the daemon may come later.
    pub fn new(settings: DockerSettings) -> Self {
        Self { settings }
    }

    fn daemon(&self) -> Result<Docker> {
        let seconds = self.settings.limit.as_secs().max(1);
        let given = self.settings.daemon.clone();
        let given = given.or_else(|| std::env::var("DOCKER_HOST").ok());
        let given = given.filter(|it| !it.is_empty());
        let connected = match given.as_deref() {
            None => Docker::connect_with_unix(
                "unix:///var/run/docker.sock",
                seconds,
                API_DEFAULT_VERSION,
            ),
            Some(place) if place.starts_with("unix://") => {
                Docker::connect_with_unix(place, seconds, API_DEFAULT_VERSION)
            }
            Some(place) if place.starts_with("tcp://") || place.starts_with("http://") => {
                Docker::connect_with_http(place, seconds, API_DEFAULT_VERSION)
            }
            Some(place) => {
                let message = "a Docker daemon is at unix:///PATH or tcp://HOST:PORT";
                return Err(Error::invalid(message).with("daemon", place));
            }
        };
        connected.map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, error: bollard::errors::Error) -> Error {
        let daemon = self.settings.daemon.as_deref().unwrap_or("by default");
        Error::new(ErrorKind::Unavailable, "the Docker daemon does not answer")
            .with("daemon", daemon)
            .caused_by(error)
    }
}

fn filters(more: &[(&str, &[&str])]) -> HashMap<String, Vec<String>> {
    let label: &[_] = &[("label", &[SERVER][..])];
    let all = label.iter().chain(more);
    all.map(|(key, values)| {
        let values = values.iter().map(|value| (*value).to_owned());
        ((*key).to_owned(), values.collect())
    })
    .collect()
}

#[async_trait]
impl Discovery for DockerDiscovery {
    async fn discover(&self) -> Result<Discovered> {
        let daemon = self.daemon()?;
        let running = filters(&[("status", &["running"])]);
        let options = ListContainersOptionsBuilder::new()
            .filters(&running)
            .build();
        let asked = timeout(self.settings.limit, daemon.list_containers(Some(options)));
        let listed = asked.await.map_err(|_| {
            Error::new(
                ErrorKind::Timeout,
                "the Docker daemon did not answer in time",
            )
        })?;
        let listed = listed.map_err(|error| self.unreachable(error))?;
        let containers = listed.into_iter().map(Into::into).collect();
        Ok(labels::servers(containers, &self.settings))
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        let Ok(daemon) = self.daemon() else {
            return stream::empty().boxed();
        };
        let told = filters(&[
            ("type", &["container"]),
            ("event", &["start", "die", "unpause", "rename"]),
        ]);
        let options = EventsOptionsBuilder::new().filters(&told).build();
        let events = daemon.events(Some(options));
        // An error ends it, as the end of the connection does.
        let events = events.take_while(|event| future::ready(event.is_ok()));
        events.map(drop).boxed()
    }
}
