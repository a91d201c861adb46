//! Encryption of single credentials: AES-256-GCM with a random 96-bit nonce for each (NIST SP
//! 800-38D, 8.2.2; good for 2^32 values under one key).
//!
//! Each is bound to its place, so that a ciphertext that somebody moved does not open.

use std::fmt;

use aes_gcm::aead::{Aead, Generate, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use mcphub_core::secret::{DataKey, ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::tenant::TenantName;
use mcphub_core::{Error, Result};
use zeroize::Zeroizing;

use crate::MasterKey;

/// Bytes of a nonce.
pub const NONCE: usize = 12;

/// Encrypts and decrypts credentials under one key. A ciphertext opens only for the tenant, the
/// server, the name of the credential and the key that it was made for.
pub struct Vault {
    cipher: Box<Aes256Gcm>,
    key_id: Box<str>,
    binding: Binding,
}

/// Whose credential it is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Of which tenant.
    pub tenant: &'a TenantName,
    /// Of which server.
    pub server: &'a ServerName,
    /// Which of its credentials, such as `bearer`.
    pub key: &'a str,
}

/// What a ciphertext is bound to, beside the key.
#[derive(Debug, Clone, Copy)]
enum Binding {
    /// The server and the name of the credential: under a master key itself, as schemas 1 and 2 had
    /// it, which knew no tenants.
    Server,
    /// The whole place.
    Place,
}

/// An encrypted credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The id of the key that it was encrypted with.
    pub key_id: String,
    /// Random, never used again.
    pub nonce: [u8; NONCE],
    /// The ciphertext with its tag.
    pub ciphertext: Vec<u8>,
}

impl Vault {
    /// A vault under a key of that id.
    pub fn new(id: &str, key: &DataKey) -> Self {
        Self {
            cipher: Box::new(Aes256Gcm::new(key.expose_secret().into())),
            key_id: id.into(),
            binding: Binding::Place,
        }
    }

    /// A vault that reads what was encrypted with a master key itself.
    pub fn of_master_key(key: &MasterKey) -> Self {
        Self {
            cipher: Box::new(Aes256Gcm::new(key.bytes().into())),
            key_id: key.id().into(),
            binding: Binding::Server,
        }
    }

    /// The id of its key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Encrypts a credential.
    ///
    /// # Errors
    /// `Internal` when the operating system gives no randomness.
    pub fn seal(&self, place: &Place<'_>, value: &SecretString) -> Result<Sealed> {
        let nonce = Nonce::try_generate().map_err(|error| {
            Error::internal("the operating system gives no random bytes").caused_by(error)
        })?;
        let payload = Payload {
            msg: value.expose_secret().as_bytes(),
            aad: &self.binding(place),
        };
        let ciphertext = self.cipher.encrypt(&nonce, payload).map_err(|_| {
            Error::internal("a credential cannot be encrypted").with("key", place.key)
        })?;
        Ok(Sealed {
            key_id: self.key_id().to_owned(),
            nonce: nonce.into(),
            ciphertext,
        })
    }

    /// Decrypts a credential.
    ///
    /// # Errors
    /// `InvalidInput` when it was encrypted under another key; `Internal` when it was for another
    /// place, or was changed since.
    pub fn open(&self, place: &Place<'_>, sealed: &Sealed) -> Result<SecretString> {
        if sealed.key_id != self.key_id() {
            return Err(another_key(&sealed.key_id, self.key_id()));
        }
        let damaged = |what: &str| {
            Error::internal(format!(
                "a stored credential {what}; register the server again"
            ))
            .with("server", place.server)
            .with("key", place.key)
        };
        let payload = Payload {
            msg: &sealed.ciphertext,
            aad: &self.binding(place),
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

    /// The associated data: each part with its length, so that no two places read the same.
    fn binding(&self, place: &Place<'_>) -> Vec<u8> {
        let (server, tenant) = (place.server.as_str(), place.tenant.as_str());
        let (mut data, parts) = match self.binding {
            Binding::Server => (
                b"mcphub credential 1".to_vec(),
                &[server, place.key, self.key_id()][..],
            ),
            Binding::Place => (
                b"mcphub credential 2".to_vec(),
                &[tenant, server, place.key, self.key_id()][..],
            ),
        };
        for part in parts {
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

    /// A vault under a random key.
    fn vault() -> Vault {
        Vault::new(
            "k",
            &DataKey::new(Box::new(*MasterKey::generate().unwrap().bytes())),
        )
    }

    /// `tenant/server/key`.
    fn at<T>(place: &str, work: impl FnOnce(&Place<'_>) -> T) -> T {
        let mut parts = place.split('/');
        let tenant = TenantName::new(parts.next().unwrap()).unwrap();
        let server = ServerName::new(parts.next().unwrap()).unwrap();
        let place = Place {
            tenant: &tenant,
            server: &server,
            key: parts.next().unwrap(),
        };
        work(&place)
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_alone() {
        let vault = vault();
        let sealed = at("t/a/header:X", |place| vault.seal(place, &"s3cret".into())).unwrap();
        let opened = at("t/a/header:X", |place| vault.open(place, &sealed)).unwrap();
        assert_eq!(opened.expose_secret(), "s3cret");
        for other in [
            "u/a/header:X",
            "t/b/header:X",
            "t/a/header:Y",
            "t/a/header:",
        ] {
            let error = at(other, |place| vault.open(place, &sealed)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{other}");
        }
    }

    #[test]
    fn the_same_value_never_looks_the_same() {
        let vault = vault();
        let seal = || at("t/a/bearer", |place| vault.seal(place, &"s3cret".into())).unwrap();
        let (one, two) = (seal(), seal());
        assert_ne!(one.nonce, two.nonce);
        assert_ne!(one.ciphertext, two.ciphertext);
    }

    #[test]
    fn one_flipped_bit_is_an_error() {
        let vault = vault();
        let sealed = at("t/a/bearer", |place| vault.seal(place, &"s3cret".into())).unwrap();
        for index in 0..sealed.ciphertext.len() {
            let mut changed = sealed.clone();
            changed.ciphertext[index] ^= 1;
            let opened = at("t/a/bearer", |place| vault.open(place, &changed));
            assert!(opened.is_err(), "byte {index}");
        }
    }

    #[test]
    fn another_key_is_named_by_its_id() {
        let (one, two) = (
            MasterKey::generate().unwrap(),
            MasterKey::generate().unwrap(),
        );
        let seal = |vault: &Vault| at("t/a/bearer", |place| vault.seal(place, &"s".into()));
        let sealed = seal(&Vault::of_master_key(&one)).unwrap();
        let other = Vault::of_master_key(&two);
        let error = at("t/a/bearer", |place| other.open(place, &sealed)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("another master key (id {})", one.id()))
        );
    }
}
