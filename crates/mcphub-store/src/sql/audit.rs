//! The audit log: written with the change that it tells of, in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::audit::{
    Action, AuditEntry, AuditHead, AuditNote, AuditPage, AuditQuery, Hash, Order, Pruned,
};
use mcphub_core::store::{AuditRetention, AuditStore};
use mcphub_core::tenant::{Actor, TenantName};
use mcphub_core::{Error, Result};
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::server::number;
use super::statement::{self, Row, Statement};
use super::{Dialect, Session, SqlStore, now};

/// What has to be known of a tenant before it is changed.
const TENANT: &str = "
    SELECT version, audit_sequence, audit_hash, audit_at FROM tenant WHERE id = ";

const ENTRIES: &str = "
    SELECT sequence, at, actor, action, target, detail, hash FROM audit
    WHERE tenant_id = $1";

/// The first entry that is not from before a time. Times do not go back in a log, so that they are
/// bounds of its numbers.
const FROM: &str = "coalesce(
        (SELECT sequence FROM audit WHERE tenant_id = $1 AND at >= $?
         ORDER BY at, sequence LIMIT 1), 9223372036854775807)";

/// The row of a tenant, in a transaction that nobody else changes it beside.
pub(crate) struct HeldTenant {
    id: i64,
    /// How often its servers changed.
    version: i64,
    /// Where its log ends.
    head: AuditHead,
    /// Where it ended when the row was read.
    was: AuditHead,
    /// The time of the newest entry.
    at: i64,
    changed: bool,
    /// Entries that the transaction adds, written when it ends: with the head, in one statement.
    entries: Vec<AuditEntry>,
}

impl HeldTenant {
    /// What begins a transaction on PostgreSQL, and gives the row there unless somebody else changes the
    /// tenant. It is the first statement, so that every later one sees what the holder before has
    /// committed, and two writers never wait for each other.
    #[cfg(feature = "postgres")]
    pub(super) fn begin(id: i64) -> String {
        format!("BEGIN; {TENANT}{id} FOR UPDATE SKIP LOCKED")
    }

    /// What begins a transaction on SQLite, where it waits for whoever else writes, and gives the row.
    #[cfg(feature = "sqlite")]
    pub(super) fn begin_immediately(id: i64) -> Statement {
        let begin = Statement::new("BEGIN IMMEDIATE; ");
        begin.then(TENANT).then("$1").bind(id)
    }

    /// The row as it is now.
    #[cfg(feature = "postgres")]
    pub(super) fn look(id: i64) -> Statement {
        Statement::new(TENANT).then("$1").bind(id)
    }

    /// The row, once whoever changes the tenant has ended.
    pub(super) async fn wait(session: &mut Session, id: i64) -> Result<Row, Failure> {
        let held = session.dialect().choose("$1", "$1 FOR UPDATE");
        let row = Statement::new(TENANT).then(held).bind(id);
        session.fetch_one(row).await
    }

    pub(super) fn new(id: i64, row: &Row) -> Result<Self, Failure> {
        let head = head_in(row)?;
        Ok(Self {
            id,
            version: row.get("version")?,
            was: head,
            head,
            at: row.get("audit_at")?,
            changed: false,
            entries: Vec::new(),
        })
    }

    /// Counts a change of the servers, and gives its number.
    pub(super) fn next_revision(&mut self) -> i64 {
        self.version += 1;
        self.changed = true;
        self.version
    }

    /// Adds the next entry of its log.
    pub(super) fn note(&mut self, name: &TenantName, note: AuditNote) {
        let mut entry = AuditEntry {
            sequence: self.head.sequence + 1,
            // A clock that was set back takes no entry before the one that it follows.
            at: note.at.max(self.at),
            actor: note.actor,
            action: note.action,
            target: note.target,
            detail: note.detail,
            hash: Hash::default(),
        };
        entry.hash = entry.hash_after(&self.head.hash, name);
        (self.head.sequence, self.head.hash) = (entry.sequence, entry.hash);
        (self.at, self.changed) = (entry.at, true);
        self.entries.push(entry);
    }

