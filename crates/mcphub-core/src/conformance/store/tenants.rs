//! Several tenants of one store.

use std::sync::Arc;

use futures::future::join_all;

use super::{all, assert_absent, assert_stored, full, registration, save, tools, version};
use crate::ErrorKind;
use crate::audit::{Action, AuditQuery, Chain};
use crate::store::{Page, Store, Tenants, ToolSearch};
use crate::tenant::{Actor, Scope, TenantName};

fn tenant(name: &str) -> TenantName {
    TenantName::new(name).expect("a legal name")
}

fn scope(name: &str) -> Scope {
    Scope {
        tenant: tenant(name),
        actor: Actor::of("test", name),
    }
}

/// A handle for a tenant that is made for it.
async fn made(tenants: &dyn Tenants, name: &str) -> Arc<dyn Store> {
    let new = tenants.create_tenant(&tenant(name)).await;
    assert!(new.expect("the tenant is made"), "{name}");
    let store = tenants.scoped(scope(name)).await;
    store.expect("a handle for the tenant")
}

/// Without being made.
pub async fn the_default_tenant_is_always_there(tenants: &dyn Tenants) {
    let listed = tenants.tenants(None, 10).await.expect("a page").tenants;
    let names: Vec<_> = listed.iter().map(|tenant| tenant.name.as_str()).collect();
    assert_eq!(names, ["default"]);
    let store = tenants.scoped(Scope::default()).await;
    let store = store.expect("a handle for the default tenant");
    save(&*store, &full("api")).await;
    assert_stored(&*store, &full("api")).await;
}

/// The second time nothing changes; they are listed by name, with their versions.
pub async fn a_tenant_is_made_once(tenants: &dyn Tenants) {
    let unknown = tenants.scoped(scope("zeta")).await;
    let error = unknown.expect_err("there is no such tenant");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let zeta = made(tenants, "zeta").await;
    made(tenants, "alpha").await;
    save(&*zeta, &full("api")).await;
    let again = tenants.create_tenant(&tenant("zeta")).await;
    assert!(!again.expect("a name that is taken is no error"));
    assert_stored(&*zeta, &full("api")).await;
    let listed = tenants.tenants(None, 10).await.expect("a page").tenants;
    let listed: Vec<_> = listed
        .iter()
        .map(|tenant| (tenant.name.as_str(), tenant.registry_version))
        .collect();
    assert_eq!(listed, [("alpha", 0), ("default", 0), ("zeta", 1)]);
}

