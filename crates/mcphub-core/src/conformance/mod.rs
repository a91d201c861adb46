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
//! (a folder, a container). The crate needs `tokio` with `macros`, `rt` and `time` among its
//! dev-dependencies; a check that takes longer than a minute has failed.

pub mod builder;
pub mod deployer;
pub mod event;
pub mod store;

/// Makes a test of every check: of `$suite`, on a fresh backend each.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($factory:expr, $suite:ident: $($check:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $check() {
                let (subject, _guard) = ($factory)().await;
                let check = $crate::conformance::$suite::$check(&*subject);
                let minute = ::std::time::Duration::from_secs(60);
                assert!(tokio::time::timeout(minute, check).await.is_ok(), "not done in a minute");
            }
        )+
    };
}
