//! Serving until the person or the system asks to stop.

use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use mcphub_core::catalog::CatalogSource;
use mcphub_core::platform::Reconciled;
use mcphub_core::store::ApiKeyStore;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::{Gateway, Listener};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cli::Auth;
use crate::host::Host;
use crate::output;
use crate::purge::{keep_builds_pruned, keep_purged};

/// How often the store is asked whether another process changed it.
const POLL: Duration = Duration::from_millis(500);
/// How often a server that could not be started, or ended too often, is tried again.
const RETRY: Duration = Duration::from_secs(60);
/// How long open requests may go on after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(3);

/// Opens a port; `None` when another program has it.
///
/// # Errors
/// `Unavailable` for an address that this machine does not have, or that needs more rights.
pub async fn bind(address: SocketAddr) -> Result<Option<TcpListener>> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(
            Error::new(ErrorKind::Unavailable, "the address cannot be listened on")
                .with("address", address)
                .caused_by(error),
        ),
    }
}

/// The error for a port that another program has, and that this option chooses.
pub fn in_use(address: SocketAddr, option: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "another program listens on this address; stop it, or choose another with {option}"
        ),
    )
    .with("address", address)
}

/// A server that ends when this is dropped.
#[derive(Debug)]
pub struct Operators(JoinHandle<()>);

impl Drop for Operators {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves metrics to whoever reaches the address.
pub fn serve_operators(gateway: &Gateway, listener: TcpListener) -> Operators {
    if let Ok(address) = listener.local_addr() {
        output::say(&format!("metrics at http://{address}/metrics"));
        if !address.ip().is_loopback() {
            output::say("warning: whoever reaches that address sees the names of all servers");
        }
    }
    let gateway = gateway.clone();
    Operators(tokio::spawn(async move {
        gateway.serve_metrics(Listener::new(listener)).await;
    }))
}

/// Serves HTTP until it is to [stop](stop_signal), then drains for at most 3 s, ends sessions with
/// servers and stops what was deployed.
///
/// # Errors
/// Those of the store, and of deployments that cannot be stopped.
pub async fn serve_http(
    host: &Host,
    gateway: &Gateway,
    listener: TcpListener,
    asked_to_stop: impl Future<Output = ()>,
) -> Result<()> {
    let exposed = listener
        .local_addr()
        .is_ok_and(|address| !address.ip().is_loopback());
    warn(host, exposed).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = gateway.serve(Listener::new(listener), async {
        let _ = stopped.await;
    });
    let mut server = std::pin::pin!(server);
    let upkeep = upkeep(host, gateway);
    tokio::select! {
        () = &mut server => {}
        () = upkeep => {}
        () = asked_to_stop => {
            drop(stop);
            // Event streams have no end of their own.
            gateway.close();
            let _ = tokio::time::timeout(DRAIN, &mut server).await;
        }
    }
    gateway.leave().await;
    host.platform.stop_deployments().await
}

/// Says what is unsafe about who is let in, or that nobody can be.
async fn warn(host: &Host, exposed: bool) -> Result<()> {
    match host.auth {
        Auth::None if exposed => output::say(
            "warning: whoever reaches this address can call the tools; nobody is asked who they are; \
             `--auth keys` asks",
        ),
        Auth::Keys if exposed => output::say(
            "warning: keys and answers travel as plain text; put a proxy with TLS in front",
        ),
        _ => {}
    }
    if host.auth == Auth::Keys && host.store.api_keys(None, 1).await?.keys.is_empty() {
        output::say(
            "no key lets anybody in yet; `mcphub key create NAME` makes one, also while this runs",
        );
    }
    Ok(())
}

/// Serves one client on standard input and output until it closes them.
///
/// # Errors
/// Those of the gateway when the streams break.
pub async fn serve_stdio(host: &Host, gateway: &Gateway) -> Result<()> {
    let outcome = tokio::select! {
        outcome = gateway.serve_stdio(tokio::io::stdin(), tokio::io::stdout()) => outcome,
        () = upkeep(host, gateway) => Ok(()),
        () = stop_signal() => Ok(()),
    };
    gateway.leave().await;
    host.platform.stop_deployments().await?;
    outcome.map_err(|error| {
        Error::new(ErrorKind::Unavailable, "standard input or output broke").caused_by(error)
    })
}

/// Everything that goes on beside serving. Never ends.
async fn upkeep(host: &Host, gateway: &Gateway) {
    tokio::join!(
        gateway.run(),
        keep_deployed(host),
        keep_purged(host),
        keep_builds_pruned(host),
        host.discovering.keep(),
        async {
            host.platform.watch_deployments().await;
            std::future::pending::<()>().await;
        }
    );
}

/// Starts and stops deployments whenever the store changes, by whomever, and tries again what
/// failed: the package index may be reachable by now.
async fn keep_deployed(host: &Host) {
    let platform = &host.platform;
    // A bus that ended tells no more; asking goes on.
    let mut events = host.shared.events.subscribe().chain(stream::pending());
    let mut seen = None;
    let mut readable = true;
    let mut retry = Instant::now() + RETRY;
    loop {
        let version = platform.version().await;
        let was_readable = std::mem::replace(&mut readable, version.is_ok());
        match version {
            Ok(version) if seen != Some(version.registry) => {
                if reconciled(platform.reconcile().await) {
                    seen = Some(version.registry);
                }
            }
            Ok(_) if Instant::now() >= retry => {
                reconciled(platform.retry_failed().await);
                retry = Instant::now() + RETRY;
            }
            Ok(_) => {}
            Err(error) if was_readable => {
                tracing::warn!(error = %error.report(), "the store cannot be read");
            }
            Err(_) => {}
        }
        let _ = tokio::time::timeout(POLL, events.next()).await;
    }
}

/// Says what does not run. Whether everything was looked at.
fn reconciled(outcome: Result<Reconciled>) -> bool {
    match outcome {
        Ok(report) => {
            for (server, error) in report.failed {
                output::say(&format!(
                    "warning: {server} does not run: {}",
                    error.report()
                ));
            }
            true
        }
        Err(error) => {
            tracing::warn!(error = %error.report(), "deployments cannot be checked");
            false
        }
    }
}

/// Ends at Ctrl-C or SIGTERM. They are heard from the call on, not only once this is polled, so that
/// what says that it serves can be stopped then.
pub fn stop_signal() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let mut signals: Vec<_> = {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        kinds.map(signal).into_iter().flatten().collect()
    };
    async move {
        #[cfg(unix)]
        if !signals.is_empty() {
            let heard = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
            futures::future::select_all(heard).await;
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
