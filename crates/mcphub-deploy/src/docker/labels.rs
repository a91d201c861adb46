//! Which server a container says that it is.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mcphub_core::connection::{Connection, Replica};
use mcphub_core::discovery::{Discovered, DiscoveredServer, Rejected};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};
use url::Url;

use super::container::Container;
use super::discovery::{DockerSettings, Reach};

/// The label that a container has which is an MCP server: `true`, or the name of the server.
pub const SERVER: &str = "io.mcphub.server";
/// The name of the server, where [`SERVER`] does not say it. Default the service of a Compose project,
/// else the name of the container.
pub const NAME: &str = "io.mcphub.name";
/// The port at which it answers, in the container. Default the only one that the container exposes.
pub const PORT: &str = "io.mcphub.port";
/// The path at which it answers. Default `/mcp`, and `/sse` over HTTP+SSE.
pub const PATH: &str = "io.mcphub.path";
/// `streamable-http`, or `sse` for HTTP+SSE of 2024-11-05. Default `streamable-http`.
pub const TRANSPORT: &str = "io.mcphub.transport";
/// The network in which it is reached. Default that of the settings, else the first by name.
pub const NETWORK: &str = "io.mcphub.network";

/// What Docker Compose calls a service of a project.
const SERVICE: &str = "com.docker.compose.service";

/// Where a container answers.
struct Placed {
    name: ServerName,
    url: Url,
    sse: bool,
}

