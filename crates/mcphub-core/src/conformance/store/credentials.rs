//! Credentials.

use url::Url;

use super::{assert_stored, name, registration, save, version};
use crate::secret::{Credentials, Grant};
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
        environment: [("API_KEY".to_owned(), SECRET.into())].into(),
        query: Some("key=s3cret-Zm9v&a=b".into()),
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

fn grant(token: &str) -> Grant {
    Grant {
        client: "id:s3cret".into(),
        token_url: Url::parse("https://login.example.com/token").expect("a URL"),
        access_token: token.into(),
        refresh_token: Some(SECRET.into()),
        expires_at: Some(1),
        scopes: None,
        resource: None,
    }
}

/// And nobody is told: neither the revision nor the version of the registry grows.
pub async fn a_grant_is_renewed_where_it_is_still_the_known_one(store: &dyn Store) {
    let mut wanted = registration("api");
    wanted.credentials = many();
    let grants = &mut wanted.credentials.grants;
    grants.insert("login".to_owned(), grant("first"));
    grants.insert("other".to_owned(), grant("other"));
    let saved = save(store, &wanted).await;
    let before = version(store).await;
    let renew = async |server: &str, scheme: &str, known: &str, new: &str| {
        let (known, new) = (grant(known), grant(new));
        let renewed = store.renew_grant(&name(server), scheme, &known, &new).await;
        renewed.expect("a grant is renewed or not")
    };
    assert!(!renew("api", "login", "another", "second").await);
    assert!(!renew("api", "nobody", "first", "second").await);
    assert!(!renew("nobody", "login", "first", "second").await);
    assert_stored(store, &wanted).await;
    assert!(renew("api", "login", "first", "second").await);
    let grants = &mut wanted.credentials.grants;
    grants.insert("login".to_owned(), grant("second"));
    assert_stored(store, &wanted).await;
    assert_eq!(version(store).await, before);
    assert_eq!(save(store, &wanted).await.revision, saved.revision);
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
