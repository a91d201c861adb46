//! Which server a container says that it is.

use std::net::{IpAddr, SocketAddr};

use mcphub_core::discovery::Discovered;
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};

use super::container::Container;
use super::discovery::{DockerSettings, Reach};
use crate::labels::{self, PORT, Placed, Said, clipped};

/// The network in which it is reached. Default that of the settings, else the first by name.
pub const NETWORK: &str = "io.mcphub.network";

/// What Docker Compose calls a service of a project.
const SERVICE: &str = "com.docker.compose.service";

/// The servers of some containers. Those of one name are replicas of one server, in the order of the
/// containers' names.
pub(super) fn servers(mut containers: Vec<Container>, settings: &DockerSettings) -> Discovered {
    containers.sort_by(|one, other| one.name.cmp(&other.name));
    labels::servers(containers.into_iter().filter_map(|container| {
        let placed = place_of(&container, settings).transpose()?;
        Some((format!("container {}", container.name), placed))
    }))
}

/// Where a container answers; `None` for one that does not say that it is a server.
fn place_of(container: &Container, settings: &DockerSettings) -> Result<Option<Placed>> {
    let label = |key: &str| container.labels.get(key).map(String::as_str);
    let Some(said) = Said::read(label)? else {
        return Ok(None);
    };
    let title = label(SERVICE).map_or(container.name.as_str(), str::trim);
    let name = said.name.clone();
    let name = name.unwrap_or_else(|| ServerName::from_title(title));
    let port = port(container, said.port.as_deref())?;
    let (address, port) = address(container, settings, port)?;
    let at = said.at(SocketAddr::new(address, port))?;
    Ok(Some(said.placed(name, vec![at])))
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::container::Published;
    use super::*;
    use crate::labels::{NAME, PATH, SERVER, TRANSPORT};

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
