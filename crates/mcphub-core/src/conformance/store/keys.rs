//! API keys.

use futures::future::join_all;

use super::version;
use crate::ErrorKind;
use crate::audit::{Action, AuditQuery, Hash};
use crate::key::{ApiKey, FoundApiKey, KeyName, KeyToken, NewApiKey};
use crate::principal::{Refusal, ToolRule};
use crate::store::Store;

/// The digest of a token that this number tells apart.
pub(super) fn token(number: u8) -> Hash {
    KeyToken::from_entropy([number; 32]).digest()
}

/// A key that may do everything.
pub(super) fn new_key(name: &str, number: u8) -> NewApiKey {
    NewApiKey::new(KeyName::new(name).expect("a legal name"), token(number))
}

async fn create(store: &dyn Store, key: &NewApiKey) -> bool {
    let created = store.create_api_key(key).await;
    created.expect("a name that is taken is no error")
}

async fn find(store: &dyn Store, number: u8) -> Option<FoundApiKey> {
    let found = store.find_api_key(&token(number)).await;
    found.expect("a token that nobody has is no error")
}

async fn rotate(store: &dyn Store, key: &NewApiKey, number: u8, until: i64) -> bool {
    let rotated = store.rotate_api_key(&key.name, &token(number), until).await;
    rotated.expect("a key that is not there is no error")
}

async fn revoke(store: &dyn Store, key: &NewApiKey) -> bool {
    let revoked = store.revoke_api_key(&key.name).await;
    revoked.expect("a key that is not there is no error")
}

async fn all(store: &dyn Store) -> Vec<ApiKey> {
    store
        .api_keys(None, 1_000)
        .await
        .expect("a page of keys")
        .keys
}

/// The second of its name changes nothing, and its token lets nobody in.
pub async fn a_key_is_made_once_and_comes_back_whole(store: &dyn Store) {
    let mut key = new_key("ci", 1);
    key.permissions.allow = vec![ToolRule::new("shop/get*").expect("a rule")];
    key.permissions.read_only = true;
    key.expires_at = Some(i64::MAX);
    assert!(create(store, &key).await);
    assert!(!create(store, &new_key("ci", 2)).await);
    assert_eq!(find(store, 2).await, None);
    let found = find(store, 1).await.expect("the key is there");
    assert_eq!(found.replaced_at, None);
    assert_eq!(found.key.name, key.name);
    assert_eq!(found.key.permissions, key.permissions);
    assert_eq!(found.key.expires_at, key.expires_at);
    assert_eq!((found.key.revoked_at, found.key.last_used_at), (None, None));
    assert_eq!(found.key.rotated_at, found.key.created_at);
    let named = store.api_key(&key.name).await.expect("no error");
    assert_eq!(named.as_ref(), Some(&found));
    let unknown = KeyName::new("unknown").expect("a legal name");
    let unknown = store.api_key(&unknown).await.expect("no error");
    assert_eq!(unknown, None);
    assert_eq!(all(store).await, [found.key]);
    // Nor may a token be that of two keys, whatever is wrong with its maker.
    let same = store.create_api_key(&new_key("other", 1)).await;
    same.expect_err("the token is another key's");
    assert_eq!(all(store).await.len(), 1);
}

/// Revoked or expired: a new one takes its place, and its tokens are gone.
pub async fn a_key_that_is_over_gives_way(store: &dyn Store) {
    let mut expired = new_key("ci", 1);
    expired.expires_at = Some(1);
    assert!(create(store, &expired).await);
    let found = find(store, 1).await.expect("an expired key is there");
    assert_eq!(found.principal(2), Err(Refusal::Expired));
    assert!(!rotate(store, &expired, 9, i64::MAX).await);
    let revoked = new_key("ci", 2);
    assert!(create(store, &revoked).await);
    assert_eq!(find(store, 1).await, None);
    assert!(revoke(store, &revoked).await);
    assert!(create(store, &new_key("ci", 3)).await);
    assert_eq!(find(store, 2).await, None);
    assert!(
        find(store, 3)
            .await
            .expect("it is there")
            .principal(2)
            .is_ok()
    );
    assert_eq!(all(store).await.len(), 1);
}

/// The one before is good for a while, the one before that no more.
pub async fn a_rotated_key_keeps_its_newest_two_tokens(store: &dyn Store) {
    let mut key = new_key("ci", 1);
    key.permissions.read_only = true;
    assert!(!rotate(store, &key, 2, 50).await);
    assert!(create(store, &key).await);
    assert!(rotate(store, &key, 2, 50).await);
    let (old, new) = (find(store, 1).await, find(store, 2).await);
    let (old, new) = (old.expect("it overlaps"), new.expect("it is there"));
    assert_eq!((old.replaced_at, new.replaced_at), (Some(50), None));
    assert_eq!(old.key, new.key);
    assert_eq!(new.key.permissions, key.permissions);
    assert!(old.principal(49).is_ok() && old.principal(50) == Err(Refusal::Expired));
    assert!(rotate(store, &key, 3, 70).await);
    assert_eq!(find(store, 1).await, None);
    let old = find(store, 2).await.expect("it overlaps");
    assert_eq!(old.replaced_at, Some(70));
}

