//! A change of keys while another node works.

use mcphub_core::store::{CredentialStore, ServerStore};

use super::*;
use crate::MasterKeys;
use crate::postgres::open_with;

#[tokio::test]
async fn nodes_with_both_master_keys_go_on_while_they_change() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    for number in 0..30 {
        let server = format!("api-{number}");
        store.save(&registration(&server, &server)).await.unwrap();
    }
    store.close().await;

    let new = MasterKey::generate().unwrap();
    let both = format!("{},{}", *new.to_text(), *place.key.to_text());
    let node = async || {
        let keys = MasterKeys::from_text(&both).unwrap();
        open_with(&place.settings, Some(keys.into())).await.unwrap()
    };
    let (one, other) = (node().await, node().await);
    let work = async {
        for number in 0..30 {
            let server = format!("late-{number}");
            other.save(&registration(&server, &server)).await.unwrap();
            let early = name(&format!("api-{number}"));
            let credentials = other.credentials(&early).await.unwrap();
            assert_eq!(bearer(&credentials), early.as_str());
        }
    };
    let (rotation, ()) = futures::join!(one.rotate_key(), work);
    let rotation = rotation.unwrap();
    assert_eq!(rotation.master_key_id, new.id());
    assert!(rotation.encrypted >= 30 && rotation.unreadable.is_empty());
    one.close().await;
    other.close().await;

    let error = postgres::open(&place.settings, Some(place.key.clone()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains(new.id()), "{error}");
    let alone = postgres::open(&place.settings, Some(new)).await.unwrap();
    for number in 0..30 {
        for server in [format!("api-{number}"), format!("late-{number}")] {
            let credentials = alone.credentials(&name(&server)).await.unwrap();
            assert_eq!(bearer(&credentials), server);
        }
    }
}
