//! Faults of a file.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcphub_core::store::ServerStore;
use mcphub_core::{Error, ErrorKind};
use mcphub_store::{SqlStore, sqlite};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

#[cfg(target_os = "linux")]
use super::disk::Disk;
use super::saving::{Ends, Judge, Saving, Tally, account, resumed};
#[cfg(target_os = "linux")]
use super::saving::{list, registration};
use super::{BOUND, OUTAGE, PAUSE, SQLITE};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Away,
    Replaced,
    ReadOnly,
    Locked,
    Queue,
    /// Of these there are tests of their own, because they need a disk of their own.
    #[cfg(target_os = "linux")]
    Full,
    #[cfg(target_os = "linux")]
    Disk,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::Away,
        Self::Replaced,
        Self::ReadOnly,
        Self::Locked,
        Self::Queue,
    ];

    fn describe(self) -> &'static str {
        match self {
            Self::Away => "its file is moved away, put back after 4 s",
            Self::Replaced => "another file is put in its place, and it is put back after 4 s",
            Self::ReadOnly => "its file is made read-only for 4 s",
            Self::Locked => "another process locks it for 7 s",
            Self::Queue => {
                "its pool is exhausted: eight tasks save while another process locks it for 40 s"
            }
            #[cfg(target_os = "linux")]
            Self::Full => "its disk is full for 4 s",
            #[cfg(target_os = "linux")]
            Self::Disk => {
                "its disk turns read-only, is mended after 4 s and mounted again, with a restart"
            }
        }
    }

    /// How many save.
    fn tasks(self) -> usize {
        if self == Self::Queue { 8 } else { 2 }
    }

    /// How long a call may take. The tasks of a process wait one after the other.
    fn bound(self) -> Duration {
        if self == Self::Queue {
            4 * BOUND
        } else {
            2 * BOUND
        }
    }

    /// Whether reading goes on: what is known to be gone is not served as if nothing were.
    fn is_readable(self) -> bool {
        !matches!(self, Self::Away | Self::Replaced)
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
            Self::Locked | Self::Queue => {
                let options = SqliteConnectOptions::new().filename(file);
                let options = options.busy_timeout(BOUND);
                let mut other = SqliteConnection::connect_with(&options).await.unwrap();
                let begin = sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await;
                begin.unwrap();
                lock = Some(other);
                // Longer than a writer waits, for the other process or for its turn.
                let longer = Duration::from_secs(if self == Self::Queue { 35 } else { 2 });
                outage = sqlite::BUSY_TIMEOUT + longer;
            }
            #[cfg(target_os = "linux")]
            Self::Full | Self::Disk => unreachable!("it has a test of its own"),
        }
        self.is_read(store, outage).await;
        match self {
            Self::Away | Self::Replaced => fs::rename(&away, file).unwrap(),
            Self::ReadOnly => set_read_only(false),
            Self::Locked | Self::Queue => lock.unwrap().close().await.unwrap(),
            #[cfg(target_os = "linux")]
            Self::Full | Self::Disk => {}
        }
    }

    /// Reads all the time, or is refused all the time.
    async fn is_read(self, store: &SqlStore, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            let version = store.registry_version().await;
            assert_eq!(version.is_ok(), self.is_readable(), "{version:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn judge(self) -> Judge {
        Arc::new(move |error| self.assert_said(error))
    }

    /// That an error says what is the matter.
    fn assert_said(self, error: &Error) {
        let (kind, words) = match self {
            Self::Away | Self::Replaced => (ErrorKind::Unavailable, "deleted or replaced"),
            Self::ReadOnly => (ErrorKind::PermissionDenied, "read-only"),
            Self::Queue if error.message().contains("busy") => (
                ErrorKind::Unavailable,
                "no connection was to be had in time",
            ),
            Self::Locked | Self::Queue => (ErrorKind::Unavailable, "locked"),
            #[cfg(target_os = "linux")]
            Self::Full => (ErrorKind::Unavailable, "disk is full"),
            // A connection that was made after it finds a database that may not be written.
            #[cfg(target_os = "linux")]
            Self::Disk if error.kind() == ErrorKind::PermissionDenied => {
                (ErrorKind::PermissionDenied, "changes work again")
            }
            #[cfg(target_os = "linux")]
            Self::Disk => (ErrorKind::Unavailable, "read-only"),
        };
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

async fn suffers(file: &Path, store: &SqlStore, number: usize, fault: Fault) {
    let judge = fault.judge();
    let prefix = format!("f{number}");
    let saving = Saving::begin(store, &prefix, fault.tasks(), Ends::Saved, &judge).await;
    saving.saved(10).await;
    fault.strike(file, store).await;
    ended(store, number, fault, saving).await;
}

/// Goes on, and counts.
async fn ended(store: &SqlStore, number: usize, fault: Fault, saving: Saving) {
    let mut sum = Tally::default();
    let after = format!("after-{number}");
    let resumed = resumed(store, &after, &mut sum, &fault.judge()).await;
    sum.add(saving.end().await);
    let (what, bound) = (fault.describe(), fault.bound());
    account(store, SQLITE, what, &sum, resumed, bound).await;
    assert!(sum.failed > 0, "{fault:?} came into nobody's way");
    if fault == Fault::Queue {
        assert!(sum.was_told("no connection"), "{sum:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_the_faults_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mcphub.db");
    let store = sqlite::open(&file, None).await.unwrap();
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        suffers(&file, &store, number, fault).await;
    }
    store.close().await;
}

#[cfg(target_os = "linux")]
const DISK: u64 = 64 << 20;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_is_read_and_loses_nothing() {
    let Some(disk) = Disk::new(DISK) else { return };
    let store = sqlite::open(disk.path().join("mcphub.db"), None).await;
    let (store, fault) = (store.unwrap(), Fault::Full);
    let saving = Saving::begin(&store, "f", fault.tasks(), Ends::Saved, &fault.judge()).await;
    saving.saved(10).await;
    let ballast = disk.fill();
    fault.is_read(&store, OUTAGE).await;
    fs::remove_file(ballast).unwrap();
    ended(&store, 0, fault, saving).await;
    store.close().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_turns_read_only_is_read_and_loses_nothing() {
    let Some(disk) = Disk::new(DISK) else { return };
    let file = disk.path().join("mcphub.db");
    let (store, fault) = (sqlite::open(&file, None).await.unwrap(), Fault::Disk);
    let mut sum = Tally::default();
    for number in 0..12 {
        let server = format!("before-{number}");
        store.save(&registration(&server)).await.unwrap();
        sum.acknowledged.push(server);
    }
    disk.turn_read_only();
    let saving = Saving::begin(&store, "disk", 2, Ends::Told, &fault.judge()).await;
    let begun = Instant::now();
    while begun.elapsed() < OUTAGE {
        assert_eq!(store.registry_version().await.unwrap(), 12);
        assert_eq!(list(&store).await.len(), 12);
        tokio::time::sleep(PAUSE).await;
    }
    let refused = saving.end().await;
    assert_eq!(refused.acknowledged, [""; 0]);
    assert!(refused.failed > 0, "it came into nobody's way");
    sum.add(refused);
    store.close().await;
    disk.mend();
    let mended = Instant::now();
    let store = sqlite::open(&file, None).await.unwrap();
    resumed(&store, "after", &mut sum, &fault.judge()).await;
    let resumed = mended.elapsed();
    account(&store, SQLITE, fault.describe(), &sum, resumed, BOUND).await;
    store.close().await;
}

/// ext4 says of some syncs that are under way at that moment that all is written, and it is not.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_saved_while_a_disk_breaks_is_there_or_was_not_acknowledged() {
    let Some(disk) = Disk::new(DISK) else { return };
    let file = disk.path().join("mcphub.db");
    let (mut sum, mut longest) = (Tally::default(), Duration::ZERO);
    let judge = Fault::Disk.judge();
    for round in 0..8 {
        let store = sqlite::open(&file, None).await.unwrap();
        let prefix = format!("r{round}");
        let saving = Saving::begin(&store, &prefix, 2, Ends::Told, &judge).await;
        saving.saved(4).await;
        disk.turn_read_only();
        sum.add(saving.end().await);
        store.close().await;
        disk.mend();
        let mended = Instant::now();
        let store = sqlite::open(&file, None).await.unwrap();
        resumed(&store, &format!("after-{round}"), &mut sum, &judge).await;
        longest = longest.max(mended.elapsed());
        store.close().await;
    }
    let store = sqlite::open(&file, None).await.unwrap();
    let what =
        "its disk turns read-only while it is written, eight times, each mended with a restart";
    account(&store, SQLITE, what, &sum, longest, BOUND).await;
    store.close().await;
}
