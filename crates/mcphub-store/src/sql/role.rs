//! Roles of a tenant, and its members.

use async_trait::async_trait;
use mcphub_core::audit::Action;
use mcphub_core::key::Standing;
use mcphub_core::principal::Permissions;
use mcphub_core::role::{Membership, MembershipListing, Role, RoleListing, RoleName};
use mcphub_core::store::{MembershipStore, RoleStore, Saved};
use mcphub_core::user::UserName;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::failure::Failure;
use super::server::number;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now, page_limit, user};

const ROLE: &str = "SELECT permissions, revision FROM role WHERE tenant_id = $1 AND name = $2";

/// How often a role is saved that others change in between.
const MEANWHILE: u32 = 8;

const MEMBERSHIP: &str =
    "SELECT role, revision FROM membership WHERE tenant_id = $1 AND account = $2";

#[async_trait]
impl RoleStore for SqlStore {
    async fn save_role(
        &self,
        name: &RoleName,
        permissions: &Permissions,
        revision: Option<u64>,
    ) -> Result<Saved> {
        let outcome = self.write_role(name, permissions, revision).await;
        self.explain("store::save_role", outcome)
    }

    async fn roles(&self, after: Option<&RoleName>, limit: u32) -> Result<RoleListing> {
        let outcome = self.read_roles(after, limit).await;
        self.explain("store::roles", outcome)
    }

    async fn remove_role(&self, name: &RoleName) -> Result<bool> {
        let outcome = self.end_role(name).await;
        self.explain("store::remove_role", outcome)
    }
}

#[async_trait]
impl MembershipStore for SqlStore {
    async fn set_membership(
        &self,
        user: &UserName,
        role: &RoleName,
        revision: Option<u64>,
    ) -> Result<Saved> {
        let outcome = self.write_membership(user, role, revision).await;
        self.explain("store::set_membership", outcome)
    }

    async fn memberships(&self, after: Option<&UserName>, limit: u32) -> Result<MembershipListing> {
        let outcome = self.read_members(after, limit).await;
        self.explain("store::memberships", outcome)
    }

    async fn remove_membership(&self, user: &UserName) -> Result<bool> {
        let outcome = self.end_membership(user).await;
        self.explain("store::remove_membership", outcome)
    }
}

impl SqlStore {
    async fn write_role(
        &self,
        name: &RoleName,
        permissions: &Permissions,
        expected: Option<u64>,
    ) -> Result<Saved, Failure> {
        permissions.check()?;
        let text = written(permissions)?;
        // A role that was not there is not made where another revision is expected.
        let write = Statement::new(
            "INSERT INTO role (tenant_id, name, permissions, revision)
             SELECT $1, $2, $3, 1
             WHERE (coalesce($4, 0) = 0
                    OR EXISTS (SELECT 1 FROM role WHERE tenant_id = $1 AND name = $2)) AND ",
        );
        let write = write
            .then(self.engine().dialect().held())
            .then(
                " ON CONFLICT (tenant_id, name)
                 DO UPDATE SET permissions = excluded.permissions, revision = role.revision + 1
                 WHERE role.permissions <> excluded.permissions
                   AND role.revision = coalesce($4, role.revision)
                 RETURNING revision",
            )
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(&text)
            .bind(expected.map(|it| i64::try_from(it).unwrap_or(i64::MAX)));
        let detail = json!({ "permissions": permissions });
        let target = format!("role:{name}");
        let change = self.change_of(vec![write], Action::ROLE_SAVE, target, &detail)?;
        for _ in 0..MEANWHILE {
            if let Some(row) = self.change(change.clone()).await? {
                return Ok(Saved {
                    revision: number(row.get("revision")?)?,
                    changed: true,
                });
            }
            let query = Statement::new(ROLE)
                .bind(self.tenant_id)
                .bind(name.as_str());
            let row = self.engine().read().await?.fetch_optional(query).await?;
            let (known, revision): (Option<String>, u64) = match &row {
                Some(row) => (row.get("permissions")?, number(row.get("revision")?)?),
                None => (None, 0),
            };
            expect(expected, revision, "role")?;
            if known.as_ref() == Some(&text) {
                return Ok(Saved {
                    revision,
                    changed: false,
                });
            }
            // It was equal, and somebody has made it another one since.
        }
        let message = "others change the role all the time; try again";
        Err(Error::new(ErrorKind::Conflict, message).into())
    }

    async fn read_roles(
        &self,
        after: Option<&RoleName>,
        limit: u32,
    ) -> Result<RoleListing, Failure> {
        page_limit(limit)?;
        let page = "SELECT name, permissions, revision FROM role
            WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3";
        // One more than asked for tells whether there is a next page.
        let page = Statement::new(page)
            .bind(self.tenant_id)
            .bind(after.map_or("", RoleName::as_str))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(page).await?;
        let roles = rows.iter().take(limit as usize).map(|row| {
            Ok(Role {
                name: role_name(row, "name")?,
                permissions: read(&row.get::<String>("permissions")?)?,
                revision: number(row.get("revision")?)?,
            })
        });
        let roles: Vec<Role> = roles.collect::<Result<_, Failure>>()?;
        let last = roles.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(|last| last.name.clone());
        Ok(RoleListing { roles, next })
    }

