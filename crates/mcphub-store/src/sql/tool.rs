//! Tools in rows of their own: written with their server, found by words.

use mcphub_core::server::ServerName;
use mcphub_core::store::{FoundTool, Registration, ToolPage, ToolPlace, ToolSearch};
use mcphub_core::tool::{ToolAnnotations, ToolKind, ToolName};
use mcphub_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::server::{number, stored};
use super::statement::{Row, Statement};
use super::words::{SPELLINGS_OF_TOOLS, Wanted, Words};
use super::{Dialect, Session, SqlStore, blocking};

/// Servers whose tools are indexed in one transaction.
const BATCH: u32 = 50;

/// Tools after a number that have the words. SQLite gives what it finds in the order of the rows.
const FOUND_IN_SQLITE: &str = "
    SELECT tool.id, tool.server, tool.name, tool.title, tool.description, tool.kind
    FROM tool_text
    CROSS JOIN tool ON tool.id = tool_text.rowid
    CROSS JOIN server ON server.id = tool.server_id
    WHERE tool_text MATCH $2 AND tool_text.rowid > $1
      AND ($3 IS NULL OR tool.kind = $3) AND server.removed_at IS NULL
    ORDER BY tool_text.rowid
    LIMIT $4";

/// PostgreSQL knows nothing of how frequent the beginning of a word is, and would look for a rare one
/// in the order of the rows, that is in all of them: `+ 0` keeps it to the index of words, and a
/// subquery to the servers of what was found.
const FOUND_IN_POSTGRES: &str = "
    SELECT tool.id, tool.server, tool.name, tool.title, tool.description, tool.kind
    FROM tool
    WHERE tool.words @@ CAST($2 AS tsquery) AND tool.id > $1
      AND ($3 IS NULL OR tool.kind = $3)
      AND (SELECT removed_at FROM server WHERE id = tool.server_id) IS NULL
    ORDER BY tool.id + 0
    LIMIT $4";

/// The index of words gives all that it finds before the first, and of a word that most tools have
/// that is too much: so the next rows are looked at before it is asked. What fills a page among them is
/// that page.
const NEAR_IN_POSTGRES: &str = "
    SELECT tool.id, tool.server, tool.name, tool.title, tool.description, tool.kind
    FROM (SELECT * FROM tool WHERE id > $1 ORDER BY id LIMIT 200) AS tool
    WHERE tool.words @@ CAST($2 AS tsquery)
      AND ($3 IS NULL OR tool.kind = $3)
      AND (SELECT removed_at FROM server WHERE id = tool.server_id) IS NULL
    ORDER BY tool.id
    LIMIT $4";

const COUNT_IN_SQLITE: &str = "
    UPDATE server SET indexed = revision, read_only = $2, additive = $3, destructive = $4
    WHERE id = $1";

/// All of it in one statement, because each is a journey.
const WRITE_IN_POSTGRES: &str = "
    WITH given AS (
        SELECT * FROM json_to_recordset(CAST($8 AS json))
            AS given (name TEXT, kind TEXT, title TEXT, description TEXT, words TEXT)
    ), counted AS (
        UPDATE server SET indexed = revision, read_only = $2, additive = $3, destructive = $4,
                          words = CAST($7 AS tsvector)
        WHERE id = $1
    ), gone AS (
        DELETE FROM tool WHERE server_id = $1 AND name NOT IN (SELECT name FROM given)
    )
    INSERT INTO tool (tenant_id, server_id, server, name, kind, title, description, words)
    SELECT $5, $1, $6, name, kind, title, description, CAST(words AS tsvector) FROM given
    ON CONFLICT (server_id, name) DO UPDATE SET
        kind = excluded.kind, title = excluded.title, description = excluded.description,
        words = excluded.words
    WHERE (tool.kind, tool.title, tool.description, tool.words)
        IS DISTINCT FROM (excluded.kind, excluded.title, excluded.description, excluded.words)";

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
}

/// A tool, as JSON that a statement reads.
#[derive(Serialize)]
struct Entry {
    name: String,
    kind: &'static str,
    title: Option<String>,
    description: String,
    /// As the engine has them.
    words: String,
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
    pub(super) fn of_tools(
        registration: &Registration,
        tenant_id: i64,
        dialect: Dialect,
    ) -> Result<Self> {
        let tools = registration.tools.tools.iter().map(|tool| {
            let (name, title) = (tool.name.as_str(), tool.title.as_deref());
            (name, title, tool.description.as_str(), &tool.annotations)
        });
        let (name, title) = (registration.name.as_str(), &registration.tools.api.title);
        Self::new(tenant_id, dialect, name, title, tools)
    }

    /// The rows of a server that is stored. A plan that cannot be read has no tools: it is damaged,
    /// and its server can be registered again.
    pub(super) fn of_plan(server: &StoredServer, tenant_id: i64, dialect: Dialect) -> Result<Self> {
        let plan = serde_json::from_str(&server.plan);
        let plan: StoredPlan = plan.unwrap_or(StoredPlan { tools: Vec::new() });
        let tools = plan.tools.iter().map(|tool| {
            let (name, title) = (tool.name.as_str(), tool.title.as_deref());
            (name, title, tool.description.as_str(), &tool.annotations)
        });
        Self::new(tenant_id, dialect, &server.name, &server.title, tools)
    }

