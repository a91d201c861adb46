//! The schema, brought up to date. The files are in `migrations/sqlite/`.

use std::path::Path;

use mcphub_core::Error;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection, SqlitePool};

use crate::sql::{Failure, applied, migrate};

/// "mcph": what the first migration sets.
const APPLICATION_ID: i64 = 0x6d63_7068;

/// All migrations, oldest first, with their checksums.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Runs what is missing, all of it or nothing. Of several processes one does the work: SQLx takes
/// no lock for SQLite, so that the transaction has to.
pub(super) async fn run(pool: &SqlitePool) -> Result<(), Failure> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let (application, tables): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(&mut *transaction)
    .await?;
    if application != APPLICATION_ID && tables > 0 {
        let message = "the file is a database of another program; name another one";
        return Err(Error::invalid(message).into());
    }
    migrate(&mut *transaction, &MIGRATIONS).await?;
    transaction.commit().await?;
    Ok(())
}

/// The version that a file has, which is left as it is.
pub(super) async fn version(path: &Path) -> Result<Option<i64>, Failure> {
    let options = SqliteConnectOptions::new()
        .filename(Path::new(".").join(path))
        .read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let known: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut connection)
            .await?;
    let version = match known {
        0 => None,
        _ => applied(&mut connection).await?,
    };
    connection.close().await?;
    Ok(version)
}
