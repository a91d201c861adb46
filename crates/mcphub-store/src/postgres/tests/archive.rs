//! Archives from one engine to the other.

use mcphub_core::store::{CredentialStore, Tenants};

use super::*;
use crate::{MasterKeys, sqlite};

#[tokio::test]
async fn an_archive_goes_from_one_engine_to_the_other_and_back() {
    let Some(place) = Place::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = async |name: &str| sqlite::open(folder.path().join(name), None).await.unwrap();
    let export = async |store: &SqlStore, key: Option<&MasterKeys>| {
        let mut archive = Vec::new();
        store.export(&mut archive, key).await.unwrap();
        archive
    };
    let first = file("first.db").await;
    let acme = mcphub_core::tenant::TenantName::new("acme").unwrap();
    first.create_tenant(&acme).await.unwrap();
    for server in ["b", "a", "c"] {
        let wanted = registration(server, server);
        mcphub_core::store::ServerStore::save(&first, &wanted)
            .await
            .unwrap();
    }

    let key = MasterKeys::from(MasterKey::generate().unwrap());
    let with_secrets = export(&first, Some(&key)).await;
    let plain = export(&first, None).await;
    let server = place.open().await;
    server
        .import(&mut &with_secrets[..], Some(&key))
        .await
        .unwrap();
    assert_eq!(export(&server, None).await, plain);
    assert_eq!(server.check().await.unwrap(), []);

    let with_secrets = export(&server, Some(&key)).await;
    let second = file("second.db").await;
    second
        .import(&mut &with_secrets[..], Some(&key))
        .await
        .unwrap();
    assert_eq!(export(&second, None).await, plain);
    assert_eq!(second.check().await.unwrap(), []);
    let credentials = second.credentials(&name("a")).await.unwrap();
    assert_eq!(bearer(&credentials), "a");
}
