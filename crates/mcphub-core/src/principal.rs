//! Principals: who calls, and what they may do.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wildmatch::WildMatch;

use crate::server::ServerName;
use crate::tenant::Actor;
use crate::{Error, ErrorKind, Result};

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What let them in, such as `key:ci` or `sign-in:4f1d…`: sessions belong to it.
    pub id: Actor,
    /// On whose behalf they act.
    pub actor: Actor,
    /// What they may do.
    pub permissions: Arc<Permissions>,
    /// From when on they are let in no more, in Unix milliseconds.
    pub expires_at: Option<i64>,
}

/// Tells who shows a bearer token (RFC 6750).
///
/// # Behavior
/// - What a refused token was is in no error and in no log.
/// - `Unavailable` is the one refusal after which the same token may be let in.
#[async_trait]
pub trait Authenticator: Send + Sync + fmt::Debug + 'static {
    /// Who shows this token.
    async fn authenticate(&self, token: &str) -> Result<Principal, Refusal>;
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The token is none, or was not copied whole.
    #[error("the token is not whole: that of a key has mcphub_ and 49 letters and digits")]
    Malformed,
    /// Nobody knows the token.
    #[error("the token is not known here, or its sign-in has ended")]
    Unknown,
    /// It was good until a time.
    #[error("the token has expired, or was rotated")]
    Expired,
    /// Somebody took it back.
    #[error("the key was revoked")]
    Revoked,
    /// Another was given in its place, so that two have it: what it belongs to has ended.
    #[error("the refresh token was used before, so its sign-in has ended; sign in again")]
    Reused,
    /// Its user is disabled.
    #[error("the user is disabled")]
    Disabled,
    /// Its user is no member of the tenant.
    #[error("the user is no member here")]
    NoMember,
    /// Whoever knows the tokens cannot be asked now.
    #[error("tokens cannot be checked now; try again")]
    Unavailable,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::PermissionDenied,
        };
        Self::new(kind, refusal.to_string())
    }
}

/// What somebody may do. Stored as JSON: what is not there is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Permissions {
    /// What may be used: what any rule is about; empty for everything. At most
    /// [`Permissions::MAX_RULES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<ToolRule>,
    /// Whether only tools may be called whose annotations say that they read: `readOnlyHint`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// What has to allow it besides, such as the role of a key's user. It is not stored with them.
    #[serde(skip)]
    pub within: Option<Arc<Permissions>>,
}

impl Permissions {
    /// The most rules.
    pub const MAX_RULES: usize = 100;

    /// That there are no more rules than there may be.
    ///
    /// # Errors
    /// `InvalidInput` otherwise.
    pub fn check(&self) -> Result<()> {
        if self.allow.len() > Self::MAX_RULES {
            return Err(Error::invalid("at most 100 rules say what is allowed")
                .with("rules", self.allow.len()));
        }
        Ok(())
    }

    /// Whether everything may be done.
    pub fn is_everything(&self) -> bool {
        let within = self.within.as_ref();
        self.allow.is_empty()
            && !self.read_only
            && within.is_none_or(|within| within.is_everything())
    }

    /// Whether a tool of a server may be called; `reads` is what its annotations say.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn decide(&self, server: &ServerName, tool: &str, reads: bool) -> Result<(), Denial> {
        if !self.allow.is_empty() && !self.allow.iter().any(|rule| rule.matches(server, tool)) {
            return Err(Denial::NotAllowed(self.allow.clone()));
        }
        self.decide_reading(reads)?;
        self.besides(|within| within.decide(server, tool, reads))
    }

    /// Whether what a server has besides tools may be used: prompts, resources, and what its
    /// extensions have. `reads` says that doing so changes nothing.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn decide_whole(&self, server: &ServerName, reads: bool) -> Result<(), Denial> {
        if !self.allow.is_empty() && !self.allow.iter().any(|rule| rule.covers(server)) {
            return Err(Denial::NotAllowed(self.allow.clone()));
        }
        self.decide_reading(reads)?;
        self.besides(|within| within.decide_whole(server, reads))
    }

    /// Whether anything of a server may be used.
    ///
    /// # Errors
    /// The rule that denies it.
    pub fn reaches(&self, server: &ServerName) -> Result<(), Denial> {
        let about = |rule: &ToolRule| rule.server.matches(server.as_str());
        if !self.allow.is_empty() && !self.allow.iter().any(about) {
            return Err(Denial::NotAllowed(self.allow.clone()));
        }
        self.besides(|within| within.reaches(server))
    }

    fn besides(&self, decide: impl FnOnce(&Self) -> Result<(), Denial>) -> Result<(), Denial> {
        self.within.as_deref().map_or(Ok(()), decide)
    }

    fn decide_reading(&self, reads: bool) -> Result<(), Denial> {
        if self.read_only && !reads {
            return Err(Denial::Writes);
        }
        Ok(())
    }
}

