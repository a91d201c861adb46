//! What makes a database slow, and its cure.

use mcphub_core::Result;
use serde::Serialize;

use super::failure::Failure;
use super::statement::Statement;
use super::{Engine, Session, SqlStore};

/// Tables that changed by more than a tenth since their statistics were made, or have none.
#[cfg(feature = "postgres")]
const STALE: &str = "
    SELECT relname AS name FROM pg_stat_user_tables
    WHERE schemaname = current_schema() AND n_live_tup > 0
      AND (coalesce(last_analyze, last_autoanalyze) IS NULL
           OR n_mod_since_analyze > n_live_tup / 10)
    ORDER BY relname";

/// Tables of which more than a fifth is dead rows.
#[cfg(feature = "postgres")]
const BLOATED: &str = "
    SELECT relname AS name FROM pg_stat_user_tables
    WHERE schemaname = current_schema() AND n_dead_tup > 1000 AND n_dead_tup > n_live_tup / 5
    ORDER BY relname";

/// Free pages, which only VACUUM gives back, and all pages.
#[cfg(feature = "sqlite")]
const FREE: &str = "SELECT freelist_count AS free, page_count AS pages FROM pragma_freelist_count, pragma_page_count";

/// Without samples of what columns have: with them, SQLite plans a statement anew each time that it is
/// given values, which costs more than most reads, and no plan here depends on values.
#[cfg(feature = "sqlite")]
const STATISTICS: &str = "PRAGMA optimize = 0x10002; DROP TABLE IF EXISTS sqlite_stat4";

/// How [`SqlStore::optimize`] works.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct OptimizeOptions {
    /// Say only what would be done.
    pub dry_run: bool,
    /// Look for missing indexes only.
    pub indexes_only: bool,
}

/// Something to be done, or that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// What is the matter.
    pub what: String,
    /// The statement that mends it.
    pub statement: String,
}

impl SqlStore {
    /// Looks for indexes that are missing, statistics that are stale and room that is wasted, and
    /// mends it, unless asked only to look. On SQLite, giving room back keeps other writers waiting.
    ///
    /// # Errors
    /// Those of reaching the database; on PostgreSQL a `Timeout` when one statement takes longer
    /// than `statement_timeout`.
    pub async fn optimize(&self, options: OptimizeOptions) -> Result<Vec<Advice>> {
        let outcome = self.mend(options).await;
        self.explain("store::optimize", outcome)
    }

    async fn mend(&self, options: OptimizeOptions) -> Result<Vec<Advice>, Failure> {
        let mut session = self.engine().alone().await?;
        let mut advice = self.missing_indexes(&mut session).await?;
        if !options.indexes_only {
            advice.extend(self.upkeep(&mut session).await?);
        }
        if !options.dry_run {
            for advice in &advice {
                session.run(advice.statement.clone()).await?;
            }
        }
        Ok(advice)
    }

    /// Indexes of the schema that are not there, such as after a restore that left them out.
    async fn missing_indexes(&self, session: &mut Session) -> Result<Vec<Advice>, Failure> {
        let (there, wanted) = match self.engine() {
            #[cfg(feature = "sqlite")]
            Engine::Sqlite(_) => (
                "SELECT name FROM sqlite_schema WHERE type = 'index'",
                crate::sqlite::indexes().await?,
            ),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => (
                "SELECT indexname AS name FROM pg_indexes WHERE schemaname = current_schema()",
                crate::postgres::indexes(),
            ),
        };
        let rows = session.fetch_all(Statement::new(there)).await?;
        let names = rows.iter().map(|row| row.get("name"));
        let there: Vec<String> = names.collect::<sqlx::Result<_>>()?;
        let missing = wanted
            .into_iter()
            .filter(|(name, _)| there.iter().all(|there| there != name));
        Ok(missing
            .map(|(name, statement)| Advice {
                what: format!("the index {name} is missing"),
                statement,
            })
            .collect())
    }

    async fn upkeep(&self, session: &mut Session) -> Result<Vec<Advice>, Failure> {
        let mut advice = Vec::new();
        match self.engine() {
            #[cfg(feature = "sqlite")]
            Engine::Sqlite(_) => {
                let row = session.fetch_one(Statement::new(FREE)).await?;
                let (free, pages): (i64, i64) = (row.get("free")?, row.get("pages")?);
                if free > pages / 4 {
                    advice.push(Advice {
                        what: format!("{free} of {pages} pages are free"),
                        statement: "VACUUM".to_owned(),
                    });
                }
                advice.push(Advice {
                    what: "the query planner's statistics are made anew where they are stale"
                        .to_owned(),
                    statement: STATISTICS.to_owned(),
                });
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => {
                for (tables, what, verb) in [
                    (BLOATED, "more than a fifth of it is dead rows", "VACUUM"),
                    (STALE, "its statistics are stale or missing", "ANALYZE"),
                ] {
                    for row in session.fetch_all(Statement::new(tables)).await? {
                        let table: String = row.get("name")?;
                        advice.push(Advice {
                            what: format!("{table}: {what}"),
                            statement: format!("{verb} \"{}\"", table.replace('"', "\"\"")),
                        });
                    }
                }
            }
        }
        Ok(advice)
    }
}
