//! The shared state in PostgreSQL. `MCPHUB_TEST_POSTGRES` names the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcphub_core::ErrorKind;
use mcphub_core::event::{Event, EventBus};
use mcphub_core::shared::{Cache, CacheKey, Decision, Rate, SessionKey, Shared};
use mcphub_store::{SharedSettings, shared};

mod servers;

async fn nodes() -> Option<(Arc<[Shared; 2]>, ())> {
    let settings = servers::postgres()?;
    let one = shared(&settings).await.expect("PostgreSQL is there");
    let other = shared(&settings).await.expect("PostgreSQL is there");
    Some((Arc::new([one, other]), ()))
}

async fn caches() -> Option<(Arc<[Arc<dyn Cache>; 2]>, ())> {
    let settings = servers::postgres()?.with_cache(8 << 20);
    let one = shared(&settings).await.expect("PostgreSQL is there");
    let other = shared(&settings).await.expect("PostgreSQL is there");
    let caches = [one, other].map(|node| node.cache.expect("a cache was asked for"));
    Some((Arc::new(caches), ()))
}

async fn bus() -> Option<(Arc<dyn EventBus>, ())> {
    let settings = servers::postgres()?;
    let node = shared(&settings).await.expect("PostgreSQL is there");
    Some((node.events, ()))
}

mod state {
    mcphub_core::shared_conformance!(super::nodes);
}

mod cache {
    mcphub_core::cache_conformance!(super::caches);
}

mod events {
    mcphub_core::event_bus_conformance!(super::bus);
}

#[tokio::test]
async fn hubs_in_different_schemas_share_nothing() {
    let (Some(one), Some(other)) = (servers::postgres(), servers::postgres()) else {
        return;
    };
    let (one, other) = (one.with_cache(8 << 20), other.with_cache(8 << 20));
    let (one, other) = (shared(&one).await.unwrap(), shared(&other).await.unwrap());
    let key = SessionKey::of("session");
    one.sessions
        .end(&key, Duration::from_secs(60))
        .await
        .unwrap();
    assert!(one.sessions.has_ended(&key).await.unwrap());
    assert!(!other.sessions.has_ended(&key).await.unwrap());
    let (cache, theirs) = (one.cache.unwrap(), other.cache.unwrap());
    let answer = CacheKey::of([&b"answer"[..]]);
    let minute = Duration::from_secs(60);
    cache.put(&answer, "ours".into(), minute).await.unwrap();
    assert_eq!(theirs.get(&answer).await.unwrap(), None);
}

#[tokio::test]
async fn nodes_that_start_together_find_one_set_of_tables() {
    let Some(settings) = servers::postgres() else {
        return;
    };
    let starting = (0..8).map(|_| shared(&settings));
    let nodes = futures::future::join_all(starting).await;
    let key = SessionKey::of("session");
    nodes[0]
        .as_ref()
        .unwrap()
        .sessions
        .end(&key, Duration::from_secs(60))
        .await
        .unwrap();
    for node in nodes {
        assert!(node.unwrap().sessions.has_ended(&key).await.unwrap());
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_and_not_shown() {
    let Some(mut settings) = servers::postgres() else {
        return;
    };
    let (_, after) = settings
        .url
        .split_once('@')
        .expect("the server asks for a password");
    settings.url = format!("postgres://mcphub:s3cret@{after}");
    let error = shared(&settings).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::PermissionDenied,
        "{}",
        error.report()
    );
    assert!(!error.report().contains("s3cret") && !format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "postgres://mcphub@{}/mcphub?connect_timeout=1",
        listener.local_addr().unwrap()
    );
    let begun = Instant::now();
    let error = shared(&SharedSettings::new(url)).await.unwrap_err();
    assert!(error.is_retryable(), "{}", error.report());
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn tenants_share_nothing() {
    let Some(settings) = servers::postgres() else {
        return;
    };
    let settings = settings.with_cache(8 << 20);
    let one = shared(&settings).await.unwrap();
    let other = shared(&settings.clone().with_tenant("acme")).await.unwrap();
    let (cache, theirs) = (one.cache.clone().unwrap(), other.cache.clone().unwrap());
    let answer = CacheKey::of([&b"answer"[..]]);
    let minute = Duration::from_secs(60);
    cache.put(&answer, "ours".into(), minute).await.unwrap();
    assert_eq!(theirs.get(&answer).await.unwrap(), None);
    theirs.remove(&answer).await.unwrap();
    assert!(cache.get(&answer).await.unwrap().is_some());
    let mut events = other.events.subscribe();
    one.events.publish(Event::Lagged).await.unwrap();
    let rate: Rate = "1/d".parse().unwrap();
    for node in [&one, &other] {
        let decision = node.limits.take("client", rate).await.unwrap();
        assert_eq!(decision, Decision::Allowed { remaining: 0 });
        let lease = node.leases.acquire("work", Duration::from_secs(60)).await;
        assert!(lease.unwrap().is_some());
    }
    let heard = tokio::time::timeout(Duration::from_millis(300), events.next()).await;
    assert!(heard.is_err(), "{heard:?}");
}
