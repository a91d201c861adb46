//! The shared state in Redis. `MCPHUB_TEST_REDIS` names the server.

use std::sync::Arc;

use futures::StreamExt;
use mcphub_core::ErrorKind;
use mcphub_core::event::{Event, EventBus};
use mcphub_core::shared::{Cache, CacheKey, Decision, Rate, SessionKey, Shared};
use mcphub_store::{SharedSettings, shared};
use std::time::Duration;

mod servers;

use servers::double::Double;

type Nodes = (Arc<[Shared; 2]>, ());
type Bus = (Arc<dyn EventBus>, ());
type Caches = (Arc<[Arc<dyn Cache>; 2]>, ());

async fn nodes(settings: Option<SharedSettings>) -> Option<Nodes> {
    let settings = settings?;
    let one = shared(&settings).await.expect("Redis is there");
    let other = shared(&settings).await.expect("Redis is there");
    Some((Arc::new([one, other]), ()))
}

async fn bus(settings: Option<SharedSettings>) -> Option<Bus> {
    let node = shared(&settings?).await.expect("Redis is there");
    Some((node.events, ()))
}

async fn caches(settings: Option<SharedSettings>) -> Option<Caches> {
    let settings = settings?.with_cache(8 << 20);
    let one = shared(&settings).await.expect("Redis is there");
    let other = shared(&settings).await.expect("Redis is there");
    let caches = [one, other].map(|node| node.cache.expect("a cache was asked for"));
    Some((Arc::new(caches), ()))
}

mod of_one_server {
    use super::*;

    async fn caches() -> Option<Caches> {
        super::caches(servers::redis()).await
    }

    async fn nodes() -> Option<Nodes> {
        super::nodes(servers::redis()).await
    }

    async fn bus() -> Option<Bus> {
        super::bus(servers::redis()).await
    }

    mcphub_core::shared_conformance!(nodes);
    mcphub_core::event_bus_conformance!(bus);
    mcphub_core::cache_conformance!(caches);
}

mod of_a_cluster {
    use super::*;

    async fn caches() -> Option<Caches> {
        super::caches(servers::redis_cluster()).await
    }

    async fn nodes() -> Option<Nodes> {
        super::nodes(servers::redis_cluster()).await
    }

    async fn bus() -> Option<Bus> {
        super::bus(servers::redis_cluster()).await
    }

    mcphub_core::shared_conformance!(nodes);
    mcphub_core::event_bus_conformance!(bus);
    mcphub_core::cache_conformance!(caches);
}

/// What `of_a_cluster` would fail at.
#[tokio::test]
async fn a_cluster_refuses_a_step_over_several_slots() {
    let Some(settings) = servers::redis_cluster() else {
        return;
    };
    let client = redis::Client::open(settings.url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let both = redis::cmd("EXISTS").arg("one").arg("other").to_owned();
    let both: redis::RedisResult<u64> = both.query_async(&mut connection).await;
    assert_eq!(both.unwrap_err().code(), Some("CROSSSLOT"));
}

/// Ends sessions all over the cluster.
async fn works_everywhere(settings: &SharedSettings) {
    let node = shared(settings).await.unwrap();
    for number in 0..32 {
        let key = SessionKey::of(&number.to_string());
        let minute = Duration::from_secs(60);
        node.sessions.end(&key, minute).await.unwrap();
        assert!(node.sessions.has_ended(&key).await.unwrap());
    }
}

#[tokio::test]
async fn a_cluster_is_found_though_the_first_address_is_nobodys() {
    let Some(mut settings) = servers::redis_cluster() else {
        return;
    };
    let address = settings.url.split(['@', '/']).nth(3).unwrap().to_owned();
    // Nobody listens on port 1 of loopback.
    settings.url = settings.url.replace(&address, "127.0.0.1:1");
    settings.url.push_str(&format!("?addr={address}"));
    works_everywhere(&settings).await;
}

/// Whoever may not ask for the slots is told of each where it is.
#[tokio::test]
async fn a_cluster_serves_a_user_who_may_not_ask_for_its_slots() {
    let Some(mut settings) = servers::redis_cluster() else {
        return;
    };
    let known: String = tell(&settings.url, "CLUSTER NODES").await;
    let address = settings.url.split(['@', '/']).nth(3).unwrap().to_owned();
    for line in known.lines() {
        // `ID HOST:PORT@PORT ...`
        let other = line.split([' ', '@']).nth(1).unwrap();
        let add = "ACL SETUSER limited on nopass allkeys allchannels +@all -cluster";
        let _: () = tell(&settings.url.replace(&address, other), add).await;
    }
    let from = settings.url.split_once('@').unwrap().0.to_owned();
    settings.url = settings.url.replace(&from, "redis://limited:any");
    works_everywhere(&settings).await;
}

/// A server that joined a cluster has no slots of its own yet when the first is on its way to it.
#[tokio::test]
async fn a_slot_on_its_way_is_asked_for_over_one_connection() {
    let new = Double::start(|asking, _| match asking {
        true => ":1\r\n".to_owned(),
        false => "-ERR nobody said ASKING\r\n".to_owned(),
    });
    let new = new.await;
    let to = new.address;
    let old = Double::start(move |_, _| format!("-ASK 1 {to}\r\n")).await;
    let node = node_at(&old).await;
    let calls = (0..50).map(async |number| {
        let key = SessionKey::of(&number.to_string());
        node.sessions.has_ended(&key).await
    });
    for ended in futures::future::join_all(calls).await {
        assert!(ended.unwrap());
    }
    assert_eq!(new.connections(), 1);
}

#[tokio::test]
async fn a_call_that_is_sent_on_and_on_ends() {
    let circle = Double::start(|_, own| format!("-MOVED 1 {own}\r\n")).await;
    let node = node_at(&circle).await;
    let ended = node.sessions.has_ended(&SessionKey::of("any")).await;
    let error = ended.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.report());
}

async fn node_at(server: &Double) -> Shared {
    let url = format!("redis://{}", server.address);
    let settings = SharedSettings::new(url).with_timeout(Duration::from_secs(20));
    shared(&settings).await.unwrap()
}

/// Sends a command in words to one server.
async fn tell<T: redis::FromRedisValue>(url: &str, words: &str) -> T {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        command.arg(word);
    });
    command.query_async(&mut connection).await.unwrap()
}

#[tokio::test]
async fn hubs_with_different_prefixes_share_nothing() {
    let (Some(one), Some(other)) = (servers::redis(), servers::redis()) else {
        return;
    };
    // A URL can name the prefix too.
    let other = SharedSettings::new(format!("{}?prefix={}", other.url, other.prefix));
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
async fn a_wrong_password_is_told_apart_and_not_shown() {
    let Some(mut settings) = servers::redis() else {
        return;
    };
    let (before, after) = settings
        .url
        .split_once('@')
        .expect("the server asks for a password");
    let scheme = before.split("//").next().unwrap_or_default();
    settings.url = format!("{scheme}//:s3cret@{after}");
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
async fn a_server_that_is_not_there_is_unavailable_soon() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .unwrap()
        .port();
    let begun = std::time::Instant::now();
    let settings = SharedSettings::new(format!("redis://127.0.0.1:{port}"));
    let error = shared(&settings).await.unwrap_err();
    assert!(error.is_retryable(), "{}", error.report());
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = std::time::Instant::now();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let error = shared(&SharedSettings::new(url)).await.unwrap_err();
    assert!(error.is_retryable(), "{}", error.report());
    assert!(begun.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn tenants_share_nothing() {
    let Some(settings) = servers::redis() else {
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
