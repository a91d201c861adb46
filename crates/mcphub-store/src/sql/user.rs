//! Users of the store.

use async_trait::async_trait;
use mcphub_core::audit::Action;
use mcphub_core::store::Users;
use mcphub_core::user::{User, UserKind, UserListing, UserName};
use mcphub_core::{Error, Result};
use serde_json::json;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{SqlStore, now, page_limit};

#[async_trait]
impl Users for SqlStore {
    async fn create_user(&self, name: &UserName, kind: UserKind) -> Result<bool> {
        let outcome = self.add_user(name, kind).await;
        self.explain("store::create_user", outcome)
    }

    async fn users(&self, after: Option<&UserName>, limit: u32) -> Result<UserListing> {
        let outcome = self.read_users(after, limit).await;
        self.explain("store::users", outcome)
    }

    async fn disable_user(&self, name: &UserName) -> Result<bool> {
        let outcome = self.change_user(name, true).await;
        self.explain("store::disable_user", outcome)
    }

    async fn enable_user(&self, name: &UserName) -> Result<bool> {
        let outcome = self.change_user(name, false).await;
        self.explain("store::enable_user", outcome)
    }
}

impl SqlStore {
    async fn add_user(&self, name: &UserName, kind: UserKind) -> Result<bool, Failure> {
        let add = "INSERT INTO account (name, kind, created_at) SELECT $1, $2, $3 WHERE ";
        let add = Statement::new(add)
            .then(self.engine().dialect().held())
            .then(" ON CONFLICT (name) DO NOTHING RETURNING name")
            .bind(name.as_str())
            .bind(kind.as_str())
            .bind(now());
        let detail = json!({ "kind": kind });
        let change = self.change_of(vec![add], Action::USER_CREATE, target(name), &detail)?;
        Ok(self.change(change).await?.is_some())
    }

    async fn read_users(
        &self,
        after: Option<&UserName>,
        limit: u32,
    ) -> Result<UserListing, Failure> {
        page_limit(limit)?;
        let page = "SELECT name, kind, created_at, disabled_at FROM account
            WHERE name > $1 ORDER BY name LIMIT $2";
        // One more than asked for tells whether there is a next page.
        let page = Statement::new(page)
            .bind(after.map_or("", UserName::as_str))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(page).await?;
        let users = rows.iter().take(limit as usize).map(user);
        let users: Vec<User> = users.collect::<Result<_, Failure>>()?;
        let last = users.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(|last| last.name.clone());
        Ok(UserListing { users, next })
    }

    async fn change_user(&self, name: &UserName, disable: bool) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let (change, action) = if disable {
            let change = "UPDATE account SET disabled_at = $2
                WHERE name = $1 AND disabled_at IS NULL";
            let change = Statement::new(change).bind(name.as_str()).bind(now());
            (change, Action::USER_DISABLE)
        } else {
            let change = "UPDATE account SET disabled_at = NULL
                WHERE name = $1 AND disabled_at IS NOT NULL";
            (
                Statement::new(change).bind(name.as_str()),
                Action::USER_ENABLE,
            )
        };
        if session.execute(change).await? == 0 {
            return Ok(false);
        }
        self.record(&mut session, action, target(name), json!({}))
            .await?;
        session.commit().await?;
        Ok(true)
    }
}

/// What the audit log calls a user.
pub(super) fn target(name: &UserName) -> String {
    format!("user:{name}")
}

/// The name of a user in a column.
pub(super) fn name(row: &Row, column: &str) -> Result<UserName, Failure> {
    let name = UserName::new(row.get::<String>(column)?);
    Ok(name.map_err(unreadable)?)
}

fn user(row: &Row) -> Result<User, Failure> {
    let kind: String = row.get("kind")?;
    Ok(User {
        name: name(row, "name")?,
        kind: kind.parse().map_err(unreadable)?,
        created_at: row.get("created_at")?,
        disabled_at: row.get("disabled_at")?,
    })
}

fn unreadable(error: Error) -> Error {
    Error::internal("a stored user cannot be read").caused_by(error)
}
