//! Users, roles and members in archives.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::password::PasswordHash;
use mcphub_core::role::RoleName;
use mcphub_core::user::{UserKind, UserName};

use super::export::{Column, Exported, Pages};
use super::line::{self, Line};
use super::{export, import};
use crate::sql::statement::{Row, Statement};
use crate::sql::{Failure, Session, password, role, user};
use crate::vault::Vault;

/// Writes all users of the store, with their passwords where there is something to encrypt those
/// with.
pub(super) async fn users(
    session: &mut Session,
    writer: &mut export::Writer<'_>,
    vault: Option<&Vault>,
    exported: &mut Exported,
) -> Result<(), Failure> {
    let rows = "SELECT name, kind, created_at, disabled_at, password FROM account WHERE TRUE";
    let mut pages = Pages::new(Statement::new(rows), Column::NAME);
    while let Some(page) = pages.next(session).await? {
        for row in &page {
            let user = line::User {
                name: row.get("name")?,
                kind: row.get("kind")?,
                created_at: row.get("created_at")?,
                disabled_at: row.get("disabled_at")?,
                password: sealed_password(row, vault)?,
            };
            exported.passwords += u64::from(user.password.is_some());
            exported.users += 1;
            writer.line(&Line::User(user)).await?;
        }
    }
    Ok(())
}

fn sealed_password(row: &Row, vault: Option<&Vault>) -> Result<Option<line::Password>, Failure> {
    let (Some(vault), Some(hash)) = (vault, password::stored(row)?) else {
        return Ok(None);
    };
    let sealed = vault.seal_password(&user::name(row, "name")?, &hash)?;
    Ok(Some(line::Password {
        nonce: STANDARD.encode(sealed.nonce),
        ciphertext: STANDARD.encode(sealed.ciphertext),
    }))
}

impl export::Part<'_, '_> {
    pub(super) async fn roles(&mut self) -> Result<(), Failure> {
        let rows = "SELECT name, permissions, revision FROM role WHERE tenant_id = $1";
        let line = |row: &Row, tenant| {
            Ok(Line::Role(line::Role {
                tenant,
                name: row.get("name")?,
                permissions: row.get("permissions")?,
                revision: row.get("revision")?,
            }))
        };
        self.exported.roles += self.lines(rows, Column::NAME, line).await?;
        Ok(())
    }

    pub(super) async fn members(&mut self) -> Result<(), Failure> {
        let rows = "SELECT account, role, revision, created_at FROM membership
            WHERE tenant_id = $1";
        let line = |row: &Row, tenant| {
            Ok(Line::Member(line::Member {
                tenant,
                user: row.get("account")?,
                role: row.get("role")?,
                revision: row.get("revision")?,
                since: row.get("created_at")?,
            }))
        };
        self.exported.members += self.lines(rows, Column::ACCOUNT, line).await?;
        Ok(())
    }
}

// What is no name, kind or rule is not taken over.
impl import::Part<'_> {
    pub(super) async fn user(&mut self, user: line::User) -> Result<(), Failure> {
        let (name, kind) = (UserName::new(&user.name)?, user.kind.parse::<UserKind>()?);
        let password = self.password(&name, user.password.as_ref())?;
        let add = "INSERT INTO account (name, kind, created_at, disabled_at, password)
            VALUES ($1, $2, $3, $4, $5)";
        let add = Statement::new(add)
            .bind(name.as_str())
            .bind(kind.as_str())
            .bind(user.created_at)
            .bind(user.disabled_at)
            .bind(password.as_ref().map(PasswordHash::expose));
        self.session.execute(add).await?;
        self.counts.passwords += u64::from(password.is_some());
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
