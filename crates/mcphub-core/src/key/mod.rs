//! API keys: how programs are let in.
//!
//! The holder has the [`KeyToken`], which is shown once; a store has its digest. A key outlives its
//! token: [`rotate_api_key`](crate::store::ApiKeyStore::rotate_api_key) gives it another.

mod token;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::audit::Hash;
use crate::principal::{Permissions, Principal, Refusal};
use crate::server::ServerName;
use crate::tenant::Actor;
use crate::user::UserName;
use crate::{Error, Result};

pub use token::KeyToken;

/// The name of a key, unique in its tenant, of the same form as a [`ServerName`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is not legal.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let legal = ServerName::new(name).is_ok();
        legal.then(|| Self(name.into())).ok_or_else(|| {
            // Without the name: it is where somebody pastes a token by mistake.
            Error::invalid("a key's name has 1 to 32 characters of a-z, 0-9 and inner `-`")
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for KeyName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A key that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewApiKey {
    /// Unique.
    pub name: KeyName,
    /// The digest of its first token.
    pub digest: Hash,
    /// Whose it is. Default nobody's in particular: that of the tenant itself.
    pub user: Option<UserName>,
    /// What its holder may do, at most what the role of its user allows. Default everything.
    pub permissions: Permissions,
    /// From when on it lets nobody in, in Unix milliseconds. Default never.
    pub expires_at: Option<i64>,
}

impl NewApiKey {
    /// A key that may do everything and does not expire.
    pub fn new(name: KeyName, digest: Hash) -> Self {
        Self {
            name,
            digest,
            user: None,
            permissions: Permissions::default(),
            expires_at: None,
        }
    }
}

/// A key, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiKey {
    /// Unique.
    pub name: KeyName,
    /// Whose it is, if it is a user's.
    pub user: Option<UserName>,
    /// What its holder may do, at most what the role of its user allows.
    pub permissions: Permissions,
    /// When it was made, in Unix milliseconds, as all times.
    pub created_at: i64,
    /// When its newest token was made.
    pub rotated_at: i64,
    /// From when on it lets nobody in, if it ever does.
    pub expires_at: Option<i64>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<i64>,
    /// When it was used last, to the minute; `None` before the first time.
    pub last_used_at: Option<i64>,
}

impl ApiKey {
    /// How often at most a use is noted, in milliseconds.
    pub const USE_NOTED_EVERY: i64 = 60_000;

    /// Whether it lets nobody in any more.
    pub fn is_over(&self, now: i64) -> bool {
        self.revoked_at.is_some() || self.expires_at.is_some_and(|at| at <= now)
    }
}

/// A key that was found by one of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundApiKey {
    /// The key.
    pub key: ApiKey,
    /// When this token ends, because a newer one took its place.
    pub replaced_at: Option<i64>,
    /// What its user is now.
    pub standing: Standing,
}

/// What a user is now in a tenant, such as the user of a key in that of the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// They are disabled.
    pub disabled: bool,
    /// What their role allows; `None` for who is no member.
    pub role: Option<Permissions>,
}

impl Standing {
    /// What their role allows.
    ///
    /// # Errors
    /// `Disabled` and `NoMember`.
    pub fn allowed(&self) -> Result<&Permissions, Refusal> {
        if self.disabled {
            return Err(Refusal::Disabled);
        }
        self.role.as_ref().ok_or(Refusal::NoMember)
    }
}

impl FoundApiKey {
    /// Who the holder of the token is, if it lets them in now.
    ///
    /// # Errors
    /// `Revoked`, `Expired`, and for a user's key `Disabled` and `NoMember`.
    pub fn principal(&self, now: i64) -> Result<Principal, Refusal> {
        let key = &self.key;
        if key.revoked_at.is_some() {
            return Err(Refusal::Revoked);
        }
        let ends = [key.expires_at, self.replaced_at];
        let ends = ends.into_iter().flatten().min();
        if ends.is_some_and(|at| at <= now) {
            return Err(Refusal::Expired);
        }
        let id = Actor::of("key", key.name.as_str());
        let mut permissions = key.permissions.clone();
        let actor = match &key.user {
            None => id.clone(),
            Some(user) => {
                permissions.within = Some(Arc::new(self.standing.allowed()?.clone()));
                user.actor()
            }
        };
        Ok(Principal {
            id,
            actor,
            permissions: Arc::new(permissions),
            expires_at: ends,
        })
    }
}

/// A page of keys.
#[derive(Debug, Clone, Default)]
pub struct KeyListing {
    /// Sorted by name.
    pub keys: Vec<ApiKey>,
    /// What to continue after, if there is more.
    pub next: Option<KeyName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> FoundApiKey {
        FoundApiKey {
            key: ApiKey {
                name: KeyName::new("ci").unwrap(),
                user: None,
                permissions: Permissions::default(),
                created_at: 0,
                rotated_at: 0,
                expires_at: Some(100),
                revoked_at: None,
                last_used_at: None,
            },
            replaced_at: None,
            standing: Standing::default(),
        }
    }

    #[test]
    fn a_key_lets_in_until_it_or_its_token_ends() {
        let mut found = found();
        let principal = found.principal(99).unwrap();
        assert_eq!(principal.id.as_str(), "key:ci");
        assert_eq!(principal.expires_at, Some(100));
        assert_eq!(found.principal(100), Err(Refusal::Expired));
        found.replaced_at = Some(50);
        assert_eq!(found.principal(49).unwrap().expires_at, Some(50));
        assert_eq!(found.principal(50), Err(Refusal::Expired));
        found.key.revoked_at = Some(1);
        assert_eq!(found.principal(2), Err(Refusal::Revoked));
    }

    #[test]
    fn an_error_does_not_repeat_what_was_given_for_a_name() {
        let error = KeyName::new("mcphub_TOKEN").unwrap_err();
        assert!(!error.report().contains("TOKEN"));
    }
}
