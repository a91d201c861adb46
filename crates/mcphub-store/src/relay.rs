//! An event bus over a connection that can break.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use mcphub_core::event::{Event, EventBus};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::memory::MemoryEventBus;

/// After so long a silence the line is asked to carry something.
const QUIET: Duration = Duration::from_secs(2);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The pause before a lost line is connected again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The longest message of another node that is read.
const MAX_MESSAGE: usize = 64 * 1024;

/// Carries texts between hosts.
#[async_trait]
pub(crate) trait Line: Send + Sync + Debug + 'static {
    /// Begins to listen. The stream has what is told from when this returns, by this host too, and
    /// ends when the connection is lost.
    async fn listen(&self) -> Result<BoxStream<'static, Vec<u8>>>;

    /// Tells all hosts. Ends within a bound.
    async fn tell(&self, text: String) -> Result<()>;
}

/// An [`EventBus`] over a [`Line`]: one connection listens for all subscribers of this process.
///
/// A line that broke, or that carries nothing for 4 s although this host speaks every 2, is
/// connected again, for as long as it takes. Subscribers then get [`Event::Lagged`].
#[derive(Debug)]
pub(crate) struct Relay {
    line: Arc<dyn Line>,
    here: MemoryEventBus,
    listener: JoinHandle<()>,
}

impl Relay {
    /// A bus that hears what is told from now on.
    ///
    /// # Errors
    /// Those of listening; `Timeout` after 5 s.
    pub(crate) async fn connect(line: Arc<dyn Line>) -> Result<Self> {
        let heard = connect(&*line).await?;
        let here = MemoryEventBus::new();
        let listener = tokio::spawn(listen(line.clone(), heard, here.clone()));
        Ok(Self {
            line,
            here,
            listener,
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

#[async_trait]
impl EventBus for Relay {
    async fn publish(&self, event: Event) -> Result<()> {
        let text = serde_json::to_string(&event).map_err(|error| {
            Error::internal("an event cannot be written")
                .caused_by(error)
                .during("events::publish")
        })?;
        self.line.tell(text).await
    }

    fn subscribe(&self) -> BoxStream<'static, Result<Event>> {
        self.here.subscribe()
    }
}

async fn connect(line: &dyn Line) -> Result<BoxStream<'static, Vec<u8>>> {
    timeout(CONNECT, line.listen()).await.unwrap_or_else(|_| {
        let error = Error::new(ErrorKind::Timeout, "events cannot be listened for");
        Err(error
            .with("limit", format!("{CONNECT:?}"))
            .during("events::listen"))
    })
}

async fn listen(line: Arc<dyn Line>, mut heard: BoxStream<'static, Vec<u8>>, here: MemoryEventBus) {
    loop {
        hear(&*line, &mut heard, &here).await;
        tracing::warn!("events of other nodes are not heard any more; listening again");
        heard = connect_again(&*line).await;
        tracing::info!("events of other nodes are heard again");
        let _ = here.publish(Event::Lagged).await;
    }
}

/// Passes on what is heard until the line is lost.
async fn hear(line: &dyn Line, heard: &mut BoxStream<'static, Vec<u8>>, here: &MemoryEventBus) {
    let mut asked = false;
    loop {
        match timeout(QUIET, heard.next()).await {
            Ok(Some(text)) => {
                asked = false;
                if !text.is_empty() {
                    let _ = here.publish(read(&text)).await;
                }
            }
            Ok(None) => return,
            Err(_) if asked => return,
            Err(_) => {
                // Its own empty text comes back to whoever is still connected.
                let _ = line.tell(String::new()).await;
                asked = true;
            }
        }
    }
}

/// What a newer node tells may be unknown here: then everything has to be read again.
fn read(text: &[u8]) -> Event {
    let known = (text.len() <= MAX_MESSAGE).then(|| serde_json::from_slice(text).ok());
    known.flatten().unwrap_or(Event::Lagged)
}

async fn connect_again(line: &dyn Line) -> BoxStream<'static, Vec<u8>> {
    let mut pause = FIRST_PAUSE;
    loop {
        match connect(line).await {
            Ok(heard) => return heard,
            Err(error) => tracing::debug!(error = %error.report(), "no line yet"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio_stream::wrappers::UnboundedReceiverStream;

    /// A line that a test can cut, or that swallows everything.
    #[derive(Debug, Default)]
    struct TestLine {
        end: Mutex<Option<UnboundedSender<Vec<u8>>>>,
        listened: Mutex<usize>,
        deaf: Mutex<bool>,
    }

    #[async_trait]
    impl Line for TestLine {
        async fn listen(&self) -> Result<BoxStream<'static, Vec<u8>>> {
            let (sender, receiver) = unbounded_channel();
            *self.end.lock().unwrap() = Some(sender);
            *self.listened.lock().unwrap() += 1;
            Ok(UnboundedReceiverStream::new(receiver).boxed())
        }

        async fn tell(&self, text: String) -> Result<()> {
            if let Some(end) = &*self.end.lock().unwrap()
                && !*self.deaf.lock().unwrap()
            {
                let _ = end.send(text.into_bytes());
            }
            Ok(())
        }
    }

    async fn relay() -> (Relay, Arc<TestLine>) {
        let line = Arc::new(TestLine::default());
        (Relay::connect(line.clone()).await.unwrap(), line)
    }

    async fn next(events: &mut BoxStream<'static, Result<Event>>) -> Event {
        events.next().await.unwrap().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_broke_is_connected_again_and_subscribers_are_told() {
        let (relay, line) = relay().await;
        let mut events = relay.subscribe();
        *line.end.lock().unwrap() = None;
        assert_eq!(next(&mut events).await, Event::Lagged);
        assert_eq!(*line.listened.lock().unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_hangs_is_connected_again() {
        let (relay, line) = relay().await;
        let mut events = relay.subscribe();
        *line.deaf.lock().unwrap() = true;
        let begun = tokio::time::Instant::now();
        assert_eq!(next(&mut events).await, Event::Lagged);
        assert_eq!(begun.elapsed(), 2 * QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_that_is_only_quiet_stays() {
        let (relay, line) = relay().await;
        let mut events = relay.subscribe();
        let silence = timeout(Duration::from_secs(600), events.next()).await;
        assert!(silence.is_err() && *line.listened.lock().unwrap() == 1);
    }

    #[tokio::test]
    async fn what_nobody_here_understands_means_that_everything_may_have_changed() {
        let (relay, line) = relay().await;
        let mut events = relay.subscribe();
        for text in [
            "{\"type\":\"of-the-future\"}",
            "junk",
            &"x".repeat(MAX_MESSAGE + 1),
        ] {
            line.tell(text.to_owned()).await.unwrap();
            assert_eq!(next(&mut events).await, Event::Lagged);
        }
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_bus() {
        let (relay, _line) = relay().await;
        let mut events = relay.subscribe();
        drop(relay);
        assert!(events.next().await.is_none());
    }
}
