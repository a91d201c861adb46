//! How a [`KeyProvider`] behaves.

use std::sync::Arc;

use secrecy::ExposeSecret;

use crate::ErrorKind;
use crate::secret::{DataKey, KeyProvider};

/// Makes tests of all checks of [`key_provider`](crate::conformance::key_provider). The factory is
/// an async function without arguments that gives `(Box::new([one, same, other]), guard)`, all
/// `Arc<dyn KeyProvider>`: the first two with the same keys, the third with another.
#[macro_export]
macro_rules! key_provider_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            key_provider: what_was_wrapped_opens_for_its_id_alone,
            wrapping_twice_gives_something_else,
            what_was_changed_does_not_open,
            a_key_that_is_not_there_is_named,
            no_debug_text_shows_a_key,
        );
    };
}

/// A data key, in which no byte is like another.
fn key() -> DataKey {
    let bytes: [u8; 32] = std::array::from_fn(|place| 200 - 5 * place as u8);
    DataKey::new(Box::new(bytes))
}

/// By the provider that wrapped it and by one that has the same keys.
pub async fn what_was_wrapped_opens_for_its_id_alone([one, same, _]: &[Arc<dyn KeyProvider>; 3]) {
    let wrapped = one.wrap("id", &key()).await.expect("it is wrapped");
    assert_eq!(wrapped.by, one.key_id());
    assert_eq!(same.key_id(), one.key_id());
    for provider in [one, same] {
        let opened = provider.unwrap("id", &wrapped).await.expect("it opens");
        assert_eq!(opened.expose_secret(), key().expose_secret());
        let other = provider.unwrap("di", &wrapped).await;
        other.expect_err("it is for another id");
    }
}

/// So that nobody sees whether two keys are the same.
pub async fn wrapping_twice_gives_something_else([one, ..]: &[Arc<dyn KeyProvider>; 3]) {
    let first = one.wrap("id", &key()).await.expect("it is wrapped");
    let second = one.wrap("id", &key()).await.expect("it is wrapped");
    assert_ne!(first.bytes, second.bytes);
    let inside = |bytes: &[u8]| bytes.windows(32).any(|it| it == key().expose_secret());
    assert!(!inside(&first.bytes));
}

/// In any of its bytes, or cut short.
pub async fn what_was_changed_does_not_open([one, ..]: &[Arc<dyn KeyProvider>; 3]) {
    let wrapped = one.wrap("id", &key()).await.expect("it is wrapped");
    for place in 0..wrapped.bytes.len() {
        let mut changed = wrapped.clone();
        changed.bytes[place] ^= 1;
        let opened = one.unwrap("id", &changed).await;
        opened.expect_err("it was changed");
    }
    for length in [0, 1, wrapped.bytes.len() - 1] {
        let mut cut = wrapped.clone();
        cut.bytes.truncate(length);
        let opened = one.unwrap("id", &cut).await;
        opened.expect_err("it was cut");
    }
}

/// By its id, so that a person knows which to look for.
pub async fn a_key_that_is_not_there_is_named([one, _, other]: &[Arc<dyn KeyProvider>; 3]) {
    let wrapped = other.wrap("id", &key()).await.expect("it is wrapped");
    let error = one.unwrap("id", &wrapped).await;
    let error = error.expect_err("it has another key");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let named = error.report();
    assert!(named.contains(&other.key_id()), "{named}");
}

/// Nor what is wrapped.
pub async fn no_debug_text_shows_a_key([one, ..]: &[Arc<dyn KeyProvider>; 3]) {
    let text = format!("{one:?} {:?}", key());
    assert!(!text.contains("200, 195"), "{text}");
}
