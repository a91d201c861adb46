//! Tenants: whose servers, and on whose behalf something is done.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::server::ServerName;
use crate::{Error, Result};

/// The name of a tenant, of the same form as a [`ServerName`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TenantName(Arc<str>);

impl TenantName {
    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is not legal.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let legal = ServerName::new(name).is_ok();
        legal.then(|| Self(name.into())).ok_or_else(|| {
            Error::invalid("a tenant's name has 1 to 32 characters of a-z, 0-9 and inner `-`")
                .with("name", name.chars().take(64).collect::<String>())
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `default`, which every store has.
impl Default for TenantName {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TenantName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for TenantName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Who changes something: `system`, or `KIND:NAME`, such as `cli:ada` or `key:Zm9v`. 1 to 128
/// characters, none of them white space or control.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Actor(Arc<str>);

impl Actor {
    /// The longest, in bytes.
    pub const MAX: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is not legal.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let illegal = |c: char| c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > Self::MAX || name.contains(illegal) {
            return Err(Error::invalid(
                "an actor has 1 to 128 characters, without white space",
            ));
        }
        Ok(Self(name.into()))
    }

    /// An actor of a kind, of whatever name: what is not legal becomes `-`, what is too long is cut.
    pub fn of(kind: &str, name: &str) -> Self {
        let mut actor = String::with_capacity(Self::MAX);
        for c in kind.chars().chain([':']).chain(name.chars()) {
            let c = if c.is_whitespace() || c.is_control() {
                '-'
            } else {
                c
            };
            if actor.len() + c.len_utf8() > Self::MAX {
                break;
            }
            actor.push(c);
        }
        Self(actor.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `system`: mcphub itself.
impl Default for Actor {
    fn default() -> Self {
        Self("system".into())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a handle on a store is bound to: it sees this tenant alone, and its changes are this
/// actor's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Whose servers. Default `default`.
    pub tenant: TenantName,
    /// Who makes the changes. Default `system`.
    pub actor: Actor,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tenant {
    /// Unique.
    pub name: TenantName,
    /// When it was made, in Unix milliseconds.
    pub created_at: i64,
    /// How often its servers changed.
    pub registry_version: u64,
}

/// A page of tenants.
#[derive(Debug, Clone, Default)]
pub struct TenantListing {
    /// Sorted by name.
    pub tenants: Vec<Tenant>,
    /// What to continue after, if there is more.
    pub next: Option<TenantName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_person_is_called_there_is_an_actor() {
        for (name, actor) in [
            ("ada", "cli:ada"),
            ("Ada Lovelace\n", "cli:Ada-Lovelace-"),
            ("", "cli:"),
            (&"ü".repeat(100), &format!("cli:{}", "ü".repeat(62))),
        ] {
            let made = Actor::of("cli", name);
            assert_eq!(made.as_str(), actor);
            assert_eq!(Actor::new(made.as_str()).unwrap(), made);
        }
        for bad in ["", "a b", "a\nb", &"x".repeat(129)] {
            assert!(Actor::new(bad).is_err(), "{bad:?}");
        }
    }
}
