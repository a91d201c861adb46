//! What is in a database, and whether it is as it should be.

use mcphub_core::audit::{AuditQuery, Chain};
use mcphub_core::server::ServerName;
use mcphub_core::store::{
    AuditStore, CredentialStore, DocumentStore, Page, ServerStore, ServerSummary, Tenants,
    VirtualServerStore,
};
use mcphub_core::tenant::{Scope, TenantName};
use mcphub_core::tool::PLAN_VERSION;
use mcphub_core::virtual_server::VirtualServer;
use mcphub_core::{ErrorKind, Result};
use serde::Serialize;

use super::failure::Failure;
use super::server::number;
use super::statement::Statement;
use super::{Engine, Session, SqlStore};

/// How many tenants are looked at in one page.
const TENANTS_AT_ONCE: u32 = 1_000;

const TENANTS: &str = "
    SELECT tenant.name,
           (SELECT count(*) FROM server
            WHERE tenant_id = tenant.id AND removed_at IS NULL) AS servers,
           (SELECT count(*) FROM server
            WHERE tenant_id = tenant.id AND removed_at IS NOT NULL) AS removed,
           (SELECT count(*) FROM document WHERE tenant_id = tenant.id) AS documents,
           tenant.audit_sequence + 1 - coalesce(
               (SELECT sequence FROM audit WHERE tenant_id = tenant.id ORDER BY sequence LIMIT 1),
               tenant.audit_sequence + 1) AS entries
    FROM tenant
    ORDER BY tenant.name";

const KEYS: &str = "
    SELECT used.key_id AS id, used.credentials, data_key.wrapped_by, data_key.current
    FROM (SELECT key_id, count(*) AS credentials FROM credential GROUP BY key_id) AS used
    LEFT JOIN data_key ON data_key.id = used.key_id
    ORDER BY used.key_id";

/// What is in a database.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Status {
    /// The database system and its version.
    pub engine: String,
    /// Where it is, without a secret.
    pub location: String,
    /// The version of its schema.
    pub schema: i64,
    /// How large it is, in bytes, as the system tells.
    pub size: u64,
    /// By name.
    pub tenants: Vec<TenantStatus>,
    /// The keys that credentials have; more than one where a change of keys was broken off.
    pub keys: Vec<KeyStatus>,
}

/// What a tenant has.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TenantStatus {
    /// Which.
    pub name: String,
    /// How many servers are registered.
    pub servers: u64,
    /// How many were removed and can be restored.
    pub removed: u64,
    /// How many different documents are kept.
    pub documents: u64,
    /// How long its audit log is.
    pub audit_entries: u64,
}

/// A key that credentials have.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct KeyStatus {
    /// Which.
    pub id: String,
    /// The id of the master key that wraps it; its own where it is one.
    pub master_key: String,
    /// Whether new credentials get it.
    pub current: bool,
    /// How many credentials have it.
    pub credentials: u64,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// Where: `TENANT/SERVER`, `TENANT audit log`, or `database`.
    pub place: String,
    /// What is wrong.
    pub what: String,
}

impl SqlStore {
    /// What is in the database, of all tenants.
    ///
    /// # Errors
    /// Those of reaching the database.
    pub async fn status(&self) -> Result<Status> {
        let outcome = self.read_status().await;
        self.explain("store::status", outcome)
    }

    /// Reads everything that is registered, of all tenants, and follows the audit logs: what is
    /// damaged, does not open, or was tampered with. Empty when all is well.
    ///
    /// # Errors
    /// Those of reaching the database. What is wrong in it is no error.
    pub async fn check(&self) -> Result<Vec<Problem>> {
        let outcome = self.check_database().await;
        let mut problems = self.explain("store::check", outcome)?;
        let mut after = None;
        loop {
            let page = self.tenants(after.as_ref(), TENANTS_AT_ONCE).await?;
            for tenant in page.tenants {
                self.check_tenant(tenant.name, &mut problems).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(problems);
            }
        }
    }

    async fn check_tenant(&self, tenant: TenantName, problems: &mut Vec<Problem>) -> Result<()> {
        let scope = Scope {
            tenant,
            ..self.scope.clone()
        };
        let handle = self.within(scope).await?;
        handle.check_servers(problems).await?;
        handle.check_virtual_servers(problems).await?;
        handle.check_log(problems).await
    }

    async fn read_status(&self) -> Result<Status, Failure> {
        let mut session = self.engine().read().await?;
        let schema = Statement::new("SELECT max(version) AS version FROM _sqlx_migrations");
        let schema = session.fetch_one(schema).await?.get("version")?;
        let (engine, size) = self.system(&mut session).await?;
        let tenants = session
            .fetch_all(Statement::new(TENANTS).reads_all())
            .await?;
        let tenants = tenants.iter().map(|row| {
            Ok(TenantStatus {
                name: row.get("name")?,
                servers: number(row.get("servers")?)?,
                removed: number(row.get("removed")?)?,
                documents: number(row.get("documents")?)?,
                audit_entries: number(row.get("entries")?)?,
            })
        });
        let tenants = tenants.collect::<Result<_, Failure>>()?;
        let keys = session.fetch_all(Statement::new(KEYS).reads_all()).await?;
        let keys = keys.iter().map(|row| {
            let id: String = row.get("id")?;
            Ok(KeyStatus {
                master_key: row
                    .get::<Option<String>>("wrapped_by")?
                    .unwrap_or_else(|| id.clone()),
                current: row.get::<Option<i64>>("current")? == Some(1),
                credentials: number(row.get("credentials")?)?,
                id,
            })
        });
        Ok(Status {
            engine,
            location: self.shared.location.clone(),
            schema,
            size,
            tenants,
            keys: keys.collect::<Result<_, Failure>>()?,
        })
    }

