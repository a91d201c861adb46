//! What a person let mcphub have: the tokens of an OAuth 2 login.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::server::ServerName;
use crate::{Error, Result};

/// Tokens of a login (RFC 6749, 5.1), with all that renewing them needs. `Debug` shows no secret.
#[derive(Clone)]
pub struct Grant {
    /// The client that was let in: `id`, or `id:secret`.
    pub client: SecretString,
    /// Where the tokens are renewed.
    pub token_url: Url,
    /// What goes to the API.
    pub access_token: SecretString,
    /// What the next tokens are got with; without it the login ends with the access token.
    pub refresh_token: Option<SecretString>,
    /// When the access token ends, in seconds since 1970, where the server says so.
    pub expires_at: Option<u64>,
    /// What was let, separated by spaces, where the server says so.
    pub scopes: Option<String>,
    /// What the tokens are for (RFC 8707), where they were asked for so.
    pub resource: Option<String>,
}

/// Keeps grants, which change whenever they are renewed.
///
/// # Behavior
/// - `current` is what `renew` kept last, by this or another process.
/// - `renew` replaces `known` and nothing else: where another grant is kept by now, that one stays,
///   and the answer is `false`.
#[async_trait::async_trait]
pub trait GrantKeeper: Send + Sync + fmt::Debug + 'static {
    /// The grant of a server's security scheme.
    async fn current(&self, server: &ServerName, scheme: &str) -> Result<Option<Grant>>;

    /// Keeps a renewed grant. Whether `known` was still there.
    async fn renew(
        &self,
        server: &ServerName,
        scheme: &str,
        known: &Grant,
        renewed: &Grant,
    ) -> Result<bool>;
}

/// The form that is encrypted.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    client: T,
    token_url: Url,
    access_token: T,
    refresh_token: Option<T>,
    expires_at: Option<u64>,
    scopes: Option<String>,
    // Of a login from before there was such a thing: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
}

impl Grant {
    /// How long the access token lasts from now on; `None` where nobody said, zero when it ended.
    pub fn remaining(&self) -> Option<Duration> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let end = self.expires_at?;
        Some(Duration::from_secs(end.saturating_sub(now)))
    }

    /// Whether both hold the same tokens.
    pub fn same_as(&self, other: &Self) -> bool {
        self.to_secret().expose_secret() == other.to_secret().expose_secret()
    }

    /// The grant as one secret text.
    pub fn to_secret(&self) -> SecretString {
        let stored = Stored {
            client: self.client.expose_secret(),
            token_url: self.token_url.clone(),
            access_token: self.access_token.expose_secret(),
            refresh_token: self.refresh_token.as_ref().map(ExposeSecret::expose_secret),
            expires_at: self.expires_at,
            scopes: self.scopes.clone(),
            resource: self.resource.clone(),
        };
        // Strings and numbers only: this cannot fail.
        serde_json::to_string(&stored).unwrap_or_default().into()
    }

    /// The inverse of [`Grant::to_secret`].
    ///
    /// # Errors
    /// `Internal` for another text: the store is damaged or newer.
    pub fn from_secret(secret: &SecretString) -> Result<Self> {
        // The error of the JSON reader could show a part of the text.
        let stored: Stored<String> = serde_json::from_str(secret.expose_secret())
            .map_err(|_| Error::internal("a stored grant cannot be read"))?;
        Ok(Self {
            client: stored.client.into(),
            token_url: stored.token_url,
            access_token: stored.access_token.into(),
            refresh_token: stored.refresh_token.map(SecretString::from),
            expires_at: stored.expires_at,
            scopes: stored.scopes,
            resource: stored.resource,
        })
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("token_url", &self.token_url.host_str())
            .field("renewable", &self.refresh_token.is_some())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_comes_back_whole_and_shows_no_token() {
        let grant = Grant {
            client: "id:s3cret\"".into(),
            token_url: "https://login.test/token".parse().unwrap(),
            access_token: "acc3ss\n".into(),
            refresh_token: Some("r3fresh".into()),
            expires_at: Some(1),
            scopes: Some("a b".to_owned()),
            resource: Some("https://mcp.test/mcp".to_owned()),
        };
        let again = Grant::from_secret(&grant.to_secret()).unwrap();
        assert!(again.same_as(&grant));
        assert_eq!(again.remaining(), Some(Duration::ZERO));
        let shown = format!("{again:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("acc3ss") && !shown.contains("r3fresh")
        );
        let error = Grant::from_secret(&"{\"client\": \"s3cret\"}".into()).unwrap_err();
        assert!(!error.report().contains("s3cret"));
    }
}
