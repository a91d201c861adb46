//! Who may call from a web page (2026-07-28, Streamable HTTP, Security).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rmcp::transport::common::http_header::HEADER_SESSION_ID;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use url::{Host, Url};

use super::Refusal;
use crate::gateway::Inner;
use crate::mcp::error::RpcError;

/// How long a browser may remember that a page may call.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Refuses requests of web pages of other origins with 403: a page must not reach a gateway on the
/// visitor's machine, also not by giving its own name that machine's address.
pub(super) async fn check(
    State(gateway): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    if origins.all(|origin| is_allowed(origin, &gateway.settings.allowed_origins)) {
        return next.run(request).await;
    }
    Refusal::from(RpcError::refused(
        403,
        "Web pages of this origin may not call",
    ))
    .into_response()
}

/// Tells browsers what pages of allowed origins may send and read (Fetch, CORS protocol).
pub(super) fn cors(allowed: &[String]) -> CorsLayer {
    let allowed = allowed.to_vec();
    let session = HeaderName::from_bytes(HEADER_SESSION_ID.as_bytes());
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            is_allowed(origin, &allowed)
        }))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(session.into_iter().collect::<Vec<_>>())
        .max_age(MAX_AGE)
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
    let Ok(url) = Url::parse(origin) else {
        return false;
    };
    let host = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    host && matches!(url.scheme(), "http" | "https")
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
