//! Access tokens for calls: got with a client's own credentials (RFC 6749, 4.4), those of a login,
//! renewed before they end (6), or exchanged for who calls (RFC 8693).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use mcphub_core::principal::Principal;
use mcphub_core::secret::{Credentials, ExposeSecret, Grant, GrantKeeper, SecretString};
use mcphub_core::server::ServerName;
use tokio::time::Instant;

use super::client::{Asked, client_credentials};
use super::exchange::Exchange;
use super::server::{Server, id_and_password};
use super::slot::{AHEAD, Granted, LONGEST, PATIENCE, Slot, State, lock, same, until};
use crate::issuer::TokenIssuer;
use crate::upstream::native::NativeClient;

/// The tokens of one API, by security scheme.
#[derive(Default)]
pub(in crate::upstream) struct Tokens {
    held: HashMap<String, Arc<Held>>,
    /// Those of which each caller has one.
    exchanges: HashMap<String, Arc<Exchange>>,
    means: Means,
}

/// What getting tokens takes besides credentials.
#[derive(Debug, Clone, Default)]
pub(in crate::upstream) struct Means {
    /// Where logins are kept when they were renewed.
    pub(in crate::upstream) keeper: Option<Keeper>,
    /// What says who calls.
    pub(in crate::upstream) issuer: Option<Arc<TokenIssuer>>,
}

/// Where the grants of a server are kept when they were renewed.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Keeper {
    pub(in crate::upstream) server: ServerName,
    pub(in crate::upstream) grants: Arc<dyn GrantKeeper>,
}

/// A token with what it is got by.
struct Held {
    source: Source,
    slot: Slot,
}

enum Source {
    Client {
        secret: SecretString,
        scopes: Option<String>,
    },
    Login(Mutex<Grant>),
}

impl Tokens {
    /// Nothing is asked for yet. A scheme with a value of its own needs no token.
    pub(in crate::upstream) fn new(credentials: &Credentials, means: Means) -> Self {
        let needed = |name: &String| !credentials.schemes.contains_key(name);
        let clients = credentials.clients.iter().map(|(name, secret)| {
            let scopes = credentials.scopes.get(name).cloned();
            let secret = secret.clone();
            (name, Source::Client { secret, scopes }, State::Nothing)
        });
        // A client without a password gets tokens for others alone (RFC 6749, 4.4).
        let clients = clients.filter(|(name, source, _)| match source {
            Source::Client { secret, .. } => {
                let exchanges = credentials.exchanges.contains_key(*name);
                !exchanges || id_and_password(secret).1.is_some()
            }
            Source::Login(_) => true,
        });
        let logins = credentials.grants.iter().map(|(name, grant)| {
            let source = Source::Login(Mutex::new(grant.clone()));
            (name, source, lasting(grant))
        });
        let all = logins.chain(clients).filter(|(name, ..)| needed(name));
        let held = all.map(|(name, source, state)| {
            let slot = Slot::new(state);
            (name.clone(), Arc::new(Held { source, slot }))
        });
        let exchanges = credentials.exchanges.iter();
        let exchanges = exchanges.filter(|(name, _)| needed(name));
        let exchanges = exchanges.filter_map(|(name, asked)| {
            let client = credentials.clients.get(name)?.clone();
            let scopes = credentials.scopes.get(name).cloned();
            let exchange = Exchange::new(client, scopes, asked.clone(), means.issuer.clone());
            Some((name.clone(), Arc::new(exchange)))
        });
        Self {
            held: held.collect(),
            exchanges: exchanges.collect(),
            means,
        }
    }

