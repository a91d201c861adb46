//! Remembers who was let in, so that most requests cost one hash and one look into memory.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use mcphub_core::principal::{Authenticator, Principal, Refusal};
use mcphub_core::secret::{ExposeSecret, SecretString};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use super::keys::now;

/// How long somebody who was let in is not asked about again: so late a revocation is seen at most,
/// and what the answer takes.
const TRUSTED: Duration = Duration::from_secs(1);

/// How long somebody who was let in stays let in while nobody can be asked.
const KEPT: Duration = Duration::from_secs(5 * 60);

/// How long a refusal is not asked about again.
const REFUSED: Duration = Duration::from_secs(1);

/// How many tokens are remembered, and how many that were refused.
const MAX: u64 = 10_000;

/// How many tokens of each kind are asked about at once: whoever tries many waits for others of their
/// kind, and keeps neither those who were let in nor the store's connections busy.
const MAX_ASKED: usize = 8;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often an open stream asks whether who opened it is let in still.
const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

type Fingerprint = [u8; 32];

/// An [`Authenticator`] with a memory. Of a token it keeps the SHA-256.
pub(crate) struct Gate {
    authenticator: Arc<dyn Authenticator>,
    known: Cache<Fingerprint, Arc<Known>, ahash::RandomState>,
    refused: Cache<Fingerprint, Refusal, ahash::RandomState>,
    /// Turns of those who were not let in yet.
    asking: Semaphore,
    /// Turns of those who were.
    asking_again: Semaphore,
}

/// What a gate knows of a token.
pub(crate) struct Seen {
    fingerprint: Fingerprint,
    known: Option<Arc<Known>>,
}

impl Seen {
    /// Who shows it, if they were let in lately.
    pub(crate) fn known(&self) -> Option<&Principal> {
        self.known.as_deref().map(|known| &*known.principal)
    }
}

/// Somebody who was let in.
struct Known {
    principal: Arc<Principal>,
    /// When somebody asked about them last, whether there was an answer or not.
    asked: Mutex<Instant>,
}

impl Gate {
    pub(crate) fn new(authenticator: Arc<dyn Authenticator>) -> Self {
        let known = Cache::builder().max_capacity(MAX).time_to_live(KEPT);
        let refused = Cache::builder().max_capacity(MAX).time_to_live(REFUSED);
        Self {
            authenticator,
            known: known.build_with_hasher(ahash::RandomState::new()),
            refused: refused.build_with_hasher(ahash::RandomState::new()),
            asking: Semaphore::new(MAX_ASKED),
            asking_again: Semaphore::new(MAX_ASKED),
        }
    }

    /// Who shows this token.
    pub(crate) async fn admit(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        let seen = self.see(token).ok_or(Refusal::Malformed)?;
        self.admit_seen(token, seen).await
    }

    /// What is known of a token, without asking anybody. `None` for one that lets nobody in.
    pub(crate) fn see(&self, token: &str) -> Option<Seen> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let fingerprint: Fingerprint = Sha256::digest(token).into();
        let known = self.known.get(&fingerprint);
        Some(Seen { fingerprint, known })
    }

    /// Who shows this token, of which that is known.
    pub(crate) async fn admit_seen(
        &self,
        token: &str,
        seen: Seen,
    ) -> Result<Arc<Principal>, Refusal> {
        let Seen { fingerprint, known } = seen;
        let Some(known) = known else {
            // Boxed, because a timer is large and most requests need none.
            return Box::pin(self.ask(fingerprint, token, &self.asking)).await;
        };
        if known.principal.expires_at.is_some_and(|at| at <= now()) {
            self.known.invalidate(&fingerprint);
            return Err(Refusal::Expired);
        }
        if !known.is_due() {
            return Ok(Arc::clone(&known.principal));
        }
        // One request asks; others go on with what is known, and so does it when nobody answers.
        match Box::pin(self.ask(fingerprint, token, &self.asking_again)).await {
            Err(Refusal::Unavailable) => Ok(Arc::clone(&known.principal)),
            outcome => outcome,
        }
    }

    async fn ask(
        &self,
        fingerprint: Fingerprint,
        token: &str,
        turns: &Semaphore,
    ) -> Result<Arc<Principal>, Refusal> {
        if let Some(refusal) = self.refused.get(&fingerprint) {
            return Err(refusal);
        }
        let answer = async {
            // It is never closed.
            let _turn = turns.acquire().await;
            self.authenticator.authenticate(token).await
        };
        let answer = timeout(PATIENCE, answer).await;
        match answer.unwrap_or(Err(Refusal::Unavailable)) {
            Ok(principal) => {
                let known = Arc::new(Known {
                    principal: Arc::new(principal),
                    asked: Mutex::new(Instant::now()),
                });
                self.known.insert(fingerprint, Arc::clone(&known));
                Ok(Arc::clone(&known.principal))
            }
            Err(Refusal::Unavailable) => Err(Refusal::Unavailable),
            Err(refusal) => {
                self.known.invalidate(&fingerprint);
                self.refused.insert(fingerprint, refusal);
                Err(refusal)
            }
        }
    }
}

