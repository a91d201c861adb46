//! What an authorization server says of itself (RFC 8414; OpenID Connect Discovery 1.0).

use mcphub_core::spec::SecurityScheme;
use serde::Deserialize;
use url::Url;

use super::server::{Failure, Server};

const OPENID: &str = ".well-known/openid-configuration";
const OAUTH: &str = ".well-known/oauth-authorization-server";

/// RFC 8414, 2, as far as it is used here.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    /// Who it is.
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    /// RFC 8628, 4.
    pub(super) device_authorization_endpoint: Option<String>,
    /// Whether it says who it is when it sends a person back (RFC 9207, 3).
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    /// RFC 7636, as RFC 8414 has it; absent where the server does not say.
    pub(super) code_challenge_methods_supported: Option<Vec<String>>,
    /// Where clients register themselves (RFC 7591).
    pub(super) registration_endpoint: Option<String>,
    #[serde(default)]
    pub(super) scopes_supported: Vec<String>,
    /// Whether clients may describe themselves at a URL (OAuth Client ID Metadata Document).
    #[serde(default)]
    pub(super) client_id_metadata_document_supported: bool,
}

impl Metadata {
    /// The issuer, and whether it always says that it is who sends a person back.
    pub(super) fn who(&self) -> (String, bool) {
        let always = self.authorization_response_iss_parameter_supported;
        (self.issuer.clone(), always)
    }
}

impl Server<'_> {
    /// What the server of a security scheme says of itself; `None` where the document does not say
    /// where.
    pub(super) async fn described(
        &self,
        scheme: &SecurityScheme,
    ) -> Result<Option<Metadata>, Failure> {
        let url = match scheme {
            SecurityScheme::OAuth2 { metadata_url, .. } => metadata_url.as_deref(),
            SecurityScheme::OpenIdConnect { url } => url.as_deref(),
            _ => None,
        };
        let Some(url) = url else { return Ok(None) };
        let url = self.url(url, "URL of the server's description")?;
        self.metadata(&url).await.map(Some)
    }

    /// What an issuer says of itself, at the place of OAuth 2 or at one of those of OpenID Connect
    /// (MCP 2026-07-28, Authorization Server Metadata Discovery).
    pub(super) async fn of_issuer(&self, issuer: &Url) -> Result<Metadata, Failure> {
        let issuer = self.url(issuer.as_str(), "issuer")?;
        let path = issuer.path().trim_end_matches('/').to_owned();
        let appended = (!path.is_empty()).then(|| format!("{path}/{OPENID}"));
        let inserted = [OAUTH, OPENID].map(|known| format!("/{known}{path}"));
        let mut failure: Option<Failure> = None;
        for place in inserted.into_iter().chain(appended) {
            let mut url = issuer.clone();
            url.set_path(&place);
            match self.metadata(&url).await {
                Ok(metadata) => return Ok(metadata),
                // One that is there and no good says more than one that is not there.
                Err(why) if failure.as_ref().is_none_or(Failure::is_nowhere) => failure = Some(why),
                Err(_) => {}
            }
        }
        Err(failure.unwrap_or_else(|| Failure::new("the server does not describe itself")))
    }

    async fn metadata(&self, url: &Url) -> Result<Metadata, Failure> {
        let metadata: Metadata = self.get(url).await?;
        // RFC 8414, 3.3: otherwise one server could answer for another.
        let told = Url::parse(&metadata.issuer).ok();
        if told.is_none_or(|told| !is_issuer_of(&told, url)) {
            return Err(Failure::new(
                "the server's description names another issuer than where it was found",
            ));
        }
        Ok(metadata)
    }
}

/// Whether the description at `url` is that of `issuer`. At a place that no standard knows, the
/// origin has to do.
fn is_issuer_of(issuer: &Url, url: &Url) -> bool {
    if issuer.origin() != url.origin() {
        return false;
    }
    let (path, stated) = (url.path(), issuer.path().trim_end_matches('/'));
    if let Some(before) = path.strip_suffix(OPENID) {
        return before.trim_end_matches('/') == stated;
    }
    let inserted = |known| path.strip_prefix('/')?.strip_prefix(known);
    match inserted(OAUTH).or_else(|| inserted(OPENID)) {
        Some(after) => after.trim_end_matches('/') == stated,
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_belongs_to_the_issuer_at_its_place() {
        let is = |issuer: &str, url: &str| {
            is_issuer_of(&Url::parse(issuer).unwrap(), &Url::parse(url).unwrap())
        };
        for (issuer, url) in [
            (
                "https://a.test",
                "https://a.test/.well-known/openid-configuration",
            ),
            (
                "https://a.test/x/",
                "https://a.test/x/.well-known/openid-configuration",
            ),
            (
                "https://a.test/x",
                "https://a.test/.well-known/oauth-authorization-server/x",
            ),
            (
                "https://a.test/x",
                "https://a.test/.well-known/openid-configuration/x",
            ),
            ("https://a.test/x", "https://a.test/oauth/metadata.json"),
        ] {
            assert!(is(issuer, url), "{issuer} {url}");
        }
        for (issuer, url) in [
            (
                "https://b.test",
                "https://a.test/.well-known/openid-configuration",
            ),
            (
                "http://a.test",
                "https://a.test/.well-known/openid-configuration",
            ),
            (
                "https://a.test/y",
                "https://a.test/x/.well-known/openid-configuration",
            ),
            (
                "https://a.test",
                "https://a.test/.well-known/oauth-authorization-server/x",
            ),
            (
                "https://a.test/y",
                "https://a.test/.well-known/openid-configuration/x",
            ),
        ] {
            assert!(!is(issuer, url), "{issuer} {url}");
        }
    }
}
