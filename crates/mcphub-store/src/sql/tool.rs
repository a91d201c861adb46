//! Tools in rows of their own, with what they are found by: written with their server.

use std::collections::HashMap;
use std::sync::Arc;

use mcphub_core::store::Registration;
use mcphub_core::tool::{ToolAnnotations, ToolKind};
use mcphub_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::posting::Postings;
use super::statement::{Row, Statement};
use super::words::Words;
use super::{Dialect, Session, SqlStore, blocking};

/// Servers whose tools are indexed in one transaction.
const BATCH: u32 = 50;

/// What a server has, to be compared with what it will have.
const STORED: &str = "
    SELECT id, name, kind, title, description FROM tool WHERE server_id = $1";

const COUNT_IN_SQLITE: &str = "
    UPDATE server SET indexed = revision, read_only = $2, additive = $3, destructive = $4
    WHERE id = $1";

/// All of it in one statement, because each is a journey.
const WRITE_IN_POSTGRES: &str = "
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST($8 AS json))
            AS given (name TEXT, kind TEXT, title TEXT, description TEXT)
    ), counted AS (
        UPDATE server SET indexed = revision, read_only = $2, additive = $3, destructive = $4,
                          words = CAST($7 AS tsvector)
        WHERE id = $1
    ), gone AS (
        DELETE FROM tool WHERE server_id = $1 AND name NOT IN (SELECT name FROM given)
    )
    INSERT INTO tool (tenant_id, server_id, server, name, kind, title, description)
    SELECT $5, $1, $6, name, kind, title, description FROM given
    ON CONFLICT (server_id, name) DO UPDATE SET
        kind = excluded.kind, title = excluded.title, description = excluded.description
    WHERE (tool.kind, tool.title, tool.description)
        IS DISTINCT FROM (excluded.kind, excluded.title, excluded.description)
    RETURNING id, name";

/// Servers of a tenant that were written by a version that knew no such rows.
const NOT_INDEXED: &str = "
    SELECT server.id, server.name, server.title, tool_set.json
    FROM server
    JOIN tool_set ON tool_set.server_id = server.id
    WHERE server.tenant_id = $1 AND server.indexed <> server.revision
    ORDER BY server.id
    LIMIT $2";

/// What the rows of a server's tools are made of.
pub(super) struct ToolRows {
    tenant_id: i64,
    server: String,
    /// The server's own words.
    words: Words,
    /// How many are of each kind, in the order of [`ToolKind::ALL`].
    counts: [i64; 3],
    /// JSON: a list of [`Entry`].
    entries: String,
    /// What each tool is found by.
    terms: Arc<[(String, Vec<String>)]>,
}

/// A tool, as JSON that a statement reads.
#[derive(Serialize)]
struct Entry {
    name: String,
    kind: &'static str,
    title: Option<String>,
    description: String,
}

/// As much of a stored plan, of whichever version, as its tools are found by.
#[derive(Deserialize)]
struct StoredPlan {
    tools: Vec<StoredTool>,
}

#[derive(Deserialize)]
struct StoredTool {
    name: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    description: String,
    annotations: ToolAnnotations,
}

/// A server whose tools are not indexed yet.
pub(super) struct StoredServer {
    pub(super) name: String,
    pub(super) title: String,
    /// JSON.
    pub(super) plan: String,
}

impl ToolRows {
    /// The rows of a registration.
    pub(super) fn of_tools(registration: &Registration, tenant_id: i64) -> Result<Self> {
        let tools = registration.tools.tools.iter().map(|tool| {
            let (name, title) = (tool.name.as_str(), tool.title.as_deref());
            (name, title, tool.description.as_str(), &tool.annotations)
        });
        let (name, title) = (registration.name.as_str(), &registration.tools.api.title);
        Self::new(tenant_id, name, title, tools)
    }

