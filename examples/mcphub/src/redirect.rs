//! Where a browser comes back to after a login: a URL of this machine's loopback (RFC 8252, 7.3).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::Hosts;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

/// How long a person is waited for.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the page that ends a login may take to reach the browser.
const FAREWELL: Duration = Duration::from_secs(2);
/// The longest answer that is read, in bytes.
const MAX_QUERY: usize = 16 * 1024;

const DONE: &str = "<!doctype html><title>mcphub</title><p>You can close this window: mcphub goes on where you started it.";
const STRANGE: &str = "<!doctype html><title>mcphub</title><p>This is not the login that mcphub waits for. Open the address that it printed.";

/// A listener on loopback.
#[derive(Debug)]
pub struct Redirect {
    listener: TcpListener,
    url: Url,
}

type IsOurs = Arc<dyn Fn(&str) -> bool + Send + Sync>;

#[derive(Clone)]
struct Waiting {
    is_ours: IsOurs,
    answers: mpsc::Sender<String>,
}

impl Redirect {
    /// Listens; at any free port for 0.
    ///
    /// # Errors
    /// `Conflict` when the port is in use.
    pub async fn bind(port: u16) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let taken = |error: std::io::Error| {
            Error::new(
                ErrorKind::Conflict,
                "the port to which the browser would come back cannot be had",
            )
            .with("port", port)
            .caused_by(error)
        };
        let listener = TcpListener::bind(address).await.map_err(taken)?;
        let port = listener.local_addr().map_err(taken)?.port();
        let url = format!("http://127.0.0.1:{port}/callback");
        let url = Url::parse(&url)
            .map_err(|error| Error::internal("a loopback URL is no URL").caused_by(error))?;
        Ok(Self { listener, url })
    }

    /// Where the browser comes back to.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The query with which the browser comes back, at most ten minutes later. Whatever else asks
    /// here is told that it is not meant.
    ///
    /// # Errors
    /// `Timeout` when nobody comes.
    pub async fn answer(self, is_ours: IsOurs) -> Result<String> {
        let (answers, mut answer) = mpsc::channel(1);
        let router = Router::new()
            .route("/callback", get(callback))
            .with_state(Waiting { is_ours, answers });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        // No page gives its own name this address and reads what a browser is sent here with.
        let hosts = Hosts::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &[]);
        let serving =
            axum::serve(self.listener, hosts.guard(router)).with_graceful_shutdown(async {
                let _ = stopped.await;
            });
        let serving = tokio::spawn(serving.into_future());
        let answered = tokio::time::timeout(PATIENCE, answer.recv()).await;
        // The browser is given the time to read that it is done.
        let _ = stop.send(());
        let _ = tokio::time::timeout(FAREWELL, serving).await;
        answered.ok().flatten().ok_or_else(|| {
            Error::new(
                ErrorKind::Timeout,
                "nobody logged in within ten minutes; try again",
            )
        })
    }
}

async fn callback(State(waiting): State<Waiting>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let ours = query.len() <= MAX_QUERY && (waiting.is_ours)(&query);
    let (status, page) = if ours && waiting.answers.try_send(query).is_ok() {
        (StatusCode::OK, DONE)
    } else {
        (StatusCode::BAD_REQUEST, STRANGE)
    };
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONNECTION, "close"),
    ];
    (status, headers, Html(page)).into_response()
}
