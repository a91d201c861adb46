//! Several real processes on one store, and what is left when one is killed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcphub_core::store::ServerStore;
use mcphub_store::{MasterKey, SqlStore, StoreSettings};

use super::postgres::{KEY, Server, passes};
use super::saving::{Ends, Saving, Tally, account, list, registration};
use super::{BOUND, POSTGRESQL, SQLITE};

/// Set in a child: the URL of the store, and the prefix of the names that it saves under.
const STORE: &str = "MCPHUB_TEST_STORE";
const PREFIX: &str = "MCPHUB_TEST_PREFIX";

/// How many servers a child saves, unless it is killed before.
const SERVERS: u32 = 1_000;

/// A store on one of the engines, and what it goes away with.
struct Place<T> {
    engine: &'static str,
    url: String,
    _keeps: T,
}

fn on_sqlite() -> Place<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    Place {
        engine: SQLITE,
        url: format!("sqlite:{}", folder.path().join("mcphub.db").display()),
        _keeps: folder,
    }
}

fn on_postgres() -> Option<Place<Server>> {
    let server = Server::start()?;
    Some(Place {
        engine: POSTGRESQL,
        url: server.url(),
        _keeps: server,
    })
}

async fn open(url: &str) -> SqlStore {
    let settings = StoreSettings::new(url);
    let settings = settings.with_master_key(MasterKey::from_text(KEY).unwrap());
    mcphub_store::connect(&settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_in_the_middle() {
    if save_as_child().await {
        return;
    }
    let test = "process::what_was_acknowledged_survives_a_kill_in_the_middle";
    is_killed_in_the_middle(&on_sqlite(), test).await;
    if let Some(place) = on_postgres() {
        is_killed_in_the_middle(&place, test).await;
    }
}

async fn is_killed_in_the_middle<T>(place: &Place<T>, test: &str) {
    let (mut sum, mut longest) = (Tally::default(), Duration::ZERO);
    for (round, acknowledgements) in [1, 7, 40].into_iter().enumerate() {
        let prefix = format!("round-{round}");
        let mut child = start(test, &place.url, &prefix);
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
        sum.acknowledged.extend(names);
        let killed = Instant::now();
        let store = open(&place.url).await;
        let after = format!("after-{round}");
        store.save(&registration(&after)).await.unwrap();
        longest = longest.max(killed.elapsed());
        sum.acknowledged.push(after);
        // The one in progress is there whole, or not at all.
        let listed = list(&store).await.len();
        let most = sum.acknowledged.len() + 1 + round;
        assert!((sum.acknowledged.len()..=most).contains(&listed));
        store.close().await;
    }
    let store = open(&place.url).await;
    let what = "the process that saves is killed (SIGKILL) and started again, three times";
    account(&store, place.engine, what, &sum, longest, BOUND).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_that_save_at_once_lose_nothing() {
    if save_as_child().await {
        return;
    }
    let test = "process::two_processes_that_save_at_once_lose_nothing";
    share(&on_sqlite(), test).await;
    if let Some(place) = on_postgres() {
        share(&place, test).await;
    }
}

/// Two more processes save a hundred each, while this one saves too.
async fn share<T>(place: &Place<T>, test: &str) {
    let store = open(&place.url).await;
    let saving = Saving::begin(&store, "own", 2, Ends::Saved, &passes()).await;
    let mut children = ["one", "two"].map(|prefix| start(test, &place.url, prefix));
    let outputs = children.each_mut().map(acknowledged);
    let hundred = |mut output: Box<dyn Iterator<Item = String> + Send>| {
        tokio::task::spawn_blocking(move || {
            let names: Vec<_> = output.by_ref().take(100).collect();
            (names, output)
        })
    };
    let mut sum = Tally::default();
    let mut rests = Vec::new();
    for hundred in outputs.map(hundred) {
        let (names, rest) = hundred.await.unwrap();
        assert_eq!(names.len(), 100);
        sum.acknowledged.extend(names);
        rests.push(rest);
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    sum.acknowledged.extend(rests.into_iter().flatten());
    let killed = Instant::now();
    store.save(&registration("after")).await.unwrap();
    let resumed = killed.elapsed();
    sum.acknowledged.push("after".to_owned());
    sum.add(saving.end().await);
    let what = "two other processes save into it, and are killed (SIGKILL)";
    account(&store, place.engine, what, &sum, resumed, BOUND).await;
    store.close().await;
}

/// Saves one server after the other and says so, if this process was started for that.
async fn save_as_child() -> bool {
    let (Ok(url), Ok(prefix)) = (std::env::var(STORE), std::env::var(PREFIX)) else {
        return false;
    };
    let store = open(&url).await;
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

fn start(test: &str, url: &str, prefix: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(STORE, url)
        .env(PREFIX, prefix)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The names that a child says it has saved.
fn acknowledged(child: &mut Child) -> Box<dyn Iterator<Item = String> + Send> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    Box::new(lines.map_while(Result::ok).filter_map(|line| {
        // The test harness writes before the first.
        let (_, name) = line.split_once("saved ")?;
        Some(name.to_owned())
    }))
}
