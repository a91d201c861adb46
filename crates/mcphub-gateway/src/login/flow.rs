//! Flows: what a browser brings back in a cookie between the two halves of a login. What is secret of
//! it, the state and the verifier, is in none: both are derived from the cookie under the gateway's
//! keys, so that a code is of no use to anybody without the cookie, or without the keys.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcphub_core::secret::SecretString;
use mcphub_core::server::ServerName;
use mcphub_core::user::UserName;
use mcphub_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::LIFE;
use super::seal::{Purpose, Seal, Seals};
use super::ticket::{Ticket, now};

/// What the names of cookies begin with.
const NAME: &str = "mcphub-login-";

/// The same over TLS: a browser takes such a one from this host alone, and for all of it (RFC 6265bis,
/// 4.1.3.2).
const SECURE_NAME: &str = "__Host-mcphub-login-";

/// The most cookies of one request that are looked at.
const MAX_COOKIES: usize = 32;

/// The largest cookie, in bytes.
const MAX_VALUE: usize = 3_500;

/// A login whose browser is at the authorization server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Flow {
    /// In seconds since 1970.
    pub(super) ends_at: u64,
    /// What the elicitation is called.
    pub(super) elicitation: String,
    pub(super) server: ServerName,
    pub(super) user: UserName,
    /// The client that was registered for it, where one was.
    pub(super) client: Option<String>,
    /// The digest of where the person logs in, and to what.
    pub(super) place: [u8; 32],
}

/// The state of a login, and its verifier.
pub(super) type Secrets = (SecretString, SecretString);

impl Flow {
    /// The value of its cookie, and what is derived from it.
    pub(super) fn sealed(&self, seals: &Seals) -> Result<(String, Secrets)> {
        let seal = seals.newest()?;
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::internal("a login is no JSON").caused_by(error))?;
        let mark = seal.mark(Purpose::Flow, &[&text])?;
        let value = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(&text),
            URL_SAFE_NO_PAD.encode(mark)
        );
        if value.len() > MAX_VALUE {
            let message = "the authorization server's name of a client is too long";
            return Err(Error::invalid(message));
        }
        Ok((value, secrets(seal, &text)?))
    }

    /// The login of one of these cookies that has this state, with the cookie's name.
    pub(super) fn found(
        seals: &Seals,
        cookies: &Cookies,
        headers: &HeaderMap,
        state: &str,
    ) -> Option<(Self, Secrets, String)> {
        let state = URL_SAFE_NO_PAD.decode(state).ok()?;
        for (name, value) in cookies.all(headers) {
            let Some((text, mark)) = value.split_once('.') else {
                continue;
            };
            let decoded = (
                URL_SAFE_NO_PAD.decode(text).ok(),
                URL_SAFE_NO_PAD.decode(mark).ok(),
            );
            let (Some(text), Some(mark)) = decoded else {
                continue;
            };
            let of = |seal: &Seal<'_>| {
                mark.len() == 32
                    && state.len() == 32
                    && seal.knows(Purpose::Flow, &[&text], &mark)
                    && seal.knows(Purpose::State, &[&text], &state)
            };
            if let Some(seal) = seals.all().find(of) {
                let flow = serde_json::from_slice(&text).ok()?;
                return Some((flow, secrets(seal, &text).ok()?, name.to_owned()));
            }
        }
        None
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ends_at <= now()
    }
}

fn secrets(seal: Seal<'_>, text: &[u8]) -> Result<Secrets> {
    let derived = |purpose| -> Result<SecretString> {
        let mark = seal.mark(purpose, &[text])?;
        Ok(URL_SAFE_NO_PAD.encode(mark).into())
    };
    Ok((derived(Purpose::State)?, derived(Purpose::Verifier)?))
}

/// The cookies of logins: each has one of its own, so that several can go on in one browser.
pub(super) struct Cookies {
    pub(super) secure: bool,
}