    /// Writes what is left to be written of it, but for the last of it, which it gives.
    pub(super) async fn settle(self, session: &mut Session) -> Result<Vec<Statement>, Failure> {
        if !self.changed {
            return Ok(Vec::new());
        }
        let mut last = Vec::new();
        let mut entries = self.entries.into_iter();
        while entries.len() > 0 {
            let most = entries.len().min(at_once(session.dialect()));
            // A power of two, so that there are few statements to be prepared, but for the last of
            // PostgreSQL's: they go with the head.
            let all = session.dialect() == Dialect::Postgres && most == entries.len();
            let some = if all { most } else { 1 << most.ilog2() };
            let add = adding(session.dialect(), self.id, entries.by_ref().take(some))?;
            if entries.len() > 0 {
                session.execute(add).await?;
            } else {
                last.push(add);
            }
        }
        let head = "UPDATE tenant
            SET version = $2, audit_sequence = $3, audit_hash = $4, audit_at = $5
            WHERE id = $1";
        let head = Statement::new(head)
            .bind(self.id)
            .bind(self.version)
            .bind(i64::try_from(self.head.sequence).unwrap_or(i64::MAX))
            .bind(self.head.hash.0.as_slice())
            .bind(self.at);
        last.push(head);
        Ok(last)
    }

    /// What gives a row, and holds it, unless it is another than the one that was read.
    pub(super) fn held(&self) -> Statement {
        let held = "SELECT id FROM tenant
            WHERE id = $1 AND audit_sequence = $2 AND audit_hash = $3 FOR UPDATE";
        Statement::new(held)
            .bind(self.id)
            .bind(i64::try_from(self.was.sequence).unwrap_or(i64::MAX))
            .bind(self.was.hash.0.as_slice())
    }

    /// Adds what is written of it, if a change is made, to the steps of that.
    pub(super) fn settle_if(
        self,
        dialect: Dialect,
        mut steps: Vec<Statement>,
    ) -> Result<Vec<Statement>, Failure> {
        for entry in self.entries {
            let add = "INSERT INTO audit
                    (tenant_id, sequence, at, actor, action, target, detail, hash)
                SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE ";
            let add = Statement::new(add).then(dialect.made());
            let texts = (entry.actor.as_str().into(), entry.action.as_str().into());
            let values = values(self.id, entry, texts)?;
            steps.push(values.into_iter().fold(add, Statement::bind));
        }
        let head = "UPDATE tenant SET audit_sequence = $2, audit_hash = $3, audit_at = $4
            WHERE id = $1 AND ";
        let head = Statement::new(head)
            .then(dialect.made())
            .bind(self.id)
            .bind(i64::try_from(self.head.sequence).unwrap_or(i64::MAX))
            .bind(self.head.hash.0.as_slice())
            .bind(self.at);
        steps.push(head);
        Ok(steps)
    }
}

/// The last entry that goes.
struct Last {
    sequence: i64,
    hash: Hash,
}

#[async_trait]
impl AuditStore for SqlStore {
    async fn audit(&self, query: &AuditQuery) -> Result<AuditPage> {
        let outcome = self.read_audit(query).await;
        self.explain("store::audit", outcome)
    }

    async fn audit_head(&self) -> Result<AuditHead> {
        let outcome = async {
            let mut session = self.engine().read().await?;
            head(&mut session, self.tenant_id).await
        };
        self.explain("store::audit_head", outcome.await)
    }

    async fn note(&self, notes: &[AuditNote]) -> Result<()> {
        let outcome = self.write_notes(notes).await;
        self.explain("store::note", outcome)
    }
}

#[async_trait]
impl AuditRetention for SqlStore {
    async fn prune_audit(&self, before: i64, limit: u32) -> Result<u64> {
        let outcome = self.remove_oldest(before, limit).await;
        self.explain("store::prune_audit", outcome)
    }
}

impl SqlStore {
    async fn remove_oldest(&self, before: i64, limit: u32) -> Result<u64, Failure> {
        if !(1..=Pruned::MAX).contains(&limit) {
            return Err(Error::invalid("1 to 10,000 entries are removed at once")
                .with("limit", limit)
                .into());
        }
        // Who finds nothing to remove keeps no writer waiting.
        let mut session = self.engine().read().await?;
        if self.oldest(&mut session, before, 1).await?.is_none() {
            return Ok(0);
        }
        drop(session);
        let mut session = self.engine().write(self.tenant_id).await?;
        let Some(last) = self.oldest(&mut session, before, limit).await? else {
            return Ok(0);
        };
        // What the schema asks for before it lets an entry go.
        let allow = "UPDATE tenant SET audit_pruned = $2 WHERE id = $1";
        let allow = Statement::new(allow)
            .bind(self.tenant_id)
            .bind(last.sequence);
        session.execute(allow).await?;
        let remove = "DELETE FROM audit WHERE tenant_id = $1 AND sequence <= $2";
        let remove = Statement::new(remove)
            .bind(self.tenant_id)
            .bind(last.sequence);
        let removed = session.execute(remove).await?;
        let told = Pruned {
            through: number(last.sequence)?,
            hash: last.hash,
            entries: removed,
            before,
        };
        let detail = serde_json::to_value(told).map_err(unreadable)?;
        let target = format!("tenant:{}", self.scope.tenant);
        self.record(&mut session, Action::AUDIT_PRUNE, target, detail)
            .await?;
        session.commit().await?;
        Ok(removed)
    }

