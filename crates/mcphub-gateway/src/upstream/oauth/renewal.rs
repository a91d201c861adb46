//! A login and its access token, which is renewed before it ends (RFC 6749, 6).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcphub_core::secret::{ExposeSecret, Grant, SecretString};
use tokio::time::Instant;
use tracing::Instrument;
use url::Url;

use super::server::Server;
use super::slot::{AHEAD, Granted, LONGEST, PATIENCE, Slot, State, lock, same, until};
use super::token::{Keeper, none};
use crate::upstream::native::NativeClient;

/// How long it is waited, again and again, for what another process that renews a login keeps.
const OTHERS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(450),
];

/// A login with its token.
pub(super) struct Login {
    grant: Mutex<Grant>,
    slot: Slot,
    /// Whether it lets in no more, so that its person has to log in anew.
    over: AtomicBool,
}

impl Login {
    pub(super) fn new(grant: Grant) -> Self {
        Self {
            slot: Slot::new(lasting(&grant)),
            grant: Mutex::new(grant),
            over: AtomicBool::new(false),
        }
    }

    /// Whether it lets in no more, as far as is known.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn set_over(&self, over: bool) {
        self.over.store(over, Ordering::Relaxed);
    }

    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Whether both came from the same consent, as far as they were not renewed.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let known = lock(&self.grant).clone();
        lock(&other.grant).same_as(&known)
    }
}

/// The renewal of a login.
pub(super) struct Renewal {
    pub(super) login: Arc<Login>,
    pub(super) scheme: String,
    pub(super) keeper: Option<Keeper>,
    pub(super) http: NativeClient,
    /// What relative URLs are relative to.
    pub(super) base_url: Url,
}

impl Renewal {
    /// The token that is there by now, else a new one.
    ///
    /// It goes on when who waits for it has gone: a refresh token is often good for one use, and with
    /// the answer the next one would be lost.
    pub(super) async fn get(self) -> Result<Granted, String> {
        let scheme = self.scheme.clone();
        let renewing = async move {
            let late = |why: &str| none(&self.scheme, why);
            let limit = self.http.settings.timeout;
            self.login.slot.get(limit, || self.renewed(), late).await
        };
        let renewing = tokio::spawn(renewing.in_current_span());
        let ended = |_| Err(none(&scheme, "the gateway ends"));
        renewing.await.unwrap_or_else(ended)
    }

    /// The access token of a login, after it was renewed, and until when it is used.
    async fn renewed(&self) -> Result<(SecretString, Instant), String> {
        let (scheme, held) = (&self.scheme, &self.login.grant);
        let server = Server {
            http: &self.http,
            base_url: &self.base_url,
        };
        let bad = self.login.slot.bad();
        let mut known = lock(held).clone();
        let fresh = |grant: &Grant| {
            let refused = bad
                .as_ref()
                .is_some_and(|bad| same(bad, &grant.access_token));
            let ended = grant.remaining().is_some_and(|left| left < AHEAD);
            !refused && !ended
        };
        // Another process may have renewed it: a refresh token is often good for one use.
        let kept = self.current().await;
        if let Some(kept) = kept.filter(|kept| !kept.same_as(&known)) {
            if fresh(&kept) {
                return Ok(self.adopt(kept));
            }
            // It has ended too by now, and what renews it is the newer one.
            lock(held).clone_from(&kept);
            known = kept;
        }
        let Some(refresh_token) = &known.refresh_token else {
            return Err(self.ended("its server gave nothing to renew it with"));
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
                self.keep(&known, &grant).await;
                Ok(self.adopt(grant))
            }
            Err(failure) if failure.is("invalid_grant") => {
                // Perhaps another process was first, by a moment, and has not kept it yet.
                let lasts = |kept: &Grant| kept.remaining().is_none_or(|left| !left.is_zero());
                for pause in OTHERS {
                    tokio::time::sleep(pause).await;
                    let kept = self.current().await;
                    if let Some(kept) = kept.filter(|kept| !kept.same_as(&known) && lasts(kept)) {
                        return Ok(self.adopt(kept));
                    }
                }
                Err(self.ended(&failure.text))
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

    async fn current(&self) -> Option<Grant> {
        let scheme = &self.scheme;
        let Keeper { server, grants } = self.keeper.as_ref()?;
        match grants.current(server, scheme).await {
            Ok(grant) => grant,
            Err(error) => {
                tracing::warn!(%server, scheme, error = %error.report(), "a login cannot be read; the one in memory is used");
                None
            }
        }
    }

    fn adopt(&self, grant: Grant) -> (SecretString, Instant) {
        let used = used(&grant);
        self.login.set_over(false);
        *lock(&self.login.grant) = grant;
        used
    }

    fn ended(&self, why: &str) -> String {
        self.login.set_over(true);
        let scheme = &self.scheme;
        format!("The login of `{scheme}` has ended ({why}); log in again with `mcphub login`")
    }

    async fn keep(&self, known: &Grant, renewed: &Grant) {
        let scheme = &self.scheme;
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