    /// The rows of a server that is stored. A plan that cannot be read has no tools: it is damaged,
    /// and its server can be registered again.
    pub(super) fn of_plan(server: &StoredServer, tenant_id: i64) -> Result<Self> {
        let plan = serde_json::from_str(&server.plan);
        let plan: StoredPlan = plan.unwrap_or(StoredPlan { tools: Vec::new() });
        let tools = plan.tools.iter().map(|tool| {
            let (name, title) = (tool.name.as_str(), tool.title.as_deref());
            (name, title, tool.description.as_str(), &tool.annotations)
        });
        Self::new(tenant_id, &server.name, &server.title, tools)
    }

    fn new<'t>(
        tenant_id: i64,
        server: &str,
        title: &str,
        tools: impl Iterator<Item = (&'t str, Option<&'t str>, &'t str, &'t ToolAnnotations)>,
    ) -> Result<Self> {
        let mut counts = [0; 3];
        let mut terms = Vec::new();
        let entries = tools.map(|(name, title, description, annotations)| {
            let kind = ToolKind::from(annotations);
            for (count, of) in counts.iter_mut().zip(ToolKind::ALL) {
                *count += i64::from(of == kind);
            }
            let (title, description) = (title.map(without_nul), without_nul(description));
            terms.push((
                name.to_owned(),
                terms_of(name, title.as_deref(), &description, kind.as_str()),
            ));
            Entry {
                name: name.to_owned(),
                kind: kind.as_str(),
                title,
                description,
            }
        });
        let entries: Vec<Entry> = entries.collect();
        let entries = serde_json::to_string(&entries)
            .map_err(|error| Error::internal("tools cannot be written").caused_by(error))?;
        Ok(Self {
            tenant_id,
            server: server.to_owned(),
            words: Words::of(&[server, title], ""),
            counts,
            entries,
            terms: terms.into(),
        })
    }

    /// Writes them in place of those that the server has. Rows of tools that stay keep their
    /// number.
    pub(super) async fn replace(
        &self,
        session: &mut Session,
        server_id: i64,
    ) -> Result<(), Failure> {
        let before = stored_tools(session, server_id).await?;
        let mut numbers: HashMap<String, i64> = before
            .iter()
            .map(|tool| (tool.name.clone(), tool.id))
            .collect();
        let written = match session.dialect() {
            Dialect::Sqlite => self.replace_in_sqlite(session, server_id).await?,
            Dialect::Postgres => {
                let words = self.words.to_vector(self.tenant_id);
                let write = self.counted(WRITE_IN_POSTGRES, server_id);
                let write = write
                    .bind(self.tenant_id)
                    .bind(&self.server)
                    .bind(words)
                    .bind(&self.entries);
                session.fetch_all(write).await?
            }
        };
        for row in written {
            numbers.insert(row.get("name")?, row.get("id")?);
        }
        let terms = self.terms.clone();
        let change = blocking(move || {
            let mut postings = Postings::default();
            for tool in &before {
                postings.before(tool.id, tool.terms());
            }
            for (name, terms) in terms.iter() {
                if let Some(id) = numbers.get(name) {
                    postings.after(*id, terms.iter().cloned());
                }
            }
            postings.change()
        });
        change.await?.write(session, self.tenant_id).await
    }

    /// Takes the words of a server's tools back, which is deleted next.
    pub(super) async fn forget(
        session: &mut Session,
        tenant_id: i64,
        server_id: i64,
    ) -> Result<(), Failure> {
        let before = stored_tools(session, server_id).await?;
        let change = blocking(move || {
            let mut postings = Postings::default();
            for tool in &before {
                postings.before(tool.id, tool.terms());
            }
            postings.change()
        });
        change.await?.write(session, tenant_id).await
    }

    /// The numbers of the tools that are new or another, and their names.
    async fn replace_in_sqlite(&self, session: &mut Session, id: i64) -> Result<Vec<Row>, Failure> {
        session.execute(self.counted(COUNT_IN_SQLITE, id)).await?;
        let text = "INSERT OR REPLACE INTO server_text (rowid, words) VALUES ($1, $2)";
        let text = Statement::new(text)
            .bind(id)
            .bind(self.words.to_text(self.tenant_id));
        session.execute(text).await?;
        let gone = "DELETE FROM tool WHERE server_id = $1
            AND name NOT IN (SELECT value ->> 'name' FROM json_each($2))";
        let gone = Statement::new(gone).bind(id).bind(&self.entries);
        session.execute(gone).await?;
        // `WHERE TRUE` tells the parser that the `ON` after it begins no condition of a join.
        let add = "INSERT INTO tool (tenant_id, server_id, server, name, kind, title, description)
            SELECT $1, $2, $3, value ->> 'name', value ->> 'kind', value ->> 'title',
                   value ->> 'description'
            FROM json_each($4) WHERE TRUE
            ON CONFLICT (server_id, name) DO UPDATE SET
                kind = excluded.kind, title = excluded.title, description = excluded.description
            WHERE (tool.kind, tool.title, tool.description)
                IS NOT (excluded.kind, excluded.title, excluded.description)
            RETURNING id, name";
        let add = Statement::new(add)
            .bind(self.tenant_id)
            .bind(id)
            .bind(&self.server)
            .bind(&self.entries);
        session.fetch_all(add).await
    }

    fn counted(&self, sql: &'static str, server_id: i64) -> Statement {
        let counted = Statement::new(sql).bind(server_id);
        self.counts
            .iter()
            .fold(counted, |it, count| it.bind(*count))
    }
}

