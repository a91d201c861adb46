//! Tokens that are each for one caller, in exchange for what says who that is (RFC 8693).
//!
//! Nothing that a caller has shown to the gateway goes on: what is exchanged is a statement of the
//! gateway's own, for the authorization server alone, or the token of a login that it keeps.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcphub_core::principal::Principal;
use mcphub_core::secret::{ExposeSecret, SecretString, Subject, TokenExchange};
use mcphub_core::tenant::Actor;
use moka::sync::Cache;
use tokio::time::Instant;

use super::client::{Asked, Authority, Place, place};
use super::server::{Failure, Server, TokenAnswer};
use super::slot::{Granted, Slot, State, UNSTATED, lock, same, until};
use super::token::{Tokens, none};
use crate::issuer::{KEYS, TokenIssuer};
use crate::upstream::native::NativeClient;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The most callers of one server whose tokens are kept. The longest unused are given up.
const CALLERS: u64 = 10_000;

/// How long a caller's token is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(3600);

/// How long it is taken for granted where tokens are exchanged.
const FOUND: Duration = Duration::from_secs(300);

/// The exchange of one scheme.
pub(super) struct Exchange {
    client: SecretString,
    scopes: Option<String>,
    asked: TokenExchange,
    issuer: Option<Arc<TokenIssuer>>,
    /// By whom they are about.
    callers: Cache<Actor, Arc<Slot>>,
    place: Mutex<Option<(Arc<Place>, Instant)>>,
}

impl Exchange {
    pub(super) fn new(
        client: SecretString,
        scopes: Option<String>,
        asked: TokenExchange,
        issuer: Option<Arc<TokenIssuer>>,
    ) -> Self {
        Self {
            client,
            scopes,
            asked,
            issuer,
            callers: Cache::builder()
                .max_capacity(CALLERS)
                .time_to_idle(IDLE)
                .build(),
            place: Mutex::new(None),
        }
    }

