//! Stores that are refused when they are opened: what they hold is there as it was, once what is wrong is mended.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mcphub_core::store::ServerStore;
use mcphub_core::{ErrorKind, Result};
use mcphub_store::{MasterKey, SqlStore, StoreSettings};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection};

use super::postgres::{KEY, Server};
use super::saving::{Judge, Tally, account, list, registration};
use super::{BOUND, POSTGRESQL, SQLITE};

const ANOTHER_KEY: &str = "8888888888888888888888888888888888888888888888888888888888888888";

/// How often a store is opened in vain.
const TRIES: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    NewerSchema,
    AnotherKey,
    /// Of a file: on a server, connections find it out.
    Damaged,
}

impl Fault {
    fn describe(self) -> &'static str {
        match self {
            Self::NewerSchema => "its schema is newer than mcphub knows, until mcphub is upgraded",
            Self::AnotherKey => {
                "mcphub is started with another master key, then with the right one"
            }
            Self::Damaged => "all but the first page of its file is overwritten, and put back",
        }
    }

    /// What no try again would mend.
    fn judge(self) -> Judge {
        let (kind, words) = match self {
            Self::NewerSchema => (ErrorKind::Unsupported, "upgrade mcphub"),
            Self::AnotherKey => (ErrorKind::InvalidInput, "another master key"),
            Self::Damaged => (ErrorKind::Internal, "damaged"),
        };
        Arc::new(move |error| {
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(error.message().contains(words), "{error}");
            assert!(!error.is_retryable(), "{error:?}");
        })
    }
}

/// A store that nobody has open.
struct Closed {
    engine: &'static str,
    url: String,
}

impl Closed {
    fn of_a_file(file: &Path) -> Self {
        Self {
            engine: SQLITE,
            url: format!("sqlite:{}", file.display()),
        }
    }

    async fn open(&self, key: &str) -> Result<SqlStore> {
        let settings = StoreSettings::new(&self.url);
        let settings = settings.with_master_key(MasterKey::from_text(key)?);
        mcphub_store::connect(&settings).await
    }

    /// Saves some servers, and closes the store.
    async fn filled(&self) -> Tally {
        let store = self.open(KEY).await.unwrap();
        let mut sum = Tally::default();
        for number in 0..50 {
            let server = format!("before-{number}");
            store.save(&registration(&server)).await.unwrap();
            sum.acknowledged.push(server);
        }
        store.close().await;
        sum
    }

    /// Opens the store in vain, and reads it where that does not tell yet.
    async fn is_refused(&self, fault: Fault, sum: &mut Tally) {
        let key = if fault == Fault::AnotherKey {
            ANOTHER_KEY
        } else {
            KEY
        };
        for _ in 0..TRIES {
            let begun = Instant::now();
            let read = async {
                let store = self.open(key).await?;
                let record = store.get(&registration("before-7").name).await;
                store.close().await;
                record
            };
            let outcome = read.await;
            assert!(sum.note(begun, outcome, &fault.judge()).is_none());
        }
    }

    /// Opens the store, and counts.
    async fn is_whole(&self, fault: Fault, mut sum: Tally) {
        let mended = Instant::now();
        let store = self.open(KEY).await.unwrap();
        store.save(&registration("after")).await.unwrap();
        let resumed = mended.elapsed();
        sum.acknowledged.push("after".to_owned());
        let what = fault.describe();
        account(&store, self.engine, what, &sum, resumed, BOUND).await;
        assert_eq!(list(&store).await.len(), sum.acknowledged.len());
        store.close().await;
    }
}

/// What the first migration of a later version would leave, and what takes it away again.
fn newer(engine: &str, schema: &str) -> (String, String) {
    let table = format!("{schema}_sqlx_migrations");
    let (now, checksum) = if engine == SQLITE {
        ("0", "X'00'")
    } else {
        ("now()", "'\\x00'")
    };
    (
        format!("INSERT INTO {table} VALUES (999, 'later', {now}, TRUE, {checksum}, 1)"),
        format!("DELETE FROM {table} WHERE version = 999"),
    )
}

async fn tell(file: &Path, statement: String) {
    let options = SqliteConnectOptions::new().filename(file);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let statement = sqlx::raw_sql(AssertSqlSafe(statement));
    statement.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_refused_is_left_as_it_is() {
    for fault in [Fault::NewerSchema, Fault::AnotherKey, Fault::Damaged] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mcphub.db");
        let store = Closed::of_a_file(&file);
        let mut sum = store.filled().await;
        let (add, take) = newer(SQLITE, "");
        let backup = fs::read(&file).unwrap();
        match fault {
            Fault::NewerSchema => tell(&file, add).await,
            Fault::AnotherKey => {}
            Fault::Damaged => {
                let mut bytes = backup.clone();
                // The header stays, and what the tables are.
                for (index, byte) in bytes.iter_mut().enumerate().skip(4_096) {
                    *byte = (index.wrapping_mul(2_654_435_761) >> 7) as u8;
                }
                fs::write(&file, bytes).unwrap();
            }
        }
        store.is_refused(fault, &mut sum).await;
        match fault {
            Fault::NewerSchema => tell(&file, take).await,
            Fault::AnotherKey => {}
            Fault::Damaged => fs::write(&file, backup).unwrap(),
        }
        store.is_whole(fault, sum).await;
    }
}

#[tokio::test]
async fn a_server_that_is_refused_is_left_as_it_is() {
    for fault in [Fault::NewerSchema, Fault::AnotherKey] {
        let Some(server) = Server::start() else {
            return;
        };
        let store = Closed {
            engine: POSTGRESQL,
            url: server.url(),
        };
        let mut sum = store.filled().await;
        let (add, take) = newer(POSTGRESQL, "mcphub.");
        if fault == Fault::NewerSchema {
            server.tell(&[&add]);
        }
        store.is_refused(fault, &mut sum).await;
        if fault == Fault::NewerSchema {
            server.tell(&[&take]);
        }
        store.is_whole(fault, sum).await;
    }
}