/// With all its tokens, and it cannot be rotated.
pub async fn a_revoked_key_stays_revoked(store: &dyn Store) {
    let key = new_key("ci", 1);
    assert!(!revoke(store, &key).await);
    create(store, &key).await;
    rotate(store, &key, 2, i64::MAX).await;
    assert!(revoke(store, &key).await);
    assert!(!revoke(store, &key).await);
    assert!(!rotate(store, &key, 3, i64::MAX).await);
    for number in [1, 2] {
        let found = find(store, number).await.expect("it is known");
        assert_eq!(found.principal(0), Err(Refusal::Revoked));
    }
    assert!(
        all(store)
            .await
            .first()
            .is_some_and(|key| key.revoked_at.is_some())
    );
}

/// Of sixteen; the tokens of the others let nobody in.
pub async fn of_keys_made_at_once_one_is_there(store: &dyn Store) {
    let keys: Vec<_> = (0..16).map(|number| new_key("ci", number)).collect();
    let created = join_all(keys.iter().map(|key| create(store, key))).await;
    let mut winners = Vec::new();
    for (number, created) in (0..16).zip(created) {
        let found = find(store, number).await;
        assert_eq!(found.is_some(), created, "{number}");
        winners.extend(found);
    }
    assert_eq!(winners.len(), 1);
}

/// Whoever tells it, in whichever order.
pub async fn a_use_is_noted_once_a_minute(store: &dyn Store) {
    let key = new_key("ci", 1);
    create(store, &key).await;
    let begin = 1_800_000_000_000;
    let last = |at: i64, noted: i64| {
        let name = &key.name;
        async move {
            let told = store.note_api_key_use(name, at).await;
            told.expect("it is noted");
            let found = find(store, 1).await.expect("it is there");
            assert_eq!(found.key.last_used_at, Some(noted), "told {at}");
        }
    };
    last(begin, begin).await;
    last(begin + ApiKey::USE_NOTED_EVERY - 1, begin).await;
    let next = begin + ApiKey::USE_NOTED_EVERY;
    last(next, next).await;
    last(begin, next).await;
    let nobody = KeyName::new("nobody").expect("a legal name");
    let told = store.note_api_key_use(&nobody, begin).await;
    told.expect("a key that is gone is no error");
}

/// Also where there are as many as a page has.
pub async fn keys_are_listed_by_name_in_pages_that_join(store: &dyn Store) {
    for (number, name) in (0..).zip(["d", "a", "c", "b"]) {
        create(store, &new_key(name, number)).await;
    }
    for limit in 1..=5 {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = store.api_keys(after.as_ref(), limit).await;
            let page = page.expect("a page of keys");
            assert!(page.keys.len() <= limit as usize);
            names.extend(page.keys.into_iter().map(|key| key.name.to_string()));
            match page.next {
                None => break,
                next => after = next,
            }
        }
        assert_eq!(names, ["a", "b", "c", "d"], "{limit}");
    }
    for limit in [0, 1_001] {
        let error = store.api_keys(None, limit).await.expect_err("no such page");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

/// One entry for each change, none for a use, and none of them shows a token or its digest.
pub async fn keys_are_no_part_of_the_registry_and_in_the_log(store: &dyn Store) {
    let before = version(store).await;
    let key = new_key("ci", 1);
    create(store, &key).await;
    create(store, &key).await;
    rotate(store, &key, 2, i64::MAX).await;
    let used = store.note_api_key_use(&key.name, 1).await;
    used.expect("it is noted");
    revoke(store, &key).await;
    revoke(store, &key).await;
    assert_eq!(version(store).await, before);
    let log = store.audit(&AuditQuery::default()).await;
    let log = log.expect("a page of the log").entries;
    let actions: Vec<_> = log.iter().map(|entry| entry.action.clone()).collect();
    assert_eq!(
        actions,
        [
            Action::API_KEY_CREATE,
            Action::API_KEY_ROTATE,
            Action::API_KEY_REVOKE
        ]
    );
    for entry in &log {
        assert_eq!(entry.target, "key:ci");
        let shown = entry.detail.get();
        assert!(
            [1, 2]
                .iter()
                .all(|n| !shown.contains(&token(*n).to_string())),
            "{shown}"
        );
    }
}
