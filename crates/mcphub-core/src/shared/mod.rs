//! State that the nodes of one hub share while they run: what they tell each other, how much each
//! client has used, which sessions were ended, who does what has to be done once, and answers that
//! are kept.
//!
//! All of it may be lost. The [store](crate::store) is the truth about everything that has to last,
//! the version of the registry included: that is counted up in the step that changes the registry,
//! which a counter in another system could not be.
//!
//! | trait | without it |
//! |---|---|
//! | [`EventBus`] | a change is found by asking, within half a second |
//! | [`RateLimiter`] | each node counts for itself |
//! | [`Sessions`] | a session that was ended on one node goes on at the others |
//! | [`Leases`] | work is done once by each node |
//! | [`Cache`] | what is kept is asked for again |
//!
//! Every method that goes to another system ends within a bound that its backend documents. Its
//! errors are then `Unavailable` or `Timeout`, which are retryable.

pub mod cache;
pub mod lease;
pub mod limit;
pub mod session;

use std::sync::Arc;

pub use self::cache::{Cache, CacheKey};
pub use self::lease::{Lease, Leases};
pub use self::limit::{Decision, Rate, RateLimiter};
pub use self::session::{SessionKey, Sessions};
use crate::event::EventBus;

/// The shared state of a hub, as one of its nodes sees it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Shared {
    /// What the nodes tell each other.
    pub events: Arc<dyn EventBus>,
    /// How much of their rate clients have used.
    pub limits: Arc<dyn RateLimiter>,
    /// Which sessions were ended.
    pub sessions: Arc<dyn Sessions>,
    /// Who does what has to be done once.
    pub leases: Arc<dyn Leases>,
    /// Answers that are kept, where that is wanted.
    pub cache: Option<Arc<dyn Cache>>,
}

impl Shared {
    /// Shared state made of these parts, without a cache.
    pub fn new(
        events: Arc<dyn EventBus>,
        limits: Arc<dyn RateLimiter>,
        sessions: Arc<dyn Sessions>,
        leases: Arc<dyn Leases>,
    ) -> Self {
        Self {
            events,
            limits,
            sessions,
            leases,
            cache: None,
        }
    }

    /// The same with a cache.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.cache = Some(cache);
        self
    }
}
