//! API keys: the digests of their tokens, and whom they let in.

use async_trait::async_trait;
use mcphub_core::audit::{Action, Hash};
use mcphub_core::key::{ApiKey, FoundApiKey, KeyListing, KeyName, NewApiKey};
use mcphub_core::store::ApiKeyStore;
use mcphub_core::{Error, Result};
use serde_json::json;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now};

const BY_DIGEST: &str = "
    SELECT api_key.name, api_key.permissions, api_key.created_at, api_key.expires_at,
           api_key.revoked_at, api_key.last_used_at, api_key_token.ends_at,
           (SELECT max(newest.created_at) FROM api_key_token AS newest
            WHERE newest.api_key_id = api_key.id) AS rotated_at
    FROM api_key_token
    JOIN api_key ON api_key.id = api_key_token.api_key_id
    WHERE api_key_token.digest = $2 AND api_key.tenant_id = $1";

const AFTER: &str = "
    SELECT name, permissions, created_at, expires_at, revoked_at, last_used_at,
           (SELECT max(newest.created_at) FROM api_key_token AS newest
            WHERE newest.api_key_id = api_key.id) AS rotated_at
    FROM api_key
    WHERE tenant_id = $1 AND name > $2
    ORDER BY name
    LIMIT $3";

#[async_trait]
impl ApiKeyStore for SqlStore {
    async fn create_api_key(&self, key: &NewApiKey) -> Result<bool> {
        let outcome = self.make_key(key).await;
        self.explain("store::create_api_key", outcome)
    }

    async fn api_keys(&self, after: Option<&KeyName>, limit: u32) -> Result<KeyListing> {
        let outcome = self.read_keys(after, limit).await;
        self.explain("store::api_keys", outcome)
    }

    async fn find_api_key(&self, digest: &Hash) -> Result<Option<FoundApiKey>> {
        let outcome = self.read_key(digest).await;
        self.explain("store::find_api_key", outcome)
    }

    async fn rotate_api_key(&self, name: &KeyName, digest: &Hash, until: i64) -> Result<bool> {
        let outcome = self.replace_token(name, digest, until).await;
        self.explain("store::rotate_api_key", outcome)
    }

    async fn revoke_api_key(&self, name: &KeyName) -> Result<bool> {
        let outcome = self.end_key(name).await;
        self.explain("store::revoke_api_key", outcome)
    }

    async fn note_api_key_use(&self, name: &KeyName, at: i64) -> Result<()> {
        let outcome = self.note_use(name, at).await;
        self.explain("store::note_api_key_use", outcome)
    }
}

impl SqlStore {
    async fn make_key(&self, key: &NewApiKey) -> Result<bool, Failure> {
        key.permissions.check()?;
        let permissions = serde_json::to_string(&key.permissions)
            .map_err(|error| Error::internal("permissions cannot be written").caused_by(error))?;
        let now = now();
        let mut session = self.engine().write(self.tenant_id).await?;
        let over = "DELETE FROM api_key
            WHERE tenant_id = $1 AND name = $2 AND (revoked_at IS NOT NULL OR expires_at <= $3)";
        let over = Statement::new(over)
            .bind(self.tenant_id)
            .bind(key.name.as_str())
            .bind(now);
        session.execute(over).await?;
        let make = "INSERT INTO api_key (tenant_id, name, permissions, created_at, expires_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, name) DO NOTHING
            RETURNING id";
        let make = Statement::new(make)
            .bind(self.tenant_id)
            .bind(key.name.as_str())
            .bind(permissions)
            .bind(now)
            .bind(key.expires_at);
        let Some(row) = session.fetch_optional(make).await? else {
            return Ok(false);
        };
        add_token(&mut session, row.get("id")?, &key.digest, now).await?;
        let detail = json!({ "permissions": key.permissions, "expiresAt": key.expires_at });
        self.record(
            &mut session,
            Action::API_KEY_CREATE,
            target(&key.name),
            detail,
        )
        .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn read_keys(&self, after: Option<&KeyName>, limit: u32) -> Result<KeyListing, Failure> {
        if !(1..=1_000).contains(&limit) {
            return Err(Error::invalid("a page has 1 to 1,000 keys")
                .with("limit", limit)
                .into());
        }
        // One more than asked for tells whether there is a next page.
        let query = Statement::new(AFTER)
            .bind(self.tenant_id)
            .bind(after.map_or("", KeyName::as_str))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(query).await?;
        let more = rows.len() > limit as usize;
        let keys = rows.iter().take(limit as usize).map(key);
        let keys: Vec<_> = keys.collect::<Result<_, Failure>>()?;
        let next = keys.last().filter(|_| more).map(|last| last.name.clone());
        Ok(KeyListing { keys, next })
    }

    async fn read_key(&self, digest: &Hash) -> Result<Option<FoundApiKey>, Failure> {
        let query = Statement::new(BY_DIGEST)
            .bind(self.tenant_id)
            .bind(digest.0.as_slice());
        let row = self.engine().read().await?.fetch_optional(query).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(FoundApiKey {
            key: key(&row)?,
            replaced_at: row.get("ends_at")?,
        }))
    }

