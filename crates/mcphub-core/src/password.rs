//! Passwords of users: what is kept of them.
//!
//! Hashing takes time and memory on purpose, so it is a host's to do, off its runtime; core knows
//! the form alone.

use std::fmt;
use std::ops::RangeInclusive;

use secrecy::{ExposeSecret, SecretString};

use crate::{Error, Result};

/// The shortest password, in characters.
pub const MIN_PASSWORD: usize = 12;

/// The longest password, in bytes.
pub const MAX_PASSWORD: usize = 256;

/// That a password is neither too short nor too long. It is compared byte for byte: nothing is
/// trimmed, cut or normalised.
///
/// # Errors
/// `InvalidInput`, without the password.
pub fn check(password: &SecretString) -> Result<()> {
    let password = password.expose_secret();
    if password.len() > MAX_PASSWORD || password.chars().count() < MIN_PASSWORD {
        return Err(Error::invalid(
            "a password has at least 12 characters, and at most 256 bytes",
        ));
    }
    Ok(())
}

/// The hash of a password: Argon2id in the PHC string format, or bcrypt as other systems have it.
///
/// Whoever checks a password pays what its hash asks for, so what a hash may ask for is bounded.
#[derive(Clone)]
pub struct PasswordHash {
    text: SecretString,
    algorithm: PasswordAlgorithm,
}

/// How a password was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordAlgorithm {
    /// Argon2id, version 1.3 (RFC 9106).
    Argon2id {
        /// In KiB.
        memory: u32,
        /// How often the memory is gone through.
        passes: u32,
        /// Degree of parallelism.
        lanes: u32,
    },
    /// bcrypt, which looks at the first 72 bytes of a password.
    Bcrypt {
        /// The logarithm of the rounds.
        cost: u32,
    },
}

impl PasswordHash {
    /// The most memory that a hash may ask for, in KiB.
    pub const MAX_MEMORY: u32 = 64 * 1024;
    /// How often that may be gone through at most.
    pub const MAX_PASSES: u32 = 8;
    /// The most lanes.
    pub const MAX_LANES: u32 = 8;
    /// The largest cost of bcrypt: about a second.
    pub const MAX_COST: u32 = 14;

    /// Reads `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`, or `$2b$COST$…` with `2a` and `2y` for the same.
    ///
    /// # Errors
    /// `InvalidInput`, without the text, for any other form and for what would take too long.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let algorithm = argon2id(&text).or_else(|| bcrypt(&text)).ok_or_else(|| {
            Error::invalid(
                "a hash of a password is $argon2id$v=19$m=…,t=…,p=…$… with m at most 65536 and t and \
                 p at most 8, or $2b$COST$… with a cost from 4 to 14",
            )
        })?;
        Ok(Self {
            text: text.into(),
            algorithm,
        })
    }

    /// How it was made.
    pub fn algorithm(&self) -> PasswordAlgorithm {
        self.algorithm
    }

    /// The text.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl PartialEq for PasswordHash {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for PasswordHash {}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn argon2id(text: &str) -> Option<PasswordAlgorithm> {
    let rest = text.strip_prefix("$argon2id$v=19$m=")?;
    let (memory, rest) = rest.split_once(",t=")?;
    let (passes, rest) = rest.split_once(",p=")?;
    let (lanes, rest) = rest.split_once('$')?;
    let (salt, hash) = rest.split_once('$')?;
    let lanes = number(lanes, 1..=PasswordHash::MAX_LANES)?;
    let digits = |text: &str, lengths: RangeInclusive<usize>| {
        let digit = |b: u8| b.is_ascii_alphanumeric() || b"+/".contains(&b);
        lengths.contains(&text.len()) && text.bytes().all(digit)
    };
    // 8 to 48 bytes of salt and 16 to 64 of hash, in base64 without padding.
    (digits(salt, 11..=64) && digits(hash, 22..=86)).then_some(PasswordAlgorithm::Argon2id {
        memory: number(memory, 8 * lanes..=PasswordHash::MAX_MEMORY)?,
        passes: number(passes, 1..=PasswordHash::MAX_PASSES)?,
        lanes,
    })
}

fn bcrypt(text: &str) -> Option<PasswordAlgorithm> {
    let rest = ["$2b$", "$2a$", "$2y$"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let (cost, rest) = rest.split_once('$')?;
    let digit = |b: u8| b.is_ascii_alphanumeric() || b"./".contains(&b);
    // 16 bytes of salt and 23 of hash, in bcrypt's own base64.
    (cost.len() == 2 && rest.len() == 53 && rest.bytes().all(digit)).then_some(
        PasswordAlgorithm::Bcrypt {
            cost: number(cost, 4..=PasswordHash::MAX_COST)?,
        },
    )
}

fn number(text: &str, range: RangeInclusive<u32>) -> Option<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits)?;
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALTED: &str = "c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";

    #[test]
    fn hashes_are_told_by_how_they_were_made() {
        let argon2id = |head: &str| {
            let hash = PasswordHash::new(format!("$argon2id$v=19${head}${SALTED}"));
            hash.ok().map(|hash| hash.algorithm())
        };
        assert_eq!(
            argon2id("m=19456,t=2,p=1"),
            Some(PasswordAlgorithm::Argon2id {
                memory: 19_456,
                passes: 2,
                lanes: 1
            })
        );
        for wrong in [
            "m=65537,t=2,p=1",
            "m=4294967296,t=2,p=1",
            "m=19456,t=9,p=1",
            "m=19456,t=0,p=1",
            "m=19456,t=2,p=9",
            "m=7,t=2,p=1",
            "m=+19456,t=2,p=1",
            "m=19456,t=2",
        ] {
            assert_eq!(argon2id(wrong), None, "{wrong}");
        }
        let bcrypt = |head: &str| {
            let hash = PasswordHash::new(format!("{head}{}", "a".repeat(53)));
            hash.ok().map(|hash| hash.algorithm())
        };
        for head in ["$2a$10$", "$2b$10$", "$2y$10$"] {
            assert_eq!(bcrypt(head), Some(PasswordAlgorithm::Bcrypt { cost: 10 }));
        }
        for wrong in ["$2b$31$", "$2b$03$", "$2b$4$", "$2x$10$", "$2b$10$."] {
            assert_eq!(bcrypt(wrong), None, "{wrong}");
        }
        for wrong in ["", "hunter2", "$argon2i$v=19$m=19456,t=2,p=1$a$b", "$1$a$b"] {
            assert!(PasswordHash::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_measured_and_shown_by_nothing() {
        for (password, legal) in [
            ("12 letters..", true),
            ("11 letters.", false),
            ("zwölf Zeichen", true),
            (&"x".repeat(256), true),
            (&"x".repeat(257), false),
        ] {
            assert_eq!(check(&password.into()).is_ok(), legal, "{password}");
        }
        let error = check(&"hunter2".into()).unwrap_err();
        assert!(!error.report().contains("hunter2"));
        let hash = PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1${SALTED}")).unwrap();
        assert!(!format!("{hash:?}").contains("aGFza"));
        assert!(
            !PasswordHash::new(SALTED)
                .unwrap_err()
                .report()
                .contains(SALTED)
        );
    }
}
