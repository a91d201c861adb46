//! Users of a store: people and services.
//!
//! A user belongs to a store and to no tenant; a [`Membership`](crate::role::Membership) makes them
//! part of one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::tenant::Actor;
use crate::{Error, Result};

/// The name of a user, unique in its store and for good: 1 to 64 of `a-z 0-9 . _ + @ -`, so that an
/// address of electronic mail is one. Upper-case letters become lower-case ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UserName(Arc<str>);

impl UserName {
    /// The longest name, in characters.
    pub const MAX: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is not legal.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"._+@-".contains(&b);
        if (1..=Self::MAX).contains(&name.len()) && name.bytes().all(legal) {
            return Ok(Self(name.to_ascii_lowercase().into()));
        }
        Err(
            Error::invalid("a user's name has 1 to 64 characters of a-z, 0-9 and `. _ + @ -`")
                .with("name", name.chars().take(64).collect::<String>()),
        )
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who they are in the audit log.
    pub fn actor(&self) -> Actor {
        Actor::of("user", &self.0)
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for UserName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for UserName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a user is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum UserKind {
    /// Somebody.
    #[default]
    Person,
    /// A program that acts for nobody in particular.
    Service,
}

impl UserKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Person, Self::Service];

    /// `person` or `service`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for UserKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UserKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| Error::invalid("a user is a person or a service"))
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Unique.
    pub name: UserName,
    /// What they are.
    pub kind: UserKind,
    /// When they were added, in Unix milliseconds, as all times.
    pub created_at: i64,
    /// Since when none of their keys lets in, if they are disabled.
    pub disabled_at: Option<i64>,
}

/// A page of users.
#[derive(Debug, Clone, Default)]
pub struct UserListing {
    /// Sorted by name.
    pub users: Vec<User>,
    /// What to continue after, if there is more.
    pub next: Option<UserName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_name_and_always_an_actor() {
        let name = UserName::new("Ada.L+hub@Example.com").unwrap();
        assert_eq!(name.as_str(), "ada.l+hub@example.com");
        assert_eq!(name.actor().as_str(), "user:ada.l+hub@example.com");
        for wrong in ["", "a b", "a:b", "ä", "a\n", &"x".repeat(65)] {
            assert!(UserName::new(wrong).is_err(), "{wrong:?}");
        }
        let longest = UserName::new("x".repeat(64)).unwrap();
        assert!(longest.actor().as_str().ends_with(longest.as_str()));
    }

    #[test]
    fn kinds_are_told_as_they_are_read() {
        for kind in UserKind::ALL {
            assert_eq!(kind.as_str().parse::<UserKind>().unwrap(), kind);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{kind}\""));
        }
        assert!("robot".parse::<UserKind>().is_err());
    }
}