    /// Whether it is the same as another one.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        same(&self.client, &other.client)
            && (&self.scopes, &self.asked) == (&other.scopes, &other.asked)
    }

    /// The token of who calls, whose login may be among `logins`.
    pub(super) async fn get(
        &self,
        who: Option<&Principal>,
        of: &Asked<'_>,
        http: &NativeClient,
        logins: &Tokens,
    ) -> Result<Granted, String> {
        let who = who.ok_or_else(|| nobody(of.name))?;
        let new = || Arc::new(Slot::new(State::Nothing));
        let slot = self.callers.get_with_by_ref(&who.actor, new);
        let get = || async {
            let got = self.exchanged(who, of, http, logins).await;
            got.map_err(|failure| none(of.name, &self.told(&failure, who)))
        };
        let late = |why: &str| none(of.name, why);
        slot.get(http.settings.timeout, get, late).await
    }

    /// Drops a token of `who` that was refused where it was shown.
    pub(super) fn forget(&self, who: &Principal, token: &SecretString) {
        if let Some(slot) = self.callers.get(&who.actor) {
            slot.forget(token);
        }
    }

    /// Gives up the token of whoever has this login, because it is another one or none.
    pub(super) fn has_changed(&self, login: &str) {
        if let Ok(who) = Actor::new(login) {
            self.callers.invalidate(&who);
        }
    }

    async fn exchanged(
        &self,
        who: &Principal,
        of: &Asked<'_>,
        http: &NativeClient,
        logins: &Tokens,
    ) -> Result<(SecretString, Instant), Failure> {
        let server = Server {
            http,
            base_url: of.base_url,
        };
        let place = self.place(&server, of).await?;
        if self.asked.subject != Subject::Login {
            let word = self.stated(who, &place)?;
            return self.given_for(&word, JWT, &server, &place).await;
        }
        let login = Asked {
            name: who.actor.as_str(),
            authority: Authority::None,
            base_url: of.base_url,
        };
        let given = self.of_login(&login, http, logins, &server, &place).await;
        let over = matches!(&given, Err(failure) if failure.is("invalid_grant"));
        if over || given.is_ok() {
            logins.set_over(login.name, over);
        }
        given
    }

    /// The token that is given for that of a login.
    async fn of_login(
        &self,
        login: &Asked<'_>,
        http: &NativeClient,
        logins: &Tokens,
        server: &Server<'_>,
        place: &Place,
    ) -> Result<(SecretString, Instant), Failure> {
        let held = logins.get(login, http).await.map_err(Failure::new)?;
        let given = self.given_for(&held.token, ACCESS_TOKEN, server, place);
        match given.await {
            // It may have been revoked since it was got.
            Err(failure) if held.cached && failure.is("invalid_grant") => {
                logins.forget(login.name, None, &held.token);
                let held = logins.get(login, http).await.map_err(Failure::new)?;
                self.given_for(&held.token, ACCESS_TOKEN, server, place)
                    .await
            }
            given => given,
        }
    }

    /// What the gateway says of who calls.
    fn stated(&self, who: &Principal, place: &Place) -> Result<SecretString, Failure> {
        let none = "this gateway does not say who calls; start it with --public-url";
        let issuer = self.issuer.as_ref().ok_or_else(|| Failure::new(none))?;
        let stated = issuer.about(who, &place.url);
        stated.map_err(|error| Failure::new(error.report()))
    }

    /// The token that is given for another of this type, and until when it is used.
    async fn given_for(
        &self,
        subject: &SecretString,
        kind: &str,
        server: &Server<'_>,
        place: &Place,
    ) -> Result<(SecretString, Instant), Failure> {
        let asked = &self.asked;
        let scopes = self.scopes.as_ref().or(place.scopes.as_ref());
        let given = asked.audience.is_some() || asked.resource.is_some();
        let resource = asked.resource.as_ref();
        let resource = resource.or(place.resource.as_ref().filter(|_| !given));
        let options = [
            ("requested_token_type", asked.requested_type.as_ref()),
            ("audience", asked.audience.as_ref()),
            ("resource", resource),
            ("scope", scopes.filter(|it| !it.is_empty())),
        ];
        let mut form = vec![
            ("grant_type", GRANT),
            ("subject_token", subject.expose_secret()),
            ("subject_token_type", kind),
        ];
        let options = options.into_iter();
        form.extend(options.filter_map(|(name, value)| Some((name, value?.as_str()))));
        let answer = server.tokens(&place.url, &self.client, &form).await;
        let answer = answer.inspect_err(|_| *lock(&self.place) = None)?;
        self.check(&answer)?;
        let until = until(answer.life.unwrap_or(UNSTATED));
        Ok((answer.access_token, until))
    }

    /// That it is a token for calls: others may be given for the asking (RFC 8693, 2.2.1), and do not
    /// belong where calls go.
    fn check(&self, answer: &TokenAnswer) -> Result<(), Failure> {
        let wanted = self.asked.requested_type.as_deref();
        let kind = answer.kind.as_deref();
        if kind.is_none_or(|kind| kind == ACCESS_TOKEN || kind == JWT || Some(kind) == wanted) {
            return Ok(());
        }
        Err(Failure::new(
            "the authorization server gave a token of another type than was asked for",
        ))
    }

    async fn place(&self, server: &Server<'_>, of: &Asked<'_>) -> Result<Arc<Place>, Failure> {
        let known = lock(&self.place).clone();
        let known = known.filter(|(_, found)| found.elapsed() < FOUND);
        if let Some((place, _)) = known {
            return Ok(place);
        }
        let place = Arc::new(place(server, of).await?);
        *lock(&self.place) = Some((Arc::clone(&place), Instant::now()));
        Ok(place)
    }

    /// What went wrong, and what mends it.
    fn told(&self, failure: &Failure, who: &Principal) -> String {
        let who = &who.actor;
        let name = self.issuer.as_ref().map(|issuer| issuer.name());
        let stated = name.filter(|_| self.asked.subject == Subject::Gateway);
        let mend = match (failure.code.as_deref(), stated) {
            (Some("invalid_grant" | "invalid_request"), Some(name)) => format!(
                "it has to trust the issuer {name}, whose keys are at {name}{KEYS}, and to know {who}"
            ),
            (Some("invalid_grant" | "invalid_request"), None) => {
                format!("it does not take the login of {who}; log in again with `mcphub login`")
            }
            (Some("invalid_target"), _) => {
                "it does not know the audience or the resource of the exchange".to_owned()
            }
            (Some("invalid_scope"), _) => {
                "it does not give the scopes that are asked for".to_owned()
            }
            (Some("access_denied" | "unauthorized_client"), _) => {
                format!("it has to let the client exchange tokens for {who}")
            }
            (Some("invalid_client"), _) => "it does not know the client, or its secret".to_owned(),
            (Some("unsupported_grant_type"), _) => {
                "it has no token exchange (RFC 8693), or not for clients like this one".to_owned()
            }
            _ => return failure.text.clone(),
        };
        format!("{}: {mend}", failure.text)
    }
}

/// Why a call of nobody in particular gets no token.
pub(in crate::upstream) fn nobody(scheme: &str) -> String {
    none(
        scheme,
        "it is exchanged for whoever calls, and nobody is asked who that is here; `mcphub serve --auth keys` asks",
    )
}
