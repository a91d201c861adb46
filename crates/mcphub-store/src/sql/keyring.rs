//! The keys that credentials are encrypted with: made when the first is needed, kept wrapped.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use mcphub_core::secret::{DataKey, KeyProvider, Wrapped};
use mcphub_core::{Error, Result};

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{Session, now};
use crate::master_keys::MasterKeys;
use crate::vault::{Vault, another_key};

/// How many keys of credentials are looked at when a store is opened. More than two are left only
/// by changes of keys that were broken off.
const MOST: u32 = 16;

/// Who wraps keys, and, where that is a master key, how credentials are read that were encrypted
/// with it directly.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) provider: Arc<dyn KeyProvider>,
    pub(crate) master: Option<Arc<MasterKeys>>,
}

impl From<MasterKeys> for Keys {
    fn from(keys: MasterKeys) -> Self {
        let keys = Arc::new(keys);
        Self {
            provider: keys.clone(),
            master: Some(keys),
        }
    }
}

/// The keys as far as they were needed, unwrapped.
pub(crate) struct Keyring {
    keys: Keys,
    vaults: RwLock<HashMap<String, Arc<Vault>>>,
}

impl Keyring {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            vaults: RwLock::default(),
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// That everything can be read: with another master key, part of the store would be unreadable
    /// to everybody.
    pub(super) async fn check(&self, session: &mut Session) -> Result<(), Failure> {
        let mut before = String::new();
        for _ in 0..MOST {
            // From one to the next, not over all credentials.
            let next = "SELECT min(key_id) AS id FROM credential WHERE key_id > $1";
            let next = session
                .fetch_one(Statement::new(next).bind(&before))
                .await?;
            let Some(id) = next.get::<Option<String>>("id")? else {
                break;
            };
            self.vault(session, &id).await?;
            before = id;
        }
        if let Some(id) = current_id(session).await? {
            self.vault(session, &id).await?;
        }
        Ok(())
    }

    /// What new credentials are encrypted with. The session is a transaction that writes.
    pub(super) async fn current(&self, session: &mut Session) -> Result<Arc<Vault>, Failure> {
        match current_id(session).await? {
            Some(id) => self.vault(session, &id).await,
            None => self.add(session, true).await,
        }
    }

    /// What the credentials with that key's id are encrypted with.
    pub(super) async fn vault(
        &self,
        session: &mut Session,
        id: &str,
    ) -> Result<Arc<Vault>, Failure> {
        if let Some(vault) = self.known(id) {
            return Ok(vault);
        }
        let vault = match stored(session, id).await? {
            Some(wrapped) => Vault::new(id, &self.keys.provider.unwrap(id, &wrapped).await?),
            None => match &self.keys.master {
                Some(master) => Vault::of_master_key(&master.find(id).await?),
                None => return Err(another_key(id, &self.keys.provider.key_id()).into()),
            },
        };
        Ok(self.remember(vault))
    }

    /// Makes a new key, which all credentials get from now on. It is complete when no older ones
    /// have to be changed to it.
    pub(super) async fn add(
        &self,
        session: &mut Session,
        complete: bool,
    ) -> Result<Arc<Vault>, Failure> {
        let mut key = Box::new([0; 32]);
        let mut id = [0; 8];
        for part in [key.as_mut_slice(), &mut id] {
            getrandom::fill(part).map_err(|error| {
                Error::internal("the operating system gives no random bytes").caused_by(error)
            })?;
        }
        let key = DataKey::new(key);
        // Told apart from a master key's id, which is as long.
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("data-{id}");
        let wrapped = self.keys.provider.wrap(&id, &key).await?;
        let retire = "UPDATE data_key SET current = 0, retired_at = $1 WHERE current = 1";
        session.execute(Statement::new(retire).bind(now())).await?;
        let add = "INSERT INTO data_key (id, wrapped, wrapped_by, current, complete, created_at)
            VALUES ($1, $2, $3, 1, $4, $5)";
        let add = Statement::new(add)
            .bind(&id)
            .bind(wrapped.bytes.as_slice())
            .bind(&wrapped.by)
            .bind(i64::from(complete))
            .bind(now());
        session.execute(add).await?;
        Ok(self.remember(Vault::new(&id, &key)))
    }

    fn known(&self, id: &str) -> Option<Arc<Vault>> {
        let vaults = self.vaults.read().unwrap_or_else(PoisonError::into_inner);
        vaults.get(id).cloned()
    }

    fn remember(&self, vault: Vault) -> Arc<Vault> {
        let vault = Arc::new(vault);
        let mut vaults = self.vaults.write().unwrap_or_else(PoisonError::into_inner);
        vaults.insert(vault.key_id().to_owned(), vault.clone());
        vault
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.keys.provider).finish()
    }
}

/// The id of a master key that something here was encrypted or wrapped with.
pub(super) async fn master_key_in_use(session: &mut Session) -> Result<Option<String>, Failure> {
    let wrapping = Statement::new("SELECT wrapped_by AS id FROM data_key LIMIT 1");
    if let Some(row) = session.fetch_optional(wrapping).await? {
        return Ok(Some(row.get("id")?));
    }
    let used = Statement::new("SELECT min(key_id) AS id FROM credential");
    Ok(session.fetch_one(used).await?.get("id")?)
}

/// The id of the key that new credentials get, if there is one.
pub(super) async fn current_id(session: &mut Session) -> Result<Option<String>, Failure> {
    let current = Statement::new("SELECT id FROM data_key WHERE current = 1");
    let row = session.fetch_optional(current).await?;
    Ok(row.map(|row| row.get("id")).transpose()?)
}

pub(super) async fn stored(session: &mut Session, id: &str) -> Result<Option<Wrapped>, Failure> {
    let query = Statement::new("SELECT wrapped, wrapped_by FROM data_key WHERE id = $1").bind(id);
    let row = session.fetch_optional(query).await?;
    Ok(row.as_ref().map(wrapped).transpose()?)
}

pub(super) fn wrapped(row: &Row) -> sqlx::Result<Wrapped> {
    Ok(Wrapped {
        by: row.get("wrapped_by")?,
        bytes: row.get("wrapped")?,
    })
}