impl SqlStore {
    /// Writes the rows of tools that are not there yet, of all tenants: after an upgrade, and for
    /// what a node of an older version saved after another was upgraded.
    pub(super) async fn index_servers(&self) -> Result<(), Failure> {
        let tenants = "SELECT id FROM tenant
            WHERE EXISTS (SELECT 1 FROM server WHERE tenant_id = tenant.id AND indexed <> revision)";
        let mut session = self.engine().read().await?;
        let tenants = session.fetch_all(Statement::new(tenants)).await?;
        drop(session);
        for tenant in tenants {
            let tenant_id = tenant.get("id")?;
            while self.index_batch(tenant_id).await? {}
        }
        Ok(())
    }

    /// Whether there was any.
    async fn index_batch(&self, tenant_id: i64) -> Result<bool, Failure> {
        let mut session = self.engine().write(tenant_id).await?;
        let query = Statement::new(NOT_INDEXED).bind(tenant_id).bind(BATCH);
        let rows = session.fetch_all(query).await?;
        for row in &rows {
            let server = StoredServer {
                name: row.get("name")?,
                title: row.get("title")?,
                plan: row.get("json")?,
            };
            let rows = blocking(move || ToolRows::of_plan(&server, tenant_id)).await?;
            rows.replace(&mut session, row.get("id")?).await?;
        }
        session.commit().await?;
        Ok(!rows.is_empty())
    }
}

/// PostgreSQL has no text with a NUL in it, and here it is for showing only.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A tool as it is stored.
struct StoredRow {
    id: i64,
    name: String,
    kind: String,
    title: Option<String>,
    description: String,
}

impl StoredRow {
    fn terms(&self) -> Vec<String> {
        terms_of(
            &self.name,
            self.title.as_deref(),
            &self.description,
            &self.kind,
        )
    }
}

async fn stored_tools(session: &mut Session, server_id: i64) -> Result<Vec<StoredRow>, Failure> {
    let stored = Statement::new(STORED).bind(server_id);
    let rows = session.fetch_all(stored).await?;
    let rows = rows.iter().map(|row| {
        Ok(StoredRow {
            id: row.get("id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            title: row.get("title")?,
            description: row.get("description")?,
        })
    });
    rows.collect()
}

/// What a tool is found by: always the same of the same row, so that what was written can be taken
/// back.
fn terms_of(name: &str, title: Option<&str>, description: &str, kind: &str) -> Vec<String> {
    let mut terms = Words::of(&[name, title.unwrap_or_default()], description).terms();
    terms.push(kind_term(kind));
    terms
}

/// The term of what kind a tool is of. No word is like it.
pub(super) fn kind_term(kind: &str) -> String {
    format!("@{kind}")
}
