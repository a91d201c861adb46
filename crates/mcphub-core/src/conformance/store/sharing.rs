//! Two handles on one store, as two processes have them.

use std::sync::Arc;

use futures::future::{join, join_all};

use super::{all, assert_absent, assert_stored, registration, save, version};
use crate::store::Store;

/// At once, in both directions.
pub async fn what_one_handle_saves_the_other_sees([one, other]: &[Arc<dyn Store>; 2]) {
    let (one, other) = (&**one, &**other);
    let mut wanted = registration("api");
    for (writer, reader) in [(one, other), (other, one)] {
        let before = version(reader).await;
        wanted.document.source.push('x');
        save(writer, &wanted).await;
        assert_stored(reader, &wanted).await;
        assert_eq!(version(reader).await, before + 1);
    }
    assert!(other.remove(&wanted.name).await.expect("it is removed"));
    assert_absent(one, &wanted.name).await;
}

/// Nor do they refuse each other.
pub async fn two_handles_that_write_at_once_lose_nothing([one, other]: &[Arc<dyn Store>; 2]) {
    let (one, other) = (&**one, &**other);
    let servers = |handle: &str| -> Vec<_> {
        let names = (0..16).map(|number| format!("{handle}-{number}"));
        names.map(|name| registration(&name)).collect()
    };
    let (ones, others) = (servers("one"), servers("other"));
    join(
        join_all(ones.iter().map(|server| save(one, server))),
        join_all(others.iter().map(|server| save(other, server))),
    )
    .await;
    assert_eq!(all(one).await.len(), 32);
    assert_eq!((version(one).await, version(other).await), (32, 32));
}
