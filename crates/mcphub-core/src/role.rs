//! Roles: what the members of a tenant may do.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::principal::Permissions;
use crate::server::ServerName;
use crate::user::UserName;
use crate::{Error, Result};

/// The name of a role, unique in its tenant, of the same form as a [`ServerName`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RoleName(Arc<str>);

impl RoleName {
    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is not legal.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let legal = ServerName::new(name).is_ok();
        legal.then(|| Self(name.into())).ok_or_else(|| {
            Error::invalid("a role's name has 1 to 32 characters of a-z, 0-9 and inner `-`")
                .with("name", name.chars().take(64).collect::<String>())
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RoleName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What those who have it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Unique.
    pub name: RoleName,
    /// The most that they may do.
    pub permissions: Permissions,
    /// Grows with each change: 1, 2, 3 ….
    pub revision: u64,
}

/// What a user is in the tenant of a handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Who.
    pub user: UserName,
    /// As what.
    pub role: RoleName,
    /// Since when they are a member, in whichever role, in Unix milliseconds.
    pub since: i64,
    /// Grows with each change: 1, 2, 3 ….
    pub revision: u64,
}

/// A page of roles.
#[derive(Debug, Clone, Default)]
pub struct RoleListing {
    /// Sorted by name.
    pub roles: Vec<Role>,
    /// What to continue after, if there is more.
    pub next: Option<RoleName>,
}

/// A page of members.
#[derive(Debug, Clone, Default)]
pub struct MembershipListing {
    /// Sorted by the user's name.
    pub members: Vec<Membership>,
    /// What to continue after, if there is more.
    pub next: Option<UserName>,
}
