//! What is in the files.

use std::fs;

use mcphub_core::ErrorKind;
use mcphub_core::store::{CredentialStore, DocumentStore, ServerStore};

use super::*;
use crate::MasterKey;

const SECRET: &str = "s3cret-that-nobody-may-read";

#[tokio::test]
async fn no_file_holds_a_secret_in_the_clear() {
    let (store, folder) = file_store().await;
    let mut wanted = with_bearer("api", SECRET);
    wanted
        .credentials
        .headers
        .push(("X-Key".into(), SECRET.into()));
    wanted
        .credentials
        .schemes
        .insert("key".into(), SECRET.into());
    store.save(&wanted).await.unwrap();
    let mut seen = Vec::new();
    for closed in [false, true] {
        if closed {
            store.close().await;
        }
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            seen.push(entry.file_name().into_string().unwrap());
            let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!holds(SECRET.as_bytes()), "{:?}", entry.path());
            // The search itself works: the name of a credential is no secret.
            let readable = holds(b"header:X-Key");
            assert_eq!(
                readable,
                seen.ends_with(&[if closed { "mcphub.db" } else { "mcphub.db-wal" }.into()])
            );
        }
    }
    for file in ["mcphub.db", "mcphub.db-wal", "mcphub.key"] {
        assert!(seen.iter().any(|name| name == file), "{seen:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn all_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (store, folder) = file_store().await;
    store.save(&registration("api")).await.unwrap();
    let mut files = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert_eq!(files, 4, "database, log, its index and the key");
}

#[tokio::test]
async fn a_ciphertext_that_was_moved_to_another_server_or_key_does_not_open() {
    for statement in [
        "UPDATE credential SET (nonce, ciphertext) =
             (SELECT nonce, ciphertext FROM credential JOIN server ON server.id = server_id
              WHERE server.name = 'rich')
         WHERE server_id = (SELECT id FROM server WHERE name = 'poor')",
        "UPDATE credential SET key = 'scheme:other'
         WHERE server_id = (SELECT id FROM server WHERE name = 'poor')",
        "UPDATE server SET name = CASE name WHEN 'rich' THEN 'x' ELSE 'rich' END;
         UPDATE server SET name = 'poor' WHERE name = 'x'",
        "UPDATE credential SET ciphertext = zeroblob(length(ciphertext))",
    ] {
        let (store, _folder) = file_store().await;
        store.save(&with_bearer("rich", SECRET)).await.unwrap();
        store.save(&with_bearer("poor", "pennies")).await.unwrap();
        sqlx::raw_sql(statement)
            .execute(pools(&store).writer())
            .await
            .unwrap();
        let error = store.credentials(&name("poor")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{statement}");
        assert!(!error.report().contains(SECRET));
        // Saving again heals it.
        let saved = store.save(&with_bearer("poor", "pennies")).await.unwrap();
        assert!(saved.changed);
        assert_eq!(
            bearer(&store.credentials(&name("poor")).await.unwrap()),
            "pennies"
        );
    }
}

#[tokio::test]
async fn another_master_key_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mcphub.db");
    let (right, wrong) = (
        MasterKey::generate().unwrap(),
        MasterKey::generate().unwrap(),
    );
    let early = sqlite::open(&path, Some(wrong.clone())).await.unwrap();
    let store = sqlite::open(&path, Some(right.clone())).await.unwrap();
    store.save(&with_bearer("api", SECRET)).await.unwrap();
    let named = format!("another master key (id {})", right.id());

    let error = early.save(&with_bearer("other", "x")).await.unwrap_err();
    assert!(error.to_string().contains(&named), "{error}");
    assert!(store.get(&name("other")).await.unwrap().is_none());

    let error = sqlite::open(&path, Some(wrong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains(&named), "{error}");

    let error = sqlite::open(&path, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("key file is missing"), "{error}");
    assert!(
        !folder.path().join(MasterKey::FILE).exists(),
        "no second key is made"
    );

    let again = sqlite::open(&path, Some(right)).await.unwrap();
    assert_eq!(
        bearer(&again.credentials(&name("api")).await.unwrap()),
        SECRET
    );
}

#[tokio::test]
async fn the_key_file_opens_what_was_written_with_it() {
    let (store, folder) = file_store().await;
    store.save(&with_bearer("api", SECRET)).await.unwrap();
    store.close().await;
    let again = open(&folder).await;
    assert_eq!(
        bearer(&again.credentials(&name("api")).await.unwrap()),
        SECRET
    );
}

#[tokio::test]
async fn every_uploaded_document_is_kept_once_until_its_server_is_purged() {
    let (store, _folder) = file_store().await;
    let mut wanted = registration("api");
    let (first, second) = (wanted.document.bytes.clone(), Bytes::from("openapi: 3.0.0"));
    for bytes in [&first, &second, &first] {
        wanted.document.bytes = bytes.clone();
        store.save(&wanted).await.unwrap();
    }
    wanted.credentials.bearer = Some("x".into());
    store.save(&wanted).await.unwrap();

    let versions: Vec<(String, bool, i64)> = sqlx::query_as(
        "SELECT digest, current, uploaded_at FROM document_version ORDER BY revision",
    )
    .fetch_all(pools(&store).readers())
    .await
    .unwrap();
    let digests = [&first, &second, &first].map(|bytes| Document {
        source: String::new(),
        bytes: bytes.clone(),
    });
    let digests = digests.map(|document| document.digest());
    assert!(versions.iter().map(|(digest, ..)| digest).eq(&digests));
    assert!(
        versions
            .iter()
            .map(|(_, current, _)| *current)
            .eq([false, false, true])
    );
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
    assert!(
        versions
            .iter()
            .all(|(.., at)| (now - 60_000..=now + 1_000).contains(at))
    );

    let count = async |table: &'static str| {
        let count: i64 = sqlx::query_scalar(table)
            .fetch_one(pools(&store).readers())
            .await
            .unwrap();
        count
    };
    assert_eq!(count("SELECT count(*) FROM document").await, 2);
    store.save(&with_bearer("other", "x")).await.unwrap();
    store.remove(&name("api")).await.unwrap();
    assert_eq!(count("SELECT count(*) FROM document").await, 3);
    store.purge(&name("api")).await.unwrap();
    assert_eq!(count("SELECT count(*) FROM document").await, 1);
    assert_eq!(count("SELECT count(*) FROM document_version").await, 1);
    assert_eq!(count("SELECT count(*) FROM tool_set").await, 1);
    assert_eq!(count("SELECT count(*) FROM credential").await, 1);
}

#[tokio::test]
async fn the_largest_document_is_kept_and_one_byte_more_is_refused() {
    let (store, folder) = file_store().await;
    let mut wanted = registration("api");
    let largest: Vec<u8> = (0..SqlStore::MAX_DOCUMENT)
        .map(|i| (i % 251) as u8)
        .collect();
    wanted.document.bytes = Bytes::from(largest);
    store.save(&wanted).await.unwrap();
    let stored = store.document(&wanted.name).await.unwrap().unwrap();
    assert!(stored.bytes == wanted.document.bytes);

    wanted.document.bytes = Bytes::from(vec![0; SqlStore::MAX_DOCUMENT + 1]);
    let error = store.save(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    // The log does not stay as large as the largest document that went through it.
    store.save(&registration("small")).await.unwrap();
    store.save(&registration("smaller")).await.unwrap();
    let log = fs::metadata(folder.path().join("mcphub.db-wal"))
        .unwrap()
        .len();
    assert!(log <= 16 << 20, "{log}");
}

#[tokio::test]
async fn the_audit_log_is_append_only() {
    let (store, _folder) = file_store().await;
    store.save(&registration("api")).await.unwrap();
    for statement in ["UPDATE audit SET actor = 'cli:eve'", "DELETE FROM audit"] {
        let outcome = sqlx::raw_sql(statement)
            .execute(pools(&store).writer())
            .await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
}
