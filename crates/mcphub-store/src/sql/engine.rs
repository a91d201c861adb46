//! The engines, and a session with one of them.

use std::ops::DerefMut;
#[cfg(feature = "postgres")]
use std::time::Duration;

use mcphub_core::Error;
use sqlx::AssertSqlSafe;
#[cfg(feature = "postgres")]
use sqlx::Postgres;
#[cfg(feature = "sqlite")]
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;

use super::audit::HeldTenant;
#[cfg(feature = "sqlite")]
use super::blocking;
use super::failure::Failure;
use super::statement::{Row, Statement};
#[cfg(feature = "postgres")]
use crate::postgres::{self, Server};
#[cfg(feature = "sqlite")]
use crate::sqlite::{self, OpenFile, Pools};

/// A database with connections to it.
#[derive(Debug)]
pub(crate) enum Engine {
    #[cfg(feature = "sqlite")]
    Sqlite(Pools),
    #[cfg(feature = "postgres")]
    Postgres(Server),
}

/// What a database understands.
#[cfg_attr(
    not(all(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "a build may leave an engine out")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// One of two, where they differ.
    pub(crate) fn choose<T>(self, sqlite: T, postgres: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

impl Engine {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A connection for reading. Each statement sees all that was committed before it.
    pub(crate) async fn read(&self) -> Result<Session, Failure> {
        Ok(Session::from(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pools) => Connected::Sqlite(Link::Plain(pools.readers().acquire().await?)),
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => Connected::Postgres(
                Link::Plain(server.pool().acquire().await?),
                server.patience(),
            ),
        }))
    }

    /// A transaction that writes. Nobody else changes that tenant until it ends, so that what it
    /// reads stays true; dropped without [`Session::commit`] it leaves nothing.
    pub(crate) async fn write(&self, tenant_id: i64) -> Result<Session, Failure> {
        let (mut session, row): (Session, Option<Row>) = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pools) => {
                let file = pools.file().cloned();
                let begun = async {
                    let connection = pools.writer().acquire().await?;
                    let begin = HeldTenant::begin_immediately(tenant_id);
                    sqlite::Transaction::begin(connection, begin.for_sqlite()).await
                };
                let begun = begun.await;
                // Afterwards: what is read from here on may be there by a change that was refused because
                // the disk broke, and then nobody may be told that it is there.
                if let Some(file) = file.clone() {
                    blocking(move || file.refuse_read_only()).await?;
                }
                let (transaction, row) = begun?;
                let session = Session {
                    file,
                    ..Connected::Sqlite(Link::Transaction(transaction)).into()
                };
                (session, row.map(Row::Sqlite))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => {
                let begin = HeldTenant::begin(tenant_id);
                let (transaction, row) = server.begin(begin).await?;
                let link = Link::Transaction(transaction);
                let connected = Connected::Postgres(link, server.patience());
                (connected.into(), row.map(Row::Postgres))
            }
        };
        let row = match row {
            Some(row) => row,
            None => HeldTenant::wait(&mut session, tenant_id).await?,
        };
        session.tenant = Some(HeldTenant::new(tenant_id, &row)?);
        Ok(session)
    }

    /// A connection in no transaction, with the tenant as it is now, where a change of one statement can make
    /// sure of it: on PostgreSQL.
    #[cfg_attr(
        not(feature = "postgres"),
        allow(unused_variables, reason = "a build may leave an engine out")
    )]
    pub(crate) async fn look_at(&self, tenant_id: i64) -> Result<Option<Session>, Failure> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Ok(None),
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => {
                let look = HeldTenant::look(tenant_id);
                let looked = server.first(|mut connection| {
                    let look = look.clone().for_postgres();
                    async move {
                        let row = look.fetch_one(&mut *connection).await?;
                        Ok((connection, row))
                    }
                });
                let (connection, row) = looked.await?;
                let connected = Connected::Postgres(Link::Plain(connection), server.patience());
                let tenant = Some(HeldTenant::new(tenant_id, &Row::Postgres(row))?);
                Ok(Some(Session {
                    tenant,
                    ..connected.into()
                }))
            }
        }
    }

    /// A transaction that only reads: all of it sees the database as it was at the first statement.
    pub(crate) async fn snapshot(&self) -> Result<Session, Failure> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pools) => {
                let connection = pools.readers().acquire().await?;
                let begin = Statement::new("BEGIN").for_sqlite();
                let (transaction, _) = sqlite::Transaction::begin(connection, begin).await?;
                let link = Link::Transaction(transaction);
                Ok(Session::from(Connected::Sqlite(link)))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                let (transaction, _) = server.begin(begin.to_owned()).await?;
                let link = Link::Transaction(transaction);
                Ok(Connected::Postgres(link, server.patience()).into())
            }
        }
    }

    /// A connection that may write, in no transaction: for what cannot be in one.
    pub(crate) async fn alone(&self) -> Result<Session, Failure> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pools) => {
                let connection = pools.apart().await?;
                Ok(Session::from(Connected::Sqlite(Link::Plain(connection))))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => self.read().await,
        }
    }

    /// That the database is still there, where reading alone would not tell: the connections to a
    /// file that was deleted go on as if nothing were.
    pub(crate) async fn refuse_if_gone(&self) -> Result<(), Failure> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pools) => pools.refuse_another_file().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pools) => pools.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(server) => server.close().await,
        }
    }
}

