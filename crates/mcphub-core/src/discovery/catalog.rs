//! What was discovered, beside what is registered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{Discovered, DiscoveredServer};
use crate::Result;
use crate::catalog::{Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream};
use crate::connection::{self, Connection};
use crate::secret::Credentials;
use crate::server::ServerName;

/// A catalogue with what was discovered beside what another one has.
///
/// # Behavior
/// - A server that is registered, or a virtual one, goes before one of its name that was discovered,
///   and an earlier source before a later one.
/// - A server that is found no more stays for its source's grace, so that a restart drops nothing; one
///   that is found elsewhere meanwhile is reached there at once.
/// - What was found stays while nobody can look.
/// - No credential is sent to what was discovered.
#[derive(Debug)]
pub struct DiscoveredCatalog {
    registered: Arc<dyn CatalogSource>,
    state: Mutex<State>,
}

/// One of the places that servers are discovered in, as a [`DiscoveredCatalog`] knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(usize);

#[derive(Debug, Default)]
struct State {
    /// Grows with every change of what was discovered.
    version: u64,
    sources: Vec<Found>,
    /// What the last catalogue left out, because its name was taken.
    hidden: BTreeSet<ServerName>,
}

#[derive(Debug)]
struct Found {
    grace: Duration,
    servers: BTreeMap<ServerName, Standing>,
}

#[derive(Debug)]
struct Standing {
    connection: Connection,
    server: Arc<CatalogServer>,
    gone_since: Option<Instant>,
}

impl DiscoveredCatalog {
    /// Nothing beside what is registered yet.
    pub fn new(registered: Arc<dyn CatalogSource>) -> Self {
        Self {
            registered,
            state: Mutex::default(),
        }
    }

    /// One more place, whose servers stay for so long after they were found last.
    pub fn add_source(&self, grace: Duration) -> Source {
        let mut state = self.state();
        state.sources.push(Found {
            grace,
            servers: BTreeMap::new(),
        });
        Source(state.sources.len() - 1)
    }

    /// Takes over what is in a place now; at most [`Discovered::MAX`] servers. Whether that changes
    /// the catalogue.
    pub fn observe(&self, source: Source, found: Vec<DiscoveredServer>, now: Instant) -> bool {
        let mut state = self.state();
        let mut version = state.version;
        let Some(known) = state.sources.get_mut(source.0) else {
            return false;
        };
        let before = version;
        let mut missing: BTreeSet<ServerName> = known.servers.keys().cloned().collect();
        for server in found.into_iter().take(Discovered::MAX) {
            let DiscoveredServer {
                name, connection, ..
            } = server;
            missing.remove(&name);
            if let Some(standing) = known.servers.get_mut(&name)
                && standing.connection == connection
            {
                standing.gone_since = None;
                continue;
            }
            version += 1;
            // What cannot be described is none; a source has looked at it already.
            if let Ok(entry) = entry(&name, &connection, version) {
                let standing = Standing {
                    connection,
                    server: Arc::new(entry),
                    gone_since: None,
                };
                known.servers.insert(name, standing);
            }
        }
        for name in missing {
            let Some(standing) = known.servers.get_mut(&name) else {
                continue;
            };
            let since = *standing.gone_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= known.grace {
                known.servers.remove(&name);
                version += 1;
            }
        }
        state.version = version;
        version != before
    }

    /// When the next server of a place is dropped that is not found again; `None` when all are there.
    pub fn next_drop(&self, source: Source) -> Option<Instant> {
        let state = self.state();
        let found = state.sources.get(source.0)?;
        let gone = found.servers.values().filter_map(|it| it.gone_since);
        gone.min().map(|since| since + found.grace)
    }

