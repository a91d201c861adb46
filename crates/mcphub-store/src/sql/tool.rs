//! Tools in rows of their own, with what they are found by: written with their server.

use std::collections::HashMap;
use std::sync::Arc;

use mcphub_core::store::Registration;
use mcphub_core::tool::{ToolAnnotations, ToolKind};
use mcphub_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::posting::Postings;
use super::statement::Statement;
use super::words::Words;
use super::{Dialect, Session, SqlStore, blocking};

/// Servers whose tools are indexed in one transaction.
const BATCH: u32 = 50;

/// What a server has, to be compared with what it will have.
const STORED: &str = "
    SELECT id, name, kind, title, description FROM tool WHERE server_id = $1";

/// Of a server whose row was written without.
const COUNT: (&str, &str) = (
    "UPDATE server SET indexed = revision, read_only = $2, additive = $3, destructive = $4
     WHERE id = $1",
    "UPDATE server SET indexed = revision, read_only = $2, additive = $3, destructive = $4,
                       words = CAST($5 AS tsvector)
     WHERE id = $1",
);

/// Tools by their numbers.
const GONE: (&str, &str) = (
    "DELETE FROM tool WHERE id IN (SELECT value FROM json_each($1))",
    "DELETE FROM tool WHERE id = ANY (ARRAY (
         SELECT CAST(value AS BIGINT)
         FROM json_array_elements_text(CAST($1 AS json)) AS listed (value)))",
);

macro_rules! write_tools {
    ($given:literal) => {
        concat!(
            "INSERT INTO tool (tenant_id, server_id, server, name, kind, title, description)
             SELECT $1, $2, $3, value ->> 'name', value ->> 'kind', value ->> 'title',
                    value ->> 'description'
             FROM ",
            $given,
            // It tells SQLite's parser that the `ON` after it begins no condition of a join.
            " WHERE TRUE
             ON CONFLICT (server_id, name) DO UPDATE SET
                 kind = excluded.kind, title = excluded.title, description = excluded.description
             RETURNING id, name"
        )
    };
}

const WRITE: (&str, &str) = (
    write_tools!("json_each($4)"),
    write_tools!("json_array_elements(CAST($4 AS json)) AS listed (value)"),
);

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
    tools: Arc<[ToolRow]>,
}

/// A tool, as JSON that a statement reads.
#[derive(Serialize)]
struct ToolRow {
    name: String,
    kind: &'static str,
    title: Option<String>,
    description: String,
    /// What it is found by.
    #[serde(skip)]
    terms: Vec<String>,
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
    pub(super) fn of_tools(registration: &Registration, tenant_id: i64) -> Self {
        let tools = registration.tools.tools.iter().map(|tool| {
            let (name, title) = (tool.name.as_str(), tool.title.as_deref());
            (name, title, tool.description.as_str(), &tool.annotations)
        });
        let (name, title) = (registration.name.as_str(), &registration.tools.api.title);
        Self::new(tenant_id, name, title, tools)
    }

    /// The rows of a server that is stored. A plan that cannot be read has no tools: it is damaged,
    /// and its server can be registered again.
    pub(super) fn of_plan(server: &StoredServer, tenant_id: i64) -> Self {
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
    ) -> Self {
        let mut counts = [0; 3];
        let tools = tools.map(|(name, title, description, annotations)| {
            let kind = ToolKind::from(annotations);
            for (count, of) in counts.iter_mut().zip(ToolKind::ALL) {
                *count += i64::from(of == kind);
            }
            let (title, description) = (title.map(without_nul), without_nul(description));
            ToolRow {
                name: name.to_owned(),
                kind: kind.as_str(),
                terms: terms_of(name, title.as_deref(), &description, kind.as_str()),
                title,
                description,
            }
        });
        let tools = tools.collect();
        Self {
            tenant_id,
            server: server.to_owned(),
            words: Words::of(&[server, title], ""),
            counts,
            tools,
        }
    }

    /// How many tools are of each kind, in the order of [`ToolKind::ALL`].
    pub(super) fn counts(&self) -> [i64; 3] {
        self.counts
    }

    /// The server's words, where they are in its row.
    pub(super) fn words(&self, dialect: Dialect) -> Option<String> {
        dialect.choose(None, Some(self.words.to_vector(self.tenant_id)))
    }

    /// Writes what a server is found by itself, and how many tools of each kind it has, where its row
    /// was written without.
    pub(super) async fn count(&self, session: &mut Session, server_id: i64) -> Result<(), Failure> {
        let dialect = session.dialect();
        let (sqlite, postgres) = COUNT;
        let count = Statement::new(dialect.choose(sqlite, postgres)).bind(server_id);
        let count = self.counts.iter().fold(count, |it, count| it.bind(*count));
        let count = match self.words(dialect) {
            Some(words) => count.bind(words),
            None => count,
        };
        let text = self.text(dialect, server_id);
        let statements = text.into_iter().chain([count]).collect();
        session.execute_all(statements).await
    }

