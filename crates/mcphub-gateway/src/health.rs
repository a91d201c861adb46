//! `GET /healthz`: what is served, for people and probes. Holds no secret and no error text.

use axum::Json;
use axum::response::{IntoResponse, Response};
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
    servers: Vec<ServerHealth>,
}

#[derive(Serialize)]
struct Version {
    registry: u64,
    deployments: u64,
}

pub(crate) fn answer(gateway: &Inner) -> Response {
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
        servers,
    })
    .into_response()
}
