//! By which names a listener is called: a web page that gives its own name the address of the
//! visitor's machine (DNS rebinding) still says that name (MCP 2026-07-28, Streamable HTTP, Security).

use std::fmt::{Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{self, StatusCode, Version, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use mcphub_core::{Error, Result};
use serde::Deserialize;
use url::Url;

use crate::settings::GatewaySettings;

/// A name under which requests may come: `hub.example.com` or `[2001:db8::1]` with any port,
/// `hub.example.com:8443` with that one, or `*` for all names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowedHost(Allowed);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Any,
    Named { host: Box<str>, port: Option<u16> },
}

impl AllowedHost {
    /// The host of a URL or of a web origin, with any port: a proxy may be at another one.
    /// `None` for one that has no host.
    pub fn of(url: &Url) -> Option<Self> {
        url.host_str()?.parse().ok()
    }

    fn is(&self, asked: &str, by: Option<u16>) -> bool {
        match &self.0 {
            Allowed::Any => true,
            Allowed::Named { host, port } => {
                host.eq_ignore_ascii_case(asked) && (port.is_none() || *port == by)
            }
        }
    }
}

impl FromStr for AllowedHost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self(Allowed::Any));
        }
        let named = split(text).filter(|(host, _)| !host.contains('*'));
        let (host, port) = named.ok_or_else(|| {
            Error::invalid("a host is NAME or NAME:PORT, such as hub.example.com, or * for any")
                .with("host", text)
        })?;
        let host = host.into();
        Ok(Self(Allowed::Named { host, port }))
    }
}

impl TryFrom<String> for AllowedHost {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// Which hosts requests to one listener may name. Each names exactly one (RFC 9110, 7.2; RFC 9112,
/// 3.2), in `Host` or, where it has one, in its target: `:authority` of HTTP/2 (RFC 9113, 8.3.1).
#[derive(Debug, Clone)]
pub struct Hosts {
    /// Whether only these are allowed, and names of loopback.
    limited: bool,
    allowed: Arc<[AllowedHost]>,
}

impl Hosts {
    /// At an address of loopback, names of loopback and these. Elsewhere these and names of loopback
    /// where some are given, and else any: who reaches such a listener is not told by a name.
    pub fn at(address: SocketAddr, allowed: &[AllowedHost]) -> Self {
        Self {
            limited: is_loopback_address(address) || !allowed.is_empty(),
            allowed: allowed.into(),
        }
    }

    /// Those of a gateway's endpoint. Of a listener that is not known: none is taken for loopback.
    pub(crate) fn of_endpoint(settings: &GatewaySettings, address: Option<SocketAddr>) -> Self {
        let origins = settings.allowed_origins.iter();
        let origins = origins.filter_map(|origin| AllowedHost::of(&Url::parse(origin).ok()?));
        let public = settings.public_url.as_ref().and_then(AllowedHost::of);
        let named = settings.allowed_hosts.iter().cloned();
        Self {
            limited: address.is_some_and(is_loopback_address) || !settings.allowed_hosts.is_empty(),
            allowed: named.chain(public).chain(origins).collect(),
        }
    }

    /// Those of a listener for operators: scrapers call one beyond loopback by its address.
    pub(crate) fn of_operators(settings: &GatewaySettings, address: Option<SocketAddr>) -> Self {
        Self {
            limited: address.is_some_and(is_loopback_address),
            ..Self::of_endpoint(settings, address)
        }
    }

    /// The service where a request is for this listener; else a text says why not.
    pub fn guard(self, service: Router) -> Router {
        service.layer(from_fn(move |request: Request, next: Next| {
            let checked = self.check(&request);
            async move {
                match checked {
                    Ok(()) => next.run(request).await,
                    Err(why) => (why.status(), why.text()).into_response(),
                }
            }
        }))
    }

