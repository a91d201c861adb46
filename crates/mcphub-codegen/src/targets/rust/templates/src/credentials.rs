//! Credentials go into a request as the operation asks for them.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::request::HttpRequest;

/// How the API wants to be shown who calls.
#[derive(Debug, Clone, Copy)]
pub struct Scheme {
    /// The name in the API's document.
    pub name: &'static str,
    /// The environment variable of the secret.
    pub variable: &'static str,
    /// How the secret is sent.
    pub kind: Kind,
}

/// How a secret is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As a header of this name.
    Header(&'static str),
    /// In the query, under this name.
    Query(&'static str),
    /// As a cookie of this name.
    Cookie(&'static str),
    /// `user:password`, as basic authentication.
    Basic,
    /// As a bearer token.
    Bearer,
    /// `user:password`, with which a question of the API is answered (HTTP digest).
    Digest,
    /// The client certificate of the credentials, which the connection shows.
    Certificate,
    /// It takes more than a secret, and nothing is sent for it.
    Unsupported,
}

/// The secrets that are configured.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Headers for every call.
    pub headers: Vec<(String, SecretString)>,
    /// For every bearer scheme without a secret of its own, and for every call to an API without
    /// schemes.
    pub bearer: Option<SecretString>,
    /// By the name of the scheme.
    pub schemes: HashMap<String, SecretString>,
    /// A client certificate and its private key in PEM.
    pub identity: Option<SecretString>,
    /// Certificates in PEM of authorities to trust besides the system's.
    pub authorities: Option<String>,
}

impl Credentials {
    /// Adds what the operation asks for, and the headers for every call.
    ///
    /// Of the alternatives, the first whose schemes all have a secret is used; when none is
    /// complete, the secrets that the first has are sent and the API decides.
    pub fn authorize(&self, request: &mut HttpRequest, schemes: &[Scheme]) {
        let secret = |name: &str| {
            let scheme = schemes.iter().find(|scheme| scheme.name == name)?;
            let bearer = self.bearer.as_ref();
            let bearer = bearer.filter(|_| scheme.kind == Kind::Bearer);
            Some((scheme.kind, self.schemes.get(name).or(bearer)?))
        };
        let complete = |names: &&&[&str]| names.iter().all(|name| secret(name).is_some());
        let mut alternatives = request.security.iter();
        let chosen = alternatives.find(complete);
        let chosen = chosen.or(request.security.first()).copied();
        for name in chosen.unwrap_or_default() {
            match secret(name) {
                Some((Kind::Digest, _)) => request.login = Some(name),
                Some((kind, secret)) => apply(request, kind, secret.expose_secret()),
                None => {}
            }
        }
        // Without such a scheme nothing says which operations ask for it.
        let certificate = |scheme: &Scheme| scheme.kind == Kind::Certificate;
        request.certified |= !schemes.iter().any(certificate);
        if let (true, Some(token)) = (schemes.is_empty(), &self.bearer) {
            apply(request, Kind::Bearer, token.expose_secret());
        }
        for (name, value) in &self.headers {
            request.set_header(name, value.expose_secret().to_owned());
        }
    }
}

fn apply(request: &mut HttpRequest, kind: Kind, secret: &str) {
    match kind {
        Kind::Header(name) => request.set_header(name, secret.to_owned()),
        Kind::Query(name) => request.add_query(name, secret),
        Kind::Cookie(name) => request.add_cookie(name, secret),
        Kind::Basic => {
            let pair = STANDARD.encode(secret);
            request.set_header("authorization", format!("Basic {pair}"));
        }
        Kind::Bearer => request.set_header("authorization", format!("Bearer {secret}")),
        Kind::Certificate => request.certified = true,
        // What answers is the part of whoever sends the request.
        Kind::Digest | Kind::Unsupported => {}
    }
}
