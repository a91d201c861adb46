//! Signing in with a password, and staying so.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mcphub_core::password::PasswordHash;
use mcphub_core::principal::{Permissions, Refusal};
use mcphub_core::secret::SecretString;
use mcphub_core::shared::{Decision, Rate, RateLimiter};
use mcphub_core::sign_in::{AccessToken, NewSignIn, RefreshToken, Refreshed, TokenDigests};
use mcphub_core::store::{Passwords, SignInStore};
use mcphub_core::user::UserName;
use mcphub_core::{Error, Result};
use tokio::sync::Semaphore;

use super::keys::now;
use super::password::{PasswordHasher, Verdict};
use crate::mcp::http::limit;

/// How many notes of failures are on their way to the store at once; one more is not noted.
const MAX_NOTES: usize = 16;

/// How long sign-ins last, and how often one may be tried.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SignInSettings {
    /// How long an access token lets in. Default 15 min.
    pub access: Duration,
    /// How long a sign-in lasts without being refreshed. Default 7 days.
    pub idle: Duration,
    /// How long it lasts at most. Default 30 days.
    pub life: Duration,
    /// How often somebody may try to sign in as one user, at all nodes together. Default 10 at once,
    /// and then one a minute.
    pub per_user: Rate,
    /// How often from one address, or /64 of IPv6. Default 30 at once, and then one in 2 s.
    pub per_address: Rate,
}

impl Default for SignInSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            access: Duration::from_secs(15 * 60),
            idle: DAY * 7,
            life: DAY * 30,
            per_user: Rate::every(60).with_burst(10),
            per_address: Rate::every(2).with_burst(30),
        }
    }
}

/// Signs users of a store in and out.
///
/// Every attempt counts, whether it succeeds or not, before anything is computed. Who is no user takes
/// as long to refuse as a wrong password. Failures of who is a user are noted in the audit log, in the
/// background. Has to be used within a tokio runtime.
#[derive(Debug)]
pub struct SignIns {
    store: Arc<dyn SignInStore>,
    passwords: Arc<dyn Passwords>,
    limits: Arc<dyn RateLimiter>,
    hasher: PasswordHasher,
    settings: SignInSettings,
    notes: Arc<Semaphore>,
}

/// What somebody has who signed in.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access: AccessToken,
    pub(crate) access_lasts: Duration,
    pub(crate) refresh: RefreshToken,
    /// Until when, in Unix milliseconds, the refresh token is good.
    pub(crate) refresh_ends_at: i64,
}

/// Why somebody is not signed in.
#[derive(Debug)]
pub(crate) enum NotSignedIn {
    /// There is no such user, or it is another password.
    Wrong,
    /// It was tried too often.
    Limited(Duration),
    /// The password or the token is good, or was.
    Refused(Refusal),
    /// It cannot be told now.
    Failed(Error),
}

impl From<Error> for NotSignedIn {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl SignIns {
    /// Over the users and sign-ins of this store, counting attempts there.
    pub fn new<S: SignInStore + Passwords>(
        store: Arc<S>,
        limits: Arc<dyn RateLimiter>,
        settings: SignInSettings,
    ) -> Self {
        Self {
            store: store.clone(),
            passwords: store,
            limits,
            hasher: PasswordHasher::default(),
            settings,
            notes: Arc::new(Semaphore::new(MAX_NOTES)),
        }
    }

    /// Signs a user in.
    pub(crate) async fn sign_in(
        &self,
        name: &str,
        password: SecretString,
        from: Option<IpAddr>,
    ) -> Result<Tokens, NotSignedIn> {
        let (user, password, _) = self.proved(name, password, from).await?;
        let refresh = RefreshToken::from_entropy(random()?);
        let (tokens, digests) = self.tokens(refresh)?;
        let new = NewSignIn {
            user,
            password,
            from,
            tokens: digests,
            ends_at: after(self.settings.life),
        };
        if !self.store.begin_sign_in(&new).await? {
            // They were changed since they were read.
            return Err(NotSignedIn::Wrong);
        }
        Ok(tokens)
    }

    /// Who gives the password of a user, and what they may do. It counts as an attempt to sign in, and
    /// begins nothing.
    pub(crate) async fn identify(
        &self,
        name: &str,
        password: SecretString,
        from: Option<IpAddr>,
    ) -> Result<(UserName, Permissions), NotSignedIn> {
        let (user, _, permissions) = self.proved(name, password, from).await?;
        Ok((user, permissions))
    }

    /// Counts an attempt to say who one is in another way than with a password.
    pub(crate) async fn count_attempt(&self, from: Option<IpAddr>) -> Result<(), NotSignedIn> {
        let address = format!("sign-in {}", limit::key(from));
        self.count(&address, self.settings.per_address).await
    }

