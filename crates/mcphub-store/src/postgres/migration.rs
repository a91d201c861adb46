//! The schema, brought up to date. The files are in `migrations/postgres/`.

use mcphub_core::Error;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::PostgresSettings;
use super::server::{in_time, patience};
use crate::sql::{Failure, applied, migrate};

/// "mcphub" and the schema's name: whoever holds this advisory lock migrates that schema.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('mcphub ' || $1, 0))";

/// All migrations, oldest first, with their checksums.
pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Runs what is missing, all of it or nothing. Of several nodes one does the work and the others
/// wait for it.
pub(super) async fn run(
    connection: &mut PgConnection,
    settings: &PostgresSettings,
) -> Result<(), Failure> {
    let (schema, patience) = (settings.schema(), patience(settings));
    let mut transaction = in_time(patience, connection.begin()).await?;
    let lock = sqlx::query(LOCK).bind(schema);
    in_time(patience, lock.execute(&mut *transaction)).await?;
    let known = sqlx::query("SELECT nspname FROM pg_namespace WHERE nspname = $1").bind(schema);
    let known = in_time(patience, known.fetch_optional(&mut *transaction)).await?;
    // A role that may not make a schema can use one that was made for it.
    if known.is_none() && !settings.create {
        let message = "there is no store here; `mcphub up` makes one, --store names another";
        return Err(Error::not_found(message).into());
    }
    if known.is_none() {
        // A name that needs no quotes, as the settings have checked.
        let make = AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
        in_time(patience, sqlx::raw_sql(make).execute(&mut *transaction)).await?;
    }
    migrate(&mut *transaction, &MIGRATIONS).await?;
    in_time(patience, transaction.commit()).await
}

/// The version that a schema has, which is left as it is.
pub(super) async fn version(
    connection: &mut PgConnection,
    settings: &PostgresSettings,
) -> Result<Option<i64>, Failure> {
    let (schema, patience) = (settings.schema(), patience(settings));
    let known = "SELECT tablename FROM pg_tables
        WHERE schemaname = $1 AND tablename = '_sqlx_migrations'";
    let known = sqlx::query(known).bind(schema);
    let known = in_time(patience, known.fetch_optional(&mut *connection)).await?;
    match known {
        None => Ok(None),
        Some(_) => applied(connection).await,
    }
}