    /// Those of other credentials. A login that is in both goes on as it is.
    pub(in crate::upstream) fn with(&self, credentials: &Credentials) -> Self {
        let mut new = Self::new(credentials, self.means.clone());
        for (name, held) in &mut new.held {
            let Some(known) = self.held.get(name) else {
                continue;
            };
            let same = match (&known.source, &held.source) {
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
                *held = Arc::clone(known);
            }
        }
        for (name, exchange) in &mut new.exchanges {
            let known = self.exchanges.get(name);
            let Some(known) = known.filter(|known| known.same_as(exchange)) else {
                continue;
            };
            *exchange = Arc::clone(known);
            let stays = |(login, held): &(&String, &Arc<Held>)| {
                new.held
                    .get(*login)
                    .is_some_and(|new| Arc::ptr_eq(new, held))
            };
            let changed = self.held.iter().filter(|it| !stays(it));
            changed.for_each(|(login, _)| exchange.has_changed(login));
        }
        new
    }

    /// Whether no scheme gets its tokens here.
    pub(in crate::upstream) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.exchanges.is_empty()
    }

    /// Whether the tokens of a scheme are got here.
    pub(in crate::upstream) fn has(&self, scheme: &str) -> bool {
        self.holds(scheme) || self.exchanges(scheme)
    }

    /// Whether there is a token of the gateway itself, or of a login.
    pub(in crate::upstream) fn holds(&self, scheme: &str) -> bool {
        self.held.contains_key(scheme)
    }

    /// Whether each caller has a token of their own for a scheme, which is exchanged.
    pub(in crate::upstream) fn exchanges(&self, scheme: &str) -> bool {
        self.exchanges.contains_key(scheme)
    }

    /// A token for a call of `who`: the one that is there while it lasts, else a new one. The error
    /// is a text for the model, without secrets.
    pub(in crate::upstream) async fn get_for(
        &self,
        who: Option<&Principal>,
        of: &Asked<'_>,
        http: &NativeClient,
    ) -> Result<Granted, String> {
        match self.exchanges.get(of.name) {
            Some(exchange) => exchange.get(who, of, http, self).await,
            None => self.get(of, http).await,
        }
    }

    /// A token of the gateway itself, or of a login: as [`Tokens::get_for`].
    pub(in crate::upstream) async fn get(
        &self,
        of: &Asked<'_>,
        http: &NativeClient,
    ) -> Result<Granted, String> {
        let Some(held) = self.held.get(of.name) else {
            return Err(format!("No client is configured for `{}`", of.name));
        };
        let server = Server {
            http,
            base_url: of.base_url,
        };
        let get = || async {
            match &held.source {
                Source::Client { secret, scopes } => {
                    let got = client_credentials(&server, of, secret, scopes.as_deref()).await;
                    got.map_err(|failure| none(of.name, &failure.text))
                }
                Source::Login(grant) => self.renewed(&server, of.name, &held.slot, grant).await,
            }
        };
        let late = |why: &str| none(of.name, why);
        held.slot.get(http.settings.timeout, get, late).await
    }

    /// Drops a token that was refused where it was shown, for a call of `who`.
    pub(in crate::upstream) fn forget(
        &self,
        scheme: &str,
        who: Option<&Principal>,
        token: &SecretString,
    ) {
        if let (Some(exchange), Some(who)) = (self.exchanges.get(scheme), who) {
            exchange.forget(who, token);
        } else if let Some(held) = self.held.get(scheme) {
            held.slot.forget(token);
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
        let bad = slot.bad();
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
        let Keeper { server, grants } = self.means.keeper.as_ref()?;
        match grants.current(server, scheme).await {
            Ok(grant) => grant,
            Err(error) => {
                tracing::warn!(%server, scheme, error = %error.report(), "a login cannot be read; the one in memory is used");
                None
            }
        }
    }

    async fn keep(&self, scheme: &str, known: &Grant, renewed: &Grant) {
        let Some(Keeper { server, grants }) = &self.means.keeper else {
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

pub(super) fn none(scheme: &str, why: &str) -> String {
    format!("No access token could be had for `{scheme}`: {why}")
}

fn ended(scheme: &str, why: &str) -> String {
    format!("The login of `{scheme}` has ended ({why}); log in again with `mcphub login`")
}
