//! The schema, brought up to date. The files are in `migrations/sqlite/`.

use mcphub_core::{Error, ErrorKind};
use sqlx::migrate::{Migrate, Migrator};
use sqlx::{SqliteConnection, SqlitePool};

use super::failure::Failure;

/// "mcph": what the first migration sets.
const APPLICATION_ID: i64 = 0x6d63_7068;

/// Where SQLx notes which migrations were applied.
const TABLE: &str = "_sqlx_migrations";

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
    apply(&mut transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// What [`Migrator::run`] does, whose future is not `Send` over a single connection.
async fn apply(connection: &mut SqliteConnection) -> Result<(), Failure> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied = connection.list_applied_migrations(TABLE).await?;
    for done in &applied {
        let known = MIGRATIONS
            .iter()
            .find(|known| known.version == done.version);
        let known = known.ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "the database was written by a newer version of mcphub; upgrade mcphub",
            )
            .with("its schema", done.version)
        })?;
        if known.checksum != done.checksum {
            let message = "the database was written by a build with another schema";
            return Err(Error::internal(message).with("schema", done.version).into());
        }
    }
    // They are sorted by version.
    for pending in MIGRATIONS.iter().skip(applied.len()) {
        connection.apply(TABLE, pending).await?;
    }
    Ok(())
}
