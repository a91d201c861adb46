//! Encryption of single credentials: AES-256-GCM with a random 96-bit nonce for each (NIST SP
//! 800-38D, 8.2.2; good for 2^32 values under one key).

use std::fmt;

use aes_gcm::aead::{Aead, Generate, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};
use zeroize::Zeroizing;

use crate::MasterKey;

/// Bytes of a nonce.
pub const NONCE: usize = 12;

/// Encrypts and decrypts credentials under one master key. A ciphertext opens only for the server,
/// the key and the master key that it was made for.
pub struct Vault {
    cipher: Box<Aes256Gcm>,
    key_id: Box<str>,
}

/// An encrypted credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The [`MasterKey::id`] that it was encrypted with.
    pub key_id: String,
    /// Random, never used again.
    pub nonce: [u8; NONCE],
    /// The ciphertext with its tag.
    pub ciphertext: Vec<u8>,
}

impl Vault {
    /// A vault under that key.
    pub fn new(key: &MasterKey) -> Self {
        Self {
            cipher: Box::new(Aes256Gcm::new(key.bytes().into())),
            key_id: key.id().into(),
        }
    }

    /// The [`MasterKey::id`] of its key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Encrypts the credential `key` of a server.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no randomness.
    pub fn seal(&self, server: &ServerName, key: &str, value: &SecretString) -> Result<Sealed> {
        let nonce = Nonce::try_generate().map_err(|error| {
            Error::internal("the operating system gives no random bytes").caused_by(error)
        })?;
        let payload = Payload {
            msg: value.expose_secret().as_bytes(),
            aad: &self.binding(server, key),
        };
        let ciphertext = self
            .cipher
            .encrypt(&nonce, payload)
            .map_err(|_| Error::internal("a credential cannot be encrypted").with("key", key))?;
        Ok(Sealed {
            key_id: self.key_id().to_owned(),
            nonce: nonce.into(),
            ciphertext,
        })
    }

    /// Decrypts the credential `key` of a server.
    ///
    /// # Errors
    /// `InvalidInput` when it was encrypted under another master key; `Internal` when it was for
    /// another server or key, or was changed since.
    pub fn open(&self, server: &ServerName, key: &str, sealed: &Sealed) -> Result<SecretString> {
        if sealed.key_id != self.key_id() {
            return Err(another_key(&sealed.key_id, self.key_id()));
        }
        let damaged = |what: &str| {
            Error::internal(format!(
                "a stored credential {what}; register the server again"
            ))
            .with("server", server)
            .with("key", key)
        };
        let payload = Payload {
            msg: &sealed.ciphertext,
            aad: &self.binding(server, key),
        };
        let plain = self
            .cipher
            .decrypt(&Nonce::from(sealed.nonce), payload)
            .map_err(|_| damaged("was changed or moved, and does not open"))?;
        let plain = Zeroizing::new(plain);
        let text = std::str::from_utf8(&plain).map_err(|_| damaged("is not text"))?;
        // The boxed copy has no spare room, so that nothing is left behind when it is zeroised.
        Ok(SecretString::from(Box::<str>::from(text)))
    }

    /// The associated data: each part with its length, so that no two triples read the same.
    fn binding(&self, server: &ServerName, key: &str) -> Vec<u8> {
        let mut data = b"mcphub credential 1".to_vec();
        for part in [server.as_str(), key, self.key_id()] {
            data.extend((part.len() as u64).to_be_bytes());
            data.extend(part.as_bytes());
        }
        data
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Vault").field(&self.key_id).finish()
    }
}

/// The error for credentials under a key that is not the one at hand.
pub(crate) fn another_key(theirs: &str, ours: &str) -> Error {
    Error::invalid(format!(
        "the credentials are encrypted with another master key (id {theirs}); start with that key"
    ))
    .with("id of the key given", ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcphub_core::ErrorKind;

    fn name(name: &str) -> ServerName {
        ServerName::new(name).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_for_its_server_and_key_alone() {
        let vault = Vault::new(&MasterKey::generate().unwrap());
        let sealed = vault
            .seal(&name("a"), "header:X", &"s3cret".into())
            .unwrap();
        let opened = vault.open(&name("a"), "header:X", &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "s3cret");
        for (server, key) in [("b", "header:X"), ("a", "header:Y"), ("a", "header:")] {
            let error = vault.open(&name(server), key, &sealed).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{server} {key}");
        }
    }

    #[test]
    fn the_same_value_never_looks_the_same() {
        let vault = Vault::new(&MasterKey::generate().unwrap());
        let seal = || vault.seal(&name("a"), "bearer", &"s3cret".into()).unwrap();
        let (one, two) = (seal(), seal());
        assert_ne!(one.nonce, two.nonce);
        assert_ne!(one.ciphertext, two.ciphertext);
    }

    #[test]
    fn one_flipped_bit_is_an_error() {
        let vault = Vault::new(&MasterKey::generate().unwrap());
        let sealed = vault.seal(&name("a"), "bearer", &"s3cret".into()).unwrap();
        for index in 0..sealed.ciphertext.len() {
            let mut changed = sealed.clone();
            changed.ciphertext[index] ^= 1;
            assert!(
                vault.open(&name("a"), "bearer", &changed).is_err(),
                "byte {index}"
            );
        }
    }

    #[test]
    fn another_master_key_is_named_by_its_id() {
        let (one, two) = (
            MasterKey::generate().unwrap(),
            MasterKey::generate().unwrap(),
        );
        let sealed = Vault::new(&one)
            .seal(&name("a"), "bearer", &"s3cret".into())
            .unwrap();
        let error = Vault::new(&two)
            .open(&name("a"), "bearer", &sealed)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("another master key (id {})", one.id()))
        );
    }
}
