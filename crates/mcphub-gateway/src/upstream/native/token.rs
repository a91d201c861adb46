//! Access tokens that the gateway gets itself, as an OAuth 2 client with its own credentials
//! (RFC 6749, 4.4).
//!
//! One form and one JSON answer, so there is no OAuth library here: it would bring its own versions
//! of half a dozen crates, and a second HTTP client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use mcphub_core::secret::{Credentials, ExposeSecret, SecretString};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::address::is_private_literal;
use super::settings::NativeClient;
use crate::upstream::http::{cause, host};

/// How long before its end a token is replaced, or half its life where that is less.
const AHEAD: Duration = Duration::from_secs(30);
/// The life of a token whose server does not state one.
const UNSTATED: Duration = Duration::from_secs(300);
/// The longest that a token is kept, whatever its server states.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long a refusal is passed on before the server is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer of a token endpoint in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// The tokens of one API, by security scheme.
#[derive(Default)]
pub(super) struct Tokens(HashMap<String, Slot>);

struct Slot {
    state: Mutex<State>,
    /// One asks, the others wait for what it gets.
    gate: Semaphore,
}

#[derive(Clone)]
enum State {
    Nothing,
    Token(SecretString, Instant),
    Refused(String, Instant),
}

/// A token for a call.
pub(super) struct Granted {
    pub(super) token: SecretString,
    /// Whether another call got it, so that it may have been revoked since.
    pub(super) cached: bool,
}

/// Where a client gets its tokens.
pub(super) struct Client<'a> {
    /// The name of the security scheme.
    pub(super) scheme: &'a str,
    /// As the document has it.
    pub(super) token_url: &'a str,
    /// What a relative `token_url` is relative to.
    pub(super) base_url: &'a Url,
}

impl Tokens {
    pub(super) fn new(credentials: &Credentials) -> Self {
        let slot = || Slot {
            state: Mutex::new(State::Nothing),
            gate: Semaphore::new(1),
        };
        let names = credentials.clients.keys();
        Self(names.map(|name| (name.clone(), slot())).collect())
    }

    /// A token for a client: the one that is there while it lasts, else a new one. The error is a
    /// text for the model, without secrets.
    pub(super) async fn get(
        &self,
        of: &Client<'_>,
        credentials: &Credentials,
        http: &NativeClient,
    ) -> Result<Granted, String> {
        let (Some(slot), Some(secret)) =
            (self.0.get(of.scheme), credentials.clients.get(of.scheme))
        else {
            return Err(format!("No client is configured for `{}`", of.scheme));
        };
        if let Some(known) = slot.known() {
            return known;
        }
        let _turn = slot.gate.acquire().await;
        if let Some(known) = slot.known() {
            return known;
        }
        let scopes = credentials.scopes.get(of.scheme).map(String::as_str);
        let limit = http.settings.timeout;
        let asked = timeout(limit, of.ask(secret, scopes, http)).await;
        let asked =
            asked.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs())));
        let now = Instant::now();
        let (state, result) = match asked {
            Ok((token, life)) => {
                let life = life.min(LONGEST);
                let until = now + life - AHEAD.min(life / 2);
                let granted = Granted {
                    token: token.clone(),
                    cached: false,
                };
                (State::Token(token, until), Ok(granted))
            }
            Err(why) => {
                let why = format!("No access token could be had for `{}`: {why}", of.scheme);
                (State::Refused(why.clone(), now + PATIENCE), Err(why))
            }
        };
        slot.set(state);
        result
    }

    /// Drops a token that the API refused.
    pub(super) fn forget(&self, scheme: &str, token: &SecretString) {
        let Some(slot) = self.0.get(scheme) else {
            return;
        };
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        let same = matches!(&*state, State::Token(known, _)
            if known.expose_secret() == token.expose_secret());
        if same {
            *state = State::Nothing;
        }
    }
}

impl Slot {
    fn known(&self) -> Option<Result<Granted, String>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match &*state {
            State::Token(token, until) if now < *until => Some(Ok(Granted {
                token: token.clone(),
                cached: true,
            })),
            State::Refused(why, until) if now < *until => Some(Err(why.clone())),
            _ => None,
        }
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// RFC 6749, 5.1.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: Option<String>,
    /// A number of seconds, which some write as text.
    expires_in: Option<Value>,
}

