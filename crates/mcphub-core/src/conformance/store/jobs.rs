//! Jobs.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::ErrorKind;
use crate::job::{ClaimedJob, Job, JobName, NewJob};
use crate::store::{Store, Tenants};
use crate::tenant::{Scope, TenantName};

const LONG: Duration = Duration::from_secs(600);
const OVER: Duration = Duration::ZERO;

fn job(name: &str) -> NewJob {
    NewJob::new(JobName::new(name).expect("a legal name"))
}

async fn enqueue(store: &dyn Store, job: &NewJob) -> bool {
    let added = store.enqueue_job(job).await;
    added.expect("a name that is taken is no error")
}

async fn claim(store: &dyn Store, kind: &str, time: Duration) -> Option<ClaimedJob> {
    let claimed = store.claim_job(kind, time).await;
    claimed.expect("nothing to do is no error")
}

async fn names(store: &dyn Store) -> Vec<String> {
    let page = store.jobs(None, 1_000).await.expect("a page");
    let names = page.jobs.into_iter().map(|job| job.name.to_string());
    names.collect()
}

async fn only(store: &dyn Store) -> Job {
    let page = store.jobs(None, 1_000).await.expect("a page");
    let [job] = <[Job; 1]>::try_from(page.jobs).expect("there is one job");
    job
}

/// Also of those at once of one name.
pub async fn a_job_is_enqueued_once(store: &dyn Store) {
    let mut new = job("refresh/shop");
    new.detail = json!({ "n": 1 });
    new.due_at = 7;
    let at_once = join_all((0..4).map(|_| enqueue(store, &new))).await;
    assert_eq!(at_once.into_iter().filter(|added| *added).count(), 1);
    let listed = only(store).await;
    assert_eq!((&listed.name, &listed.detail), (&new.name, &new.detail));
    assert_eq!((listed.due_at, listed.begun, listed.attempts), (7, 0, 10));
    assert_eq!((listed.error, listed.failed_at), (None, None));
    let mut wrong = job("large");
    wrong.detail = json!("x".repeat(Job::MAX_DETAIL));
    let refused = store.enqueue_job(&wrong).await;
    assert_eq!(
        refused.expect_err("it is too large").kind(),
        ErrorKind::InvalidInput
    );
    for attempts in [0, Job::MAX_ATTEMPTS + 1] {
        let mut wrong = job("attempts");
        wrong.attempts = attempts;
        let refused = store.enqueue_job(&wrong).await;
        assert_eq!(
            refused.expect_err("no such number").kind(),
            ErrorKind::InvalidInput
        );
    }
}

/// The one that is due for the longest time first, and none that is not due.
pub async fn a_job_is_claimed_by_one_at_a_time(store: &dyn Store) {
    for (name, due_at) in [("a/1", 3), ("a/2", 1), ("b/1", 0), ("a/3", i64::MAX)] {
        let mut new = job(name);
        new.due_at = due_at;
        assert!(enqueue(store, &new).await);
    }
    assert_eq!(claim(store, "c", LONG).await, None);
    let mut sooner = job("a/4");
    sooner.due_at = 0;
    assert!(enqueue(store, &sooner).await);
    let longest = claim(store, "a", LONG).await.expect("it is due");
    assert_eq!(longest.name().as_str(), "a/4");
    assert!(store.finish_job(&longest).await.expect("no error"));
    let at_once = join_all((0..8).map(|_| claim(store, "a", LONG))).await;
    let mut claimed: Vec<_> = at_once.into_iter().flatten().collect();
    claimed.sort_by_key(|claimed| claimed.job.name.clone());
    let names: Vec<_> = claimed.iter().map(|it| it.name().as_str()).collect();
    assert_eq!(names, ["a/1", "a/2"]);
    let first = &claimed[0];
    assert_eq!((first.job.begun, first.job.error.as_ref()), (1, None));
    let finish = async || store.finish_job(first).await.expect("no error");
    assert_eq!((finish().await, finish().await), (true, false));
    assert_eq!(self::names(store).await, ["a/2", "a/3", "b/1"]);
}