    /// The name and version of the database system, and the size of the database.
    async fn system(&self, session: &mut Session) -> Result<(String, u64), Failure> {
        let (name, version, size) = match self.engine() {
            #[cfg(feature = "sqlite")]
            Engine::Sqlite(_) => (
                "SQLite",
                "SELECT sqlite_version() AS version",
                "SELECT page_count * page_size AS size FROM pragma_page_count, pragma_page_size",
            ),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => (
                "PostgreSQL",
                "SELECT current_setting('server_version') AS version",
                "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::BIGINT AS size
                 FROM pg_class
                 WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace",
            ),
        };
        let version: String = session
            .fetch_one(Statement::new(version))
            .await?
            .get("version")?;
        let size = session.fetch_one(Statement::new(size)).await?.get("size")?;
        Ok((format!("{name} {version}"), number(size)?))
    }

    /// What the database system itself finds.
    async fn check_database(&self) -> Result<Vec<Problem>, Failure> {
        let problems = Vec::new();
        match self.engine() {
            #[cfg(feature = "sqlite")]
            Engine::Sqlite(_) => {
                let mut problems = problems;
                let mut session = self.engine().snapshot().await?;
                // SQLite checks the index of words by what this connection knew of it before, and finds
                // it damaged where another one wrote since: a query makes it look anew.
                let anew = "SELECT rowid FROM server_text WHERE rowid = 0";
                session.fetch_all(Statement::new(anew)).await?;
                let check = "SELECT integrity_check AS what FROM pragma_integrity_check LIMIT 20";
                let links = "SELECT 'a row of ' || \"table\" || ' refers to none of ' || parent
                    AS what FROM pragma_foreign_key_check LIMIT 20";
                for statement in [check, links] {
                    for row in session.fetch_all(Statement::new(statement)).await? {
                        let what: String = row.get("what")?;
                        if what != "ok" {
                            let place = "database".to_owned();
                            problems.push(Problem { place, what });
                        }
                    }
                }
                Ok(problems)
            }
            // It checks what refers to what with every change, and pages when they are read.
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => Ok(problems),
        }
    }

    async fn check_servers(&self, problems: &mut Vec<Problem>) -> Result<()> {
        let mut page = Page::default();
        loop {
            let listing = self.list(&page).await?;
            for server in &listing.servers {
                if let Some(what) = self.wrong_with(server).await? {
                    let place = format!("{}/{}", self.scope.tenant, server.name);
                    problems.push(Problem { place, what });
                }
            }
            match listing.next {
                None => return Ok(()),
                next => page.after = next,
            }
        }
    }

    async fn check_virtual_servers(&self, problems: &mut Vec<Problem>) -> Result<()> {
        let names = "SELECT name FROM virtual_server WHERE tenant_id = $1 ORDER BY name LIMIT $2";
        let names = Statement::new(names)
            .bind(self.tenant_id)
            .bind(VirtualServer::MAX);
        let rows = async { self.engine().read().await?.fetch_all(names).await };
        for row in self.explain("store::check", rows.await)? {
            let name: String = self.explain("store::check", row.get("name").map_err(Into::into))?;
            let what = match ServerName::new(&name) {
                Ok(name) => match self.virtual_server(&name).await {
                    Ok(_) => None,
                    Err(error) => damage(error)?,
                },
                Err(error) => damage(error)?,
            };
            if let Some(what) = what {
                let place = format!("{}/{name}", self.scope.tenant);
                problems.push(Problem { place, what });
            }
        }
        Ok(())
    }

    async fn wrong_with(&self, server: &ServerSummary) -> Result<Option<String>> {
        let name = &server.name;
        // One of another version is planned again when it is served.
        let wanted = if server.plan_version == PLAN_VERSION {
            match self.get(name).await {
                Ok(record) => record.map(|record| record.document_digest),
                Err(error) => return damage(error),
            }
        } else {
            None
        };
        match (self.document(name).await, wanted) {
            (Err(error), _) => return damage(error),
            (Ok(Some(document)), Some(digest)) if document.digest() != digest => {
                return Ok(Some("its document is not what was uploaded".to_owned()));
            }
            (Ok(None), Some(_)) => return Ok(Some("its document is gone".to_owned())),
            _ => {}
        }
        match self.credentials(name).await {
            Ok(_) => Ok(None),
            Err(error) => damage(error),
        }
    }

    async fn check_log(&self, problems: &mut Vec<Problem>) -> Result<()> {
        let tenant: &TenantName = &self.scope.tenant;
        let mut chain = Chain::new(tenant.clone());
        let head = self.audit_head().await?;
        let mut query = AuditQuery::default();
        query.limit = 1_000;
        loop {
            let page = self.audit(&query).await?;
            page.entries.iter().for_each(|entry| chain.follow(entry));
            match page.next {
                None => break,
                next => query.after = next,
            }
        }
        if chain.head().sequence <= head.sequence {
            chain.expect(&head);
        }
        problems.extend(chain.findings().iter().map(|finding| Problem {
            place: format!("{tenant} audit log"),
            what: finding.to_string(),
        }));
        Ok(())
    }
}

/// A damaged value is what is looked for; any other error is one.
fn damage(error: mcphub_core::Error) -> Result<Option<String>> {
    match error.kind() {
        ErrorKind::Internal | ErrorKind::InvalidInput => Ok(Some(error.message().to_owned())),
        _ => Err(error),
    }
}
