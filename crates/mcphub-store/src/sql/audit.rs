//! The audit log: written with the change that it tells of, in one transaction.

use async_trait::async_trait;
use mcphub_core::audit::{Action, AuditEntry, AuditHead, AuditPage, AuditQuery, Hash, Order};
use mcphub_core::store::AuditStore;
use mcphub_core::tenant::Actor;
use mcphub_core::{Error, Result};
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::server::number;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, now};

/// A condition that was not given is met by every entry.
const OLDEST_FIRST: &str = "
    SELECT sequence, at, actor, action, target, detail, hash FROM audit
    WHERE tenant_id = $1 AND sequence > $2
      AND ($3 IS NULL OR actor = $3) AND ($4 IS NULL OR action = $4)
      AND ($5 IS NULL OR target = $5) AND at >= $6 AND at < $7
    ORDER BY sequence
    LIMIT $8";

const NEWEST_FIRST: &str = "
    SELECT sequence, at, actor, action, target, detail, hash FROM audit
    WHERE tenant_id = $1 AND sequence < $2
      AND ($3 IS NULL OR actor = $3) AND ($4 IS NULL OR action = $4)
      AND ($5 IS NULL OR target = $5) AND at >= $6 AND at < $7
    ORDER BY sequence DESC
    LIMIT $8";

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
}

impl SqlStore {
    async fn read_audit(&self, query: &AuditQuery) -> Result<AuditPage, Failure> {
        if !(1..=1_000).contains(&query.limit) {
            return Err(Error::invalid("a page has 1 to 1,000 entries")
                .with("limit", query.limit)
                .into());
        }
        let (select, beginning) = match query.order {
            Order::OldestFirst => (OLDEST_FIRST, 0),
            Order::NewestFirst => (NEWEST_FIRST, i64::MAX),
        };
        let after = query
            .after
            .map_or(beginning, |after| i64::try_from(after).unwrap_or(i64::MAX));
        let select = Statement::new(select)
            .bind(self.tenant_id)
            .bind(after)
            .bind(query.actor.as_ref().map(Actor::as_str))
            .bind(query.action.as_ref().map(Action::as_str))
            .bind(query.target.as_deref())
            .bind(query.since.unwrap_or(i64::MIN))
            .bind(query.until.unwrap_or(i64::MAX))
            .bind(query.limit);
        let rows = self.engine().read().await?.fetch_all(select).await?;
        let entries: Vec<_> = rows.iter().map(entry).collect::<Result<_, Failure>>()?;
        // A full page may be the last one; then the next is empty.
        let last = entries
            .last()
            .filter(|_| rows.len() == query.limit as usize);
        let next = last.map(|last| last.sequence);
        Ok(AuditPage { entries, next })
    }

    /// Adds an entry under the handle's actor.
    pub(super) async fn record(
        &self,
        session: &mut Session,
        action: Action,
        target: String,
        detail: Value,
    ) -> Result<(), Failure> {
        let head = head(session, self.tenant_id).await?;
        let detail = RawValue::from_string(detail.to_string()).map_err(unreadable)?;
        let mut entry = AuditEntry {
            sequence: head.sequence + 1,
            at: now(),
            actor: self.scope.actor.clone(),
            action,
            target,
            detail,
            hash: Hash::default(),
        };
        entry.hash = entry.hash_after(&head.hash, &self.scope.tenant);
        append(session, self.tenant_id, &entry).await
    }
}

/// Writes an entry and makes it the head.
pub(super) async fn append(
    session: &mut Session,
    tenant_id: i64,
    entry: &AuditEntry,
) -> Result<(), Failure> {
    let sequence = i64::try_from(entry.sequence).map_err(unreadable)?;
    let add = "INSERT INTO audit (tenant_id, sequence, at, actor, action, target, detail, hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let add = Statement::new(add)
        .bind(tenant_id)
        .bind(sequence)
        .bind(entry.at)
        .bind(entry.actor.as_str())
        .bind(entry.action.as_str())
        .bind(&entry.target)
        .bind(entry.detail.get())
        .bind(entry.hash.0.as_slice());
    session.execute(add).await?;
    let head = "UPDATE tenant SET audit_sequence = $2, audit_hash = $3 WHERE id = $1";
    let head = Statement::new(head)
        .bind(tenant_id)
        .bind(sequence)
        .bind(entry.hash.0.as_slice());
    session.execute(head).await?;
    Ok(())
}

async fn head(session: &mut Session, tenant_id: i64) -> Result<AuditHead, Failure> {
    let head = "SELECT audit_sequence, audit_hash FROM tenant WHERE id = $1";
    let row = session
        .fetch_one(Statement::new(head).bind(tenant_id))
        .await?;
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
