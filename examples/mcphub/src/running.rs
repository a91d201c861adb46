//! A gateway over the same store that another process runs.

use std::net::SocketAddr;
use std::time::Duration;

use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How long the running gateway may take to serve a change.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    instance: Option<String>,
    version: Version,
}

#[derive(Debug, Deserialize)]
struct Version {
    registry: u64,
}

/// Whether the gateway of this instance answers at the address.
pub async fn is_running(address: SocketAddr, instance: &str) -> bool {
    health(address)
        .await
        .is_some_and(|health| health.instance.as_deref() == Some(instance))
}

/// Waits until the gateway at the address serves at least this version of the registry.
///
/// # Errors
/// `Timeout` after 60 s.
pub async fn serves(address: SocketAddr, registry: u64) -> Result<()> {
    let wait = async {
        while health(address)
            .await
            .is_none_or(|health| health.version.registry < registry)
        {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.map_err(|_| {
        Error::new(
            ErrorKind::Timeout,
            "the running gateway has not taken the change over within 60 s",
        )
        .with("address", address)
    })
}

async fn health(address: SocketAddr) -> Option<Health> {
    state(address, None).await
}

/// What `GET /healthz` says at the address, to who shows this key. `None` where nothing answers as a gateway does.
pub async fn state<T: DeserializeOwned>(address: SocketAddr, key: Option<&str>) -> Option<T> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(2))
        .build()
        .ok()?;
    // An unspecified address is listened on, not connected to.
    let ip = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv4() => [127, 0, 0, 1].into(),
        ip if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("http://{}/healthz", SocketAddr::new(ip, address.port()));
    let mut request = client.get(url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let body = request.send().await.ok()?.bytes().await.ok()?;
    serde_json::from_slice(&body).ok()
}
