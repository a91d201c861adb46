//! A new key for all credentials, while nodes go on.

use mcphub_core::audit::Action;
use mcphub_core::server::ServerName;
use mcphub_core::tenant::TenantName;
use mcphub_core::{Error, Result};
use serde::Serialize;
use serde_json::json;

use super::failure::Failure;
use super::keyring::wrapped;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, credential, now};
use crate::vault::Place;

/// Credentials that are encrypted anew in one transaction.
const BATCH: u32 = 100;

/// How long a key is kept that is of no use any more, in milliseconds: a transaction that began
/// before it was replaced may still use it, and ends in a minute.
const KEEP: i64 = 3_600_000;

/// Credentials with another key than the current one, after a place.
const OUTDATED: &str = "
    SELECT credential.server_id, credential.position, credential.key, credential.key_id,
           credential.nonce, credential.ciphertext, server.name AS server, tenant.name AS tenant
    FROM credential
    JOIN server ON server.id = credential.server_id
    JOIN tenant ON tenant.id = server.tenant_id
    WHERE credential.key_id <> $1 AND (credential.server_id, credential.position) > ($2, $3)
    ORDER BY credential.server_id, credential.position
    LIMIT $4";

/// What [`SqlStore::rotate_key`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Rotation {
    /// The key that all credentials have now.
    pub key_id: String,
    /// The master key that wraps it.
    pub master_key_id: String,
    /// Whether a rotation that was broken off was finished.
    pub resumed: bool,
    /// How many credentials were encrypted anew.
    pub encrypted: u64,
    /// Credentials that do not open, as `TENANT/SERVER KEY`; they are left as they are.
    pub unreadable: Vec<String>,
}

impl SqlStore {
    /// Gives all credentials of all tenants a new key, wrapped by the master key that is the first
    /// by now. Others may read and write meanwhile. What was broken off is finished the next time.
    ///
    /// # Errors
    /// `InvalidInput` when a master key is missing that something is encrypted with, and those of
    /// reaching the database.
    pub async fn rotate_key(&self) -> Result<Rotation> {
        let outcome = self.rotate().await;
        self.explain("store::rotate_key", outcome)
    }

    async fn rotate(&self) -> Result<Rotation, Failure> {
        let (key_id, resumed) = self.begin_rotation().await?;
        let mut rotation = Rotation {
            key_id,
            master_key_id: self.keyring().keys().provider.key_id(),
            resumed,
            encrypted: 0,
            unreadable: Vec::new(),
        };
        let mut place = (i64::MIN, i64::MIN);
        while let Some(last) = self.encrypt_batch(place, &mut rotation).await? {
            place = last;
        }
        self.wrap_all().await?;
        self.end_rotation(&rotation.key_id).await?;
        Ok(rotation)
    }

    /// The key to change to, and whether that was begun before.
    async fn begin_rotation(&self) -> Result<(String, bool), Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let begun = "SELECT id FROM data_key WHERE current = 1 AND complete = 0";
        if let Some(row) = session.fetch_optional(Statement::new(begun)).await? {
            return Ok((row.get("id")?, true));
        }
        let vault = self.keyring().add(&mut session, false).await?;
        let id = vault.key_id().to_owned();
        let detail = json!({ "masterKey": self.keyring().keys().provider.key_id() });
        self.record(
            &mut session,
            Action::KEY_ROTATE,
            format!("key:{id}"),
            detail,
        )
        .await?;
        session.commit().await?;
        Ok((id, false))
    }

    /// Encrypts the credentials after a place anew. The last place, if there was any.
    async fn encrypt_batch(
        &self,
        after: (i64, i64),
        rotation: &mut Rotation,
    ) -> Result<Option<(i64, i64)>, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let outdated = Statement::new(OUTDATED)
            .bind(&rotation.key_id)
            .bind(after.0)
            .bind(after.1)
            .bind(BATCH);
        let rows = session.fetch_all(outdated).await?;
        let Some(last) = rows.last() else {
            return Ok(None);
        };
        let last = (last.get("server_id")?, last.get("position")?);
        for row in &rows {
            match self.encrypt(&mut session, row, &rotation.key_id).await {
                Ok(changed) => rotation.encrypted += changed,
                Err(Failure(error)) if error.kind() == mcphub_core::ErrorKind::Internal => {
                    let (tenant, server): (String, String) =
                        (row.get("tenant")?, row.get("server")?);
                    let key: String = row.get("key")?;
                    rotation.unreadable.push(format!("{tenant}/{server} {key}"));
                }
                Err(failure) => return Err(failure),
            }
        }
        session.commit().await?;
        Ok(Some(last))
    }

    async fn encrypt(
        &self,
        session: &mut Session,
        row: &Row,
        key_id: &str,
    ) -> Result<u64, Failure> {
        let damaged =
            |error| Error::internal("a stored credential cannot be read").caused_by(error);
        let tenant = TenantName::new(row.get::<String>("tenant")?).map_err(damaged)?;
        let server = ServerName::new(row.get::<String>("server")?).map_err(damaged)?;
        let key: String = row.get("key")?;
        let place = Place {
            tenant: &tenant,
            server: &server,
            key: &key,
        };
        let sealed = credential::sealed(row)?;
        let old = self.keyring().vault(session, &sealed.key_id).await?;
        let new = self.keyring().vault(session, key_id).await?;
        let anew = new.seal(&place, &old.open(&place, &sealed)?)?;
        // Not one that was replaced meanwhile.
        let update = "UPDATE credential SET key_id = $4, nonce = $5, ciphertext = $6
            WHERE server_id = $1 AND position = $2 AND nonce = $3";
        let update = Statement::new(update)
            .bind(row.get::<i64>("server_id")?)
            .bind(row.get::<i64>("position")?)
            .bind(sealed.nonce.as_slice())
            .bind(&anew.key_id)
            .bind(anew.nonce.as_slice())
            .bind(anew.ciphertext.as_slice());
        session.execute(update).await
    }

    /// Wraps every key with the master key that is the first.
    async fn wrap_all(&self) -> Result<(), Failure> {
        let provider = &self.keyring().keys().provider;
        let mut session = self.engine().write(self.tenant_id).await?;
        let others = "SELECT id, wrapped, wrapped_by FROM data_key WHERE wrapped_by <> $1";
        let others = Statement::new(others).bind(provider.key_id());
        for row in session.fetch_all(others).await? {
            let id: String = row.get("id")?;
            let key = provider.unwrap(&id, &wrapped(&row)?).await?;
            let anew = provider.wrap(&id, &key).await?;
            let update = "UPDATE data_key SET wrapped = $2, wrapped_by = $3 WHERE id = $1";
            let update = Statement::new(update)
                .bind(&id)
                .bind(anew.bytes.as_slice())
                .bind(&anew.by);
            session.execute(update).await?;
        }
        session.commit().await
    }

    /// Notes that it is done, and deletes keys of which nothing is left.
    async fn end_rotation(&self, key_id: &str) -> Result<(), Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let complete = "UPDATE data_key SET complete = 1 WHERE id = $1";
        session
            .execute(Statement::new(complete).bind(key_id))
            .await?;
        let unused = "DELETE FROM data_key
            WHERE current = 0 AND retired_at < $1 AND NOT EXISTS
                (SELECT 1 FROM credential WHERE key_id = data_key.id)";
        let unused = Statement::new(unused).bind(now() - KEEP);
        session.execute(unused).await?;
        session.commit().await
    }
}