    fn new<'t>(
        tenant_id: i64,
        dialect: Dialect,
        server: &str,
        title: &str,
        tools: impl Iterator<Item = (&'t str, Option<&'t str>, &'t str, &'t ToolAnnotations)>,
    ) -> Result<Self> {
        let mut counts = [0; 3];
        let entries = tools.map(|(name, title, description, annotations)| {
            let kind = ToolKind::from(annotations);
            for (count, of) in counts.iter_mut().zip(ToolKind::ALL) {
                *count += i64::from(of == kind);
            }
            let words = Words::of(&[name, title.unwrap_or_default()], description);
            Entry {
                name: name.to_owned(),
                kind: kind.as_str(),
                title: title.map(without_nul),
                description: without_nul(description),
                words: match dialect {
                    Dialect::Sqlite => words.to_text(tenant_id),
                    Dialect::Postgres => words.to_vector(tenant_id),
                },
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
        })
    }

    /// Writes them in place of those that the server has. Rows of tools that stay keep their
    /// number.
    pub(super) async fn replace(
        &self,
        session: &mut Session,
        server_id: i64,
    ) -> Result<(), Failure> {
        match session.dialect() {
            Dialect::Sqlite => self.replace_in_sqlite(session, server_id).await,
            Dialect::Postgres => {
                let words = self.words.to_vector(self.tenant_id);
                let write = self.counted(WRITE_IN_POSTGRES, server_id);
                let write = write
                    .bind(self.tenant_id)
                    .bind(&self.server)
                    .bind(words)
                    .bind(&self.entries);
                session.execute(write).await?;
                Ok(())
            }
        }
    }

    async fn replace_in_sqlite(&self, session: &mut Session, id: i64) -> Result<(), Failure> {
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
                kind = excluded.kind, title = excluded.title, description = excluded.description";
        let add = Statement::new(add)
            .bind(self.tenant_id)
            .bind(id)
            .bind(&self.server)
            .bind(&self.entries);
        session.execute(add).await?;
        let text = "INSERT OR REPLACE INTO tool_text (rowid, words)
            SELECT tool.id, value ->> 'words'
            FROM json_each($2) CROSS JOIN tool
            WHERE tool.server_id = $1 AND tool.name = value ->> 'name'";
        let text = Statement::new(text).bind(id).bind(&self.entries);
        session.execute(text).await?;
        Ok(())
    }

    fn counted(&self, sql: &'static str, server_id: i64) -> Statement {
        let counted = Statement::new(sql).bind(server_id);
        self.counts
            .iter()
            .fold(counted, |it, count| it.bind(*count))
    }
}

impl SqlStore {
    pub(super) async fn find_tools(&self, search: &ToolSearch) -> Result<ToolPage, Failure> {
        if !(1..=1_000).contains(&search.limit) {
            return Err(Error::invalid("a page has 1 to 1,000 tools")
                .with("limit", search.limit)
                .into());
        }
        let mut wanted = Wanted::new(&search.text)?;
        let (by_heading, by_description) = match search.after {
            None => (Some(0), 0),
            Some(ToolPlace { class: 0, tool }) => (Some(tool), 0),
            Some(ToolPlace { tool, .. }) => (None, tool),
        };
        let mut session = self.engine().read().await?;
        let dialect = session.dialect();
        wanted.spell(&mut session, SPELLINGS_OF_TOOLS).await?;
        // By name and title first. One more than asked for tells whether there is a next page.
        let mut places: Vec<(ToolPlace, FoundTool)> = Vec::new();
        if let Some(after) = by_heading {
            let words = wanted.in_heading(dialect, self.tenant_id);
            let found = find(&mut session, search, words, after, search.limit + 1).await?;
            places.extend(in_class(0, found)?);
        }
        let left = (search.limit + 1).saturating_sub(u32::try_from(places.len()).unwrap_or(0));
        if left > 0 {
            let words = wanted.elsewhere(dialect, self.tenant_id);
            let found = find(&mut session, search, words, by_description, left).await?;
            places.extend(in_class(1, found)?);
        }
        drop(session);
        let more = places.len() > search.limit as usize;
        places.truncate(search.limit as usize);
        let next = places.last().filter(|_| more).map(|(place, _)| *place);
        let tools = places.into_iter().map(|(_, tool)| tool).collect();
        Ok(ToolPage { tools, next })
    }

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
        let dialect = session.dialect();
        for row in &rows {
            let server = StoredServer {
                name: row.get("name")?,
                title: row.get("title")?,
                plan: row.get("json")?,
            };
            let rows = blocking(move || ToolRows::of_plan(&server, tenant_id, dialect)).await?;
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

/// At most so many tools after one, that a query finds.
async fn find(
    session: &mut Session,
    search: &ToolSearch,
    words: String,
    after: u64,
    limit: u32,
) -> Result<Vec<Row>, Failure> {
    let query = |sql| {
        Statement::new(sql)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(&words)
            .bind(search.kind.map(ToolKind::as_str))
            .bind(limit)
    };
    if session.dialect() == Dialect::Sqlite {
        return session.fetch_all(query(FOUND_IN_SQLITE)).await;
    }
    let near = session.fetch_all(query(NEAR_IN_POSTGRES)).await?;
    if near.len() == limit as usize {
        return Ok(near);
    }
    let found = query(FOUND_IN_POSTGRES).planned_anew();
    session.fetch_all(found).await
}

fn in_class(class: u8, rows: Vec<Row>) -> Result<Vec<(ToolPlace, FoundTool)>, Failure> {
    let found = rows.iter().map(|row| {
        let tool = number(row.get("id")?)?;
        Ok((ToolPlace { class, tool }, found(row)?))
    });
    found.collect()
}

fn found(row: &Row) -> Result<FoundTool, Failure> {
    Ok(FoundTool {
        server: stored(ServerName::new(row.get::<String>("server")?))?,
        name: stored(ToolName::new(row.get::<String>("name")?))?,
        title: row.get("title")?,
        description: row.get("description")?,
        kind: stored(row.get::<String>("kind")?.parse())?,
    })
}
