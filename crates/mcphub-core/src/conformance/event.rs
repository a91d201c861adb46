//! How an [`EventBus`] behaves.

use futures::StreamExt;
use futures::stream::BoxStream;

use crate::Result;
use crate::event::{Event, EventBus};
use crate::server::ServerName;

/// Makes tests of all checks of [`event`](crate::conformance::event). The factory is an async
/// function without arguments that gives a smart pointer to an [`EventBus`](crate::event::EventBus)
/// without subscribers, and a guard.
#[macro_export]
macro_rules! event_bus_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            event: a_subscriber_gets_what_is_published_afterwards_in_order,
            every_subscriber_gets_every_event,
            publishing_without_a_subscriber_is_no_error,
            a_subscriber_that_falls_behind_is_told_and_goes_on_with_the_newest,
            a_dropped_subscriber_disturbs_nobody,
        );
    };
}

/// More than any bus keeps for a subscriber.
const FLOOD: usize = 20_000;

fn event(number: usize) -> Event {
    let server = ServerName::new(format!("s{number}")).expect("a legal name");
    Event::CatalogChanged { server }
}

async fn publish(bus: &dyn EventBus, number: usize) {
    let published = bus.publish(event(number)).await;
    published.expect("publishing is no error");
}

async fn next(events: &mut BoxStream<'static, Result<Event>>) -> Event {
    let next = events.next().await.expect("the stream goes on");
    next.expect("an event")
}

/// Everything after `subscribe`.
pub async fn a_subscriber_gets_what_is_published_afterwards_in_order(bus: &dyn EventBus) {
    publish(bus, 0).await;
    let mut events = bus.subscribe();
    for number in 1..=100 {
        publish(bus, number).await;
    }
    let mut got = next(&mut events).await;
    if got == event(0) {
        // It was still on its way.
        got = next(&mut events).await;
    }
    assert_eq!(got, event(1));
    for number in 2..=100 {
        assert_eq!(next(&mut events).await, event(number));
    }
}

/// Subscribers do not take events from each other.
pub async fn every_subscriber_gets_every_event(bus: &dyn EventBus) {
    let mut subscribers = [bus.subscribe(), bus.subscribe(), bus.subscribe()];
    for number in 0..10 {
        publish(bus, number).await;
    }
    for events in &mut subscribers {
        for number in 0..10 {
            assert_eq!(next(events).await, event(number));
        }
    }
}

/// Before the first subscriber, and after the last.
pub async fn publishing_without_a_subscriber_is_no_error(bus: &dyn EventBus) {
    publish(bus, 0).await;
    drop(bus.subscribe());
    publish(bus, 1).await;
}

/// `publish` does not wait for a subscriber that reads nothing; that one is told once, and what it
/// gets then is newer than what it got before, up to the last.
pub async fn a_subscriber_that_falls_behind_is_told_and_goes_on_with_the_newest(
    bus: &dyn EventBus,
) {
    let mut events = bus.subscribe();
    for number in 0..FLOOD {
        publish(bus, number).await;
    }
    // Either the bus keeps everything, or it says that it did not before anything is missing.
    let mut expected = 0;
    while expected < FLOOD {
        let got = next(&mut events).await;
        if got == Event::Lagged {
            break;
        }
        assert_eq!(
            got,
            event(expected),
            "events are missing and nothing says so"
        );
        expected += 1;
    }
    publish(bus, FLOOD).await;
    let mut last = expected;
    loop {
        let Event::CatalogChanged { server } = next(&mut events).await else {
            panic!("told again of what it knows");
        };
        let number: usize = server.as_str()[1..].parse().expect("a number");
        assert!(number >= last, "an old event after a newer one");
        last = number + 1;
        if number == FLOOD {
            break;
        }
    }
}

/// The others go on.
pub async fn a_dropped_subscriber_disturbs_nobody(bus: &dyn EventBus) {
    let mut stays = bus.subscribe();
    let leaves = bus.subscribe();
    publish(bus, 0).await;
    drop(leaves);
    publish(bus, 1).await;
    assert_eq!(next(&mut stays).await, event(0));
    assert_eq!(next(&mut stays).await, event(1));
}
