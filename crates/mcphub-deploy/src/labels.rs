//! What labels say of a server, wherever it runs.
//!
//! A label says what a server is called, and the port and the path at which it answers. It never says
//! the host: that is of whatever has the label.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use mcphub_core::connection::{Connection, Replica};
use mcphub_core::discovery::{Discovered, DiscoveredServer, Rejected};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};
use url::Url;

/// The label of what is an MCP server: `true`, or the name of the server.
pub const SERVER: &str = "io.mcphub.server";
/// The name of the server, where [`SERVER`] does not say it. Default that of what has the label.
pub const NAME: &str = "io.mcphub.name";
/// The port at which it answers. Default the only one that there is.
pub const PORT: &str = "io.mcphub.port";
/// The path at which it answers. Default `/mcp`, and `/sse` over HTTP+SSE.
pub const PATH: &str = "io.mcphub.path";
/// `streamable-http`, or `sse` for HTTP+SSE of 2024-11-05. Default `streamable-http`.
pub const TRANSPORT: &str = "io.mcphub.transport";

/// What the labels of something say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// `None` for the name of what has the labels.
    pub(crate) name: Option<ServerName>,
    pub(crate) port: Option<String>,
    path: String,
    sse: bool,
}

impl Said {
    /// Reads labels; `None` of something that does not say that it is a server.
    pub(crate) fn read<'a>(label: impl Fn(&str) -> Option<&'a str>) -> Result<Option<Self>> {
        let label = |key: &str| label(key).map(str::trim);
        let Some(server) = label(SERVER).filter(|it| !it.is_empty() && *it != "false") else {
            return Ok(None);
        };
        let named = Some(server).filter(|it| *it != "true").or(label(NAME));
        let sse = match label(TRANSPORT) {
            None | Some("streamable-http") => false,
            Some("sse") => true,
            Some(other) => {
                let message = "a transport is `streamable-http` or `sse`";
                return Err(Error::invalid(message).with(TRANSPORT, clipped(other)));
            }
        };
        let path = label(PATH).unwrap_or(if sse { "/sse" } else { "/mcp" });
        if !path.starts_with('/') || path.contains(['?', '#']) {
            let message = "a path begins with `/`, and has no query and no fragment";
            return Err(Error::invalid(message).with(PATH, clipped(path)));
        }
        Ok(Some(Self {
            name: named.map(ServerName::new).transpose()?,
            port: label(PORT).map(str::to_owned),
            path: path.to_owned(),
            sse,
        }))
    }

    /// The server as it answers at one address.
    pub(crate) fn at(&self, address: SocketAddr) -> Result<Replica> {
        let mut url = Url::parse(&format!("http://{address}"))
            .map_err(|error| Error::internal("an address makes no URL").caused_by(error))?;
        url.set_path(&self.path);
        Ok(Replica::new(url))
    }

    /// The server at these addresses.
    pub(crate) fn placed(&self, name: ServerName, at: Vec<Replica>) -> Placed {
        let sse = self.sse;
        Placed { name, sse, at }
    }
}

/// Where a server is that says so by labels.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) name: ServerName,
    sse: bool,
    at: Vec<Replica>,
}

/// The servers of what has labels, each with what it is for a person. Those of one name are replicas of
/// one server, in their order.
pub(crate) fn servers(seen: impl IntoIterator<Item = (String, Result<Placed>)>) -> Discovered {
    let mut found = Discovered::default();
    let mut servers: BTreeMap<ServerName, (String, Vec<Placed>)> = BTreeMap::new();
    for (place, placed) in seen {
        match placed {
            Ok(placed) => {
                let known = servers.entry(placed.name.clone());
                let (_, all) = known.or_insert_with(|| (place, Vec::new()));
                all.push(placed);
            }
            Err(error) => reject(&mut found, place, &error),
        }
    }
    for (name, (place, placed)) in servers {
        if found.servers.len() == Discovered::MAX {
            let error = Error::invalid("there are more servers than are taken");
            reject(&mut found, place, &error.with("limit", Discovered::MAX));
            continue;
        }
        match connection(&placed) {
            Ok(connection) => found.servers.push(DiscoveredServer {
                name,
                place,
                connection,
            }),
            Err(error) => reject(&mut found, place, &error),
        }
    }
    found
}

fn reject(found: &mut Discovered, place: String, error: &Error) {
    let why = error.to_string();
    found.rejected.push(Rejected { place, why });
}

/// The connection to one server, wherever it answers.
fn connection(placed: &[Placed]) -> Result<Connection> {
    let sse = placed.first().is_some_and(|first| first.sse);
    let mut urls = BTreeSet::new();
    let mut at = placed
        .iter()
        .filter(|it| it.sse == sse)
        .flat_map(|it| &it.at)
        .filter(|it| urls.insert(it.url.clone()))
        .cloned();
    let first = at
        .next()
        .ok_or_else(|| Error::invalid("it answers nowhere"))?;
    let connection = Connection::http(first.url, &mut Credentials::default())?;
    if sse {
        // There is one stream, so that others of the name have no part.
        return Ok(connection.over_sse());
    }
    let others: Vec<Replica> = at.take(Replica::MAX).collect();
    // Where there is one address, no other can be nearer.
    let zone = first.zone.filter(|_| !others.is_empty());
    connection.with_replicas(others, zone, None)
}

/// Enough of a label to know it again.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(64).collect()
}
