//! Archives.

use mcphub_core::ErrorKind;
use mcphub_core::audit::Hash;
use mcphub_core::key::{KeyName, NewApiKey};
use mcphub_core::password::PasswordHash;
use mcphub_core::principal::Permissions;
use mcphub_core::role::RoleName;
use mcphub_core::store::{
    ApiKeyStore, CredentialStore, DocumentStore, MembershipStore, Page, Passwords, RoleStore,
    ServerFilter, ServerStatus, ServerStore, SignInStore, Tenants, Users, VirtualServerStore,
};
use mcphub_core::tenant::{Scope, TenantName};
use mcphub_core::user::{UserKind, UserName};
use mcphub_core::virtual_server::VirtualServer;

use super::*;
use crate::{MasterKey, MasterKeys};

/// Two tenants, an earlier document, a removed server, credentials.
async fn filled() -> (Arc<SqlStore>, TempDir) {
    let (store, folder) = file_store().await;
    let acme = TenantName::new("acme").unwrap();
    store.create_tenant(&acme).await.unwrap();
    let scope = Scope {
        tenant: acme,
        ..Scope::default()
    };
    let acme = store.within(scope).await.unwrap();
    for (number, store) in [(0, &*store), (10, &acme)] {
        let mut api = with_bearer("api", "s3cret");
        store.save(&api).await.unwrap();
        api.document.bytes = Bytes::from_static(b"\x00\xff not text");
        store.save(&api).await.unwrap();
        store.save(&registration("plain")).await.unwrap();
        store.save(&with_bearer("gone", "old")).await.unwrap();
        store.remove(&name("gone")).await.unwrap();
        let mut desk = VirtualServer::new(name("desk"));
        desk.tools = vec!["api/get*".parse().unwrap()];
        store.save_virtual_server(&desk, None).await.unwrap();
        let (ada, staff) = (
            UserName::new("ada").unwrap(),
            RoleName::new("staff").unwrap(),
        );
        store.create_user(&ada, UserKind::Person).await.unwrap();
        assert!(store.set_password(&ada, Some(&password())).await.unwrap());
        let everything = Permissions::default();
        store.save_role(&staff, &everything, None).await.unwrap();
        store.set_membership(&ada, &staff, None).await.unwrap();
        let mut ci = NewApiKey::new(KeyName::new("ci").unwrap(), Hash([number; 32]));
        ci.user = Some(ada);
        store.create_api_key(&ci).await.unwrap();
        let token = Hash([number + 1; 32]);
        let rotated = store.rotate_api_key(&ci.name, &token, 7).await;
        assert!(rotated.unwrap());
    }
    (store, folder)
}

fn password() -> PasswordHash {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
    PasswordHash::new(hash).unwrap()
}

async fn password_of_ada(store: &SqlStore) -> Option<PasswordHash> {
    let ada = UserName::new("ada").unwrap();
    store.account(&ada).await.unwrap().unwrap().password
}

async fn export(store: &SqlStore, key: Option<&MasterKeys>) -> Vec<u8> {
    let mut archive = Vec::new();
    let exported = store.export(&mut archive, key).await.unwrap();
    assert_eq!((exported.tenants, exported.servers), (2, 6));
    assert_eq!((exported.documents, exported.entries), (8, 24));
    assert_eq!(exported.virtual_servers, 2);
    assert_eq!((exported.api_keys, exported.users), (2, 1));
    assert_eq!((exported.roles, exported.members), (2, 2));
    let secrets = if key.is_some() { (4, 1) } else { (0, 0) };
    assert_eq!((exported.credentials, exported.passwords), secrets);
    archive
}

async fn refusal(archive: &[u8], key: Option<&MasterKeys>) -> mcphub_core::Error {
    let (store, _folder) = file_store().await;
    let error = store.import(&mut &archive[..], key).await.unwrap_err();
    assert_eq!(store.registry_version().await.unwrap(), 0);
    assert_eq!(
        store.tenants(None, 10).await.unwrap().tenants.len(),
        1,
        "nothing is taken over"
    );
    error
}

