//! Registered servers: reading and removing them.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::audit::Action;
use mcphub_core::server::{ServerName, ServerRecord};
use mcphub_core::store::{
    Listing, Page, Registration, Saved, ServerFilter, ServerRevision, ServerStatus, ServerStore,
    ServerSummary, ToolPage, ToolSearch,
};
use mcphub_core::tool::{PLAN_VERSION, ToolKind};
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::json;
use url::Url;

use super::failure::Failure;
use super::statement::{Row, Statement};
use super::tool::ToolRows;
use super::words::Wanted;
use super::{Dialect, Session, SqlStore, blocking, document, now, page_limit};

/// The plan only where it can be read.
const BY_NAME: &str = "
    SELECT server.source, version.digest, server.serve, server.base_url, server.artifact,
           server.revision, server.plan_version, server.choices,
           CASE WHEN server.plan_version = $3 THEN tool_set.json END AS tools
    FROM server
    JOIN tool_set ON tool_set.server_id = server.id
    JOIN document_version AS version ON version.server_id = server.id AND version.current = 1
    WHERE server.tenant_id = $1 AND server.name = $2 AND server.removed_at IS NULL";

const BY_SOURCE: &str = "
    SELECT name FROM server
    WHERE tenant_id = $1 AND source = $2 AND removed_at IS NULL
    ORDER BY name
    LIMIT 1";

const COLUMNS: &str = "
    SELECT server.name, server.title, server.source, server.serve, server.base_url, server.tools,
           server.revision, server.plan_version, server.choices";

/// All servers of a tenant after a name.
const AFTER: &str = "
    FROM server
    WHERE server.tenant_id = $1 AND server.name > $2";

/// The next of them. PostgreSQL cannot tell how many have a word: it would look for a rare one among
/// all, in the order of names, and its index of words gives all of a frequent one before the first. So
/// the next are looked at before the index is asked, and what fills a page among them is that page.
const NEXT: &str = "
    FROM (SELECT * FROM server WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT 200) AS server
    WHERE TRUE";

/// Those that have a tool of a name.
const WITH_TOOL_AFTER: &str = "
    FROM tool
    JOIN server ON server.id = tool.server_id
    WHERE tool.tenant_id = $1 AND tool.server > $2 AND tool.name = $?";

#[async_trait]
impl ServerStore for SqlStore {
    async fn save(&self, registration: &Registration) -> Result<Saved> {
        let outcome = self.write(registration, None).await;
        self.explain("store::save", outcome)
    }

    async fn replace(&self, registration: &Registration, revision: u64) -> Result<Saved> {
        let outcome = self.write(registration, Some(revision)).await;
        self.explain("store::replace", outcome)
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

    async fn revisions(&self) -> Result<Vec<ServerRevision>> {
        let outcome = self.read_revisions().await;
        self.explain("store::revisions", outcome)
    }

    async fn search(&self, search: &ToolSearch) -> Result<ToolPage> {
        let outcome = self.find_tools(search).await;
        self.explain("store::search", outcome)
    }

    async fn remove(&self, name: &ServerName) -> Result<bool> {
        let outcome = self.hide(name).await;
        self.explain("store::remove", outcome)
    }

    async fn restore(&self, name: &ServerName) -> Result<Option<u64>> {
        let outcome = self.bring_back(name).await;
        self.explain("store::restore", outcome)
    }

    async fn purge(&self, name: &ServerName) -> Result<bool> {
        let outcome = self.delete_removed(name, i64::MAX).await;
        self.explain("store::purge", outcome)
    }

    async fn purge_removed(&self, before: i64, limit: u32) -> Result<u64> {
        let outcome = self.delete_old(before, limit).await;
        self.explain("store::purge_removed", outcome)
    }

    async fn registry_version(&self) -> Result<u64> {
        let outcome = self.read_version().await;
        self.explain("store::registry_version", outcome)
    }
}

/// Which servers a page is looked for among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The next 200.
    Next,
    All,
}

