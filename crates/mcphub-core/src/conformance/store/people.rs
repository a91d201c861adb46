//! Users, roles, members, and whose a key is.

use std::sync::Arc;

use futures::future::join_all;

use super::keys::new_key;
use crate::ErrorKind;
use crate::audit::{Action, AuditQuery};
use crate::principal::{Permissions, Refusal, ToolRule};
use crate::role::{Membership, Role, RoleName};
use crate::server::ServerName;
use crate::store::{People, Saved, Store};
use crate::tenant::{Scope, TenantName};
use crate::user::{User, UserKind, UserName};

pub(super) fn ada() -> UserName {
    user("ada@example.com")
}

pub(super) fn user(name: &str) -> UserName {
    UserName::new(name).expect("a legal name")
}

pub(super) fn role(name: &str) -> RoleName {
    RoleName::new(name).expect("a legal name")
}

pub(super) fn read_only() -> Permissions {
    Permissions {
        read_only: true,
        ..Permissions::default()
    }
}

fn of_shop() -> Permissions {
    Permissions {
        allow: vec![ToolRule::new("shop").expect("a rule")],
        ..Permissions::default()
    }
}

/// The handle for the default tenant.
pub(super) async fn default(people: &dyn People) -> Arc<dyn Store> {
    let store = people.scoped(Scope::default()).await;
    store.expect("a handle for the default tenant")
}

pub(super) async fn add(people: &dyn People, name: &UserName) {
    let added = people.create_user(name, UserKind::Person).await;
    assert!(added.expect("the user is added"), "{name}");
}

async fn save(store: &dyn Store, name: &str, permissions: &Permissions) -> Saved {
    let saved = store.save_role(&role(name), permissions, None).await;
    saved.expect("the role is saved")
}

/// Makes `ada` a member, in a role that is made for it.
pub(super) async fn join(people: &dyn People, store: &dyn Store, permissions: &Permissions) {
    add(people, &ada()).await;
    save(store, "staff", permissions).await;
    let set = store.set_membership(&ada(), &role("staff"), None).await;
    assert_eq!(set.expect("ada becomes a member").revision, 1);
}

async fn users(people: &dyn People) -> Vec<User> {
    people.users(None, 1_000).await.expect("a page").users
}

async fn members(store: &dyn Store) -> Vec<Membership> {
    let page = store.memberships(None, 1_000).await;
    page.expect("a page").members
}

async fn roles(store: &dyn Store) -> Vec<Role> {
    store.roles(None, 1_000).await.expect("a page").roles
}

pub(super) async fn actions(store: &dyn Store) -> Vec<Action> {
    let page = store.audit(&AuditQuery::default()).await;
    let entries = page.expect("a page of the log").entries;
    let mut actions: Vec<_> = entries
        .into_iter()
        .map(|entry| (entry.sequence, entry.action))
        .collect();
    actions.sort_by_key(|(sequence, _)| *sequence);
    actions.into_iter().map(|(_, action)| action).collect()
}

/// Also of those at once of one name; users are disabled and enabled once.
pub async fn a_user_is_added_once(people: &dyn People) {
    let name = ada();
    let at_once = (0..4).map(|_| people.create_user(&name, UserKind::Service));
    let added = join_all(at_once).await;
    let added = added.into_iter().map(|added| added.expect("no error"));
    assert_eq!(added.filter(|added| *added).count(), 1);
    let listed = users(people).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0].name, listed[0].kind),
        (&name, UserKind::Service)
    );
    assert_eq!(listed[0].disabled_at, None);
    let off = async || people.disable_user(&name).await.expect("no error");
    let on = async || people.enable_user(&name).await.expect("no error");
    assert_eq!((on().await, off().await, off().await), (false, true, false));
    assert!(users(people).await[0].disabled_at.is_some());
    assert_eq!((on().await, on().await), (true, false));
    assert_eq!(users(people).await, listed);
    let again = people.create_user(&name, UserKind::Person).await;
    assert!(!again.expect("a name that is taken is no error"));
    assert_eq!(users(people).await, listed);
    let nobody = user("nobody");
    for unknown in [
        people.disable_user(&nobody).await,
        people.enable_user(&nobody).await,
    ] {
        assert!(!unknown.expect("an unknown user is no error"));
    }
}