/// For a person: `everything`, or the rules, without what has to allow it besides.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.allow.as_slice(), self.read_only) {
            ([], false) => f.write_str("everything"),
            ([], true) => f.write_str("read-only"),
            (allow, read_only) => {
                f.write_str(&joined(allow))?;
                f.write_str(if read_only { ", read-only" } else { "" })
            }
        }
    }
}

/// The rule that denies a call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denial {
    /// No rule allows the tool; these are all.
    NotAllowed(Vec<ToolRule>),
    /// Only reading is allowed, and what was asked for does not say that it only reads.
    Writes,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed(rules) => write!(f, "only {} is allowed", joined(rules)),
            Self::Writes => {
                f.write_str("it is read-only, and this does not say that it only reads")
            }
        }
    }
}

fn joined(rules: &[ToolRule]) -> String {
    let rules: Vec<_> = rules.iter().map(|rule| &*rule.text).collect();
    rules.join(", ")
}

/// What may be used: `SERVER/TOOL` for tools, or `SERVER` for all that a server has: tools, prompts
/// and resources. Both are globs, in which `*` is any text and `?` one character; a tool has the name
/// that it has at its server, without a prefix.
#[derive(Clone)]
pub struct ToolRule {
    text: Box<str>,
    server: WildMatch,
    tool: WildMatch,
}

impl ToolRule {
    /// The longest rule, in bytes.
    pub const MAX: usize = 256;

    /// Reads a rule.
    ///
    /// # Errors
    /// `InvalidInput` for one that is empty, too long, or has characters that no name has.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        let (server, tool) = text.split_once('/').unwrap_or((text, "*"));
        // Without quotes and spaces it can be told in a header (RFC 6750 section 3).
        let legal = |part: &str| {
            let of_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.*?".contains(&b);
            !part.is_empty() && part.bytes().all(of_name)
        };
        if text.len() > Self::MAX || !legal(server) || !legal(tool) {
            let clipped: String = text.chars().take(64).collect();
            let message = "a rule is SERVER or SERVER/TOOL, with `*` for any text, such as \
                           'shop/get*', and has at most 256 characters";
            return Err(Error::invalid(message).with("rule", clipped));
        }
        Ok(Self {
            text: text.into(),
            server: WildMatch::new(server),
            tool: WildMatch::new(tool),
        })
    }

    /// The rule as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is about all that this server has.
    pub fn covers(&self, server: &ServerName) -> bool {
        !self.text.contains('/') && self.server.matches(server.as_str())
    }

    /// Whether it is about this tool.
    pub fn matches(&self, server: &ServerName, tool: &str) -> bool {
        self.server.matches(server.as_str()) && self.tool.matches(tool)
    }
}

impl PartialEq for ToolRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ToolRule {}

impl Hash for ToolRule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for ToolRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolRule({})", self.text)
    }
}

