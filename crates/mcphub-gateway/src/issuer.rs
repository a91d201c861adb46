//! What the gateway says of who calls, signed: JSON Web Tokens (RFC 7519) by ES256, which whoever is
//! told checks with the keys at `/.well-known/jwks.json` (RFC 7517).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use mcphub_core::principal::Principal;
use mcphub_core::secret::{DataKey, ExposeSecret, SecretString};
use mcphub_core::tenant::TenantName;
use mcphub_core::{Error, Result};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

/// Where the keys are.
pub(crate) const KEYS: &str = "/.well-known/jwks.json";

/// How long a statement is good for.
const LIFE: Duration = Duration::from_secs(60);

/// How long the keys may be kept by who fetched them.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Who the gateway is to authorization servers, and what it signs with.
pub struct TokenIssuer {
    /// Its URL without a slash at its end.
    name: String,
    tenant: TenantName,
    /// What is new is signed with the first.
    keys: Vec<Key>,
    /// All their public halves.
    set: Bytes,
}

struct Key {
    id: String,
    signing: SigningKey,
}

impl TokenIssuer {
    /// The issuer that is called as the URL at which others reach the gateway. It signs with a key that
    /// is made of the first of `keys`, and publishes those of all, so that nodes with the same ones
    /// agree. Without any it signs with a random one, which no other gateway has.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that is not http(s), or has a user, a query or a fragment; `Internal`
    /// when the system gives no random numbers.
    pub fn new(url: &Url, tenant: TenantName, mut keys: Vec<DataKey>) -> Result<Self> {
        let name = base(url)?;
        if keys.is_empty() {
            keys.push(DataKey::new(Box::new(random()?)));
        }
        let keys: Vec<Key> = keys.iter().map(Key::of).collect();
        let public: Vec<Value> = keys.iter().map(Key::public).collect();
        Ok(Self {
            name,
            tenant,
            set: json!({ "keys": public }).to_string().into(),
            keys,
        })
    }

    /// Its name, as `iss` has it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says to the one at this URL who calls. Good for a minute.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(crate) fn about(&self, who: &Principal, audience: &Url) -> Result<SecretString> {
        let none = || Error::internal("the gateway has no key to sign with");
        let key = self.keys.first().ok_or_else(none)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let id: [u8; 16] = random()?;
        let head = json!({ "alg": "ES256", "typ": "JWT", "kid": key.id });
        let claims = json!({
            "iss": self.name,
            "sub": who.actor.as_str(),
            "aud": audience.as_str(),
            "iat": now,
            "exp": now + LIFE.as_secs(),
            "jti": URL_SAFE_NO_PAD.encode(id),
            "tenant": self.tenant.as_str(),
        });
        let mut text = URL_SAFE_NO_PAD.encode(head.to_string());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut text);
        let signature: Signature = key
            .signing
            .try_sign(text.as_bytes())
            .map_err(|_| Error::internal("the gateway's key does not sign"))?;
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut text);
        Ok(text.into())
    }

    /// The keys, for everybody.
    pub(crate) fn published(&self) -> Response {
        let kind = HeaderValue::from_static("application/jwk-set+json");
        let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, KEPT)];
        (headers, self.set.clone()).into_response()
    }
}

impl Key {
    fn of(key: &DataKey) -> Self {
        let mut bytes = *key.expose_secret();
        // One in 2^32 is no number of the curve's group; its digest is another one.
        let signing = loop {
            match SigningKey::from_slice(&bytes) {
                Ok(signing) => break signing,
                Err(_) => bytes = Sha256::digest(bytes).into(),
            }
        };
        let mut key = Self {
            id: String::new(),
            signing,
        };
        let (x, y) = key.point();
        // RFC 7638, 3.
        let named = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        key.id = URL_SAFE_NO_PAD.encode(Sha256::digest(named));
        key
    }

    /// Its coordinates (RFC 7518, 6.2.1).
    fn point(&self) -> (String, String) {
        let point = self.signing.verifying_key().to_sec1_point(false);
        let text = |half: Option<&[u8]>| URL_SAFE_NO_PAD.encode(half.unwrap_or_default());
        let x = point.x().map(|half| &half[..]);
        let y = point.y().map(|half| &half[..]);
        (text(x), text(y))
    }

