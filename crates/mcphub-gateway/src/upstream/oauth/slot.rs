//! One token that is kept while it lasts.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcphub_core::secret::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// How long before its end a token is replaced, or half its life where that is less.
pub(super) const AHEAD: Duration = Duration::from_secs(30);
/// The life of a token whose server does not state one.
pub(super) const UNSTATED: Duration = Duration::from_secs(300);
/// The longest that a token is kept, whatever its server states.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long a refusal is passed on before the server is asked again.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A token, or the want of one.
pub(super) struct Slot {
    state: Mutex<State>,
    /// One asks, the others wait for what it gets.
    gate: Semaphore,
}

#[derive(Clone)]
pub(super) enum State {
    Nothing,
    Token(SecretString, Instant),
    /// This one was refused where it was shown.
    Bad(SecretString),
    Refused(String, Instant),
}

/// A token for a call.
pub(in crate::upstream) struct Granted {
    pub(in crate::upstream) token: SecretString,
    /// Whether another call got it, so that it may have been revoked since.
    pub(in crate::upstream) cached: bool,
}

impl Slot {
    pub(super) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            gate: Semaphore::new(1),
        }
    }

    /// The token that is there while it lasts, else the one that `get` gives with the time until which
    /// it is used, within `limit`. A refusal is passed on for [`PATIENCE`]; `late` says that there was
    /// no answer.
    pub(super) async fn get<F>(
        &self,
        limit: Duration,
        get: impl FnOnce() -> F,
        late: impl FnOnce(&str) -> String,
    ) -> Result<Granted, String>
    where
        F: Future<Output = Result<(SecretString, Instant), String>>,
    {
        if let Some(known) = self.known() {
            return known;
        }
        let _turn = self.gate.acquire().await;
        if let Some(known) = self.known() {
            return known;
        }
        let got = timeout(limit, get()).await.unwrap_or_else(|_| {
            let why = format!("there was no answer within {} s", limit.as_secs());
            Err(late(&why))
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
        *self.state() = state;
        result
    }

    /// Waits for whoever is asking.
    pub(super) async fn settle(&self) {
        let _turn = self.gate.acquire().await;
    }

    /// Drops a token that was refused where it was shown.
    pub(super) fn forget(&self, token: &SecretString) {
        let mut state = self.state();
        let same = matches!(&*state, State::Token(known, _) if same(known, token));
        if same {
            *state = State::Bad(token.clone());
        }
    }

    /// The token that was refused.
    pub(super) fn bad(&self) -> Option<SecretString> {
        match &*self.state() {
            State::Bad(token) => Some(token.clone()),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// What a call gets without waiting.
    pub(super) fn known(&self) -> Option<Result<Granted, String>> {
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

/// When a token is replaced that lasts so long.
pub(super) fn until(life: Duration) -> Instant {
    let life = life.min(LONGEST);
    Instant::now() + life - AHEAD.min(life / 2)
}

pub(super) fn same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// A lock that outlives a panic of another holder: what it guards is only ever replaced whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
