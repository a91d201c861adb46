//! Where an MCP server says that its tokens come from (RFC 9728; MCP 2026-07-28, Authorization).

use http_auth::{ChallengeParser, ChallengeRef};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::metadata::Metadata;
use super::server::{Failure, Server};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The longest challenge that is read, in bytes.
const MAX_CHALLENGE: usize = 8 * 1024;

/// What every server answers, and what does nothing: one that wants a token says so before.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Where tokens for an MCP server come from.
#[derive(Debug)]
pub(super) struct Protected {
    pub(super) metadata: Metadata,
    /// What the tokens are for (RFC 8707).
    pub(super) resource: String,
    /// What to ask for where nobody chose, separated by spaces (MCP 2026-07-28, Scope Selection
    /// Strategy).
    pub(super) scopes: Option<String>,
}

/// RFC 9728, 2, as far as it is used here.
#[derive(Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    scopes_supported: Option<Vec<String>>,
}

/// What a server wants from who has no token (RFC 6750, 3; RFC 9728, 5.1).
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    metadata_url: Option<String>,
    scopes: Option<String>,
}

impl Server<'_> {
    /// Where tokens come from for the MCP server at the base URL: from this issuer, else from the
    /// first authorization server that it names, else, of a server from before it named any (MCP
    /// 2025-03-26), from its own origin.
    pub(super) async fn protected(&self, issuer: Option<&Url>) -> Result<Protected, Failure> {
        let challenge = self.challenge().await;
        let described = self.resource(&challenge).await?;
        let supported = described
            .as_ref()
            .and_then(|it| it.scopes_supported.as_ref());
        let supported = supported.map(|scopes| scopes.join(" "));
        let scopes = challenge.scopes.or(supported);
        let named = described
            .as_ref()
            .and_then(|it| it.authorization_servers.first());
        let issuer = match (issuer, named) {
            (Some(issuer), _) => issuer.clone(),
            (None, Some(named)) => self.url(named, "authorization server")?,
            (None, None) => origin(self.base_url),
        };
        let resource = described.map_or_else(|| canonical(self.base_url), |it| it.resource);
        Ok(Protected {
            metadata: self.of_issuer(&issuer).await?,
            resource,
            scopes: scopes.filter(|scopes| !scopes.trim().is_empty()),
        })
    }

    /// What the server wants from who shows nothing. One that cannot be asked wants nothing.
    async fn challenge(&self) -> Challenge {
        let Ok(http) = self.http.http().await else {
            return Challenge::default();
        };
        let request = http
            .post(self.base_url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .body(PING);
        match timeout(self.http.settings.timeout, request.send()).await {
            Ok(Ok(answer)) => Challenge::read(answer.headers()),
            _ => Challenge::default(),
        }
    }

    /// What the server says of itself; `None` of one that says nothing.
    async fn resource(&self, challenge: &Challenge) -> Result<Option<Resource>, Failure> {
        let places = match &challenge.metadata_url {
            Some(url) => vec![self.url(url, "URL of the server's description")?],
            None => well_known(self.base_url),
        };
        for url in places {
            match self.get::<Resource>(&url).await {
                // RFC 9728, 3.3: otherwise one server could have the tokens of another.
                Ok(found) if is_about(&found.resource, self.base_url) => return Ok(Some(found)),
                Ok(_) => {
                    return Err(Failure::new(
                        "the MCP server's description is about another server",
                    ));
                }
                Err(why) if challenge.metadata_url.is_some() => return Err(why),
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

impl Challenge {
    fn read(headers: &HeaderMap) -> Self {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let values = values.filter(|value| value.len() <= MAX_CHALLENGE);
        let mut found = values.filter_map(|value| {
            let mut challenges = ChallengeParser::new(value).map_while(Result::ok);
            challenges.find_map(|challenge| Self::of(&challenge))
        });
        found.next().unwrap_or_default()
    }

    fn of(challenge: &ChallengeRef<'_>) -> Option<Self> {
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let value = |name: &str| {
            let mut params = challenge.params.iter();
            let found = params.find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        Some(Self {
            metadata_url: value("resource_metadata"),
            scopes: value("scope"),
        })
    }
}

/// Whether an answer says where tokens come from (RFC 9728, 5.1).
pub(in crate::upstream) fn is_challenged(headers: &HeaderMap) -> bool {
    Challenge::read(headers).metadata_url.is_some()
}

/// The places of a server's description, in the order in which they are asked.
fn well_known(server: &Url) -> Vec<Url> {
    let at = |path: &str| {
        let mut url = origin(server);
        url.set_path(path);
        url
    };
    let path = server.path().trim_end_matches('/');
    let mut places = vec![at(&format!("{WELL_KNOWN}{path}"))];
    if !path.is_empty() {
        places.push(at(WELL_KNOWN));
    }
    places
}

fn origin(server: &Url) -> Url {
    let mut url = canonical_url(server);
    url.set_path("");
    url
}

/// The name of a server as a resource (MCP 2026-07-28, Canonical Server URI).
fn canonical(server: &Url) -> String {
    let url = canonical_url(server);
    match url.path() {
        "/" => url.as_str().trim_end_matches('/').to_owned(),
        _ => url.into(),
    }
}

fn canonical_url(server: &Url) -> Url {
    let mut url = server.clone();
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// Whether a resource is this server, or one that it is a part of.
fn is_about(resource: &str, server: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else {
        return false;
    };
    let whole = |url: &Url| format!("{}/", url.path().trim_end_matches('/'));
    resource.origin() == server.origin() && whole(server).starts_with(&whole(&resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_description_is_about_the_server_or_what_it_is_a_part_of() {
        let server = url("https://a.test/x/mcp");
        for resource in [
            "https://a.test/x/mcp",
            "https://a.test/x/mcp/",
            "https://a.test/x",
            "https://a.test",
        ] {
            assert!(is_about(resource, &server), "{resource}");
        }
        for resource in [
            "https://b.test/x/mcp",
            "https://a.test/x/mcp/y",
            "https://a.test/x/mc",
            "http://a.test/x/mcp",
            "mcp",
        ] {
            assert!(!is_about(resource, &server), "{resource}");
        }
    }

    #[test]
    fn a_server_is_described_at_its_path_and_at_the_root() {
        let places = |text: &str| -> Vec<String> {
            let places = well_known(&url(text)).into_iter();
            places.map(String::from).collect()
        };
        let root = "https://a.test/.well-known/oauth-protected-resource";
        assert_eq!(places("https://a.test/?key=s3cret"), [root]);
        assert_eq!(
            places("https://a.test/x/mcp"),
            [format!("{root}/x/mcp"), root.to_owned()]
        );
        assert_eq!(canonical(&url("https://A.test/?k=1")), "https://a.test");
        assert_eq!(canonical(&url("https://a.test/mcp")), "https://a.test/mcp");
    }

    #[test]
    fn a_challenge_is_read_from_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=\"x\"".parse().unwrap());
        let bearer = "Bearer error=\"invalid_token\", scope=\"a b\", \
                      resource_metadata=\"https://a.test/m\"";
        headers.append(WWW_AUTHENTICATE, bearer.parse().unwrap());
        assert!(is_challenged(&headers));
        let challenge = Challenge::read(&headers);
        assert_eq!(challenge.scopes.as_deref(), Some("a b"));
        for other in ["Bearer", "Bearer realm=x", "Basic", "\u{7f}"] {
            let mut headers = HeaderMap::new();
            if let Ok(value) = other.parse() {
                headers.append(WWW_AUTHENTICATE, value);
            }
            assert_eq!(Challenge::read(&headers), Challenge::default(), "{other}");
        }
    }
}
