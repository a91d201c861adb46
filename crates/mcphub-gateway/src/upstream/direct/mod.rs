//! Plain HTTP/1.1 to servers that nothing stands before: neither TLS nor a proxy.
//!
//! A connection has no task of its own. Whoever asks polls it, so that a request crosses no channel
//! and wakes nobody, which is half of what a general client costs. All else, redirects among it, is
//! the part of whoever asks.

mod body;
mod idle;
mod line;
mod origin;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::http::Uri;
use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::lookup_host;
use tower::Service;
use url::{Position, Url};

use crate::upstream::cause;
use crate::upstream::native::is_public;

pub(crate) use self::body::Body;
use self::idle::Idle;
pub(crate) use self::origin::Origin;

/// Those of reqwest.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 3;
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There was no connection, so that nothing was sent.
    Unreached(BoxError),
    /// There was no connection in time.
    Late,
    /// The connection broke before there was an answer.
    Broken(hyper::Error),
}

impl Failed {
    /// Whether there was no connection, so that the server saw nothing of the request.
    pub(crate) fn is_connect(&self) -> bool {
        !matches!(self, Self::Broken(_))
    }

    /// What is at the bottom of it, in a few words.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Unreached(error) => cause(&**error),
            Self::Late => "it took too long to connect".to_owned(),
            Self::Broken(error) => cause(error),
        }
    }
}

/// Connections by origin. A clone shares them.
#[derive(Clone)]
pub(crate) struct Direct(Arc<Inner>);

struct Inner {
    connector: HttpConnector<Resolver>,
    connect_timeout: Duration,
    max_idle: usize,
    /// `None` where no proxy is asked.
    proxies: Option<Matcher>,
    /// By host and port; `None` for those behind a proxy. As many as there are servers.
    origins: Mutex<HashMap<Box<str>, Option<Arc<Origin>>, ahash::RandomState>>,
}

impl Direct {
    /// Connections that are made within this time; while they are not in use, at most `max_idle` are
    /// kept for each origin, each for 90 s. With `public_only`, names lead to public
    /// addresses alone, and no proxy is asked, which would resolve them elsewhere.
    pub(crate) fn new(connect_timeout: Duration, max_idle: usize, public_only: bool) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Resolver { public_only });
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEP_ALIVE));
        connector.set_keepalive_interval(Some(KEEP_ALIVE));
        connector.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(USER_TIMEOUT));
        Self(Arc::new(Inner {
            connector,
            connect_timeout,
            max_idle,
            proxies: (!public_only).then(Matcher::from_system),
            origins: Mutex::default(),
        }))
    }

    /// Where a URL leads, if it can be asked from here: by plain HTTP, without a proxy, and without
    /// user and password in it.
    pub(crate) fn origin(&self, url: &Url) -> Option<Arc<Origin>> {
        if url.scheme() != "http" || !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let origins = &self.0.origins;
        let mut origins = origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = origins.get(authority) {
            return known.clone();
        }
        // Those of servers that are gone.
        origins.retain(|_, origin| {
            let unused = |origin: &Arc<Origin>| Arc::strong_count(origin) == 1 && origin.is_idle();
            !origin.as_ref().is_some_and(unused)
        });
        let made = self.made(authority);
        origins.insert(authority.into(), made.clone());
        made
    }

    fn made(&self, authority: &str) -> Option<Arc<Origin>> {
        let uri: Uri = format!("http://{authority}/").parse().ok()?;
        let proxies = self.0.proxies.as_ref();
        if proxies.is_some_and(|proxies| proxies.intercept(&uri).is_some()) {
            return None;
        }
        let connector = self.0.connector.clone();
        let idle = Idle::new(self.0.max_idle);
        Origin::new(authority, uri, connector, self.0.connect_timeout, idle).map(Arc::new)
    }
}

/// The target of a request for a URL (RFC 9112, 3.2.1). `None` for one with characters that a
/// request line cannot hold.
pub(crate) fn target(url: &Url) -> Option<Uri> {
    Uri::try_from(&url[Position::BeforePath..Position::AfterQuery]).ok()
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct")
            .field("connect_timeout", &self.0.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Resolves names as the system does. The connection is made to an address that was looked at, so
/// that a name cannot change between the two.
#[derive(Debug, Clone)]
struct Resolver {
    public_only: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<std::net::SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let public_only = self.public_only;
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let found: Vec<_> = found
                .filter(|address| !public_only || is_public(address.ip()))
                .collect();
            if found.is_empty() && public_only {
                return Err("its address is private, and calls to those are refused".into());
            }
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            Ok(found.into_iter())
        })
    }
}
