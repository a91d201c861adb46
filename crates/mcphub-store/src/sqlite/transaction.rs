//! A transaction that begins with its first read and ends with its last writes: SQLx's own wakes the
//! connection's thread for `BEGIN` alone and for `COMMIT` alone.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};

/// A transaction. Dropped without [`Transaction::finish`] it leaves nothing.
pub(crate) struct Transaction {
    /// None once it is committed or dropped.
    connection: Option<PoolConnection<Sqlite>>,
}

impl Transaction {
    /// Begins with these statements, of which the first is `BEGIN`, and gives the first row that they
    /// give, if any.
    pub(crate) async fn begin(
        connection: PoolConnection<Sqlite>,
        statements: Query<'static, Sqlite, SqliteArguments>,
    ) -> sqlx::Result<(Self, Option<SqliteRow>)> {
        let mut transaction = Self {
            connection: Some(connection),
        };
        let row = statements.fetch_optional(&mut *transaction).await?;
        Ok((transaction, row))
    }

    /// Ends with these statements, of which the last is `COMMIT`, and gives their rows. The changes are on
    /// disk when this returns, unless it fails: then there are none.
    pub(crate) async fn finish(
        mut self,
        statements: Query<'static, Sqlite, SqliteArguments>,
    ) -> sqlx::Result<Vec<SqliteRow>> {
        // What fails keeps those after it from being done.
        let rows = statements.fetch_all(&mut *self).await?;
        self.connection = None;
        Ok(rows)
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        let connection = self.connection.as_ref();
        connection.expect("it has one until it is committed or dropped")
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        let connection = self.connection.as_mut();
        connection.expect("it has one until it is committed or dropped")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        // What drops it waits for nothing. The connection's thread ends what it is at before: a statement
        // of several stops where nobody waits for its answer, and nobody else has the connection until then.
        tokio::spawn(async move {
            let undone = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
            if undone.is_err_and(|error| !says_that_there_is_none(&error)) {
                connection.close_on_drop();
            }
        });
    }
}

/// It was not begun, or all of it was done before it was dropped, or SQLite has undone it by itself, as it
/// does where the disk is full.
fn says_that_there_is_none(error: &sqlx::Error) -> bool {
    let said = error.as_database_error().map(|error| error.message());
    said.is_some_and(|said| said.contains("no transaction is active"))
}