    /// Whether a request is for this listener.
    ///
    /// # Errors
    /// [`NotHere`] says how it is answered.
    pub fn check<B>(&self, request: &http::Request<B>) -> Result<(), NotHere> {
        let mut named = request.headers().get_all(header::HOST).iter();
        let (first, second) = (named.next(), named.next());
        if second.is_some() {
            return Err(NotHere::Unclear);
        }
        let first = first.map(|host| host.to_str().map_err(|_| NotHere::Unclear));
        let first = first.transpose()?;
        let target = request.uri().authority().map(|target| target.as_str());
        let host = match (target, first, request.version()) {
            // Only its target counts (RFC 9112, 3.2.2), but a `Host` is there all the same.
            (Some(target), Some(_), Version::HTTP_10 | Version::HTTP_11) => target,
            (Some(target), None, Version::HTTP_10) => target,
            (Some(target), Some(host), _) if target.eq_ignore_ascii_case(host) => target,
            (Some(target), None, version) if version > Version::HTTP_11 => target,
            (None, Some(host), _) => host,
            (None, None, Version::HTTP_10) if !self.limited => return Ok(()),
            _ => return Err(NotHere::Unclear),
        };
        let (host, port) = split(host).ok_or(NotHere::Unclear)?;
        let is_allowed = !self.limited
            || is_loopback_name(host)
            || self.allowed.iter().any(|allowed| allowed.is(host, port));
        if is_allowed {
            Ok(())
        } else {
            Err(NotHere::Another)
        }
    }
}

/// Why a request is not for a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotHere {
    /// It names no host, several, or what is none.
    Unclear,
    /// It names a host that is not allowed.
    Another,
}

impl NotHere {
    /// 400 or 403.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unclear => StatusCode::BAD_REQUEST,
            Self::Another => StatusCode::FORBIDDEN,
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unclear => "A request has exactly one valid Host",
            Self::Another => {
                "This host is not served here. `allowed_hosts` or `--allow-host` allows another \
                 name, such as that of a proxy"
            }
        }
    }
}

impl Display for NotHere {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for NotHere {}

/// Whether a name always leads to the machine of whoever uses it (RFC 6761, 6.3).
pub(crate) fn is_loopback_name(host: &str) -> bool {
    const DOMAIN: &str = ".localhost";
    if host == "127.0.0.1" || host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    if let Some(literal) = host.strip_prefix('[') {
        let address = literal.trim_end_matches(']').parse::<Ipv6Addr>();
        return address.is_ok_and(|address| address.is_loopback());
    }
    let end = host.len().checked_sub(DOMAIN.len());
    let end = end.and_then(|at| host.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(DOMAIN))
        || host.parse::<Ipv4Addr>().is_ok_and(|it| it.is_loopback())
}

fn is_loopback_address(address: SocketAddr) -> bool {
    IpAddr::is_loopback(&address.ip().to_canonical())
}

/// The host, without the dot of a name's root, and the port of `uri-host [":" port]` (RFC 9110, 7.2).
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at_checked(end)?;
    let is_host = match host.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']')?.parse::<Ipv6Addr>().is_ok(),
        None => host.bytes().all(is_name_byte),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if !is_host || host.is_empty() {
        return None;
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, None)),
        Some("") => Some((host, None)),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, Some(digits.parse().ok()?)))
        }
        _ => None,
    }
}

