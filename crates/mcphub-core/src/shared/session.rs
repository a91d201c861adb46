//! Which sessions were ended.

use std::fmt;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Remembers sessions that were ended, for all nodes.
///
/// A session's id says by itself what there is to know of it, so that nothing has to be kept of one
/// that is alive.
///
/// # Behavior
/// - Once `end` has returned, `has_ended` says so at every node, until `keep` has passed.
/// - A session is remembered for as long as the longest `keep` of its ends.
/// - Other sessions go on.
#[async_trait]
pub trait Sessions: Send + Sync + Debug + 'static {
    /// Ends a session, and remembers it for so long.
    async fn end(&self, session: &SessionKey, keep: Duration) -> Result<()>;

    /// Whether a session was ended.
    async fn has_ended(&self, session: &SessionKey) -> Result<bool>;
}

/// The digest (SHA-256) of a session's id, which itself lets its holder in and is kept nowhere.
/// Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The key of the session with this id.
    pub fn of(id: &str) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({self})")
    }
}

impl From<SessionKey> for String {
    fn from(key: SessionKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for SessionKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        let wrong = || Error::invalid("the key of a session is 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut key = [0; 32];
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_and_read_as_64_digits() {
        let key = SessionKey::of("session");
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text.len(), 66);
        assert_eq!(serde_json::from_str::<SessionKey>(&text).unwrap(), key);
        for wrong in ["", "ab", &"g".repeat(64), &"é".repeat(32), &"a".repeat(65)] {
            assert!(SessionKey::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
