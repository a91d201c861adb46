//! How [`Leases`](crate::shared::Leases) behave.

use std::time::{Duration, Instant};

use futures::future::join_all;

use super::until;
use crate::shared::{Lease, Shared};

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(500);

async fn acquire(node: &Shared, name: &str, time: Duration) -> Option<Lease> {
    let lease = node.leases.acquire(name, time).await;
    lease.expect("an answer")
}

async fn give_back(node: &Shared, lease: Lease) -> bool {
    let was_held = node.leases.give_back(lease).await;
    was_held.expect("an answer")
}

/// Of thirty-two at each node.
pub async fn one_of_many_gets_a_lease(nodes: &[Shared; 2]) {
    let asked = nodes
        .iter()
        .flat_map(|node| (0..32).map(move |_| acquire(node, "one", LONG)));
    let held = join_all(asked).await.into_iter().flatten();
    assert_eq!(held.count(), 1);
}

/// For the other node at once.
pub async fn a_lease_that_was_given_back_is_free(nodes: &[Shared; 2]) {
    let [one, other] = nodes;
    let lease = acquire(one, "back", LONG).await.expect("it is free");
    assert_eq!(acquire(other, "back", LONG).await, None);
    assert!(give_back(one, lease.clone()).await);
    assert!(!give_back(one, lease).await);
    assert!(acquire(other, "back", LONG).await.is_some());
}

/// Not before its time.
pub async fn a_lease_that_ran_out_is_free(nodes: &[Shared; 2]) {
    let [one, other] = nodes;
    let begun = Instant::now();
    let lease = acquire(one, "out", SHORT).await.expect("it is free");
    until(Duration::from_secs(30), || async {
        acquire(other, "out", LONG).await.is_some()
    })
    .await;
    assert!(begun.elapsed() >= SHORT - Duration::from_millis(50));
    assert!(!one.leases.renew(&lease, LONG).await.expect("an answer"));
}

/// Past its first time.
pub async fn a_renewed_lease_lasts(nodes: &[Shared; 2]) {
    let [one, other] = nodes;
    let lease = acquire(one, "renewed", SHORT).await.expect("it is free");
    assert!(one.leases.renew(&lease, LONG).await.expect("an answer"));
    let clock = acquire(one, "clock", SHORT * 2).await.expect("it is free");
    until(Duration::from_secs(30), || async {
        acquire(other, "clock", SHORT)
            .await
            .is_some_and(|next| next.token > clock.token)
    })
    .await;
    assert_eq!(acquire(other, "renewed", SHORT).await, None);
    assert!(give_back(one, lease).await);
}

/// From holder to holder.
pub async fn tokens_grow(nodes: &[Shared; 2]) {
    let mut last = 0;
    for round in 0..20 {
        let node = &nodes[round % 2];
        let lease = acquire(node, "token", LONG).await.expect("it is free");
        assert!(lease.token > last, "{} after {last}", lease.token);
        last = lease.token;
        assert!(give_back(node, lease).await);
    }
}

/// Neither `renew` nor `give_back` of one who held it before.
pub async fn an_old_lease_takes_nothing_from_the_next_holder(nodes: &[Shared; 2]) {
    let [one, other] = nodes;
    let old = acquire(one, "old", LONG).await.expect("it is free");
    assert!(give_back(one, old.clone()).await);
    let new = acquire(other, "old", LONG).await.expect("it is free");
    assert!(!one.leases.renew(&old, LONG).await.expect("an answer"));
    assert!(!give_back(one, old).await);
    assert_eq!(acquire(one, "old", LONG).await, None);
    assert!(give_back(other, new).await);
}

/// One that is held keeps nobody from another.
pub async fn leases_of_different_names_are_independent(nodes: &[Shared; 2]) {
    for name in ["a", "b", "a:b", "", "{a}"] {
        assert!(acquire(&nodes[0], name, LONG).await.is_some(), "{name:?}");
    }
}
