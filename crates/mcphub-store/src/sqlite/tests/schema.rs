//! Schemas of other versions, and the promises of ours.

use mcphub_core::ErrorKind;
use mcphub_core::store::{CredentialStore, Page, ServerStore};
use mcphub_core::tool::PLAN_VERSION;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::*;
use crate::MasterKey;
use crate::sqlite::migration::MIGRATIONS;

/// A database as the version with that schema left it, with a server in it. A new migration adds
/// its number to [`every_older_schema_is_brought_up_to_date_with_its_data`].
async fn database_of_schema(version: i64, folder: &TempDir, key: &MasterKey) {
    let path = folder.path().join("mcphub.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    MIGRATIONS.run_to(version, &pool).await.unwrap();
    let sealed = crate::vault::Vault::new(key)
        .seal(&name("petstore"), "bearer", &"s3cret".into())
        .unwrap();
    let made = r#"UPDATE registry SET version = 7;
           INSERT INTO server VALUES (1, 'petstore', 'Petstore', '/petstore.yaml', 'native',
               'https://api.example.com/v1', NULL, 0, PLAN, 7, 'f', 1763683200000, 1763683200000);
           INSERT INTO tool_set VALUES (1, '{"planVersion":PLAN,
               "api":{"title":"Petstore","version":"1","dialect":"openapi-3.0"},
               "servers":[],"securitySchemes":{},"definitions":[],"tools":[]}');
           INSERT INTO document VALUES ('d', 1763683200000, CAST('openapi: 3.0.4' AS BLOB));
           INSERT INTO document_version VALUES (1, 7, 'd', '/petstore.yaml', 1763683200000, 1);"#;
    // Schemas and plans have versions of their own.
    let made = made.replace("PLAN", &PLAN_VERSION.to_string());
    sqlx::raw_sql(AssertSqlSafe(made))
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO credential VALUES (1, 0, 'bearer', ?1, ?2, ?3)")
        .bind(sealed.key_id)
        .bind(sealed.nonce.to_vec())
        .bind(sealed.ciphertext)
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

#[tokio::test]
async fn every_older_schema_is_brought_up_to_date_with_its_data() {
    let released = [1];
    let known = MIGRATIONS.iter().map(|migration| migration.version);
    assert!(known.eq(released), "a new schema has to be listed here");
    for version in released {
        let folder = tempfile::tempdir().unwrap();
        let key = MasterKey::generate().unwrap();
        database_of_schema(version, &folder, &key).await;
        let path = folder.path().join("mcphub.db");
        let store = sqlite::open(path, Some(key)).await.unwrap();
        let record = store.get(&name("petstore")).await.unwrap().unwrap();
        assert_eq!(
            (record.revision, record.tools.api.title.as_str()),
            (7, "Petstore")
        );
        assert_eq!(
            record.base_url.unwrap().as_str(),
            "https://api.example.com/v1"
        );
        assert_eq!(
            bearer(&store.credentials(&record.name).await.unwrap()),
            "s3cret"
        );
        let saved = store.save(&registration("petstore")).await.unwrap();
        assert_eq!((saved.revision, saved.changed), (8, true));
    }
}

#[tokio::test]
async fn a_newer_schema_asks_for_an_upgrade() {
    let (store, folder) = file_store().await;
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations VALUES (999, 'later', '2030-01-01', TRUE, x'00', 1)",
    )
    .execute(pools(&store).writer())
    .await
    .unwrap();
    store.close().await;
    let path = folder.path().join("mcphub.db");
    let error = sqlite::open(path, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("upgrade mcphub"), "{error}");
}

#[tokio::test]
async fn a_schema_that_was_edited_is_refused() {
    let (store, folder) = file_store().await;
    sqlx::raw_sql("UPDATE _sqlx_migrations SET checksum = x'00'")
        .execute(pools(&store).writer())
        .await
        .unwrap();
    store.close().await;
    let path = folder.path().join("mcphub.db");
    let error = sqlite::open(path, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("another schema"), "{error}");
}

#[tokio::test]
async fn a_plan_of_another_version_is_a_conflict_and_listed_with_its_version() {
    let (store, _folder) = file_store().await;
    let wanted = with_bearer("api", "secret");
    store.save(&wanted).await.unwrap();
    let other = format!(
        "UPDATE server SET plan_version = 0;
         UPDATE tool_set SET json = replace(json, '\"planVersion\":{PLAN_VERSION}', '\"planVersion\":0');
         UPDATE server SET fingerprint = 'of another plan'"
    );
    sqlx::raw_sql(AssertSqlSafe(other))
        .execute(pools(&store).writer())
        .await
        .unwrap();
    let error = store.get(&wanted.name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let listing = store.list(&Page::default()).await.unwrap();
    assert_eq!(listing.servers[0].plan_version, 0);
    assert_eq!(
        bearer(&store.credentials(&wanted.name).await.unwrap()),
        "secret"
    );

    assert!(store.save(&wanted).await.unwrap().changed);
    assert!(store.get(&wanted.name).await.unwrap().is_some());
    let listing = store.list(&Page::default()).await.unwrap();
    assert_eq!(listing.servers[0].plan_version, PLAN_VERSION);
}

#[tokio::test]
async fn commits_reach_the_disk_before_they_are_acknowledged() {
    let (store, _folder) = file_store().await;
    let pragma = async |statement: &'static str| {
        let value: String = sqlx::query_scalar(statement)
            .fetch_one(pools(&store).writer())
            .await
            .unwrap();
        value
    };
    assert_eq!(
        pragma("SELECT journal_mode FROM pragma_journal_mode").await,
        "wal"
    );
    assert_eq!(
        pragma("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await,
        "2"
    );
    assert_eq!(
        pragma("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys").await,
        "1"
    );
}

#[tokio::test]
async fn no_query_of_the_hot_path_reads_a_whole_table() {
    let (store, _folder) = file_store().await;
    for (query, index) in [
        (
            "EXPLAIN QUERY PLAN SELECT name FROM server WHERE source = 'x' ORDER BY name LIMIT 1",
            "server_source",
        ),
        (
            "EXPLAIN QUERY PLAN SELECT title FROM server WHERE name > 'x' ORDER BY name LIMIT 9",
            "sqlite_autoindex_server_1",
        ),
        (
            "EXPLAIN QUERY PLAN SELECT 1 FROM document_version WHERE digest = 'x'",
            "document_version_digest",
        ),
        (
            "EXPLAIN QUERY PLAN SELECT 1 FROM document_version WHERE server_id = 1 AND current = 1",
            "document_version_current",
        ),
    ] {
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(query)
            .fetch_all(pools(&store).readers())
            .await
            .unwrap();
        let [(.., step)] = plan.as_slice() else {
            panic!("{query}: {plan:?}")
        };
        assert!(
            step.starts_with("SEARCH") && step.contains(index),
            "{query}: {step}"
        );
    }
}
