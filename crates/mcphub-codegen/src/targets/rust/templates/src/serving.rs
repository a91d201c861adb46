//! The server over stdio and over streamable HTTP, in both eras of the protocol.

use std::error::Error;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rmcp::ServiceExt;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::signal;

use crate::about::NAME;
use crate::server::Server;
use crate::settings::Settings;

/// The largest message that is read over HTTP, in bytes.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// The longest message that is read over stdio, in bytes. A longer one is dropped.
pub const MAX_LINE: usize = 10 * 1024 * 1024;
/// How long calls may go on once the process is told to stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// Serves one client over standard input and output until its end closes.
pub async fn stdio(server: Server) -> Result<(), Box<dyn Error + Send + Sync>> {
    let (input, output) = rmcp::transport::stdio();
    let transport = AsyncRwTransport::new(input, output).with_max_line_length(MAX_LINE);
    server.serve(transport).await?.waiting().await?;
    Ok(())
}

/// Serves clients at `/mcp` until the process is told to stop; `/healthz` answers while it does.
pub async fn http(server: Server, settings: &Settings) -> io::Result<()> {
    let host = settings.host.as_str();
    let listener = TcpListener::bind((host, settings.port)).await?;
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let port = settings.port;
    eprintln!("{NAME}: serving MCP at http://{host}:{port}/mcp");
    let serving = serve(listener, router(server, settings), stopped());
    tokio::select! {
        result = serving => result,
        () = async { stopped().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// Serves clients on a listener until `stop` is done and the calls that go on are, too.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

/// What HTTP serves. On a loopback address it checks `Host` and `Origin` (DNS rebinding).
pub fn router(server: Server, settings: &Settings) -> Router {
    // No state in the process: any number of copies can stand behind a load balancer.
    let mut config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(MAX_MESSAGE);
    if matches!(settings.host.as_str(), "127.0.0.1" | "::1" | "localhost") {
        let origins = ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .flat_map(|host| [format!("http://{host}:*"), format!("https://{host}:*")]);
        config = config.with_allowed_origins(origins);
    } else {
        config = config.disable_allowed_hosts();
    }
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    let mut router = Router::new().route_service("/mcp", service);
    if let Some(token) = settings.server_token.clone() {
        router = router.layer(middleware::from_fn_with_state(token, admit));
    }
    router.route("/healthz", get(|| async { "ok" }))
}

/// Lets a request in that shows the token. The comparison takes as long whatever is shown.
async fn admit(State(token): State<SecretString>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION);
    let shown = shown.map_or(&[][..], |value| value.as_bytes());
    let expected = format!("Bearer {}", token.expose_secret());
    let digests = [shown, expected.as_bytes()].map(Sha256::digest);
    let [shown, expected] = digests.each_ref().map(|digest| digest.as_slice());
    if shown.ct_eq(expected).into() {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "Unauthorized").into_response()
}

/// Waits until the process is told to stop.
async fn stopped() {
    let interrupted = async {
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        let terminated = async {
            match signal::unix::signal(signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => drop(signal.recv().await),
                Err(_) => std::future::pending::<()>().await,
            }
        };
        tokio::select! {
            () = interrupted => {}
            () = terminated => {}
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}