/// By name, in pages that join.
pub async fn tenants_are_listed_by_name(tenants: &dyn Tenants) {
    for name in ["zeta", "alpha", "beta-2", "beta"] {
        made(tenants, name).await;
    }
    for limit in 1..=6 {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = tenants.tenants(after.as_ref(), limit).await;
            let page = page.expect("a page");
            assert!(page.tenants.len() <= limit as usize);
            names.extend(page.tenants.into_iter().map(|it| it.name.to_string()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(
            names,
            ["alpha", "beta", "beta-2", "default", "zeta"],
            "{limit}"
        );
    }
    for limit in [0, 1_001] {
        let error = tenants
            .tenants(None, limit)
            .await
            .expect_err("no such page");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

/// Nor a list by words.
pub async fn a_search_finds_nothing_of_another_tenant(tenants: &dyn Tenants) {
    let (one, other) = (made(tenants, "one").await, made(tenants, "other").await);
    let search = ToolSearch::new("pet");
    let mut page = Page::default();
    page.filter.text = Some("api".to_owned());
    let seen = async |store: &dyn Store| {
        let tools = store.search(&search).await.expect("a page").tools;
        let servers = store.list(&page).await.expect("a page").servers;
        (tools.len(), servers.len())
    };
    save(&*one, &full("api")).await;
    assert_eq!((seen(&*one).await, seen(&*other).await), ((1, 1), (0, 0)));
    save(&*other, &full("api-2")).await;
    save(&*other, &full("api-3")).await;
    assert_eq!((seen(&*one).await, seen(&*other).await), ((1, 1), (2, 2)));
}

/// Whatever has the same name, source or bytes there, and whatever is done to it.
pub async fn a_tenant_sees_nothing_of_another(tenants: &dyn Tenants) {
    let (one, other) = (made(tenants, "one").await, made(tenants, "other").await);
    let (one, other) = (&*one, &*other);
    let ours = full("api");
    save(one, &ours).await;
    assert_absent(other, &ours.name).await;
    assert_eq!((all(other).await.len(), version(other).await), (0, 0));
    let found = other.find_by_source(&ours.document.source).await;
    assert_eq!(found.expect("no error"), None);
    let versions = other.document_versions(&ours.name, None, 10).await;
    assert!(versions.expect("no error").versions.is_empty());
    assert!(!other.remove(&ours.name).await.expect("no error"));
    let replaced = other.replace(&ours, 1).await;
    replaced.expect_err("it is not theirs");

    let mut theirs = full("api");
    theirs.tools = tools("Theirs");
    theirs.credentials.bearer = Some("theirs".into());
    save(other, &theirs).await;
    assert_stored(one, &ours).await;
    assert_stored(other, &theirs).await;

    assert!(other.remove(&theirs.name).await.expect("no error"));
    assert_eq!(one.restore(&ours.name).await.expect("no error"), None);
    assert!(!one.purge(&ours.name).await.expect("no error"));
    assert!(other.purge(&theirs.name).await.expect("no error"));
    assert_stored(one, &ours).await;
    assert_eq!(version(one).await, 1);
}

/// Whatever keys of the same name or tokens of the same text are there.
pub async fn a_key_lets_nobody_into_another_tenant(tenants: &dyn Tenants) {
    let (one, other) = (made(tenants, "one").await, made(tenants, "other").await);
    let key = super::keys::new_key("ci", 1);
    assert!(one.create_api_key(&key).await.expect("it is made"));
    let found = other.find_api_key(&key.digest).await;
    assert_eq!(found.expect("no error"), None);
    assert!(!other.revoke_api_key(&key.name).await.expect("no error"));
    let token = super::keys::token(2);
    let rotated = other.rotate_api_key(&key.name, &token, i64::MAX);
    assert!(!rotated.await.expect("no error"));
    let listed = other.api_keys(None, 10).await.expect("they are listed");
    assert!(listed.keys.is_empty());
    assert!(
        other
            .create_api_key(&super::keys::new_key("ci", 3))
            .await
            .expect("it is made")
    );
    assert!(
        other
            .revoke_api_key(&key.name)
            .await
            .expect("it is revoked")
    );
    let found = one.find_api_key(&key.digest).await.expect("no error");
    assert_eq!(found.expect("it is there").key.revoked_at, None);
}

/// And each log is a chain of its own.
pub async fn changes_are_in_the_log_of_their_tenant_under_their_actor(tenants: &dyn Tenants) {
    let (one, other) = (made(tenants, "one").await, made(tenants, "other").await);
    save(&*one, &full("api")).await;
    save(&*other, &full("api")).await;
    save(&*other, &registration("more")).await;
    for (store, name, count) in [(&one, "one", 1), (&other, "other", 2)] {
        let page = store.audit(&AuditQuery::default()).await;
        let entries = page.expect("a page of the log").entries;
        assert_eq!(entries.len(), count);
        let mut chain = Chain::new(tenant(name));
        for entry in &entries {
            assert_eq!(entry.actor, Actor::of("test", name));
            assert_eq!(entry.action, Action::SERVER_SAVE);
            chain.follow(entry);
        }
        assert_eq!(chain.findings(), []);
    }
}

/// Each counts its own changes.
pub async fn tenants_that_write_at_once_do_not_disturb_each_other(tenants: &dyn Tenants) {
    let (one, other) = (made(tenants, "one").await, made(tenants, "other").await);
    let servers: Vec<_> = (0..8).map(|n| registration(&format!("api-{n}"))).collect();
    let writes = [&*one, &*other]
        .into_iter()
        .flat_map(|store| servers.iter().map(move |server| save(store, server)));
    join_all(writes).await;
    for store in [&*one, &*other] {
        assert_eq!((all(store).await.len(), version(store).await), (8, 8));
    }
}
