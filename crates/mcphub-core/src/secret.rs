//! Secrets: values that never reach a log, an error, an event or a page.

mod exchange;
mod grant;
mod login;

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
pub use secrecy::{ExposeSecret, SecretString};

pub use exchange::{Subject, TokenExchange};
pub use grant::{Grant, GrantKeeper};
pub use login::LoginKeeper;

use crate::{Error, Result};

/// What a server sends to its API in order to be let in. All values are secrets; `Debug` shows
/// names only.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Headers that go with every call, by the explicit wish of whoever configured them.
    pub headers: Vec<(String, SecretString)>,
    /// A token for every `http bearer`, `oauth2` and `openIdConnect` scheme that an operation
    /// lists, and for every operation of a document that declares no scheme at all.
    pub bearer: Option<SecretString>,
    /// Values by the name of the document's security scheme. `http basic` and `http digest` take
    /// `user:password`.
    pub schemes: BTreeMap<String, SecretString>,
    /// OAuth 2 clients by the name of the document's security scheme: `id:secret`, with which the
    /// gateway gets access tokens (RFC 6749, 4.4). They come before `bearer`, and after `schemes`.
    pub clients: BTreeMap<String, SecretString>,
    /// The scopes that a client asks for, separated by spaces; without them the authorization
    /// server decides.
    pub scopes: BTreeMap<String, String>,
    /// Which of these clients exchange tokens for whoever calls, and how.
    pub exchanges: BTreeMap<String, TokenExchange>,
    /// Logins by the name of the document's security scheme; of an MCP server that exists already,
    /// [`Connection::LOGIN`](crate::connection::Connection::LOGIN) and users. They come before
    /// `bearer`, and after `schemes` and `clients`.
    pub grants: BTreeMap<String, Grant>,
    /// A client certificate with the certificates that lead to its authority, and its private key, in
    /// PEM: for every `mutualTLS` scheme that an operation lists, and for every operation of a
    /// document that declares none.
    pub identity: Option<SecretString>,
    /// Certificates in PEM of authorities that are trusted besides the system's. No secret, but kept
    /// with what is used together with it.
    pub authorities: Option<String>,
    /// Variables of a program that is started.
    pub environment: BTreeMap<String, SecretString>,
    /// The query of the URL of an MCP server, which often holds a key.
    pub query: Option<SecretString>,
}

impl Credentials {
    /// The most logins that are kept with a server.
    pub const MAX_LOGINS: usize = 1_000;

    /// Whether these are others, and differ in nothing but logins of users.
    pub fn differ_in_logins_of_users(&self, other: &Self) -> bool {
        let (one, other) = (self.to_entries(), other.to_entries());
        let same = |of_users: bool| {
            let wanted =
                |(key, _): &&(String, SecretString)| key.starts_with("grant:user:") == of_users;
            let (mut one, mut other) = (one.iter().filter(wanted), other.iter().filter(wanted));
            loop {
                match (one.next(), other.next()) {
                    (None, None) => return true,
                    (Some((key, value)), Some((name, known)))
                        if key == name && value.expose_secret() == known.expose_secret() => {}
                    _ => return false,
                }
            }
        };
        same(false) && !same(true)
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.to_entries().is_empty()
    }

    /// The credentials as one flat list of `(key, value)`, the form that a store encrypts:
    /// `header:NAME`, `bearer`, `scheme:NAME`, `client:NAME`, `scopes:NAME`,
    /// `exchange:NAME`, `grant:NAME`, `tls:identity`, `tls:authorities`, `env:NAME`, `url:query`.
    pub fn to_entries(&self) -> Vec<(String, SecretString)> {
        let headers = self
            .headers
            .iter()
            .map(|(k, v)| (format!("header:{k}"), v.clone()));
        let bearer = self.bearer.iter().map(|v| ("bearer".to_owned(), v.clone()));
        let schemes = self
            .schemes
            .iter()
            .map(|(k, v)| (format!("scheme:{k}"), v.clone()));
        let clients = self
            .clients
            .iter()
            .map(|(k, v)| (format!("client:{k}"), v.clone()));
        let scopes = self
            .scopes
            .iter()
            .map(|(k, v)| (format!("scopes:{k}"), v.as_str().into()));
        let exchanges = self
            .exchanges
            .iter()
            .map(|(k, v)| (format!("exchange:{k}"), v.to_string().into()));
        let grants = self
            .grants
            .iter()
            .map(|(k, grant)| (format!("grant:{k}"), grant.to_secret()));
        let identity = self.identity.clone().into_iter();
        let identity = identity.map(|pem| ("tls:identity".to_owned(), pem));
        let authorities = self.authorities.iter();
        let authorities = authorities.map(|pem| ("tls:authorities".to_owned(), pem.clone().into()));
        let oauth = clients.chain(scopes).chain(exchanges).chain(grants);
        let tls = identity.chain(authorities);
        let environment = self.environment.iter();
        let environment = environment.map(|(k, v)| (format!("env:{k}"), v.clone()));
        let query = self
            .query
            .iter()
            .map(|v| ("url:query".to_owned(), v.clone()));
        headers
            .chain(bearer)
            .chain(schemes)
            .chain(oauth)
            .chain(tls)
            .chain(environment)
            .chain(query)
            .collect()
    }

