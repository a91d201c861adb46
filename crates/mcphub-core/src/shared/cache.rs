//! What is kept for a while in place of asking for it again.

use std::fmt;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Keeps values for all nodes, each for its own time. Any of them may be lost at any time.
///
/// # Behavior
/// - What was `put` at one node is what `get` gives at every node, byte for byte, until it is lost.
/// - Nothing is given after its time, `keep`, has passed.
/// - Another `put` under the same key replaces the value and its time, also by a shorter one.
/// - Once `remove` has returned, the key has no value until the next `put`. Removing nothing is fine.
/// - Keys share nothing.
/// - A value of more than [`MAX_VALUE`] bytes, or to be kept for longer than [`MAX_KEEP`], is refused
///   (`InvalidInput`), and what was there stays.
#[async_trait]
pub trait Cache: Send + Sync + Debug + 'static {
    /// What is kept under a key.
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>>;

    /// Keeps a value for at most so long.
    async fn put(&self, key: &CacheKey, value: Bytes, keep: Duration) -> Result<()>;

    /// Keeps nothing under a key any more.
    async fn remove(&self, key: &CacheKey) -> Result<()>;
}

/// The most bytes of a value: 1 MiB.
pub const MAX_VALUE: usize = 1024 * 1024;

/// The longest that a value is kept: a day.
pub const MAX_KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a value can be kept, as every backend asks first.
///
/// # Errors
/// `InvalidInput` for one that is too large, or would be kept for too long.
pub fn admit(value: &[u8], keep: Duration) -> Result<()> {
    if value.len() > MAX_VALUE {
        return Err(Error::invalid("a value of 1 MiB at most is kept"));
    }
    if keep > MAX_KEEP {
        return Err(Error::invalid("a value is kept for a day at most"));
    }
    Ok(())
}

/// The digest (SHA-256) of what a value is of: of one size, and telling nobody what was asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of these parts, in this order.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            // The same bytes divided otherwise are another key.
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_divided_otherwise_are_another_key() {
        let key = |parts: &[&'static str]| CacheKey::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        for other in [&["ab"][..], &["", "ab"], &["b", "a"], &["a", "b", ""]] {
            assert_ne!(key(&["a", "b"]), key(other), "{other:?}");
        }
        assert_eq!(key(&["a"]).to_string().len(), 64);
    }
}
