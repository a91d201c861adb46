//! Faults of a server.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use mcphub_core::store::ServerStore;
use mcphub_core::{Error, ErrorKind};
use mcphub_store::{MasterKey, SqlStore, StoreSettings};
use tempfile::TempDir;

#[cfg(target_os = "linux")]
use super::disk::Disk;
use super::relay::{Network, Relay};
use super::saving::{Ends, Judge, Saving, Tally, account, registration, resumed};
use super::{BOUND, OUTAGE, PAUSE, POSTGRESQL, RESUMED};

/// The master key of all stores here.
pub const KEY: &str = "7777777777777777777777777777777777777777777777777777777777777777";

/// A server of a test alone.
pub struct Server {
    folder: PathBuf,
    _own: Option<TempDir>,
}

impl Server {
    /// `None` when this run was given no server: then PostgreSQL may not be installed.
    pub fn start() -> Option<Self> {
        let own = tempfile::tempdir().unwrap();
        // As root, the server runs as another user, who has to get through.
        let passable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        fs::set_permissions(own.path(), passable).unwrap();
        let mut server = Self::start_in(own.path())?;
        server._own = Some(own);
        Some(server)
    }

    /// With its data in that folder.
    fn start_in(folder: &Path) -> Option<Self> {
        if std::env::var_os("MCPHUB_TEST_POSTGRES").is_none() {
            println!("NOT RUN: set MCPHUB_TEST_POSTGRES, as `scripts/test-servers.sh run` does");
            return None;
        }
        let server = Self {
            // A folder of its own, because stopping removes it.
            folder: folder.join("servers"),
            _own: None,
        };
        server.control("start", &[]);
        Some(server)
    }

    fn control(&self, command: &str, more: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/test-servers.sh");
        let status = Command::new(script)
            .arg(command)
            .arg(&self.folder)
            .args(more)
            .status()
            .unwrap();
        assert!(status.success(), "{command}");
    }

    fn server_url(&self) -> String {
        let env = fs::read_to_string(self.folder.join("env.sh")).unwrap();
        let url = env
            .lines()
            .find_map(|line| line.split_once("MCPHUB_TEST_POSTGRES="))
            .map(|(_, url)| url.trim_matches(['"', '\'']))
            .unwrap();
        url.to_owned()
    }

    /// Its host and port.
    fn address(&self) -> String {
        let url = self.server_url();
        let (_, rest) = url.rsplit_once('@').unwrap();
        rest.split(['/', '?']).next().unwrap().to_owned()
    }

    /// With bounds that a test can wait for.
    pub fn url(&self) -> String {
        self.url_through(&self.address(), 4)
    }

    fn url_through(&self, address: &str, connections: u32) -> String {
        let url = self.server_url().replacen(&self.address(), address, 1);
        let separator = if url.contains('?') { '&' } else { '?' };
        format!(
            "{url}{separator}connect_timeout=3&statement_timeout=2&max_connections={connections}"
        )
    }

    pub async fn open(&self) -> SqlStore {
        self.open_at(&self.address(), 4).await
    }

    async fn open_at(&self, address: &str, connections: u32) -> SqlStore {
        let settings = StoreSettings::new(self.url_through(address, connections));
        let settings = settings.with_master_key(MasterKey::from_text(KEY).unwrap());
        mcphub_store::connect(&settings).await.unwrap()
    }

