//! The tokens of a sign-in.

use std::fmt;

use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest, Sha256};

use crate::audit::Hash;
use crate::principal::Refusal;
use crate::token;

/// What lets a client in for a quarter of an hour: `mcphub_access_` and 49 letters and digits, of
/// which 43 hold 256 random bits. A store keeps its SHA-256.
#[derive(Clone)]
pub struct AccessToken(SecretString);

impl AccessToken {
    /// What every token begins with.
    pub const PREFIX: &'static str = "mcphub_access_";

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

    /// The text, to be given to the client.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

/// What a client gets its next tokens with, once: `mcphub_refresh_` and 49 letters and digits. Of its
/// 256 random bits one half is the same in all refresh tokens of a sign-in, and the other changes
/// with each. So a store that keeps a SHA-256 of each half knows every earlier token of a sign-in
/// again, however many there were.
pub struct RefreshToken(SecretBox<[u8; 32]>);

impl RefreshToken {
    /// What every token begins with.
    pub const PREFIX: &'static str = "mcphub_refresh_";

    /// The first token of a sign-in, of bits that have to come from the operating system's random
    /// numbers.
    pub fn from_entropy(bits: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bits)))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// `Malformed` when it is none, or was not copied whole.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        token::read(Self::PREFIX, text).map(Self::from_entropy)
    }

    /// The token that takes its place, of bits as random as its own.
    #[must_use]
    pub fn next(&self, turn: [u8; 16]) -> Self {
        let mut bits = *self.0.expose_secret();
        bits[16..].copy_from_slice(&turn);
        Self::from_entropy(bits)
    }

    /// What a store knows of the half that is the same in all tokens of a sign-in.
    pub fn family(&self) -> Hash {
        Hash(Sha256::digest(&self.0.expose_secret()[..16]).into())
    }

    /// What a store knows of the half that only this token has.
    pub fn turn(&self) -> Hash {
        Hash(Sha256::digest(&self.0.expose_secret()[16..]).into())
    }

    /// The text, to be given to the client.
    pub fn expose(&self) -> SecretString {
        token::write(Self::PREFIX, *self.0.expose_secret())
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyToken;

    #[test]
    fn the_tokens_of_a_sign_in_have_a_half_in_common() {
        let first = RefreshToken::from_entropy(std::array::from_fn(|i| i as u8));
        let second = first.next([9; 16]);
        assert_eq!(first.family(), second.family());
        assert_ne!(first.turn(), second.turn());
        let again = RefreshToken::parse(second.expose().expose_secret()).unwrap();
        assert_eq!(
            (again.family(), again.turn()),
            (second.family(), second.turn())
        );
        let other = RefreshToken::from_entropy([1; 32]);
        assert_ne!(other.family(), first.family());
    }

    #[test]
    fn no_token_is_taken_for_one_of_another_kind() {
        let bits = [7; 32];
        let access = AccessToken::from_entropy(bits);
        let (key, refresh) = (
            KeyToken::from_entropy(bits),
            RefreshToken::from_entropy(bits).expose(),
        );
        let refresh = refresh.expose_secret();
        assert!(AccessToken::parse(access.expose()).is_ok());
        assert!(KeyToken::parse(access.expose()).is_err() && KeyToken::parse(refresh).is_err());
        assert!(AccessToken::parse(key.expose()).is_err() && AccessToken::parse(refresh).is_err());
        assert!(RefreshToken::parse(key.expose()).is_err());
        assert!(RefreshToken::parse(access.expose()).is_err());
        for wrong in ["", "mcphub_access_", &access.expose().to_lowercase(), "ü"] {
            assert!(AccessToken::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_shows_a_token() {
        let access = AccessToken::from_entropy([7; 32]);
        let refresh = RefreshToken::from_entropy([7; 32]);
        assert_eq!(
            format!("{access:?} {refresh:?}"),
            "AccessToken([redacted]) RefreshToken([redacted])"
        );
    }
}
