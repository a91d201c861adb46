//! The pool of connections, and the bound on what they are asked.

use std::time::Duration;

use mcphub_core::{Error, ErrorKind};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPoolOptions, PgRow, Postgres};
use sqlx::{Connection, PgPool};

use super::{PostgresSettings, Transaction};
use crate::sql::Failure;

/// How much longer than a statement may take the server is waited for: it has said so itself by
/// then, unless it hangs, or its machine or the network is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// A server with connections to it, made when they are needed.
#[derive(Debug)]
pub(crate) struct Server {
    pool: PgPool,
    connect_timeout: Duration,
    patience: Duration,
}

impl Server {
    pub(super) fn new(settings: &PostgresSettings) -> Result<Self, Failure> {
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.connect_timeout)
            // Those of a server that was started again are told apart before they are used.
            .test_before_acquire(true)
            .connect_lazy_with(settings.connect_options());
        Ok(Self {
            pool,
            connect_timeout: settings.connect_timeout,
            patience: patience(settings),
        })
    }

    /// How long an answer is waited for.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// A transaction, begun with these statements, and the row that the last of them gives. They wait
    /// for nobody.
    pub(crate) async fn begin(
        &self,
        statements: String,
    ) -> Result<(Transaction, Option<PgRow>), Failure> {
        self.first(|connection| Transaction::begin(connection, statements.clone()))
            .await
    }

    /// The first that is done on a connection. It changes nothing and waits for nobody, so that the answer has the
    /// time of a connection. One that is at hand is not tested before: this is the test, and nothing is
    /// lost with it.
    pub(crate) async fn first<T, F>(
        &self,
        work: impl Fn(PoolConnection<Postgres>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        if let Some(connection) = self.pool.try_acquire() {
            match tokio::time::timeout(self.connect_timeout, work(connection)).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(_)) => {}
                Err(_) => return Err(silent()),
            }
        }
        let connected = async { work(self.pool.acquire().await?).await };
        in_time(self.patience, connected).await
    }

    /// Ends all connections. One whose server is gone without a word is left behind after 5 s.
    pub(crate) async fn close(&self) {
        let _ = tokio::time::timeout(SILENCE, self.pool.close()).await;
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// One connection outside of the pool, which says why there is none, where the pool would only try
/// again until its time is over.
pub(super) async fn connect(settings: &PostgresSettings) -> Result<PgConnection, Failure> {
    let options = settings.connect_options();
    let connecting = PgConnection::connect_with(&options);
    match tokio::time::timeout(settings.connect_timeout, connecting).await {
        Ok(connection) => Ok(connection?),
        Err(_) => Err(silent()),
    }
}

pub(super) async fn close(connection: PgConnection) {
    // Whatever it says, the connection is gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
}

/// How long an answer is waited for.
pub(super) fn patience(settings: &PostgresSettings) -> Duration {
    settings.statement_timeout + SILENCE
}

/// Waits for the server, and not for ever.
pub(crate) async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(patience, work).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(silent()),
    }
}

fn silent() -> Failure {
    let message = "the database server does not answer";
    Failure(Error::new(ErrorKind::Timeout, message))
}
