//! Asking servers for what they list.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{Inner, drain};
use crate::roster::{Connected, Watcher};
use crate::upstream::{Inventory, Upstream};

/// The first pause after a server did not list its tools; it doubles up to
/// [`GatewaySettings::list_interval`](crate::GatewaySettings::list_interval).
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// The shortest time between two lists of one server, however often it says that they changed.
const MIN_LIST_PAUSE: Duration = Duration::from_millis(100);

/// The most servers that are asked at once. With thousands, all at once would take their connections
/// and their answers' memory together, and the time of calls.
pub(super) const AT_ONCE: usize = 64;

/// How long a server counts among those: one that hangs keeps nobody else waiting for longer.
const TURN: Duration = Duration::from_millis(250);

impl Inner {
    /// Asks a server for its tools: now, when it says that they changed, from time to time, and
    /// after a growing pause while it does not answer.
    pub(super) fn watch(self: &Arc<Self>, server: Connected) -> Watcher {
        let (inner, turns) = (Arc::downgrade(self), Arc::clone(&self.lists));
        let Connected {
            name,
            connection,
            upstream,
            changes,
        } = server;
        let (limit, interval) = (self.settings.list_timeout, self.settings.list_interval);
        let task = async move {
            // A stream that ends is a server that will not say so any more.
            let mut announced = upstream.changes().chain(stream::pending()).boxed();
            let mut retry = FIRST_RETRY.min(interval);
            let mut next = apart(connection, interval);
            loop {
                let answer = list(&turns, &*upstream, limit).await;
                let pause = match &answer {
                    Ok(_) if changes => Some(std::mem::replace(&mut next, interval)),
                    Ok(_) => None,
                    Err(_) => Some(retry),
                };
                retry = if answer.is_ok() {
                    FIRST_RETRY
                } else {
                    retry * 2
                }
                .min(interval);
                let Some(here) = inner.upgrade() else { return };
                let later = here.roster.listed(&name, connection, answer);
                drop(here);
                if let Some(later) = later {
                    sleep(later).await;
                    let Some(here) = inner.upgrade() else { return };
                    here.roster.catch_up();
                }
                let again = async {
                    match pause {
                        Some(pause) => sleep(pause).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    _ = announced.next() => {
                        sleep(MIN_LIST_PAUSE).await;
                        drain(&mut announced, |_| {});
                    }
                    () = again => {}
                }
            }
        };
        Watcher(tokio::spawn(task))
    }
}

/// When a server is asked for the second time: servers that were met together are asked one after
/// the other from then on, all within the interval.
fn apart(connection: u64, interval: Duration) -> Duration {
    // Multiples of the golden ratio spread evenly, however many there are.
    const RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
    let part = connection.wrapping_mul(RATIO) >> 32;
    let nanos = (interval.as_nanos() * u128::from(part)) >> 32;
    u64::try_from(nanos).map_or(interval, Duration::from_nanos)
}

async fn list(turns: &Semaphore, upstream: &dyn Upstream, limit: Duration) -> Result<Inventory> {
    // It is never closed.
    let turn = turns.acquire().await;
    let mut listing = Box::pin(timeout(limit, upstream.inventory()));
    let answer = match timeout(TURN, &mut listing).await {
        Ok(answer) => answer,
        Err(_) => {
            drop(turn);
            listing.await
        }
    };
    answer.unwrap_or_else(|_| {
        let message = "the server did not list its tools in time";
        Err(Error::new(ErrorKind::Timeout, message).with("limit", format!("{limit:?}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_were_met_together_are_asked_apart() {
        let interval = Duration::from_secs(30);
        let mut times: Vec<_> = (1..=3_000).map(|number| apart(number, interval)).collect();
        times.sort_unstable();
        assert!(times.last().is_some_and(|last| *last < interval));
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        // A hundred a second, and never more than three at once.
        assert!(
            gaps.max()
                .is_some_and(|gap| gap < Duration::from_millis(30))
        );
        let at_once = times.windows(4).map(|four| four[3] - four[0]).min();
        assert!(at_once.is_some_and(|least| least > Duration::from_millis(5)));
        assert_eq!(apart(7, Duration::ZERO), Duration::ZERO);
    }
}
