//! Faults of a file.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcphub_core::store::ServerStore;
use mcphub_core::{Error, ErrorKind};
use mcphub_store::{SqlStore, sqlite};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::{BOUND, OUTAGE, RESUMED, Tally, assert_whole, count, grown, registration};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Away,
    Replaced,
    ReadOnly,
    Locked,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Away, Self::Replaced, Self::ReadOnly, Self::Locked];

    fn describe(self) -> &'static str {
        match self {
            Self::Away => "its file is moved away, put back after 4 s",
            Self::Replaced => "another file is put in its place, and it is put back after 4 s",
            Self::ReadOnly => "its file is made read-only for 4 s",
            Self::Locked => "another process locks it for 7 s",
        }
    }

    /// Whether reading goes on: what is known to be gone is not served as if nothing were.
    fn is_readable(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Locked)
    }

    /// Lasts for a while; everything is whole when it returns.
    async fn strike(self, file: &Path, store: &SqlStore) {
        let away = file.with_extension("away");
        let set_read_only = |read_only| {
            let mut permissions = fs::metadata(file).unwrap().permissions();
            permissions.set_readonly(read_only);
            fs::set_permissions(file, permissions).unwrap();
        };
        let mut lock = None;
        let mut outage = OUTAGE;
        match self {
            Self::Away | Self::Replaced => {
                fs::rename(file, &away).unwrap();
                if self == Self::Replaced {
                    fs::write(file, "no database").unwrap();
                }
            }
            Self::ReadOnly => set_read_only(true),
            Self::Locked => {
                let options = SqliteConnectOptions::new().filename(file);
                let options = options.busy_timeout(BOUND);
                let mut other = SqliteConnection::connect_with(&options).await.unwrap();
                let begin = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await;
                begin.unwrap();
                lock = Some(other);
                // Longer than a writer waits.
                outage = sqlite::BUSY_TIMEOUT + Duration::from_secs(2);
            }
        }
        let begun = Instant::now();
        while begun.elapsed() < outage {
            let version = store.registry_version().await;
            assert_eq!(version.is_ok(), self.is_readable(), "{version:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        match self {
            Self::Away | Self::Replaced => fs::rename(&away, file).unwrap(),
            Self::ReadOnly => set_read_only(false),
            Self::Locked => lock.unwrap().close().await.unwrap(),
        }
    }

    /// That an error says what is the matter.
    fn assert_said(self, error: &Error) {
        let (kind, words) = match self {
            Self::Away | Self::Replaced => (ErrorKind::Unavailable, "deleted or replaced"),
            Self::ReadOnly => (ErrorKind::PermissionDenied, "read-only"),
            Self::Locked => (ErrorKind::Unavailable, "locked"),
        };
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// Saves one server after the other until it is told to stop, each until it is acknowledged.
async fn keep_saving(
    store: SqlStore,
    prefix: String,
    fault: Fault,
    stop: Arc<AtomicBool>,
) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        let server = format!("{prefix}-{number}");
        let wanted = registration(&server);
        loop {
            let start = Instant::now();
            let outcome = store.save(&wanted).await;
            tally.longest = tally.longest.max(start.elapsed());
            match outcome {
                Ok(_) => break tally.acknowledged.push(server),
                Err(error) => fault.assert_said(&error),
            }
            tally.failed += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    tally
}

async fn suffers(file: &Path, store: &SqlStore, number: usize, fault: Fault) -> usize {
    let before = store.registry_version().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let prefix = format!("f{number}-{writer}");
            tokio::spawn(keep_saving(store.clone(), prefix, fault, stop.clone()))
        })
        .collect();
    grown(store, before + 10).await;
    fault.strike(file, store).await;
    let whole = Instant::now();
    let after = registration(&format!("after-{number}"));
    while let Err(error) = store.save(&after).await {
        fault.assert_said(&error);
        assert!(whole.elapsed() < RESUMED, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let resumed = whole.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut sum = Tally::default();
    for writer in writers {
        let tally = writer.await.unwrap();
        sum.acknowledged.extend(tally.acknowledged);
        sum.failed += tally.failed;
        sum.longest = sum.longest.max(tally.longest);
    }
    for name in &sum.acknowledged {
        assert_whole(store, name).await;
    }
    println!(
        "| SQLite | {} | {} | {} | {:.1} s | {:.1} s | 0 |",
        fault.describe(),
        sum.acknowledged.len(),
        sum.failed,
        sum.longest.as_secs_f64(),
        resumed.as_secs_f64(),
    );
    assert!(sum.failed > 0, "{fault:?} came into nobody's way");
    // Two writers of a process wait one after the other.
    assert!(sum.longest < 2 * BOUND, "a call took {:?}", sum.longest);
    sum.acknowledged.len() + 1
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_the_faults_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mcphub.db");
    let store = sqlite::open(&file, None).await.unwrap();
    let mut saved = 0;
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        saved += suffers(&file, &store, number, fault).await;
    }
    assert_eq!(count(&store).await, saved);
    assert_eq!(store.registry_version().await.unwrap(), saved as u64);
    assert_eq!(store.check().await.unwrap(), []);
    store.close().await;
}
