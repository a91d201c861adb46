//! The text of a key.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::audit::Hash;
use crate::principal::Refusal;
use crate::token;

/// What the holder of a key shows: `mcphub_`, 43 digits of base 62 that hold 256 random bits, and 6
/// digits of the CRC-32 of all before them. So a scanner of sources finds one with
/// `mcphub_[0-9A-Za-z]{49}`, and a typing error is told without asking a store, which keeps the
/// SHA-256 of the text.
#[derive(Clone)]
pub struct KeyToken(SecretString);

impl KeyToken {
    /// What every token begins with.
    pub const PREFIX: &'static str = "mcphub_";

    /// How long every token is, in bytes.
    pub const LEN: usize = Self::PREFIX.len() + token::LEN;

    /// The token of these bits, which have to come from the operating system's random numbers.
    pub fn from_entropy(bits: [u8; 32]) -> Self {
        Self(token::write(Self::PREFIX, bits))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// `Malformed` when it is none, or was not copied whole.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        token::read(Self::PREFIX, text)?;
        Ok(Self(text.into()))
    }

    /// What a store knows of it: its SHA-256.
    pub fn digest(&self) -> Hash {
        Hash(Sha256::digest(self.0.expose_secret()).into())
    }

    /// The text, to be shown once.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for KeyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_form_and_is_read_again() {
        for bits in [[0; 32], [255; 32], std::array::from_fn(|i| i as u8)] {
            let token = KeyToken::from_entropy(bits);
            assert_eq!(token.expose().len(), KeyToken::LEN);
            let again = KeyToken::parse(token.expose()).unwrap();
            assert_eq!(again.digest(), token.digest());
        }
        let zero = KeyToken::from_entropy([0; 32]);
        assert!(
            zero.expose()
                .starts_with(&format!("mcphub_{}", "0".repeat(43)))
        );
        // 2^256 - 1 in base 62, by another implementation.
        let most = KeyToken::from_entropy([255; 32]);
        assert_eq!(
            &most.expose()[7..50],
            "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"
        );
    }

    #[test]
    fn every_wrong_character_is_noticed() {
        let token = KeyToken::from_entropy([7; 32]);
        let text = token.expose();
        for place in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[place] = if wrong[place] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(KeyToken::parse(&wrong).is_err(), "{place}");
        }
        let cut = &text[..text.len() - 1];
        let more = format!("{text}0");
        let wide = format!("mcphub_{}", "ü".repeat(24));
        for wrong in ["", "mcphub_", cut, &more, &wide, &text.to_lowercase()] {
            assert_eq!(
                KeyToken::parse(wrong).err(),
                Some(Refusal::Malformed),
                "{wrong}"
            );
        }
    }

    #[test]
    fn nothing_shows_a_token() {
        let token = KeyToken::from_entropy([7; 32]);
        assert!(!format!("{token:?}").contains(&token.expose()[7..]));
    }
}
