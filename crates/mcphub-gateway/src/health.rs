//! `GET /healthz`: what is served, for people and probes. Holds no secret and no error text, and
//! names servers only to whoever may use them.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use mcphub_core::principal::Principal;
use serde::Serialize;

use crate::gateway::Inner;
use crate::roster::ServerHealth;

/// The body. The gateway itself answers 200 as long as it serves: a probe that restarted it because
/// an API is down would mend nothing.
#[derive(Serialize)]
struct Health<'a> {
    /// `ok`, or `degraded` when a server cannot be reached or is not called, or the catalogue cannot be
    /// read.
    status: &'static str,
    /// `current`, or `unreadable`: then what was read last is served, and no change is noticed.
    catalog: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    version: Version,
    /// Absent for who did not say who they are, where clients are asked that.
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Vec<ServerHealth>>,
}

#[derive(Serialize)]
struct Version {
    registry: u64,
    deployments: u64,
}

/// Whose eyes see the servers.
#[derive(Debug)]
pub(crate) enum Seen {
    /// Nobody's.
    Nothing,
    /// Of somebody who was let in: servers of which they may use something.
    By(Arc<Principal>),
    /// Of somebody who may see all.
    All,
}

pub(crate) fn answer(gateway: &Inner, seen: &Seen) -> Response {
    let (version, servers) = gateway.roster.health();
    let degraded = !servers.iter().all(ServerHealth::is_well);
    let sees_catalog = gateway.sees_catalog();
    let version = Version {
        registry: version.registry,
        deployments: version.deployments,
    };
    let instance = gateway.settings.instance.as_deref();
    Json(Health {
        status: if degraded || !sees_catalog {
            "degraded"
        } else {
            "ok"
        },
        catalog: if sees_catalog {
            "current"
        } else {
            "unreadable"
        },
        instance,
        version,
        servers: named(seen, servers),
    })
    .into_response()
}

fn named(seen: &Seen, mut servers: Vec<ServerHealth>) -> Option<Vec<ServerHealth>> {
    match seen {
        Seen::Nothing => None,
        Seen::All => Some(servers),
        Seen::By(who) => {
            servers.retain(|server| who.permissions.reaches(&server.name).is_ok());
            Some(servers)
        }
    }
}
