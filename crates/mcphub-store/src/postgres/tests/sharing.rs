//! Several nodes, wrong keys, and servers that are not there.

use std::time::{Duration, Instant};

use futures::future::join_all;
use mcphub_core::ErrorKind;
use mcphub_core::audit::{AuditQuery, Chain, Hash};
use mcphub_core::key::{KeyName, NewApiKey};
use mcphub_core::principal::{Permissions, ToolRule};
use mcphub_core::role::RoleName;
use mcphub_core::store::{ApiKeyStore, AuditStore, CredentialStore, RoleStore, ServerStore, Users};
use mcphub_core::tenant::TenantName;
use mcphub_core::user::{UserKind, UserName};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_nodes_can_make_the_same_schema_at_once() {
    let Some(place) = Place::new() else { return };
    let stores = join_all((0..8).map(|_| place.open())).await;
    for (number, store) in stores.iter().enumerate() {
        let server = format!("api-{number}");
        store.save(&registration(&server, &server)).await.unwrap();
    }
    for number in 0..stores.len() {
        let server = format!("api-{number}");
        let credentials = stores[0].credentials(&name(&server)).await.unwrap();
        assert_eq!(bearer(&credentials), server);
    }
    assert_eq!(stores[0].registry_version().await.unwrap(), 8);
}

/// None of them begins with a lock: all but one at a time find that others were faster.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_one_step_take_turns_with_all_others() {
    let Some(place) = Place::new() else { return };
    let stores = [place.open().await, place.open().await];
    let store = |number: u8| &stores[usize::from(number % 2)];
    let users = (0..32).map(|number| async move {
        let user = UserName::new(format!("user-{number}")).unwrap();
        let kind = UserKind::Person;
        assert!(store(number).create_user(&user, kind).await.unwrap());
        assert!(!store(number).create_user(&user, kind).await.unwrap());
    });
    let roles = (0..32).map(|number| async move {
        let role = RoleName::new("one").unwrap();
        let mut some = Permissions::default();
        some.allow = vec![ToolRule::new(format!("shop-{number}")).unwrap()];
        let saved = store(number).save_role(&role, &some, None).await.unwrap();
        assert!(saved.changed);
        saved.revision
    });
    let keys = (0..32).map(|number| async move {
        let name = KeyName::new(format!("key-{}", number % 16)).unwrap();
        let key = NewApiKey::new(name, Hash([number; 32]));
        store(number).create_api_key(&key).await.unwrap()
    });
    let servers = (0..8).map(|number| async move {
        let server = registration(&format!("api-{number}"), "secret");
        store(number).save(&server).await.unwrap();
    });
    let ((), mut revisions, made, ()) = futures::join!(
        async { join_all(users).await.clear() },
        join_all(roles),
        join_all(keys),
        async { join_all(servers).await.clear() },
    );
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=32).collect::<Vec<u64>>());
    assert_eq!(made.into_iter().filter(|made| *made).count(), 16);
    let mut query = AuditQuery::default();
    query.limit = 1_000;
    let log = stores[0].audit(&query).await.unwrap().entries;
    let mut chain = Chain::new(TenantName::default());
    log.iter().for_each(|entry| chain.follow(entry));
    assert_eq!(chain.findings(), []);
    assert_eq!(chain.head(), stores[1].audit_head().await.unwrap());
    assert_eq!(log.len(), 32 + 32 + 16 + 8);
}

#[tokio::test]
async fn another_master_key_is_refused_and_none_is_asked_for() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    store.save(&registration("api", "secret")).await.unwrap();
    let wrong = MasterKey::generate().unwrap();
    let error = postgres::open(&place.settings, Some(wrong))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let named = format!("another master key (id {})", place.key.id());
    assert!(error.to_string().contains(&named), "{error}");

    let error = postgres::open(&place.settings, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("MCPHUB_MASTER_KEY"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_in_time() {
    let Some(place) = Place::new() else { return };
    let Ok(mut url) = url::Url::parse(&place.url) else {
        panic!("the test's server has a URL");
    };
    // A port that nobody listens on: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    url.set_port(Some(port)).unwrap();
    let settings = PostgresSettings::from_url(url.as_str()).unwrap();
    let start = Instant::now();
    let error = postgres::open(&settings, Some(place.key.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
    assert!(error.is_retryable());
    assert!(start.elapsed() < settings.connect_timeout + Duration::from_secs(1));
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

#[tokio::test]
async fn a_wrong_database_or_user_is_said() {
    let Some(place) = Place::new() else { return };
    let mut url = url::Url::parse(&place.url).unwrap();
    url.set_path("/no_such_database");
    let settings = PostgresSettings::from_url(url.as_str()).unwrap();
    let error = postgres::open(&settings, Some(place.key.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", error.report());
    assert!(error.to_string().contains("createdb"), "{error}");

    let mut url = url::Url::parse(&place.url).unwrap();
    url.set_username("nobody-of-that-name").unwrap();
    url.set_password(Some("s3cret")).unwrap();
    let settings = PostgresSettings::from_url(url.as_str()).unwrap();
    let error = postgres::open(&settings, Some(place.key.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::PermissionDenied,
        "{}",
        error.report()
    );
    assert!(!error.report().contains("s3cret"));
}

#[tokio::test]
async fn connections_that_the_server_ended_are_replaced() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    store.save(&registration("api", "secret")).await.unwrap();
    let id: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(pool(&store))
        .await
        .unwrap();
    let ended: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1, 5000)")
        .bind(id)
        .fetch_one(&mut place.connect().await)
        .await
        .unwrap();
    assert!(ended);
    assert!(store.get(&name("api")).await.unwrap().is_some());
    assert!(
        store
            .save(&registration("more", "x"))
            .await
            .unwrap()
            .changed
    );
}

#[tokio::test]
async fn callers_that_go_away_leave_their_connections_sound() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    store.save(&registration("api", "secret")).await.unwrap();
    for microseconds in 0..200 {
        let wanted = registration("late", "secret");
        let patience = Duration::from_micros(microseconds * 20);
        let _ = tokio::time::timeout(patience, store.save(&wanted)).await;
    }
    assert!(
        store
            .save(&registration("other", "x"))
            .await
            .unwrap()
            .changed
    );
    assert!(store.get(&name("other")).await.unwrap().is_some());
    assert!(pool(&store).size() <= 4);
}
