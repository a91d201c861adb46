//! Bearer tokens of every kind.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::principal::{Authenticator, Principal, Refusal};
use mcphub_core::sign_in::AccessToken;
use mcphub_core::store::{ApiKeyStore, SignInStore};

use super::keys::{KeyAuthenticator, now};

/// Lets in who shows a token of an API key, as [`KeyAuthenticator`] does, or the access token of who
/// is signed in.
#[derive(Debug)]
pub struct BearerAuthenticator {
    keys: KeyAuthenticator,
    sign_ins: Arc<dyn SignInStore>,
}

impl BearerAuthenticator {
    /// Over the keys and the sign-ins of this store.
    pub fn new<S: ApiKeyStore + SignInStore>(store: Arc<S>) -> Self {
        Self {
            keys: KeyAuthenticator::new(store.clone()),
            sign_ins: store,
        }
    }
}

#[async_trait]
impl Authenticator for BearerAuthenticator {
    async fn authenticate(&self, token: &str) -> Result<Principal, Refusal> {
        if !token.starts_with(AccessToken::PREFIX) {
            return self.keys.authenticate(token).await;
        }
        let digest = AccessToken::parse(token)?.digest();
        let found = self.sign_ins.find_sign_in(&digest).await.map_err(|error| {
            tracing::warn!(error = %error.report(), "an access token cannot be checked");
            Refusal::Unavailable
        })?;
        found.ok_or(Refusal::Unknown)?.principal(now())
    }
}