    /// What was discovered and is not served, because its name was taken when the catalogue was read
    /// last.
    pub fn hidden(&self) -> Vec<ServerName> {
        self.state().hidden.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(name: &ServerName, connection: &Connection, revision: u64) -> Result<CatalogServer> {
    let document = connection.document(Vec::new())?;
    let tools = connection::plan(&document, Some(name), connection.serve())?;
    Ok(CatalogServer {
        name: name.clone(),
        // No registered server has a revision without a change of the registry.
        revision: CatalogVersion {
            registry: 0,
            deployments: revision,
        },
        tools: Arc::new(tools),
        upstream: Upstream::Connected {
            connection: connection.clone(),
            credentials: Credentials::default(),
            listed: Arc::default(),
        },
    })
}

#[async_trait]
impl CatalogSource for DiscoveredCatalog {
    async fn version(&self) -> Result<CatalogVersion> {
        let mut version = self.registered.version().await?;
        // Both only grow, and so their sum differs after a change of either.
        version.deployments = version.deployments.wrapping_add(self.state().version);
        Ok(version)
    }

    async fn catalog(&self) -> Result<Catalog> {
        let mut catalog = self.registered.catalog().await?;
        let mut taken: BTreeSet<ServerName> = BTreeSet::new();
        taken.extend(catalog.servers.iter().map(|server| server.name.clone()));
        taken.extend(catalog.virtual_servers.iter().map(|it| it.name.clone()));
        let mut state = self.state();
        let version = &mut catalog.version.deployments;
        *version = version.wrapping_add(state.version);
        let mut hidden = BTreeSet::new();
        for found in state.sources.iter().flat_map(|found| &found.servers) {
            let (name, standing) = found;
            if taken.insert(name.clone()) {
                catalog.servers.push(Arc::clone(&standing.server));
            } else {
                hidden.insert(name.clone());
            }
        }
        state.hidden = hidden;
        catalog
            .servers
            .sort_by(|one, other| one.name.cmp(&other.name));
        Ok(catalog)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use url::Url;

    use super::*;
    use crate::virtual_server::VirtualServer;

    const GRACE: Duration = Duration::from_secs(30);

    #[derive(Debug, Default)]
    struct Registered(Mutex<Catalog>);

    #[async_trait]
    impl CatalogSource for Registered {
        async fn version(&self) -> Result<CatalogVersion> {
            Ok(self.0.lock().unwrap().version)
        }

        async fn catalog(&self) -> Result<Catalog> {
            Ok(self.0.lock().unwrap().clone())
        }
    }

    fn found(name: &str, url: &str) -> DiscoveredServer {
        let url = Url::parse(url).unwrap();
        DiscoveredServer {
            name: ServerName::new(name).unwrap(),
            place: format!("container {name}"),
            connection: Connection::http(url, &mut Credentials::default()).unwrap(),
        }
    }

    fn with(servers: &[&str]) -> (DiscoveredCatalog, Arc<Registered>) {
        let registered = Arc::new(Registered::default());
        let entries = servers.iter().map(|name| {
            let found = found(name, "http://registered.test/mcp");
            Arc::new(entry(&found.name, &found.connection, 0).unwrap())
        });
        registered.0.lock().unwrap().servers = entries.collect();
        (DiscoveredCatalog::new(registered.clone()), registered)
    }

    /// The servers, with where they are.
    fn places(catalog: &DiscoveredCatalog) -> Vec<String> {
        let catalog = block_on(catalog.catalog()).unwrap();
        let places = catalog.servers.iter().map(|server| match &server.upstream {
            Upstream::Connected { connection, .. } => format!("{} {connection}", server.name),
            _ => panic!("a server of another kind"),
        });
        places.collect()
    }

    fn version(catalog: &DiscoveredCatalog) -> CatalogVersion {
        let (version, read) = (
            block_on(catalog.version()).unwrap(),
            block_on(catalog.catalog()).unwrap().version,
        );
        assert_eq!(version, read);
        version
    }

    #[test]
    fn a_registered_name_is_never_taken() {
        let (catalog, registered) = with(&["shop"]);
        let (one, other) = (catalog.add_source(GRACE), catalog.add_source(GRACE));
        let now = Instant::now();
        let shop = found("shop", "http://evil.test/mcp");
        let files = found("files", "http://files.test/mcp");
        assert!(catalog.observe(one, vec![shop, files.clone()], now));
        assert!(catalog.observe(other, vec![found("files", "http://late.test/mcp")], now));
        let expected = [
            "files http://files.test/mcp",
            "shop http://registered.test/mcp",
        ];
        assert_eq!(places(&catalog), expected);
        let hidden: Vec<_> = catalog.hidden().iter().map(ToString::to_string).collect();
        assert_eq!(hidden, ["files", "shop"]);
        let desk = VirtualServer::new(files.name);
        registered.0.lock().unwrap().virtual_servers = vec![desk];
        assert_eq!(places(&catalog), expected[1..]);
    }

    #[test]
    fn a_server_that_comes_back_in_time_was_never_away() {
        let (catalog, _registered) = with(&[]);
        let source = catalog.add_source(GRACE);
        let now = Instant::now();
        let shop = || vec![found("shop", "http://10.0.0.2:8000/mcp")];
        assert!(catalog.observe(source, shop(), now));
        let before = version(&catalog);
        assert!(!catalog.observe(source, Vec::new(), now));
        assert_eq!(catalog.next_drop(source), Some(now + GRACE));
        let later = now + GRACE - Duration::from_millis(1);
        assert!(!catalog.observe(source, Vec::new(), later));
        assert!(!catalog.observe(source, shop(), later));
        assert_eq!(catalog.next_drop(source), None);
        // Its time begins anew.
        assert!(!catalog.observe(source, Vec::new(), later));
        assert!(!catalog.observe(source, Vec::new(), now + GRACE));
        assert_eq!(version(&catalog), before);
        assert_eq!(places(&catalog).len(), 1);
        assert!(catalog.observe(source, Vec::new(), later + GRACE));
        assert!(places(&catalog).is_empty() && version(&catalog) != before);
    }

    #[test]
    fn a_server_that_moved_is_reached_where_it_is() {
        let (catalog, _registered) = with(&[]);
        let source = catalog.add_source(GRACE);
        let now = Instant::now();
        let at = |url: &str| vec![found("shop", url)];
        assert!(catalog.observe(source, at("http://10.0.0.2:8000/mcp"), now));
        let before = block_on(catalog.catalog()).unwrap().servers[0].revision;
        assert!(catalog.observe(source, at("http://10.0.0.3:8000/mcp"), now));
        assert_eq!(places(&catalog), ["shop http://10.0.0.3:8000/mcp"]);
        assert_ne!(
            block_on(catalog.catalog()).unwrap().servers[0].revision,
            before
        );
        assert!(!catalog.observe(source, at("http://10.0.0.3:8000/mcp"), now));
    }

    #[test]
    fn the_number_of_servers_is_bounded() {
        let (catalog, _registered) = with(&[]);
        let source = catalog.add_source(Duration::ZERO);
        let many = (0..300).map(|n| found(&format!("s-{n:03}"), "http://a.test/mcp"));
        assert!(catalog.observe(source, many.collect(), Instant::now()));
        assert_eq!(places(&catalog).len(), Discovered::MAX);
    }
}
