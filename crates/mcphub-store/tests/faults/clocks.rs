//! A clock that is set back, that of a node and of its server alike.

use std::process::Command;
use std::time::{Duration, Instant};

use mcphub_core::Result;
use mcphub_core::audit::AuditQuery;
use mcphub_core::job::{JobName, NewJob};
use mcphub_core::store::{AuditStore, JobStore};
use mcphub_store::{MasterKey, SqlStore, sqlite};

use super::clock::Clock;
use super::postgres::{KEY, Server, passes};
use super::saving::{Ends, Saving, Tally, account, resumed};
use super::{BOUND, OUTAGE, PAUSE, POSTGRESQL, SQLITE};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// For how long a job is claimed: less than the clock is set back.
const CLAIM: Duration = Duration::from_secs(10 * 60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_clock_that_is_set_back_loses_nothing() {
    let test = "clocks::a_clock_that_is_set_back_loses_nothing";
    let Some(clock) = Clock::of_this_process() else {
        let clock = Clock::new();
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", test, "--nocapture"]);
        let output = clock.given_to(&mut again).output().unwrap();
        print!("{}", String::from_utf8_lossy(&output.stdout));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let key = MasterKey::from_text(KEY).unwrap();
    let store = sqlite::open(folder.path().join("mcphub.db"), Some(key)).await;
    is_set_back(&store.unwrap(), SQLITE, &clock).await;
    if let Some(server) = Server::start() {
        is_set_back(&server.open().await, POSTGRESQL, &clock).await;
    }
}

async fn is_set_back(store: &SqlStore, engine: &str, clock: &Clock) {
    let job = NewJob::new(JobName::new("sweep").unwrap());
    assert!(store.enqueue_job(&job).await.unwrap());
    let claimed = store.claim_job("sweep", CLAIM).await.unwrap().unwrap();
    let right = time_of_day();
    let saving = Saving::begin(store, "clock", 2, Ends::Saved, &passes()).await;
    saving.saved(10).await;
    clock.set_back(HOUR);
    assert!(
        time_of_day() + HOUR / 2 < right,
        "the clock was not set back"
    );
    let begun = Instant::now();
    while begun.elapsed() < OUTAGE {
        let other = store.claim_job("sweep", CLAIM).await.unwrap();
        assert_eq!(other, None, "one job is done twice");
        tokio::time::sleep(PAUSE).await;
    }
    assert!(passed(async || store.keep_job(&claimed, CLAIM).await).await);
    clock.set_back(Duration::ZERO);
    // What was kept for ten minutes of an hour ago may be done by another, but not by two.
    let other = passed(async || store.claim_job("sweep", CLAIM).await).await;
    assert!(!passed(async || store.finish_job(&claimed).await).await);
    assert!(passed(async || store.finish_job(other.as_ref().unwrap()).await).await);
    let mut sum = Tally::default();
    let resumed = resumed(store, "after", &mut sum, &passes()).await;
    sum.add(saving.end().await);
    let what = "the clock is set back by an hour, everywhere, and right again after 4 s";
    account(store, engine, what, &sum, resumed, BOUND).await;
    assert_eq!(entries_before_their_time(store).await, 0);
    store.close().await;
}

/// A server's timers follow its clock, so that what is under way when that goes on may be told that it took too long.
async fn passed<T>(work: impl AsyncFn() -> Result<T>) -> T {
    for _ in 0..10 {
        match work().await {
            Ok(value) => return value,
            Err(error) => passes()(&error),
        }
    }
    panic!("it never passes");
}

fn time_of_day() -> Duration {
    std::time::UNIX_EPOCH.elapsed().unwrap()
}

/// How many entries of the log are earlier than the one that they follow, or not found by their time.
async fn entries_before_their_time(store: &SqlStore) -> usize {
    let (mut query, mut last, mut count) = (AuditQuery::default(), 0, 0);
    query.limit = 1_000;
    loop {
        let page = store.audit(&query).await.unwrap();
        for entry in &page.entries {
            count += usize::from(entry.at < last);
            last = entry.at;
            let mut same = AuditQuery::default();
            (same.since, same.until) = (Some(entry.at), Some(entry.at + 1));
            (same.after, same.limit) = (Some(entry.sequence - 1), 1);
            let found = store.audit(&same).await.unwrap().entries;
            let is_found = found.first().map(|it| it.sequence) == Some(entry.sequence);
            count += usize::from(!is_found);
        }
        match page.next {
            None => return count,
            next => query.after = next,
        }
    }
}
