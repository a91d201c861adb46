//! Several real processes on one file, and what is left when one is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use mcphub_core::secret::{Credentials, ExposeSecret};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::{Dialect, Document};
use mcphub_core::store::{Page, Registration, Store};
use mcphub_core::tool::{ApiInfo, ToolChoices, ToolSet};
use mcphub_store::StoreSettings;

/// Set in a child: the database, and the prefix of the names that it saves under.
const DATABASE: &str = "MCPHUB_TEST_DATABASE";
const PREFIX: &str = "MCPHUB_TEST_PREFIX";

/// How many servers a child saves, unless it is killed before.
const SERVERS: u32 = 1_000;

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_in_the_middle() {
    if save_as_child().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("mcphub.db");
    let mut survived = 0;
    for (round, acknowledgements) in [1, 7, 40].into_iter().enumerate() {
        let prefix = format!("round-{round}");
        let test = "what_was_acknowledged_survives_a_kill_in_the_middle";
        let mut child = start(test, &database, &prefix);
        let mut lines = acknowledged(&mut child);
        let mut names: Vec<_> = lines.by_ref().take(acknowledgements).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had still said is acknowledged as well.
        names.extend(lines);
        assert!(names.len() >= acknowledgements);
        assert!(
            names.len() < SERVERS as usize,
            "it was killed in the middle"
        );

        let store = open(&database).await;
        for name in &names {
            assert_whole(&*store, name).await;
        }
        survived += names.len();
        // The one in progress is there whole, or not at all.
        let listed = list(&*store).await;
        assert!((survived..=survived + 1).contains(&listed.len()));
        for name in &listed {
            assert_whole(&*store, name).await;
        }
        assert_eq!(store.registry_version().await.unwrap(), listed.len() as u64);
        survived = listed.len();
    }
}

#[tokio::test]
async fn two_processes_that_save_at_once_lose_nothing() {
    if save_as_child().await {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("mcphub.db");
    let store = open(&database).await;
    let test = "two_processes_that_save_at_once_lose_nothing";
    let mut children = ["one", "two"].map(|prefix| start(test, &database, prefix));
    let mut outputs = children.each_mut().map(acknowledged);
    let mut names = Vec::new();
    // A hundred of each, while this process saves too.
    for number in 0..100 {
        names.extend(outputs.iter_mut().filter_map(Iterator::next));
        if number < 20 {
            let own = registration(&format!("own-{number}"));
            store.save(&own).await.unwrap();
            names.push(own.name);
        }
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(names.len(), 220);
    for name in &names {
        assert_whole(&*store, name).await;
    }
    let listed = list(&*store).await.len() as u64;
    assert!(listed >= 220);
    assert_eq!(store.registry_version().await.unwrap(), listed);
}

/// Saves one server after the other and says so, if this process was started for that.
async fn save_as_child() -> bool {
    let (Ok(database), Ok(prefix)) = (std::env::var(DATABASE), std::env::var(PREFIX)) else {
        return false;
    };
    let store = open(Path::new(&database)).await;
    let mut output = std::io::stdout();
    for number in 0..SERVERS {
        let registration = registration(&format!("{prefix}-{number}"));
        store.save(&registration).await.unwrap();
        // A reader that is gone has killed us, or is about to.
        if writeln!(output, "saved {}", registration.name)
            .and(output.flush())
            .is_err()
        {
            break;
        }
    }
    true
}

fn start(test: &str, database: &Path, prefix: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DATABASE, database)
        .env(PREFIX, prefix)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The names that a child says it has saved.
fn acknowledged(child: &mut Child) -> impl Iterator<Item = ServerName> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(Result::ok).filter_map(|line| {
        // The test harness writes before the first.
        let (_, name) = line.split_once("saved ")?;
        Some(ServerName::new(name).unwrap())
    })
}

async fn open(database: &Path) -> Arc<dyn Store> {
    let url = format!("sqlite:{}", database.display());
    mcphub_store::open(&StoreSettings::new(url)).await.unwrap()
}

async fn list(store: &dyn Store) -> Vec<ServerName> {
    let mut page = Page {
        limit: 1_000,
        ..Page::default()
    };
    let mut names = Vec::new();
    loop {
        let listing = store.list(&page).await.unwrap();
        names.extend(listing.servers.into_iter().map(|summary| summary.name));
        match listing.next {
            None => return names,
            next => page.after = next,
        }
    }
}

async fn assert_whole(store: &dyn Store, name: &ServerName) {
    let wanted = registration(name.as_str());
    let record = store.get(name).await.unwrap();
    assert_eq!(
        record.expect("an acknowledged server is there").tools,
        wanted.tools
    );
    let document = store.document(name).await.unwrap().unwrap();
    assert_eq!(document.bytes, wanted.document.bytes);
    let credentials = store.credentials(name).await.unwrap();
    assert_eq!(credentials.bearer.unwrap().expose_secret(), name.as_str());
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
