//! How a [`RateLimiter`](crate::shared::RateLimiter) behaves.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::until;
use crate::shared::{Decision, Rate, Shared};

/// So slow that nothing comes back while a check runs.
fn slow(count: u32) -> Rate {
    Rate::new(count, Duration::from_secs(24 * 60 * 60)).expect("a legal rate")
}

async fn take(node: &Shared, key: &str, rate: Rate) -> Decision {
    let decision = node.limits.take(key, rate).await;
    decision.expect("a decision")
}

fn is_allowed(decision: Decision) -> bool {
    matches!(decision, Decision::Allowed { .. })
}

/// The burst, and not one more.
pub async fn a_burst_is_allowed_and_no_more(nodes: &[Shared; 2]) {
    let rate = slow(3);
    for _ in 0..3 {
        assert!(is_allowed(take(&nodes[0], "burst", rate).await));
    }
    assert!(!is_allowed(take(&nodes[0], "burst", rate).await));
    let rate = slow(3).with_burst(1);
    assert!(is_allowed(take(&nodes[0], "one", rate).await));
    assert!(!is_allowed(take(&nodes[0], "one", rate).await));
}

/// `remaining`.
pub async fn what_is_allowed_counts_down(nodes: &[Shared; 2]) {
    for remaining in [2, 1, 0] {
        let decision = take(&nodes[0], "count", slow(3)).await;
        assert_eq!(decision, Decision::Allowed { remaining });
    }
}

/// However often it was refused: the wait does not grow.
pub async fn a_refused_call_costs_nothing_and_says_when(nodes: &[Shared; 2]) {
    let rate = slow(2);
    let interval = Duration::from_micros(rate.interval_micros());
    for _ in 0..2 {
        take(&nodes[0], "refused", rate).await;
    }
    let mut last = interval;
    for _ in 0..20 {
        let Decision::Limited { retry_after } = take(&nodes[0], "refused", rate).await else {
            panic!("it was allowed");
        };
        assert!(
            retry_after > Duration::ZERO && retry_after <= last,
            "{retry_after:?} of {last:?}"
        );
        last = retry_after;
    }
    // A minute is far more than what passed meanwhile.
    assert!(interval - last < Duration::from_secs(60));
}

/// Not before, and then one.
pub async fn one_is_allowed_after_each_interval(nodes: &[Shared; 2]) {
    let rate = Rate::new(4, Duration::from_secs(1))
        .expect("a legal rate")
        .with_burst(1);
    assert!(is_allowed(take(&nodes[0], "interval", rate).await));
    // Since after the first was allowed, so that the interval cannot be shorter than it seems.
    let begun = Instant::now();
    until(Duration::from_secs(30), || async {
        is_allowed(take(&nodes[0], "interval", rate).await)
    })
    .await;
    let elapsed = begun.elapsed();
    // The clocks of two systems, and the time that the first answer travelled.
    assert!(
        elapsed > Duration::from_millis(150),
        "already after {elapsed:?}"
    );
}

/// One that used everything keeps nobody else out.
pub async fn keys_do_not_share(nodes: &[Shared; 2]) {
    let rate = slow(1);
    assert!(is_allowed(take(&nodes[0], "a", rate).await));
    assert!(!is_allowed(take(&nodes[0], "a", rate).await));
    for other in ["b", "A", "a ", "aa", ""] {
        assert!(is_allowed(take(&nodes[0], other, rate).await), "{other:?}");
    }
}

/// Whatever identifies a client: addresses, names, emails, long and odd texts.
pub async fn any_text_is_a_key(nodes: &[Shared; 2]) {
    let long = "k".repeat(10_000);
    let longer = "k".repeat(10_001);
    for key in [
        "a b",
        "a:b",
        "{a}b",
        "a}b{",
        "a\0b",
        "ä@ö.example",
        "a'b\"c\\",
        "*?[a]",
        "\n",
        &long,
        &longer,
    ] {
        assert!(is_allowed(take(&nodes[0], key, slow(1)).await), "{key:?}");
        assert!(!is_allowed(take(&nodes[1], key, slow(1)).await), "{key:?}");
    }
}

/// Sixty-four at each node, for twenty places.
pub async fn a_limit_is_exact_for_many_at_once_at_two_nodes(nodes: &[Shared; 2]) {
    let rate = slow(20);
    let calls = nodes
        .iter()
        .flat_map(|node| (0..64).map(move |_| take(node, "exact", rate)));
    let decisions = join_all(calls).await;
    let allowed = decisions
        .into_iter()
        .filter(|decision| is_allowed(*decision));
    assert_eq!(allowed.count(), 20);
}
