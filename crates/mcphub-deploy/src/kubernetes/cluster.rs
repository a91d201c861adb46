//! Which API server is asked, as whom, and what its answers mean.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

/// The API server of a cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) client: Client,
    /// Where the API server is, where that is named by an IP address.
    pub(super) host: Option<IpAddr>,
}

impl Cluster {
    /// Knows where the cluster is and who asks: by this context of the kubeconfig; without one by
    /// `KUBECONFIG`, else by the service account of the pod, else by `~/.kube/config`.
    ///
    /// `building` is held while a client is made: a program of the kubeconfig that gives credentials
    /// may hang, and is not started again before it has ended.
    pub(super) async fn find(
        context: Option<String>,
        limit: Duration,
        building: &Arc<Mutex<()>>,
    ) -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
        let in_pod = context.is_none() && !set("KUBECONFIG") && set("KUBERNETES_SERVICE_HOST");
        let mut config = if in_pod {
            Config::incluster().map_err(|error| unknown(&context).caused_by(error))?
        } else {
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            let config = Config::from_kubeconfig(&options).await;
            config.map_err(|error| unknown(&context).caused_by(error))?
        };
        config.connect_timeout = Some(limit);
        // Whoever asks looks again soon enough.
        config.default_retry = false;
        let host = config.cluster_url.host();
        let host = host.and_then(|it| it.trim_matches(['[', ']']).parse().ok());
        let Ok(building) = Arc::clone(building).try_lock_owned() else {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the program that gives credentials for the cluster has not answered yet",
            ));
        };
        let made = tokio::task::spawn_blocking(move || {
            let made = Client::try_from(config);
            drop(building);
            made
        });
        let client = made.await.map_err(|error| {
            Error::internal("the client of a cluster could not be made").caused_by(error)
        })?;
        let client = client.map_err(|error| unknown(&context).caused_by(error))?;
        Ok(Self { client, host })
    }
}

fn unknown(context: &Option<String>) -> Error {
    match context {
        Some(name) => Error::new(
            ErrorKind::Unavailable,
            "no Kubernetes cluster can be asked by that context of the kubeconfig",
        )
        .with("context", name),
        None => Error::new(
            ErrorKind::Unavailable,
            "no Kubernetes cluster can be asked: this needs the service account of a pod, or a \
             kubeconfig",
        ),
    }
}

/// What an answer of the API server means.
pub(super) fn explained(error: kube::Error, what: &'static str) -> Error {
    let kube::Error::Api(status) = error else {
        let message = "the API server of the cluster does not answer";
        return Error::new(ErrorKind::Unavailable, message).caused_by(error);
    };
    let (kind, message) = match status.code {
        401 => (
            ErrorKind::PermissionDenied,
            "the cluster does not know these credentials",
        ),
        403 => (
            ErrorKind::PermissionDenied,
            "the cluster does not let this be listed; docs/discovery.md has the role that does",
        ),
        404 => (ErrorKind::NotFound, "the cluster does not have this"),
        429 | 500.. => (
            ErrorKind::Unavailable,
            "the API server of the cluster cannot answer now",
        ),
        _ => (
            ErrorKind::Upstream,
            "the API server of the cluster refuses to answer",
        ),
    };
    let said: String = status.message.chars().take(256).collect();
    let error = Error::new(kind, message).with("listing", what);
    error.with("status", status.code).with("answer", said)
}