/// A connection, in a transaction or not. Without one it goes back to its pool when it is dropped.
pub(crate) struct Session {
    connected: Connected,
    /// The tenant that a transaction changes.
    tenant: Option<HeldTenant>,
    /// What is run when the transaction is committed.
    last: Vec<Statement>,
    /// The file that a transaction changes.
    #[cfg(feature = "sqlite")]
    file: Option<OpenFile>,
}

impl From<Connected> for Session {
    fn from(connected: Connected) -> Self {
        Self {
            connected,
            tenant: None,
            last: Vec::new(),
            #[cfg(feature = "sqlite")]
            file: None,
        }
    }
}

enum Connected {
    #[cfg(feature = "sqlite")]
    Sqlite(Link<PoolConnection<Sqlite>, sqlite::Transaction>),
    /// With how long an answer is waited for.
    #[cfg(feature = "postgres")]
    Postgres(
        Link<PoolConnection<Postgres>, postgres::Transaction>,
        Duration,
    ),
}

enum Link<P, T> {
    Plain(P),
    Transaction(T),
}

impl<P, T> Link<P, T>
where
    P: DerefMut<Target: Sized>,
    T: DerefMut<Target = P::Target>,
{
    fn connection(&mut self) -> &mut P::Target {
        match self {
            Self::Plain(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl Session {
    pub(crate) fn dialect(&self) -> Dialect {
        match self.connected {
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Connected::Postgres(..) => Dialect::Postgres,
        }
    }

    /// Runs a statement. How many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, Failure> {
        #[cfg(test)]
        super::plan::check(self, &statement).await;
        Ok(match &mut self.connected {
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(link) => {
                let done = statement.for_sqlite().execute(link.connection()).await?;
                done.rows_affected()
            }
            #[cfg(feature = "postgres")]
            Connected::Postgres(link, patience) => {
                let work = statement.for_postgres().execute(link.connection());
                postgres::in_time(*patience, work).await?.rows_affected()
            }
        })
    }

    /// Runs statements of which none changes a row that another one reads or changes: PostgreSQL does
    /// them as one, on one way to the server and back.
    pub(crate) async fn execute_all(&mut self, statements: Vec<Statement>) -> Result<(), Failure> {
        let statements = match self.dialect() {
            Dialect::Sqlite => statements,
            Dialect::Postgres => Statement::joined(statements).into_iter().collect(),
        };
        for statement in statements {
            self.execute(statement).await?;
        }
        Ok(())
    }

    /// Has statements run when the transaction is committed, on the way that the log and the commit take.
    /// None changes a row that another one, or any statement until then, reads or changes.
    pub(crate) fn run_last(&mut self, statements: Vec<Statement>) {
        self.last.extend(statements);
    }

    /// Runs a statement that was made of what the schema says, and none of what anybody else says.
    pub(super) async fn run(&mut self, sql: String) -> Result<(), Failure> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &mut self.connected {
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(link) => {
                sql.execute(link.connection()).await?;
            }
            #[cfg(feature = "postgres")]
            Connected::Postgres(link, patience) => {
                postgres::in_time(*patience, sql.execute(link.connection())).await?;
            }
        }
        Ok(())
    }

    /// All rows of a statement, which bounds them itself.
    pub(crate) async fn fetch_all(&mut self, statement: Statement) -> Result<Vec<Row>, Failure> {
        #[cfg(test)]
        super::plan::check(self, &statement).await;
        Ok(match &mut self.connected {
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(link) => {
                let rows = statement.for_sqlite().fetch_all(link.connection()).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            #[cfg(feature = "postgres")]
            Connected::Postgres(link, patience) => {
                let work = statement.for_postgres().fetch_all(link.connection());
                let rows = postgres::in_time(*patience, work).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The row of a statement that gives at most one.
    pub(crate) async fn fetch_optional(
        &mut self,
        statement: Statement,
    ) -> Result<Option<Row>, Failure> {
        #[cfg(test)]
        super::plan::check(self, &statement).await;
        Ok(match &mut self.connected {
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(link) => {
                let row = statement.for_sqlite().fetch_optional(link.connection());
                row.await?.map(Row::Sqlite)
            }
            #[cfg(feature = "postgres")]
            Connected::Postgres(link, patience) => {
                let row = statement.for_postgres().fetch_optional(link.connection());
                postgres::in_time(*patience, row).await?.map(Row::Postgres)
            }
        })
    }

    /// The row of a statement that always gives one.
    pub(crate) async fn fetch_one(&mut self, statement: Statement) -> Result<Row, Failure> {
        let row = self.fetch_optional(statement).await?;
        row.ok_or_else(|| Failure::from(sqlx::Error::RowNotFound))
    }

    /// The tenant that this transaction changes.
    pub(super) fn tenant(&mut self) -> Result<&mut HeldTenant, Failure> {
        Ok(self.tenant.as_mut().ok_or_else(out_of_transaction)?)
    }

    /// Makes the transaction's changes last. They are on disk when this returns.
    pub(crate) async fn commit(mut self) -> Result<(), Failure> {
        let mut last = match self.tenant.take() {
            Some(tenant) => tenant.settle(&mut self).await?,
            None => Vec::new(),
        };
        last.append(&mut self.last);
        if self.dialect() == Dialect::Postgres {
            self.execute_all(std::mem::take(&mut last)).await?;
        }
        self.end(last).await?;
        Ok(())
    }

    /// Makes a change that is one step with those that follow from it, notes it, and makes it last with
    /// all that was changed before, unless it changes nothing: the row that it gives. Nothing else is
    /// noted in this transaction.
    pub(super) async fn commit_if(mut self, steps: Vec<Statement>) -> Result<Option<Row>, Failure> {
        debug_assert!(self.last.is_empty(), "they would be lost");
        match self.dialect() {
            Dialect::Sqlite => {
                let tenant = self.held_tenant()?;
                let steps = tenant.settle_if(Dialect::Sqlite, steps)?;
                Ok(self.end(steps).await?.into_iter().next())
            }
            Dialect::Postgres => {
                let made = self.make_if_held(steps).await?.flatten();
                if made.is_some() {
                    self.end(Vec::new()).await?;
                }
                Ok(made)
            }
        }
    }

    /// The same on PostgreSQL, also in no transaction. None where somebody has changed the tenant since
    /// it was read: then nothing is changed.
    pub(super) async fn make_if_held(
        &mut self,
        steps: Vec<Statement>,
    ) -> Result<Option<Option<Row>>, Failure> {
        let tenant = self.held_tenant()?;
        let held = tenant.held();
        let steps = tenant.settle_if(Dialect::Postgres, steps)?;
        let others = (0..).map(|number| format!("step_{number}"));
        let names = ["held", "made"].map(str::to_owned).into_iter();
        let steps = names.chain(others).zip([held].into_iter().chain(steps));
        let outcome = "SELECT made.*, (SELECT count(*) FROM made) AS changes
            FROM held LEFT JOIN made ON TRUE";
        let outcome = Statement::new(outcome).with(steps);
        let Some(row) = self.fetch_optional(outcome).await? else {
            return Ok(None);
        };
        let changes: i64 = row.get("changes")?;
        Ok(Some((changes > 0).then_some(row)))
    }

    fn held_tenant(&mut self) -> Result<HeldTenant, Failure> {
        Ok(self.tenant.take().ok_or_else(out_of_transaction)?)
    }

    /// Commits, on SQLite after these statements, whose rows it gives.
    #[cfg_attr(not(test), allow(unused_mut, reason = "only tests look at the plans"))]
    async fn end(mut self, last: Vec<Statement>) -> Result<Vec<Row>, Failure> {
        #[cfg(test)]
        for statement in &last {
            super::plan::check(&mut self, statement).await;
        }
        match self.connected {
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(Link::Transaction(transaction)) => {
                let last = Statement::in_turn(last).then("COMMIT");
                let rows = transaction.finish(last.for_sqlite()).await?;
                if let Some(file) = self.file {
                    blocking(move || file.refuse_broken_disk()).await?;
                }
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            #[cfg(feature = "postgres")]
            Connected::Postgres(Link::Transaction(transaction), patience) => {
                debug_assert!(last.is_empty(), "they go before it");
                postgres::in_time(patience, transaction.commit()).await?;
                Ok(Vec::new())
            }
            // What was not in a transaction is committed already.
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(Link::Plain(_)) => Ok(Vec::new()),
            #[cfg(feature = "postgres")]
            Connected::Postgres(Link::Plain(_), _) => Ok(Vec::new()),
        }
    }
}

fn out_of_transaction() -> Error {
    Error::internal("a change outside of a transaction that writes")
}
