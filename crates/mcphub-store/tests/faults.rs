//! Faults of a real PostgreSQL server, which this starts, kills and halts: what was acknowledged is
//! there afterwards, whole, every error says that the call may be tried again, comes in time, and
//! service goes on by itself.

#![allow(clippy::print_stdout, reason = "a test has no other way to say it")]

use std::path::Path;
use std::process::Command;
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
use tempfile::TempDir;

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

    fn kill(&self) {
        self.control("kill", &["postgres"]);
    }

    fn start_again(&self) {
        self.control("start", &[]);
    }

    /// With bounds that a test can wait for.
    async fn open(&self) -> SqlStore {
        let env = std::fs::read_to_string(self.folder.path().join("servers/env.sh")).unwrap();
        let url = env
            .lines()
            .find_map(|line| line.split_once("MCPHUB_TEST_POSTGRES="))
            .map(|(_, url)| url.trim_matches(['"', '\'']))
            .unwrap();
        let separator = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{separator}connect_timeout=3&statement_timeout=2");
        let settings = StoreSettings::new(url).with_master_key(self.key.clone());
        mcphub_store::connect(&settings).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control("stop", &[]);
    }
}

/// Saves one server after the other until it is told to stop, each until it is acknowledged.
async fn keep_saving(store: SqlStore, prefix: usize, stop: Arc<AtomicBool>) -> (Vec<String>, u32) {
    let (mut acknowledged, mut failures) = (Vec::new(), 0);
    for number in 0.. {
        let server = format!("s{prefix}-{number}");
        let wanted = registration(&server);
        loop {
            let start = Instant::now();
            let outcome = store.save(&wanted).await;
            let took = start.elapsed();
            assert!(took < BOUND, "{took:?}");
            match outcome {
                Ok(_) => break acknowledged.push(server),
                Err(error) => assert_passes(&error),
            }
            failures += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    (acknowledged, failures)
}

fn assert_passes(error: &Error) {
    let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_server_loses_nothing_that_was_acknowledged() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.open().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|prefix| tokio::spawn(keep_saving(store.clone(), prefix, stop.clone())))
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.start_again();
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut names, mut failures) = (Vec::new(), 0);
    for writer in writers {
        let (acknowledged, failed) = writer.await.unwrap();
        names.extend(acknowledged);
        failures += failed;
    }
    println!("{} acknowledged, {failures} failed calls", names.len());
    assert!(failures > 0, "the server was killed in the middle");
    for server in &names {
        assert_whole(&store, server).await;
    }
    // Each was saved until it was acknowledged, and counted once.
    assert_eq!(count(&store).await, names.len());
    assert_eq!(store.registry_version().await.unwrap(), names.len() as u64);
    assert_eq!(store.check().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_hangs_is_an_error_in_time_and_then_goes_on() {
    let Some(server) = Server::start() else {
        return;
    };
    let store = server.open().await;
    store.save(&registration("before")).await.unwrap();
    server.control("pause", &["postgres"]);
    let start = Instant::now();
    let read = store.registry_version().await.unwrap_err();
    let write = store.save(&registration("during")).await.unwrap_err();
    assert!(start.elapsed() < 2 * BOUND, "{:?}", start.elapsed());
    assert_passes(&read);
    assert_passes(&write);
    server.control("resume", &["postgres"]);

    let deadline = Instant::now() + BOUND;
    while let Err(error) = store.save(&registration("after")).await {
        assert_passes(&error);
        assert!(Instant::now() < deadline, "{error:?}");
    }
    assert_whole(&store, "before").await;
    assert_whole(&store, "after").await;
    assert_eq!(store.check().await.unwrap(), []);
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
