//! Whether another system can be reached: every call ends within a bound, and those after one that
//! failed fail at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcphub_core::{Error, ErrorKind, Result};

/// How long after a failed call others fail without trying, except one that tries again.
const PAUSE: Duration = Duration::from_secs(1);

/// Bounds calls of one system, so that a dead or hanging one costs its callers little: while it does
/// not answer, one call in [`PAUSE`] waits for it.
#[derive(Debug)]
pub(crate) struct Reach {
    system: &'static str,
    limit: Duration,
    begun: Instant,
    /// In milliseconds since `begun`: until then nobody tries. Zero while the system answers.
    closed_until: AtomicU64,
}

impl Reach {
    pub(crate) fn new(system: &'static str, limit: Duration) -> Self {
        Self {
            system,
            limit,
            begun: Instant::now(),
            closed_until: AtomicU64::new(0),
        }
    }

    /// Makes one call, within the whole bound.
    #[cfg(any(feature = "postgres", test))]
    pub(crate) async fn call<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.call_within(operation, self.limit, work).await
    }

    /// Makes one call. Errors that are retryable, and running out of time, count against the system.
    pub(crate) async fn call_within<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.admit().map_err(|error| error.during(operation))?;
        let outcome = tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(self.timed_out()));
        match &outcome {
            Err(error) if error.is_retryable() => self.close(),
            _ => self.closed_until.store(0, Ordering::Relaxed),
        }
        outcome.map_err(|error| error.during(operation))
    }

    /// One caller of those that come after the pause tries; the others are sent away meanwhile.
    fn admit(&self) -> Result<()> {
        let closed_until = self.closed_until.load(Ordering::Relaxed);
        if closed_until == 0 {
            return Ok(());
        }
        let now = self.now();
        let next = now + millis(PAUSE.max(self.limit));
        let tries = now >= closed_until
            && self
                .closed_until
                .compare_exchange(closed_until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if tries {
            return Ok(());
        }
        let message = format!("{} did not answer a moment ago", self.system);
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Whether a call failed a moment ago.
    #[cfg(feature = "redis")]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed_until.load(Ordering::Relaxed) != 0
    }

    fn close(&self) {
        let until = self.now() + millis(PAUSE);
        self.closed_until.store(until, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        millis(self.begun.elapsed())
    }

    fn timed_out(&self) -> Error {
        let message = format!("{} did not answer in time", self.system);
        Error::new(ErrorKind::Timeout, message).with("limit", format!("{:?}", self.limit))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    async fn dead() -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "it is dead"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends_in_its_time() {
        let reach = Reach::new("a system", Duration::from_secs(3));
        let begun = tokio::time::Instant::now();
        let error = reach
            .call("test::call", pending::<Result<()>>())
            .await
            .unwrap_err();
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (ErrorKind::Timeout, true)
        );
        assert_eq!(error.operation(), Some("test::call"));
    }

    #[tokio::test]
    async fn after_a_failure_one_call_tries_again_and_success_lets_all_in() {
        let reach = Reach::new("a system", Duration::from_millis(10));
        assert!(reach.call("test", dead()).await.is_err());
        // Not even tried: it would have succeeded.
        let error = reach.call("test", ready(Ok(()))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.is_retryable());
        let begun = Instant::now();
        while reach.call("test", ready(Ok(()))).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(begun.elapsed() >= PAUSE - Duration::from_millis(50));
        assert!(reach.call("test", ready(Ok(()))).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_that_is_an_error_is_an_answer() {
        let reach = Reach::new("a system", Duration::from_secs(1));
        let refused = async { Err::<(), _>(Error::invalid("no")) };
        assert!(reach.call("test", refused).await.is_err());
        assert!(reach.call("test", ready(Ok(()))).await.is_ok());
    }
}
