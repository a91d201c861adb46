//! Roles that need not outlive the process. Nothing in here touches a file or another process.

mod cache;
mod event;
mod lease;
mod limit;
mod session;

use std::sync::Arc;

use mcphub_core::shared::Shared;

pub use cache::MemoryCache;
pub use event::MemoryEventBus;
pub use lease::MemoryLeases;
pub use limit::MemoryRateLimiter;
pub use session::MemorySessions;

/// The shared state of a hub with one node.
pub fn shared() -> Shared {
    Shared::new(
        Arc::new(MemoryEventBus::new()),
        Arc::new(MemoryRateLimiter::new()),
        Arc::new(MemorySessions::new()),
        Arc::new(MemoryLeases::new()),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    mcphub_core::shared_conformance!(async || {
        let node = super::shared();
        (Arc::new([node.clone(), node]), ())
    });
}
