//! Registered servers: reading and removing them.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::server::{ServerName, ServerRecord};
use mcphub_core::store::{Listing, Page, Registration, Saved, ServerStore, ServerSummary};
use mcphub_core::tool::PLAN_VERSION;
use mcphub_core::{Error, ErrorKind, Result};
use url::Url;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::{SqlStore, blocking, registration};

/// The plan only where it can be read.
const BY_NAME: &str = "
    SELECT server.source, version.digest, server.serve, server.base_url, server.artifact,
           server.revision, server.plan_version,
           CASE WHEN server.plan_version = $2 THEN tool_set.json END AS tools
    FROM server
    JOIN tool_set ON tool_set.server_id = server.id
    JOIN document_version AS version ON version.server_id = server.id AND version.current = 1
    WHERE server.name = $1";

const AFTER: &str = "
    SELECT name, title, source, serve, base_url, tools, revision, plan_version
    FROM server
    WHERE name > $1
    ORDER BY name
    LIMIT $2";

#[async_trait]
impl ServerStore for SqlStore {
    async fn save(&self, registration: &Registration) -> Result<Saved> {
        let outcome = self.write(registration).await;
        self.explain("store::save", outcome)
    }

    async fn get(&self, name: &ServerName) -> Result<Option<ServerRecord>> {
        let outcome = self.read(name).await;
        self.explain("store::get", outcome)
    }

    async fn find_by_source(&self, source: &str) -> Result<Option<ServerName>> {
        let outcome = self.read_name(source).await;
        self.explain("store::find_by_source", outcome)
    }

    async fn list(&self, page: &Page) -> Result<Listing> {
        let outcome = self.read_page(page).await;
        self.explain("store::list", outcome)
    }

    async fn remove(&self, name: &ServerName) -> Result<bool> {
        let outcome = self.delete(name).await;
        self.explain("store::remove", outcome)
    }

    async fn registry_version(&self) -> Result<u64> {
        let outcome = self.read_version().await;
        self.explain("store::registry_version", outcome)
    }
}

impl SqlStore {
    async fn read(&self, name: &ServerName) -> Result<Option<ServerRecord>, Failure> {
        let query = Statement::new(BY_NAME)
            .bind(name.as_str())
            .bind(PLAN_VERSION);
        let row = self.engine.read().await?.fetch_optional(query).await?;
        let Some(row) = row else { return Ok(None) };
        let Some(tools) = row.get::<Option<String>>("tools")? else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the server was planned by another version of mcphub; register it again",
            )
            .with("server", name)
            .with("its plan version", row.get::<i64>("plan_version")?)
            .into());
        };
        let tools = blocking(move || stored(serde_json::from_str(&tools))).await?;
        let base_url: Option<String> = row.get("base_url")?;
        let artifact: Option<String> = row.get("artifact")?;
        let artifact = artifact.as_deref().map(serde_json::from_str);
        Ok(Some(ServerRecord {
            name: name.clone(),
            source: row.get("source")?,
            document_digest: row.get("digest")?,
            serve: stored(row.get::<String>("serve")?.parse())?,
            base_url: stored(base_url.as_deref().map(Url::parse).transpose())?,
            tools: Arc::new(tools),
            artifact: stored(artifact.transpose())?,
            revision: number(row.get("revision")?)?,
        }))
    }

    async fn read_name(&self, source: &str) -> Result<Option<ServerName>, Failure> {
        let query = "SELECT name FROM server WHERE source = $1 ORDER BY name LIMIT 1";
        let query = Statement::new(query).bind(source);
        let row = self.engine.read().await?.fetch_optional(query).await?;
        let name: Option<String> = row.map(|row| row.get("name")).transpose()?;
        Ok(stored(name.map(ServerName::new).transpose())?)
    }

    async fn read_page(&self, page: &Page) -> Result<Listing, Failure> {
        if !(1..=1_000).contains(&page.limit) {
            return Err(Error::invalid("a page has 1 to 1,000 servers")
                .with("limit", page.limit)
                .into());
        }
        // One more than asked for tells whether there is a next page.
        let query = Statement::new(AFTER)
            .bind(page.after.as_ref().map_or("", ServerName::as_str))
            .bind(page.limit + 1);
        let rows = self.engine.read().await?.fetch_all(query).await?;
        let more = rows.len() > page.limit as usize;
        let servers = rows.iter().take(page.limit as usize).map(summary);
        let servers: Vec<_> = servers.collect::<Result<_, Failure>>()?;
        let next = servers.last().filter(|_| more);
        let next = next.map(|last| last.name.clone());
        Ok(Listing { servers, next })
    }

    async fn delete(&self, name: &ServerName) -> Result<bool, Failure> {
        let mut session = self.engine.write().await?;
        let query = Statement::new("DELETE FROM server WHERE name = $1").bind(name.as_str());
        if session.execute(query).await? == 0 {
            return Ok(false);
        }
        let orphans = "DELETE FROM document WHERE NOT EXISTS
            (SELECT 1 FROM document_version WHERE digest = document.digest)";
        session.execute(Statement::new(orphans)).await?;
        registration::next_revision(&mut session).await?;
        session.commit().await?;
        Ok(true)
    }

    async fn read_version(&self) -> Result<u64, Failure> {
        let query = Statement::new("SELECT version FROM registry");
        let row = self.engine.read().await?.fetch_one(query).await?;
        Ok(number(row.get("version")?)?)
    }
}

fn summary(row: &Row) -> Result<ServerSummary, Failure> {
    let base_url: Option<String> = row.get("base_url")?;
    Ok(ServerSummary {
        name: stored(ServerName::new(row.get::<String>("name")?))?,
        title: row.get("title")?,
        source: row.get("source")?,
        serve: stored(row.get::<String>("serve")?.parse())?,
        base_url: stored(base_url.as_deref().map(Url::parse).transpose())?,
        tools: number(row.get("tools")?)?,
        revision: number(row.get("revision")?)?,
        plan_version: number(row.get("plan_version")?)?,
    })
}

/// What is wrong with a stored value is no caller's fault, whatever its type says.
fn stored<T, E>(outcome: Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    outcome.map_err(|error| {
        Error::internal("a stored server cannot be read; register it again").caused_by(error)
    })
}

/// A count that a database holds with a sign.
pub(super) fn number<T>(value: i64) -> Result<T>
where
    T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>,
{
    stored(T::try_from(value))
}