/// By name, in pages that join.
pub async fn users_roles_and_members_are_listed_by_name(people: &dyn People) {
    let store = default(people).await;
    let names = ["a", "b.b", "b", "z+1", "m@x"];
    save(&*store, "r", &read_only()).await;
    for name in names {
        add(people, &user(name)).await;
        let set = store.set_membership(&user(name), &role("r"), None).await;
        set.expect("they become a member");
    }
    for name in ["q", "a"] {
        save(&*store, name, &of_shop()).await;
    }
    let mut sorted = names.map(user).to_vec();
    sorted.sort();
    for limit in [1, 2, 4, 5, 1_000] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = people.users(after.as_ref(), limit).await.expect("a page");
            listed.extend(page.users.into_iter().map(|user| user.name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, sorted, "{limit}");
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.memberships(after.as_ref(), limit).await;
            let page = page.expect("a page");
            listed.extend(page.members.into_iter().map(|member| member.user));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, sorted, "{limit}");
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.roles(after.as_ref(), limit).await.expect("a page");
            listed.extend(page.roles.into_iter().map(|role| role.name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, ["a", "q", "r"].map(role), "{limit}");
    }
    for limit in [0, 1_001] {
        let error = people.users(None, limit).await.expect_err("no such page");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = store.roles(None, limit).await.expect_err("no such page");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = store.memberships(None, limit).await.expect_err("none");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

/// The same again changes nothing; a change of another revision than the one that is there is a
/// conflict, and of several at once from one revision one is made.
pub async fn a_role_is_changed_from_the_revision_that_is_there(people: &dyn People) {
    let store = default(people).await;
    let staff = role("staff");
    let save = async |permissions: &Permissions, revision: Option<u64>| {
        store.save_role(&staff, permissions, revision).await
    };
    let conflict = save(&of_shop(), Some(1)).await.expect_err("not there");
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    let saved = save(&of_shop(), Some(0)).await.expect("it is new");
    assert_eq!((saved.revision, saved.changed), (1, true));
    let again = save(&of_shop(), None).await.expect("it is the same");
    assert_eq!((again.revision, again.changed), (1, false));
    let other = save(&read_only(), Some(0)).await.expect_err("it is there");
    assert_eq!(other.kind(), ErrorKind::Conflict);
    let permissions: Vec<_> = (0..4)
        .map(|number| Permissions {
            allow: vec![ToolRule::new(format!("shop-{number}")).expect("a rule")],
            ..Permissions::default()
        })
        .collect();
    let at_once = permissions
        .iter()
        .map(|permissions| save(permissions, Some(1)));
    let outcomes = join_all(at_once).await;
    let won: Vec<_> = outcomes.iter().flatten().collect();
    assert_eq!(won.len(), 1, "{outcomes:?}");
    let listed = roles(&*store).await;
    assert_eq!((listed.len(), listed[0].revision), (1, 2));
    assert!(permissions.contains(&listed[0].permissions));
}

/// Nor is somebody a member who is no user, or as what is no role.
pub async fn a_membership_needs_its_user_and_its_role(people: &dyn People) {
    let store = default(people).await;
    let set = async |user: &UserName, name: &str| {
        let set = store.set_membership(user, &role(name), None).await;
        set.map_err(|error| error.kind())
    };
    assert_eq!(set(&ada(), "staff").await, Err(ErrorKind::NotFound));
    add(people, &ada()).await;
    assert_eq!(set(&ada(), "staff").await, Err(ErrorKind::NotFound));
    save(&*store, "staff", &read_only()).await;
    save(&*store, "boss", &Permissions::default()).await;
    let stale = store.set_membership(&ada(), &role("staff"), Some(1)).await;
    let stale = stale.expect_err("ada is no member");
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    let (member, at_once) = (ada(), ["staff", "boss"].map(role));
    let at_once = at_once
        .each_ref()
        .map(|role| store.set_membership(&member, role, Some(0)));
    let outcomes = join_all(at_once).await;
    assert_eq!(outcomes.iter().flatten().count(), 1, "{outcomes:?}");
    let removed = store.remove_membership(&ada()).await;
    assert!(removed.expect("ada was a member"));
    let first = set(&ada(), "staff").await.expect("they are there");
    assert_eq!((first.revision, first.changed), (1, true));
    assert!(!set(&ada(), "staff").await.expect("the same").changed);
    let since = members(&*store).await[0].since;
    let stale = store.set_membership(&ada(), &role("boss"), Some(9)).await;
    let stale = stale.expect_err("another revision");
    assert_eq!(stale.kind(), ErrorKind::Conflict);
    let second = store.set_membership(&ada(), &role("boss"), Some(1)).await;
    assert_eq!(second.expect("it is that revision").revision, 2);
    let expected = Membership {
        user: ada(),
        role: role("boss"),
        since,
        revision: 2,
    };
    assert_eq!(members(&*store).await, [expected]);

    let used = store.remove_role(&role("boss")).await;
    assert_eq!(used.expect_err("ada has it").kind(), ErrorKind::Conflict);
    let unused = store.remove_role(&role("staff")).await;
    assert!(unused.expect("nobody has it"));
    let unknown = store.remove_role(&role("staff")).await;
    assert!(!unknown.expect("what is not there is no error"));
    let removed = store.remove_membership(&ada()).await;
    assert!(removed.expect("ada was a member"));
    let again = store.remove_membership(&ada()).await;
    assert!(!again.expect("who is no member is no error"));
    assert_eq!(members(&*store).await, []);
}

/// What a key allows and what the role of its user allows, both have to; and the key lets nobody in
/// while its user is disabled or no member.
pub async fn a_users_key_does_what_their_role_allows(people: &dyn People) {
    let store = default(people).await;
    let mut key = new_key("ci", 1);
    key.user = Some(ada());
    let error = store.create_api_key(&key).await;
    assert_eq!(error.expect_err("nobody").kind(), ErrorKind::NotFound);
    join(people, &*store, &read_only()).await;
    key.permissions = of_shop();
    assert!(store.create_api_key(&key).await.expect("it is made"));
    let listed = store.api_keys(None, 10).await.expect("a page").keys;
    assert_eq!(listed[0].user, Some(ada()));

    let found = async || {
        let found = store.find_api_key(&key.digest).await;
        found.expect("no error").expect("the key is there")
    };
    let principal = found().await.principal(0).expect("it lets ada in");
    assert_eq!(principal.id.as_str(), "key:ci");
    assert_eq!(principal.actor, ada().actor());
    let (shop, bank) = (ServerName::new("shop"), ServerName::new("bank"));
    let (shop, bank) = (shop.expect("a name"), bank.expect("a name"));
    let may = |server, reads| principal.permissions.decide(server, "get", reads).is_ok();
    assert_eq!(
        (may(&shop, true), may(&shop, false), may(&bank, true)),
        (true, false, false)
    );

    save(&*store, "staff", &Permissions::default()).await;
    let principal = found().await.principal(0).expect("it lets ada in");
    assert!(principal.permissions.decide(&shop, "buy", false).is_ok());
    people.disable_user(&ada()).await.expect("no error");
    assert_eq!(found().await.principal(0), Err(Refusal::Disabled));
    people.enable_user(&ada()).await.expect("no error");
    assert!(found().await.principal(0).is_ok());
    store.remove_membership(&ada()).await.expect("no error");
    assert_eq!(found().await.principal(0), Err(Refusal::NoMember));
}

/// Users belong to the store; what they are in one tenant, they are in no other.
pub async fn roles_and_members_are_those_of_one_tenant(people: &dyn People) {
    let one = default(people).await;
    let tenant = TenantName::new("other").expect("a legal name");
    people.create_tenant(&tenant).await.expect("it is made");
    let scope = Scope {
        tenant,
        ..Scope::default()
    };
    let other = people.scoped(scope).await.expect("a handle");
    join(people, &*one, &of_shop()).await;
    assert_eq!(
        (roles(&*other).await, members(&*other).await),
        (vec![], vec![])
    );
    let set = other.set_membership(&ada(), &role("staff"), None).await;
    assert_eq!(set.expect_err("no such role").kind(), ErrorKind::NotFound);
    save(&*other, "staff", &read_only()).await;
    let removed = other.remove_membership(&ada()).await;
    assert!(!removed.expect("ada is no member there"));
    let mut key = new_key("ci", 1);
    key.user = Some(ada());
    let error = other.create_api_key(&key).await;
    assert_eq!(error.expect_err("no member").kind(), ErrorKind::NotFound);
    assert_eq!(roles(&*one).await[0].permissions, of_shop());
    assert_eq!(members(&*one).await.len(), 1);
}

/// Each with one entry; what changes nothing adds none, and none is a change of the registry.
pub async fn changes_of_people_are_in_the_log(people: &dyn People) {
    let store = default(people).await;
    let version = super::version(&*store).await;
    join(people, &*store, &of_shop()).await;
    join_again(people, &*store).await;
    people.disable_user(&ada()).await.expect("no error");
    people.enable_user(&ada()).await.expect("no error");
    store.remove_membership(&ada()).await.expect("no error");
    let removed = store.remove_role(&role("staff")).await;
    removed.expect("nobody has it");
    let expected = [
        Action::USER_CREATE,
        Action::ROLE_SAVE,
        Action::MEMBER_SET,
        Action::USER_DISABLE,
        Action::USER_ENABLE,
        Action::MEMBER_REMOVE,
        Action::ROLE_REMOVE,
    ];
    assert_eq!(actions(&*store).await, expected);
    assert_eq!(super::version(&*store).await, version);
}

/// What was done already.
async fn join_again(people: &dyn People, store: &dyn Store) {
    let again = people.create_user(&ada(), UserKind::Person).await;
    assert!(!again.expect("a name that is taken is no error"));
    assert!(!save(store, "staff", &of_shop()).await.changed);
    let set = store.set_membership(&ada(), &role("staff"), None).await;
    assert!(!set.expect("ada is a member").changed);
}
