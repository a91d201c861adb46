//! A change of keys.

use std::slice::from_ref;
use std::time::Duration;

use mcphub_core::audit::{Action, AuditQuery};
use mcphub_core::secret::KeyProvider;
use mcphub_core::store::{AuditStore, CredentialStore, ServerStore, Tenants};
use mcphub_core::tenant::{Scope, TenantName};

use super::*;

/// More than one transaction changes.
const SERVERS: usize = 120;

async fn filled() -> (Arc<SqlStore>, TempDir) {
    let (store, folder) = file_store().await;
    for number in 0..SERVERS {
        let server = format!("api-{number}");
        store.save(&with_bearer(&server, &server)).await.unwrap();
    }
    (store, folder)
}

async fn assert_all_open(store: &SqlStore) {
    for number in 0..SERVERS {
        let server = format!("api-{number}");
        let credentials = store.credentials(&name(&server)).await.unwrap();
        assert_eq!(bearer(&credentials), server);
    }
}

/// The keys that credentials have.
async fn used(store: &SqlStore) -> Vec<String> {
    sqlx::query_scalar("SELECT DISTINCT key_id FROM credential")
        .fetch_all(pools(store).readers())
        .await
        .unwrap()
}

#[tokio::test]
async fn all_credentials_of_all_tenants_get_the_new_key_and_other_handles_go_on() {
    let (store, folder) = filled().await;
    let acme = TenantName::new("acme").unwrap();
    store.create_tenant(&acme).await.unwrap();
    let scope = Scope {
        tenant: acme,
        ..Scope::default()
    };
    let acme = store.within(scope).await.unwrap();
    acme.save(&with_bearer("api-1", "acme's")).await.unwrap();
    let other = open(&folder).await;
    assert_all_open(&other).await;

    let before = used(&store).await;
    let rotation = store.rotate_key().await.unwrap();
    assert_eq!(rotation.encrypted, SERVERS as u64 + 1);
    assert!(!rotation.resumed && rotation.unreadable.is_empty());
    assert_eq!(used(&store).await, from_ref(&rotation.key_id));
    assert_ne!(before, from_ref(&rotation.key_id));
    for store in [&store, &other] {
        assert_all_open(store).await;
    }
    let theirs = acme.credentials(&name("api-1")).await.unwrap();
    assert_eq!(bearer(&theirs), "acme's");
    other.save(&with_bearer("late", "x")).await.unwrap();
    assert_eq!(used(&store).await, [rotation.key_id]);

    let mut query = AuditQuery::default();
    query.action = Some(Action::KEY_ROTATE);
    assert_eq!(store.audit(&query).await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn what_was_broken_off_is_finished() {
    let (store, _folder) = filled().await;
    for milliseconds in [1, 2, 4, 8, 16, 32] {
        let patience = Duration::from_millis(milliseconds);
        // Whoever goes away in the middle leaves it half done.
        let _ = tokio::time::timeout(patience, store.rotate_key()).await;
        assert_all_open(&store).await;
    }
    let last = store.rotate_key().await.unwrap();
    assert_eq!(used(&store).await, from_ref(&last.key_id));
    assert_all_open(&store).await;

    sqlx::raw_sql("UPDATE data_key SET complete = 0 WHERE current = 1")
        .execute(pools(&store).writer())
        .await
        .unwrap();
    let resumed = store.rotate_key().await.unwrap();
    assert!(resumed.resumed);
    assert_eq!(resumed.key_id, last.key_id);
    let next = store.rotate_key().await.unwrap();
    assert!(!next.resumed);
    assert_ne!(next.key_id, last.key_id);
}

#[tokio::test]
async fn a_new_master_key_takes_the_place_of_the_old_one() {
    let (store, folder) = filled().await;
    let other = open(&folder).await;
    assert_all_open(&other).await;
    let keys = store.master_keys().unwrap();
    let old = keys.key_id();
    keys.add_new().unwrap();
    let rotation = store.rotate_key().await.unwrap();
    assert_ne!(rotation.master_key_id, old);
    keys.drop_old().unwrap();

    assert_all_open(&other).await;
    other.save(&with_bearer("late", "x")).await.unwrap();
    store.close().await;
    other.close().await;
    let again = open(&folder).await;
    assert_all_open(&again).await;
    assert_eq!(again.master_keys().unwrap().count(), 1);
    let wrapped: Vec<String> = sqlx::query_scalar("SELECT DISTINCT wrapped_by FROM data_key")
        .fetch_all(pools(&again).readers())
        .await
        .unwrap();
    assert_eq!(wrapped, [rotation.master_key_id]);
}

#[tokio::test]
async fn a_credential_that_does_not_open_is_named_and_keeps_nobody() {
    let (store, _folder) = file_store().await;
    for server in ["bad", "good"] {
        store.save(&with_bearer(server, server)).await.unwrap();
    }
    sqlx::raw_sql(
        "UPDATE credential SET ciphertext = zeroblob(length(ciphertext))
         WHERE server_id = (SELECT id FROM server WHERE name = 'bad')",
    )
    .execute(pools(&store).writer())
    .await
    .unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let rotation = store.rotate_key().await.unwrap();
        assert_eq!(rotation.unreadable, ["default/bad bearer"]);
        assert_eq!(rotation.encrypted, 1);
        keys.push(rotation.key_id);
    }
    assert_ne!(
        keys[0], keys[1],
        "the bad one keeps nothing from being done"
    );
    let good = store.credentials(&name("good")).await.unwrap();
    assert_eq!(bearer(&good), "good");
}
