//! What `check` finds, and what `status` counts.

use mcphub_core::store::{ServerStore, Tenants};
use mcphub_core::tenant::TenantName;

use super::*;
use crate::OptimizeOptions;

async fn filled() -> (Arc<SqlStore>, TempDir) {
    let (store, folder) = file_store().await;
    for server in ["one", "other"] {
        store.save(&with_bearer(server, server)).await.unwrap();
    }
    (store, folder)
}

async fn tamper(store: &SqlStore, statements: &'static str) {
    sqlx::raw_sql(statements)
        .execute(pools(store).writer())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_sound_store_has_no_problems_and_is_counted() {
    let (store, _folder) = filled().await;
    store.remove(&name("other")).await.unwrap();
    let acme = TenantName::new("acme").unwrap();
    store.create_tenant(&acme).await.unwrap();
    assert_eq!(store.check().await.unwrap(), []);

    let status = store.status().await.unwrap();
    assert!(status.engine.starts_with("SQLite 3."), "{status:?}");
    assert_eq!(status.schema, crate::SCHEMA);
    assert!(status.size > 4_096);
    let tenants: Vec<_> = status
        .tenants
        .iter()
        .map(|it| {
            (
                it.name.as_str(),
                it.servers,
                it.removed,
                it.documents,
                it.audit_entries,
            )
        })
        .collect();
    assert_eq!(tenants, [("acme", 0, 0, 0, 0), ("default", 1, 1, 2, 4)]);
    let [key] = status.keys.as_slice() else {
        panic!("{status:?}");
    };
    assert!(key.current && key.credentials == 2);
}

/// The index of words changes under every connection that has looked at it.
#[tokio::test]
async fn a_store_that_is_checked_again_and_again_while_it_changes_stays_sound() {
    let (store, _folder) = file_store().await;
    for number in 0..40 {
        store
            .save(&registration(&format!("api-{number}")))
            .await
            .unwrap();
        assert_eq!(store.check().await.unwrap(), [], "after {number}");
    }
}

#[tokio::test]
async fn what_is_damaged_or_tampered_with_is_found_where_it_is() {
    for (statements, place) in [
        (
            "UPDATE tool_set SET json = '{}' WHERE server_id = 1",
            "default/one",
        ),
        (
            "UPDATE document SET bytes = x'00' WHERE digest =
                 (SELECT digest FROM document_version WHERE server_id = 1)",
            "default/one",
        ),
        (
            "INSERT INTO virtual_server VALUES (1, 'desk', '{\"tools\":[\"shop\"]}', 1, 0, 0)",
            "default/desk",
        ),
        (
            "UPDATE credential SET ciphertext = zeroblob(20) WHERE server_id = 1",
            "default/one",
        ),
        (
            "DROP TRIGGER audit_is_not_altered; UPDATE audit SET actor = 'cli:eve' WHERE sequence = 1",
            "default audit log",
        ),
        (
            "DROP TRIGGER audit_is_not_shortened; DELETE FROM audit WHERE sequence = 2",
            "default audit log",
        ),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM server WHERE id = 1; PRAGMA foreign_keys = ON",
            "database",
        ),
    ] {
        let (store, _folder) = filled().await;
        tamper(&store, statements).await;
        let problems = store.check().await.unwrap();
        assert!(!problems.is_empty(), "{statements}");
        for problem in problems {
            assert_eq!(problem.place, place, "{statements}: {problem:?}");
        }
    }
}

#[tokio::test]
async fn indexes_that_are_missing_are_found_and_made() {
    let (store, _folder) = filled().await;
    tamper(&store, "DROP INDEX server_source; DROP INDEX audit_actor").await;
    let options = |dry_run| OptimizeOptions {
        dry_run,
        indexes_only: true,
    };
    for dry_run in [true, false] {
        let advice = store.optimize(options(dry_run)).await.unwrap();
        let what: Vec<_> = advice.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "the index audit_actor is missing",
                "the index server_source is missing"
            ]
        );
    }
    assert_eq!(store.optimize(options(false)).await.unwrap(), []);
}

#[tokio::test]
async fn room_that_is_wasted_is_given_back() {
    let (store, _folder) = filled().await;
    let mut large = registration("large");
    large.document.bytes = Bytes::from(vec![b'x'; 4 << 20]);
    store.save(&large).await.unwrap();
    store.remove(&large.name).await.unwrap();
    store.purge(&large.name).await.unwrap();
    let before = store.status().await.unwrap().size;
    let advice = store.optimize(OptimizeOptions::default()).await.unwrap();
    assert!(
        advice.iter().any(|it| it.statement == "VACUUM"),
        "{advice:?}"
    );
    let after = store.status().await.unwrap().size;
    assert!(after < before / 4, "{before} to {after}");
    assert_eq!(store.check().await.unwrap(), []);
    assert!(store.save(&registration("more")).await.unwrap().changed);
}

/// A statement whose plan may depend on values is planned anew for each of them.
#[tokio::test]
async fn statistics_are_made_without_samples_of_values() {
    let (store, _folder) = filled().await;
    store.optimize(OptimizeOptions::default()).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE name LIKE 'sqlite_stat%' ORDER BY name",
    )
    .fetch_all(pools(&store).readers())
    .await
    .unwrap();
    assert_eq!(tables, ["sqlite_stat1"]);
}