    /// Writes the server's words, where they are not in its row.
    pub(super) fn text(&self, dialect: Dialect, server_id: i64) -> Option<Statement> {
        let text = "INSERT OR REPLACE INTO server_text (rowid, words) VALUES ($1, $2)";
        (dialect == Dialect::Sqlite).then(|| {
            Statement::new(text)
                .bind(server_id)
                .bind(self.words.to_text(self.tenant_id))
        })
    }

    /// Writes the tools of a server that has none. What is given has to be run as well.
    pub(super) async fn add(
        &self,
        session: &mut Session,
        server_id: i64,
    ) -> Result<Vec<Statement>, Failure> {
        self.write(session, server_id, Vec::new()).await
    }

    /// Writes them in place of those that the server has. Rows of tools that stay keep their
    /// number. What is given has to be run as well.
    pub(super) async fn replace(
        &self,
        session: &mut Session,
        server_id: i64,
    ) -> Result<Vec<Statement>, Failure> {
        let before = stored_tools(session, server_id).await?;
        self.write(session, server_id, before).await
    }

    async fn write(
        &self,
        session: &mut Session,
        server_id: i64,
        before: Vec<StoredRow>,
    ) -> Result<Vec<Statement>, Failure> {
        let dialect = session.dialect();
        let tools = self.tools.clone();
        let difference = blocking(move || Difference::new(&tools, before)).await?;
        if let Some(gone) = &difference.gone {
            let (sqlite, postgres) = GONE;
            let gone = Statement::new(dialect.choose(sqlite, postgres)).bind(gone);
            session.execute(gone).await?;
        }
        let mut numbers = HashMap::new();
        if let Some(written) = &difference.written {
            let (sqlite, postgres) = WRITE;
            let write = Statement::new(dialect.choose(sqlite, postgres))
                .bind(self.tenant_id)
                .bind(server_id)
                .bind(&self.server)
                .bind(written);
            for row in session.fetch_all(write).await? {
                numbers.insert(row.get::<String>("name")?, row.get("id")?);
            }
        }
        let tools = self.tools.clone();
        let change = blocking(move || {
            let mut postings = difference.before;
            for tool in tools.iter() {
                if let Some(id) = numbers.get(&tool.name) {
                    postings.after(*id, tool.terms.iter().cloned());
                }
            }
            postings.change()
        });
        Ok(change.await?.statements(dialect, self.tenant_id))
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
        let change = change.await?.statements(session.dialect(), tenant_id);
        session.execute_all(change).await
    }
}

/// What is to be written, as JSON, where there is any.
struct Difference {
    /// The numbers of tools that the server has no more.
    gone: Option<String>,
    /// The tools that are new or another.
    written: Option<String>,
    /// With what those that are gone or another were found by.
    before: Postings,
}

impl Difference {
    fn new(tools: &[ToolRow], before: Vec<StoredRow>) -> Result<Self> {
        let unwritable = |error| Error::internal("tools cannot be written").caused_by(error);
        let mut known: HashMap<&str, &StoredRow> = before
            .iter()
            .map(|tool| (tool.name.as_str(), tool))
            .collect();
        let mut postings = Postings::default();
        let mut written = Vec::new();
        for tool in tools {
            let same = match known.remove(tool.name.as_str()) {
                Some(stored) if stored.is(tool) => true,
                Some(stored) => {
                    postings.before(stored.id, stored.terms());
                    false
                }
                None => false,
            };
            if !same {
                written.push(tool);
            }
        }
        let mut gone = Vec::new();
        for stored in known.into_values() {
            postings.before(stored.id, stored.terms());
            gone.push(stored.id);
        }
        let list = |list: serde_json::Result<String>| list.map_err(unwritable);
        Ok(Self {
            gone: (!gone.is_empty())
                .then(|| list(serde_json::to_string(&gone)))
                .transpose()?,
            written: (!written.is_empty())
                .then(|| list(serde_json::to_string(&written)))
                .transpose()?,
            before: postings,
        })
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
            let rows = blocking(move || Ok(ToolRows::of_plan(&server, tenant_id))).await?;
            let id = row.get("id")?;
            rows.count(&mut session, id).await?;
            let rest = rows.replace(&mut session, id).await?;
            session.execute_all(rest).await?;
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

    fn is(&self, tool: &ToolRow) -> bool {
        self.kind == tool.kind && self.title == tool.title && self.description == tool.description
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
