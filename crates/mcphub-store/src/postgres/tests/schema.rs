//! Schemas of other versions, and the promises of ours.

use mcphub_core::ErrorKind;
use mcphub_core::store::{CredentialStore, DocumentStore, Page, ServerStore, ToolSearch};
use mcphub_core::tenant::TenantName;
use mcphub_core::tool::{PLAN_VERSION, ToolKind};

use super::*;
use crate::OptimizeOptions;
use crate::postgres::migration::MIGRATIONS;
use crate::sql::Statement;
use crate::vault::{self, Vault};

/// What a version of the schema holds of one server. A new migration adds its number here and to
/// [`every_older_schema_is_brought_up_to_date_with_its_data`].
fn data_of(version: i64) -> String {
    let data = match version {
        1 => {
            r#"UPDATE registry SET version = 7;
            INSERT INTO server (name, title, source, serve, base_url, artifact, tools,
                                plan_version, revision, fingerprint, created_at, updated_at)
            VALUES ('petstore', 'Petstore', '/petstore.yaml', 'native',
                    'https://api.example.com/v1', NULL, 0, PLAN, 7, 'f', 1763683200000,
                    1763683200000);
            INSERT INTO document VALUES ('d', 1763683200000, 'openapi: 3.0.4');
            INSERT INTO document VALUES ('c', 1763683100000, 'openapi: 3.0.3');
            INSERT INTO document_version VALUES (1, 6, 'c', '/petstore.yaml', 1763683100000, 0);
            INSERT INTO document_version VALUES (1, 7, 'd', '/petstore.yaml', 1763683200000, 1);"#
        }
        _ => {
            r#"UPDATE tenant SET version = 7;
            INSERT INTO server (tenant_id, name, title, source, serve, base_url, artifact, tools,
                                plan_version, revision, fingerprint, created_at, updated_at)
            VALUES (1, 'petstore', 'Petstore', '/petstore.yaml', 'native',
                    'https://api.example.com/v1', NULL, 0, PLAN, 7, 'f', 1763683200000,
                    1763683200000);
            INSERT INTO document (tenant_id, digest, stored_at, bytes)
            VALUES (1, 'd', 1763683200000, 'openapi: 3.0.4'),
                   (1, 'c', 1763683100000, 'openapi: 3.0.3');
            INSERT INTO document_version
                (server_id, revision, tenant_id, digest, source, uploaded_at, current)
            VALUES (1, 6, 1, 'c', '/petstore.yaml', 1763683100000, 0),
                   (1, 7, 1, 'd', '/petstore.yaml', 1763683200000, 1);"#
        }
    };
    let plan = r#"INSERT INTO tool_set VALUES (1, '{"planVersion":PLAN,
        "api":{"title":"Petstore","version":"1","dialect":"openapi-3.0"},
        "servers":[],"securitySchemes":{},"definitions":[],"tools":[{"name":"getPet",
        "description":"Gets \u0000 one.","input":{"root":{"type":"object"}},"annotations":{
        "readOnlyHint":true,"destructiveHint":false,"idempotentHint":true,"openWorldHint":true},
        "binding":{"method":"GET","path":"/pets","accept":"application/json"}}]}');"#;
    // Schemas and plans have versions of their own.
    format!("{data}{plan}").replace("PLAN", &PLAN_VERSION.to_string())
}

