//! Tasks that save servers while something happens to the store, and what is left of what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcphub_core::secret::{Credentials, ExposeSecret};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::{Dialect, Document};
use mcphub_core::store::{CredentialStore, DocumentStore, Page, Registration, ServerStore};
use mcphub_core::tool::{ApiInfo, ToolChoices, ToolSet};
use mcphub_core::{Error, Result};
use mcphub_store::SqlStore;
use tokio::task::JoinHandle;

use super::{PAUSE, RESUMED};

/// Panics at an error that says something else than what happened.
pub type Judge = Arc<dyn Fn(&Error) + Send + Sync>;

/// What calls came to.
#[derive(Debug, Default)]
pub struct Tally {
    pub acknowledged: Vec<String>,
    pub failed: usize,
    pub longest: Duration,
    /// How often each error was given, and whether it said that the call may be tried again.
    told: BTreeMap<(String, bool), usize>,
}

impl Tally {
    /// Notes how a call went that began then.
    pub fn note<T>(&mut self, begun: Instant, outcome: Result<T>, judge: &Judge) -> Option<T> {
        self.longest = self.longest.max(begun.elapsed());
        let error = match outcome {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        judge(&error);
        self.failed += 1;
        let what = error.message().split([';', '(']).next().unwrap_or_default();
        let told = (what.trim().to_owned(), error.is_retryable());
        *self.told.entry(told).or_default() += 1;
        None
    }

    pub fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.failed += other.failed;
        self.longest = self.longest.max(other.longest);
        for (told, count) in other.told {
            *self.told.entry(told).or_default() += count;
        }
    }

    pub fn was_told(&self, words: &str) -> bool {
        self.told.keys().any(|(what, _)| what.contains(words))
    }

    /// What was said most often, and how many other things were.
    fn most_told(&self) -> String {
        let most = self.told.iter().max_by_key(|(_, count)| **count);
        let Some(((what, _), _)) = most else {
            return "—".to_owned();
        };
        let mut others: Vec<_> = self.told.keys().map(|(what, _)| what).collect();
        others.dedup();
        match others.len() - 1 {
            0 => what.clone(),
            others => format!("{what}, and {others} more"),
        }
    }

    fn may_be_tried_again(&self) -> &'static str {
        let (mut yes, mut no) = (false, false);
        for (_, retryable) in self.told.keys() {
            yes |= retryable;
            no |= !retryable;
        }
        match (yes, no) {
            (true, true) => "in part",
            (true, false) => "yes",
            (false, true) => "no",
            (false, false) => "—",
        }
    }
}

/// When a task ends whose server is not saved yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// Once it is saved.
    Saved,
    /// When it is told to: the store has to be opened again before anything can be saved.
    Told,
}

/// Tasks that save one server after the other, each until it is acknowledged.
pub struct Saving {
    store: SqlStore,
    before: u64,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Tally>>,
}

impl Saving {
    pub async fn begin(
        store: &SqlStore,
        prefix: &str,
        tasks: usize,
        ends: Ends,
        judge: &Judge,
    ) -> Self {
        let before = store.registry_version().await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let task = |number| {
            let prefix = format!("{prefix}-{number}");
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(keep_saving(store, prefix, ends, judge.clone(), stop))
        };
        Self {
            before,
            tasks: (0..tasks).map(task).collect(),
            store: store.clone(),
            stop,
        }
    }

    /// Waits until so many were saved.
    pub async fn saved(&self, servers: u64) {
        let begun = Instant::now();
        let to = self.before + servers;
        while self
            .store
            .registry_version()
            .await
            .is_ok_and(|now| now < to)
        {
            assert!(begun.elapsed() < 3 * RESUMED, "nothing is saved");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends the tasks.
    pub async fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for task in self.tasks {
            sum.add(task.await.unwrap());
        }
        sum
    }
}

async fn keep_saving(
    store: SqlStore,
    prefix: String,
    ends: Ends,
    judge: Judge,
    stop: Arc<AtomicBool>,
) -> Tally {
    let mut tally = Tally::default();
    for number in 0.. {
        let server = format!("{prefix}-{number}");
        let wanted = registration(&server);
        loop {
            let begun = Instant::now();
            let outcome = store.save(&wanted).await;
            if tally.note(begun, outcome, &judge).is_some() {
                break tally.acknowledged.push(server);
            }
            if ends == Ends::Told && stop.load(Ordering::Relaxed) {
                return tally;
            }
            tokio::time::sleep(PAUSE).await;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    tally
}

/// Saves one server more as soon as that works again. How long that took.
pub async fn resumed(store: &SqlStore, server: &str, sum: &mut Tally, judge: &Judge) -> Duration {
    let whole = Instant::now();
    let after = registration(server);
    while let Err(error) = store.save(&after).await {
        judge(&error);
        assert!(whole.elapsed() < RESUMED, "{error:?}");
        tokio::time::sleep(PAUSE).await;
    }
    sum.acknowledged.push(server.to_owned());
    whole.elapsed()
}

/// Counts what is left of what was acknowledged, prints the row of the table, and panics when anything is
/// missing or half there, or a call took longer than `bound`.
pub async fn account(
    store: &SqlStore,
    engine: &str,
    what: &str,
    sum: &Tally,
    resumed: Duration,
    bound: Duration,
) {
    let mut found = 0;
    for server in &sum.acknowledged {
        found += usize::from(is_whole(store, server).await == Some(true));
    }
    let problems = store.check().await.unwrap();
    let mut half: Vec<_> = problems.into_iter().map(|it| format!("{it:?}")).collect();
    let listed = list(store).await;
    for server in &listed {
        if is_whole(store, server.as_str()).await != Some(true) {
            half.push(server.to_string());
        }
    }
    println!(
        "| {engine} | {what} | {} | {found} | {} | {} | {:.1} s | {} | {} | {:.1} s |",
        sum.acknowledged.len(),
        half.len(),
        sum.failed,
        sum.longest.as_secs_f64(),
        sum.most_told(),
        sum.may_be_tried_again(),
        resumed.as_secs_f64(),
    );
    assert_eq!(found, sum.acknowledged.len(), "{what}");
    assert_eq!(half, [""; 0], "{what}");
    // Each server was saved once.
    assert_eq!(
        store.registry_version().await.unwrap(),
        listed.len() as u64,
        "{what}"
    );
    assert!(sum.longest < bound, "{what}: {:?}", sum.longest);
    assert!(resumed < RESUMED, "{what}: {resumed:?}");
}

/// Whether all of a server is there as it was saved; `None` without it.
async fn is_whole(store: &SqlStore, server: &str) -> Option<bool> {
    let wanted = registration(server);
    let record = store.get(&wanted.name).await.unwrap()?;
    let document = store.document(&wanted.name).await.unwrap();
    let bearer = store.credentials(&wanted.name).await.unwrap().bearer;
    Some(
        record.tools == wanted.tools
            && document.is_some_and(|document| document.bytes == wanted.document.bytes)
            && bearer.is_some_and(|bearer| bearer.expose_secret() == server),
    )
}

/// All that is registered.
pub async fn list(store: &SqlStore) -> Vec<ServerName> {
    let mut page = Page {
        limit: 1_000,
        ..Page::default()
    };
    let mut names = Vec::new();
    loop {
        let listing = store.list(&page).await.unwrap();
        names.extend(listing.servers.into_iter().map(|server| server.name));
        match listing.next {
            None => return names,
            next => page.after = next,
        }
    }
}

pub fn registration(server: &str) -> Registration {
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
