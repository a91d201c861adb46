//! A rate limiter that goes on alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{Decision, Rate, RateLimiter};

use crate::memory::MemoryRateLimiter;

/// Asks a shared limiter and, while that cannot be reached, counts for this node alone: a limit then
/// still holds at each node, and nobody is kept out because a server is down.
#[derive(Debug)]
pub struct FallbackRateLimiter {
    shared: Arc<dyn RateLimiter>,
    own: MemoryRateLimiter,
    alone: AtomicBool,
}

impl FallbackRateLimiter {
    /// Over this limiter, whose calls have to end within a bound.
    pub fn new(shared: Arc<dyn RateLimiter>) -> Self {
        Self {
            shared,
            own: MemoryRateLimiter::new(),
            alone: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl RateLimiter for FallbackRateLimiter {
    async fn take(&self, key: &str, rate: Rate) -> Result<Decision> {
        match self.shared.take(key, rate).await {
            Err(error) if error.is_retryable() => {
                if !self.alone.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error = %error.report(), "rates are counted by this node alone");
                }
                Ok(self.own.decide(key, rate))
            }
            decided => {
                if decided.is_ok() && self.alone.swap(false, Ordering::Relaxed) {
                    tracing::info!("rates are counted by all nodes together again");
                }
                decided
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcphub_core::{Error, ErrorKind};

    #[derive(Debug)]
    struct Broken(ErrorKind);

    #[async_trait]
    impl RateLimiter for Broken {
        async fn take(&self, _: &str, _: Rate) -> Result<Decision> {
            Err(Error::new(self.0, "it does not work"))
        }
    }

    #[tokio::test]
    async fn a_limit_holds_while_the_shared_one_is_away() {
        let limiter = FallbackRateLimiter::new(Arc::new(Broken(ErrorKind::Unavailable)));
        let rate: Rate = "2/d".parse().unwrap();
        for remaining in [1, 0] {
            let decision = limiter.take("key", rate).await.unwrap();
            assert_eq!(decision, Decision::Allowed { remaining });
        }
        let decision = limiter.take("key", rate).await.unwrap();
        assert!(matches!(decision, Decision::Limited { .. }));
    }

    #[tokio::test]
    async fn an_error_that_stays_is_told() {
        let limiter = FallbackRateLimiter::new(Arc::new(Broken(ErrorKind::PermissionDenied)));
        let told = limiter.take("key", "1/s".parse().unwrap()).await;
        assert_eq!(told.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }
}
