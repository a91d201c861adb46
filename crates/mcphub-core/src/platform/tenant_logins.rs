//! Logins that users of a tenant make for themselves.

use std::sync::Arc;

use async_trait::async_trait;

use super::Platform;
use crate::connection::Connection;
use crate::secret::{Credentials, Grant, LoginKeeper};
use crate::server::ServerName;
use crate::spec::Document;
use crate::store::Tenants;
use crate::tenant::{Scope, TenantName};
use crate::user::UserName;
use crate::{Error, ErrorKind, Result};

/// Keeps the logins of one tenant's users with the tenant's servers.
#[derive(Debug)]
pub struct TenantLogins {
    platform: Arc<Platform>,
    tenants: Arc<dyn Tenants>,
    tenant: TenantName,
}

impl TenantLogins {
    /// Over the servers of this platform, whose store belongs to this tenant of these.
    pub fn new(platform: Arc<Platform>, tenants: Arc<dyn Tenants>, tenant: TenantName) -> Self {
        Self {
            platform,
            tenants,
            tenant,
        }
    }
}

#[async_trait]
impl LoginKeeper for TenantLogins {
    async fn reached(&self, server: &ServerName) -> Result<Option<(Connection, Credentials)>> {
        let store = &self.platform.store;
        let Some(document) = store.document(server).await? else {
            return Ok(None);
        };
        // The document of an API is none.
        let Ok(connection) = Connection::from_document(&document) else {
            return Ok(None);
        };
        let credentials = store.credentials(server).await?;
        Ok(Some((connection, credentials)))
    }

    async fn keep(
        &self,
        server: &ServerName,
        connection: &Connection,
        user: &UserName,
        grant: Grant,
    ) -> Result<()> {
        let actor = user.actor();
        let login = actor.to_string();
        let tenant = self.tenant.clone();
        let store = self.tenants.scoped(Scope { tenant, actor }).await?;
        let same = |document: &Document| {
            let now = Connection::from_document(document).ok();
            if now.as_ref() == Some(connection) {
                return Ok(());
            }
            let message = "the server was registered anew meanwhile; log in again";
            Err(Error::new(ErrorKind::InvalidInput, message).with("server", server))
        };
        self.platform
            .add_login(&*store, server, &login, &grant, &same)
            .await
    }
}
