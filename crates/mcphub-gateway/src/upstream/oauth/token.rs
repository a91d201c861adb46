//! Access tokens for calls: got with a client's own credentials (RFC 6749, 4.4), or those of a
//! login, renewed before they end (6).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcphub_core::secret::{Credentials, ExposeSecret, Grant, GrantKeeper, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::spec::SecurityScheme;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use url::Url;

use super::server::{Failure, Server};
use crate::upstream::native::NativeClient;

/// How long before its end a token is replaced, or half its life where that is less.
const AHEAD: Duration = Duration::from_secs(30);
/// The life of a client's token whose server does not state one.
const UNSTATED: Duration = Duration::from_secs(300);
/// The longest that a token is kept, whatever its server states.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long a refusal is passed on before the server is asked again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The tokens of one API, by security scheme.
#[derive(Default)]
pub(in crate::upstream) struct Tokens {
    slots: HashMap<String, Arc<Slot>>,
    keeper: Option<Keeper>,
}

/// Where the grants of a server are kept when they were renewed.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Keeper {
    pub(in crate::upstream) server: ServerName,
    pub(in crate::upstream) grants: Arc<dyn GrantKeeper>,
}

struct Slot {
    source: Source,
    state: Mutex<State>,
    /// One asks, the others wait for what it gets.
    gate: Semaphore,
}

enum Source {
    Client {
        secret: SecretString,
        scopes: Option<String>,
    },
    Login(Mutex<Grant>),
}

#[derive(Clone)]
enum State {
    Nothing,
    Token(SecretString, Instant),
    /// The API refused this one.
    Bad(SecretString),
    Refused(String, Instant),
}

/// A token for a call.
pub(in crate::upstream) struct Granted {
    pub(in crate::upstream) token: SecretString,
    /// Whether another call got it, so that it may have been revoked since.
    pub(in crate::upstream) cached: bool,
}

/// For which scheme a token is needed, and where.
pub(in crate::upstream) struct Asked<'a> {
    pub(in crate::upstream) name: &'a str,
    pub(in crate::upstream) authority: Authority<'a>,
    /// What relative URLs of the document are relative to; of an MCP server, where it is.
    pub(in crate::upstream) base_url: &'a Url,
}

