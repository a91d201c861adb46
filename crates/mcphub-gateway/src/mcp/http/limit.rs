//! How often one client may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use mcphub_core::shared::{Decision, Rate, RateLimiter};

use super::{HEALTH, Refusal, bearer};
use crate::auth::Seen;
use crate::gateway::Inner;
use crate::listener::ClientAddress;
use crate::mcp::error::RpcError;

/// What every proxy adds the address to that it was called from.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A rate for each client, and who counts.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) rate: Rate,
    pub(crate) limiter: Arc<dyn RateLimiter>,
}

/// Lets a request on, or answers 429 with `Retry-After` (RFC 6585 section 4), before its body is read.
/// Whoever was let in lately counts as who they are, so that those behind one address do not count
/// together; all others count by their address, before anybody is asked who they are.
pub(super) async fn within(
    State(gateway): State<Arc<Inner>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    // A probe shows no key, and asks nobody anything.
    if request.uri().path() == HEALTH && !headers.contains_key(header::AUTHORIZATION) {
        return next.run(request).await;
    }
    let (peer, seen) = (peer(&request), bearer::seen(&gateway, headers));
    match exceeded(&gateway, peer, headers, seen.as_ref()).await {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Counts a request. Its answer, where it is one too many.
pub(super) async fn exceeded(
    gateway: &Inner,
    peer: Option<ClientAddress>,
    headers: &HeaderMap,
    seen: Option<&Seen>,
) -> Option<Response> {
    let limit = gateway.limit.as_ref()?;
    let key = match seen.and_then(Seen::known) {
        Some(who) => format!("principal {}", who.id),
        None => key(peer.map(|peer| origin(gateway, peer, headers))),
    };
    match limit.limiter.take(&key, limit.rate).await {
        Ok(Decision::Limited { retry_after }) => {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            Some(gateway.metrics.answered(refuse(seconds)))
        }
        Ok(Decision::Allowed { .. }) => None,
        Err(error) => {
            // A limit protects the service; one that does not work must not end it.
            tracing::warn!(error = %error.report(), "requests are let in uncounted");
            None
        }
    }
}

fn refuse(seconds: u64) -> Response {
    let message = format!("Too many requests; try again in {seconds} s");
    let mut response = Refusal::from(RpcError::refused(429, message)).into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Whom a request comes from, if the host tells.
pub(crate) fn address(gateway: &Inner, request: &Request) -> Option<IpAddr> {
    Some(origin(gateway, peer(request)?, request.headers()))
}

fn peer(request: &Request) -> Option<ClientAddress> {
    let ConnectInfo(peer) = request.extensions().get()?;
    Some(*peer)
}

fn origin(gateway: &Inner, peer: ClientAddress, headers: &HeaderMap) -> IpAddr {
    client(peer.ip(), headers, &gateway.settings.trusted_proxies)
}

/// Whom a request comes from: the last address on its way that is no trusted proxy.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    let mut nearest = peer.to_canonical();
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    for hop in hops {
        if !is_trusted(nearest) {
            break;
        }
        // What is no address was not written by a proxy that is to be believed.
        let Some(ip) = hop_address(hop.trim()) else {
            break;
        };
        nearest = ip.to_canonical();
    }
    nearest
}

/// Some proxies add a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let with_port = || {
        hop.parse()
            .ok()
            .map(|address: std::net::SocketAddr| address.ip())
    };
    hop.parse().ok().or_else(with_port)
}

/// What is counted together: an IPv4 address, or the network of 64 bits that one customer of IPv6
/// has. Without an address all clients count as one.
pub(crate) fn key(client: Option<IpAddr>) -> String {
    match client {
        Some(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("client {}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Some(ip) => format!("client {ip}"),
        None => "clients".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        for (peer, forwarded, client) in [
            ("203.0.113.1", &[][..], "203.0.113.1"),
            ("203.0.113.1", &["198.51.100.9"], "203.0.113.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.9"], "198.51.100.9"),
            ("::ffff:10.0.0.1", &["198.51.100.9"], "198.51.100.9"),
            (
                "10.0.0.1",
                &["1.1.1.1, 198.51.100.9, 10.9.9.9"],
                "198.51.100.9",
            ),
            (
                "10.0.0.1",
                &["1.1.1.1", "198.51.100.9", "10.9.9.9"],
                "198.51.100.9",
            ),
            ("10.0.0.1", &["198.51.100.9, junk"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.9:443"], "198.51.100.9"),
            ("fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
        ] {
            assert_eq!(seen(peer, forwarded), client, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_client() {
        let key = |ip: &str| key(Some(ip.parse().unwrap()));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("203.0.113.1"), key("203.0.113.2"));
    }
}