    /// Statements by the server's own client.
    fn psql(&self, statements: &[&str]) -> Command {
        let mut command = Command::new("psql");
        command.arg(self.server_url());
        command.args(["-qtA", "-v", "ON_ERROR_STOP=1"]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        command
    }

    fn telling(&self, statements: &[&str]) -> Child {
        let mut command = self.psql(statements);
        command.stdout(Stdio::null()).spawn().unwrap()
    }

    /// What it answers.
    pub fn tell(&self, statements: &[&str]) -> String {
        let output = self.psql(statements).output().unwrap();
        assert!(output.status.success(), "{statements:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Puts other bytes into a file of it at its beginning, while it does not run. What was there.
    fn put(&self, file: &str, bytes: &[u8]) -> Vec<u8> {
        self.control("kill", &["postgres"]);
        let path = self.folder.join("postgres/data").join(file);
        let file = fs::OpenOptions::new().read(true).write(true).open(path);
        let (file, mut before) = (file.unwrap(), vec![0; bytes.len()]);
        file.read_exact_at(&mut before, 0).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        self.control("start", &[]);
        before
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control("stop", &[]);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Killed,
    Hangs,
    Cut,
    Silent,
    ReadOnly,
    Crowded,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::Killed,
        Self::Hangs,
        Self::Cut,
        Self::Silent,
        Self::ReadOnly,
        Self::Crowded,
    ];

    fn describe(self) -> &'static str {
        match self {
            Self::Killed => "killed (SIGKILL), started again after 4 s",
            Self::Hangs => "stopped (SIGSTOP), goes on after 4 s",
            Self::Cut => "the network is cut for 4 s",
            Self::Silent => "the network loses everything for 4 s",
            Self::ReadOnly => "takes no writes for 4 s",
            Self::Crowded => {
                "its pool is exhausted: all connections wait for somebody who locks the tenant for 4 s"
            }
        }
    }

    /// Lasts for a while; everything is whole when it returns.
    async fn strike(self, server: &Server, relay: &Relay) {
        match self {
            Self::Killed => {
                server.control("kill", &["postgres"]);
                tokio::time::sleep(OUTAGE).await;
                server.control("start", &[]);
            }
            Self::Hangs => {
                server.control("pause", &["postgres"]);
                tokio::time::sleep(OUTAGE).await;
                server.control("resume", &["postgres"]);
            }
            Self::Cut | Self::Silent => {
                let cut = self == Self::Cut;
                relay.set(if cut { Network::Cut } else { Network::Silent });
                tokio::time::sleep(OUTAGE).await;
                relay.set(Network::Whole);
            }
            Self::ReadOnly => {
                let read_only = "ALTER SYSTEM SET default_transaction_read_only = on";
                server.tell(&[read_only, "SELECT pg_reload_conf()"]);
                tokio::time::sleep(OUTAGE).await;
                let writing = "ALTER SYSTEM RESET default_transaction_read_only";
                server.tell(&[writing, "SELECT pg_reload_conf()"]);
            }
            Self::Crowded => {
                let lock =
                    "BEGIN; SELECT id FROM mcphub.tenant FOR UPDATE; SELECT pg_sleep(4); COMMIT";
                let mut holder = server.telling(&[lock]);
                while holder.try_wait().unwrap().is_none() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// An error that passes, and says so.
pub fn passes() -> Judge {
    Arc::new(assert_passes)
}

fn assert_passes(error: &Error) {
    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
}

/// Four tasks through a network of their own, and what is left of what they were told.
async fn suffers(server: &Server, number: usize, fault: Fault) {
    let relay = Relay::to(server.address()).await;
    let store = server.open_at(&relay.address.to_string(), 4).await;
    let saving = Saving::begin(&store, &format!("f{number}"), 4, Ends::Saved, &passes()).await;
    saving.saved(20).await;
    fault.strike(server, &relay).await;
    let mut sum = Tally::default();
    let after = format!("after-{number}");
    let resumed = resumed(&store, &after, &mut sum, &passes()).await;
    sum.add(saving.end().await);
    account(&store, POSTGRESQL, fault.describe(), &sum, resumed, BOUND).await;
    assert!(sum.failed > 0, "{fault:?} came into nobody's way");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_every_fault() {
    let Some(server) = Server::start() else {
        return;
    };
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        suffers(&server, number, fault).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_whose_disk_is_full_loses_nothing() {
    let Some(disk) = Disk::new(256 << 20) else {
        return;
    };
    let Some(server) = Server::start_in(&disk.path()) else {
        return;
    };
    let store = server.open().await;
    let saving = Saving::begin(&store, "full", 4, Ends::Saved, &passes()).await;
    saving.saved(20).await;
    let ballast = disk.fill();
    tokio::time::sleep(OUTAGE).await;
    fs::remove_file(ballast).unwrap();
    // Where it had no room for its log, it has ended.
    server.control("start", &[]);
    let mut sum = Tally::default();
    let resumed = resumed(&store, "after", &mut sum, &passes()).await;
    sum.add(saving.end().await);
    let what = "its disk is full for 4 s, and it is started again where that ended it";
    account(&store, POSTGRESQL, what, &sum, resumed, BOUND).await;
    assert!(
        sum.was_told("disk of the database server is full"),
        "{sum:?}"
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn damaged_data_is_said_and_nothing_else_is_lost() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.open().await;
    let mut sum = Tally::default();
    for number in 0..12 {
        let name = format!("before-{number}");
        store.save(&registration(&name)).await.unwrap();
        sum.acknowledged.push(name);
    }
    let file = server.tell(&["CHECKPOINT", "SELECT pg_relation_filepath('mcphub.server')"]);
    let before = server.put(&file, &[0xa5; 8_192]);
    // Connections of before are found broken, and made again.
    let begun = Instant::now();
    while store.registry_version().await.is_err() {
        assert!(begun.elapsed() < RESUMED, "it is not reached again");
        tokio::time::sleep(PAUSE).await;
    }
    let judge: Judge = Arc::new(|error| {
        assert_eq!(error.kind(), ErrorKind::Internal, "{error:?}");
        assert!(error.message().contains("damaged"), "{error}");
    });
    for number in 0..20 {
        let late = registration(&format!("late-{number}"));
        let begun = Instant::now();
        let saved = store.save(&late).await;
        assert!(sum.note(begun, saved, &judge).is_none());
        let begun = Instant::now();
        let read = store.get(&registration("before-7").name).await;
        assert!(sum.note(begun, read, &judge).is_none());
    }
    server.put(&file, &before);
    let resumed = resumed(&store, "after", &mut sum, &passes()).await;
    let what = "a page of its data is overwritten, and put back";
    account(&store, POSTGRESQL, what, &sum, resumed, BOUND).await;
    store.close().await;
}

/// With every connection waiting for a lock, whoever only reads is told in time, and does not hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_free_connection_a_reader_is_told_in_time() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.open_at(&server.address(), 1).await;
    let lock = "BEGIN; SELECT id FROM mcphub.tenant FOR UPDATE; SELECT pg_sleep(600)";
    let mut holder = server.telling(&[lock]);
    let begun = Instant::now();
    let probe = "SELECT id FROM mcphub.tenant FOR UPDATE NOWAIT";
    while server.telling(&[probe]).wait().unwrap().success() {
        assert!(begun.elapsed() < BOUND, "nobody holds the lock");
    }
    // Each waits for the lock, until the server says that it was long enough, and comes again.
    let saving = Saving::begin(&store, "late", 4, Ends::Saved, &passes()).await;
    let mut sum = Tally::default();
    let begun = Instant::now();
    while sum.failed == 0 {
        let asked = Instant::now();
        let version = store.registry_version().await;
        sum.note(asked, version, &passes());
        assert!(
            begun.elapsed() < 6 * BOUND,
            "the reader was never in the way"
        );
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    server.tell(&[
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'",
    ]);
    let resumed = resumed(&store, "after", &mut sum, &passes()).await;
    let saved = tokio::time::timeout(3 * BOUND, saving.end()).await;
    sum.add(saved.unwrap());
    let what = "its pool of one connection is exhausted, until somebody who only reads was refused";
    account(&store, POSTGRESQL, what, &sum, resumed, BOUND).await;
    store.close().await;
}
