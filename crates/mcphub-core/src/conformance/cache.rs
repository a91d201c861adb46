//! How a [`Cache`] behaves, seen from two nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::shared::until;
use crate::ErrorKind;
use crate::shared::cache::{Cache, CacheKey, MAX_KEEP, MAX_VALUE};

/// Makes tests of all checks of [`cache`](crate::conformance::cache). The factory is an async function
/// without arguments that gives a smart pointer to two handles `[Arc<dyn Cache>; 2]` on one empty
/// cache with room for a few MiB, as two nodes have them, and a guard.
#[macro_export]
macro_rules! cache_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            cache: what_one_node_puts_every_node_gets_byte_for_byte,
            nothing_is_given_after_its_time,
            another_value_replaces_the_first_and_its_time,
            what_was_removed_is_gone_at_every_node,
            keys_share_nothing,
            what_is_too_large_or_too_long_is_refused_and_changes_nothing,
        );
    };
}

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(1_000);

fn key(name: &str) -> CacheKey {
    CacheKey::of([name.as_bytes()])
}

async fn put(node: &dyn Cache, name: &str, value: impl Into<Bytes>, keep: Duration) {
    let kept = node.put(&key(name), value.into(), keep).await;
    kept.expect("it is kept");
}

async fn get(node: &dyn Cache, name: &str) -> Option<Bytes> {
    node.get(&key(name)).await.expect("an answer")
}

/// Of any bytes, none and the most among them.
pub async fn what_one_node_puts_every_node_gets_byte_for_byte(nodes: &[Arc<dyn Cache>; 2]) {
    let all: Vec<u8> = (0..=u8::MAX).cycle().take(MAX_VALUE).collect();
    for (name, value) in [
        ("text", &b"value"[..]),
        ("none", b""),
        ("zero", b"\0"),
        ("all", &all),
    ] {
        for node in nodes {
            assert_eq!(get(&**node, name).await, None, "{name}");
        }
        put(&*nodes[0], name, value.to_vec(), LONG).await;
        for node in nodes {
            let kept = get(&**node, name).await;
            assert!(kept.as_deref() == Some(value), "{name}");
        }
    }
}

/// Not before, unless it is lost.
pub async fn nothing_is_given_after_its_time(nodes: &[Arc<dyn Cache>; 2]) {
    let begun = Instant::now();
    put(&*nodes[0], "short", "value", SHORT).await;
    let kept = get(&*nodes[1], "short").await;
    assert!(kept.is_some() || begun.elapsed() >= SHORT);
    for node in nodes {
        let gone = async || get(&**node, "short").await.is_none();
        until(Duration::from_secs(30), gone).await;
    }
    assert!(begun.elapsed() >= SHORT - Duration::from_millis(50));
}

/// Whichever lasts longer.
pub async fn another_value_replaces_the_first_and_its_time(nodes: &[Arc<dyn Cache>; 2]) {
    let [one, other] = nodes;
    put(&**one, "longer", "first", SHORT).await;
    put(&**other, "longer", "second", LONG).await;
    put(&**one, "shorter", "first", LONG).await;
    put(&**other, "shorter", "second", SHORT).await;
    for node in nodes {
        assert_eq!(
            get(&**node, "longer").await.as_deref(),
            Some(&b"second"[..])
        );
        let shorter = get(&**node, "shorter").await;
        assert!(shorter.is_none_or(|value| value == "second"));
        let gone = async || get(&**node, "shorter").await.is_none();
        until(Duration::from_secs(30), gone).await;
    }
    // The first of these had to be gone by now.
    assert_eq!(get(&**one, "longer").await.as_deref(), Some(&b"second"[..]));
}

/// Until something is put there again.
pub async fn what_was_removed_is_gone_at_every_node(nodes: &[Arc<dyn Cache>; 2]) {
    let [one, other] = nodes;
    put(&**one, "removed", "first", LONG).await;
    put(&**one, "stays", "value", LONG).await;
    for _ in 0..2 {
        let removed = other.remove(&key("removed")).await;
        removed.expect("also where there is nothing");
        for node in nodes {
            assert_eq!(get(&**node, "removed").await, None);
            assert!(get(&**node, "stays").await.is_some());
        }
    }
    put(&**other, "removed", "second", LONG).await;
    assert_eq!(
        get(&**one, "removed").await.as_deref(),
        Some(&b"second"[..])
    );
}

/// However alike they are.
pub async fn keys_share_nothing(nodes: &[Arc<dyn Cache>; 2]) {
    let names = ["a", "A", "a ", "a\0", "aa", "ä", "*", "a:b", ""];
    for name in names {
        put(&*nodes[0], name, name.as_bytes(), LONG).await;
    }
    for name in names {
        let value = get(&*nodes[1], name).await;
        assert_eq!(value.as_deref(), Some(name.as_bytes()));
    }
}

/// What was there is given on.
pub async fn what_is_too_large_or_too_long_is_refused_and_changes_nothing(
    nodes: &[Arc<dyn Cache>; 2],
) {
    put(&*nodes[0], "key", "value", LONG).await;
    let second = Duration::from_secs(1);
    for (value, keep) in [
        (vec![b'x'; MAX_VALUE + 1], LONG),
        (Vec::new(), MAX_KEEP + second),
        (Vec::new(), Duration::MAX),
    ] {
        let refused = nodes[0].put(&key("key"), value.into(), keep).await;
        let error = refused.expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", error.report());
        assert_eq!(get(&*nodes[1], "key").await.as_deref(), Some(&b"value"[..]));
    }
    let most = nodes[0].put(&key("most"), Bytes::new(), MAX_KEEP).await;
    most.expect("a day is not too long");
}