impl Known {
    /// Whether it is time to ask again; then it is the caller who does.
    fn is_due(&self) -> bool {
        // Nothing in here can panic.
        let mut asked = self
            .asked
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let due = asked.elapsed() >= TRUSTED;
        if due {
            *asked = Instant::now();
        }
        due
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("authenticator", &self.authenticator)
            .finish_non_exhaustive()
    }
}

/// Somebody who was let in, for as long as a stream of theirs is open.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    gate: Arc<Gate>,
    principal: Arc<Principal>,
    token: SecretString,
    /// When to ask the next time.
    due: Instant,
}

impl Admission {
    /// Of who was let in with this token.
    pub(crate) fn new(gate: &Arc<Gate>, principal: &Arc<Principal>, token: &str) -> Self {
        Self {
            gate: Arc::clone(gate),
            principal: Arc::clone(principal),
            token: token.into(),
            due: Instant::now() + ASKED_AGAIN,
        }
    }

    /// Who it is.
    pub(crate) fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Waits until they are let in no more, or may do something else than before.
    pub(crate) async fn ended(&mut self) {
        loop {
            // Whoever is interrupted and waits again waits no longer for it.
            sleep_until(self.due).await;
            self.due = Instant::now() + ASKED_AGAIN;
            match self.gate.admit(self.token.expose_secret()).await {
                Ok(now) if now.permissions == self.principal.permissions => {}
                // They were let in, and nobody can be asked now.
                Err(Refusal::Unavailable) => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use mcphub_core::tenant::Actor;

    use super::*;
    use tokio::time::sleep;

    /// Answers as it is told.
    #[derive(Debug)]
    struct Door {
        answer: Mutex<Result<Option<i64>, Refusal>>,
        asked: AtomicUsize,
    }

    impl Door {
        fn gate(answer: Result<Option<i64>, Refusal>) -> (Arc<Self>, Arc<Gate>) {
            let door = Arc::new(Self {
                answer: Mutex::new(answer),
                asked: AtomicUsize::new(0),
            });
            let gate = Arc::new(Gate::new(door.clone()));
            (door, gate)
        }

        fn answers(&self, answer: Result<Option<i64>, Refusal>) {
            *self.answer.lock().unwrap() = answer;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl Authenticator for Door {
        async fn authenticate(&self, _: &str) -> Result<Principal, Refusal> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let expires_at = (*self.answer.lock().unwrap())?;
            Ok(Principal {
                id: Actor::of("key", "ci"),
                actor: Actor::of("key", "ci"),
                permissions: Arc::default(),
                expires_at,
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_let_in_is_asked_about_once_a_second() {
        let (door, gate) = Door::gate(Ok(None));
        for _ in 0..100 {
            assert!(gate.admit("a").await.is_ok());
        }
        assert_eq!(door.asked(), 1);
        door.answers(Err(Refusal::Revoked));
        assert!(gate.admit("a").await.is_ok());
        assert_eq!(gate.admit("b").await, Err(Refusal::Revoked));
        sleep(TRUSTED).await;
        assert_eq!(gate.admit("a").await, Err(Refusal::Revoked));
        assert_eq!(door.asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_let_in_goes_on_while_nobody_can_be_asked() {
        let (door, gate) = Door::gate(Ok(None));
        assert!(gate.admit("a").await.is_ok());
        door.answers(Err(Refusal::Unavailable));
        sleep(TRUSTED * 2).await;
        assert!(gate.admit("a").await.is_ok());
        assert_eq!(gate.admit("b").await, Err(Refusal::Unavailable));
        door.answers(Err(Refusal::Revoked));
        sleep(TRUSTED).await;
        assert_eq!(gate.admit("a").await, Err(Refusal::Revoked));
    }

    #[tokio::test]
    async fn a_key_that_expires_is_refused_at_once() {
        let (door, gate) = Door::gate(Ok(Some(now() + 200)));
        assert!(gate.admit("a").await.is_ok());
        door.answers(Err(Refusal::Unavailable));
        while now() < i64::MAX {
            match gate.admit("a").await {
                Ok(_) => tokio::task::yield_now().await,
                Err(refusal) => {
                    assert_eq!(refusal, Refusal::Expired);
                    break;
                }
            }
        }
    }

    #[tokio::test]
    async fn a_refused_token_is_not_asked_about_each_time() {
        let (door, gate) = Door::gate(Err(Refusal::Unknown));
        for _ in 0..3 {
            assert_eq!(gate.admit("a").await, Err(Refusal::Unknown));
        }
        let long = "x".repeat(MAX_TOKEN + 1);
        assert_eq!(gate.admit(&long).await, Err(Refusal::Malformed));
        assert_eq!(door.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_admission_ends_with_the_key() {
        let (door, gate) = Door::gate(Ok(None));
        let principal = gate.admit("a").await.unwrap();
        let mut admission = Admission::new(&gate, &principal, "a");
        let begun = Instant::now();
        let ended = tokio::spawn(async move { admission.ended().await });
        sleep(ASKED_AGAIN * 3).await;
        assert!(!ended.is_finished());
        door.answers(Err(Refusal::Revoked));
        ended.await.unwrap();
        assert!(begun.elapsed() <= ASKED_AGAIN * 4);
    }
}
