//! Schemas of other versions, and the promises of ours.

use mcphub_core::ErrorKind;
use mcphub_core::store::{CredentialStore, DocumentStore, Page, ServerStore, ToolSearch};
use mcphub_core::tenant::TenantName;
use mcphub_core::tool::{PLAN_VERSION, ToolKind};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::*;
use crate::MasterKey;
use crate::sqlite::migration::MIGRATIONS;
use crate::vault::{Place, Vault};

/// What a version of the schema holds of one server. A new migration adds its number here and to
/// [`every_older_schema_is_brought_up_to_date_with_its_data`].
fn data_of(version: i64) -> String {
    let data = match version {
        1 => {
            r#"UPDATE registry SET version = 7;
            INSERT INTO server VALUES (1, 'petstore', 'Petstore', '/petstore.yaml', 'native',
                'https://api.example.com/v1', NULL, 0, PLAN, 7, 'f', 1763683200000, 1763683200000);
            INSERT INTO document VALUES ('d', 1763683200000, CAST('openapi: 3.0.4' AS BLOB));
            INSERT INTO document VALUES ('c', 1763683100000, CAST('openapi: 3.0.3' AS BLOB));
            INSERT INTO document_version VALUES (1, 6, 'c', '/petstore.yaml', 1763683100000, 0);
            INSERT INTO document_version VALUES (1, 7, 'd', '/petstore.yaml', 1763683200000, 1);"#
        }
        _ => {
            r#"UPDATE tenant SET version = 7;
            INSERT INTO server (id, tenant_id, name, title, source, serve, base_url, tools,
                                plan_version, revision, fingerprint, created_at, updated_at)
            VALUES (1, 1, 'petstore', 'Petstore', '/petstore.yaml', 'native',
                    'https://api.example.com/v1', 0, PLAN, 7, 'f', 1763683200000, 1763683200000);
            INSERT INTO document VALUES (1, 'd', 1763683200000, CAST('openapi: 3.0.4' AS BLOB));
            INSERT INTO document VALUES (1, 'c', 1763683100000, CAST('openapi: 3.0.3' AS BLOB));
            INSERT INTO document_version VALUES (1, 6, 1, 'c', '/petstore.yaml', 1763683100000, 0);
            INSERT INTO document_version VALUES (1, 7, 1, 'd', '/petstore.yaml', 1763683200000, 1);"#
        }
    };
    let plan = r#"INSERT INTO tool_set VALUES (1, '{"planVersion":PLAN,
        "api":{"title":"Petstore","version":"1","dialect":"openapi-3.0"},
        "servers":[],"securitySchemes":{},"definitions":[],"tools":[{"name":"getPet",
        "description":"Gets \u0000 one.","input":{"root":{"type":"object"}},"annotations":{
        "readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":true},
        "binding":{"method":"GET","path":"/pets","accept":"application/json"}}]}');"#;
    let tools = match version {
        ..5 => "",
        5..=10 => {
            "INSERT INTO tool_text (rowid, tenant, heading, body)
             VALUES (5, 't1', 'getpet get pet', 'gets one');
             INSERT INTO server_text (rowid, tenant, heading) VALUES (1, 't1', 'petstore');"
        }
        11..=13 => {
            "INSERT INTO tool_text (rowid, words) VALUES (5, 't1 hgetpet hget hpet bgets bone');
             INSERT INTO server_text (rowid, words) VALUES (1, 't1 hpetstore');"
        }
        _ => {
            "INSERT INTO tool_posting (tenant_id, word, block, tools)
             SELECT 1, value, 0, 32 FROM json_each(
                '[\"hgetpet\", \"Hg\", \"Hge\", \"Hget\", \"Hp\", \"Hpe\", \"Hpet\",
                  \"bgets\", \"Bo\", \"Bon\", \"Bone\", \"@read-only\"]');
             INSERT INTO server_text (rowid, words) VALUES (1, 't1 hpetstore');"
        }
    };
    let rows = match version {
        ..5 => "",
        _ => {
            "UPDATE server SET indexed = revision, read_only = 1;
             INSERT INTO tool (id, tenant_id, server_id, server, name, kind, description)
             VALUES (5, 1, 1, 'petstore', 'getPet', 'read-only', 'Gets \u{fffd} one.');"
        }
    };
    // Schemas and plans have versions of their own.
    format!("{data}{plan}{rows}{tools}").replace("PLAN", &PLAN_VERSION.to_string())
}

/// A database as the version with that schema left it, with a server in it.
async fn database_of_schema(version: i64, folder: &TempDir, key: &MasterKey) {
    let path = folder.path().join("mcphub.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    MIGRATIONS.run_to(version, &pool).await.unwrap();
    let (tenant, server) = (TenantName::default(), name("petstore"));
    let place = Place {
        tenant: &tenant,
        server: &server,
        key: "bearer",
    };
    // Also later schemas may have what was encrypted before there were keys of their own.
    let sealed = Vault::of_master_key(key)
        .seal(&place, &"s3cret".into())
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(data_of(version)))
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
    let released = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
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
        assert!(record.choices.is_default());
        assert_eq!(
            record.base_url.unwrap().as_str(),
            "https://api.example.com/v1"
        );
        assert_eq!(
            bearer(&store.credentials(&record.name).await.unwrap()),
            "s3cret"
        );
        let rotation = store.rotate_key().await.unwrap();
        assert_eq!((rotation.encrypted, rotation.unreadable.len()), (1, 0));
        assert_eq!(
            bearer(&store.credentials(&record.name).await.unwrap()),
            "s3cret"
        );
        let mut search = ToolSearch::new("pet");
        search.kind = Some(ToolKind::ReadOnly);
        let found = store.search(&search).await.unwrap();
        assert_eq!(found.tools.len(), 1, "schema {version}");
        assert_eq!(found.tools[0].server, record.name, "schema {version}");
        assert_eq!(found.tools[0].description, "Gets \u{fffd} one.");
        let mut page = Page::default();
        page.filter.kind = search.kind;
        page.filter.text = Some("petstore".to_owned());
        assert_eq!(store.list(&page).await.unwrap().servers.len(), 1);
        let versions = store.document_versions(&record.name, None, 10).await;
        let versions = versions.unwrap().versions;
        let revisions: Vec<_> = versions.iter().map(|version| version.revision).collect();
        assert_eq!(revisions, [7, 6], "schema {version}");
        let earlier = store.document_at(&record.name, 6).await.unwrap().unwrap();
        assert_eq!(earlier.bytes, "openapi: 3.0.3");
        let saved = store.save(&registration("petstore")).await.unwrap();
        assert_eq!((saved.revision, saved.changed), (8, true));
        let broken: Vec<(String, i64, String, i64)> =
            sqlx::query_as("SELECT * FROM pragma_foreign_key_check")
                .fetch_all(pools(&store).readers())
                .await
                .unwrap();
        assert!(broken.is_empty(), "{broken:?}");
    }
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
async fn only_what_may_be_as_large_as_the_database_is_kept_in_files() {
    let (store, _folder) = file_store().await;
    let kept = || sqlx::query_scalar::<_, i64>("SELECT temp_store FROM pragma_temp_store");
    let (files, memory) = (1, 2);
    let writer = pools(&store).writer();
    assert_eq!(kept().fetch_one(writer).await.unwrap(), memory);
    let mut apart = pools(&store).apart().await.unwrap();
    assert_eq!(kept().fetch_one(&mut *apart).await.unwrap(), files);
    drop(apart);
    assert_eq!(kept().fetch_one(writer).await.unwrap(), memory);
}