    /// What a user may do now.
    pub(crate) async fn permissions(&self, user: &UserName) -> Result<Permissions, NotSignedIn> {
        let account = self.store.account(user).await?;
        let account = account.ok_or(NotSignedIn::Refused(Refusal::NoMember))?;
        let allowed = account.standing.allowed().cloned();
        allowed.map_err(NotSignedIn::Refused)
    }

    async fn proved(
        &self,
        name: &str,
        password: SecretString,
        from: Option<IpAddr>,
    ) -> Result<(UserName, PasswordHash, Permissions), NotSignedIn> {
        self.count_attempt(from).await?;
        // What is no name is nobody's, and takes as long.
        let user = UserName::new(name).ok();
        let account = match &user {
            None => None,
            Some(user) => {
                let key = format!("sign-in of {user}");
                self.count(&key, self.settings.per_user).await?;
                self.store.account(user).await?
            }
        };
        let known = account.as_ref().and_then(|it| it.password.clone());
        let verdict = self.hasher.verify(password, known.clone()).await?;
        let (Some(user), Some(account), Some(known)) = (user.clone(), account, known) else {
            self.note(user, from);
            return Err(NotSignedIn::Wrong);
        };
        let known = match verdict {
            Verdict::Wrong => {
                self.note(Some(user), from);
                return Err(NotSignedIn::Wrong);
            }
            Verdict::Right => known,
            Verdict::Outdated(renewed) => self.renew(&user, known, renewed).await,
        };
        match account.standing.allowed() {
            Ok(permissions) => {
                let permissions = permissions.clone();
                Ok((user, known, permissions))
            }
            Err(refusal) => {
                self.note(Some(user), from);
                Err(NotSignedIn::Refused(refusal))
            }
        }
    }

    /// Exchanges a refresh token for the next tokens.
    pub(crate) async fn refresh(&self, token: &str) -> Result<Tokens, NotSignedIn> {
        let known = RefreshToken::parse(token).map_err(NotSignedIn::Refused)?;
        let (mut tokens, digests) = self.tokens(known.next(random()?))?;
        match self.store.refresh_sign_in(&known.turn(), &digests).await? {
            Refreshed::Renewed(sign_in) => {
                tokens.refresh_ends_at = sign_in.lapses_at;
                Ok(tokens)
            }
            Refreshed::Refused(refusal) => Err(NotSignedIn::Refused(refusal)),
            _ => Err(Error::internal("the store says what is not known here").into()),
        }
    }

    /// Ends the sign-in of a refresh token; of one that is over, nothing.
    pub(crate) async fn sign_out(&self, token: &str) -> Result<(), NotSignedIn> {
        let known = RefreshToken::parse(token).map_err(NotSignedIn::Refused)?;
        self.store.end_sign_in(&known.family()).await?;
        Ok(())
    }

    async fn count(&self, key: &str, rate: Rate) -> Result<(), NotSignedIn> {
        match self.limits.take(key, rate).await? {
            Decision::Allowed { .. } => Ok(()),
            Decision::Limited { retry_after } => Err(NotSignedIn::Limited(retry_after)),
        }
    }

    /// Keeps the better hash of a password that was right; what they have now.
    async fn renew(
        &self,
        user: &UserName,
        known: PasswordHash,
        renewed: PasswordHash,
    ) -> PasswordHash {
        match self.passwords.renew_password(user, &known, &renewed).await {
            Ok(true) => renewed,
            Ok(false) => known,
            Err(error) => {
                tracing::warn!(%user, error = %error.report(), "a hash was not renewed");
                known
            }
        }
    }

    fn tokens(&self, refresh: RefreshToken) -> Result<(Tokens, TokenDigests)> {
        let access = AccessToken::from_entropy(random()?);
        let lapses_at = after(self.settings.idle.min(self.settings.life));
        let digests = TokenDigests {
            family: refresh.family(),
            turn: refresh.turn(),
            access: access.digest(),
            access_ends_at: after(self.settings.access),
            lapses_at,
        };
        let tokens = Tokens {
            access,
            access_lasts: self.settings.access,
            refresh,
            refresh_ends_at: lapses_at,
        };
        Ok((tokens, digests))
    }

    /// Notes a failure after it was answered, so that the time tells nobody who is a user.
    fn note(&self, user: Option<UserName>, from: Option<IpAddr>) {
        let Some(user) = user else { return };
        let Ok(room) = Arc::clone(&self.notes).try_acquire_owned() else {
            tracing::warn!("a failed sign-in was not noted: too many at once");
            return;
        };
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            if let Err(error) = store.note_failed_sign_in(&user, from).await {
                // Without the name, which may be a password.
                tracing::warn!(error = %error.report(), "a failed sign-in was not noted");
            }
            drop(room);
        });
    }
}

fn after(time: Duration) -> i64 {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    now().saturating_add(millis)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bits = [0; N];
    getrandom::fill(&mut bits).map_err(|error| {
        Error::internal("the operating system gives no random bytes").caused_by(error)
    })?;
    Ok(bits)
}
