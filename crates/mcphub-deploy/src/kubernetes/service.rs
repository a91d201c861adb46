//! Which server a service says that it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use mcphub_core::connection::Replica;
use mcphub_core::discovery::Discovered;
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};

use super::discovery::Reach;
use super::endpoints::Endpoints;
use crate::labels::{self, PORT, Placed, Said, clipped};

/// What a port is called that is taken where there are several.
const MCP: &str = "mcp";

/// A service, by its namespace and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    fn place(&self) -> String {
        format!("service {}/{}", self.namespace, self.name)
    }
}

/// A service that says that it is a server.
#[derive(Debug, Clone)]
pub(super) struct Labelled {
    pub(super) key: Key,
    /// When it was made: the older of two has the name.
    made: Option<Time>,
    name: ServerName,
    said: Said,
    pub(super) port: Port,
    /// Its own address; an error for one that has none, with the reason.
    address: Result<IpAddr, &'static str>,
    /// Whether its pods are called over IPv6.
    pub(super) over_ipv6: bool,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    /// Empty for the only one of a service.
    pub(super) name: String,
    number: u16,
    on_nodes: Option<u16>,
}

/// What is seen of services: those that can be servers, and why others cannot.
pub(super) type Seen = Vec<(Key, Result<Labelled>)>;

/// Reads a service; `None` for one that does not say that it is a server.
pub(super) fn read(service: Service) -> Option<(Key, Result<Labelled>)> {
    let metadata = service.metadata;
    let key = Key {
        namespace: metadata.namespace.unwrap_or_default(),
        name: metadata.name.unwrap_or_default(),
    };
    let (annotations, labels) = (metadata.annotations, metadata.labels);
    let label = |name: &str| {
        let values = [&annotations, &labels].into_iter().flatten();
        values.filter_map(|it| it.get(name)).next()
    };
    let said = match Said::read(|name| label(name).map(String::as_str)) {
        Ok(None) => return None,
        Ok(Some(said)) => said,
        Err(error) => return Some((key, Err(error))),
    };
    let spec = service.spec.unwrap_or_default();
    let port = match port(spec.ports.as_deref().unwrap_or_default(), &said) {
        Ok(port) => port,
        Err(error) => return Some((key, Err(error))),
    };
    let address = address(&spec);
    let families = spec.ip_families.unwrap_or_default();
    let family = families.first().map(String::as_str);
    let labelled = Labelled {
        made: metadata.creation_timestamp,
        name: match &said.name {
            Some(name) => name.clone(),
            None => ServerName::from_title(&key.name),
        },
        said,
        port,
        over_ipv6: address.map_or(family == Some("IPv6"), |it| it.is_ipv6()),
        address,
        key: key.clone(),
    };
    Some((key, Ok(labelled)))
}

/// The address of a service itself.
fn address(spec: &ServiceSpec) -> Result<IpAddr, &'static str> {
    if spec.type_.as_deref() == Some("ExternalName") {
        return Err("it leads out of the cluster");
    }
    match spec.cluster_ip.as_deref() {
        Some("None") => Err("it is headless: reach = \"pods\" calls what is behind it"),
        Some(text) => text.parse().map_err(|_| "it has no address yet"),
        None => Err("it has no address yet"),
    }
}

fn port(ports: &[ServicePort], said: &Said) -> Result<Port> {
    let tcp = || {
        let tcp = |it: &&ServicePort| it.protocol.as_deref().is_none_or(|it| it == "TCP");
        ports.iter().filter(tcp)
    };
    let called = |name: &str| tcp().find(|it| it.name.as_deref() == Some(name));
    let port = match said.port.as_deref() {
        Some(text) => {
            let number = text.parse::<i32>().ok();
            let port = match number {
                Some(number) => tcp().find(|it| it.port == number),
                None => called(text),
            };
            let message = "the service has no such TCP port";
            port.ok_or_else(|| Error::invalid(message).with(PORT, clipped(text)))?
        }
        None => match (tcp().next(), tcp().nth(1)) {
            (Some(only), None) => only,
            _ => called(MCP).ok_or_else(|| {
                Error::invalid(
                    "it does not have exactly one TCP port, and none is called `mcp`; the \
                     annotation io.mcphub.port says which",
                )
            })?,
        },
    };
    let number = |number: i32| u16::try_from(number).ok().filter(|it| *it > 0);
    Ok(Port {
        name: port.name.clone().unwrap_or_default(),
        number: number(port.port).ok_or_else(|| Error::invalid("a port is 1 to 65535"))?,
        on_nodes: port.node_port.and_then(number),
    })
}

