//! Documents.

use bytes::Bytes;

use super::{assert_absent, assert_stored, name, registration, save};
use crate::ErrorKind;
use crate::server::ServerName;
use crate::store::{DocumentVersion, Store};

/// The last one, of no bytes, all bytes, or some megabytes, and an earlier one that comes back.
pub async fn a_document_comes_back_byte_for_byte(store: &dyn Store) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let megabytes = every_byte.repeat(12_288);
    let mut wanted = registration("api");
    for bytes in [every_byte.clone(), Vec::new(), megabytes, every_byte] {
        wanted.document.bytes = Bytes::from(bytes);
        assert!(save(store, &wanted).await.changed);
        assert_stored(store, &wanted).await;
    }
}

/// What one of them does to it is nothing to the other.
pub async fn two_servers_can_have_the_same_document(store: &dyn Store) {
    let (mut one, mut other) = (registration("one"), registration("other"));
    one.document.bytes = Bytes::from_static(b"openapi: 3.0.4");
    other.document.bytes = one.document.bytes.clone();
    save(store, &one).await;
    save(store, &other).await;
    store.remove(&one.name).await.expect("it is removed");
    assert_absent(store, &one.name).await;
    assert_stored(store, &other).await;
    save(store, &one).await;
    other.document.bytes = Bytes::from_static(b"openapi: 3.0.0");
    save(store, &other).await;
    assert_stored(store, &one).await;
    assert_stored(store, &other).await;
}

/// In pages of that length.
async fn all_versions(store: &dyn Store, server: &ServerName, limit: u32) -> Vec<DocumentVersion> {
    let (mut versions, mut before) = (Vec::new(), None);
    loop {
        let page = store.document_versions(server, before, limit).await;
        let page = page.expect("an unknown server is no error");
        assert!(page.versions.len() <= limit as usize);
        versions.extend(page.versions);
        before = page.next;
        if before.is_none() {
            return versions;
        }
    }
}

/// The newest first, in pages that join, each under the revision that it came with; the current one always.
pub async fn earlier_documents_are_kept_up_to_a_bound(store: &dyn Store) {
    let mut wanted = registration("api");
    let mut revisions = Vec::new();
    let bound = DocumentVersion::KEPT as usize;
    for number in 0..bound + 3 {
        wanted.document.bytes = Bytes::from(format!("openapi: 3.0.4 # {number}"));
        revisions.push(save(store, &wanted).await.revision);
    }
    // A change of anything else is no new version.
    wanted.credentials.bearer = Some("b".into());
    save(store, &wanted).await;

    let versions = all_versions(store, &wanted.name, 1_000).await;
    for limit in [1, 7, DocumentVersion::KEPT - 1, DocumentVersion::KEPT] {
        let pages = all_versions(store, &wanted.name, limit).await;
        assert_eq!(pages, versions, "pages of {limit}");
    }
    for limit in [0, 1_001] {
        let refused = store.document_versions(&wanted.name, None, limit).await;
        let refused = refused.expect_err("no such page");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    let listed = versions.iter().map(|version| version.revision);
    assert!(listed.eq(revisions.iter().rev().take(bound).copied()));
    let current = versions.iter().map(|version| version.current);
    assert!(current.eq((0..bound).map(|place| place == 0)));
    assert_eq!(versions[0].digest, wanted.document.digest());
    assert_eq!(versions[0].size, wanted.document.bytes.len() as u64);
    assert_eq!(versions[0].source, wanted.document.source);

    let at = async |revision| {
        let document = store.document_at(&wanted.name, revision).await;
        document.expect("it is looked up")
    };
    let oldest = at(revisions[3]).await.expect("it is kept");
    assert_eq!(oldest.bytes, "openapi: 3.0.4 # 3");
    assert!(at(revisions[2]).await.is_none(), "it is one too many");
    assert!(at(u64::MAX).await.is_none());
    assert_stored(store, &wanted).await;
    assert_eq!(all_versions(store, &name("nobody"), 10).await, []);

    // The first document comes back: it is the newest again.
    wanted.document.bytes = oldest.bytes.clone();
    let saved = save(store, &wanted).await;
    let versions = all_versions(store, &wanted.name, 1_000).await;
    assert_eq!(versions.len(), bound);
    assert!(versions[0].current && versions[0].revision == saved.revision);
    assert_stored(store, &wanted).await;
}
