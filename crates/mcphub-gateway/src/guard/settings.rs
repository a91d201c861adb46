//! Limits of circuit breakers and bulkheads.

use std::time::Duration;

/// When a server is not called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardSettings {
    /// After how many failures in a row a server is not called for a while. Default 5; never at 0.
    pub failures: u32,
    /// How long it is not called the first time; each time that it fails again doubles it. Default 5 s.
    pub pause: Duration,
    /// The longest such pause. Default 60 s.
    pub max_pause: Duration,
    /// The most calls of one server at once; more are refused at once, and told when to come again.
    /// Default 256.
    pub max_calls: usize,
    /// Whether the tools of a server that is down, cannot list them, or is not called, are left out
    /// of lists until it is tried again. Default false: they stay listed, and calls say what is wrong.
    pub hide: bool,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(5),
            max_pause: Duration::from_secs(60),
            max_calls: 256,
            hide: false,
        }
    }
}
