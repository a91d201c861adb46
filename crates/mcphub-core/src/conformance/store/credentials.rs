//! Credentials.

use super::{assert_stored, name, registration, save};
use crate::secret::Credentials;
use crate::store::Store;

const SECRET: &str = "s3cret-Zm9v";

fn many() -> Credentials {
    Credentials {
        headers: vec![
            ("X-B".into(), SECRET.into()),
            ("X-A".into(), "".into()),
            ("X-B".into(), "the same header again".into()),
            ("X-Long".into(), "x".repeat(65_536).into()),
        ],
        bearer: Some("tökèn 🔑 \u{0}\n".into()),
        schemes: [
            ("a:b".to_owned(), "user:pass".into()),
            (String::new(), SECRET.into()),
        ]
        .into(),
        ..Credentials::default()
    }
}

/// Empty, long and odd ones, and a header twice; none for an unknown server.
pub async fn credentials_come_back_whole_and_in_order(store: &dyn Store) {
    let mut wanted = registration("api");
    wanted.credentials = many();
    save(store, &wanted).await;
    assert_stored(store, &wanted).await;
    let nobody = store.credentials(&name("nobody")).await;
    assert!(nobody.expect("no credentials are no error").is_empty());
}

/// What is not given any more is gone, and the order is the new one.
pub async fn credentials_are_replaced_not_added_to(store: &dyn Store) {
    let mut wanted = registration("api");
    wanted.credentials = many();
    save(store, &wanted).await;
    wanted.credentials.headers.reverse();
    wanted.credentials.bearer = None;
    assert!(save(store, &wanted).await.changed);
    assert_stored(store, &wanted).await;
    wanted.credentials = Credentials::default();
    assert!(save(store, &wanted).await.changed);
    assert_stored(store, &wanted).await;
}

/// Neither of the store nor of what it gives.
pub async fn no_debug_text_shows_a_secret(store: &dyn Store) {
    let mut wanted = registration("api");
    wanted.credentials = many();
    save(store, &wanted).await;
    let record = store.get(&wanted.name).await;
    let credentials = store.credentials(&wanted.name).await;
    for text in [
        format!("{store:?}"),
        format!("{record:?}"),
        format!("{credentials:?}"),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
}