/// Who gives a client its tokens. A login knows that itself.
pub(in crate::upstream) enum Authority<'a> {
    /// What a document says of a security scheme.
    Scheme(&'a SecurityScheme),
    /// This authorization server, for an MCP server.
    Issuer(&'a Url),
    /// Nobody.
    None,
}

impl Tokens {
    /// Nothing is asked for yet. A scheme with a value of its own needs no token.
    pub(in crate::upstream) fn new(credentials: &Credentials, keeper: Option<Keeper>) -> Self {
        let clients = credentials.clients.iter().map(|(name, secret)| {
            let scopes = credentials.scopes.get(name).cloned();
            let secret = secret.clone();
            (name, Source::Client { secret, scopes }, State::Nothing)
        });
        let logins = credentials.grants.iter().map(|(name, grant)| {
            let source = Source::Login(Mutex::new(grant.clone()));
            (name, source, lasting(grant))
        });
        let all = logins.chain(clients);
        let slots = all.map(|(name, source, state)| {
            let slot = Slot {
                source,
                state: Mutex::new(state),
                gate: Semaphore::new(1),
            };
            (name.clone(), Arc::new(slot))
        });
        let mut slots: HashMap<_, _> = slots.collect();
        slots.retain(|name, _| !credentials.schemes.contains_key(name));
        Self { slots, keeper }
    }

    /// Those of other credentials. A login that is in both goes on as it is.
    pub(in crate::upstream) fn with(&self, credentials: &Credentials) -> Self {
        let mut new = Self::new(credentials, self.keeper.clone());
        for (name, slot) in &mut new.slots {
            let Some(known) = self.slots.get(name) else {
                continue;
            };
            let same = match (&known.source, &slot.source) {
                (Source::Login(known), Source::Login(new)) => {
                    let known = lock(known).clone();
                    lock(new).same_as(&known)
                }
                (
                    Source::Client { secret, scopes },
                    Source::Client {
                        secret: new,
                        scopes: wide,
                    },
                ) => same(secret, new) && scopes == wide,
                _ => false,
            };
            if same {
                *slot = Arc::clone(known);
            }
        }
        new
    }

    /// Whether no scheme gets its tokens here.
    pub(in crate::upstream) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the tokens of a scheme are got here.
    pub(in crate::upstream) fn has(&self, scheme: &str) -> bool {
        self.slots.contains_key(scheme)
    }

    /// A token: the one that is there while it lasts, else a new one. The error is a text for the
    /// model, without secrets.
    pub(in crate::upstream) async fn get(
        &self,
        of: &Asked<'_>,
        http: &NativeClient,
    ) -> Result<Granted, String> {
        let Some(slot) = self.slots.get(of.name) else {
            return Err(format!("No client is configured for `{}`", of.name));
        };
        if let Some(known) = slot.known() {
            return known;
        }
        let _turn = slot.gate.acquire().await;
        if let Some(known) = slot.known() {
            return known;
        }
        let server = Server {
            http,
            base_url: of.base_url,
        };
        let getting = async {
            match &slot.source {
                Source::Client { secret, scopes } => {
                    let got = client_credentials(&server, of, secret, scopes.as_deref()).await;
                    got.map_err(|failure| none(of.name, &failure.text))
                }
                Source::Login(grant) => self.renewed(&server, of.name, slot, grant).await,
            }
        };
        let limit = http.settings.timeout;
        let got = timeout(limit, getting).await.unwrap_or_else(|_| {
            let why = format!("there was no answer within {} s", limit.as_secs());
            Err(none(of.name, &why))
        });
        let (state, result) = match got {
            Ok((token, until)) => {
                let granted = Granted {
                    token: token.clone(),
                    cached: false,
                };
                (State::Token(token, until), Ok(granted))
            }
            Err(why) => {
                let until = Instant::now() + PATIENCE;
                (State::Refused(why.clone(), until), Err(why))
            }
        };
        *slot.state() = state;
        result
    }

    /// Drops a token that the API refused.
    pub(in crate::upstream) fn forget(&self, scheme: &str, token: &SecretString) {
        let Some(slot) = self.slots.get(scheme) else {
            return;
        };
        let mut state = slot.state();
        let same = matches!(&*state, State::Token(known, _) if same(known, token));
        if same {
            *state = State::Bad(token.clone());
        }
    }

    /// The access token of a login, after it was renewed, and until when it is used.
    async fn renewed(
        &self,
        server: &Server<'_>,
        scheme: &str,
        slot: &Slot,
        held: &Mutex<Grant>,
    ) -> Result<(SecretString, Instant), String> {
        let bad = match &*slot.state() {
            State::Bad(token) => Some(token.clone()),
            _ => None,
        };
        let mut known = lock(held).clone();
        let fresh = |grant: &Grant| {
            let refused = bad
                .as_ref()
                .is_some_and(|bad| same(bad, &grant.access_token));
            let ended = grant.remaining().is_some_and(|left| left < AHEAD);
            !refused && !ended
        };
        // Another process may have renewed it: a refresh token is often good for one use.
        let kept = self.current(scheme).await;
        if let Some(kept) = kept.filter(|kept| !kept.same_as(&known)) {
            if fresh(&kept) {
                return Ok(adopt(held, kept));
            }
            // It has ended too by now, and what renews it is the newer one.
            lock(held).clone_from(&kept);
            known = kept;
        }
        let Some(refresh_token) = &known.refresh_token else {
            return Err(ended(scheme, "its server gave nothing to renew it with"));
        };
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ];
        form.extend(known.resource.as_deref().map(|it| ("resource", it)));
        let answer = match server.url(known.token_url.as_str(), "token endpoint") {
            Ok(url) => server.tokens(&url, &known.client, &form).await,
            Err(failure) => Err(failure),
        };
        match answer {
            Ok(answer) => {
                let mut grant = answer.into_grant(known.client.clone(), known.token_url.clone());
                // RFC 6749, 6: without a new one the old one stays good.
                grant.refresh_token = grant.refresh_token.or(known.refresh_token.clone());
                grant.scopes = grant.scopes.or(known.scopes.clone());
                grant.resource.clone_from(&known.resource);
                self.keep(scheme, &known, &grant).await;
                Ok(adopt(held, grant))
            }
            Err(failure) if failure.is("invalid_grant") => {
                // Perhaps another process was first, by a moment.
                let kept = self.current(scheme).await;
                let lasts = |kept: &Grant| kept.remaining().is_none_or(|left| !left.is_zero());
                match kept.filter(|kept| !kept.same_as(&known) && lasts(kept)) {
                    Some(kept) => Ok(adopt(held, kept)),
                    None => Err(ended(scheme, &failure.text)),
                }
            }
            // It was asked ahead of time: what is there still lasts.
            Err(failure) => match known.remaining() {
                Some(left) if bad.is_none() && !left.is_zero() => {
                    let until = Instant::now() + PATIENCE.min(left);
                    Ok((known.access_token.clone(), until))
                }
                _ => Err(format!(
                    "The login of `{scheme}` could not be renewed: {}",
                    failure.text
                )),
            },
        }
    }

    async fn current(&self, scheme: &str) -> Option<Grant> {
        let Keeper { server, grants } = self.keeper.as_ref()?;
        match grants.current(server, scheme).await {
            Ok(grant) => grant,
            Err(error) => {
                tracing::warn!(%server, scheme, error = %error.report(), "a login cannot be read; the one in memory is used");
                None
            }
        }
    }

    async fn keep(&self, scheme: &str, known: &Grant, renewed: &Grant) {
        let Some(Keeper { server, grants }) = &self.keeper else {
            return;
        };
        match grants.renew(server, scheme, known, renewed).await {
            Ok(true) => tracing::debug!(%server, scheme, "a login was renewed"),
            Ok(false) => {
                tracing::debug!(%server, scheme, "a login was replaced while it was renewed");
            }
            Err(error) => {
                tracing::warn!(%server, scheme, error = %error.report(), "a renewed login cannot be kept; it lasts until the next start");
            }
        }
    }
}