    /// The inverse of [`Credentials::to_entries`].
    ///
    /// # Errors
    /// `Internal` for a key of another form: the store is damaged or newer.
    pub fn from_entries(entries: impl IntoIterator<Item = (String, SecretString)>) -> Result<Self> {
        let mut credentials = Self::default();
        for (key, value) in entries {
            match key.split_once(':') {
                None if key == "bearer" => credentials.bearer = Some(value),
                Some(("header", name)) => credentials.headers.push((name.to_owned(), value)),
                Some(("scheme", name)) => {
                    credentials.schemes.insert(name.to_owned(), value);
                }
                Some(("client", name)) => {
                    credentials.clients.insert(name.to_owned(), value);
                }
                Some(("scopes", name)) => {
                    let scopes = value.expose_secret().to_owned();
                    credentials.scopes.insert(name.to_owned(), scopes);
                }
                Some(("exchange", name)) => {
                    let exchange = value.expose_secret().parse()?;
                    credentials.exchanges.insert(name.to_owned(), exchange);
                }
                Some(("grant", name)) => {
                    let grant = Grant::from_secret(&value)?;
                    credentials.grants.insert(name.to_owned(), grant);
                }
                Some(("tls", "identity")) => credentials.identity = Some(value),
                Some(("tls", "authorities")) => {
                    credentials.authorities = Some(value.expose_secret().to_owned());
                }
                Some(("env", name)) => {
                    credentials.environment.insert(name.to_owned(), value);
                }
                Some(("url", "query")) => credentials.query = Some(value),
                _ => {
                    return Err(Error::internal("a stored credential has an unknown key")
                        .with("key", key)
                        .during("secret::from_entries"));
                }
            }
        }
        Ok(credentials)
    }

    /// Whether both hold the same values.
    pub fn same_as(&self, other: &Self) -> bool {
        let (a, b) = (self.to_entries(), other.to_entries());
        a.len() == b.len()
            && a.iter()
                .zip(&b)
                .all(|((ka, va), (kb, vb))| ka == kb && va.expose_secret() == vb.expose_secret())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .to_entries()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        f.debug_tuple("Credentials").field(&names).finish()
    }
}

/// A key that secrets are encrypted with: 256 bits, zeroised when it is dropped.
pub type DataKey = secrecy::SecretBox<[u8; 32]>;

/// Encrypts ("wraps") the keys that a store encrypts secrets with, so that the store alone opens
/// nothing. Keys from the environment or a file come with `mcphub-store`; a key management service
/// is another implementation.
///
/// # Behavior
/// - What `wrap` gave, `unwrap` opens with the same id, also after the provider was made anew with
///   the same keys, and nothing else does: what was changed, or is for another id, is an error.
/// - `wrap` gives something else each time.
/// - A key that was wrapped by a key that the provider does not have is `InvalidInput`, and the
///   message has that key's id.
/// - `Debug` shows no key.
#[async_trait]
pub trait KeyProvider: Send + Sync + fmt::Debug + 'static {
    /// The id of the key that wraps now. It tells keys apart and nothing about them.
    fn key_id(&self) -> String;

    /// Wraps a data key of that id.
    async fn wrap(&self, id: &str, key: &DataKey) -> Result<Wrapped>;

    /// Unwraps the data key of that id.
    async fn unwrap(&self, id: &str, wrapped: &Wrapped) -> Result<DataKey>;
}

/// A data key as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The id of the key that wrapped it.
    pub by: String,
    /// The encrypted key.
    pub bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            client: "id".into(),
            token_url: "https://login.test/token".parse().unwrap(),
            access_token: "t0ken".into(),
            refresh_token: None,
            expires_at: None,
            scopes: None,
            resource: None,
        }
    }

    #[test]
    fn entries_round_trip_and_debug_shows_names_only() {
        let credentials = Credentials {
            headers: vec![("X-Key".into(), "s3cret".into())],
            bearer: Some("t0ken".into()),
            schemes: [("api:key".to_owned(), "v".into())].into(),
            clients: [("oauth".to_owned(), "id:cl1ent".into())].into(),
            scopes: [("oauth".to_owned(), "read write".to_owned())].into(),
            exchanges: [("oauth".to_owned(), "gateway,audience=a".parse().unwrap())].into(),
            grants: [("login".to_owned(), grant())].into(),
            identity: Some("PEM-s3cret".into()),
            authorities: Some("PEM".to_owned()),
            environment: [("API_KEY".to_owned(), "s3cret-9".into())].into(),
            query: Some("key=s3cret-10".into()),
        };
        let again = Credentials::from_entries(credentials.to_entries()).unwrap();
        assert!(again.same_as(&credentials));
        let shown = format!("{credentials:?}");
        assert!(
            shown.contains("header:X-Key")
                && !shown.contains("s3cret")
                && !shown.contains("t0ken")
                && !shown.contains("cl1ent")
        );
    }
}
