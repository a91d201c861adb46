//! Faults of a real PostgreSQL server, which this starts, kills, halts, cuts off and makes read-only, and
//! of a SQLite file, which is moved away, locked and made read-only: what was acknowledged is there afterwards, whole, every error says that the call may be tried
//! again, comes in time, and service goes on by itself. `scripts/fault-table.py` makes a table of
//! what this prints.

#![allow(clippy::print_stdout, reason = "a test has no other way to say it")]

mod relay;
mod sqlite;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcphub_core::secret::{Credentials, ExposeSecret};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::{Dialect, Document};
use mcphub_core::store::{CredentialStore, DocumentStore, Page, Registration, ServerStore};
use mcphub_core::tool::{ApiInfo, ToolChoices, ToolSet};
use mcphub_core::{Error, ErrorKind};
use mcphub_store::{MasterKey, SqlStore, StoreSettings};
use relay::{Network, Relay};
use tempfile::TempDir;

/// How long a fault lasts.
const OUTAGE: Duration = Duration::from_secs(4);

/// How soon everything works again after it.
const RESUMED: Duration = Duration::from_secs(10);

/// How long a call may take, whatever happens to the server.
const BOUND: Duration = Duration::from_secs(10);

/// A server of this test alone.
struct Server {
    folder: TempDir,
    key: MasterKey,
}

