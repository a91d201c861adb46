//! The audit log: what was changed in a tenant, when, and by whom.
//!
//! Every entry carries a SHA-256 over itself and the hash of the entry before it. Whoever alters,
//! drops or reorders entries breaks the chain, which [`Chain`] finds without the store. Only the end
//! can be cut off unnoticed, or all of it be written anew, by somebody who writes to the database:
//! compare the newest hash with one that was noted elsewhere.
//!
//! The oldest entries may be pruned. What is left goes on from the last one that is gone, whose number
//! and hash are in an entry of their own ([`Pruned`]): a beginning that no entry tells of was cut off.

mod chain;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::tenant::{Actor, TenantName};
use crate::{Error, Result};

pub use chain::{Chain, Finding};

/// What was done, as `THING.VERB`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// A server was registered, or registered anew.
    pub const SERVER_SAVE: Self = Self::new("server.save");
    /// A server was removed; it can be restored.
    pub const SERVER_REMOVE: Self = Self::new("server.remove");
    /// A removed server came back.
    pub const SERVER_RESTORE: Self = Self::new("server.restore");
    /// A removed server was deleted with all that belonged to it.
    pub const SERVER_PURGE: Self = Self::new("server.purge");
    /// A virtual server was made, or changed.
    pub const VIRTUAL_SERVER_SAVE: Self = Self::new("virtual_server.save");
    /// A virtual server was removed.
    pub const VIRTUAL_SERVER_REMOVE: Self = Self::new("virtual_server.remove");
    /// All credentials got a new key.
    pub const KEY_ROTATE: Self = Self::new("key.rotate");
    /// An API key was made.
    pub const API_KEY_CREATE: Self = Self::new("api_key.create");
    /// An API key got another token.
    pub const API_KEY_ROTATE: Self = Self::new("api_key.rotate");
    /// An API key was revoked.
    pub const API_KEY_REVOKE: Self = Self::new("api_key.revoke");
    /// A user was added to the store.
    pub const USER_CREATE: Self = Self::new("user.create");
    /// A user was disabled.
    pub const USER_DISABLE: Self = Self::new("user.disable");
    /// A disabled user was enabled again.
    pub const USER_ENABLE: Self = Self::new("user.enable");
    /// A user got a password, or has none any more; what they were signed in to has ended.
    pub const USER_PASSWORD: Self = Self::new("user.password");
    /// A user signed in.
    pub const SIGN_IN_BEGIN: Self = Self::new("sign_in.begin");
    /// Somebody gave a wrong password for a user, or a user may not sign in.
    pub const SIGN_IN_FAIL: Self = Self::new("sign_in.fail");
    /// A sign-in was ended.
    pub const SIGN_IN_END: Self = Self::new("sign_in.end");
    /// A refresh token was used twice, which ended the sign-in.
    pub const SIGN_IN_REUSE: Self = Self::new("sign_in.reuse");
    /// A role was made, or changed.
    pub const ROLE_SAVE: Self = Self::new("role.save");
    /// A role was removed.
    pub const ROLE_REMOVE: Self = Self::new("role.remove");
    /// A user became a member, or got another role.
    pub const MEMBER_SET: Self = Self::new("member.set");
    /// A user is no member any more.
    pub const MEMBER_REMOVE: Self = Self::new("member.remove");
    /// A tool was called, or asked for by somebody who may not call it.
    pub const TOOL_CALL: Self = Self::new("tool.call");
    /// A prompt was asked for.
    pub const PROMPT_GET: Self = Self::new("prompt.get");
    /// A resource was read.
    pub const RESOURCE_READ: Self = Self::new("resource.read");
    /// A server was asked something else.
    pub const SERVER_REQUEST: Self = Self::new("server.request");
    /// Calls were made that the log does not tell of.
    pub const CALLS_DROP: Self = Self::new("calls.drop");
    /// The oldest entries of the log were removed; how far, its detail says: [`Pruned`].
    pub const AUDIT_PRUNE: Self = Self::new("audit.prune");
    /// The tenant was made.
    pub const TENANT_CREATE: Self = Self::new("tenant.create");

    /// An action of another name, such as one that a newer version has written.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Action {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || Error::invalid("a hash has 64 hexadecimal digits");
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(invalid());
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AuditEntry {
    /// 1, 2, 3 … in its tenant.
    pub sequence: u64,
    /// When, in Unix milliseconds of the node that wrote it. Order is by `sequence`.
    pub at: i64,
    /// By whom.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To what: `server:NAME`, `key:NAME`, `tenant:NAME` …
    pub target: String,
    /// More about it: a JSON object, never with a secret. Its text is what was hashed.
    pub detail: Box<RawValue>,
    /// Over all of the above, the tenant, and the hash of the entry before.
    pub hash: Hash,
}

impl AuditEntry {
    /// The hash that the entry has to have.
    pub fn hash_after(&self, previous: &Hash, tenant: &TenantName) -> Hash {
        let mut hash = Sha256::new();
        hash.update(b"mcphub audit 1");
        hash.update(previous.0);
        hash.update(self.sequence.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        // Each part with its length, so that no two entries read the same.
        for part in [
            tenant.as_str(),
            self.actor.as_str(),
            self.action.as_str(),
            &self.target,
            self.detail.get(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Hash(hash.finalize().into())
    }
}

/// What is to be noted in a log beside changes: calls.
#[derive(Debug, Clone)]
pub struct AuditNote {
    /// When it ended, in Unix milliseconds. The entry has a later time where the log was there already.
    pub at: i64,
    /// By whom.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To what: `tool:SERVER/TOOL`, `server:NAME` …
    pub target: String,
    /// More about it: a JSON object, never with a secret, an argument or a result.
    pub detail: Box<RawValue>,
}

impl AuditNote {
    /// The most that are noted in one step.
    pub const MAX: usize = 1_000;
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditHead {
    /// Of the newest entry; 0 before the first.
    pub sequence: u64,
    /// Of the newest entry; all zero before the first.
    pub hash: Hash,
}

/// Which entries. Conditions that are given have all to be met.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AuditQuery {
    /// Of this actor.
    pub actor: Option<Actor>,
    /// Of this action.
    pub action: Option<Action>,
    /// On this target.
    pub target: Option<String>,
    /// Not before, in Unix milliseconds.
    pub since: Option<i64>,
    /// Before, in Unix milliseconds.
    pub until: Option<i64>,
    /// In which order.
    pub order: Order,
    /// Begin after the entry of that number, in that order.
    pub after: Option<u64>,
    /// At most so many, 1 to 1,000; another limit is `InvalidInput`. Default 100.
    pub limit: u32,
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self {
            actor: None,
            action: None,
            target: None,
            since: None,
            until: None,
            order: Order::default(),
            after: None,
            limit: 100,
        }
    }
}

/// In which order entries come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The first change first.
    #[default]
    OldestFirst,
    /// The last change first.
    NewestFirst,
}

/// A page of entries.
#[derive(Debug, Clone, Default)]
pub struct AuditPage {
    /// In the order that was asked for.
    pub entries: Vec<AuditEntry>,
    /// What to continue after, if there may be more.
    pub next: Option<u64>,
}

/// The detail of an entry of [`Action::AUDIT_PRUNE`]: which entries are gone, and what the rest goes
/// on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The number of the last entry that is gone.
    pub through: u64,
    /// The hash of that entry.
    pub hash: Hash,
    /// How many are gone.
    pub entries: u64,
    /// They were from before this time, in Unix milliseconds.
    pub before: i64,
}

impl Pruned {
    /// The most that are removed in one step.
    pub const MAX: u32 = 10_000;
}
