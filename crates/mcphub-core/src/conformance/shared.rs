//! How [`Shared`] state behaves, seen from two nodes.

mod leases;
mod limits;
mod sessions;

pub use leases::*;
pub use limits::*;
pub use sessions::*;

use std::time::{Duration, Instant};

use crate::shared::Shared;

/// Makes tests of all checks of [`shared`](crate::conformance::shared). The factory is an async
/// function without arguments that gives a smart pointer to two handles `[Shared; 2]` on one empty
/// shared state, as two nodes have them, and a guard.
///
/// The checks of [`event_bus_conformance`](crate::event_bus_conformance) come beside these.
#[macro_export]
macro_rules! shared_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            shared: a_burst_is_allowed_and_no_more,
            what_is_allowed_counts_down,
            a_refused_call_costs_nothing_and_says_when,
            one_is_allowed_after_each_interval,
            keys_do_not_share,
            any_text_is_a_key,
            a_limit_is_exact_for_many_at_once_at_two_nodes,
            an_ended_session_has_ended_at_every_node,
            an_end_is_forgotten_after_its_time,
            the_longest_memory_of_an_end_counts,
            one_of_many_gets_a_lease,
            a_lease_that_was_given_back_is_free,
            a_lease_that_ran_out_is_free,
            a_renewed_lease_lasts,
            tokens_grow,
            an_old_lease_takes_nothing_from_the_next_holder,
            leases_of_different_names_are_independent,
            an_event_of_one_node_reaches_the_other,
        );
    };
}

/// Asks again and again, without a clock of any runtime, until the answer is yes.
pub(super) async fn until<F: Future<Output = bool>>(limit: Duration, mut ask: impl FnMut() -> F) {
    let begun = Instant::now();
    while !ask().await {
        assert!(begun.elapsed() < limit, "not within {limit:?}");
    }
}

/// Events travel between nodes, in the order of the node that tells them.
pub async fn an_event_of_one_node_reaches_the_other(nodes: &[Shared; 2]) {
    use crate::event::Event;
    use crate::server::ServerName;
    use futures::StreamExt;

    let [one, other] = nodes;
    let mut events = other.events.subscribe();
    let event = |name: &str| Event::CatalogChanged {
        server: ServerName::new(name).expect("a legal name"),
    };
    for name in ["first", "second", "third"] {
        one.events.publish(event(name)).await.expect("it is told");
    }
    for name in ["first", "second", "third"] {
        let next = events.next().await.expect("the stream goes on");
        assert_eq!(next.expect("an event"), event(name));
    }
}
