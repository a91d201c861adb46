//! API keys as bearer tokens.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use mcphub_core::key::{ApiKey, KeyName, KeyToken};
use mcphub_core::principal::{Authenticator, Principal, Refusal};
use mcphub_core::store::ApiKeyStore;
use tokio::sync::Semaphore;

/// How many notes of uses are on their way to the store at once. One that finds no room is left to
/// the next use.
const MAX_NOTES: usize = 4;

/// Lets in who shows a token of an API key of the store's tenant. Notes uses, in the background and
/// at most once a minute for each key. Has to be used within a tokio runtime.
#[derive(Debug)]
pub struct KeyAuthenticator {
    store: Arc<dyn ApiKeyStore>,
    notes: Arc<Semaphore>,
}

impl KeyAuthenticator {
    /// Over the keys of this store.
    pub fn new(store: Arc<dyn ApiKeyStore>) -> Self {
        Self {
            store,
            notes: Arc::new(Semaphore::new(MAX_NOTES)),
        }
    }

    fn note(&self, key: &ApiKey, now: i64) {
        let noted = key.last_used_at.unwrap_or(i64::MIN);
        if now.saturating_sub(noted) < ApiKey::USE_NOTED_EVERY {
            return;
        }
        let Ok(room) = Arc::clone(&self.notes).try_acquire_owned() else {
            return;
        };
        let (store, name): (_, KeyName) = (Arc::clone(&self.store), key.name.clone());
        tokio::spawn(async move {
            if let Err(error) = store.note_api_key_use(&name, now).await {
                tracing::debug!(key = %name, error = %error.report(), "a use was not noted");
            }
            drop(room);
        });
    }
}

#[async_trait]
impl Authenticator for KeyAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Principal, Refusal> {
        let digest = KeyToken::parse(token)?.digest();
        let found = self.store.find_api_key(&digest).await.map_err(|error| {
            tracing::warn!(error = %error.report(), "a key cannot be checked");
            Refusal::Unavailable
        })?;
        let found = found.ok_or(Refusal::Unknown)?;
        let now = now();
        let principal = found.principal(now)?;
        self.note(&found.key, now);
        Ok(principal)
    }
}

/// Now, in Unix milliseconds.
pub(super) fn now() -> i64 {
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
