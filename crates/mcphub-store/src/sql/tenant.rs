//! Tenants, and handles for them.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::audit::Action;
use mcphub_core::store::{Store, Tenants};
use mcphub_core::tenant::{Scope, Tenant, TenantListing, TenantName};
use mcphub_core::{Error, Result};
use serde_json::json;

use super::failure::Failure;
use super::server::number;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now, page_limit};

#[async_trait]
impl Tenants for SqlStore {
    async fn create_tenant(&self, name: &TenantName) -> Result<bool> {
        let outcome = self.make_tenant(name).await;
        self.explain("store::create_tenant", outcome)
    }

    async fn tenants(&self, after: Option<&TenantName>, limit: u32) -> Result<TenantListing> {
        let outcome = self.read_tenants(after, limit).await;
        self.explain("store::tenants", outcome)
    }

    async fn scoped(&self, scope: Scope) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(self.within(scope).await?))
    }
}

impl SqlStore {
    /// The same store, for another tenant and actor.
    ///
    /// # Errors
    /// `NotFound` for an unknown tenant, and those of reaching the database.
    pub async fn within(&self, scope: Scope) -> Result<Self> {
        let outcome = self.for_scope(scope).await;
        self.explain("store::within", outcome)
    }

    /// The same store, for another tenant and actor.
    pub(super) async fn for_scope(&self, scope: Scope) -> Result<Self, Failure> {
        let mut session = self.engine().read().await?;
        let tenant_id = id(&mut session, &scope.tenant).await?;
        let tenant_id = tenant_id.ok_or_else(|| {
            let message = "there is no tenant of that name; `mcphub tenant create` makes one";
            Error::not_found(message).with("tenant", &scope.tenant)
        })?;
        Ok(Self {
            shared: self.shared.clone(),
            tenant_id,
            scope,
        })
    }

    async fn make_tenant(&self, name: &TenantName) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let make = "INSERT INTO tenant (name, version, audit_sequence, audit_hash, created_at)
            VALUES ($1, 0, 0, $2, $3)
            ON CONFLICT (name) DO NOTHING";
        let make = Statement::new(make)
            .bind(name.as_str())
            .bind([0; 32].as_slice())
            .bind(now());
        if session.execute(make).await? == 0 {
            return Ok(false);
        }
        // In the log of whoever makes it: its own begins with what is done in it.
        let target = format!("tenant:{name}");
        self.record(&mut session, Action::TENANT_CREATE, target, json!({}))
            .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn read_tenants(
        &self,
        after: Option<&TenantName>,
        limit: u32,
    ) -> Result<TenantListing, Failure> {
        page_limit(limit)?;
        let page = "SELECT name, created_at, version FROM tenant
            WHERE name > $1 ORDER BY name LIMIT $2";
        // One more than asked for tells whether there is a next page.
        let page = Statement::new(page)
            .bind(after.map_or("", TenantName::as_str))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(page).await?;
        let tenants = rows.iter().take(limit as usize).map(tenant);
        let tenants: Vec<Tenant> = tenants.collect::<Result<_, Failure>>()?;
        let last = tenants.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(|last| last.name.clone());
        Ok(TenantListing { tenants, next })
    }
}

/// The row of a tenant.
async fn id(session: &mut Session, name: &TenantName) -> Result<Option<i64>, Failure> {
    let query = Statement::new("SELECT id FROM tenant WHERE name = $1").bind(name.as_str());
    let row = session.fetch_optional(query).await?;
    Ok(row.map(|row| row.get("id")).transpose()?)
}

fn tenant(row: &Row) -> Result<Tenant, Failure> {
    let name = TenantName::new(row.get::<String>("name")?);
    Ok(Tenant {
        name: name
            .map_err(|error| Error::internal("a stored tenant cannot be read").caused_by(error))?,
        created_at: row.get("created_at")?,
        registry_version: number(row.get("version")?)?,
    })
}
