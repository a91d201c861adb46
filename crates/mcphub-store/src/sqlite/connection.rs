//! The pools: one connection that writes, a few that read.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqlitePool};

use super::BUSY_TIMEOUT;
use super::file::OpenFile;
use crate::sql::{Failure, blocking};

/// Connections that read. SQLite scales with cores, and a read takes microseconds.
const READERS: u32 = 4;

/// How long a caller waits for its turn among those of its own process.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// The write-ahead log is cut back to so many bytes after a large document went through it.
const LOG_LIMIT: u32 = 16 << 20;

/// One writing connection, which makes callers queue fairly instead of polling for SQLite's lock,
/// and several reading ones. A database in memory has a single connection for both.
#[derive(Debug)]
pub(crate) struct Pools {
    writer: SqlitePool,
    readers: SqlitePool,
    file: Option<OpenFile>,
}

impl Pools {
    pub(crate) async fn open(path: &Path) -> Result<Self, Failure> {
        // A name that begins with `file:` would be read as a URI.
        let options = options(&Path::new(".").join(path));
        let log_limit = LOG_LIMIT.to_string();
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // What a statement would undo if it failed half-way: else a file for each that writes many rows.
            .pragma("temp_store", "MEMORY")
            .pragma("journal_size_limit", log_limit);
        let writer = connect_patiently(writing).await?;
        let readers = pool(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        let path = path.to_owned();
        let file = Some(blocking(move || OpenFile::new(path)).await?);
        Ok(Self {
            writer,
            readers,
            file,
        })
    }

    pub(crate) async fn in_memory() -> Result<Self, Failure> {
        let options = options(Path::new(":memory:"));
        let writer = pool(1).connect_with(options).await?;
        Ok(Self {
            readers: writer.clone(),
            writer,
            file: None,
        })
    }

    /// What is written into a file that was deleted, or that another took the place of, is gone
    /// with the last process that has it open.
    pub(crate) async fn refuse_another_file(&self) -> Result<(), Failure> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        Ok(blocking(move || file.refuse_another()).await?)
    }

    /// None in memory.
    pub(crate) fn file(&self) -> Option<&OpenFile> {
        self.file.as_ref()
    }

    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// A connection that writes, for what cannot be in a transaction. It keeps in files what may be as
    /// large as the database, as VACUUM does, and is not used again.
    pub(crate) async fn apart(&self) -> Result<PoolConnection<Sqlite>, Failure> {
        let mut connection = self.writer.acquire().await?;
        // One in memory is the database.
        if self.file.is_some() {
            connection.close_on_drop();
            let files = sqlx::raw_sql("PRAGMA temp_store = FILE");
            files.execute(&mut *connection).await?;
        }
        Ok(connection)
    }

    /// Readers first: the last connection to close folds the log in, and only a writer can.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// The switch of a new file to WAL fails at once, whatever the busy timeout, while another process
/// does the same.
async fn connect_patiently(options: SqliteConnectOptions) -> Result<SqlitePool, Failure> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        let connected = pool(1).connect_with(options.clone()).await;
        match connected.map_err(Failure::from) {
            Err(Failure(error)) if error.is_retryable() && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Connections live as long as the pool: one in memory is the database. They are tested when they
/// come back and not when they go out, because SQLx closes one whose caller goes away during that.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(QUEUE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // A damaged or doctored file is an error, not a surprise.
        .pragma("cell_size_check", "ON")
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}
