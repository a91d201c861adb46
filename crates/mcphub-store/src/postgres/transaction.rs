//! A transaction that begins with more than `BEGIN`: SQLx's own sends that alone, which is a way to the
//! server and back, and drops what comes with it.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgRow, Postgres};

/// How long the server may take to undo a transaction, before its connection is closed instead.
const UNDO: Duration = Duration::from_secs(5);

/// A transaction. Dropped without [`Transaction::commit`] it leaves nothing.
pub(crate) struct Transaction {
    /// None once it is committed or dropped.
    connection: Option<PoolConnection<Postgres>>,
}

impl Transaction {
    /// Begins with these statements, and gives the row that they give, if any.
    pub(super) async fn begin(
        connection: PoolConnection<Postgres>,
        statements: String,
    ) -> sqlx::Result<(Self, Option<PgRow>)> {
        let mut transaction = Self {
            connection: Some(connection),
        };
        let begin = sqlx::raw_sql(AssertSqlSafe(statements));
        let rows = begin.fetch_all(&mut *transaction).await?;
        Ok((transaction, rows.into_iter().next()))
    }

    /// Makes its changes last. They do when this returns, unless it fails.
    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("COMMIT").execute(&mut *self).await?;
        self.connection = None;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        let connection = self.connection.as_ref();
        connection.expect("it has one until it is committed or dropped")
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        let connection = self.connection.as_mut();
        connection.expect("it has one until it is committed or dropped")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        // What drops it waits for nothing. Whatever was still under way is undone after its answer.
        tokio::spawn(async move {
            let undo = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
            if !matches!(tokio::time::timeout(UNDO, undo).await, Ok(Ok(_))) {
                connection.close_on_drop();
            }
        });
    }
}