/// Makes the schema of a version, with a server in it.
async fn schema_of(version: i64, place: &Place) {
    place
        .tamper(format!("CREATE SCHEMA {}", place.settings.schema()))
        .await;
    let options = place.settings.connect_options();
    let pool = PgPool::connect_with(options).await.unwrap();
    MIGRATIONS.run_to(version, &pool).await.unwrap();
    place.tamper(data_of(version)).await;
    let (tenant, server) = (TenantName::default(), name("petstore"));
    let of = vault::Place {
        tenant: &tenant,
        server: &server,
        key: "bearer",
    };
    // Also later schemas may have what was encrypted before there were keys of their own.
    let sealed = Vault::of_master_key(&place.key)
        .seal(&of, &"s3cret".into())
        .unwrap();
    sqlx::query("INSERT INTO credential VALUES (1, 0, 'bearer', $1, $2, $3)")
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
        let Some(place) = Place::new() else { return };
        schema_of(version, &place).await;
        let store = place.open().await;
        let record = store.get(&name("petstore")).await.unwrap().unwrap();
        assert_eq!(
            (record.revision, record.tools.api.title.as_str()),
            (7, "Petstore")
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
        let saved = store.save(&registration("petstore", "x")).await.unwrap();
        assert_eq!((saved.revision, saved.changed), (8, true));
    }
}

#[tokio::test]
async fn the_audit_log_is_append_only() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    store.save(&registration("api", "x")).await.unwrap();
    for statement in [
        "UPDATE audit SET actor = 'cli:eve'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ] {
        let outcome = sqlx::raw_sql(statement).execute(pool(&store)).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn a_schema_that_was_edited_is_refused() {
    let Some(place) = Place::new() else { return };
    place.open().await.close().await;
    place
        .tamper("UPDATE _sqlx_migrations SET checksum = '\\x00'")
        .await;
    let error = postgres::open(&place.settings, Some(place.key.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(error.to_string().contains("another schema"), "{error}");
}

#[tokio::test]
async fn a_schema_of_another_program_is_left_as_it_is() {
    let Some(place) = Place::new() else { return };
    let schema = place.settings.schema();
    place
        .tamper(format!(
            "CREATE SCHEMA {schema}; CREATE TABLE server (id INT)"
        ))
        .await;
    let error = postgres::open(&place.settings, Some(place.key.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("another program"), "{error}");
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()")
            .fetch_one(&mut place.connect().await)
            .await
            .unwrap();
    assert_eq!(tables, 1, "nothing is half made");
}

#[tokio::test]
async fn indexes_that_are_missing_are_made_as_the_schema_has_them() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let listed = async || -> Vec<(String, String)> {
        sqlx::query_as(
            "SELECT indexname::TEXT, indexdef FROM pg_indexes
             WHERE schemaname = current_schema() ORDER BY indexname",
        )
        .fetch_all(pool(&store))
        .await
        .unwrap()
    };
    let before = listed().await;
    let wanted = postgres::indexes();
    for (name, _) in &wanted {
        place.tamper(format!("DROP INDEX {name}")).await;
    }
    let keys = listed().await;
    assert!(
        keys.iter().all(|(name, _)| name.ends_with("key")),
        "an index is not known: {keys:?}"
    );
    let options = OptimizeOptions {
        indexes_only: true,
        ..OptimizeOptions::default()
    };
    let made = store.optimize(options).await.unwrap();
    assert_eq!(made.len(), wanted.len());
    assert_eq!(listed().await, before);
    assert_eq!(store.optimize(options).await.unwrap(), []);
}

#[tokio::test]
async fn statistics_are_made_where_there_are_none() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    store.save(&registration("api", "x")).await.unwrap();
    // The server counts a little late.
    let mut advice = Vec::new();
    for _ in 0..100 {
        advice = store.optimize(OptimizeOptions::default()).await.unwrap();
        if !advice.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let analyzed = |it: &crate::Advice| it.statement.starts_with("ANALYZE");
    assert!(advice.iter().any(analyzed), "{advice:?}");
}

/// By what looks at every statement of these tests.
#[tokio::test]
async fn a_statement_without_an_index_is_refused() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    // While an index is too young to be used, nothing is refused.
    for _ in 0..100 {
        let store = store.clone();
        let slow = tokio::spawn(async move {
            let mut session = store.engine().read().await.unwrap();
            let slow = Statement::new("SELECT name FROM server WHERE fingerprint = $1").bind("x");
            let _ = session.fetch_all(slow).await;
        });
        if slow.await.is_err_and(|error| error.is_panic()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it was not refused");
}
