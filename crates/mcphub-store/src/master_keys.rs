//! Several master keys at a time, so that one can take the place of another while nodes go on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use aes_gcm::aead::{Aead, Generate, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use async_trait::async_trait;
use mcphub_core::secret::{DataKey, ExposeSecret, KeyProvider, Wrapped};
use mcphub_core::{Error, Result};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::MasterKey;
use crate::vault::{NONCE, another_key};

/// The most keys at a time. Two are what a change takes.
const MAX: usize = 8;

/// Master keys: the first encrypts, all decrypt. Those of a file are read again when a key is
/// missed, so that a process notices a key that was added.
pub struct MasterKeys {
    keys: RwLock<Vec<MasterKey>>,
    file: Option<PathBuf>,
}

impl MasterKeys {
    /// One key, or several separated by commas or white space, each as [`MasterKey::from_text`]
    /// reads it. At most 8.
    ///
    /// # Errors
    /// `InvalidInput` for anything else; the text itself is in no error.
    pub fn from_text(text: &str) -> Result<Self> {
        Ok(Self {
            keys: RwLock::new(parse(text)?),
            file: None,
        })
    }

    /// The keys in a file, one in a line; `None` without a file. Blocks for the time of a small
    /// read.
    ///
    /// # Errors
    /// As [`MasterKey::load`].
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let keys = read(path)?;
        Ok(keys.map(|keys| Self {
            keys: RwLock::new(keys),
            file: Some(path.to_owned()),
        }))
    }

    /// Like [`MasterKeys::load`]; a random key is written first when there is no file, as by
    /// [`MasterKey::load_or_create`].
    ///
    /// # Errors
    /// As [`MasterKey::load_or_create`].
    pub fn load_or_create(path: &Path) -> Result<Self> {
        if let Some(keys) = Self::load(path)? {
            return Ok(keys);
        }
        let key = MasterKey::load_or_create(path)?;
        Ok(Self {
            keys: RwLock::new(vec![key]),
            file: Some(path.to_owned()),
        })
    }

    /// Puts a new random key before the others, in the file. Other processes notice it when they
    /// miss it. Blocks for the time of a small write.
    ///
    /// # Errors
    /// `InvalidInput` for keys that are not in a file, or when there are 8 already; those of writing
    /// a file.
    pub fn add_new(&self) -> Result<()> {
        let file = self.file()?;
        let mut keys = self.current();
        if keys.len() >= MAX {
            return Err(Error::invalid("there are 8 master keys already"));
        }
        keys.insert(0, MasterKey::generate()?);
        self.replace(file, keys)
    }

    /// Leaves the first key alone in the file. Blocks for the time of a small write.
    ///
    /// # Errors
    /// As [`MasterKeys::add_new`].
    pub fn drop_old(&self) -> Result<()> {
        let file = self.file()?;
        let mut keys = self.current();
        keys.truncate(1);
        self.replace(file, keys)
    }

    /// A key for one purpose from each of these, in their order: every process with the same keys
    /// makes the same, and none of them tells anything of another.
    pub fn derived(&self, purpose: &str) -> Vec<DataKey> {
        let derive = |key: &MasterKey| {
            let digest = Sha256::new()
                .chain_update(b"mcphub derived key 1")
                .chain_update(key.bytes())
                .chain_update(purpose)
                .finalize();
            DataKey::new(Box::new(digest.into()))
        };
        self.current().iter().map(derive).collect()
    }

    /// Whether they are in a file.
    pub fn are_in_a_file(&self) -> bool {
        self.file.is_some()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.current().len()
    }

    /// The key of an id, after another look at the file where that may help.
    pub(crate) async fn find(&self, id: &str) -> Result<MasterKey> {
        if let Some(key) = self.with_id(id) {
            return Ok(key);
        }
        if let Some(file) = self.file.clone() {
            let read = crate::sql::blocking(move || read(&file)).await?;
            if let Some(keys) = read {
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            }
        }
        self.with_id(id)
            .ok_or_else(|| another_key(id, &self.key_id()))
    }

    fn with_id(&self, id: &str) -> Option<MasterKey> {
        self.current().into_iter().find(|key| key.id() == id)
    }

    fn current(&self) -> Vec<MasterKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
    }

    fn file(&self) -> Result<&Path> {
        self.file.as_deref().ok_or_else(|| {
            Error::invalid(
                "the master keys are not in a file; give the new one first and the old one after \
                 it, MCPHUB_MASTER_KEY=NEW,OLD",
            )
        })
    }

    fn replace(&self, file: &Path, keys: Vec<MasterKey>) -> Result<()> {
        MasterKey::write_all(&keys, file)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(key: MasterKey) -> Self {
        Self {
            keys: RwLock::new(vec![key]),
            file: None,
        }
    }
}

#[async_trait]
impl KeyProvider for MasterKeys {
    fn key_id(&self) -> String {
        let keys = self.current();
        keys.first()
            .map_or_else(String::new, |key| key.id().to_owned())
    }

    async fn wrap(&self, id: &str, key: &DataKey) -> Result<Wrapped> {
        let by = self.find(&self.key_id()).await?;
        let nonce = Nonce::try_generate().map_err(|error| {
            Error::internal("the operating system gives no random bytes").caused_by(error)
        })?;
        let payload = Payload {
            msg: key.expose_secret(),
            aad: &binding(id, by.id()),
        };
        let ciphertext = cipher(&by)
            .encrypt(&nonce, payload)
            .map_err(|_| Error::internal("a data key cannot be encrypted"))?;
        let mut bytes = nonce.to_vec();
        bytes.extend(ciphertext);
        Ok(Wrapped {
            by: by.id().to_owned(),
            bytes,
        })
    }

