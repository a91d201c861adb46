//! That no statement reads a whole table to find a few rows. Whatever a test makes the store do is
//! looked at before it is done, so that no statement can be forgotten: the conformance suite issues
//! them all.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::statement::Statement;
use super::{Dialect, Session};

/// Tables that grow with what is registered. Others have few rows.
const GROWING: [&str; 17] = [
    "server",
    "virtual_server",
    "tool",
    "tool_set",
    "tool_posting",
    "server_text",
    "document",
    "document_version",
    "credential",
    "account",
    "role",
    "membership",
    "api_key",
    "api_key_token",
    "sign_in",
    "job",
    "audit",
];

/// Statements that were looked at.
static SEEN: LazyLock<Mutex<HashSet<(bool, String)>>> = LazyLock::new(Mutex::default);

/// Looks at how the engine would do a statement.
///
/// # Panics
/// When it reads a whole table that grows, and does not say that this is what it is for.
pub(super) async fn check(session: &mut Session, statement: &Statement) {
    let dialect = session.dialect();
    let verb = statement
        .sql()
        .split_whitespace()
        .next()
        .unwrap_or_default();
    let planned = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].contains(&verb);
    if !planned || statement.reads_all || !is_new(dialect, statement.sql()) {
        return;
    }
    // The statement itself says what is wrong with it, or with the database.
    let Ok(steps) = Box::pin(explain(session, dialect, statement)).await else {
        return;
    };
    let scan = steps.iter().find(|step| reads_all(dialect, step));
    if scan.is_some() && Box::pin(has_young_index(session, dialect)).await {
        // Looked at again the next time.
        forget(dialect, statement.sql());
        return;
    }
    assert!(
        scan.is_none(),
        "it reads a whole table; give it an index, or say `reads_all`:\n{}\n{}",
        statement.sql(),
        steps.join("\n")
    );
}

fn is_new(dialect: Dialect, sql: &str) -> bool {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.insert((dialect == Dialect::Sqlite, sql.to_owned()))
}

fn forget(dialect: Dialect, sql: &str) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.remove(&(dialect == Dialect::Sqlite, sql.to_owned()));
}

/// Whether there is an index that PostgreSQL does not use yet: one that was made while rows were
/// changed waits for all transactions that were under way then, those of other databases too.
async fn has_young_index(session: &mut Session, dialect: Dialect) -> bool {
    if dialect == Dialect::Sqlite {
        return false;
    }
    let young = Statement::new("SELECT 1 FROM pg_index WHERE indcheckxmin LIMIT 1").reads_all();
    let found = session.fetch_optional(young).await;
    found.is_ok_and(|row| row.is_some())
}

async fn explain(
    session: &mut Session,
    dialect: Dialect,
    statement: &Statement,
) -> Result<Vec<String>, super::Failure> {
    let (verb, column) =
        dialect.choose(("EXPLAIN QUERY PLAN", "detail"), ("EXPLAIN", "QUERY PLAN"));
    if dialect == Dialect::Postgres {
        // In a table of a few rows it is no slower: what counts is whether there is another way.
        session
            .execute(Statement::new("SET enable_seqscan = off"))
            .await?;
    }
    let rows = session.fetch_all(statement.behind(verb)).await;
    if dialect == Dialect::Postgres {
        session
            .execute(Statement::new("RESET enable_seqscan"))
            .await?;
    }
    let steps = rows?;
    let steps = steps.iter().map(|row| Ok(row.get(column)?));
    steps.collect()
}

fn reads_all(dialect: Dialect, step: &str) -> bool {
    // All words of a tenant are next to all that there is.
    if step.contains("SEARCH tool_posting USING PRIMARY KEY (tenant_id=?)") {
        return true;
    }
    let table = match dialect {
        // A virtual table says of an index by its number.
        Dialect::Sqlite => step
            .trim()
            .strip_prefix("SCAN ")
            .filter(|scan| !scan.contains(" VIRTUAL TABLE INDEX ")),
        Dialect::Postgres => step.split_once("Seq Scan on ").map(|(_, scan)| scan),
    };
    let name = table.and_then(|scan| scan.split_whitespace().next());
    name.is_some_and(|name| GROWING.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite;

    #[tokio::test]
    #[should_panic(expected = "it reads a whole table")]
    async fn a_statement_without_an_index_is_refused() {
        let store = sqlite::in_memory(None).await.unwrap();
        let mut session = store.engine().read().await.unwrap();
        let slow = Statement::new("SELECT name FROM server WHERE fingerprint = $1").bind("x");
        let _ = session.fetch_all(slow).await;
    }

    #[test]
    fn whole_tables_are_told_from_parts() {
        for (dialect, step, whole) in [
            (Dialect::Sqlite, "SCAN audit", true),
            (
                Dialect::Sqlite,
                "SCAN server USING COVERING INDEX server_serve",
                true,
            ),
            (
                Dialect::Sqlite,
                "SEARCH server USING INDEX server_serve (tenant_id=?)",
                false,
            ),
            (
                Dialect::Sqlite,
                "SEARCH tool_posting USING PRIMARY KEY (tenant_id=?)",
                true,
            ),
            (
                Dialect::Sqlite,
                "SCAN server_text VIRTUAL TABLE INDEX 0:M4",
                false,
            ),
            (
                Dialect::Sqlite,
                "SCAN json_each VIRTUAL TABLE INDEX 1:",
                false,
            ),
            (
                Dialect::Postgres,
                "  ->  Seq Scan on audit  (cost=0.00..1.01)",
                true,
            ),
            (
                Dialect::Postgres,
                "  ->  Parallel Seq Scan on tool t  (cost=0.00..1.01)",
                true,
            ),
            (
                Dialect::Postgres,
                "Index Scan using audit_pkey on audit  (cost=0)",
                false,
            ),
            (
                Dialect::Postgres,
                "  ->  Seq Scan on data_key  (cost=0)",
                false,
            ),
        ] {
            assert_eq!(reads_all(dialect, step), whole, "{step}");
        }
    }
}
