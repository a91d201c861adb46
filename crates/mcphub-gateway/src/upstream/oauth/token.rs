//! Access tokens for calls: got with a client's own credentials (RFC 6749, 4.4), those of a login, or
//! exchanged for who calls (RFC 8693).

use std::collections::HashMap;
use std::sync::Arc;

use mcphub_core::principal::Principal;
use mcphub_core::secret::{Credentials, GrantKeeper, SecretString};
use mcphub_core::server::ServerName;

use super::client::{Asked, client_credentials};
use super::exchange::Exchange;
use super::renewal::{Login, Renewal};
use super::server::{Server, id_and_password};
use super::slot::{Granted, Slot, State, same};
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
enum Held {
    Client {
        secret: SecretString,
        scopes: Option<String>,
        slot: Slot,
    },
    Login(Arc<Login>),
}

impl Held {
    fn slot(&self) -> &Slot {
        match self {
            Self::Client { slot, .. } => slot,
            Self::Login(login) => login.slot(),
        }
    }

    /// Whether another one is got by the same.
    fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Login(one), Self::Login(other)) => one.same_as(other),
            (
                Self::Client { secret, scopes, .. },
                Self::Client {
                    secret: new,
                    scopes: wide,
                    ..
                },
            ) => same(secret, new) && scopes == wide,
            _ => false,
        }
    }
}

impl Tokens {
    /// Nothing is asked for yet. A scheme with a value of its own needs no token.
    pub(in crate::upstream) fn new(credentials: &Credentials, means: Means) -> Self {
        let needed = |name: &String| !credentials.schemes.contains_key(name);
        let clients = credentials.clients.iter();
        // A client without a password gets tokens for others alone (RFC 6749, 4.4).
        let clients = clients.filter(|(name, secret)| {
            !credentials.exchanges.contains_key(*name) || id_and_password(secret).1.is_some()
        });
        let clients = clients.map(|(name, secret)| {
            let held = Held::Client {
                secret: secret.clone(),
                scopes: credentials.scopes.get(name).cloned(),
                slot: Slot::new(State::Nothing),
            };
            (name, held)
        });
        let logins = credentials.grants.iter();
        let logins = logins.map(|(name, grant)| {
            let login = Login::new(grant.clone());
            (name, Held::Login(Arc::new(login)))
        });
        let held = logins.chain(clients).filter(|(name, _)| needed(name));
        let held = held.map(|(name, held)| (name.clone(), Arc::new(held)));
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
            if known.same_as(held) {
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
        match &**held {
            Held::Client {
                secret,
                scopes,
                slot,
            } => {
                let server = Server {
                    http,
                    base_url: of.base_url,
                };
                let get = || async {
                    let got = client_credentials(&server, of, secret, scopes.as_deref()).await;
                    got.map_err(|failure| none(of.name, &failure.text))
                };
                let late = |why: &str| none(of.name, why);
                slot.get(http.settings.timeout, get, late).await
            }
            Held::Login(login) => match login.slot().known() {
                Some(known) => known,
                None => {
                    let renewal = Renewal {
                        login: Arc::clone(login),
                        scheme: of.name.to_owned(),
                        keeper: self.means.keeper.clone(),
                        http: http.clone(),
                        base_url: of.base_url.clone(),
                    };
                    renewal.get().await
                }
            },
        }
    }

    /// Waits for logins that are being renewed.
    pub(in crate::upstream) async fn settle(&self) {
        for held in self.held.values() {
            if let Held::Login(login) = &**held {
                login.slot().settle().await;
            }
        }
    }

    /// Whether a login lets in no more, as far as is known.
    pub(in crate::upstream) fn is_over(&self, login: &str) -> bool {
        matches!(self.held.get(login).map(|held| &**held), Some(Held::Login(login)) if login.is_over())
    }

    /// Notes whether a login lets in no more.
    pub(super) fn set_over(&self, login: &str, over: bool) {
        if let Some(Held::Login(login)) = self.held.get(login).map(|held| &**held) {
            login.set_over(over);
        }
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
            held.slot().forget(token);
        }
    }
}

pub(super) fn none(scheme: &str, why: &str) -> String {
    format!("No access token could be had for `{scheme}`: {why}")
}
