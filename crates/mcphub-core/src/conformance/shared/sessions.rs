//! How [`Sessions`](crate::shared::Sessions) behave.

use std::time::{Duration, Instant};

use super::until;
use crate::shared::{SessionKey, Shared};

const LONG: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(1_000);

async fn end(node: &Shared, session: &SessionKey, keep: Duration) {
    node.sessions.end(session, keep).await.expect("it is ended");
}

async fn has_ended(node: &Shared, session: &SessionKey) -> bool {
    let ended = node.sessions.has_ended(session).await;
    ended.expect("an answer")
}

/// And no other session has.
pub async fn an_ended_session_has_ended_at_every_node(nodes: &[Shared; 2]) {
    let [one, other] = nodes;
    let (session, lives) = (SessionKey::of("ended"), SessionKey::of("lives"));
    assert!(!has_ended(one, &session).await && !has_ended(other, &session).await);
    end(one, &session, LONG).await;
    for node in nodes {
        assert!(has_ended(node, &session).await);
        assert!(!has_ended(node, &lives).await);
    }
}

/// Not before.
pub async fn an_end_is_forgotten_after_its_time(nodes: &[Shared; 2]) {
    let session = SessionKey::of("short");
    let begun = Instant::now();
    end(&nodes[0], &session, SHORT).await;
    assert!(has_ended(&nodes[0], &session).await || begun.elapsed() >= SHORT);
    until(Duration::from_secs(30), || async {
        !has_ended(&nodes[1], &session).await
    })
    .await;
    assert!(begun.elapsed() >= SHORT - Duration::from_millis(50));
}

/// Whichever came first.
pub async fn the_longest_memory_of_an_end_counts(nodes: &[Shared; 2]) {
    let (first, second) = (SessionKey::of("first"), SessionKey::of("second"));
    let brief = Duration::from_millis(50);
    end(&nodes[0], &first, LONG).await;
    end(&nodes[1], &first, brief).await;
    end(&nodes[0], &second, brief).await;
    end(&nodes[1], &second, LONG).await;
    // Until what was ended last for so short a time is forgotten, the others have to be older.
    let clock = SessionKey::of("clock");
    end(&nodes[0], &clock, brief * 4).await;
    until(Duration::from_secs(30), || async {
        !has_ended(&nodes[0], &clock).await
    })
    .await;
    assert!(has_ended(&nodes[0], &first).await && has_ended(&nodes[0], &second).await);
}