impl Cookies {
    fn prefix(&self) -> &'static str {
        if self.secure { SECURE_NAME } else { NAME }
    }

    /// The name of the cookie for a ticket.
    pub(super) fn name(&self, ticket: &Ticket) -> String {
        let name = ticket.name();
        format!("{}{}", self.prefix(), name.get(..16).unwrap_or_default())
    }

    /// Has a browser bring this back, from this site alone or where it is led here from another.
    pub(super) fn set(&self, name: &str, value: &str) -> Option<HeaderValue> {
        self.header(name, value, LIFE.as_secs())
    }

    /// Has a browser forget it.
    pub(super) fn clear(&self, name: &str) -> Option<HeaderValue> {
        self.header(name, "", 0)
    }

    fn header(&self, name: &str, value: &str, seconds: u64) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        let mut header = HeaderValue::try_from(text).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// The value that a browser brings of this name.
    pub(super) fn value<'h>(&self, headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
        let mut all = self.all(headers);
        all.find_map(|(known, value)| (known == name).then_some(value))
    }

    fn all<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = (&'h str, &'h str)> {
        let prefix = self.prefix();
        let lines = headers.get_all(header::COOKIE).iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';'));
        let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        let ours =
            pairs.filter(move |(name, value)| name.starts_with(prefix) && value.len() <= MAX_VALUE);
        ours.take(MAX_COOKIES)
    }
}

#[cfg(test)]
mod tests {
    use mcphub_core::secret::{DataKey, ExposeSecret};

    use super::*;

    const COOKIES: Cookies = Cookies { secure: true };

    fn seals(keys: &[u8]) -> Seals {
        let keys = keys.iter().map(|key| DataKey::new(Box::new([*key; 32])));
        Seals::new(keys.collect()).unwrap()
    }

    fn flow() -> Flow {
        Flow {
            ends_at: now() + 60,
            elicitation: "e1".to_owned(),
            server: ServerName::new("tracker").unwrap(),
            user: UserName::new("ada").unwrap(),
            client: Some("c1".to_owned()),
            place: [7; 32],
        }
    }

    fn with_cookie(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let line = format!("a=b; {SECURE_NAME}other=x.y; {SECURE_NAME}0={value}; c=d");
        headers.insert(header::COOKIE, line.parse().unwrap());
        headers
    }

    fn found(seals: &Seals, cookie: &str, state: &str) -> Option<Flow> {
        let found = Flow::found(seals, &COOKIES, &with_cookie(cookie), state);
        found.map(|(flow, ..)| flow)
    }

    #[test]
    fn a_flow_comes_back_with_its_cookie_and_its_state_and_else_not() {
        let ours = seals(&[1]);
        let (cookie, (state, verifier)) = flow().sealed(&ours).unwrap();
        let state = state.expose_secret();
        let headers = with_cookie(&cookie);
        let (again, derived, name) = Flow::found(&ours, &COOKIES, &headers, state).unwrap();
        assert_eq!((again.user, again.place), (flow().user, [7; 32]));
        assert_eq!(name, format!("{SECURE_NAME}0"));
        assert_eq!(derived.1.expose_secret(), verifier.expose_secret());
        assert!(verifier.expose_secret().len() == 43 && state != verifier.expose_secret());
        // A node whose master key is a newer one goes on with what an older one began.
        assert!(found(&seals(&[2, 1]), &cookie, state).is_some());
        assert!(found(&seals(&[2]), &cookie, state).is_none());
        let (other, (of_other, _)) = Flow {
            ends_at: 1,
            ..flow()
        }
        .sealed(&ours)
        .unwrap();
        let (text, mark) = cookie.split_once('.').unwrap();
        let (text_of_other, _) = other.split_once('.').unwrap();
        for (cookie, state) in [
            (&*other, state),
            (&*cookie, of_other.expose_secret()),
            (&*cookie, ""),
            (&*cookie, &state[..12]),
            (text, state),
            (&*format!("{text_of_other}.{mark}"), state),
            (&*format!("{text}.{}", &mark[..12]), state),
        ] {
            assert!(found(&ours, cookie, state).is_none(), "{cookie} {state}");
        }
        assert!(
            found(&ours, &other, of_other.expose_secret())
                .unwrap()
                .has_ended()
        );
    }

    #[test]
    fn a_cookie_is_for_this_host_and_for_no_script() {
        let set = COOKIES.set(&format!("{SECURE_NAME}0"), "v").unwrap();
        assert_eq!(
            set,
            "__Host-mcphub-login-0=v; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
        );
        assert!(format!("{set:?}").contains("Sensitive"));
        let plain = Cookies { secure: false };
        let set = plain.set("mcphub-login-0", "v").unwrap();
        assert!(!set.to_str().unwrap().contains("Secure"));
        assert_eq!(plain.value(&with_cookie("v"), "mcphub-login-0"), None);
    }
}
