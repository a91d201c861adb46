//! Saving and removing.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use futures::future::{join_all, select};

use super::{all, assert_absent, assert_stored, full, name, registration, save, tools, version};
use crate::secret::Credentials;
use crate::server::Serve;
use crate::store::{Registration, Store};

/// No list, no record, no version.
pub async fn an_empty_store_knows_nobody(store: &dyn Store) {
    assert!(all(store).await.is_empty());
    assert_absent(store, &name("nobody")).await;
    assert_eq!(version(store).await, 0);
}

/// With and without the optional parts.
pub async fn what_is_saved_comes_back_whole(store: &dyn Store) {
    for wanted in [registration("plain"), full("full")] {
        let saved = save(store, &wanted).await;
        assert!(saved.changed);
        assert_stored(store, &wanted).await;
        let record = store.get(&wanted.name).await.expect("the server is read");
        assert_eq!(
            record.expect("the server is there").revision,
            saved.revision
        );
    }
}

/// Also where the new registration has less than the old one.
pub async fn saving_again_replaces_everything(store: &dyn Store) {
    let first = save(store, &full("api")).await;
    let mut plain = registration("api");
    plain.tools = tools("Another title");
    let second = save(store, &plain).await;
    assert!(second.changed);
    assert!(
        second.revision > first.revision,
        "{second:?} after {first:?}"
    );
    assert_stored(store, &plain).await;
    assert_eq!(all(store).await.len(), 1);
}

/// Neither the revision nor the version grows.
pub async fn saving_the_same_again_changes_nothing(store: &dyn Store) {
    for wanted in [registration("plain"), full("full")] {
        let first = save(store, &wanted).await;
        let before = version(store).await;
        let again = save(store, &wanted.clone()).await;
        assert!(!again.changed, "nothing differs");
        assert_eq!(again.revision, first.revision);
        assert_eq!(version(store).await, before);
        assert_stored(store, &wanted).await;
    }
}

/// A difference in one part alone is a change.
pub async fn every_part_of_a_registration_counts_as_a_change(store: &dyn Store) {
    type Change = fn(&mut Registration);
    let changes: [(&str, Change); 10] = [
        ("source", |r| r.document.source.push_str(".new")),
        ("document", |r| r.document.bytes = "openapi: 3.0.0".into()),
        ("serve", |r| r.serve = Serve::Native),
        ("base URL", |r| r.base_url = None),
        ("tools", |r| r.tools = tools("Renamed")),
        ("artifact", |r| r.artifact = None),
        ("header", |r| r.credentials.headers[0].1 = "t2".into()),
        ("bearer", |r| r.credentials.bearer = None),
        ("scheme", |r| {
            r.credentials.schemes.insert("key".into(), "k2".into());
        }),
        ("credentials", |r| r.credentials = Credentials::default()),
    ];
    let mut wanted = full("api");
    let mut revision = save(store, &wanted).await.revision;
    for (part, change) in changes {
        change(&mut wanted);
        let saved = save(store, &wanted).await;
        assert!(saved.changed && saved.revision > revision, "{part}");
        assert_stored(store, &wanted).await;
        revision = saved.revision;
    }
}

/// A caller that goes away in the middle leaves all of its registration or nothing of it, and does
/// not keep others from saving.
pub async fn a_save_that_is_dropped_is_whole_or_not_there(store: &dyn Store) {
    for doublings in 0..16 {
        let wanted = full(&format!("api-{doublings}"));
        let patience = pin!(turns(1 << doublings));
        // Whichever is ready first; the other is dropped where it stands.
        select(store.save(&wanted), patience).await;
        save(store, &registration("other")).await;
        match store.get(&wanted.name).await.expect("the server is read") {
            Some(_) => assert_stored(store, &wanted).await,
            None => assert_absent(store, &wanted.name).await,
        }
    }
}

/// Waits for so many turns of the executor.
async fn turns(count: u32) {
    for _ in 0..count {
        let mut waited = false;
        poll_fn(|context| {
            if waited {
                return Poll::Ready(());
            }
            waited = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Server, document and credentials; nothing of them comes back with the name.
pub async fn removing_takes_everything_along(store: &dyn Store) {
    let (gone, stays) = (full("gone"), full("stays"));
    save(store, &gone).await;
    save(store, &stays).await;
    assert!(store.remove(&gone.name).await.expect("it is removed"));
    assert_absent(store, &gone.name).await;
    assert_stored(store, &stays).await;
    assert!(
        !store
            .remove(&gone.name)
            .await
            .expect("removing nothing is no error")
    );
    let plain = registration("gone");
    assert!(save(store, &plain).await.changed);
    assert_stored(store, &plain).await;
}

/// Who knows a server by name and revision never takes another for it.
pub async fn a_revision_is_used_once(store: &dyn Store) {
    let wanted = registration("api");
    let first = save(store, &wanted).await;
    store.remove(&wanted.name).await.expect("it is removed");
    let second = save(store, &wanted).await;
    assert!(
        second.revision > first.revision,
        "{second:?} after {first:?}"
    );
}

/// By one with each; reading, saving the same and removing nothing are no changes.
pub async fn the_version_counts_changes(store: &dyn Store) {
    let start = version(store).await;
    let wanted = registration("api");
    save(store, &wanted).await;
    assert_eq!(version(store).await, start + 1);
    save(store, &wanted).await;
    assert_stored(store, &wanted).await;
    store
        .remove(&name("nobody"))
        .await
        .expect("removing nothing is no error");
    assert_eq!(version(store).await, start + 1);
    save(store, &full("api")).await;
    assert_eq!(version(store).await, start + 2);
    store.remove(&wanted.name).await.expect("it is removed");
    assert_eq!(version(store).await, start + 3);
}

/// Whoever sees a version sees all the changes that it counts.
pub async fn the_version_grows_in_the_same_step(store: &dyn Store) {
    let start = version(store).await;
    let servers: Vec<_> = (0..32).map(|n| registration(&format!("api-{n}"))).collect();
    let write = join_all(servers.iter().map(|server| save(store, server)));
    let read = async {
        loop {
            let counted = version(store).await - start;
            let listed = all(store).await.len() as u64;
            assert!(listed >= counted, "{counted} changes, {listed} servers");
            if counted == 32 {
                break;
            }
        }
    };
    futures::join!(write, read);
}

/// None is counted twice, none is lost.
pub async fn sixteen_saves_at_once_are_sixteen_changes(store: &dyn Store) {
    let start = version(store).await;
    let servers: Vec<_> = (0..16).map(|n| full(&format!("api-{n}"))).collect();
    let saved = join_all(servers.iter().map(|server| save(store, server))).await;
    assert!(saved.iter().all(|saved| saved.changed));
    assert_eq!(version(store).await, start + 16);
    for server in &servers {
        assert_stored(store, server).await;
    }
}

/// The one with the greatest revision, in all its parts.
pub async fn of_saves_at_once_under_one_name_one_is_there_whole(store: &dyn Store) {
    let variants: Vec<_> = (0..16)
        .map(|number| {
            let mut variant = full("api");
            variant.document = registration(&format!("v{number}")).document;
            variant.tools = tools(&format!("v{number}"));
            variant.credentials.bearer = Some(format!("b{number}").into());
            variant
        })
        .collect();
    let saved = join_all(variants.iter().map(|variant| save(store, variant))).await;
    let last = saved
        .iter()
        .zip(&variants)
        .max_by_key(|(saved, _)| saved.revision);
    let (_, variant) = last.expect("sixteen were saved");
    assert_stored(store, variant).await;
}
