//! API keys: the digests of their tokens, and whom they let in.

use async_trait::async_trait;
use mcphub_core::audit::{Action, Hash};
use mcphub_core::key::{ApiKey, FoundApiKey, KeyListing, KeyName, NewApiKey};
use mcphub_core::store::ApiKeyStore;
use mcphub_core::user::UserName;
use mcphub_core::{Error, Result};
use serde_json::json;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now, page_limit, role, user};

const BY_DIGEST: &str = "
    SELECT api_key.name, api_key.account, api_key.permissions, api_key.created_at,
           api_key.expires_at, api_key.revoked_at, api_key.last_used_at, api_key_token.ends_at,
           account.disabled_at, role.permissions AS allowed,
           (SELECT max(newest.created_at) FROM api_key_token AS newest
            WHERE newest.api_key_id = api_key.id) AS rotated_at
    FROM api_key_token
    JOIN api_key ON api_key.id = api_key_token.api_key_id
    LEFT JOIN account ON account.name = api_key.account
    LEFT JOIN membership ON membership.tenant_id = api_key.tenant_id
                        AND membership.account = api_key.account
    LEFT JOIN role ON role.tenant_id = membership.tenant_id AND role.name = membership.role
    WHERE api_key_token.digest = $2 AND api_key.tenant_id = $1";

const BY_NAME: &str = "
    SELECT api_key.name, api_key.account, api_key.permissions, api_key.created_at,
           api_key.expires_at, api_key.revoked_at, api_key.last_used_at, api_key_token.ends_at,
           account.disabled_at, role.permissions AS allowed,
           api_key_token.created_at AS rotated_at
    FROM api_key
    JOIN api_key_token ON api_key_token.api_key_id = api_key.id AND api_key_token.ends_at IS NULL
    LEFT JOIN account ON account.name = api_key.account
    LEFT JOIN membership ON membership.tenant_id = api_key.tenant_id
                        AND membership.account = api_key.account
    LEFT JOIN role ON role.tenant_id = membership.tenant_id AND role.name = membership.role
    WHERE api_key.tenant_id = $1 AND api_key.name = $2";

const AFTER: &str = "
    SELECT name, account, permissions, created_at, expires_at, revoked_at, last_used_at,
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

    async fn api_key(&self, name: &KeyName) -> Result<Option<FoundApiKey>> {
        let query = Statement::new(BY_NAME)
            .bind(self.tenant_id)
            .bind(name.as_str());
        let outcome = self.read_key(query).await;
        self.explain("store::api_key", outcome)
    }

    async fn find_api_key(&self, digest: &Hash) -> Result<Option<FoundApiKey>> {
        let query = Statement::new(BY_DIGEST)
            .bind(self.tenant_id)
            .bind(digest.0.as_slice());
        let outcome = self.read_key(query).await;
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
        let mut detail = json!({ "permissions": key.permissions, "expiresAt": key.expires_at });
        if let Some(user) = &key.user {
            detail["user"] = json!(user);
        }
        let now = now();
        let steps = self.key_steps(key, now)?;
        let target = target(&key.name);
        let change = self.change_of(steps, Action::API_KEY_CREATE, target, &detail)?;
        if self.change(change.clone()).await?.is_some() {
            return Ok(true);
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        if let Some(user) = &key.user
            && self.membership(&mut session, user).await?.is_none()
        {
            let message = "there is no such member; `mcphub member set` makes a user one";
            return Err(Error::not_found(message).with("user", user).into());
        }
        // One that is over gives its name away.
        let over = "DELETE FROM api_key
            WHERE tenant_id = $1 AND name = $2
              AND (revoked_at IS NOT NULL OR expires_at <= $3)";
        let over = Statement::new(over)
            .bind(self.tenant_id)
            .bind(key.name.as_str())
            .bind(now);
        session.execute(over).await?;
        Ok(self.change_in(session, change).await?.is_some())
    }

    /// What makes a key with its token, unless its name is taken or its user is no member.
    fn key_steps(&self, key: &NewApiKey, now: i64) -> Result<Vec<Statement>> {
        let dialect = self.engine().dialect();
        let make = Statement::new(
            "INSERT INTO api_key (tenant_id, name, permissions, created_at, expires_at, account)
             SELECT $1, $2, $3, $4, $5, $6
             WHERE ($6 IS NULL
                    OR EXISTS (SELECT 1 FROM membership WHERE tenant_id = $1 AND account = $6)) AND ",
        );
        let make = make
            .then(dialect.held())
            .then(" ON CONFLICT (tenant_id, name) DO NOTHING RETURNING id")
            .bind(self.tenant_id)
            .bind(key.name.as_str())
            .bind(role::written(&key.permissions)?)
            .bind(now)
            .bind(key.expires_at)
            .bind(key.user.as_ref().map(UserName::as_str));
        let id = dialect.choose(
            "SELECT $1, last_insert_rowid(), $2 WHERE changes() > 0",
            "SELECT $1, id, $2 FROM made",
        );
        let token = Statement::new("INSERT INTO api_key_token (digest, api_key_id, created_at) ");
        let token = token.then(id).bind(key.digest.0.as_slice()).bind(now);
        Ok(vec![make, token])
    }

    async fn read_keys(&self, after: Option<&KeyName>, limit: u32) -> Result<KeyListing, Failure> {
        page_limit(limit)?;
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

    async fn read_key(&self, query: Statement) -> Result<Option<FoundApiKey>, Failure> {
        let row = self.engine().read().await?.fetch_optional(query).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(FoundApiKey {
            key: key(&row)?,
            replaced_at: row.get("ends_at")?,
            standing: role::standing(&row)?,
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
        user: match row.get::<Option<String>>("account")? {
            Some(_) => Some(user::name(row, "account")?),
            None => None,
        },
        permissions,
        created_at,
        rotated_at: row.get::<Option<i64>>("rotated_at")?.unwrap_or(created_at),
        expires_at: row.get("expires_at")?,
        revoked_at: row.get("revoked_at")?,
        last_used_at: row.get("last_used_at")?,
    })
}