impl SqlStore {
    async fn read(&self, name: &ServerName) -> Result<Option<ServerRecord>, Failure> {
        let query = Statement::new(BY_NAME)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(PLAN_VERSION);
        let row = self.engine().read().await?.fetch_optional(query).await?;
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
            choices: stored(serde_json::from_str(&row.get::<String>("choices")?))?,
            tools: Arc::new(tools),
            artifact: stored(artifact.transpose())?,
            revision: number(row.get("revision")?)?,
        }))
    }

    async fn read_name(&self, source: &str) -> Result<Option<ServerName>, Failure> {
        let query = Statement::new(BY_SOURCE).bind(self.tenant_id).bind(source);
        let row = self.engine().read().await?.fetch_optional(query).await?;
        let name: Option<String> = row.map(|row| row.get("name")).transpose()?;
        Ok(stored(name.map(ServerName::new).transpose())?)
    }

    async fn read_page(&self, page: &Page) -> Result<Listing, Failure> {
        if !(1..=1_000).contains(&page.limit) {
            return Err(Error::invalid("a page has 1 to 1,000 servers")
                .with("limit", page.limit)
                .into());
        }
        let after = page.after.as_ref().map_or("", ServerName::as_str);
        // One more than asked for tells whether there is a next page.
        let mut session = self.engine().read().await?;
        let mut words = page.filter.text.as_deref().map(Wanted::new).transpose()?;
        if let Some(words) = &mut words {
            words.spell(&mut session).await?;
        }
        let limit = page.limit + 1;
        let (filter, words) = (&page.filter, words.as_ref());
        let postgres = session.dialect() == Dialect::Postgres;
        let mut rows = Vec::new();
        if postgres && words.is_some() && filter.tool.is_none() {
            let next = self.filtered(after, filter, words, Reach::Next, limit);
            rows = session.fetch_all(next).await?;
        }
        if rows.len() < limit as usize {
            let query = self.filtered(after, filter, words, Reach::All, limit);
            rows = session.fetch_all(query).await?;
        }
        let more = rows.len() > page.limit as usize;
        let servers = rows.iter().take(page.limit as usize).map(summary);
        let servers: Vec<_> = servers.collect::<Result<_, Failure>>()?;
        let next = servers.last().filter(|_| more);
        let next = next.map(|last| last.name.clone());
        Ok(Listing { servers, next })
    }

    /// Servers after a name, with as many conditions as there are: each set of them is a statement
    /// of its own, so that each is planned with the index that is made for it.
    fn filtered(
        &self,
        after: &str,
        filter: &ServerFilter,
        words: Option<&Wanted>,
        reach: Reach,
        limit: u32,
    ) -> Statement {
        let query = Statement::new(COLUMNS).bind(self.tenant_id).bind(after);
        let dialect = self.engine().dialect();
        let (mut query, order) = match &filter.tool {
            None if reach == Reach::Next => (query.then(NEXT), " ORDER BY server.name"),
            // Not in the order of its index, which has all servers.
            None if words.is_some() && dialect == Dialect::Postgres => {
                (query.then(AFTER), " ORDER BY server.name || ''")
            }
            None => (query.then(AFTER), " ORDER BY server.name"),
            Some(tool) => (
                query.then_with(WITH_TOOL_AFTER, tool.as_str()),
                " ORDER BY tool.server",
            ),
        };
        query = match filter.status {
            ServerStatus::Removed => query.then(" AND server.removed_at IS NOT NULL"),
            ServerStatus::Outdated => query
                .then(" AND server.removed_at IS NULL")
                .then_with(" AND server.plan_version <> $?", PLAN_VERSION),
            _ => query.then(" AND server.removed_at IS NULL"),
        };
        if let Some(serve) = filter.serve {
            query = query.then_with(" AND server.serve = $?", serve.as_str());
        }
        match filter.kind {
            Some(ToolKind::ReadOnly) => query = query.then(" AND server.read_only > 0"),
            Some(ToolKind::Additive) => query = query.then(" AND server.additive > 0"),
            Some(ToolKind::Destructive) => query = query.then(" AND server.destructive > 0"),
            // A kind that this version does not know is none of a tool that is stored.
            Some(_) => query = query.then(" AND 1 = 0"),
            None => {}
        }
        if let Some(words) = words {
            let words = words.in_heading(dialect, self.tenant_id);
            let condition = dialect.choose(
                " AND server.id IN (SELECT rowid FROM server_text WHERE server_text MATCH $?)",
                " AND server.words @@ CAST($? AS tsquery)",
            );
            query = query.then_with(condition, words);
            if reach == Reach::All {
                query = query.planned_anew();
            }
        }
        query.then(order).then_with(" LIMIT $?", limit)
    }

    /// All in one value: a row for each server would take ten times as long.
    async fn read_revisions(&self) -> Result<Vec<ServerRevision>, Failure> {
        let query = self.engine().dialect().choose(
            "SELECT group_concat(name || ' ' || revision || ' ' || plan_version || ' ' || serve, char(10)) AS all_of_them
             FROM server WHERE tenant_id = $1 AND removed_at IS NULL",
            "SELECT string_agg(name || ' ' || revision || ' ' || plan_version || ' ' || serve, E'\\n') AS all_of_them
             FROM server WHERE tenant_id = $1 AND removed_at IS NULL",
        );
        let query = Statement::new(query).bind(self.tenant_id);
        let row = self.engine().read().await?.fetch_one(query).await?;
        let text: Option<String> = row.get("all_of_them")?;
        let lines = text.as_deref().unwrap_or_default().lines();
        let mut revisions: Vec<_> = lines.map(revision).collect::<Result<_>>()?;
        // As a list has them, in the order of their bytes.
        revisions.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(revisions)
    }

    async fn hide(&self, name: &ServerName) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let hide = "UPDATE server SET removed_at = $3
            WHERE tenant_id = $1 AND name = $2 AND removed_at IS NULL";
        let hide = Statement::new(hide)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(now());
        if session.execute(hide).await? == 0 {
            return Ok(false);
        }
        session.tenant()?.next_revision();
        self.record(&mut session, Action::SERVER_REMOVE, target(name), json!({}))
            .await?;
        session.commit().await?;
        Ok(true)
    }

    async fn bring_back(&self, name: &ServerName) -> Result<Option<u64>, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        let revision = session.tenant()?.next_revision();
        let show = "UPDATE server
            SET removed_at = NULL, revision = $3, updated_at = $4,
                indexed = CASE WHEN indexed = revision THEN $3 ELSE indexed END
            WHERE tenant_id = $1 AND name = $2 AND removed_at IS NOT NULL";
        let show = Statement::new(show)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(revision)
            .bind(now());
        if session.execute(show).await? == 0 {
            // Without a commit the revision is not used.
            return Ok(None);
        }
        self.refuse_virtual_name(&mut session, name).await?;
        let detail = json!({ "revision": revision });
        self.record(&mut session, Action::SERVER_RESTORE, target(name), detail)
            .await?;
        session.commit().await?;
        Ok(Some(number(revision)?))
    }

    async fn delete_old(&self, before: i64, limit: u32) -> Result<u64, Failure> {
        page_limit(limit)?;
        let old = "SELECT name FROM server
            WHERE tenant_id = $1 AND removed_at IS NOT NULL AND removed_at < $2
            ORDER BY name LIMIT $3";
        let old = Statement::new(old)
            .bind(self.tenant_id)
            .bind(before)
            .bind(limit);
        let rows = self.engine().read().await?.fetch_all(old).await?;
        let mut purged = 0;
        // Each by itself: one may have megabytes, and others want to write.
        for row in rows {
            let name = stored(ServerName::new(row.get::<String>("name")?))?;
            purged += u64::from(self.delete_removed(&name, before).await?);
        }
        Ok(purged)
    }

    async fn delete_removed(&self, name: &ServerName, before: i64) -> Result<bool, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        if !self.forget_removed(&mut session, name, before).await? {
            return Ok(false);
        }
        self.record(&mut session, Action::SERVER_PURGE, target(name), json!({}))
            .await?;
        session.commit().await?;
        Ok(true)
    }

    /// Deletes a server that was removed before that time, with all that belongs to it. Whether there
    /// was one.
    pub(super) async fn forget_removed(
        &self,
        session: &mut Session,
        name: &ServerName,
        before: i64,
    ) -> Result<bool, Failure> {
        let removed = "SELECT id FROM server
            WHERE tenant_id = $1 AND name = $2 AND removed_at < $3";
        let removed = Statement::new(removed)
            .bind(self.tenant_id)
            .bind(name.as_str())
            .bind(before);
        let Some(row) = session.fetch_optional(removed).await? else {
            return Ok(false);
        };
        let id: i64 = row.get("id")?;
        let digests = document::digests(session, id).await?;
        ToolRows::forget(session, self.tenant_id, id).await?;
        let delete = Statement::new("DELETE FROM server WHERE id = $1").bind(id);
        session.execute(delete).await?;
        document::forget(session, self.tenant_id, &digests).await?;
        Ok(true)
    }

    async fn read_version(&self) -> Result<u64, Failure> {
        // Whoever serves asks for it twice a second, and has to notice.
        self.engine().refuse_if_gone().await?;
        let query = "SELECT version FROM tenant WHERE id = $1";
        let query = Statement::new(query).bind(self.tenant_id);
        let row = self.engine().read().await?.fetch_one(query).await?;
        Ok(number(row.get("version")?)?)
    }
}

/// What the audit log calls a server.
pub(super) fn target(name: &ServerName) -> String {
    format!("server:{name}")
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
        choices: stored(serde_json::from_str(&row.get::<String>("choices")?))?,
    })
}

/// What [`SqlStore::read_revisions`] asks of one server.
fn revision(line: &str) -> Result<ServerRevision> {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_default();
    Ok(ServerRevision {
        name: stored(ServerName::new(next()))?,
        revision: stored(next().parse())?,
        plan_version: stored(next().parse())?,
        serve: stored(next().parse())?,
    })
}

/// What is wrong with a stored value is no caller's fault, whatever its type says.
pub(super) fn stored<T, E>(outcome: Result<T, E>) -> Result<T>
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
