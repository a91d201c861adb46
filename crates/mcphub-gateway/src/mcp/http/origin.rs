//! Who may call from a web page (2026-07-28, Streamable HTTP, Security).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use futures::future::Either;
use rmcp::transport::common::http_header::HEADER_SESSION_ID;
use tower::{Layer, Service};
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer};
use url::Url;

use super::Refusal;
use crate::hosts::is_loopback_name;
use crate::mcp::error::RpcError;
use crate::metrics::Metrics;

/// How long a browser may remember that a page may call.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Refuses requests of web pages of other origins with 403: a page must not reach a gateway on the
/// visitor's machine. Browsers are told what pages of allowed origins may send and read (Fetch, CORS
/// protocol).
///
/// A request without `Origin` is of no web page and passes as it is.
#[derive(Clone)]
pub(super) struct OriginLayer(Arc<Pages>);

struct Pages {
    allowed: Vec<String>,
    metrics: Arc<Metrics>,
    cors: CorsLayer,
}

impl OriginLayer {
    /// Loopback pages may call, and those of these origins.
    pub(super) fn new(allowed: &[String], metrics: Arc<Metrics>) -> Self {
        let listed = allowed.to_vec();
        let session = HeaderName::from_bytes(HEADER_SESSION_ID.as_bytes());
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _| {
                is_allowed(origin, &listed)
            }))
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(
                session
                    .into_iter()
                    .chain([header::WWW_AUTHENTICATE])
                    .collect::<Vec<_>>(),
            )
            .max_age(MAX_AGE);
        Self(Arc::new(Pages {
            allowed: allowed.to_vec(),
            metrics,
            cors,
        }))
    }
}

impl<S> Layer<S> for OriginLayer {
    type Service = OriginCheck<S>;

    fn layer(&self, inner: S) -> OriginCheck<S> {
        OriginCheck {
            inner,
            pages: Arc::clone(&self.0),
        }
    }
}

/// The service of [`OriginLayer`].
#[derive(Clone)]
pub(super) struct OriginCheck<S> {
    inner: S,
    pages: Arc<Pages>,
}

type OfPage<S> = <Cors<S> as Service<Request>>::Future;
type Refused = Ready<Result<Response, Infallible>>;

impl<S> Service<Request> for OriginCheck<S>
where
    S: Service<Request, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Either<OfPage<S>, Refused>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let headers = request.headers();
        if !headers.contains_key(header::ORIGIN) {
            return Either::Left(self.inner.call(request));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        Either::Right(
            if origins.all(|origin| is_allowed(origin, &self.pages.allowed)) {
                // The one that is ready is called; its copy stays.
                let copy = self.inner.clone();
                let inner = std::mem::replace(&mut self.inner, copy);
                Either::Left(self.pages.cors.layer(inner).call(request))
            } else {
                let refusal = RpcError::refused(403, "Web pages of this origin may not call");
                let response = Refusal::from(refusal).into_response();
                Either::Right(ready(Ok(self.pages.metrics.answered(response))))
            },
        )
    }
}

fn is_allowed(origin: &HeaderValue, listed: &[String]) -> bool {
    origin
        .to_str()
        .is_ok_and(|origin| is_loopback(origin) || is_listed(origin, listed))
}

fn is_listed(origin: &str, listed: &[String]) -> bool {
    listed
        .iter()
        .any(|listed| listed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

fn is_loopback(origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(is_loopback_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_pages_and_listed_ones_may_call() {
        for origin in [
            "http://localhost:5173",
            "https://127.0.0.1",
            "http://[::1]:80",
            "http://app.localhost",
        ] {
            assert!(is_loopback(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://localhost.evil.com",
            "http://evil.com",
            "file://",
            "http://127.0.0.1.nip.io",
        ] {
            assert!(!is_loopback(origin), "{origin}");
        }
        let listed = ["https://chat.example.com/".to_owned()];
        assert!(is_listed("https://chat.example.com", &listed));
        assert!(
            !is_listed("https://chat.example.com.evil.com", &listed)
                && !is_listed("http://chat.example.com", &listed)
        );
    }
}