#[tokio::test]
async fn what_was_exported_comes_back_whole() {
    let (store, _folder) = filled().await;
    let archive = export(&store, None).await;
    let (again, _folder) = file_store().await;
    let imported = again.import(&mut &archive[..], None).await.unwrap();
    assert!(imported.secrets_left_out);
    assert_eq!(export(&again, None).await, archive);
    assert_eq!(again.check().await.unwrap(), []);
    assert_eq!(password_of_ada(&again).await, None);
    let keys = again.api_keys(None, 10).await.unwrap().keys;
    assert_eq!(keys, store.api_keys(None, 10).await.unwrap().keys);
    let members = again.memberships(None, 10).await.unwrap().members;
    assert_eq!(members, store.memberships(None, 10).await.unwrap().members);
    let desk = again.virtual_server(&name("desk")).await.unwrap();
    assert_eq!(desk, store.virtual_server(&name("desk")).await.unwrap());
    let document = again.document(&name("api")).await.unwrap().unwrap();
    assert_eq!(document.bytes, &b"\x00\xff not text"[..]);
    let removed = Page {
        filter: {
            let mut filter = ServerFilter::default();
            filter.status = ServerStatus::Removed;
            filter
        },
        ..Page::default()
    };
    assert_eq!(again.list(&removed).await.unwrap().servers.len(), 1);
    assert!(again.save(&registration("more")).await.unwrap().changed);
}

#[tokio::test]
async fn credentials_travel_under_a_key_of_their_own() {
    let (store, _folder) = filled().await;
    let key = MasterKeys::from(MasterKey::generate().unwrap());
    let archive = export(&store, Some(&key)).await;
    let text = String::from_utf8(archive.clone()).unwrap();
    assert!(!text.contains("s3cret") && !text.contains("argon2id"));
    let (again, _folder) = file_store().await;
    let imported = again.import(&mut &archive[..], Some(&key)).await.unwrap();
    assert!(!imported.secrets_left_out);
    let credentials = again.credentials(&name("api")).await.unwrap();
    assert_eq!(bearer(&credentials), "s3cret");
    assert_eq!(password_of_ada(&again).await, Some(password()));
    assert_eq!(again.check().await.unwrap(), []);

    let other = MasterKeys::from(MasterKey::generate().unwrap());
    for key in [None, Some(&other)] {
        let error = refusal(&archive, key).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[tokio::test]
async fn an_archive_that_was_cut_or_changed_is_refused_and_leaves_nothing() {
    let (store, _folder) = filled().await;
    let archive = String::from_utf8(export(&store, None).await).unwrap();
    let lines: Vec<&str> = archive.lines().collect();
    let without = |place: usize| {
        let mut lines = lines.clone();
        lines.remove(place);
        lines.join("\n") + "\n"
    };
    let last = lines.len() - 1;
    for (what, changed) in [
        ("empty", String::new()),
        ("no archive", "{}\n".to_owned()),
        ("cut in a line", archive[..archive.len() - 20].to_owned()),
        ("without an end", without(last)),
        ("without its beginning", without(0)),
        ("without a tenant", without(1)),
        ("without a document", without(2)),
        ("without an entry", without(last - 1)),
        ("with more", format!("{archive}\n")),
        (
            "with a selection that is none",
            archive.replacen("api/get*", "api", 1),
        ),
        ("renamed", archive.replacen("\"plain\"", "\"plane\"", 1)),
        (
            "another actor",
            archive.replacen("\"system\"", "\"cli:eve\"", 1),
        ),
    ] {
        let error = refusal(changed.as_bytes(), None).await;
        let kinds = [ErrorKind::InvalidInput, ErrorKind::Internal];
        assert!(kinds.contains(&error.kind()), "{what}: {error}");
    }
    let newer = archive.replacen("\"format\":1", "\"format\":2", 1);
    let error = refusal(newer.as_bytes(), None).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn only_an_empty_store_takes_an_archive() {
    let (store, _folder) = filled().await;
    let archive = export(&store, None).await;
    let error = store.import(&mut &archive[..], None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(export(&store, None).await, archive);
}
