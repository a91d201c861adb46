//! Virtual servers.

use futures::future::join_all;
use serde_json::json;

use super::people::actions;
use super::{name, registration, save, version};
use crate::ErrorKind;
use crate::audit::Action;
use crate::store::{Saved, Store, Tenants};
use crate::tenant::{Scope, TenantName};
use crate::virtual_server::{Definition, StoredVirtualServer, VirtualServer};

/// One with everything that one can have.
fn desk() -> VirtualServer {
    let definition = json!({
        "instructions": "Orders ünd tickets.",
        "tools": ["shop/get*", "shop/path=/orders*", "tracker/create_ticket"],
        "prompts": ["tracker/*"],
        "resources": ["docs/file:///handbook/*"],
        "change": {"tracker/create_ticket": {
            "name": "report",
            "description": "Reports.",
            "preset": {"queue": "desk", "n": 1.5, "tags": ["a", null]},
            "hidden": ["assignee"],
        }},
    });
    let definition: Definition = serde_json::from_value(definition).expect("a definition");
    definition.server(&name("desk")).expect("one that can be")
}

/// One that has all tools of a server.
fn all_of(server: &str, virtual_name: &str) -> VirtualServer {
    let mut it = VirtualServer::new(name(virtual_name));
    it.tools = vec![format!("{server}/*").parse().expect("a selection")];
    it
}

async fn put(store: &dyn Store, server: &VirtualServer) -> Saved {
    let saved = store.save_virtual_server(server, None).await;
    saved.expect("it is saved")
}

async fn get(store: &dyn Store, server: &str) -> Option<StoredVirtualServer> {
    let found = store.virtual_server(&name(server)).await;
    found.expect("an unknown one is no error")
}

async fn remove(store: &dyn Store, server: &str) -> bool {
    let removed = store.remove_virtual_server(&name(server)).await;
    removed.expect("an unknown one is no error")
}

async fn names(store: &dyn Store) -> Vec<String> {
    let page = store.virtual_servers(None, 1_000).await.expect("a page");
    assert_eq!(page.next, None);
    let names = page
        .servers
        .into_iter()
        .map(|it| it.server.name.to_string());
    names.collect()
}

/// And what is there already is no change.
pub async fn a_virtual_server_comes_back_whole(store: &dyn Store) {
    assert_eq!(get(store, "desk").await, None);
    let saved = put(store, &desk()).await;
    assert!(saved.changed);
    let there = get(store, "desk").await.expect("it is there");
    assert_eq!((&there.server, there.revision), (&desk(), saved.revision));
    let again = put(store, &desk()).await;
    assert_eq!((again.changed, again.revision), (false, saved.revision));
    let mut other = desk();
    other.changes.clear();
    let changed = put(store, &other).await;
    assert!(changed.changed && changed.revision > saved.revision);
    assert_eq!(get(store, "desk").await.expect("it is there").server, other);
    assert!(remove(store, "desk").await);
    assert!(!remove(store, "desk").await);
    assert_eq!(get(store, "desk").await, None);
    assert!(put(store, &desk()).await.revision > changed.revision);
}

/// 0 is one that is not there.
pub async fn a_virtual_server_is_changed_from_the_revision_that_is_there(store: &dyn Store) {
    let save = async |server: &VirtualServer, revision| {
        let saved = store.save_virtual_server(server, Some(revision)).await;
        saved
            .map(|saved| saved.revision)
            .map_err(|error| error.kind())
    };
    let (one, other) = (desk(), all_of("shop", "desk"));
    assert_eq!(save(&one, 7).await, Err(ErrorKind::Conflict));
    let first = save(&one, 0).await.expect("it is new");
    assert_eq!(save(&other, 0).await, Err(ErrorKind::Conflict));
    let second = save(&other, first).await.expect("it has that revision");
    assert_eq!(save(&one, first).await, Err(ErrorKind::Conflict));
    let there = get(store, "desk").await.expect("it is there");
    assert_eq!((there.server, there.revision), (other, second));
}

/// Whoever comes first; a refused one leaves nothing.
pub async fn of_virtual_servers_made_at_once_one_is_there(store: &dyn Store) {
    let wanted: Vec<_> = (0..4)
        .map(|number| all_of(&format!("s-{number}"), "desk"))
        .collect();
    let saves = wanted
        .iter()
        .map(|it| store.save_virtual_server(it, Some(0)));
    let saved = join_all(saves).await;
    let first = saved.iter().position(Result::is_ok).expect("one succeeds");
    assert_eq!(saved.iter().filter(|saved| saved.is_ok()).count(), 1);
    let there = get(store, "desk").await.expect("it is there");
    assert_eq!(there.server, wanted[first]);
    assert_eq!(version(store).await, 1);
}

