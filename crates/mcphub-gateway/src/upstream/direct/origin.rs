//! One server, by its host and port.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, Entry, HOST};
use axum::http::{HeaderValue, Request, Response, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::{sleep, timeout};
use tower::Service;

use super::body::Body;
use super::idle::Idle;
use super::line::{Line, Payload};
use super::{Failed, Resolver};

/// A server that is asked directly.
pub(crate) struct Origin {
    /// Its host and port.
    host: HeaderValue,
    uri: Uri,
    connector: HttpConnector<Resolver>,
    connect_timeout: Duration,
    idle: Arc<Idle>,
}

impl Origin {
    pub(super) fn new(
        authority: &str,
        uri: Uri,
        connector: HttpConnector<Resolver>,
        connect_timeout: Duration,
        idle: Idle,
    ) -> Option<Self> {
        Some(Self {
            host: HeaderValue::from_str(authority).ok()?,
            uri,
            connector,
            connect_timeout,
            idle: Arc::new(idle),
        })
    }

    /// Whether none of its connections waits.
    pub(super) fn is_idle(&self) -> bool {
        self.idle.is_empty()
    }

    /// Sends a request, whose URI is the target of [`super::target`], up to the head of its answer.
    /// `Host` and `Accept-Encoding` are added, and the body is decoded as the latter says. Whoever
    /// drops the future or the body before its end closes the connection, and sets the time for all but
    /// connecting. Where there is no connection, it is tried once more after `again`, if that is given.
    ///
    /// # Errors
    /// That of a connection which was kept and turns out to be closed is not told while nothing of the
    /// request was sent: the request goes by another one.
    pub(crate) async fn send(
        &self,
        mut request: Request<Payload>,
        again: Option<Duration>,
    ) -> Result<Response<Body>, Failed> {
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        if let Entry::Vacant(entry) = headers.entry(ACCEPT_ENCODING) {
            entry.insert(HeaderValue::from_static("gzip,br"));
        }
        loop {
            let kept = self.idle.take();
            let was_kept = kept.is_some();
            let mut line = match kept {
                Some(line) => line,
                // Boxed, because most requests find a connection.
                None => Box::pin(self.reach(again)).await?,
            };
            match line.exchange(request).await {
                Ok(answer) => return Ok(Body::of(answer, line, &self.idle)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_kept => request = unsent,
                    _ => return Err(Failed::Broken(error.into_error())),
                },
            }
        }
    }

    async fn reach(&self, again: Option<Duration>) -> Result<Box<Line>, Failed> {
        match (self.connect().await, again) {
            (Err(Failed::Unreached(_) | Failed::Late), Some(pause)) => {
                sleep(pause).await;
                self.connect().await
            }
            (connected, _) => connected,
        }
    }

    async fn connect(&self) -> Result<Box<Line>, Failed> {
        let stream = self.connector.clone().call(self.uri.clone());
        let stream = timeout(self.connect_timeout, stream).await;
        let stream = stream
            .map_err(|_| Failed::Late)?
            .map_err(|error| Failed::Unreached(error.into()))?;
        let line = Line::new(stream).await.map_err(Failed::Broken)?;
        Ok(Box::new(line))
    }
}
