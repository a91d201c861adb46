//! Files that are not as they should be.

use std::fs;
use std::path::Path;

use mcphub_core::ErrorKind;
use mcphub_core::store::{CredentialStore, ServerStore};

use super::*;

async fn refusal(path: &Path) -> mcphub_core::Error {
    sqlite::open(path, None)
        .await
        .expect_err("the store is refused")
}

#[tokio::test]
async fn one_missing_folder_is_made_and_two_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = sqlite::open(folder.path().join("one/mcphub.db"), None)
        .await
        .unwrap();
    store.save(&registration("api")).await.unwrap();
    assert!(folder.path().join("one/mcphub.key").exists());

    let error = refusal(&folder.path().join("two/three/mcphub.db")).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("make it first"), "{error}");
    assert!(!folder.path().join("two").exists());
}

#[tokio::test]
async fn a_path_that_cannot_be_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [
        folder.path(),
        &file.join("mcphub.db"),
        &folder.path().join("n".repeat(300)),
    ] {
        let error = refusal(path).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", error.report());
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_name_that_looks_like_a_uri_is_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file:a%20b?mode=memory#.db");
    sqlite::open(&path, None).await.unwrap();
    assert!(path.exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    for content in [
        "dear diary, today I wrote a store",
        "short",
        "SQLite format 3",
    ] {
        fs::write(&path, content).unwrap();
        let error = refusal(&path).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains("not a SQLite database"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE photo (id INTEGER)")
        .execute(&pool)
        .await
        .unwrap();
    let error = refusal(&path).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("another program"), "{error}");
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(tables, 1);
}

#[tokio::test]
async fn a_file_cut_short_is_an_error() {
    let (store, folder) = file_store().await;
    store.save(&registration("api")).await.unwrap();
    store.close().await;
    let path = folder.path().join("mcphub.db");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let error = refusal(&path).await;
    assert_eq!(error.kind(), ErrorKind::Internal, "{}", error.report());
}

#[tokio::test]
async fn a_value_that_does_not_belong_there_is_an_error_and_spares_the_others() {
    for statement in [
        "UPDATE tool_set SET json = '{}' WHERE server_id = 1",
        "UPDATE server SET artifact = '[' WHERE id = 1",
        "UPDATE server SET serve = 'somehow' WHERE id = 1",
        "UPDATE server SET base_url = 'nowhere' WHERE id = 1",
        "UPDATE server SET revision = -1 WHERE id = 1",
    ] {
        let (store, _folder) = file_store().await;
        store.save(&registration("bad")).await.unwrap();
        store.save(&with_bearer("good", "secret")).await.unwrap();
        sqlx::raw_sql(statement)
            .execute(pools(&store).writer())
            .await
            .unwrap();
        let error = store.get(&name("bad")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{statement}");
        assert!(store.get(&name("good")).await.unwrap().is_some());
        assert_eq!(
            bearer(&store.credentials(&name("good")).await.unwrap()),
            "secret"
        );
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_loses_nothing() {
    let (store, _folder) = file_store().await;
    store.save(&registration("small")).await.unwrap();
    let limit = "PRAGMA max_page_count = 100";
    sqlx::raw_sql(limit)
        .execute(pools(&store).writer())
        .await
        .unwrap();
    let mut large = registration("large");
    large.document.bytes = Bytes::from(vec![b'x'; 1 << 20]);
    let error = store.save(&large).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.is_retryable() && error.to_string().contains("disk is full"),
        "{error}"
    );
    assert!(store.get(&name("large")).await.unwrap().is_none());
    assert!(store.get(&name("small")).await.unwrap().is_some());
    assert_eq!(store.registry_version().await.unwrap(), 1);
    let limit = "PRAGMA max_page_count = 1000000";
    sqlx::raw_sql(limit)
        .execute(pools(&store).writer())
        .await
        .unwrap();
    assert!(store.save(&large).await.unwrap().changed);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_was_deleted_or_replaced_is_noticed() {
    for replaced in [false, true] {
        let (store, folder) = file_store().await;
        store.save(&registration("api")).await.unwrap();
        let path = folder.path().join("mcphub.db");
        fs::rename(&path, folder.path().join("away.db")).unwrap();
        if replaced {
            fs::copy(folder.path().join("away.db"), &path).unwrap();
        }
        let version = store.registry_version().await.unwrap_err();
        let save = store.save(&registration("late")).await.unwrap_err();
        for error in [version, save] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(!error.is_retryable());
            assert!(error.to_string().contains("restart"), "{error}");
        }
        assert!(store.get(&name("late")).await.unwrap().is_none());
        fs::rename(folder.path().join("away.db"), &path).unwrap();
        assert_eq!(store.registry_version().await.unwrap(), 1);
    }
}
