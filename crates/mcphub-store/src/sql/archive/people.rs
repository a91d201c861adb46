//! Users, roles and members in archives.

use mcphub_core::role::RoleName;
use mcphub_core::user::{UserKind, UserName};

use super::line::{self, Line};
use super::{export, import};
use crate::sql::statement::Statement;
use crate::sql::{Failure, Session, role};

/// What is read at once.
const PAGE: u32 = 500;

/// Writes all users of the store. How many there are.
pub(super) async fn users(
    session: &mut Session,
    writer: &mut export::Writer<'_>,
) -> Result<u64, Failure> {
    let (mut count, mut after) = (0, String::new());
    loop {
        let page = "SELECT name, kind, created_at, disabled_at FROM account
            WHERE name > $1 ORDER BY name LIMIT $2";
        let rows = session
            .fetch_all(Statement::new(page).bind(&after).bind(PAGE))
            .await?;
        let Some(last) = rows.last() else {
            return Ok(count);
        };
        after = last.get("name")?;
        for row in &rows {
            let user = line::User {
                name: row.get("name")?,
                kind: row.get("kind")?,
                created_at: row.get("created_at")?,
                disabled_at: row.get("disabled_at")?,
            };
            writer.line(&Line::User(user)).await?;
            count += 1;
        }
    }
}

impl export::Part<'_, '_> {
    pub(super) async fn roles(&mut self) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let page = "SELECT name, permissions, revision FROM role
                WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3";
            let page = Statement::new(page)
                .bind(self.tenant.0)
                .bind(&after)
                .bind(PAGE);
            let rows = self.session.fetch_all(page).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.get("name")?;
            for row in &rows {
                let role = line::Role {
                    tenant: self.tenant.1.to_string(),
                    name: row.get("name")?,
                    permissions: row.get("permissions")?,
                    revision: row.get("revision")?,
                };
                self.writer.line(&Line::Role(role)).await?;
                self.exported.roles += 1;
            }
        }
    }

    pub(super) async fn members(&mut self) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            let page = "SELECT account, role, revision, created_at FROM membership
                WHERE tenant_id = $1 AND account > $2 ORDER BY account LIMIT $3";
            let page = Statement::new(page)
                .bind(self.tenant.0)
                .bind(&after)
                .bind(PAGE);
            let rows = self.session.fetch_all(page).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.get("account")?;
            for row in &rows {
                let member = line::Member {
                    tenant: self.tenant.1.to_string(),
                    user: row.get("account")?,
                    role: row.get("role")?,
                    revision: row.get("revision")?,
                    since: row.get("created_at")?,
                };
                self.writer.line(&Line::Member(member)).await?;
                self.exported.members += 1;
            }
        }
    }
}

// What is no name, kind or rule is not taken over.
impl import::Part<'_> {
    pub(super) async fn user(&mut self, user: line::User) -> Result<(), Failure> {
        let (name, kind) = (UserName::new(&user.name)?, user.kind.parse::<UserKind>()?);
        let add = "INSERT INTO account (name, kind, created_at, disabled_at)
            VALUES ($1, $2, $3, $4)";
        let add = Statement::new(add)
            .bind(name.as_str())
            .bind(kind.as_str())
            .bind(user.created_at)
            .bind(user.disabled_at);
        self.session.execute(add).await?;
        self.counts.users += 1;
        Ok(())
    }

    pub(super) async fn role(&mut self, role: line::Role) -> Result<(), Failure> {
        let name = RoleName::new(&role.name)?;
        role::read(&role.permissions)?.check()?;
        let add = "INSERT INTO role (tenant_id, name, permissions, revision)
            VALUES ($1, $2, $3, $4)";
        let add = Statement::new(add)
            .bind(self.tenant_id(&role.tenant)?)
            .bind(name.as_str())
            .bind(&role.permissions)
            .bind(role.revision);
        self.session.execute(add).await?;
        self.counts.roles += 1;
        Ok(())
    }

    pub(super) async fn member(&mut self, member: line::Member) -> Result<(), Failure> {
        let (user, role) = (UserName::new(&member.user)?, RoleName::new(&member.role)?);
        let add = "INSERT INTO membership (tenant_id, account, role, revision, created_at)
            VALUES ($1, $2, $3, $4, $5)";
        let add = Statement::new(add)
            .bind(self.tenant_id(&member.tenant)?)
            .bind(user.as_str())
            .bind(role.as_str())
            .bind(member.revision)
            .bind(member.since);
        self.session.execute(add).await?;
        self.counts.members += 1;
        Ok(())
    }
}
