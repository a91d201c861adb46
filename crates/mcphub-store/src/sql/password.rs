//! Passwords of users.

use async_trait::async_trait;
use mcphub_core::audit::Action;
use mcphub_core::password::PasswordHash;
use mcphub_core::store::Passwords;
use mcphub_core::user::{UserKind, UserName};
use mcphub_core::{Error, Result};
use serde_json::json;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{SqlStore, user};

#[async_trait]
impl Passwords for SqlStore {
    async fn set_password(&self, user: &UserName, hash: Option<&PasswordHash>) -> Result<bool> {
        let outcome = self.write_password(user, hash).await;
        self.explain("store::set_password", outcome)
    }

    async fn renew_password(
        &self,
        user: &UserName,
        known: &PasswordHash,
        renewed: &PasswordHash,
    ) -> Result<bool> {
        let outcome = self.replace_password(user, known, renewed).await;
        self.explain("store::renew_password", outcome)
    }
}

impl SqlStore {
    async fn write_password(
        &self,
        user: &UserName,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        // On PostgreSQL it waits for whoever begins a sign-in with the password before, so that what
        // is ended below has that sign-in, too.
        let set = "UPDATE account SET password = $2 WHERE name = $1 RETURNING kind";
        let set = Statement::new(set)
            .bind(user.as_str())
            .bind(hash.map(PasswordHash::expose));
        let Some(row) = session.fetch_optional(set).await? else {
            return Ok(false);
        };
        if hash.is_some() && row.get::<String>("kind")? == UserKind::Service.as_str() {
            let message = "a service has keys and no password; `mcphub key create` makes one";
            return Err(Error::invalid(message).with("user", user).into());
        }
        let end = Statement::new("DELETE FROM sign_in WHERE account = $1").bind(user.as_str());
        let ended = session.execute(end).await?;
        let detail = json!({ "removed": hash.is_none(), "signInsEnded": ended });
        let target = user::target(user);
        self.record(&mut session, Action::USER_PASSWORD, target, detail)
            .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn replace_password(
        &self,
        user: &UserName,
        known: &PasswordHash,
        renewed: &PasswordHash,
    ) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let renew = "UPDATE account SET password = $3 WHERE name = $1 AND password = $2";
        let renew = Statement::new(renew)
            .bind(user.as_str())
            .bind(known.expose())
            .bind(renewed.expose());
        let renewed = session.execute(renew).await? > 0;
        session.commit().await?;
        Ok(renewed)
    }
}

/// The password of an account, if it has one.
pub(super) fn stored(row: &Row) -> Result<Option<PasswordHash>, Failure> {
    let text: Option<String> = row.get("password")?;
    let hash = text.map(PasswordHash::new).transpose();
    Ok(hash.map_err(|error| {
        let message = "a stored password cannot be read; `mcphub user password` sets another";
        Error::internal(message).caused_by(error)
    })?)
}
