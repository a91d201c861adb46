//! Secrets are taken out of what is recorded.

use std::collections::BTreeSet;

use mcphub_core::spec::{ApiSpec, SecurityScheme};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::exchange::Exchange;

/// What stands in the place of a secret.
pub const SCRUBBED: &str = "scrubbed";

/// The shortest value that is looked for everywhere: shorter ones are found in innocent text, too.
const MIN_SECRET: usize = 6;
/// The deepest nesting of JSON that is looked into; what is below is dropped.
const MAX_DEPTH: usize = 64;

/// Headers that are a secret in any API.
const HEADERS: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
];

/// Names of values that are a secret in any API, in small letters and digits.
const NAMES: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "clientsecret",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "sessiontoken",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signature",
    "credential",
    "credentials",
    "authorization",
];

/// Knows the secrets of an API by their places.
#[derive(Debug, Clone)]
pub struct Scrubber {
    /// In small letters.
    headers: BTreeSet<String>,
    /// Of query parameters, form fields and members, as [`plain`] writes them.
    names: BTreeSet<String>,
}

impl Scrubber {
    /// What is a secret in any API, and what the security schemes of this one say.
    pub fn of(spec: &ApiSpec) -> Self {
        let mut scrubber = Self {
            headers: HEADERS.map(str::to_owned).into(),
            names: NAMES.map(str::to_owned).into(),
        };
        for scheme in spec.security_schemes.values() {
            if let SecurityScheme::ApiKey { name, .. } = scheme {
                scrubber.headers.insert(name.to_ascii_lowercase());
                scrubber.names.insert(plain(name));
            }
        }
        scrubber
    }

    /// Takes the secrets out: by their places, and wherever a value from such a place stands again.
    pub fn scrub(&self, exchange: &mut Exchange) {
        let mut secrets = BTreeSet::new();
        exchange.query = self.pairs(&exchange.query, &mut secrets);
        for headers in [
            &mut exchange.request_headers,
            &mut exchange.response_headers,
        ] {
            for (name, value) in headers {
                if self.headers.contains(&name.to_ascii_lowercase()) {
                    remember_header(value, &mut secrets);
                    *value = SCRUBBED.to_owned();
                }
            }
        }
        let bodies = [&mut exchange.request_body, &mut exchange.response_body];
        for body in bodies {
            self.body(body, &mut secrets);
        }
        // The longest first: one secret can be a part of another.
        let mut secrets: Vec<_> = secrets.into_iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in &secrets {
            exchange.replace(secret, SCRUBBED);
        }
    }

    /// A query or a form.
    fn pairs(&self, text: &str, secrets: &mut BTreeSet<String>) -> String {
        let pairs = text.split('&').map(|pair| {
            let Some((name, value)) = pair.split_once('=') else {
                return pair.to_owned();
            };
            if !self.names.contains(&plain(&decoded(name))) {
                return pair.to_owned();
            }
            remember(value, secrets);
            remember(&decoded(value), secrets);
            format!("{name}={SCRUBBED}")
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn body(&self, body: &mut Vec<u8>, secrets: &mut BTreeSet<String>) {
        if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
            if self.value(&mut value, secrets, 0) {
                *body = value.to_string().into_bytes();
            }
            return;
        }
        let form = std::str::from_utf8(body)
            .ok()
            .filter(|text| text.contains('=') && !text.contains(['\n', ' ', '<', '{']));
        if let Some(scrubbed) = form.map(|text| self.pairs(text, secrets)) {
            *body = scrubbed.into_bytes();
        }
    }

    /// Whether something was taken out.
    fn value(&self, value: &mut Value, secrets: &mut BTreeSet<String>, depth: usize) -> bool {
        let mut changed = false;
        match value {
            other if depth > MAX_DEPTH => {
                *other = Value::Null;
                changed = true;
            }
            Value::Array(items) => {
                for item in items {
                    changed |= self.value(item, secrets, depth + 1);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let secret = self.names.contains(&plain(name));
                    match member {
                        Value::String(text) if secret => {
                            remember(text, secrets);
                            *member = SCRUBBED.into();
                            changed = true;
                        }
                        Value::Number(_) if secret => {
                            *member = 0.into();
                            changed = true;
                        }
                        member => changed |= self.value(member, secrets, depth + 1),
                    }
                }
            }
            _ => {}
        }
        changed
    }
}

/// The whole value of a header, and its parts: `Bearer x`, `a=x; b=y`.
fn remember_header(value: &str, secrets: &mut BTreeSet<String>) {
    remember(value, secrets);
    for part in value.split([';', ',', ' ']) {
        let part = part.trim();
        remember(
            part.split_once('=').map_or(part, |(_, value)| value),
            secrets,
        );
    }
}

fn remember(secret: &str, secrets: &mut BTreeSet<String>) {
    if secret.len() >= MIN_SECRET && !["Bearer", "HttpOnly", "Secure"].contains(&secret) {
        secrets.insert(secret.to_owned());
    }
}

/// `Api-Key`, `api_key` and `apiKey` are one name.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