    async fn unwrap(&self, id: &str, wrapped: &Wrapped) -> Result<DataKey> {
        let by = self.find(&wrapped.by).await?;
        let damaged = || Error::internal("a stored data key was changed, and does not open");
        let (nonce, ciphertext) = wrapped
            .bytes
            .split_first_chunk::<NONCE>()
            .ok_or_else(damaged)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &binding(id, &wrapped.by),
        };
        let plain = cipher(&by).decrypt(&Nonce::from(*nonce), payload);
        let plain = Zeroizing::new(plain.map_err(|_| damaged())?);
        let mut key = Box::new([0; 32]);
        if plain.len() != key.len() {
            return Err(damaged());
        }
        key.copy_from_slice(&plain);
        Ok(DataKey::new(key))
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKeys")
            .field("keys", &self.current())
            .field("file", &self.file)
            .finish()
    }
}

fn cipher(key: &MasterKey) -> Aes256Gcm {
    Aes256Gcm::new(key.bytes().into())
}

/// The associated data: each part with its length, so that no two pairs read the same.
fn binding(id: &str, by: &str) -> Vec<u8> {
    let mut data = b"mcphub data key 1".to_vec();
    for part in [id, by] {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part.as_bytes());
    }
    data
}

fn parse(text: &str) -> Result<Vec<MasterKey>> {
    let separates = |c: char| c == ',' || c.is_ascii_whitespace();
    let texts: Vec<&str> = text.split(separates).filter(|it| !it.is_empty()).collect();
    if texts.len() > MAX {
        return Err(Error::invalid("there are more than 8 master keys"));
    }
    if texts.is_empty() {
        return MasterKey::from_text(text).map(|key| vec![key]);
    }
    texts.into_iter().map(MasterKey::from_text).collect()
}

fn read(path: &Path) -> Result<Option<Vec<MasterKey>>> {
    let Some(text) = MasterKey::read_file(path)? else {
        return Ok(None);
    };
    let keys = parse(&text).map_err(|_| {
        Error::invalid("the key file holds no master key; restore it from a backup")
            .with("path", path.display())
    });
    keys.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    mcphub_core::key_provider_conformance!(async || {
        let text = MasterKey::generate().unwrap().to_text();
        let make =
            move || -> Arc<dyn KeyProvider> { Arc::new(MasterKeys::from_text(&text).unwrap()) };
        let other = MasterKey::generate().unwrap();
        let other: Arc<dyn KeyProvider> = Arc::new(MasterKeys::from(other));
        (Box::new([make(), make(), other]), ())
    });

    use std::sync::Arc;

    #[tokio::test]
    async fn a_key_that_was_added_to_the_file_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mcphub.key");
        let ours = MasterKeys::load_or_create(&path).unwrap();
        let theirs = MasterKeys::load(&path).unwrap().unwrap();
        let old = ours.key_id();
        theirs.add_new().unwrap();
        assert_eq!(theirs.count(), 2);
        let wrapped = theirs
            .wrap("k", &DataKey::new(Box::new([7; 32])))
            .await
            .unwrap();
        assert_ne!(wrapped.by, old);
        let key = ours.unwrap("k", &wrapped).await.unwrap();
        assert_eq!(key.expose_secret(), &[7; 32]);

        theirs.drop_old().unwrap();
        let again = MasterKeys::load(&path).unwrap().unwrap();
        assert_eq!((again.count(), again.key_id()), (1, wrapped.by));
    }

    #[test]
    fn derived_keys_are_the_same_for_the_same_keys_and_purpose_and_no_others() {
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        let derived = |text: &str, purpose: &str| -> Vec<[u8; 32]> {
            let keys = MasterKeys::from_text(text).unwrap().derived(purpose);
            keys.iter().map(|key| *key.expose_secret()).collect()
        };
        let both = derived(&format!("{two},{one}"), "a");
        assert_eq!(both, [derived(&two, "a"), derived(&one, "a")].concat());
        assert!(both[0] != both[1] && derived(&one, "a") != derived(&one, "b"));
        assert_ne!(both[1], [0xab; 32]);
    }

    #[test]
    fn several_keys_are_read_and_a_bad_one_is_refused_unsaid() {
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        for text in [format!("{one},{two}"), format!("{one}\n{two}\n")] {
            let keys = MasterKeys::from_text(&text).unwrap();
            assert_eq!(keys.count(), 2);
            let first = MasterKey::from_text(&one).unwrap();
            assert_eq!(keys.key_id(), first.id());
            assert!(!format!("{keys:?}").contains("abab"));
        }
        for text in [
            "",
            " , ",
            "s3cret",
            &format!("{one},s3cret"),
            &format!("{one},").repeat(9),
        ] {
            let error = MasterKeys::from_text(text).unwrap_err();
            assert!(!error.report().contains("s3cret"), "{}", error.report());
        }
        let keys = MasterKeys::from(MasterKey::from_text(&one).unwrap());
        assert!(keys.add_new().unwrap_err().to_string().contains("NEW,OLD"));
    }
}