/// But for those of servers that were removed.
pub async fn a_virtual_server_and_a_server_have_different_names(store: &dyn Store) {
    let shop = registration("shop");
    save(store, &shop).await;
    let taken = all_of("other", "shop");
    let refused = store.save_virtual_server(&taken, None).await;
    assert_eq!(
        refused.expect_err("it is taken").kind(),
        ErrorKind::Conflict
    );
    assert!(store.remove(&shop.name).await.expect("it is removed"));
    put(store, &taken).await;
    let before = version(store).await;
    let refused = store.save(&shop).await;
    assert_eq!(
        refused.expect_err("it is taken").kind(),
        ErrorKind::Conflict
    );
    let refused = store.restore(&shop.name).await;
    assert_eq!(
        refused.expect_err("it is taken").kind(),
        ErrorKind::Conflict
    );
    assert_eq!(version(store).await, before);
    assert!(remove(store, "shop").await);
    let restored = store.restore(&shop.name).await.expect("it is free");
    assert!(restored.is_some());
}

/// Also one that cannot be is none.
pub async fn virtual_servers_are_bounded(store: &dyn Store) {
    let refusal = async |server: &VirtualServer| {
        let refused = store.save_virtual_server(server, None).await;
        refused.expect_err("it is refused").kind()
    };
    let mut large = all_of("shop", "large");
    large.instructions = Some("x".repeat(VirtualServer::MAX_DEFINITION));
    assert_eq!(refusal(&large).await, ErrorKind::TooLarge);
    let mut wrong = desk();
    wrong.tools.clear();
    assert_eq!(refusal(&wrong).await, ErrorKind::InvalidInput);
    assert_eq!(version(store).await, 0);
    let most: Vec<_> = (0..VirtualServer::MAX)
        .map(|number| all_of("shop", &format!("s-{number}")))
        .collect();
    for some in most.chunks(50) {
        join_all(some.iter().map(|it| put(store, it))).await;
    }
    let one_more = all_of("shop", "one-more");
    assert_eq!(refusal(&one_more).await, ErrorKind::TooLarge);
    put(store, &all_of("bank", "s-7")).await;
    assert!(remove(store, "s-7").await);
    put(store, &one_more).await;
}

/// In pages that join.
pub async fn virtual_servers_are_listed_by_name(store: &dyn Store) {
    for virtual_name in ["b", "a-2", "a", "c", "a-1"] {
        put(store, &all_of("shop", virtual_name)).await;
    }
    for limit in [1, 2, 5, 1_000] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.virtual_servers(after.as_ref(), limit).await;
            let page = page.expect("a page");
            assert!(page.servers.len() <= limit as usize);
            listed.extend(
                page.servers
                    .into_iter()
                    .map(|it| it.server.name.to_string()),
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, ["a", "a-1", "a-2", "b", "c"], "{limit}");
    }
    for limit in [0, 1_001] {
        let refused = store.virtual_servers(None, limit).await;
        let refused = refused.expect_err("no such page");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

/// What changes nothing is neither.
pub async fn a_change_of_a_virtual_server_is_one_of_the_registry_and_in_the_log(store: &dyn Store) {
    put(store, &desk()).await;
    put(store, &desk()).await;
    assert_eq!(version(store).await, 1);
    put(store, &all_of("shop", "desk")).await;
    assert!(remove(store, "desk").await);
    assert!(!remove(store, "desk").await);
    assert_eq!(version(store).await, 3);
    let (saved, removed) = (Action::VIRTUAL_SERVER_SAVE, Action::VIRTUAL_SERVER_REMOVE);
    assert_eq!(actions(store).await, [saved.clone(), saved, removed]);
}

/// Whatever others of that name are there.
pub async fn a_virtual_server_is_that_of_one_tenant(tenants: &dyn Tenants) {
    let handle = async |name: &str| {
        let tenant = TenantName::new(name).expect("a legal name");
        tenants.create_tenant(&tenant).await.expect("it is made");
        let scope = Scope {
            tenant,
            ..Scope::default()
        };
        tenants.scoped(scope).await.expect("a handle")
    };
    let (one, other) = (handle("one").await, handle("other").await);
    put(&*one, &desk()).await;
    assert_eq!(get(&*other, "desk").await, None);
    assert!(names(&*other).await.is_empty());
    assert!(!remove(&*other, "desk").await);
    let theirs = registration("desk");
    save(&*other, &theirs).await;
    assert_eq!(version(&*one).await, 1);
    assert_eq!(names(&*one).await, ["desk"]);
}
