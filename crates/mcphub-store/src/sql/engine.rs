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
use crate::sqlite::{OpenFile, Pools};

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
                pools.refuse_read_only_file().await?;
                let transaction = pools.writer().begin_with("BEGIN IMMEDIATE").await?;
                let session = Session {
                    file: pools.file().cloned(),
                    ..Connected::Sqlite(Link::Transaction(transaction)).into()
                };
                (session, None)
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

    /// A transaction that only reads: all of it sees the database as it was at the first statement.
    pub(crate) async fn snapshot(&self) -> Result<Session, Failure> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pools) => {
                let transaction = pools.readers().begin().await?;
                Ok(Session::from(Connected::Sqlite(Link::Transaction(
                    transaction,
                ))))
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
                let connection = pools.writer().acquire().await?;
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
    /// The file that a transaction changes.
    #[cfg(feature = "sqlite")]
    file: Option<OpenFile>,
}

impl From<Connected> for Session {
    fn from(connected: Connected) -> Self {
        Self {
            connected,
            tenant: None,
            #[cfg(feature = "sqlite")]
            file: None,
        }
    }
}

enum Connected {
    #[cfg(feature = "sqlite")]
    Sqlite(Link<PoolConnection<Sqlite>, sqlx::Transaction<'static, Sqlite>>),
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
        let none = || Error::internal("a change outside of a transaction that writes");
        Ok(self.tenant.as_mut().ok_or_else(none)?)
    }

    /// Makes the transaction's changes last. They are on disk when this returns.
    pub(crate) async fn commit(mut self) -> Result<(), Failure> {
        if let Some(tenant) = self.tenant.take() {
            tenant.settle(&mut self).await?;
        }
        match self.connected {
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(Link::Transaction(transaction)) => {
                transaction.commit().await?;
                if let Some(file) = self.file {
                    blocking(move || file.refuse_broken_disk()).await?;
                }
            }
            #[cfg(feature = "postgres")]
            Connected::Postgres(Link::Transaction(transaction), patience) => {
                postgres::in_time(patience, transaction.commit()).await?;
            }
            // What was not in a transaction is committed already.
            #[cfg(feature = "sqlite")]
            Connected::Sqlite(Link::Plain(_)) => {}
            #[cfg(feature = "postgres")]
            Connected::Postgres(Link::Plain(_), _) => {}
        }
        Ok(())
    }
}
