//! Credentials: encrypted before they reach the database, decrypted after they left it.

use async_trait::async_trait;
use mcphub_core::secret::{Credentials, Grant, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::store::CredentialStore;
use mcphub_core::tenant::TenantName;
use mcphub_core::{Error, Result};

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{Session, SqlStore};
use crate::vault::{Place, Sealed, Vault};

const OF_SERVER: &str = "
    SELECT credential.key, credential.key_id, credential.nonce, credential.ciphertext
    FROM server
    JOIN credential ON credential.server_id = server.id
    WHERE server.tenant_id = $1 AND server.name = $2 AND server.removed_at IS NULL
    ORDER BY credential.position";

/// How many are written in one statement.
const AT_ONCE: usize = 64;

/// A credential under its key, as a row has it.
pub(super) type Entry = (String, Sealed);

#[async_trait]
impl CredentialStore for SqlStore {
    async fn credentials(&self, server: &ServerName) -> Result<Credentials> {
        let outcome = self.read_credentials(server).await;
        self.explain("store::credentials", outcome)
    }

    async fn renew_grant(
        &self,
        server: &ServerName,
        scheme: &str,
        known: &Grant,
        renewed: &Grant,
    ) -> Result<bool> {
        let outcome = self.replace_grant(server, scheme, known, renewed).await;
        self.explain("store::renew_grant", outcome)
    }
}

impl SqlStore {
    async fn read_credentials(&self, server: &ServerName) -> Result<Credentials, Failure> {
        let mut session = self.engine().read().await?;
        self.load_credentials(&mut session, server).await
    }

    async fn replace_grant(
        &self,
        server: &ServerName,
        scheme: &str,
        known: &Grant,
        renewed: &Grant,
    ) -> Result<bool, Failure> {
        let key = format!("grant:{scheme}");
        let mut session = self.engine().write(self.tenant_id).await?;
        let stored = self.load_credentials(&mut session, server).await?;
        let kept = stored.grants.get(scheme);
        if !kept.is_some_and(|kept| kept.same_as(known)) {
            return Ok(false);
        }
        let vault = self.keyring().current(&mut session).await?;
        let place = Place {
            tenant: &self.scope.tenant,
            server,
            key: &key,
        };
        let sealed = vault.seal(&place, &renewed.to_secret())?;
        let update = "UPDATE credential SET key_id = $1, nonce = $2, ciphertext = $3
            WHERE key = $4 AND server_id = (
                SELECT id FROM server
                WHERE tenant_id = $5 AND name = $6 AND removed_at IS NULL)";
        let update = Statement::new(update)
            .bind(&sealed.key_id)
            .bind(sealed.nonce.as_slice())
            .bind(sealed.ciphertext.as_slice())
            .bind(&key)
            .bind(self.tenant_id)
            .bind(server.as_str());
        session.execute(update).await?;
        session.commit().await?;
        Ok(true)
    }

    /// The credentials of a server, in the order in which they were given.
    pub(super) async fn load_credentials(
        &self,
        session: &mut Session,
        server: &ServerName,
    ) -> Result<Credentials, Failure> {
        let query = Statement::new(OF_SERVER)
            .bind(self.tenant_id)
            .bind(server.as_str());
        let rows = session.fetch_all(query).await?;
        let mut entries: Vec<(String, SecretString)> = Vec::with_capacity(rows.len());
        for row in rows {
            let key: String = row.get("key")?;
            let sealed = sealed(&row)?;
            let vault = self.keyring().vault(session, &sealed.key_id).await?;
            let place = Place {
                tenant: &self.scope.tenant,
                server,
                key: &key,
            };
            let value = vault.open(&place, &sealed)?;
            entries.push((key, value));
        }
        Ok(Credentials::from_entries(entries)?)
    }
}

/// The encrypted value in a row.
pub(super) fn sealed(row: &Row) -> Result<Sealed, Failure> {
    let nonce = row.get::<Vec<u8>>("nonce")?.try_into();
    Ok(Sealed {
        key_id: row.get("key_id")?,
        nonce: nonce.map_err(|_| Error::internal("a stored nonce has a wrong length"))?,
        ciphertext: row.get("ciphertext")?,
    })
}

/// Encrypts all credentials of a server.
pub(super) fn seal(
    vault: &Vault,
    tenant: &TenantName,
    server: &ServerName,
    of: &Credentials,
) -> Result<Vec<Entry>> {
    let entries = of.to_entries().into_iter();
    entries
        .map(|(key, value)| {
            let place = Place {
                tenant,
                server,
                key: &key,
            };
            let sealed = vault.seal(&place, &value)?;
            Ok((key, sealed))
        })
        .collect()
}

/// Deletes the credentials of a server.
pub(super) async fn forget(session: &mut Session, server_id: i64) -> Result<(), Failure> {
    let old = Statement::new("DELETE FROM credential WHERE server_id = $1").bind(server_id);
    session.execute(old).await?;
    Ok(())
}

/// Writes the credentials of a server that has none.
pub(super) async fn add(
    session: &mut Session,
    server_id: i64,
    entries: &[Entry],
) -> Result<(), Failure> {
    let mut positions = 0i64..;
    for entries in entries.chunks(AT_ONCE) {
        let mut add = Statement::new(
            "INSERT INTO credential (server_id, position, key, key_id, nonce, ciphertext) VALUES",
        );
        for (number, (position, (key, sealed))) in positions.by_ref().zip(entries).enumerate() {
            add = add
                .then(if number == 0 { " " } else { ", " })
                .then_with("($?, ", server_id)
                .then_with("$?, ", position)
                .then_with("$?, ", key)
                .then_with("$?, ", &sealed.key_id)
                .then_with("$?, ", sealed.nonce.as_slice())
                .then_with("$?)", sealed.ciphertext.as_slice());
        }
        session.execute(add).await?;
    }
    Ok(())
}
