//! Faults of a file.

use std::fs;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::process::Command;
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
    /// Of which there is a test of its own, because it needs a disk of its own.
    Disk,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Away, Self::Replaced, Self::ReadOnly, Self::Locked];

    fn describe(self) -> &'static str {
        match self {
            Self::Away => "its file is moved away, put back after 4 s",
            Self::Replaced => "another file is put in its place, and it is put back after 4 s",
            Self::ReadOnly => "its file is made read-only for 4 s",
            Self::Locked => "another process locks it for 7 s",
            Self::Disk => {
                "its disk turns read-only, is mended after 4 s and mounted again, with a restart"
            }
        }
    }

    /// Whether reading goes on: what is known to be gone is not served as if nothing were.
    fn is_readable(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Locked | Self::Disk)
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
            Self::Disk => unreachable!("it has a test of its own"),
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
            Self::Disk => {}
        }
    }

    /// That an error says what is the matter.
    fn assert_said(self, error: &Error) {
        let (kind, words) = match self {
            // A connection that was made after it finds a database that may not be written.
            Self::Disk if error.kind() == ErrorKind::PermissionDenied => {
                (ErrorKind::PermissionDenied, "changes work again")
            }
            Self::Away | Self::Replaced => (ErrorKind::Unavailable, "deleted or replaced"),
            Self::ReadOnly => (ErrorKind::PermissionDenied, "read-only"),
            Self::Locked => (ErrorKind::Unavailable, "locked"),
            Self::Disk => (ErrorKind::Unavailable, "read-only"),
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
            if fault == Fault::Disk && stop.load(Ordering::Relaxed) {
                return tally;
            }
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

/// A file system of its own on a disk of its own, which goes when this does.
#[cfg(target_os = "linux")]
struct Disk {
    folder: tempfile::TempDir,
}

#[cfg(target_os = "linux")]
impl Disk {
    /// `None` when this run was not told that it may mount.
    fn new() -> Option<Self> {
        if std::env::var_os("MCPHUB_TEST_MOUNT").is_none() {
            println!("NOT RUN: set MCPHUB_TEST_MOUNT=1 as root, who may mount a disk");
            return None;
        }
        let disk = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(disk.mounted()).unwrap();
        let image = disk.image();
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", &image]);
        disk.mount();
        Some(disk)
    }

    fn image(&self) -> String {
        self.folder.path().join("disk").display().to_string()
    }

    fn mounted(&self) -> String {
        self.folder.path().join("mounted").display().to_string()
    }

    fn mount(&self) {
        let options = "loop,errors=remount-ro";
        run("mount", &["-o", options, &self.image(), &self.mounted()]);
    }

    /// As an error of the disk does: who has files open for writing does not keep it from that.
    fn turn_read_only(&self) {
        let device = run("findmnt", &["-no", "SOURCE", &self.mounted()]);
        let device = device.trim().trim_start_matches("/dev/");
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        fs::write(trigger, "a test").unwrap();
    }

    /// As whoever looks after the machine does.
    fn mend(&self) {
        run("umount", &[&self.mounted()]);
        // It ends with 1 when it mended something.
        let image = self.image();
        let check = Command::new("e2fsck").args(["-f", "-y", &image]).output();
        let code = check.unwrap().status.code();
        assert!(matches!(code, Some(0 | 1)), "e2fsck: {code:?}");
        self.mount();
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["-l", &self.mounted()])
            .output();
    }
}

/// What a program says.
#[cfg(target_os = "linux")]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_turns_read_only_is_read_and_loses_nothing() {
    let Some(disk) = Disk::new() else { return };
    let file = Path::new(&disk.mounted()).join("mcphub.db");
    let store = sqlite::open(&file, None).await.unwrap();
    let saved: Vec<_> = (0..12).map(|number| format!("before-{number}")).collect();
    for server in &saved {
        store.save(&registration(server)).await.unwrap();
    }
    disk.turn_read_only();
    let (stop, fault) = (Arc::new(AtomicBool::new(false)), Fault::Disk);
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let prefix = format!("disk-{writer}");
            tokio::spawn(keep_saving(store.clone(), prefix, fault, stop.clone()))
        })
        .collect();
    let begun = Instant::now();
    while begun.elapsed() < OUTAGE {
        assert_eq!(store.registry_version().await.unwrap(), saved.len() as u64);
        assert_eq!(count(&store).await, saved.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut sum = Tally::default();
    for writer in writers {
        let tally = writer.await.unwrap();
        assert!(tally.acknowledged.is_empty(), "{tally:?}");
        sum.failed += tally.failed;
        sum.longest = sum.longest.max(tally.longest);
    }
    store.close().await;
    disk.mend();
    let mended = Instant::now();
    let store = sqlite::open(&file, None).await.unwrap();
    store.save(&registration("after")).await.unwrap();
    let resumed = mended.elapsed();
    for name in &saved {
        assert_whole(&store, name).await;
    }
    println!(
        "| SQLite | {} | {} | {} | {:.1} s | {:.1} s | 0 |",
        fault.describe(),
        saved.len(),
        sum.failed,
        sum.longest.as_secs_f64(),
        resumed.as_secs_f64(),
    );
    assert_eq!(count(&store).await, saved.len() + 1);
    assert_eq!(store.check().await.unwrap(), []);
    assert!(sum.failed > 0, "it came into nobody's way");
    assert!(sum.longest < BOUND, "a call took {:?}", sum.longest);
    store.close().await;
}

/// ext4 says of some syncs that are under way at that moment that all is written, and it is not.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_saved_while_a_disk_breaks_is_there_or_was_not_acknowledged() {
    let Some(disk) = Disk::new() else { return };
    let file = Path::new(&disk.mounted()).join("mcphub.db");
    let mut acknowledged = Vec::new();
    for round in 0..8 {
        let store = sqlite::open(&file, None).await.unwrap();
        let before = store.registry_version().await.unwrap();
        let (stop, fault) = (Arc::new(AtomicBool::new(false)), Fault::Disk);
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let prefix = format!("r{round}-{writer}");
                tokio::spawn(keep_saving(store.clone(), prefix, fault, stop.clone()))
            })
            .collect();
        grown(&store, before + 4).await;
        disk.turn_read_only();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            acknowledged.extend(writer.await.unwrap().acknowledged);
        }
        store.close().await;
        disk.mend();
        let store = sqlite::open(&file, None).await.unwrap();
        for name in &acknowledged {
            assert_whole(&store, name).await;
        }
        assert_eq!(store.check().await.unwrap(), []);
        store.close().await;
    }
}