    async fn replace_token(
        &self,
        name: &KeyName,
        digest: &Hash,
        until: i64,
    ) -> Result<bool, Failure> {
        let now = now();
        let mut session = self.engine().write(self.tenant_id).await?;
        let query = "SELECT id FROM api_key
            WHERE tenant_id = $1 AND name = $2 AND revoked_at IS NULL
              AND (expires_at IS NULL OR expires_at > $3)";
        let query = Statement::new(query)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(now);
        let Some(row) = session.fetch_optional(query).await? else {
            return Ok(false);
        };
        let id: i64 = row.get("id")?;
        let forget = "DELETE FROM api_key_token WHERE api_key_id = $1 AND ends_at IS NOT NULL";
        session.execute(Statement::new(forget).bind(id)).await?;
        let end = "UPDATE api_key_token SET ends_at = $2 WHERE api_key_id = $1";
        let end = Statement::new(end).bind(id).bind(until);
        session.execute(end).await?;
        add_token(&mut session, id, digest, now).await?;
        let detail = json!({ "earlierUntil": until });
        self.record(&mut session, Action::API_KEY_ROTATE, target(name), detail)
            .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn end_key(&self, name: &KeyName) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let end = "UPDATE api_key SET revoked_at = $3
            WHERE tenant_id = $1 AND name = $2 AND revoked_at IS NULL";
        let end = Statement::new(end)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(now());
        if session.execute(end).await? == 0 {
            return Ok(false);
        }
        self.record(
            &mut session,
            Action::API_KEY_REVOKE,
            target(name),
            json!({}),
        )
        .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn note_use(&self, name: &KeyName, at: i64) -> Result<(), Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let note = "UPDATE api_key SET last_used_at = $3
            WHERE tenant_id = $1 AND name = $2
              AND (last_used_at IS NULL OR last_used_at <= $4)";
        let note = Statement::new(note)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(at)
            .bind(at.saturating_sub(ApiKey::USE_NOTED_EVERY));
        session.execute(note).await?;
        session.commit().await
    }
}

async fn add_token(session: &mut Session, id: i64, digest: &Hash, now: i64) -> Result<(), Failure> {
    let add = "INSERT INTO api_key_token (digest, api_key_id, created_at) VALUES ($1, $2, $3)";
    let add = Statement::new(add)
        .bind(digest.0.as_slice())
        .bind(id)
        .bind(now);
    session.execute(add).await?;
    Ok(())
}

/// What the audit log calls a key.
fn target(name: &KeyName) -> String {
    format!("key:{name}")
}

fn key(row: &Row) -> Result<ApiKey, Failure> {
    let unreadable = |error: Error| {
        Error::internal("a stored key cannot be read; revoke it and make another").caused_by(error)
    };
    let permissions: String = row.get("permissions")?;
    let permissions = serde_json::from_str(&permissions).map_err(|error| {
        unreadable(Error::internal("its permissions are none").caused_by(error))
    })?;
    let created_at = row.get("created_at")?;
    Ok(ApiKey {
        name: KeyName::new(row.get::<String>("name")?).map_err(unreadable)?,
        permissions,
        created_at,
        rotated_at: row.get::<Option<i64>>("rotated_at")?.unwrap_or(created_at),
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}
