//! Several handles on one file.

use std::time::Instant;

use futures::FutureExt;
use futures::future::join_all;
use mcphub_core::ErrorKind;
use mcphub_core::job::{JobName, NewJob};
use mcphub_core::store::{AuditRetention, CredentialStore, JobStore, ServerStore};

use super::*;
use crate::sqlite::BUSY_TIMEOUT;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_can_make_the_same_store_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mcphub.db");
    let opening = (0..8).map(|_| tokio::spawn(sqlite::open(path.clone(), None)));
    let stores: Vec<_> = join_all(opening)
        .await
        .into_iter()
        .map(|opened| opened.unwrap().unwrap())
        .collect();
    for (number, store) in stores.iter().enumerate() {
        let server = format!("api-{number}");
        store.save(&with_bearer(&server, &server)).await.unwrap();
    }
    for number in 0..stores.len() {
        let server = format!("api-{number}");
        let credentials = stores[0].credentials(&name(&server)).await.unwrap();
        assert_eq!(bearer(&credentials), server, "all have the same key");
    }
    assert_eq!(stores[0].registry_version().await.unwrap(), 8);
}

#[tokio::test]
async fn a_lock_that_is_kept_too_long_is_unavailable_and_readers_go_on() {
    let (store, folder) = file_store().await;
    store.save(&registration("api")).await.unwrap();
    let other = open(&folder).await;
    let lock = pools(&other)
        .writer()
        .begin_with("BEGIN IMMEDIATE")
        .await
        .unwrap();
    let start = Instant::now();
    let save = async { store.save(&registration("late")).await.unwrap_err() };
    let read = async {
        assert!(store.get(&name("api")).await.unwrap().is_some());
        start.elapsed()
    };
    let (error, read) = futures::join!(save, read);
    assert!(read < BUSY_TIMEOUT / 2, "a reader waited for {read:?}");
    assert!(start.elapsed() >= BUSY_TIMEOUT);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.is_retryable() && error.to_string().contains("locked"),
        "{error}"
    );
    drop(lock);
    assert!(store.save(&registration("late")).await.unwrap().changed);
}

/// Every gateway looks for its job each minute.
#[tokio::test]
async fn whoever_finds_its_job_there_waits_for_no_writer() {
    let (store, folder) = file_store().await;
    let job = NewJob::new(JobName::new("purge").unwrap());
    assert!(store.enqueue_job(&job).await.unwrap());
    let time = BUSY_TIMEOUT * 100;
    let claimed = store.claim_job("purge", time).await.unwrap().unwrap();
    let other = open(&folder).await;
    let lock = pools(&other).writer().begin_with("BEGIN IMMEDIATE");
    let _lock = lock.await.unwrap();
    // With a write, both would fail after waiting for the lock.
    assert!(!store.enqueue_job(&job).await.unwrap());
    assert!(store.claim_job("purge", time).await.unwrap().is_none());
    assert_eq!(store.prune_audit(i64::MAX, 1).await.unwrap(), 0);
    let error = store.finish_job(&claimed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn callers_that_go_away_at_once_take_nothing_along() {
    let (store, _) = memory_store().await;
    store.save(&registration("api")).await.unwrap();
    for _ in 0..5_000 {
        // The connection is back, so that one poll takes it and mostly stops half-way.
        while pools(&store).writer().num_idle() == 0 {
            assert_eq!(pools(&store).writer().size(), 1, "the database is gone");
            tokio::task::yield_now().await;
        }
        let _ = store.get(&name("api")).now_or_never();
    }
    assert_eq!(store.registry_version().await.unwrap(), 1);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (store, _folder) = file_store().await;
    store.close().await;
    let error = store.registry_version().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.is_retryable());
}
