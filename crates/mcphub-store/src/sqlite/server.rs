//! Registered servers: reading and removing them.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::server::{ServerName, ServerRecord};
use mcphub_core::store::{Listing, Page, Registration, Saved, ServerStore, ServerSummary};
use mcphub_core::tool::PLAN_VERSION;
use mcphub_core::{Error, ErrorKind, Result};
use sqlx::FromRow;
use url::Url;

use super::failure::Failure;
use super::{SqliteStore, blocking, registration};

/// The plan only where it can be read.
const BY_NAME: &str = "
    SELECT server.source, version.digest, server.serve, server.base_url, server.artifact,
           server.revision, server.plan_version,
           CASE WHEN server.plan_version = ?2 THEN tool_set.json END AS tools
    FROM server
    JOIN tool_set ON tool_set.server_id = server.id
    JOIN document_version AS version ON version.server_id = server.id AND version.current = 1
    WHERE server.name = ?1";

const AFTER: &str = "
    SELECT name, title, source, serve, base_url, tools, revision, plan_version
    FROM server
    WHERE name > ?1
    ORDER BY name
    LIMIT ?2";

#[derive(FromRow)]
struct RecordRow {
    source: String,
    digest: String,
    serve: String,
    base_url: Option<String>,
    artifact: Option<String>,
    revision: i64,
    plan_version: i64,
    tools: Option<String>,
}

#[derive(FromRow)]
struct SummaryRow {
    name: String,
    title: String,
    source: String,
    serve: String,
    base_url: Option<String>,
    tools: i64,
    revision: i64,
    plan_version: i64,
}

#[async_trait]
impl ServerStore for SqliteStore {
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

impl SqliteStore {
    async fn read(&self, name: &ServerName) -> Result<Option<ServerRecord>, Failure> {
        let row: Option<RecordRow> = sqlx::query_as(BY_NAME)
            .bind(name.as_str())
            .bind(PLAN_VERSION)
            .fetch_optional(self.pools.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(tools) = row.tools else {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the server was planned by another version of mcphub; register it again",
            )
            .with("server", name)
            .with("its plan version", row.plan_version)
            .into());
        };
        let artifact = row.artifact.as_deref().map(serde_json::from_str);
        let tools = blocking(move || stored(serde_json::from_str(&tools))).await?;
        Ok(Some(ServerRecord {
            name: name.clone(),
            source: row.source,
            document_digest: row.digest,
            serve: stored(row.serve.parse())?,
            base_url: stored(row.base_url.as_deref().map(Url::parse).transpose())?,
            tools: Arc::new(tools),
            artifact: stored(artifact.transpose())?,
            revision: number(row.revision)?,
        }))
    }

    async fn read_name(&self, source: &str) -> Result<Option<ServerName>, Failure> {
        let name: Option<String> =
            sqlx::query_scalar("SELECT name FROM server WHERE source = ?1 ORDER BY name LIMIT 1")
                .bind(source)
                .fetch_optional(self.pools.readers())
                .await?;
        Ok(stored(name.map(ServerName::new).transpose())?)
    }

    async fn read_page(&self, page: &Page) -> Result<Listing, Failure> {
        if !(1..=1_000).contains(&page.limit) {
            return Err(Error::invalid("a page has 1 to 1,000 servers")
                .with("limit", page.limit)
                .into());
        }
        // One more than asked for tells whether there is a next page.
        let rows: Vec<SummaryRow> = sqlx::query_as(AFTER)
            .bind(page.after.as_ref().map_or("", ServerName::as_str))
            .bind(page.limit + 1)
            .fetch_all(self.pools.readers())
            .await?;
        let more = rows.len() > page.limit as usize;
        let servers = rows.into_iter().take(page.limit as usize).map(summary);
        let servers: Vec<_> = servers.collect::<Result<_>>()?;
        let next = servers.last().filter(|_| more);
        let next = next.map(|last| last.name.clone());
        Ok(Listing { servers, next })
    }

    async fn delete(&self, name: &ServerName) -> Result<bool, Failure> {
        let mut transaction = self.pools.writer().begin_with("BEGIN IMMEDIATE").await?;
        let deleted = sqlx::query("DELETE FROM server WHERE name = ?1")
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "DELETE FROM document WHERE NOT EXISTS
                 (SELECT 1 FROM document_version WHERE digest = document.digest)",
        )
        .execute(&mut *transaction)
        .await?;
        registration::next_revision(&mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn read_version(&self) -> Result<u64, Failure> {
        let version: i64 = sqlx::query_scalar("SELECT version FROM registry")
            .fetch_one(self.pools.readers())
            .await?;
        Ok(number(version)?)
    }
}

fn summary(row: SummaryRow) -> Result<ServerSummary> {
    Ok(ServerSummary {
        name: stored(ServerName::new(row.name))?,
        title: row.title,
        source: row.source,
        serve: stored(row.serve.parse())?,
        base_url: stored(row.base_url.as_deref().map(Url::parse).transpose())?,
        tools: number(row.tools)?,
        revision: number(row.revision)?,
        plan_version: number(row.plan_version)?,
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

/// A count that SQLite holds with a sign.
pub(super) fn number<T>(value: i64) -> Result<T>
where
    T: TryFrom<i64, Error: std::error::Error + Send + Sync + 'static>,
{
    stored(T::try_from(value))
}