    fn public(&self) -> Value {
        let (x, y) = self.point();
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.id, "use": "sig", "alg": "ES256" })
    }
}

/// The URL at which others reach the gateway, without a slash at its end.
///
/// # Errors
/// `InvalidInput` for one that is not http(s), or has a user, a query or a fragment.
pub(crate) fn base(url: &Url) -> Result<String> {
    let plain = url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !plain || !nobody {
        return Err(Error::invalid(
            "the gateway is reached at an http(s) URL without a query, such as https://hub.example.com",
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal("the operating system gives no randomness").caused_by(error)
    })?;
    Ok(bytes)
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mcphub_core::tenant::Actor;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn issuer(keys: &[u8]) -> TokenIssuer {
        let keys = keys.iter().map(|key| DataKey::new(Box::new([*key; 32])));
        let url = Url::parse("https://hub.test/").unwrap();
        TokenIssuer::new(&url, TenantName::default(), keys.collect()).unwrap()
    }

    fn said(issuer: &TokenIssuer) -> String {
        let who = Principal {
            id: Actor::of("key", "ci"),
            actor: Actor::of("user", "ada \" \u{e9}"),
            permissions: Arc::default(),
            expires_at: None,
        };
        let audience = Url::parse("https://login.test/token").unwrap();
        let said = issuer.about(&who, &audience).unwrap();
        said.expose_secret().to_owned()
    }

    fn part(token: &str, at: usize) -> Vec<u8> {
        let part = token.split('.').nth(at).unwrap();
        URL_SAFE_NO_PAD.decode(part).unwrap()
    }

    /// Whether it is signed with one of the issuer's published keys.
    fn verifies(issuer: &TokenIssuer, token: &str) -> bool {
        let set: Value = serde_json::from_slice(&issuer.set).unwrap();
        let head: Value = serde_json::from_slice(&part(token, 0)).unwrap();
        let mut keys = set["keys"].as_array().unwrap().iter();
        let Some(key) = keys.find(|key| key["kid"] == head["kid"]) else {
            return false;
        };
        let half = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let point = [vec![4], half("x"), half("y")].concat();
        let (signed, _) = token.rsplit_once('.').unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &part(token, 2)).is_ok()
    }

    #[test]
    fn a_statement_is_checked_with_the_keys_that_are_published() {
        let issuer = issuer(&[7]);
        let token = said(&issuer);
        assert!(verifies(&issuer, &token));
        let claims: Value = serde_json::from_slice(&part(&token, 1)).unwrap();
        assert_eq!(claims["iss"], "https://hub.test");
        assert_eq!(claims["sub"], "user:ada-\"-\u{e9}");
        assert_eq!(claims["aud"], "https://login.test/token");
        assert_eq!(claims["tenant"], "default");
        let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        assert!(life <= 60);
        assert_ne!(said(&issuer), token, "each has an id of its own");
        let mut other = token.clone().into_bytes();
        let at = token.find('.').unwrap() + 5;
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        assert!(!verifies(&issuer, &String::from_utf8(other).unwrap()));
    }

    #[test]
    fn nodes_agree_and_an_earlier_key_is_still_known() {
        let (old, both, random) = (issuer(&[1]), issuer(&[2, 1]), issuer(&[]));
        assert_eq!(old.set, issuer(&[1]).set);
        let before = said(&old);
        assert!(verifies(&both, &before) && !verifies(&random, &before));
        let after = said(&both);
        assert!(verifies(&both, &after) && !verifies(&old, &after));
    }

    #[test]
    fn what_is_no_number_of_the_group_becomes_one() {
        let issuer = issuer(&[0xff]);
        assert!(verifies(&issuer, &said(&issuer)));
    }

    #[test]
    fn no_key_is_shown() {
        let shown = format!("{:?}", issuer(&[7]));
        assert!(
            shown.contains("hub.test") && !shown.contains("keys"),
            "{shown}"
        );
    }

    #[test]
    fn an_issuer_is_a_plain_url() {
        for wrong in [
            "ftp://hub.test",
            "https://hub.test/?a=1",
            "https://hub.test/#a",
            "https://me@hub.test/",
        ] {
            let url = Url::parse(wrong).unwrap();
            let issuer = TokenIssuer::new(&url, TenantName::default(), Vec::new());
            assert!(issuer.is_err(), "{wrong}");
        }
    }
}
