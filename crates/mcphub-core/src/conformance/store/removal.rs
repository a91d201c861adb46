//! Replacing a known revision, removing, restoring and purging.

use futures::future::join_all;

use super::{all, assert_absent, assert_stored, full, name, registration, save, tools, version};
use crate::ErrorKind;
use crate::store::{Page, ServerFilter, ServerStatus, Store};

async fn removed(store: &dyn Store) -> Vec<String> {
    let page = Page {
        filter: ServerFilter {
            status: ServerStatus::Removed,
            ..ServerFilter::default()
        },
        ..Page::default()
    };
    let listing = store.list(&page).await.expect("a page");
    let names = listing.servers.iter().map(|server| server.name.to_string());
    names.collect()
}

/// Neither an older one, nor one of a server that is not there; what is refused changes nothing.
pub async fn replacing_needs_the_revision_that_is_there(store: &dyn Store) {
    let mut wanted = full("api");
    let error = store.replace(&wanted, 1).await;
    let error = error.expect_err("there is nothing to replace");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_absent(store, &wanted.name).await;

    let first = save(store, &wanted).await;
    wanted.tools = tools("Second");
    let second = store.replace(&wanted, first.revision).await;
    let second = second.expect("the revision is there");
    assert!(second.changed && second.revision > first.revision);
    assert_stored(store, &wanted).await;

    let before = version(store).await;
    let mut late = wanted.clone();
    late.tools = tools("Late");
    for revision in [first.revision, second.revision + 1, 0] {
        let error = store.replace(&late, revision).await;
        let error = error.expect_err("another revision is there");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_stored(store, &wanted).await;
    assert_eq!(version(store).await, before);

    store.remove(&wanted.name).await.expect("it is removed");
    let error = store.replace(&late, second.revision).await;
    let error = error.expect_err("it was removed");
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

/// No update is lost: whoever is second has to look again.
pub async fn of_replacements_at_once_one_succeeds(store: &dyn Store) {
    let first = save(store, &full("api")).await;
    let variants: Vec<_> = (0..16)
        .map(|number| {
            let mut variant = full("api");
            variant.tools = tools(&format!("v{number}"));
            variant
        })
        .collect();
    let replaced = variants.iter().map(|it| store.replace(it, first.revision));
    let outcomes = join_all(replaced).await;
    let mut winners = variants.iter().zip(&outcomes).filter(|(_, it)| it.is_ok());
    let (winner, _) = winners.next().expect("one succeeds");
    assert!(winners.next().is_none(), "one alone");
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    }
    assert_stored(store, winner).await;
}

/// Documents, credentials and all, under a new revision, once.
pub async fn a_removed_server_comes_back_as_it_was(store: &dyn Store) {
    let wanted = full("api");
    let before = save(store, &wanted).await;
    store.remove(&wanted.name).await.expect("it is removed");
    assert_absent(store, &wanted.name).await;
    assert_eq!(removed(store).await, ["api"]);

    let counted = version(store).await;
    let restored = store.restore(&wanted.name).await.expect("it is restored");
    let revision = restored.expect("it was removed");
    assert!(revision > before.revision);
    assert_eq!(version(store).await, counted + 1);
    assert_stored(store, &wanted).await;
    assert!(removed(store).await.is_empty());

    for nothing in ["api", "nobody"] {
        let restored = store.restore(&name(nothing)).await;
        assert_eq!(restored.expect("nothing to restore is no error"), None);
    }
    assert_eq!(version(store).await, counted + 1);
}

/// What was removed is then gone for good.
pub async fn a_new_server_takes_the_place_of_a_removed_one(store: &dyn Store) {
    save(store, &full("api")).await;
    store.remove(&name("api")).await.expect("it is removed");
    let plain = registration("api");
    assert!(save(store, &plain).await.changed);
    assert_stored(store, &plain).await;
    assert!(removed(store).await.is_empty());
    assert_eq!(store.restore(&plain.name).await.expect("no error"), None);
    let versions = store.document_versions(&plain.name, None, 10).await;
    assert_eq!(versions.expect("they are listed").versions.len(), 1);
}

/// And nothing of it is left.
pub async fn only_a_removed_server_is_purged(store: &dyn Store) {
    let (stays, goes) = (full("stays"), full("goes"));
    save(store, &stays).await;
    save(store, &goes).await;
    let purge = async |server: &str| {
        let purged = store.purge(&name(server)).await;
        purged.expect("purging nothing is no error")
    };
    assert!(!purge("stays").await);
    assert!(!purge("nobody").await);
    assert_stored(store, &stays).await;

    store.remove(&goes.name).await.expect("it is removed");
    assert!(purge("goes").await);
    assert!(!purge("goes").await);
    assert!(removed(store).await.is_empty());
    assert_eq!(store.restore(&goes.name).await.expect("no error"), None);
    assert_eq!(all(store).await.len(), 1);
    save(store, &goes).await;
    assert_stored(store, &goes).await;
    assert_stored(store, &stays).await;
}

/// As many as are asked for, and nothing that was not removed.
pub async fn what_was_removed_before_a_time_is_purged(store: &dyn Store) {
    for server in ["a", "b", "stays"] {
        save(store, &full(server)).await;
    }
    for server in ["a", "b"] {
        store.remove(&name(server)).await.expect("it is removed");
    }
    let purge = async |before: i64, limit: u32| {
        let purged = store.purge_removed(before, limit).await;
        purged.expect("purging nothing is no error")
    };
    assert_eq!(purge(0, 10).await, 0);
    assert_eq!(
        (purge(i64::MAX, 1).await, removed(store).await.len()),
        (1, 1)
    );
    assert_eq!(
        (purge(i64::MAX, 10).await, purge(i64::MAX, 10).await),
        (1, 0)
    );
    assert!(removed(store).await.is_empty());
    assert_stored(store, &full("stays")).await;
    for limit in [0, 1_001] {
        let error = store.purge_removed(0, limit).await.expect_err("no limit");
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }
}
