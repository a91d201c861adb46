//! The pods that are ready behind services.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use mcphub_core::Result;
use mcphub_core::connection::{Replica, Zone};

use super::service::{Key, Labelled};

/// The label that says whose endpoints a slice has.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is ready behind each of some services, at most as much as a server has replicas: the lowest
/// addresses, whatever the order in which they are told.
#[derive(Debug, Default)]
pub(super) struct Endpoints(BTreeMap<Key, Behind>);

#[derive(Debug)]
struct Behind {
    /// The name of the port that is called.
    port: String,
    over_ipv6: bool,
    ready: BTreeMap<SocketAddr, Option<Zone>>,
}

impl Endpoints {
    /// Nothing yet behind these.
    pub(super) fn of(services: &[(Key, Result<Labelled>)]) -> Self {
        let services = services.iter().filter_map(|(key, it)| {
            let service = it.as_ref().ok()?;
            let behind = Behind {
                port: service.port.name.clone(),
                over_ipv6: service.over_ipv6,
                ready: BTreeMap::new(),
            };
            Some((key.clone(), behind))
        });
        Self(services.collect())
    }

    /// What is ready behind a service, by address.
    pub(super) fn ready(
        &self,
        service: &Key,
    ) -> impl ExactSizeIterator<Item = (SocketAddr, Option<&Zone>)> {
        static NONE: BTreeMap<SocketAddr, Option<Zone>> = BTreeMap::new();
        let ready = self.0.get(service).map_or(&NONE, |it| &it.ready);
        ready
            .iter()
            .map(|(address, zone)| (*address, zone.as_ref()))
    }

    /// Takes in a slice of `discovery.k8s.io/v1`.
    pub(super) fn slice(&mut self, slice: EndpointSlice) {
        let labels = slice.metadata.labels.unwrap_or_default();
        let key = Key {
            namespace: slice.metadata.namespace.unwrap_or_default(),
            name: labels.get(SERVICE_NAME).cloned().unwrap_or_default(),
        };
        let Some(behind) = self.0.get_mut(&key) else {
            return;
        };
        for port in slice.ports.into_iter().flatten() {
            let name = port.name.as_deref().unwrap_or_default();
            let Some(number) = behind.takes(name, port.protocol.as_deref(), port.port) else {
                continue;
            };
            for endpoint in &slice.endpoints {
                // Nothing said is ready; a pod that ends is not.
                let conditions = endpoint.conditions.as_ref();
                if conditions.is_none_or(|it| it.ready != Some(false)) {
                    // Nothing is said of what further addresses would mean.
                    let address = endpoint.addresses.first().map(String::as_str);
                    behind.add(address, number, endpoint.zone.as_deref());
                }
            }
        }
    }

    /// Takes in what API servers before 1.21 have instead of slices.
    pub(super) fn endpoints(&mut self, endpoints: v1::Endpoints) {
        let key = Key {
            namespace: endpoints.metadata.namespace.unwrap_or_default(),
            name: endpoints.metadata.name.unwrap_or_default(),
        };
        let Some(behind) = self.0.get_mut(&key) else {
            return;
        };
        for subset in endpoints.subsets.into_iter().flatten() {
            for port in subset.ports.into_iter().flatten() {
                let name = port.name.as_deref().unwrap_or_default();
                let number = behind.takes(name, port.protocol.as_deref(), Some(port.port));
                let Some(number) = number else { continue };
                for ready in subset.addresses.iter().flatten() {
                    behind.add(Some(&ready.ip), number, None);
                }
            }
        }
    }
}

impl Behind {
    /// The number of a port, if it is the one that is called.
    fn takes(&self, name: &str, protocol: Option<&str>, port: Option<i32>) -> Option<u16> {
        let tcp = protocol.is_none_or(|it| it == "TCP");
        let number = port.and_then(|it| u16::try_from(it).ok());
        number.filter(|number| tcp && name == self.port && *number > 0)
    }

