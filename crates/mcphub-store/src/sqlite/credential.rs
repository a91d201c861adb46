//! Credentials: encrypted before they reach SQLite, decrypted after they left it.

use async_trait::async_trait;
use mcphub_core::secret::{Credentials, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::store::CredentialStore;
use mcphub_core::{Error, Result};
use sqlx::{SqliteConnection, SqliteExecutor};

use super::SqliteStore;
use super::failure::Failure;
use crate::vault::{Sealed, Vault, another_key};

const OF_SERVER: &str = "
    SELECT credential.key, credential.key_id, credential.nonce, credential.ciphertext
    FROM server
    JOIN credential ON credential.server_id = server.id
    WHERE server.name = ?1
    ORDER BY credential.position";

/// A credential under its key, as a row has it.
pub(super) type Entry = (String, Sealed);

#[async_trait]
impl CredentialStore for SqliteStore {
    async fn credentials(&self, server: &ServerName) -> Result<Credentials> {
        let outcome = load(self.pools.readers(), &self.vault, server).await;
        self.explain("store::credentials", outcome)
    }
}

/// The credentials of a server, in the order in which they were given.
pub(super) async fn load(
    executor: impl SqliteExecutor<'_>,
    vault: &Vault,
    server: &ServerName,
) -> Result<Credentials, Failure> {
    let rows: Vec<(String, String, Vec<u8>, Vec<u8>)> = sqlx::query_as(OF_SERVER)
        .bind(server.as_str())
        .fetch_all(executor)
        .await?;
    let mut entries: Vec<(String, SecretString)> = Vec::with_capacity(rows.len());
    for (key, key_id, nonce, ciphertext) in rows {
        let nonce = nonce
            .try_into()
            .map_err(|_| Error::internal("a stored nonce has a wrong length"))?;
        let sealed = Sealed {
            key_id,
            nonce,
            ciphertext,
        };
        let value = vault.open(server, &key, &sealed)?;
        entries.push((key, value));
    }
    Ok(Credentials::from_entries(entries)?)
}

/// Encrypts all credentials of a server.
pub(super) fn seal(vault: &Vault, server: &ServerName, of: &Credentials) -> Result<Vec<Entry>> {
    let entries = of.to_entries().into_iter();
    entries
        .map(|(key, value)| {
            let sealed = vault.seal(server, &key, &value)?;
            Ok((key, sealed))
        })
        .collect()
}

/// Replaces the credentials of a server.
pub(super) async fn replace(
    connection: &mut SqliteConnection,
    server_id: i64,
    entries: &[Entry],
) -> Result<(), Failure> {
    sqlx::query("DELETE FROM credential WHERE server_id = ?1")
        .bind(server_id)
        .execute(&mut *connection)
        .await?;
    for (position, (key, sealed)) in (0i64..).zip(entries) {
        sqlx::query(
            "INSERT INTO credential (server_id, position, key, key_id, nonce, ciphertext)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(server_id)
        .bind(position)
        .bind(key)
        .bind(&sealed.key_id)
        .bind(sealed.nonce.as_slice())
        .bind(sealed.ciphertext.as_slice())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// The id of the master key that something here is encrypted with.
pub(super) async fn key_id_in_use(
    executor: impl SqliteExecutor<'_>,
) -> Result<Option<String>, Failure> {
    let id = sqlx::query_scalar("SELECT key_id FROM credential LIMIT 1")
        .fetch_optional(executor)
        .await?;
    Ok(id)
}

/// One store has one key: with two, part of it would be unreadable to everybody.
pub(super) async fn refuse_another_key(
    executor: impl SqliteExecutor<'_>,
    vault: &Vault,
) -> Result<(), Failure> {
    let other: Option<String> =
        sqlx::query_scalar("SELECT key_id FROM credential WHERE key_id <> ?1 LIMIT 1")
            .bind(vault.key_id())
            .fetch_optional(executor)
            .await?;
    match other {
        None => Ok(()),
        Some(id) => Err(another_key(&id, vault.key_id()).into()),
    }
}