impl fmt::Display for ToolRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ToolRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl Serialize for ToolRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ToolRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(allow: &[&str], read_only: bool) -> Permissions {
        let allow = allow.iter().map(|rule| ToolRule::new(rule).unwrap());
        Permissions {
            allow: allow.collect(),
            read_only,
            within: None,
        }
    }

    #[test]
    fn rules_are_about_servers_and_their_tools() {
        for (allow, read_only, server, tool, reads, decision) in [
            (&[][..], false, "shop", "buy", false, Ok(())),
            (&["shop"], false, "shop", "buy", false, Ok(())),
            (&["*/get?"], false, "shop", "getX", false, Ok(())),
            (&["a", "shop/b*"], false, "shop", "buy", false, Ok(())),
            (
                &["shop"],
                false,
                "shop-2",
                "buy",
                false,
                Err("only shop is allowed"),
            ),
            (
                &["a", "shop/get*"],
                false,
                "shop",
                "buy",
                true,
                Err("only a, shop/get* is allowed"),
            ),
            (&[], true, "shop", "get", true, Ok(())),
            (&["shop"], true, "shop", "buy", false, Err("read-only")),
        ] {
            let server = ServerName::new(server).unwrap();
            let decided = permissions(allow, read_only).decide(&server, tool, reads);
            match (decided, decision) {
                (Ok(()), Ok(())) => {}
                (Err(denial), Err(text)) => assert!(denial.to_string().contains(text), "{denial}"),
                (decided, _) => panic!("{allow:?} {server}/{tool}: {decided:?}"),
            }
        }
    }

    #[test]
    fn a_rule_about_tools_is_not_about_prompts_and_resources() {
        for (allow, read_only, reads, whole, some) in [
            (&[][..], false, false, true, true),
            (&["sh*"], false, false, true, true),
            (&["bank"], false, true, false, false),
            (&["shop/*"], false, true, false, true),
            (&["bank/get", "shop"], true, true, true, true),
            (&["shop"], true, false, false, true),
        ] {
            let shop = ServerName::new("shop").unwrap();
            let permissions = permissions(allow, read_only);
            let decided = permissions.decide_whole(&shop, reads).is_ok();
            let decided = (decided, permissions.reaches(&shop).is_ok());
            assert_eq!(decided, (whole, some), "{permissions}");
        }
    }

    #[test]
    fn what_is_within_other_permissions_needs_both() {
        let (shop, bank) = (ServerName::new("shop"), ServerName::new("bank"));
        let (shop, bank) = (shop.unwrap(), bank.unwrap());
        let mut both = permissions(&["shop", "bank/*"], false);
        both.within = Some(Arc::new(permissions(&["sh*"], true)));
        assert!(both.decide(&shop, "get", true).is_ok());
        assert_eq!(both.decide(&shop, "buy", false), Err(Denial::Writes));
        assert!(both.decide(&bank, "get", true).is_err());
        assert!(both.decide_whole(&shop, true).is_ok() && both.decide_whole(&bank, true).is_err());
        assert!(both.reaches(&shop).is_ok() && both.reaches(&bank).is_err());
        both = permissions(&[], false);
        both.within = Some(Arc::default());
        assert!(both.is_everything());
        both.within = Some(Arc::new(permissions(&[], true)));
        assert!(!both.is_everything());
    }

    #[test]
    fn a_rule_is_checked_when_it_is_read() {
        for wrong in [
            "",
            "/",
            "shop/",
            "/get",
            "a/b/c",
            "a b",
            "a\"b",
            "ü",
            &"x".repeat(257),
        ] {
            assert!(ToolRule::new(wrong).is_err(), "{wrong}");
        }
        let wrong = r#"{"allow":["a b"]}"#;
        assert!(serde_json::from_str::<Permissions>(wrong).is_err());
    }

    #[test]
    fn permissions_are_told_and_come_back() {
        for (permissions, text, json) in [
            (permissions(&[], false), "everything", "{}"),
            (permissions(&[], true), "read-only", r#"{"readOnly":true}"#),
            (
                permissions(&["shop", "a/b"], true),
                "shop, a/b, read-only",
                r#"{"allow":["shop","a/b"],"readOnly":true}"#,
            ),
        ] {
            assert_eq!(permissions.to_string(), text);
            assert_eq!(serde_json::to_string(&permissions).unwrap(), json);
            assert_eq!(
                serde_json::from_str::<Permissions>(json).unwrap(),
                permissions
            );
        }
    }
}
