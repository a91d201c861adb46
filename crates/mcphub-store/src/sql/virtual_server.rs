//! Virtual servers.

use async_trait::async_trait;
use mcphub_core::audit::Action;
use mcphub_core::server::ServerName;
use mcphub_core::store::{Saved, VirtualServerStore};
use mcphub_core::virtual_server::{
    Definition, StoredVirtualServer, VirtualServer, VirtualServerListing,
};
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::json;

use super::failure::Failure;
use super::server::number;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now, page_limit};

/// What has to be known before one is written. There is always a row.
const BEFORE: &str = "
    SELECT virtual_server.definition, virtual_server.revision,
           (SELECT name FROM server
            WHERE tenant_id = $1 AND name = $2 AND removed_at IS NULL) AS taken,
           (SELECT count(*) FROM virtual_server WHERE tenant_id = $1) AS many
    FROM (SELECT 1) AS one
    LEFT JOIN virtual_server
        ON virtual_server.tenant_id = $1 AND virtual_server.name = $2";

#[async_trait]
impl VirtualServerStore for SqlStore {
    async fn save_virtual_server(
        &self,
        server: &VirtualServer,
        revision: Option<u64>,
    ) -> Result<Saved> {
        let outcome = self.write_virtual_server(server, revision).await;
        self.explain("store::save_virtual_server", outcome)
    }

    async fn virtual_server(&self, name: &ServerName) -> Result<Option<StoredVirtualServer>> {
        let outcome = self.read_virtual_server(name).await;
        self.explain("store::virtual_server", outcome)
    }

    async fn virtual_servers(
        &self,
        after: Option<&ServerName>,
        limit: u32,
    ) -> Result<VirtualServerListing> {
        let outcome = self.read_virtual_servers(after, limit).await;
        self.explain("store::virtual_servers", outcome)
    }

    async fn remove_virtual_server(&self, name: &ServerName) -> Result<bool> {
        let outcome = self.end_virtual_server(name).await;
        self.explain("store::remove_virtual_server", outcome)
    }
}

impl SqlStore {
    async fn write_virtual_server(
        &self,
        server: &VirtualServer,
        expected: Option<u64>,
    ) -> Result<Saved, Failure> {
        let text = written(server)?;
        let name = &server.name;
        let mut session = self.engine().write(self.tenant_id).await?;
        let before = Statement::new(BEFORE)
            .bind(self.tenant_id)
            .bind(name.as_str());
        let before = session.fetch_one(before).await?;
        let known: Option<String> = before.get("definition")?;
        let revision: Option<i64> = before.get("revision")?;
        let revision: u64 = number(revision.unwrap_or_default())?;
        if expected.is_some_and(|expected| expected != revision) {
            let message = "the virtual server was changed meanwhile; look at it again";
            let error = Error::new(ErrorKind::Conflict, message).with("revision", revision);
            return Err(error.with("virtual server", name).into());
        }
        if known.as_ref() == Some(&text) {
            return Ok(Saved {
                revision,
                changed: false,
            });
        }
        if before.get::<Option<String>>("taken")?.is_some() {
            let message = "a server of that name is registered; choose another name";
            return Err(Error::new(ErrorKind::Conflict, message)
                .with("name", name)
                .into());
        }
        if known.is_none() && before.get::<i64>("many")? >= i64::from(VirtualServer::MAX) {
            let message = "there are as many virtual servers as there can be; remove one";
            return Err(Error::new(ErrorKind::TooLarge, message)
                .with("limit", VirtualServer::MAX)
                .into());
        }
        let next = session.tenant()?.next_revision();
        let write = "INSERT INTO virtual_server
                (tenant_id, name, definition, revision, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $5)
            ON CONFLICT (tenant_id, name) DO UPDATE
            SET definition = excluded.definition, revision = excluded.revision,
                updated_at = excluded.updated_at";
        let write = Statement::new(write)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(&text)
            .bind(next)
            .bind(now());
        session.execute(write).await?;
        let detail = json!({ "revision": next, "definition": Definition::of(server) });
        self.record(
            &mut session,
            Action::VIRTUAL_SERVER_SAVE,
            target(name),
            detail,
        )
        .await?;
        session.commit().await?;
        Ok(Saved {
            revision: number(next)?,
            changed: true,
        })
    }