    fn add(&mut self, address: Option<&str>, port: u16, zone: Option<&str>) {
        let address = address.and_then(|it| it.parse::<IpAddr>().ok());
        let Some(address) = address.filter(|it| it.is_ipv6() == self.over_ipv6) else {
            return;
        };
        let zone = zone.and_then(|it| it.parse().ok());
        self.ready.insert(SocketAddr::new(address, port), zone);
        if self.ready.len() > Replica::MAX + 1 {
            self.ready.pop_last();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kubernetes::service::read;
    use crate::labels::SERVER;

    fn behind(families: &[&str]) -> (Key, Endpoints) {
        let service = json!({
            "metadata": { "namespace": "team", "name": "shop", "labels": { SERVER: "true" } },
            "spec": {
                "clusterIP": "None", "ipFamilies": families,
                "ports": [{ "name": "mcp", "port": 80, "targetPort": "web" }],
            },
        });
        let read = read(serde_json::from_value(service).unwrap()).unwrap();
        (read.0.clone(), Endpoints::of(&[read]))
    }

    fn slice(family: &str, endpoints: Value) -> EndpointSlice {
        let slice = json!({
            "metadata": { "namespace": "team", "labels": { SERVICE_NAME: "shop" } },
            "addressType": family,
            "ports": [
                { "name": "metrics", "port": 9000, "protocol": "TCP" },
                { "name": "mcp", "port": 8000, "protocol": "TCP" },
                { "name": "mcp", "port": 8000, "protocol": "UDP" },
            ],
            "endpoints": endpoints,
        });
        serde_json::from_value(slice).unwrap()
    }

    fn addresses(key: &Key, endpoints: &Endpoints) -> Vec<String> {
        let ready = endpoints.ready(key);
        ready.map(|(address, _)| address.to_string()).collect()
    }

    #[test]
    fn what_is_ready_in_any_slice_is_reached_at_the_port_of_that_name() {
        let (key, mut endpoints) = behind(&["IPv4"]);
        endpoints.slice(slice(
            "IPv4",
            json!([
                { "addresses": ["10.0.0.3", "10.0.0.99"], "conditions": {} },
                { "addresses": ["10.0.0.1"], "conditions": { "ready": false, "serving": true } },
                { "addresses": ["pod.test"] },
                { "addresses": [] },
            ]),
        ));
        endpoints.slice(slice(
            "IPv4",
            json!([{ "addresses": ["10.0.0.2"], "zone": "a/b" }]),
        ));
        endpoints.slice(slice("IPv6", json!([{ "addresses": ["fd00::2"] }])));
        let mut other = slice("IPv4", json!([{ "addresses": ["10.0.0.4"] }]));
        other.metadata.namespace = Some("other".to_owned());
        endpoints.slice(other);
        assert_eq!(
            addresses(&key, &endpoints),
            ["10.0.0.2:8000", "10.0.0.3:8000"]
        );
        // What no gateway could be in is no zone.
        assert!(endpoints.ready(&key).all(|(_, zone)| zone.is_none()));

        let (key, mut endpoints) = behind(&["IPv6", "IPv4"]);
        endpoints.slice(slice("IPv4", json!([{ "addresses": ["10.0.0.2"] }])));
        endpoints.slice(slice("IPv6", json!([{ "addresses": ["fd00::2"] }])));
        assert_eq!(addresses(&key, &endpoints), ["[fd00::2]:8000"]);
    }

    #[test]
    fn endpoints_of_old_api_servers_say_the_same() {
        let (key, mut endpoints) = behind(&[]);
        let old = json!({
            "metadata": { "namespace": "team", "name": "shop" },
            "subsets": [
                {
                    "addresses": [{ "ip": "10.0.0.2" }],
                    "notReadyAddresses": [{ "ip": "10.0.0.3" }],
                    "ports": [{ "name": "mcp", "port": 8000 }, { "name": "metrics", "port": 9000 }],
                },
                { "addresses": [{ "ip": "10.0.0.4" }], "ports": [{ "name": "mcp", "port": 8001 }] },
                {},
            ],
        });
        endpoints.endpoints(serde_json::from_value(old).unwrap());
        assert_eq!(
            addresses(&key, &endpoints),
            ["10.0.0.2:8000", "10.0.0.4:8001"]
        );
    }
}
