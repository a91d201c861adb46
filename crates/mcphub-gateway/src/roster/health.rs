//! How the servers are, for people and probes.

use mcphub_core::catalog::CatalogVersion;
use mcphub_core::event::Circuit;
use mcphub_core::server::ServerName;
use serde::Serialize;

use super::Roster;
use crate::alerts::Vitals;
use crate::upstream::ReplicaHealth;

/// What is known about a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ServerState {
    /// It has not listed its tools yet; those planned for it are served.
    Listing,
    /// It listed its tools when it was asked last.
    Ready,
    /// It did not list its tools when it was asked last; those known before are served.
    Unreachable,
    /// The catalogue says that it cannot be called.
    Down,
}

/// One server, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerHealth {
    /// Its name.
    pub name: ServerName,
    /// What is known about it.
    pub state: ServerState,
    /// How many tools are served for it.
    pub tools: usize,
    /// Whether it is called, by how its calls went. Absent in JSON when it is, as usual.
    #[serde(skip_serializing_if = "is_closed")]
    pub circuit: Circuit,
    /// In how many seconds it is tried again, where it is not called.
    #[serde(rename = "retryAfterSeconds", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// How many tools that it lists are new or changed and wait for approval. Absent in JSON when
    /// there are none.
    #[serde(skip_serializing_if = "is_none_at_all")]
    pub waiting: usize,
    /// Its replicas, the server's URL first. Absent in JSON where it has one address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<ReplicaHealth>,
}

impl ServerHealth {
    /// Whether nothing is known to be wrong with it.
    pub fn is_well(&self) -> bool {
        is_closed(&self.circuit)
            && self.replicas.iter().all(ReplicaHealth::is_well)
            && !matches!(self.state, ServerState::Unreachable | ServerState::Down)
    }
}

impl Roster {
    /// The version of the catalogue that is served, and the servers by name.
    pub(crate) fn health(&self) -> (CatalogVersion, Vec<ServerHealth>) {
        let (version, servers) = {
            let state = self.state();
            (state.version.unwrap_or_default(), state.servers.clone())
        };
        let servers = servers.iter().map(|server| {
            let (circuit, pause) = server.guard.circuit();
            let standing = server.standing();
            ServerHealth {
                name: server.name.clone(),
                state: standing.state,
                tools: standing.listing.len(),
                circuit,
                waiting: standing.waiting,
                retry_after: pause.map(|pause| pause.as_secs() + 1),
                replicas: server.upstream.replicas(),
            }
        });
        (version, servers.collect())
    }

    /// What alerts are made of.
    pub(crate) fn vitals(&self) -> Vec<Vitals> {
        let servers = self.servers();
        let servers = servers.iter().map(|server| {
            let (calls, failures) = server.guard.counts();
            let standing = server.standing();
            Vitals {
                server: server.name.clone(),
                down: matches!(standing.state, ServerState::Unreachable | ServerState::Down),
                open: server.guard.circuit().0 != Circuit::Closed,
                waiting: standing.waiting > 0,
                calls,
                failures,
            }
        });
        servers.collect()
    }
}

fn is_none_at_all(number: &usize) -> bool {
    *number == 0
}

fn is_closed(circuit: &Circuit) -> bool {
    *circuit == Circuit::Closed
}