    async fn read_audit(&self, query: &AuditQuery) -> Result<AuditPage, Failure> {
        if !(1..=1_000).contains(&query.limit) {
            return Err(Error::invalid("a page has 1 to 1,000 entries")
                .with("limit", query.limit)
                .into());
        }
        let dialect = self.engine().dialect();
        let place = query
            .after
            .map(|after| i64::try_from(after).unwrap_or(i64::MAX));
        let mut select = Statement::new(ENTRIES).bind(self.tenant_id);
        // One bound at each end, because SQLite looks up one and compares the other with each row.
        let order = match query.order {
            Order::OldestFirst => {
                let first = place.map_or(0, |place| place.saturating_add(1));
                let greatest = dialect.choose(
                    " AND sequence >= max($?, ",
                    " AND sequence >= greatest($?, ",
                );
                select = match query.since {
                    Some(since) => select
                        .then_with(greatest, first)
                        .then_with(FROM, since)
                        .then(")"),
                    None => select.then_with(" AND sequence >= $?", first),
                };
                if let Some(until) = query.until {
                    select = select.then(" AND sequence < ").then_with(FROM, until);
                }
                " ORDER BY sequence"
            }
            Order::NewestFirst => {
                let past = place.unwrap_or(i64::MAX);
                let least =
                    dialect.choose(" AND sequence < min($?, ", " AND sequence < least($?, ");
                select = match query.until {
                    Some(until) => select
                        .then_with(least, past)
                        .then_with(FROM, until)
                        .then(")"),
                    None => select.then_with(" AND sequence < $?", past),
                };
                if let Some(since) = query.since {
                    select = select.then(" AND sequence >= ").then_with(FROM, since);
                }
                " ORDER BY sequence DESC"
            }
        };
        // Only conditions that are given, so that each set of them has an index that is made for it.
        if let Some(actor) = &query.actor {
            select = select.then_with(" AND actor = $?", actor.as_str());
        }
        if let Some(action) = &query.action {
            select = select.then_with(" AND action = $?", action.as_str());
        }
        if let Some(target) = &query.target {
            select = select.then_with(" AND target = $?", target);
        }
        let select = select.then(order).then_with(" LIMIT $?", query.limit);
        let rows = self.engine().read().await?.fetch_all(select).await?;
        let entries: Vec<_> = rows.iter().map(entry).collect::<Result<_, Failure>>()?;
        // A full page may be the last one; then the next is empty.
        let last = entries
            .last()
            .filter(|_| rows.len() == query.limit as usize);
        let next = last.map(|last| last.sequence);
        Ok(AuditPage { entries, next })
    }

    async fn write_notes(&self, notes: &[AuditNote]) -> Result<(), Failure> {
        if notes.len() > AuditNote::MAX {
            return Err(Error::invalid("at most 1,000 notes are taken at once")
                .with("notes", notes.len())
                .into());
        }
        if notes.is_empty() {
            return Ok(());
        }
        let mut session = self.engine().write(self.tenant_id).await?;
        let tenant = session.tenant()?;
        for note in notes {
            tenant.note(&self.scope.tenant, note.clone());
        }
        session.commit().await
    }

    /// The last of the oldest entries, at most so many, up to the first that is not from before a time.
    async fn oldest(
        &self,
        session: &mut Session,
        before: i64,
        limit: u32,
    ) -> Result<Option<Last>, Failure> {
        let oldest = "SELECT sequence, at, hash FROM audit
            WHERE tenant_id = $1 ORDER BY sequence LIMIT $2";
        let oldest = Statement::new(oldest).bind(self.tenant_id).bind(limit);
        let mut last = None;
        for row in session.fetch_all(oldest).await? {
            if row.get::<i64>("at")? >= before {
                break;
            }
            last = Some(row);
        }
        let last = last.map(|row| {
            Ok::<_, Failure>(Last {
                sequence: row.get("sequence")?,
                hash: hash(row.get("hash")?)?,
            })
        });
        last.transpose()
    }

    /// Adds an entry under the handle's actor.
    pub(super) async fn record(
        &self,
        session: &mut Session,
        action: Action,
        target: String,
        detail: Value,
    ) -> Result<(), Failure> {
        let actor = self.scope.actor.clone();
        self.record_by(actor, session, action, target, detail).await
    }

    /// Adds an entry under another actor: who was let in.
    pub(super) async fn record_by(
        &self,
        actor: Actor,
        session: &mut Session,
        action: Action,
        target: String,
        detail: Value,
    ) -> Result<(), Failure> {
        let note = Self::note_of(actor, action, target, &detail)?;
        session.tenant()?.note(&self.scope.tenant, note);
        Ok(())
    }

