//! What is known of a container.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use bollard::models::{ContainerSummary, PortSummaryTypeEnum};

/// A container that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Container {
    /// Its first name, or the beginning of its id.
    pub(super) name: String,
    pub(super) labels: HashMap<String, String>,
    /// Its addresses, by the name of the network.
    pub(super) addresses: BTreeMap<String, IpAddr>,
    /// It has the network of its host, and no address of its own.
    pub(super) on_host: bool,
    /// TCP ports that it says it has, with where the host passes each on.
    pub(super) ports: BTreeMap<u16, Option<Published>>,
}

/// A port of the host that leads to one of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Published {
    /// `None` for any address of the host.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

impl From<ContainerSummary> for Container {
    fn from(summary: ContainerSummary) -> Self {
        let name = summary.names.unwrap_or_default().into_iter().next();
        let name = name.map(|name| name.trim_start_matches('/').to_owned());
        let id = || summary.id.unwrap_or_default().chars().take(12).collect();
        let networks = summary.network_settings.and_then(|it| it.networks);
        let addresses =
            networks
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(network, endpoint)| {
                    let four = endpoint.ip_address.and_then(|it| it.parse().ok());
                    let six = || endpoint.global_ipv6_address.and_then(|it| it.parse().ok());
                    Some((network, four.or_else(six)?))
                });
        let mode = summary.host_config.and_then(|it| it.network_mode);
        let mut ports: BTreeMap<u16, Option<Published>> = BTreeMap::new();
        for port in summary.ports.unwrap_or_default() {
            if !matches!(port.typ, Some(PortSummaryTypeEnum::TCP) | None) {
                continue;
            }
            let address: Option<IpAddr> = port.ip.and_then(|it| it.parse().ok());
            let published = port.public_port.map(|port| Published {
                address: address.filter(|it| !it.is_unspecified()),
                port,
            });
            let known = ports.entry(port.private_port).or_default();
            // One line for each address family: the first that is published counts.
            *known = known.or(published);
        }
        Self {
            name: name.unwrap_or_else(id),
            labels: summary.labels.unwrap_or_default(),
            addresses: addresses.collect(),
            on_host: mode.as_deref() == Some("host"),
            ports,
        }
    }
}
