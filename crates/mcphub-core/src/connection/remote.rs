//! A server at a URL.

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ChangePolicy, Era, Hedge, Limits, Replica, Zone};
use crate::deployment::Endpoint;
use crate::secret::Credentials;
use crate::{Error, Result};

/// An MCP server at a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Remote {
    /// Without a query: that is a credential, because it often holds a key.
    pub url: Url,
    /// How long a call may take, in seconds, 1 to 3,600. Default the gateway's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<u64>,
    /// The era that it is spoken to in. Default as it answers.
    #[serde(default, skip_serializing_if = "Era::is_auto")]
    pub era: Era,
    /// What becomes of changed tools. Default they are taken over.
    #[serde(default, skip_serializing_if = "ChangePolicy::is_default")]
    pub changes: ChangePolicy,
    /// Where else it answers. Default nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<Replica>,
    /// Where the server at the URL is; see [`Replica::zone`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// When a request goes to a second replica. Default never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// The authorization server whose tokens let in (RFC 8414). Default the one that the server
    /// names, for a person who logs in; a client's secret goes to none but this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Url>,
    /// Whether the calls of each user carry that user's login, and no other. Default all carry the
    /// gateway's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub per_user: bool,
    /// Time-outs, and connections that are kept.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Box<Limits>,
}

impl Remote {
    /// Where it answers, with what is sent in order to be let in.
    pub fn endpoint(&self, credentials: &Credentials) -> Endpoint {
        Self::endpoint_at(&self.url, credentials)
    }

    /// Where its replicas answer, in their order.
    pub fn replica_endpoints(&self, credentials: &Credentials) -> Vec<Endpoint> {
        let replicas = self.replicas.iter();
        replicas
            .map(|replica| Self::endpoint_at(&replica.url, credentials))
            .collect()
    }

    fn endpoint_at(url: &Url, credentials: &Credentials) -> Endpoint {
        let mut url = url.clone();
        if let Some(query) = &credentials.query {
            url.set_query(Some(query.expose_secret()));
        }
        let mut headers = credentials.headers.clone();
        if let Some(token) = &credentials.bearer {
            let value = format!("Bearer {}", token.expose_secret());
            headers.push(("authorization".to_owned(), value.into()));
        }
        Endpoint { url, headers }
    }

    pub(super) fn check(&self) -> Result<()> {
        Self::check_url(&self.url)?;
        self.limits.check()?;
        let issuer = self.issuer.as_ref();
        let is_one = |issuer: &Url| {
            let plain = issuer.query().is_none() && issuer.fragment().is_none();
            let nobody = issuer.username().is_empty() && issuer.password().is_none();
            matches!(issuer.scheme(), "http" | "https") && issuer.has_host() && plain && nobody
        };
        if issuer.is_some_and(|issuer| !is_one(issuer)) {
            return Err(Error::invalid(
                "an issuer is an http(s) URL without a query, such as https://login.example.com",
            ));
        }
        if self.replicas.len() > Replica::MAX {
            return Err(Error::invalid("a server has at most 15 replicas"));
        }
        let mut percent = 0_u32;
        for (at, replica) in self.replicas.iter().enumerate() {
            Self::check_url(&replica.url).map_err(|error| error.with("replica", at + 1))?;
            let before = self.replicas.iter().take(at).map(|it| &it.url);
            if before.chain([&self.url]).any(|url| *url == replica.url) {
                return Err(Error::invalid("two replicas have one URL").with("replica", at + 1));
            }
            percent += u32::from(replica.weight.unwrap_or_default());
            if replica.weight == Some(0) || percent > 100 {
                return Err(Error::invalid(
                    "weights are percentages, each at least 1 and all together at most 100",
                )
                .with("replica", at + 1));
            }
        }
        if self.hedge.is_some() && self.replicas.is_empty() {
            return Err(Error::invalid(
                "a request goes to a second replica only where there is one",
            ));
        }
        Ok(())
    }

    fn check_url(url: &Url) -> Result<()> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::invalid(
                "an MCP server has an http(s) URL, such as https://mcp.example.com/mcp",
            )
            .with("scheme", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid(
                "a URL with a user is not taken, because URLs are shown; give an `Authorization` header",
            ));
        }
        if url.fragment().is_some() || url.query().is_some() {
            return Err(Error::invalid("the URL of an MCP server has no `#…`"));
        }
        Ok(())
    }
}