    /// What is told in the log of a change that is made now.
    pub(super) fn note_of(
        actor: Actor,
        action: Action,
        target: String,
        detail: &Value,
    ) -> Result<AuditNote> {
        let detail = RawValue::from_string(detail.to_string()).map_err(unreadable)?;
        Ok(AuditNote {
            at: now(),
            actor,
            action,
            target,
            detail,
        })
    }
}

/// Writes an entry and makes it the head.
pub(super) async fn append(
    session: &mut Session,
    tenant_id: i64,
    entry: &AuditEntry,
) -> Result<(), Failure> {
    let add = adding(session.dialect(), tenant_id, [entry.clone()])?;
    let head = "UPDATE tenant
        SET audit_sequence = $2, audit_hash = $3,
            audit_at = CASE WHEN audit_at < $4 THEN $4 ELSE audit_at END
        WHERE id = $1";
    let head = Statement::new(head)
        .bind(tenant_id)
        .bind(i64::try_from(entry.sequence).map_err(unreadable)?)
        .bind(entry.hash.0.as_slice())
        .bind(entry.at);
    session.execute_all(vec![add, head]).await
}

/// How many entries are added in one statement at most: a power of two. PostgreSQL prepares a
/// statement for each number up to it; SQLite's thread is woken for each statement.
fn at_once(dialect: Dialect) -> usize {
    dialect.choose(256, 64)
}

/// What adds entries, at most [`at_once`]: each statement has a way to the server and back.
fn adding(
    dialect: Dialect,
    tenant_id: i64,
    entries: impl IntoIterator<Item = AuditEntry>,
) -> Result<Statement, Failure> {
    // Most of many entries have these as the one before.
    let (mut actor, mut action) = (Repeated::default(), Repeated::default());
    let row = |entry: AuditEntry| {
        let actor = actor.next(entry.actor.as_str());
        let action = action.next(entry.action.as_str());
        values(tenant_id, entry, (actor, action))
    };
    let rows = entries.into_iter().map(row);
    let rows: Vec<_> = rows.collect::<Result<_, Failure>>()?;
    let add = Statement::new(
        "INSERT INTO audit (tenant_id, sequence, at, actor, action, target, detail, hash)
        VALUES ",
    );
    Ok(add.then_rows(dialect, rows))
}

/// The columns of an entry, in the order of the table; of those with its actor and its action.
fn values(
    tenant_id: i64,
    entry: AuditEntry,
    (actor, action): (Arc<str>, Arc<str>),
) -> Result<[statement::Value; 8], Failure> {
    Ok([
        tenant_id.into(),
        i64::try_from(entry.sequence).map_err(unreadable)?.into(),
        entry.at.into(),
        actor.into(),
        action.into(),
        entry.target.into(),
        String::from(Box::<str>::from(entry.detail)).into(),
        entry.hash.0.into(),
    ])
}

/// A text that is copied where it changes.
#[derive(Default)]
struct Repeated(Option<Arc<str>>);

impl Repeated {
    fn next(&mut self, text: &str) -> Arc<str> {
        let known = self.0.take().filter(|known| **known == *text);
        Arc::clone(self.0.insert(known.unwrap_or_else(|| text.into())))
    }
}

async fn head(session: &mut Session, tenant_id: i64) -> Result<AuditHead, Failure> {
    let head = "SELECT audit_sequence, audit_hash FROM tenant WHERE id = $1";
    let row = session
        .fetch_one(Statement::new(head).bind(tenant_id))
        .await?;
    head_in(&row)
}

fn head_in(row: &Row) -> Result<AuditHead, Failure> {
    Ok(AuditHead {
        sequence: number(row.get("audit_sequence")?)?,
        hash: hash(row.get("audit_hash")?)?,
    })
}

pub(super) fn entry(row: &Row) -> Result<AuditEntry, Failure> {
    Ok(AuditEntry {
        sequence: number(row.get("sequence")?)?,
        at: row.get("at")?,
        actor: Actor::new(row.get::<String>("actor")?).map_err(unreadable)?,
        action: row.get::<String>("action")?.into(),
        target: row.get("target")?,
        detail: RawValue::from_string(row.get("detail")?).map_err(unreadable)?,
        hash: hash(row.get("hash")?)?,
    })
}

fn hash(bytes: Vec<u8>) -> Result<Hash> {
    let bytes = <[u8; 32]>::try_from(bytes);
    bytes
        .map(Hash)
        .map_err(|_| Error::internal("a stored hash has a wrong length"))
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("an entry of the audit log cannot be read").caused_by(error)
}
