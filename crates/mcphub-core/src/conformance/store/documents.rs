//! Documents.

use bytes::Bytes;

use super::{assert_absent, assert_stored, registration, save};
use crate::store::Store;

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
