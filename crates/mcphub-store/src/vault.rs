//! Encryption of single credentials: AES-256-GCM with a random 96-bit nonce for each (NIST SP
//! 800-38D, 8.2.2; good for 2^32 values under one key).
//!
//! Each is bound to its place, so that a ciphertext that somebody moved does not open.

use std::fmt;

use aes_gcm::aead::{Aead, Generate, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use mcphub_core::password::PasswordHash;
use mcphub_core::secret::{DataKey, ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::tenant::TenantName;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use mcphub_core::user::UserName;
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
        let sealed = self.encrypt(&self.binding(place), value.expose_secret());
        sealed.map_err(|error| error.with("key", place.key))
    }

    /// Encrypts the hash of a user's password, for an archive.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn seal_password(&self, user: &UserName, hash: &PasswordHash) -> Result<Sealed> {
        self.encrypt(&self.binding_of_user(user), hash.expose())
    }

    /// Decrypts it.
    ///
    /// # Errors
    /// `InvalidInput` when it was changed, or was another user's.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(crate) fn open_password(&self, user: &UserName, sealed: &Sealed) -> Result<PasswordHash> {
        let text = self.decrypt(&self.binding_of_user(user), sealed);
        let wrong = || {
            let message = "a password of the archive was changed, and does not open";
            Error::invalid(message).with("user", user)
        };
        PasswordHash::new(text.ok_or_else(wrong)?.expose_secret())
    }

    fn encrypt(&self, aad: &[u8], value: &str) -> Result<Sealed> {
        let nonce = Nonce::try_generate().map_err(|error| {
            Error::internal("the operating system gives no random bytes").caused_by(error)
        })?;
        let payload = Payload {
            msg: value.as_bytes(),
            aad,
        };
        let ciphertext = self.cipher.encrypt(&nonce, payload);
        Ok(Sealed {
            key_id: self.key_id().to_owned(),
            nonce: nonce.into(),
            ciphertext: ciphertext.map_err(|_| Error::internal("a secret cannot be encrypted"))?,
        })
    }

    /// The text, if it was encrypted with this key for this place, and is one.
    fn decrypt(&self, aad: &[u8], sealed: &Sealed) -> Option<SecretString> {
        let payload = Payload {
            msg: &sealed.ciphertext,
            aad,
        };
        let plain = self.cipher.decrypt(&Nonce::from(sealed.nonce), payload);
        let plain = Zeroizing::new(plain.ok()?);
        let text = std::str::from_utf8(&plain).ok()?;
        // The boxed copy has no spare room, so that nothing is left behind when it is zeroised.
        Some(SecretString::from(Box::<str>::from(text)))
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
        let text = self.decrypt(&self.binding(place), sealed);
        text.ok_or_else(|| {
            let message = "a stored credential was changed or moved, and does not open; register the \
                           server again";
            Error::internal(message)
                .with("server", place.server)
                .with("key", place.key)
        })
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
        add_parts(&mut data, parts);
        data
    }

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    fn binding_of_user(&self, user: &UserName) -> Vec<u8> {
        let mut data = b"mcphub password 1".to_vec();
        add_parts(&mut data, &[user.as_str(), self.key_id()]);
        data
    }
}

fn add_parts(data: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part.as_bytes());
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

    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[test]
    fn a_password_opens_for_its_user_alone() {
        let vault = vault();
        let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
        let hash = PasswordHash::new(hash).unwrap();
        let [ada, bob] = ["ada", "bob"].map(|name| UserName::new(name).unwrap());
        let mut sealed = vault.seal_password(&ada, &hash).unwrap();
        assert_eq!(vault.open_password(&ada, &sealed).unwrap(), hash);
        assert!(vault.open_password(&bob, &sealed).is_err());
        sealed.ciphertext[0] ^= 1;
        let error = vault.open_password(&ada, &sealed).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
