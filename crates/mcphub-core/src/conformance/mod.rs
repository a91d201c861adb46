//! Behaviour suites that any backend, ours or a third party's, runs against itself.
//!
//! Every line of a trait's `# Behavior` list has a check here: an async function over `&dyn Trait`
//! that panics where the backend behaves otherwise. A macro for each trait makes one
//! `#[tokio::test]` of every check, in the backend's own crate:
//!
//! ```text
//! async fn empty_store() -> (Arc<MyStore>, TempDir) { … }
//!
//! mcphub_core::store_conformance!(empty_store);
//! ```
//!
//! The factory gives a fresh backend, shared with no other test, and whatever has to live as long
//! (a folder, a container). One that needs a server which this run was not given says so and gives
//! `None` in place of `Some` of both. The crate needs `tokio` with `macros`, `rt` and `time` among
//! its dev-dependencies; a check that takes longer than a minute has failed.

pub mod builder;
pub mod cache;
pub mod deployer;
pub mod event;
pub mod key_provider;
pub mod launcher;
pub mod shared;
pub mod store;

/// What a factory gives: a backend with its guard, or nothing to check.
#[doc(hidden)]
pub trait Made {
    /// A smart pointer to the backend.
    type Subject;
    /// What has to live as long.
    type Guard;

    /// Both, if there is something to check.
    fn made(self) -> Option<(Self::Subject, Self::Guard)>;
}

impl<S, G> Made for (S, G) {
    type Subject = S;
    type Guard = G;

    fn made(self) -> Option<(S, G)> {
        Some(self)
    }
}

impl<S, G> Made for Option<(S, G)> {
    type Subject = S;
    type Guard = G;

    fn made(self) -> Option<(S, G)> {
        self
    }
}

/// Makes a test of every check: of `$suite`, on a fresh backend each.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($factory:expr, $suite:ident: $($check:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $check() {
                let made = $crate::conformance::Made::made(($factory)().await);
                let Some((subject, _guard)) = made else { return };
                let check = $crate::conformance::$suite::$check(&*subject);
                let minute = ::std::time::Duration::from_secs(60);
                assert!(tokio::time::timeout(minute, check).await.is_ok(), "not done in a minute");
            }
        )+
    };
}