/// The servers of some containers. Those of one name are replicas of one server, in the order of the
/// containers' names.
pub(super) fn servers(mut containers: Vec<Container>, settings: &DockerSettings) -> Discovered {
    containers.sort_by(|one, other| one.name.cmp(&other.name));
    let mut found = Discovered::default();
    let mut servers: BTreeMap<ServerName, Vec<(String, Placed)>> = BTreeMap::new();
    for container in containers {
        let place = format!("container {}", container.name);
        match place_of(&container, settings) {
            Ok(None) => {}
            Ok(Some(placed)) => {
                let known = servers.entry(placed.name.clone()).or_default();
                known.push((place, placed));
            }
            Err(error) => reject(&mut found, place, &error),
        }
    }
    for (name, placed) in servers {
        let place = placed[0].0.clone();
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

/// Where a container answers; `None` for one that does not say that it is a server.
fn place_of(container: &Container, settings: &DockerSettings) -> Result<Option<Placed>> {
    let label = |key: &str| container.labels.get(key).map(|value| value.trim());
    let Some(server) = label(SERVER).filter(|it| !it.is_empty() && *it != "false") else {
        return Ok(None);
    };
    let named = Some(server).filter(|it| *it != "true").or(label(NAME));
    let name = match named {
        Some(name) => ServerName::new(name)?,
        None => ServerName::from_title(label(SERVICE).unwrap_or(&container.name)),
    };
    let sse = match label(TRANSPORT) {
        None | Some("streamable-http") => false,
        Some("sse") => true,
        Some(other) => {
            let message = "a transport is `streamable-http` or `sse`";
            return Err(Error::invalid(message).with(TRANSPORT, clipped(other)));
        }
    };
    let (address, port) = address(container, settings, port(container, label(PORT))?)?;
    let path = label(PATH).unwrap_or(if sse { "/sse" } else { "/mcp" });
    if !path.starts_with('/') || path.contains(['?', '#']) {
        let message = "a path begins with `/`, and has no query and no fragment";
        return Err(Error::invalid(message).with(PATH, clipped(path)));
    }
    // The host is the container's own: a label says nothing of it.
    let authority = std::net::SocketAddr::new(address, port);
    let mut url = Url::parse(&format!("http://{authority}"))
        .map_err(|error| Error::internal("an address makes no URL").caused_by(error))?;
    url.set_path(path);
    Ok(Some(Placed { name, url, sse }))
}

fn port(container: &Container, label: Option<&str>) -> Result<u16> {
    if let Some(text) = label {
        let port = text.parse::<u16>().ok().filter(|port| *port > 0);
        return port
            .ok_or_else(|| Error::invalid("a port is 1 to 65535").with(PORT, clipped(text)));
    }
    let mut ports = container.ports.keys();
    match (ports.next(), ports.next()) {
        (Some(port), None) => Ok(*port),
        _ => Err(Error::invalid(
            "it does not expose exactly one TCP port; the label io.mcphub.port says which",
        )),
    }
}

/// Where a port of a container is reached.
fn address(container: &Container, settings: &DockerSettings, port: u16) -> Result<(IpAddr, u16)> {
    let host = settings.host();
    if settings.reach == Reach::Host {
        if container.on_host {
            return Ok((host, port));
        }
        let published = container.ports.get(&port).copied().flatten();
        let published = published.ok_or_else(|| {
            Error::invalid("the port is not published on the host").with("port", port)
        })?;
        return Ok((published.address.unwrap_or(host), published.port));
    }
    let network = container.labels.get(NETWORK).or(settings.network.as_ref());
    let address = match network {
        Some(network) => container.addresses.get(network),
        None => container.addresses.values().next(),
    };
    let address = address.copied().ok_or_else(|| {
        let error = Error::invalid("it has no address of its own in the network");
        match network {
            Some(network) => error.with("network", clipped(network)),
            None => error,
        }
    })?;
    Ok((address, port))
}

/// The connection to the containers of one server.
fn connection(placed: &[(String, Placed)]) -> Result<Connection> {
    let (_, first) = &placed[0];
    let connection = Connection::http(first.url.clone(), &mut Credentials::default())?;
    if first.sse {
        // There is one stream, so that others of the name have no part.
        return Ok(connection.over_sse());
    }
    let others = placed[1..].iter().filter(|(_, other)| !other.sse);
    let others = others.map(|(_, other)| Replica::new(other.url.clone()));
    connection.with_replicas(others.take(Replica::MAX).collect(), None, None)
}

/// Enough of a label to know it again.
fn clipped(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::super::container::Published;
    use super::*;

    fn container(name: &str, labels: &[(&str, &str)]) -> Container {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        let addresses = [("a-net", [10, 0, 0, 2]), ("b-net", [10, 0, 1, 2])];
        let addresses = addresses.map(|(net, ip)| (net.to_owned(), IpAddr::from(ip)));
        Container {
            name: name.to_owned(),
            labels: labels.collect(),
            addresses: addresses.into(),
            on_host: false,
            ports: [(8000, None)].into(),
        }
    }

    fn place(container: Container, settings: &DockerSettings) -> String {
        let found = servers(vec![container], settings);
        match (&found.servers[..], &found.rejected[..]) {
            ([server], []) => format!("{} {}", server.name, server.connection),
            ([], [rejected]) => format!("no: {}", rejected.why),
            ([], []) => "none".to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn labels_say_what_a_container_is() {
        let settings = DockerSettings::default();
        for (labels, expected) in [
            (&[][..], "none"),
            (&[(SERVER, "false")], "none"),
            (&[(NAME, "shop")], "none"),
            (&[(SERVER, "true")], "web-1 http://10.0.0.2:8000/mcp"),
            (&[(SERVER, "shop")], "shop http://10.0.0.2:8000/mcp"),
            (
                &[(SERVER, "true"), (NAME, "shop")],
                "shop http://10.0.0.2:8000/mcp",
            ),
            (
                &[(SERVER, "true"), (SERVICE, "The Shop")],
                "the-shop http://10.0.0.2:8000/mcp",
            ),
            (
                &[
                    (SERVER, "shop"),
                    (PORT, "9000"),
                    (PATH, "/a b/mcp"),
                    (NETWORK, "b-net"),
                ],
                "shop http://10.0.1.2:9000/a%20b/mcp",
            ),
            (
                &[(SERVER, "shop"), (TRANSPORT, "sse")],
                "shop http://10.0.0.2:8000/sse",
            ),
        ] {
            assert_eq!(place(container("web-1", labels), &settings), expected);
        }
    }

    #[test]
    fn a_label_leads_nowhere_but_to_its_container() {
        let settings = DockerSettings::default();
        for (key, value) in [
            (SERVER, "../shop"),
            (PORT, "0"),
            (PORT, "80@evil.test"),
            (PATH, "@evil.test/mcp"),
            (PATH, "/mcp?key=1"),
            (TRANSPORT, "ftp"),
            (NETWORK, "another"),
        ] {
            let labels = [(SERVER, "shop"), (key, value)];
            let refused = place(container("web", &labels), &settings);
            assert!(refused.starts_with("no: "), "{key}={value}: {refused}");
        }
        for path in ["//evil.test/mcp", "/../../mcp", "/\\evil.test"] {
            let labels = [(SERVER, "shop"), (PATH, path)];
            let placed = place(container("web", &labels), &settings);
            assert!(placed.starts_with("shop http://10.0.0.2:8000/"), "{placed}");
        }
        let mut two = container("web", &[(SERVER, "shop")]);
        two.ports.insert(9000, None);
        assert!(place(two, &settings).starts_with("no: "));
    }

    #[test]
    fn published_ports_lead_to_where_containers_have_no_address() {
        let settings = DockerSettings {
            reach: Reach::Host,
            ..DockerSettings::default()
        };
        let mut web = container("web", &[(SERVER, "shop")]);
        assert!(place(web.clone(), &settings).starts_with("no: "));
        let mut published = Published {
            address: None,
            port: 32_768,
        };
        web.ports.insert(8000, Some(published));
        let at = |web: &Container| place(web.clone(), &settings);
        assert_eq!(at(&web), "shop http://127.0.0.1:32768/mcp");
        published.address = Some(IpAddr::from([192, 0, 2, 1]));
        web.ports.insert(8000, Some(published));
        assert_eq!(at(&web), "shop http://192.0.2.1:32768/mcp");
        let mut remote = settings.clone();
        remote.daemon = Some("tcp://198.51.100.7:2375".to_owned());
        published.address = None;
        web.ports.insert(8000, Some(published));
        assert_eq!(
            place(web.clone(), &remote),
            "shop http://198.51.100.7:32768/mcp"
        );
        (web.on_host, web.addresses, web.ports) = (true, BTreeMap::new(), BTreeMap::new());
        web.labels.insert(PORT.to_owned(), "8000".to_owned());
        assert_eq!(at(&web), "shop http://127.0.0.1:8000/mcp");
        assert!(place(web, &DockerSettings::default()).starts_with("no: "));
    }

    #[test]
    fn containers_of_one_name_are_replicas_and_all_are_bounded() {
        let named = |name: &str| container(name, &[(SERVER, "shop")]);
        let settings = DockerSettings::default();
        let mut second = named("web-2");
        second
            .addresses
            .insert("a-net".to_owned(), IpAddr::from([10, 0, 0, 3]));
        let found = servers(vec![second, named("web-1")], &settings);
        assert_eq!(found.servers.len(), 1);
        assert_eq!(found.servers[0].place, "container web-1");
        let remote = found.servers[0].connection.remote().unwrap();
        assert_eq!(remote.url.as_str(), "http://10.0.0.2:8000/mcp");
        assert_eq!(remote.replicas[0].url.as_str(), "http://10.0.0.3:8000/mcp");

        let many = (0..Discovered::MAX + 2).map(|n| {
            let name = format!("s-{n}");
            container(&name, &[(SERVER, &name)])
        });
        let found = servers(many.collect(), &settings);
        assert_eq!(
            (found.servers.len(), found.rejected.len()),
            (Discovered::MAX, 2)
        );
    }
}