/// The servers of some services. Services of one name in one namespace are replicas of one server, the
/// oldest first; of two namespaces, the one has the name whose service is older.
pub(super) fn servers(
    mut seen: Seen,
    endpoints: &Endpoints,
    reach: Reach,
    nodes: Option<IpAddr>,
) -> Discovered {
    seen.sort_by_cached_key(|(key, labelled)| {
        let made = labelled.as_ref().ok().and_then(|it| it.made.clone());
        // What has no time is as new as can be.
        (made.is_none(), made, key.clone())
    });
    let mut homes: BTreeMap<ServerName, String> = BTreeMap::new();
    labels::servers(seen.into_iter().map(|(key, labelled)| {
        let placed = labelled.and_then(|it| {
            let placed = place_of(&it, endpoints, reach, nodes)?;
            let namespace = key.namespace.clone();
            let home = homes.entry(it.name.clone()).or_insert(namespace);
            if *home == key.namespace {
                return Ok(placed);
            }
            let message = "a service of another namespace has that name, and is older";
            let error = Error::invalid(message).with("name", it.name);
            Err(error.with("namespace", home))
        });
        (key.place(), placed)
    }))
}

/// Where a service answers.
fn place_of(
    service: &Labelled,
    endpoints: &Endpoints,
    reach: Reach,
    nodes: Option<IpAddr>,
) -> Result<Placed> {
    let port = &service.port;
    let at: Vec<Replica> = match reach {
        Reach::Service => {
            let address = service.address.map_err(Error::invalid)?;
            vec![service.said.at(SocketAddr::new(address, port.number))?]
        }
        Reach::Node => {
            let number = port.on_nodes.ok_or_else(|| {
                let message = "the port is not open on the nodes: that is for services of the type \
                               NodePort or LoadBalancer";
                Error::invalid(message).with("port", port.number)
            })?;
            let node = nodes.ok_or_else(|| {
                Error::invalid("where the nodes are is not known: `host` is the address of one")
            })?;
            vec![service.said.at(SocketAddr::new(node, number))?]
        }
        Reach::Pods => {
            let ready = endpoints.ready(&service.key);
            if ready.len() == 0 {
                return Err(Error::invalid("nothing behind it is ready"));
            }
            let at = ready.map(|(address, zone)| {
                let mut replica = service.said.at(address)?;
                replica.zone = zone.cloned();
                Ok(replica)
            });
            at.collect::<Result<_>>()?
        }
    };
    Ok(service.said.placed(service.name.clone(), at))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::labels::{NAME, PATH, SERVER, TRANSPORT};

    const NODE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    /// A service `team/web` with an address, whose only port is 80.
    fn service(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Value {
        let map = |all: &[(&str, &str)]| {
            let all = all
                .iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)));
            Value::Object(all.collect())
        };
        json!({
            "metadata": {
                "namespace": "team", "name": "web", "creationTimestamp": "2026-01-02T00:00:00Z",
                "labels": map(labels), "annotations": map(annotations),
            },
            "spec": { "clusterIP": "10.96.0.7", "ports": [{ "port": 80, "protocol": "TCP" }] },
        })
    }

    fn found(services: &[Value], endpoints: &Endpoints, reach: Reach) -> Discovered {
        let services = services.iter().map(|it| {
            let service: Service = serde_json::from_value(it.clone()).unwrap();
            service
        });
        let seen = services.filter_map(read).collect();
        servers(seen, endpoints, reach, Some(NODE))
    }

    fn place(service: &Value, reach: Reach) -> String {
        let found = found(std::slice::from_ref(service), &Endpoints::default(), reach);
        match (&found.servers[..], &found.rejected[..]) {
            ([server], []) => format!("{} {}", server.name, server.connection),
            ([], [rejected]) => format!("no: {}", rejected.why),
            ([], []) => "none".to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn labels_and_annotations_say_what_a_service_is() {
        for (labels, annotations, expected) in [
            (&[][..], &[][..], "none"),
            (&[(SERVER, "false")], &[], "none"),
            (&[], &[(NAME, "shop")], "none"),
            (&[(SERVER, "true")], &[], "web http://10.96.0.7/mcp"),
            (&[(SERVER, "shop")], &[], "shop http://10.96.0.7/mcp"),
            (
                &[(SERVER, "true"), (NAME, "left")],
                &[(NAME, "shop")],
                "shop http://10.96.0.7/mcp",
            ),
            (
                &[(SERVER, "shop")],
                &[(PATH, "/a b/mcp"), (PORT, "80")],
                "shop http://10.96.0.7/a%20b/mcp",
            ),
            (
                &[(SERVER, "shop"), (TRANSPORT, "sse")],
                &[],
                "shop http://10.96.0.7/sse",
            ),
        ] {
            assert_eq!(
                place(&service(labels, annotations), Reach::Service),
                expected
            );
        }
    }

    #[test]
    fn an_annotation_leads_nowhere_but_to_its_service() {
        for (key, value) in [
            (SERVER, "../shop"),
            (PORT, "0"),
            (PORT, "81"),
            (PORT, "80@evil.test"),
            (PATH, "@evil.test/mcp"),
            (PATH, "/mcp?key=1"),
            (TRANSPORT, "ftp"),
        ] {
            let service = service(&[(SERVER, "shop")], &[(key, value)]);
            let refused = place(&service, Reach::Service);
            assert!(refused.starts_with("no: "), "{key}={value}: {refused}");
        }
        let mut out = service(&[(SERVER, "shop")], &[]);
        out["spec"]["type"] = json!("ExternalName");
        out["spec"]["externalName"] = json!("evil.test");
        assert_eq!(
            place(&out, Reach::Service),
            "no: it leads out of the cluster"
        );
    }

    #[test]
    fn a_port_is_taken_by_its_number_or_its_name() {
        let with = |annotations: &[(&str, &str)], ports: Value| {
            let mut service = service(&[(SERVER, "shop")], annotations);
            service["spec"]["ports"] = ports;
            place(&service, Reach::Service)
        };
        let two = json!([{ "name": "web", "port": 80 }, { "name": "mcp", "port": 8000 }]);
        assert_eq!(with(&[], two.clone()), "shop http://10.96.0.7:8000/mcp");
        assert_eq!(
            with(&[(PORT, "web")], two.clone()),
            "shop http://10.96.0.7/mcp"
        );
        assert_eq!(with(&[(PORT, "80")], two), "shop http://10.96.0.7/mcp");
        let other = json!([{ "name": "a", "port": 80 }, { "name": "b", "port": 81 }]);
        assert!(with(&[], other).starts_with("no: it does not have exactly one"));
        let one =
            json!([{ "name": "dns", "port": 53, "protocol": "UDP" }, { "name": "a", "port": 81 }]);
        assert_eq!(with(&[], one), "shop http://10.96.0.7:81/mcp");
        assert!(with(&[], Value::Null).starts_with("no: "));
        assert!(with(&[], json!([{ "port": 70_000 }])).starts_with("no: "));
    }

    #[test]
    fn a_service_is_reached_at_its_address_or_through_a_node() {
        let mut headless = service(&[(SERVER, "shop")], &[]);
        headless["spec"]["clusterIP"] = json!("None");
        assert!(place(&headless, Reach::Service).starts_with("no: it is headless"));
        let mut six = service(&[(SERVER, "shop")], &[]);
        six["spec"]["clusterIP"] = json!("fd00::7");
        assert_eq!(place(&six, Reach::Service), "shop http://[fd00::7]/mcp");

        let mut open = service(&[(SERVER, "shop")], &[]);
        assert!(place(&open, Reach::Node).starts_with("no: the port is not open"));
        open["spec"]["ports"][0]["nodePort"] = json!(30_080);
        assert_eq!(place(&open, Reach::Node), "shop http://192.0.2.1:30080/mcp");
        let read = vec![read(serde_json::from_value(open).unwrap()).unwrap()];
        let nowhere = servers(read, &Endpoints::default(), Reach::Node, None);
        assert!(nowhere.rejected[0].why.contains("`host`"), "{nowhere:?}");
    }

    #[test]
    fn one_name_is_one_server_of_one_namespace() {
        let at = |namespace: &str, name: &str, made: &str, address: &str| {
            let mut service = service(&[(SERVER, "shop")], &[]);
            service["metadata"]["namespace"] = json!(namespace);
            service["metadata"]["name"] = json!(name);
            service["metadata"]["creationTimestamp"] = json!(made);
            service["spec"]["clusterIP"] = json!(address);
            service
        };
        let services = [
            at("a", "late", "2026-01-03T00:00:00Z", "10.96.0.3"),
            at("b", "canary", "2026-01-02T00:00:00Z", "10.96.0.2"),
            at("b", "first", "2026-01-01T00:00:00Z", "10.96.0.1"),
        ];
        let found = found(&services, &Endpoints::default(), Reach::Service);
        let server = &found.servers[0];
        assert_eq!(
            (found.servers.len(), server.place.as_str()),
            (1, "service b/first")
        );
        let remote = server.connection.remote().unwrap();
        assert_eq!(remote.url.as_str(), "http://10.96.0.1/mcp");
        assert_eq!(remote.replicas.len(), 1);
        assert_eq!(remote.replicas[0].url.as_str(), "http://10.96.0.2/mcp");
        assert_eq!(found.rejected[0].place, "service a/late");
        assert!(found.rejected[0].why.contains("older"), "{found:?}");
    }

    #[test]
    fn the_number_of_servers_is_bounded() {
        let many = (0..Discovered::MAX + 2).map(|n| service(&[(SERVER, &format!("s-{n}"))], &[]));
        let many: Vec<Value> = many.collect();
        let found = found(&many, &Endpoints::default(), Reach::Service);
        assert_eq!(
            (found.servers.len(), found.rejected.len()),
            (Discovered::MAX, 2)
        );
    }

    #[test]
    fn pods_that_are_ready_are_replicas() {
        let service = service(&[(SERVER, "shop")], &[]);
        let read = read(serde_json::from_value(service.clone()).unwrap()).unwrap();
        let mut endpoints = Endpoints::of(std::slice::from_ref(&read));
        let pods = (1..=20).rev().map(|n| {
            json!({ "addresses": [format!("10.244.0.{n}")], "zone": "eu-1",
                    "conditions": { "ready": n != 1 } })
        });
        let slice = json!({
            "metadata": { "namespace": "team", "labels": { "kubernetes.io/service-name": "web" } },
            "addressType": "IPv4",
            "ports": [{ "name": "", "port": 8000 }],
            "endpoints": pods.collect::<Vec<_>>(),
        });
        endpoints.slice(serde_json::from_value(slice).unwrap());
        let found = found(std::slice::from_ref(&service), &endpoints, Reach::Pods);
        let remote = found.servers[0].connection.remote().unwrap();
        // In the order of the addresses, and no more than a server can have.
        assert_eq!(remote.url.as_str(), "http://10.244.0.2:8000/mcp");
        assert_eq!(remote.replicas.len(), Replica::MAX);
        assert_eq!(
            remote.replicas[14].url.as_str(),
            "http://10.244.0.17:8000/mcp"
        );
        assert_eq!(remote.zone.as_ref().unwrap().as_str(), "eu-1");
        assert!(place(&service, Reach::Pods).starts_with("no: nothing behind it is ready"));
    }
}