    async fn end_role(&self, name: &RoleName) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let having = "SELECT account FROM membership WHERE tenant_id = $1 AND role = $2 LIMIT 1";
        let having = Statement::new(having)
            .bind(self.tenant_id)
            .bind(name.as_str());
        if let Some(row) = session.fetch_optional(having).await? {
            let message = "members have this role; give them another one first";
            return Err(Error::new(ErrorKind::Conflict, message)
                .with("role", name)
                .with("member", user::name(&row, "account")?)
                .into());
        }
        let end = "DELETE FROM role WHERE tenant_id = $1 AND name = $2";
        let end = Statement::new(end).bind(self.tenant_id).bind(name.as_str());
        if session.execute(end).await? == 0 {
            return Ok(false);
        }
        self.record(
            &mut session,
            Action::ROLE_REMOVE,
            format!("role:{name}"),
            json!({}),
        )
        .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn write_membership(
        &self,
        user: &UserName,
        role: &RoleName,
        expected: Option<u64>,
    ) -> Result<Saved, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let account = "SELECT name FROM account WHERE name = $1";
        let account = Statement::new(account).bind(user.as_str());
        if session.fetch_optional(account).await?.is_none() {
            let message = "there is no user of that name; `mcphub user add` adds one";
            return Err(Error::not_found(message).with("user", user).into());
        }
        let query = Statement::new(ROLE)
            .bind(self.tenant_id)
            .bind(role.as_str());
        if session.fetch_optional(query).await?.is_none() {
            let message = "there is no role of that name; `mcphub role set` makes one";
            return Err(Error::not_found(message).with("role", role).into());
        }
        let known = self.membership(&mut session, user).await?;
        let revision = known.as_ref().map_or(0, |(_, revision)| *revision);
        expect(expected, revision, "membership")?;
        if known.is_some_and(|(known, _)| known == *role) {
            return Ok(Saved {
                revision,
                changed: false,
            });
        }
        let write = "INSERT INTO membership (tenant_id, account, role, revision, created_at)
            VALUES ($1, $2, $3, 1, $4)
            ON CONFLICT (tenant_id, account)
            DO UPDATE SET role = excluded.role, revision = membership.revision + 1";
        let write = Statement::new(write)
            .bind(self.tenant_id)
            .bind(user.as_str())
            .bind(role.as_str())
            .bind(now());
        session.execute(write).await?;
        let detail = json!({ "role": role });
        self.record(&mut session, Action::MEMBER_SET, user::target(user), detail)
            .await?;
        session.commit().await?;
        Ok(Saved {
            revision: revision + 1,
            changed: true,
        })
    }

    /// The role of a member, and the revision.
    pub(super) async fn membership(
        &self,
        session: &mut Session,
        user: &UserName,
    ) -> Result<Option<(RoleName, u64)>, Failure> {
        let query = Statement::new(MEMBERSHIP)
            .bind(self.tenant_id)
            .bind(user.as_str());
        let row = session.fetch_optional(query).await?;
        row.map(|row| Ok((role_name(&row, "role")?, number(row.get("revision")?)?)))
            .transpose()
    }

    async fn read_members(
        &self,
        after: Option<&UserName>,
        limit: u32,
    ) -> Result<MembershipListing, Failure> {
        page_limit(limit)?;
        let page = "SELECT account, role, revision, created_at FROM membership
            WHERE tenant_id = $1 AND account > $2 ORDER BY account LIMIT $3";
        let page = Statement::new(page)
            .bind(self.tenant_id)
            .bind(after.map_or("", UserName::as_str))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(page).await?;
        let members = rows.iter().take(limit as usize).map(|row| {
            Ok(Membership {
                user: user::name(row, "account")?,
                role: role_name(row, "role")?,
                since: row.get("created_at")?,
                revision: number(row.get("revision")?)?,
            })
        });
        let members: Vec<Membership> = members.collect::<Result<_, Failure>>()?;
        let last = members.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(|last| last.user.clone());
        Ok(MembershipListing { members, next })
    }

    async fn end_membership(&self, user: &UserName) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let end = "DELETE FROM membership WHERE tenant_id = $1 AND account = $2";
        let end = Statement::new(end).bind(self.tenant_id).bind(user.as_str());
        if session.execute(end).await? == 0 {
            return Ok(false);
        }
        self.record(
            &mut session,
            Action::MEMBER_REMOVE,
            user::target(user),
            json!({}),
        )
        .await?;
        session.commit().await?;
        Ok(true)
    }
}

/// What a user is, in a row with `disabled_at` of their account and `allowed` of their role.
pub(super) fn standing(row: &Row) -> Result<Standing, Failure> {
    let allowed: Option<String> = row.get("allowed")?;
    Ok(Standing {
        disabled: row.get::<Option<i64>>("disabled_at")?.is_some(),
        role: allowed.as_deref().map(read).transpose()?,
    })
}

/// What is stored of permissions.
pub(super) fn written(permissions: &Permissions) -> Result<String> {
    serde_json::to_string(permissions)
        .map_err(|error| Error::internal("permissions cannot be written").caused_by(error))
}

/// Stored permissions.
pub(super) fn read(text: &str) -> Result<Permissions> {
    serde_json::from_str(text)
        .map_err(|error| Error::internal("stored permissions cannot be read").caused_by(error))
}

/// That what is changed has the revision that the change was made from.
fn expect(expected: Option<u64>, revision: u64, what: &str) -> Result<()> {
    if expected.is_none_or(|expected| expected == revision) {
        return Ok(());
    }
    let message = format!("the {what} was changed meanwhile; look at it again");
    Err(Error::new(ErrorKind::Conflict, message).with("revision", revision))
}

fn role_name(row: &Row, column: &str) -> Result<RoleName, Failure> {
    let name = RoleName::new(row.get::<String>(column)?);
    Ok(name.map_err(|error| Error::internal("a stored role cannot be read").caused_by(error))?)
}
