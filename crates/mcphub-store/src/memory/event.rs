//! The event bus of a single process.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::Result;
use mcphub_core::event::{Event, EventBus};
use tokio::sync::broadcast::{self, Sender, error::RecvError};

/// An event bus over a ring of [`MemoryEventBus::CAPACITY`] events, which all subscribers share: a
/// slow one costs no memory and delays nobody. It gets [`Event::Lagged`] in place of what it missed.
///
/// A stream ends when the bus is dropped.
#[derive(Debug, Clone)]
pub struct MemoryEventBus {
    sender: Sender<Event>,
}

impl MemoryEventBus {
    /// How many events a subscriber may be behind.
    pub const CAPACITY: usize = 1_024;

    /// A bus without subscribers.
    pub fn new() -> Self {
        Self {
            sender: Sender::new(Self::CAPACITY),
        }
    }
}

impl Default for MemoryEventBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl EventBus for MemoryEventBus {
    async fn publish(&self, event: Event) -> Result<()> {
        // The only error is that nobody listens.
        let _ = self.sender.send(event);
        Ok(())
    }

    fn subscribe(&self) -> BoxStream<'static, Result<Event>> {
        stream::unfold(self.sender.subscribe(), next).boxed()
    }
}

async fn next(
    mut receiver: broadcast::Receiver<Event>,
) -> Option<(Result<Event>, broadcast::Receiver<Event>)> {
    match receiver.recv().await {
        Ok(event) => Some((Ok(event), receiver)),
        // Whoever sees this reads everything again, so that what is still in the ring is old news.
        Err(RecvError::Lagged(_)) => Some((Ok(Event::Lagged), receiver.resubscribe())),
        Err(RecvError::Closed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    mcphub_core::event_bus_conformance!(async || (Arc::new(MemoryEventBus::new()), ()));

    #[tokio::test]
    async fn a_stream_ends_with_its_bus() {
        let bus = MemoryEventBus::new();
        let mut events = bus.subscribe();
        bus.publish(Event::Lagged).await.unwrap();
        drop(bus);
        assert_eq!(events.next().await.unwrap().unwrap(), Event::Lagged);
        assert!(events.next().await.is_none());
    }
}