/// What a `reg-name` is made of (RFC 3986, 3.2.2).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, allowed: &[&str]) -> Hosts {
        let allowed: Vec<_> = allowed.iter().map(|it| it.parse().unwrap()).collect();
        Hosts::at(address.parse().unwrap(), &allowed)
    }

    fn asked(hosts: &Hosts, version: Version, target: &str, named: &[&str]) -> Option<NotHere> {
        let mut request = http::Request::builder().version(version).uri(target);
        for host in named {
            request = request.header(header::HOST, *host);
        }
        hosts.check(&request.body(()).unwrap()).err()
    }

    fn named(hosts: &Hosts, host: &str) -> Option<NotHere> {
        asked(hosts, Version::HTTP_11, "/mcp", &[host])
    }

    #[test]
    fn at_loopback_only_names_of_loopback_and_given_ones_are_allowed() {
        for address in ["127.0.0.1:8000", "[::1]:8000", "[::ffff:127.0.0.1]:8000"] {
            let hosts = at(
                address,
                &["hub.example.com", "API.test.:81", "[2001:DB8::1]"],
            );
            for host in [
                "localhost",
                "LocalHost:1",
                "localhost.",
                "127.0.0.1:8000",
                "127.1.2.3",
                "[::1]:9",
                "a.localhost",
                "hub.example.com:443",
                "HUB.example.com.",
                "api.test:81",
                "[2001:db8::1]:5",
                "localhost:",
            ] {
                assert_eq!(named(&hosts, host), None, "{host}");
            }
            for host in [
                "evil.example",
                "localhost.evil.example",
                "notlocalhost",
                "127.0.0.1.nip.io",
                "hub.example.com.evil.example",
                "x.hub.example.com",
                "api.test",
                "api.test:82",
                "10.0.0.1",
                "[::2]",
                "0.0.0.0",
                "a",
            ] {
                assert_eq!(named(&hosts, host), Some(NotHere::Another), "{host}");
            }
        }
    }

    #[test]
    fn elsewhere_any_host_is_allowed_unless_some_are_given() {
        let open = at("0.0.0.0:8000", &[]);
        assert_eq!(named(&open, "evil.example"), None);
        let given = at("192.0.2.1:8000", &["hub.example.com"]);
        assert_eq!(named(&given, "evil.example"), Some(NotHere::Another));
        assert_eq!(named(&given, "hub.example.com"), None);
        assert_eq!(named(&given, "localhost:8000"), None);
        assert_eq!(named(&at("127.0.0.1:1", &["*"]), "evil.example"), None);
    }

    #[test]
    fn a_request_without_exactly_one_valid_host_is_unclear() {
        for hosts in [at("127.0.0.1:8000", &[]), at("0.0.0.0:8000", &[])] {
            let unclear = |named: &[&str]| {
                let found = asked(&hosts, Version::HTTP_11, "/mcp", named);
                assert_eq!(found, Some(NotHere::Unclear), "{named:?}");
            };
            unclear(&[]);
            unclear(&["localhost", "localhost"]);
            for host in [
                "",
                ":80",
                ".",
                "a b",
                "a/b",
                "u@localhost",
                "localhost:x",
                "localhost:70000",
                "localhost:1:2",
                "[::1",
                "[::1]x",
                "[evil]",
                "::1",
                "localhost,evil.example:1x",
            ] {
                unclear(&[host]);
            }
        }
    }

    #[test]
    fn what_the_target_names_counts_before_host() {
        let hosts = at("127.0.0.1:8000", &[]);
        let (evil, ours) = ("http://evil.example/mcp", "http://localhost/mcp");
        for (version, target, host, found) in [
            (
                Version::HTTP_11,
                evil,
                Some("localhost"),
                Some(NotHere::Another),
            ),
            (Version::HTTP_11, ours, Some("evil.example"), None),
            (Version::HTTP_11, ours, None, Some(NotHere::Unclear)),
            (Version::HTTP_2, evil, None, Some(NotHere::Another)),
            (Version::HTTP_2, ours, None, None),
            (Version::HTTP_2, ours, Some("localhost"), None),
            (
                Version::HTTP_2,
                ours,
                Some("evil.example"),
                Some(NotHere::Unclear),
            ),
            (Version::HTTP_2, "/mcp", Some("localhost"), None),
            (Version::HTTP_2, "/mcp", None, Some(NotHere::Unclear)),
        ] {
            let named: Vec<_> = host.into_iter().collect();
            assert_eq!(
                asked(&hosts, version, target, &named),
                found,
                "{version:?} {target} {host:?}"
            );
        }
    }

    #[test]
    fn http_1_0_may_name_none_where_any_is_allowed() {
        let ask = |hosts| asked(&hosts, Version::HTTP_10, "/mcp", &[]);
        assert_eq!(ask(at("0.0.0.0:8000", &[])), None);
        assert_eq!(ask(at("127.0.0.1:8000", &[])), Some(NotHere::Unclear));
    }

    #[test]
    fn what_is_no_host_is_not_taken_as_one() {
        for text in ["", "https://hub.example.com", "*.example.com", "a:b", "u@a"] {
            assert!(text.parse::<AllowedHost>().is_err(), "{text}");
        }
    }
}
