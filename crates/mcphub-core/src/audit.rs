//! The audit log: what was changed in a tenant, when, and by whom.
//!
//! Every entry carries a SHA-256 over itself and the hash of the entry before it. Whoever alters,
//! drops or reorders entries breaks the chain, which [`Chain`] finds without the store. Only the end
//! can be cut off unnoticed, or all of it be written anew, by somebody who writes to the database:
//! compare the newest hash with one that was noted elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::tenant::{Actor, TenantName};
use crate::{Error, Result};

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

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Finding {
    /// An entry does not have the hash of its content and what was before it.
    Altered {
        /// Which.
        sequence: u64,
    },
    /// Entries are not there.
    Dropped {
        /// The first.
        first: u64,
        /// The last.
        last: u64,
    },
    /// An entry comes after one with the same or a greater number.
    Reordered {
        /// Which.
        sequence: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Altered { sequence } => write!(f, "entry {sequence} was altered"),
            Self::Dropped { first, last } if first == last => {
                write!(f, "entry {first} was dropped")
            }
            Self::Dropped { first, last } => write!(f, "entries {first} to {last} were dropped"),
            Self::Reordered { sequence } => write!(f, "entry {sequence} is out of order"),
        }
    }
}

/// Follows a log from its first entry on, and finds where it was tampered with.
#[derive(Debug)]
pub struct Chain {
    tenant: TenantName,
    head: AuditHead,
    findings: Vec<Finding>,
}

impl Chain {
    /// How many findings are kept; after that a log is broken, and more say nothing more.
    pub const MAX_FINDINGS: usize = 100;

    /// The beginning of a tenant's log.
    pub fn new(tenant: TenantName) -> Self {
        Self {
            tenant,
            head: AuditHead::default(),
            findings: Vec::new(),
        }
    }

    /// Takes the next entry.
    pub fn follow(&mut self, entry: &AuditEntry) {
        let wanted = self.head.sequence + 1;
        if entry.sequence < wanted {
            let sequence = entry.sequence;
            return self.find(Finding::Reordered { sequence });
        }
        if entry.sequence > wanted {
            self.find(Finding::Dropped {
                first: wanted,
                last: entry.sequence - 1,
            });
        } else if entry.hash_after(&self.head.hash, &self.tenant) != entry.hash {
            let sequence = entry.sequence;
            self.find(Finding::Altered { sequence });
        }
        // Goes on from what the entry says, so that one alteration is one finding.
        self.head = AuditHead {
            sequence: entry.sequence,
            hash: entry.hash,
        };
    }

    /// Compares with where the log ends by another account: the store's, or one noted before.
    /// A noted head that is older than what was followed has to be given before its successor is
    /// followed.
    pub fn expect(&mut self, head: &AuditHead) {
        if head.sequence > self.head.sequence {
            self.find(Finding::Dropped {
                first: self.head.sequence + 1,
                last: head.sequence,
            });
        } else if head.sequence == self.head.sequence && head.hash != self.head.hash {
            let sequence = head.sequence;
            self.find(Finding::Altered { sequence });
        }
    }

    /// The last entry that was followed.
    pub fn head(&self) -> AuditHead {
        self.head
    }

    /// What is wrong, as far as it was followed.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < Self::MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(tenant: &TenantName) -> Vec<AuditEntry> {
        let mut previous = Hash::default();
        (1..=5)
            .map(|sequence| {
                let mut entry = AuditEntry {
                    sequence,
                    at: 1_763_683_200_000 + sequence as i64,
                    actor: Actor::default(),
                    action: Action::SERVER_SAVE,
                    target: format!("server:api-{sequence}"),
                    detail: RawValue::from_string("{\"revision\":1}".to_owned()).unwrap(),
                    hash: Hash::default(),
                };
                entry.hash = entry.hash_after(&previous, tenant);
                previous = entry.hash;
                entry
            })
            .collect()
    }

    fn findings(tenant: &TenantName, log: &[AuditEntry]) -> Vec<Finding> {
        let mut chain = Chain::new(tenant.clone());
        log.iter().for_each(|entry| chain.follow(entry));
        chain.findings().to_vec()
    }

    #[test]
    fn a_log_is_sound_as_it_was_written_and_after_a_trip_through_json() {
        let tenant = TenantName::default();
        let log = log(&tenant);
        let json = serde_json::to_string(&log).unwrap();
        let again: Vec<AuditEntry> = serde_json::from_str(&json).unwrap();
        assert_eq!(findings(&tenant, &again), []);
    }

    #[test]
    fn every_altered_part_is_found_once() {
        let tenant = TenantName::default();
        let changes: [fn(&mut AuditEntry); 6] = [
            |entry| entry.at += 1,
            |entry| entry.actor = Actor::of("cli", "eve"),
            |entry| entry.action = Action::SERVER_PURGE,
            |entry| entry.target.push('x'),
            |entry| entry.detail = RawValue::from_string("{\"revision\": 1}".to_owned()).unwrap(),
            |entry| entry.target = "server:api".to_owned(),
        ];
        for change in changes {
            let mut log = log(&tenant);
            change(&mut log[2]);
            assert_eq!(findings(&tenant, &log), [Finding::Altered { sequence: 3 }]);
        }
        let mut log = log(&tenant);
        log[2].hash.0[0] ^= 1;
        let altered = [3, 4].map(|sequence| Finding::Altered { sequence });
        assert_eq!(findings(&tenant, &log), altered);
        let other = TenantName::new("other").unwrap();
        assert_eq!(
            findings(&other, &log[..1]),
            [Finding::Altered { sequence: 1 }]
        );
    }

    #[test]
    fn dropped_and_reordered_entries_are_found() {
        let tenant = TenantName::default();
        let whole = log(&tenant);
        let mut dropped = whole.clone();
        dropped.drain(1..3);
        assert_eq!(
            findings(&tenant, &dropped),
            [Finding::Dropped { first: 2, last: 3 }]
        );
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert_eq!(
            findings(&tenant, &swapped),
            [
                Finding::Dropped { first: 2, last: 2 },
                Finding::Reordered { sequence: 2 }
            ]
        );
        let mut twice = whole.clone();
        twice.insert(3, whole[2].clone());
        assert_eq!(
            findings(&tenant, &twice),
            [Finding::Reordered { sequence: 3 }]
        );
    }

    #[test]
    fn a_log_that_was_cut_or_written_anew_does_not_end_as_noted() {
        let tenant = TenantName::default();
        let log = log(&tenant);
        let noted = AuditHead {
            sequence: 5,
            hash: log[4].hash,
        };
        let mut chain = Chain::new(tenant.clone());
        log[..3].iter().for_each(|entry| chain.follow(entry));
        chain.expect(&noted);
        assert_eq!(chain.findings(), [Finding::Dropped { first: 4, last: 5 }]);

        let mut chain = Chain::new(tenant);
        log.iter().for_each(|entry| chain.follow(entry));
        chain.expect(&noted);
        assert_eq!(chain.findings(), []);
        let other = AuditHead {
            hash: Hash([7; 32]),
            ..noted
        };
        chain.expect(&other);
        assert_eq!(chain.findings(), [Finding::Altered { sequence: 5 }]);
    }
}
