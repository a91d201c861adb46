//! Passwords: hashed and checked, a few at once and off the runtime.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use mcphub_core::password::{MAX_PASSWORD, PasswordAlgorithm, PasswordHash, check};
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What OWASP asks of Argon2id as the least (Password Storage Cheat Sheet): 19 MiB, gone through
/// twice, by one thread.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of a salt.
const SALT: usize = 16;

/// The most that are computed at once, whatever the machine: so much memory they take.
const MAX_AT_ONCE: usize = 4;

/// How long a turn is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the password of nobody is held against, so that it takes as long as that of somebody.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGxldCBpbg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords with Argon2id, and checks them against that or bcrypt. At most as many at once as
/// the machine has processors, and 4; who gets no turn within 5 s is told to try again. Has to be used
/// within a tokio runtime.
#[derive(Clone)]
pub struct PasswordHasher {
    turns: Arc<Semaphore>,
}

/// What a check says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and this is how it would be hashed now.
    Outdated(PasswordHash),
}

impl Default for PasswordHasher {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new(processors.min(MAX_AT_ONCE))),
        }
    }
}

impl PasswordHasher {
    /// The hash of a password.
    ///
    /// # Errors
    /// `InvalidInput` for one that is too short or too long, `Unavailable` without a turn.
    pub async fn hash(&self, password: SecretString) -> Result<PasswordHash> {
        check(&password)?;
        self.in_turn(move || hash(&password)).await
    }

    /// Whether it is the password with that hash; for `None` it is not, which takes as long.
    pub(super) async fn verify(
        &self,
        password: SecretString,
        known: Option<PasswordHash>,
    ) -> Result<Verdict> {
        if password.expose_secret().len() > MAX_PASSWORD {
            return Ok(Verdict::Wrong);
        }
        self.in_turn(move || verify(&password, known.as_ref()))
            .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = timeout(PATIENCE, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let message = "too many passwords are being checked; try again";
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // Also where nobody waits for it any more.
            drop(turn);
            done
        });
        done.await
            .map_err(|error| Error::internal("the work was interrupted").caused_by(error))?
    }
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").finish_non_exhaustive()
    }
}

fn hash(password: &SecretString) -> Result<PasswordHash> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|error| {
        Error::internal("the operating system gives no random bytes").caused_by(error)
    })?;
    let failed = |error: &dyn fmt::Display| {
        Error::internal("a password cannot be hashed").with("why", error)
    };
    let params = Params::new(MEMORY, PASSES, LANES, None).map_err(|error| failed(&error))?;
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
        .map_err(|error| failed(&error))?;
    PasswordHash::new(hash.to_string())
}

fn verify(password: &SecretString, known: Option<&PasswordHash>) -> Result<Verdict> {
    let text = password.expose_secret().as_bytes();
    let Some(known) = known else {
        let _ = Argon2::default().verify_password(text, NOBODY);
        return Ok(Verdict::Wrong);
    };
    let right = match known.algorithm() {
        PasswordAlgorithm::Bcrypt { .. } => bcrypt::verify(text, known.expose()).unwrap_or(false),
        // It takes the parameters of the hash.
        _ => Argon2::default()
            .verify_password(text, known.expose())
            .is_ok(),
    };
    if !right {
        return Ok(Verdict::Wrong);
    }
    let now = PasswordAlgorithm::Argon2id {
        memory: MEMORY,
        passes: PASSES,
        lanes: LANES,
    };
    if known.algorithm() == now {
        return Ok(Verdict::Right);
    }
    Ok(Verdict::Outdated(hash(password)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWORD: &str = "correct horse battery";

    /// By other implementations: bcrypt of the Openwall reference, Argon2 of the reference in C.
    const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    #[tokio::test]
    async fn a_password_is_told_from_others() {
        let hasher = PasswordHasher::default();
        let hash = hasher.hash(PASSWORD.into()).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verify = async |password: &str, hash: Option<&PasswordHash>| {
            hasher.verify(password.into(), hash.cloned()).await.unwrap()
        };
        assert_eq!(verify(PASSWORD, Some(&hash)).await, Verdict::Right);
        let longer = "x".repeat(MAX_PASSWORD + 1);
        for wrong in ["", "correct horse batterY", &longer] {
            assert_eq!(verify(wrong, Some(&hash)).await, Verdict::Wrong);
            assert_eq!(verify(wrong, None).await, Verdict::Wrong);
        }
        assert_ne!(hasher.hash(PASSWORD.into()).await.unwrap(), hash);
        for wrong in ["short", &longer] {
            let error = hasher.hash(wrong.into()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }

    #[tokio::test]
    async fn another_systems_hash_is_taken_and_made_anew() {
        let hasher = PasswordHasher::default();
        let known = PasswordHash::new(BCRYPT).unwrap();
        let verdict = hasher.verify("U*U".into(), Some(known.clone())).await;
        let Verdict::Outdated(renewed) = verdict.unwrap() else {
            panic!("it is bcrypt");
        };
        let again = hasher.verify("U*U".into(), Some(renewed)).await;
        assert_eq!(again.unwrap(), Verdict::Right);
        let wrong = hasher.verify("U*V".into(), Some(known)).await;
        assert_eq!(wrong.unwrap(), Verdict::Wrong);
    }

    #[test]
    fn what_nobody_is_held_against_is_a_hash_of_ours() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let ours = hash(&PASSWORD.into()).unwrap();
        assert_eq!(nobody.algorithm(), ours.algorithm());
        assert_eq!(nobody.expose().len(), ours.expose().len());
        // It is read as one, and not refused before anything is computed.
        let outcome = Argon2::default().verify_password(b"x", NOBODY);
        assert_eq!(outcome, Err(argon2::password_hash::Error::PasswordInvalid));
    }
}
