//! Sign-ins: how people are let in, with a password and then with short-lived tokens.
//!
//! A client that signed in has an [`AccessToken`], which lets it in, and a [`RefreshToken`], which it
//! exchanges for the next two (RFC 9700, section 4.14.2). Two who show the same refresh token cannot
//! be told apart, so the second use ends the sign-in. A store has digests alone.

mod token;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::audit::Hash;
use crate::key::Standing;
use crate::password::PasswordHash;
use crate::principal::{Principal, Refusal};
use crate::tenant::Actor;
use crate::user::UserName;
use crate::{Error, Result};

pub use token::{AccessToken, RefreshToken};

/// What a sign-in is called: 16 hexadecimal digits, which let nobody in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SignInId(Arc<str>);

impl SignInId {
    /// The id of the sign-in whose refresh tokens have this digest in common.
    pub fn of(family: &Hash) -> Self {
        let digits = family.0.iter().take(8).map(|byte| format!("{byte:02x}"));
        Self(digits.collect::<String>().into())
    }

    /// Checks an id.
    ///
    /// # Errors
    /// `InvalidInput` when it is none.
    pub fn new(id: impl AsRef<str>) -> Result<Self> {
        let id = id.as_ref();
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if id.len() == 16 && id.bytes().all(digit) {
            return Ok(Self(id.into()));
        }
        // Without the text: it is where somebody pastes a token by mistake.
        Err(Error::invalid(
            "the id of a sign-in has 16 digits of 0-9 and a-f",
        ))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The greatest digest that has this id.
    pub fn last_family(&self) -> Hash {
        let mut family = [0xff; 32];
        for (byte, place) in family.iter_mut().zip((0..self.0.len()).step_by(2)) {
            let digits = self.0.get(place..place + 2).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).unwrap_or(0xff);
        }
        Hash(family)
    }
}

impl fmt::Display for SignInId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SignInId {
    type Err = Error;

    fn from_str(id: &str) -> Result<Self> {
        Self::new(id)
    }
}

impl<'de> Deserialize<'de> for SignInId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a store knows of who wants to sign in to a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The hash of their password, if they have one.
    pub password: Option<PasswordHash>,
    /// What they are in the tenant.
    pub standing: Standing,
}

/// A sign-in that begins.
#[derive(Debug, Clone)]
pub struct NewSignIn {
    /// Whose.
    pub user: UserName,
    /// The hash of the password that they gave: it begins only while that is theirs.
    pub password: PasswordHash,
    /// From where, for the audit log.
    pub from: Option<IpAddr>,
    /// The digests of its first tokens.
    pub tokens: TokenDigests,
    /// When it ends, however often it is refreshed, in Unix milliseconds, as all times.
    pub ends_at: i64,
}

/// What a store keeps of the tokens that a client was given together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDigests {
    /// Of the half that is the same in all refresh tokens of a sign-in.
    pub family: Hash,
    /// Of the other half of this refresh token.
    pub turn: Hash,
    /// Of the access token.
    pub access: Hash,
    /// From when on the access token lets nobody in.
    pub access_ends_at: i64,
    /// When the sign-in ends unless it is refreshed before; at most when it ends anyway.
    pub lapses_at: i64,
}

/// A sign-in, without its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignIn {
    /// Unique in its store.
    pub id: SignInId,
    /// Whose.
    pub user: UserName,
    /// When it began, in Unix milliseconds, as all times.
    pub began_at: i64,
    /// When it was refreshed last, or began.
    pub refreshed_at: i64,
    /// When it ends unless it is refreshed before.
    pub lapses_at: i64,
    /// When it ends, however often it is refreshed.
    pub ends_at: i64,
}

impl SignIn {
    /// The most that a user has at once in a tenant. One more ends that which was not refreshed for
    /// the longest time.
    pub const MAX: u32 = 100;

    /// Where it is in a list.
    pub fn place(&self) -> SignInPlace {
        SignInPlace {
            began_at: self.began_at,
            id: self.id.clone(),
        }
    }
}

/// A place in the list of a user's sign-ins. It stays good when that sign-in has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInPlace {
    /// When it began, in Unix milliseconds.
    pub began_at: i64,
    /// Which, of those that began then.
    pub id: SignInId,
}

/// A page of a user's sign-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignInListing {
    /// The newest first.
    pub sign_ins: Vec<SignIn>,
    /// Where the next page begins, if there is one.
    pub next: Option<SignInPlace>,
}

/// A sign-in that was found by its access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSignIn {
    /// The sign-in.
    pub sign_in: SignIn,
    /// From when on this token lets nobody in.
    pub access_ends_at: i64,
    /// What its user is now.
    pub standing: Standing,
}

impl FoundSignIn {
    /// Who the holder of the token is, if it lets them in now. They may do what their role allows.
    ///
    /// # Errors
    /// `Expired`, `Disabled` and `NoMember`.
    pub fn principal(&self, now: i64) -> Result<Principal, Refusal> {
        let ends = self.access_ends_at.min(self.sign_in.lapses_at);
        if ends <= now {
            return Err(Refusal::Expired);
        }
        let permissions = self.standing.allowed()?;
        Ok(Principal {
            id: Actor::of("sign-in", self.sign_in.id.as_str()),
            actor: self.sign_in.user.actor(),
            permissions: Arc::new(permissions.clone()),
            expires_at: Some(ends),
        })
    }
}

/// What becomes of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refreshed {
    /// The next tokens are those of the sign-in.
    Renewed(SignIn),
    /// They are not.
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Permissions;

    #[test]
    fn a_sign_in_lets_in_until_its_token_ends_or_its_user_is_gone() {
        let id = SignInId::of(&Hash([0xab; 32]));
        assert_eq!(id.as_str(), "abababababababab");
        let mut found = FoundSignIn {
            sign_in: SignIn {
                id,
                user: UserName::new("ada").unwrap(),
                began_at: 0,
                refreshed_at: 0,
                lapses_at: 100,
                ends_at: 200,
            },
            access_ends_at: 50,
            standing: Standing {
                disabled: false,
                role: Some(Permissions::default()),
            },
        };
        let principal = found.principal(49).unwrap();
        assert_eq!(principal.id.as_str(), "sign-in:abababababababab");
        assert_eq!(principal.actor.as_str(), "user:ada");
        assert_eq!(principal.expires_at, Some(50));
        assert_eq!(found.principal(50), Err(Refusal::Expired));
        found.standing.role = None;
        assert_eq!(found.principal(1), Err(Refusal::NoMember));
        found.standing.disabled = true;
        assert_eq!(found.principal(1), Err(Refusal::Disabled));
    }

    #[test]
    fn an_id_is_checked_and_not_repeated() {
        let id = SignInId::of(&Hash([1; 32]));
        assert_eq!(SignInId::new(id.as_str()).unwrap(), id);
        for wrong in ["", "0101", "010101010101010G", "mcphub_refresh_SECRET"] {
            let error = SignInId::new(wrong).unwrap_err();
            assert!(wrong.is_empty() || !error.report().contains(wrong));
        }
    }
}
