//! Credentials go into a request, and are hidden when it is printed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use secrecy::{ExposeSecret, SecretString};

use super::request::{HttpRequest, SecretPart};
use super::style::Escape;
use crate::secret::Credentials;
use crate::spec::{Location, SecurityScheme};

/// What stands where a secret was.
const REDACTED: &str = "[redacted]";

impl HttpRequest {
    /// Adds the credentials that the operation asks for, and those that go with every call.
    ///
    /// Of the alternatives in `security`, the first whose schemes all have a value is used; when
    /// none is complete, the values that the first alternative has are sent and the API decides.
    /// An operation that asks for none gets none but the explicit headers. A document without any
    /// scheme gets the bearer token on every call.
    pub fn authorize(
        &mut self,
        security: &[Vec<String>],
        schemes: &IndexMap<String, SecurityScheme>,
        credentials: &Credentials,
    ) {
        for name in needed(security, schemes, credentials) {
            let secret = credential(name, schemes, credentials);
            if let (Some(scheme), Some(secret)) = (schemes.get(name), secret) {
                self.apply(scheme, secret);
            }
        }
        if let (true, Some(token)) = (schemes.is_empty(), &credentials.bearer) {
            self.apply(&SecurityScheme::Bearer, token);
        }
        for (name, secret) in &credentials.headers {
            self.set_header(name, secret.expose_secret().to_owned());
        }
    }

    fn apply(&mut self, scheme: &SecurityScheme, secret: &SecretString) {
        let secret = secret.expose_secret();
        match scheme {
            SecurityScheme::ApiKey {
                location: Location::Query,
                name,
            } => {
                let pair = format!(
                    "{}={}",
                    Escape::Percent.text(name),
                    Escape::Percent.text(secret)
                );
                let query = match self.url.query() {
                    Some(query) if !query.is_empty() => format!("{query}&{pair}"),
                    _ => pair,
                };
                self.url.set_query(Some(&query));
                self.secrets
                    .push(SecretPart::Query(Escape::Percent.text(name).into_owned()));
            }
            SecurityScheme::ApiKey {
                location: Location::Cookie,
                name,
            } => {
                let pair = format!("{name}={}", Escape::Percent.text(secret));
                match self
                    .headers
                    .iter_mut()
                    .find(|(header, _)| header == "cookie")
                {
                    Some((_, cookies)) => *cookies = format!("{cookies}; {pair}"),
                    None => self.headers.push(("cookie".to_owned(), pair)),
                }
                self.secrets.push(SecretPart::Cookie(name.clone()));
            }
            SecurityScheme::ApiKey { name, .. } => self.set_header(name, secret.to_owned()),
            SecurityScheme::Basic => self.set_header(
                "authorization",
                format!("Basic {}", STANDARD.encode(secret)),
            ),
            scheme if scheme.is_bearer() => {
                self.set_header("authorization", format!("Bearer {secret}"));
            }
            // A digest answers what the API asks, and a certificate is shown before any request:
            // both are the part of whoever sends it.
            _ => {}
        }
    }

    fn set_header(&mut self, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(header, _)| *header != name);
        self.secrets.push(SecretPart::Header(name.clone()));
        self.headers.push((name, value));
    }

    /// Whether it lets somebody in: by credentials that were added to it, by the URL's own, or by an
    /// argument where such things are sent.
    pub fn has_credentials(&self) -> bool {
        let of_somebody = |name: &str| matches!(name, "authorization" | "cookie");
        !self.secrets.is_empty()
            || !self.url.username().is_empty()
            || self.url.password().is_some()
            || self.headers.iter().any(|(name, _)| of_somebody(name))
    }

    /// The request as it may be shown: secrets are replaced by `[redacted]`.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut shown = self.clone();
        for part in &self.secrets {
            match part {
                SecretPart::Header(name) => {
                    for (_, value) in shown
                        .headers
                        .iter_mut()
                        .filter(|(header, _)| header == name)
                    {
                        *value = REDACTED.to_owned();
                    }
                }
                SecretPart::Query(name) => {
                    let query = shown.url.query().unwrap_or_default();
                    let query: Vec<_> = query.split('&').map(|pair| hide(pair, name)).collect();
                    shown.url.set_query(Some(&query.join("&")));
                }
                SecretPart::Cookie(name) => {
                    for (_, value) in shown
                        .headers
                        .iter_mut()
                        .filter(|(header, _)| header == "cookie")
                    {
                        *value = value
                            .split("; ")
                            .map(|pair| hide(pair, name))
                            .collect::<Vec<_>>()
                            .join("; ");
                    }
                }
            }
        }
        shown
    }
}

/// The schemes that a call uses: the first alternative of `security` whose schemes all have a value,
/// a login, a client or a certificate, else the first.
pub fn needed<'s>(
    security: &'s [Vec<String>],
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &Credentials,
) -> &'s [String] {
    let known = |name: &String| {
        credential(name, schemes, credentials).is_some()
            || credentials.clients.contains_key(name)
            || (credentials.identity.is_some()
                && matches!(schemes.get(name), Some(SecurityScheme::MutualTls)))
    };
    let complete = security.iter().find(|names| names.iter().all(known));
    complete.or(security.first()).map_or(&[], Vec::as_slice)
}

fn hide(pair: &str, name: &str) -> String {
    match pair.split_once('=') {
        Some((key, _)) if key == name => format!("{key}={REDACTED}"),
        _ => pair.to_owned(),
    }
}

fn credential<'a>(
    name: &String,
    schemes: &IndexMap<String, SecurityScheme>,
    credentials: &'a Credentials,
) -> Option<&'a SecretString> {
    let bearer = schemes.get(name)?.is_bearer();
    let login = credentials.grants.get(name).filter(|_| bearer);
    let login = login.map(|grant| &grant.access_token);
    let shared = credentials.bearer.as_ref().filter(|_| bearer);
    credentials.schemes.get(name).or(login).or(shared)
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.redacted();
        f.debug_struct("HttpRequest")
            .field("method", &shown.method.as_str())
            .field("url", &shown.url.as_str())
            .field("headers", &shown.headers)
            .field("body", &shown.body)
            .finish()
    }
}