/// RFC 6749, 5.2.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Client<'_> {
    async fn ask(
        &self,
        secret: &SecretString,
        scopes: Option<&str>,
        http: &NativeClient,
    ) -> Result<(SecretString, Duration), String> {
        let url = self.url(http)?;
        // RFC 6749, 2.3.1: a server takes the password as HTTP basic; many take it in the form only.
        let answer = self.post(&url, secret, scopes, false, http).await?;
        match read(answer).await {
            Err((true, _)) => {
                let answer = self.post(&url, secret, scopes, true, http).await?;
                read(answer).await.map_err(|(_, why)| why)
            }
            other => other.map_err(|(_, why)| why),
        }
        .map_err(|why| format!("{} says {why}", host(&url)))
    }

    async fn post(
        &self,
        url: &Url,
        secret: &SecretString,
        scopes: Option<&str>,
        in_form: bool,
        http: &NativeClient,
    ) -> Result<Response, String> {
        let secret = secret.expose_secret();
        let (id, password) = secret.split_once(':').unwrap_or((secret, ""));
        let mut request = http
            .http
            .post(url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(form(scopes, in_form.then_some((id, password))));
        if !in_form {
            let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = STANDARD.encode(format!("{}:{}", escaped(id), escaped(password)));
            let mut value = HeaderValue::try_from(format!("Basic {pair}"))
                .map_err(|_| "the client's secret cannot be sent".to_owned())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let sent = request.send().await;
        sent.map_err(|error| {
            let why = cause(&error.without_url());
            format!("{} cannot be reached: {why}", host(url))
        })
    }

    /// Where the secret goes: over TLS, to this machine, or where the API itself is.
    fn url(&self, http: &NativeClient) -> Result<Url, String> {
        let url = self.base_url.join(self.token_url);
        let url = url.map_err(|_| "the document's `tokenUrl` is no URL".to_owned())?;
        let local = url.host_str().is_some_and(|host| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        });
        if http.settings.refuse_private_addresses && is_private_literal(&url) {
            return Err("the address of the document's `tokenUrl` is private".to_owned());
        }
        if url.scheme() == "https" || local || url.origin() == self.base_url.origin() {
            return Ok(url);
        }
        Err("the document's `tokenUrl` is not https, and a secret does not go there".to_owned())
    }
}

/// RFC 6749, 4.4.2, and 2.3.1 for the client.
fn form(scopes: Option<&str>, client: Option<(&str, &str)>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scopes) = scopes.filter(|scopes| !scopes.is_empty()) {
        form.append_pair("scope", scopes);
    }
    if let Some((id, password)) = client {
        form.append_pair("client_id", id);
        form.append_pair("client_secret", password);
    }
    form.finish()
}

/// The token and its life. An error says whether the client was not known by its password.
async fn read(mut answer: Response) -> Result<(SecretString, Duration), (bool, String)> {
    let status = answer.status();
    let mut body = BytesMut::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| (false, cause(&error.without_url())))?
    {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err((false, "too much to be a token".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        let code = serde_json::from_slice::<Refusal>(&body).ok();
        // RFC 6749, 5.2: what the code is made of; another one may be anything.
        let code = code.map(|refusal| refusal.error).filter(|code| {
            code.len() <= 64 && code.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
        });
        let unknown =
            status == StatusCode::UNAUTHORIZED || code.as_deref() == Some("invalid_client");
        let why = code.unwrap_or_else(|| "nothing that OAuth 2 knows".to_owned());
        return Err((unknown, format!("{why} (HTTP {})", status.as_u16())));
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| (false, "what is no token (RFC 6749, 5.1)".to_owned()))?;
    if answer
        .token_type
        .is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer"))
    {
        return Err((false, "a token that is no bearer token".to_owned()));
    }
    let seconds = answer.expires_in.and_then(|life| match life {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    let life = seconds.map_or(UNSTATED, Duration::from_secs);
    Ok((answer.access_token.into(), life))
}
