//! A schema, brought up to date. The files are in `migrations/ENGINE/`.

use mcphub_core::{Error, ErrorKind};
use sqlx::migrate::{Migrate, Migrator};

use super::failure::Failure;

/// Where SQLx notes which migrations were applied.
const TABLE: &str = "_sqlx_migrations";

/// What [`Migrator::run`] does, whose future is not `Send` over a single connection. The caller is
/// in a transaction, and holds whatever keeps other processes from doing the same.
pub(crate) async fn apply(
    connection: &mut impl Migrate,
    migrations: &'static Migrator,
) -> Result<(), Failure> {
    connection.ensure_migrations_table(TABLE).await?;
    let applied = connection.list_applied_migrations(TABLE).await?;
    for done in &applied {
        let known = migrations
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
    for pending in migrations.iter().skip(applied.len()) {
        connection.apply(TABLE, pending).await?;
    }
    Ok(())
}

/// The newest version of a schema that was applied. Without the table of versions there is none.
pub(crate) async fn applied(connection: &mut impl Migrate) -> Result<Option<i64>, Failure> {
    let applied = connection.list_applied_migrations(TABLE).await?;
    Ok(applied.last().map(|newest| newest.version))
}