/// A token by RFC 6749, 4.4.2.
async fn client_credentials(
    server: &Server<'_>,
    of: &Asked<'_>,
    client: &SecretString,
    scopes: Option<&str>,
) -> Result<(SecretString, Instant), Failure> {
    let (url, protected) = match of.authority {
        Authority::Scheme(scheme) => (stated(server, scheme).await?, None),
        Authority::Issuer(issuer) => {
            let found = server.protected(Some(issuer)).await?;
            let url = found.metadata.token_endpoint.clone();
            let none = || Failure::new("the issuer has no token endpoint");
            (
                server.url(&url.ok_or_else(none)?, "token endpoint")?,
                Some(found),
            )
        }
        Authority::None => return Err(Failure::new("nobody says which server gives them")),
    };
    let asked = protected.as_ref().and_then(|it| it.scopes.as_deref());
    let scopes = scopes.or(asked).filter(|it| !it.is_empty());
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scopes.map(|it| ("scope", it)));
    form.extend(protected.as_ref().map(|it| ("resource", &*it.resource)));
    let answer = server.tokens(&url, client, &form).await?;
    let until = until(answer.life.unwrap_or(UNSTATED));
    Ok((answer.access_token, until))
}

/// The token endpoint for clients of a security scheme.
async fn stated(server: &Server<'_>, scheme: &SecurityScheme) -> Result<Url, Failure> {
    let stated = match scheme {
        SecurityScheme::OAuth2 { token_url, .. } => token_url.clone(),
        _ => None,
    };
    let url = match stated {
        Some(url) => Some(url),
        None => {
            let metadata = server.described(scheme).await?;
            metadata.and_then(|metadata| metadata.token_endpoint)
        }
    };
    let url = url.ok_or_else(|| {
        Failure::new("the document has no token endpoint for clients; give a token instead")
    })?;
    server.url(&url, "document's `tokenUrl`")
}

/// When a token is replaced that lasts so long.
fn until(life: Duration) -> Instant {
    let life = life.min(LONGEST);
    Instant::now() + life - AHEAD.min(life / 2)
}

/// The access token of a grant, used until it ends; one whose end nobody knows, until the API
/// refuses it.
fn used(grant: &Grant) -> (SecretString, Instant) {
    let until = until(grant.remaining().unwrap_or(LONGEST));
    (grant.access_token.clone(), until)
}

fn lasting(grant: &Grant) -> State {
    match grant.remaining() {
        Some(left) if left <= AHEAD => State::Nothing,
        _ => {
            let (token, until) = used(grant);
            State::Token(token, until)
        }
    }
}

fn adopt(held: &Mutex<Grant>, grant: Grant) -> (SecretString, Instant) {
    let used = used(&grant);
    *lock(held) = grant;
    used
}

fn none(scheme: &str, why: &str) -> String {
    format!("No access token could be had for `{scheme}`: {why}")
}

fn ended(scheme: &str, why: &str) -> String {
    format!("The login of `{scheme}` has ended ({why}); log in again with `mcphub login`")
}

fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn known(&self) -> Option<Result<Granted, String>> {
        let now = Instant::now();
        match &*self.state() {
            State::Token(token, until) if now < *until => Some(Ok(Granted {
                token: token.clone(),
                cached: true,
            })),
            State::Refused(why, until) if now < *until => Some(Err(why.clone())),
            _ => None,
        }
    }
}

/// A lock that outlives a panic of another holder: what it guards is only ever replaced whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