/// And whoever had it before changes nothing any more.
pub async fn a_job_whose_claim_has_ended_is_due_again(store: &dyn Store) {
    let mut new = job("work");
    new.attempts = 2;
    assert!(enqueue(store, &new).await);
    let first = claim(store, "work", LONG).await.expect("it is due");
    assert_eq!(claim(store, "work", LONG).await, None);
    let keep = async |claimed: &ClaimedJob, time| {
        let kept = store.keep_job(claimed, time).await;
        kept.expect("no error")
    };
    assert!(keep(&first, OVER).await);
    let second = claim(store, "work", LONG).await.expect("it is due again");
    assert_eq!(second.job.begun, 2);
    assert!(!keep(&first, OVER).await);
    assert!(!store.finish_job(&first).await.expect("no error"));
    assert!(!store.fail_job(&first, "late").await.expect("no error"));
    assert_eq!(claim(store, "work", LONG).await, None);
    assert!(keep(&second, OVER).await);
    // It was begun as often as it may be.
    assert_eq!(claim(store, "work", LONG).await, None);
    let failed = only(store).await;
    assert!(failed.failed_at.is_some() && failed.error.is_some());
    // A later one of that name is another, although it was begun as often.
    let later = loop {
        assert!(enqueue(store, &new).await);
        let later = claim(store, "work", LONG).await.expect("it is due");
        if later.job.created_at > first.job.created_at {
            break later;
        }
        assert!(store.finish_job(&later).await.expect("no error"));
    };
    assert_eq!(later.job.begun, first.job.begun);
    assert!(!keep(&first, LONG).await);
    assert!(!store.finish_job(&first).await.expect("no error"));
    assert!(!store.fail_job(&first, "late").await.expect("no error"));
    assert!(keep(&later, LONG).await);
    let log = store.audit_head().await.expect("the end of the log");
    assert_eq!((log.sequence, super::version(store).await), (0, 0));
}

/// Until it was begun as often as it may be; then another may be made in its place.
pub async fn a_job_that_failed_waits_and_is_tried_again(store: &dyn Store) {
    let mut new = job("work");
    new.attempts = 1;
    assert!(enqueue(store, &job("more")).await && enqueue(store, &new).await);
    let claimed = claim(store, "more", LONG).await.expect("it is due");
    let why = "x".repeat(Job::MAX_ERROR + 1);
    let failed = store.fail_job(&claimed, &why).await;
    assert!(failed.expect("no error"));
    assert_eq!(claim(store, "more", LONG).await, None);
    let page = store.jobs(None, 1).await.expect("a page");
    let waits = &page.jobs[0];
    assert_eq!(waits.failed_at, None);
    assert_eq!(waits.error.as_ref().map(String::len), Some(Job::MAX_ERROR));
    assert!(waits.due_at >= waits.created_at + Job::backoff(1));

    let claimed = claim(store, "work", OVER).await.expect("it is due");
    let failed = store.fail_job(&claimed, "it cannot be").await;
    assert!(failed.expect("no error"));
    assert_eq!(claim(store, "work", LONG).await, None);
    let page = store.jobs(page.next.as_ref(), 1).await.expect("a page");
    assert_eq!(page.jobs[0].error.as_deref(), Some("it cannot be"));
    assert!(page.jobs[0].failed_at.is_some());
    assert!(!store.finish_job(&claimed).await.expect("no error"));
    assert!(enqueue(store, &new).await && !enqueue(store, &new).await);
    assert!(claim(store, "work", LONG).await.is_some());
}

/// By name, in pages that join.
pub async fn jobs_are_listed_by_name(store: &dyn Store) {
    for name in ["b", "a/2", "a", "c", "a/1"] {
        assert!(enqueue(store, &job(name)).await);
    }
    for limit in [1, 2, 5, 1_000] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.jobs(after.as_ref(), limit).await.expect("a page");
            listed.extend(page.jobs.into_iter().map(|job| job.name.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, ["a", "a/1", "a/2", "b", "c"], "{limit}");
    }
    for limit in [0, 1_001] {
        let error = store.jobs(None, limit).await.expect_err("no such page");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let log = store.audit_head().await.expect("the end of the log");
    assert_eq!((log.sequence, super::version(store).await), (0, 0));
}

/// Whatever jobs of that name are there.
pub async fn a_job_is_done_in_its_tenant(tenants: &dyn Tenants) {
    let handle = async |name: &str| {
        let tenant = TenantName::new(name).expect("a legal name");
        tenants.create_tenant(&tenant).await.expect("it is made");
        let scope = Scope {
            tenant,
            ..Scope::default()
        };
        tenants.scoped(scope).await.expect("a handle")
    };
    let (one, other) = (handle("one").await, handle("other").await);
    assert!(enqueue(&*one, &job("work")).await);
    assert_eq!(claim(&*other, "work", LONG).await, None);
    assert!(enqueue(&*other, &job("work")).await);
    let theirs = claim(&*other, "work", LONG).await.expect("it is theirs");
    assert_eq!(only(&*one).await.begun, 0);
    assert!(other.finish_job(&theirs).await.expect("no error"));
    assert_eq!(
        (names(&*one).await.len(), names(&*other).await.len()),
        (1, 0)
    );
}