impl Server {
    /// `None` when this run was given no server: then PostgreSQL may not be installed.
    fn start() -> Option<Self> {
        if std::env::var_os("MCPHUB_TEST_POSTGRES").is_none() {
            println!("NOT RUN: set MCPHUB_TEST_POSTGRES, as `scripts/test-servers.sh run` does");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        // As root, the server runs as another user, who has to get through.
        let passable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(folder.path(), passable).unwrap();
        let server = Self {
            folder,
            key: MasterKey::generate().unwrap(),
        };
        // A folder of its own, because stopping removes it.
        server.control("start", &[]);
        Some(server)
    }

    fn control(&self, command: &str, more: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/test-servers.sh");
        let status = Command::new(script)
            .arg(command)
            .arg(self.folder.path().join("servers"))
            .args(more)
            .status()
            .unwrap();
        assert!(status.success(), "{command}");
    }

    fn url(&self) -> String {
        let env = std::fs::read_to_string(self.folder.path().join("servers/env.sh")).unwrap();
        let url = env
            .lines()
            .find_map(|line| line.split_once("MCPHUB_TEST_POSTGRES="))
            .map(|(_, url)| url.trim_matches(['"', '\'']))
            .unwrap();
        url.to_owned()
    }

    /// Its host and port.
    fn address(&self) -> String {
        let url = self.url();
        let (_, rest) = url.rsplit_once('@').unwrap();
        rest.split(['/', '?']).next().unwrap().to_owned()
    }

    /// With bounds that a test can wait for.
    async fn open(&self) -> SqlStore {
        self.open_at(&self.address(), 4).await
    }

    async fn open_at(&self, address: &str, connections: u32) -> SqlStore {
        let url = self.url().replacen(&self.address(), address, 1);
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!(
            "{url}{separator}connect_timeout=3&statement_timeout=2&max_connections={connections}"
        );
        let settings = StoreSettings::new(url).with_master_key(self.key.clone());
        mcphub_store::connect(&settings).await.unwrap()
    }

    /// Statements by the server's own client.
    fn psql(&self, statements: &[&str]) -> Child {
        let mut command = Command::new("psql");
        command
            .arg(self.url())
            .args(["-q", "-v", "ON_ERROR_STOP=1"]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        command.stdout(Stdio::null()).spawn().unwrap()
    }

    fn tell(&self, statements: &[&str]) {
        let status = self.psql(statements).wait().unwrap();
        assert!(status.success(), "{statements:?}");
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
            Self::Crowded => "somebody else locks the tenant for 4 s, all connections wait",
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
                let mut holder = server.psql(&[lock]);
                while holder.try_wait().unwrap().is_none() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// What writers came to.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: Vec<String>,
    failed: usize,
    longest: Duration,
}

/// Saves one server after the other until it is told to stop, each until it is acknowledged.
async fn keep_saving(store: SqlStore, prefix: String, stop: Arc<AtomicBool>) -> Tally {
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
                Err(error) => assert_passes(&error),
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

fn assert_passes(error: &Error) {
    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
}

/// Waits until so many servers are registered.
async fn grown(store: &SqlStore, to: u64) {
    let begun = Instant::now();
    while store.registry_version().await.is_ok_and(|now| now < to) {
        assert!(begun.elapsed() < 3 * BOUND, "nothing is saved");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Four writers through a network of their own, and what is left of what they were told.
async fn suffers(server: &Server, number: usize, fault: Fault) -> usize {
    let relay = Relay::to(server.address()).await;
    let through = relay.address.to_string();
    let store = server.open_at(&through, 4).await;
    let before = store.registry_version().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let prefix = format!("f{number}-{writer}");
            tokio::spawn(keep_saving(store.clone(), prefix, stop.clone()))
        })
        .collect();
    grown(&store, before + 20).await;
    fault.strike(server, &relay).await;
    let whole = Instant::now();
    let after = registration(&format!("after-{number}"));
    while let Err(error) = store.save(&after).await {
        assert_passes(&error);
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
        assert_whole(&store, name).await;
    }
    println!(
        "| PostgreSQL | {} | {} | {} | {:.1} s | {:.1} s | 0 |",
        fault.describe(),
        sum.acknowledged.len(),
        sum.failed,
        sum.longest.as_secs_f64(),
        resumed.as_secs_f64(),
    );
    assert!(sum.failed > 0, "{fault:?} came into nobody's way");
    assert!(sum.longest < BOUND, "a call took {:?}", sum.longest);
    store.close().await;
    sum.acknowledged.len() + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_every_fault() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut saved = 0;
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        saved += suffers(&server, number, fault).await;
    }
    // Each was saved until it was acknowledged, and counted once.
    let store = server.open().await;
    assert_eq!(count(&store).await, saved);
    assert_eq!(store.registry_version().await.unwrap(), saved as u64);
    assert_eq!(store.check().await.unwrap(), []);
}

/// With every connection waiting for a lock, whoever only reads is told in time, and does not hang.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_free_connection_a_reader_is_told_in_time() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.open_at(&server.address(), 1).await;
    let lock = "BEGIN; SELECT id FROM mcphub.tenant FOR UPDATE; SELECT pg_sleep(600)";
    let mut holder = server.psql(&[lock]);
    let begun = Instant::now();
    let probe = "SELECT id FROM mcphub.tenant FOR UPDATE NOWAIT";
    while server.psql(&[probe]).wait().unwrap().success() {
        assert!(begun.elapsed() < BOUND, "nobody holds the lock");
    }
    // Each waits for the lock, until the server says that it was long enough, and comes again.
    let writers: Vec<_> = (0..4)
        .map(|number| {
            let (store, stop) = (store.clone(), Arc::new(AtomicBool::new(true)));
            tokio::spawn(keep_saving(store, format!("late-{number}"), stop))
        })
        .collect();
    let begun = Instant::now();
    let mut refused = 0;
    while refused == 0 {
        let start = Instant::now();
        if let Err(error) = store.registry_version().await {
            assert_passes(&error);
            refused += 1;
        }
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
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
    for writer in writers {
        let tally = tokio::time::timeout(3 * BOUND, writer).await;
        for server in tally.unwrap().unwrap().acknowledged {
            assert_whole(&store, &server).await;
        }
    }
}

async fn count(store: &SqlStore) -> usize {
    let mut page = Page {
        limit: 1_000,
        ..Page::default()
    };
    let mut count = 0;
    loop {
        let listing = store.list(&page).await.unwrap();
        count += listing.servers.len();
        match listing.next {
            None => return count,
            next => page.after = next,
        }
    }
}

async fn assert_whole(store: &SqlStore, server: &str) {
    let wanted = registration(server);
    let record = store.get(&wanted.name).await.unwrap();
    let record = record.expect("an acknowledged server is there");
    assert_eq!(record.tools, wanted.tools);
    let document = store.document(&wanted.name).await.unwrap().unwrap();
    assert_eq!(document.bytes, wanted.document.bytes);
    let credentials = store.credentials(&wanted.name).await.unwrap();
    assert_eq!(credentials.bearer.unwrap().expose_secret(), server);
}

fn registration(server: &str) -> Registration {
    Registration {
        name: ServerName::new(server).unwrap(),
        document: Document {
            source: format!("/apis/{server}.yaml"),
            bytes: Bytes::from(format!("openapi: 3.0.4 # {server}").repeat(400)),
        },
        serve: Serve::Native,
        base_url: None,
        tools: Arc::new(ToolSet {
            api: ApiInfo {
                title: server.to_owned(),
                version: "1".to_owned(),
                dialect: Dialect::OpenApi30,
                description: None,
            },
            servers: Vec::new(),
            security_schemes: Default::default(),
            tools: Vec::new(),
        }),
        artifact: None,
        credentials: Credentials {
            bearer: Some(server.into()),
            ..Credentials::default()
        },
        choices: ToolChoices::default(),
    }
}