    async fn read_virtual_server(
        &self,
        name: &ServerName,
    ) -> Result<Option<StoredVirtualServer>, Failure> {
        let query = "SELECT name, definition, revision FROM virtual_server
            WHERE tenant_id = $1 AND name = $2";
        let query = Statement::new(query)
            .bind(self.tenant_id)
            .bind(name.as_str());
        let row = self.engine().read().await?.fetch_optional(query).await?;
        row.as_ref().map(stored).transpose()
    }

    async fn read_virtual_servers(
        &self,
        after: Option<&ServerName>,
        limit: u32,
    ) -> Result<VirtualServerListing, Failure> {
        page_limit(limit)?;
        let page = "SELECT name, definition, revision FROM virtual_server
            WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3";
        // One more than asked for tells whether there is a next page.
        let page = Statement::new(page)
            .bind(self.tenant_id)
            .bind(after.map_or("", ServerName::as_str))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(page).await?;
        let servers = rows.iter().take(limit as usize).map(stored);
        let servers: Vec<StoredVirtualServer> = servers.collect::<Result<_, Failure>>()?;
        let last = servers.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(|last| last.server.name.clone());
        Ok(VirtualServerListing { servers, next })
    }

    async fn end_virtual_server(&self, name: &ServerName) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let end = "DELETE FROM virtual_server WHERE tenant_id = $1 AND name = $2";
        let end = Statement::new(end).bind(self.tenant_id).bind(name.as_str());
        if session.execute(end).await? == 0 {
            return Ok(false);
        }
        session.tenant()?.next_revision();
        self.record(
            &mut session,
            Action::VIRTUAL_SERVER_REMOVE,
            target(name),
            json!({}),
        )
        .await?;
        session.commit().await?;
        Ok(true)
    }

    /// That no virtual server has the name of a server that is to be there.
    pub(super) async fn refuse_virtual_name(
        &self,
        session: &mut Session,
        name: &ServerName,
    ) -> Result<(), Failure> {
        let query = "SELECT name FROM virtual_server WHERE tenant_id = $1 AND name = $2";
        let query = Statement::new(query)
            .bind(self.tenant_id)
            .bind(name.as_str());
        match session.fetch_optional(query).await? {
            None => Ok(()),
            Some(_) => Err(has_name(name).into()),
        }
    }
}

/// That a virtual server has the name that a server is to have.
pub(super) fn has_name(name: &ServerName) -> Error {
    let message = "a virtual server has that name; choose another name";
    Error::new(ErrorKind::Conflict, message).with("name", name)
}

/// What is stored of a virtual server, where it can be one.
fn written(server: &VirtualServer) -> Result<String> {
    let definition = Definition::of(server);
    // Whatever has public fields may hold anything.
    definition.server(&server.name)?;
    let text = serde_json::to_string(&definition)
        .map_err(|error| Error::internal("a virtual server cannot be written").caused_by(error))?;
    if text.len() > VirtualServer::MAX_DEFINITION {
        let message = "a virtual server has at most 64 KiB";
        return Err(Error::new(ErrorKind::TooLarge, message).with("bytes", text.len()));
    }
    Ok(text)
}

/// The virtual server of a stored definition.
pub(super) fn read(name: &str, definition: &str) -> Result<VirtualServer> {
    let name = ServerName::new(name)?;
    let definition: Definition = serde_json::from_str(definition)
        .map_err(|error| Error::invalid("it is no virtual server").caused_by(error))?;
    definition.server(&name)
}

fn stored(row: &Row) -> Result<StoredVirtualServer, Failure> {
    let (name, definition): (String, String) = (row.get("name")?, row.get("definition")?);
    let server = read(&name, &definition).map_err(|error| {
        Error::internal("a stored virtual server cannot be read; make it again")
            .with("name", &name)
            .caused_by(error)
    })?;
    Ok(StoredVirtualServer {
        server,
        revision: number(row.get("revision")?)?,
    })
}

/// What the audit log calls a virtual server.
fn target(name: &ServerName) -> String {
    format!("virtual_server:{name}")
}
