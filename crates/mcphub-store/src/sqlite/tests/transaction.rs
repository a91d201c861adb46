//! Transactions that fail half-way, and callers that go away.

use std::future::poll_fn;
use std::task::Poll;

use mcphub_core::store::{AuditStore, ServerStore};
use sqlx::AssertSqlSafe;

use super::*;
use crate::sqlite::Transaction;

/// What a future gives, unless it goes on for more than so many steps: then it is dropped.
async fn in_steps<T>(mut steps: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = Box::pin(work);
    let done = poll_fn(|context| {
        if steps == 0 {
            return Poll::Ready(None);
        }
        steps -= 1;
        work.as_mut().poll(context).map(Some)
    });
    done.await
}

async fn with_a_table() -> Pools {
    let pools = Pools::in_memory().await.unwrap();
    let table = "CREATE TABLE thing (id INTEGER PRIMARY KEY)";
    sqlx::query(table).execute(pools.writer()).await.unwrap();
    pools
}

async fn begin(pools: &Pools) -> sqlx::Result<Transaction> {
    let connection = pools.writer().acquire().await?;
    let begin = sqlx::query("BEGIN IMMEDIATE; SELECT count(*) FROM thing");
    let (transaction, row) = Transaction::begin(connection, begin).await?;
    assert!(row.is_some());
    Ok(transaction)
}

/// Waits for whoever has the only connection.
async fn things(pools: &Pools) -> Vec<i64> {
    let things = sqlx::query_scalar("SELECT id FROM thing ORDER BY id");
    things.fetch_all(pools.writer()).await.unwrap()
}

#[tokio::test]
async fn what_fails_among_the_last_statements_leaves_nothing() {
    let pools = with_a_table().await;
    for wrong in ["INSERT INTO thing VALUES (1)", "INSERT INTO nothing", "NO"] {
        let mut transaction = begin(&pools).await.unwrap();
        let first = sqlx::query("INSERT INTO thing VALUES (0)");
        first.execute(&mut *transaction).await.unwrap();
        let last = format!("INSERT INTO thing VALUES (1); {wrong}; COMMIT");
        let last = sqlx::query(AssertSqlSafe(last));
        assert!(transaction.finish(last).await.is_err(), "{wrong}");
        assert_eq!(things(&pools).await, [0; 0], "{wrong}");
    }
    let last = "INSERT INTO thing VALUES (1) RETURNING id; INSERT INTO thing VALUES (2); COMMIT";
    let transaction = begin(&pools).await.unwrap();
    let rows = transaction.finish(sqlx::query(last)).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(things(&pools).await, [1, 2]);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_at_any_step_leaves_all_or_nothing() {
    let pools = with_a_table().await;
    for steps in 0.. {
        let id = 2 * i64::from(steps);
        let changing = async {
            let mut transaction = begin(&pools).await?;
            let first = sqlx::query("INSERT INTO thing VALUES ($1)").bind(id);
            first.execute(&mut *transaction).await?;
            let last = sqlx::query("INSERT INTO thing VALUES ($1); COMMIT");
            transaction.finish(last.bind(id + 1)).await
        };
        let done = in_steps(steps, changing).await;
        let found = things(&pools).await;
        assert_eq!(found.contains(&id), found.contains(&(id + 1)), "{found:?}");
        if let Some(done) = done {
            done.unwrap();
            assert!(found.contains(&id), "{found:?}");
            break;
        }
    }
    assert_eq!(pools.writer().size(), 1, "the database is gone");
}

#[tokio::test]
async fn a_save_that_is_dropped_at_any_step_leaves_all_or_nothing() {
    let (store, _) = memory_store().await;
    for steps in 0.. {
        let wanted = with_bearer(&format!("api-{steps}"), "secret");
        let saved = in_steps(steps, store.save(&wanted)).await;
        let there = store.revisions().await.unwrap().len() as u64;
        assert_eq!(store.registry_version().await.unwrap(), there);
        assert_eq!(store.audit_head().await.unwrap().sequence, there);
        if let Some(saved) = saved {
            assert_eq!(saved.unwrap().revision, there);
            break;
        }
    }
}
