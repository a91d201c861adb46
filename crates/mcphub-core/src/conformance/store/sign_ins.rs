//! Passwords, and what users are signed in to.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use futures::future::join_all;

use super::people::{actions, ada, add, default, join, read_only, role, user};
use crate::ErrorKind;
use crate::audit::{Action, AuditQuery, Hash};
use crate::password::PasswordHash;
use crate::principal::{Permissions, Refusal};
use crate::sign_in::{
    FoundSignIn, NewSignIn, RefreshToken, Refreshed, SignIn, SignInId, TokenDigests,
};
use crate::store::{People, Store};
use crate::tenant::{Actor, Scope, TenantName};
use crate::user::{UserKind, UserName};

const MINUTE: i64 = 60_000;
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn now() -> i64 {
    let since = UNIX_EPOCH.elapsed().expect("a time after 1970");
    i64::try_from(since.as_millis()).expect("a time")
}

/// What comes after this has another time.
fn next_millisecond() {
    let begun = now();
    while now() <= begun {
        std::thread::yield_now();
    }
}

/// The hash of a password that this letter tells apart.
fn hash(letter: char) -> PasswordHash {
    let hash = letter.to_string().repeat(43);
    PasswordHash::new(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ${hash}")).expect("a hash")
}

/// The tokens of a sign-in, and which of them in turn.
fn tokens(family: u8, turn: u8) -> (RefreshToken, TokenDigests) {
    let refresh = RefreshToken::from_entropy([family; 32]).next([turn; 16]);
    let mut access = [family; 32];
    access[0] = turn;
    let tokens = TokenDigests {
        family: refresh.family(),
        turn: refresh.turn(),
        access: Hash(access),
        access_ends_at: now() + MINUTE,
        lapses_at: now() + 10 * MINUTE,
    };
    (refresh, tokens)
}

fn of_ada(family: u8) -> NewSignIn {
    NewSignIn {
        user: ada(),
        password: hash('a'),
        from: Some(FROM),
        tokens: tokens(family, 0).1,
        ends_at: now() + 60 * MINUTE,
    }
}

/// Ada, who is a member and has a password, and the handle for the default tenant.
async fn ready(people: &dyn People) -> Arc<dyn Store> {
    let store = default(people).await;
    join(people, &*store, &read_only()).await;
    set(people, &ada(), Some(&hash('a'))).await;
    store
}

async fn set(people: &dyn People, user: &UserName, hash: Option<&PasswordHash>) -> bool {
    let set = people.set_password(user, hash).await;
    set.expect("the password is set")
}

async fn begin(store: &dyn Store, sign_in: &NewSignIn) -> bool {
    let begun = store.begin_sign_in(sign_in).await;
    begun.expect("who may not sign in is no error")
}

async fn find(store: &dyn Store, access: &Hash) -> Option<FoundSignIn> {
    let found = store.find_sign_in(access).await;
    found.expect("a token that nobody has is no error")
}

async fn refresh(store: &dyn Store, family: u8, turn: u8, next: u8) -> Refreshed {
    let (known, next) = (tokens(family, turn).1.turn, tokens(family, next).1);
    let refreshed = store.refresh_sign_in(&known, &next).await;
    refreshed.expect("a token that is refused is no error")
}

async fn sign_ins(store: &dyn Store) -> Vec<SignIn> {
    let page = store.sign_ins(&ada(), None, SignIn::MAX).await;
    let page = page.expect("they are listed");
    assert_eq!(page.next, None, "there are no more");
    page.sign_ins
}

async fn password(store: &dyn Store) -> Option<PasswordHash> {
    let account = store.account(&ada()).await.expect("no error");
    account.expect("ada is a user").password
}

/// And what they are signed in to ends with it, in all tenants.
pub async fn another_password_ends_what_a_user_is_signed_in_to(people: &dyn People) {
    let store = ready(people).await;
    assert_eq!(password(&*store).await, Some(hash('a')));
    let tenant = TenantName::new("other").expect("a legal name");
    people.create_tenant(&tenant).await.expect("it is made");
    let scope = Scope {
        tenant,
        ..Scope::default()
    };
    let other = people.scoped(scope).await.expect("a handle");
    let everything = Permissions::default();
    let saved = other.save_role(&role("staff"), &everything, None).await;
    saved.expect("the role is saved");
    let member = other.set_membership(&ada(), &role("staff"), None).await;
    member.expect("ada is a member");
    assert!(begin(&*store, &of_ada(1)).await && begin(&*other, &of_ada(2)).await);
    assert_eq!(find(&*other, &of_ada(1).tokens.access).await, None);
    assert!(set(people, &ada(), Some(&hash('b'))).await);
    assert_eq!(
        (sign_ins(&*store).await, sign_ins(&*other).await),
        (vec![], vec![])
    );
    assert_eq!(find(&*store, &of_ada(1).tokens.access).await, None);
    let refused = Refreshed::Refused(Refusal::Unknown);
    assert_eq!(refresh(&*other, 2, 0, 1).await, refused);
    // Whoever has shown the password before is too late.
    assert!(!begin(&*store, &of_ada(3)).await);
    assert!(set(people, &ada(), None).await);
    assert_eq!(password(&*store).await, None);
    let log = store.audit(&AuditQuery::default()).await;
    let log = log.expect("a page of the log").entries;
    let noted = log
        .iter()
        .filter(|entry| entry.action == Action::USER_PASSWORD);
    assert_eq!(noted.count(), 3);
    assert!(!log.iter().any(|it| it.detail.get().contains("argon2")));

    assert!(!set(people, &user("nobody"), Some(&hash('a'))).await);
    let robot = user("robot");
    let added = people.create_user(&robot, UserKind::Service).await;
    assert!(added.expect("it is added"));
    let refused = people.set_password(&robot, Some(&hash('a'))).await;
    assert_eq!(
        refused.expect_err("a service has none").kind(),
        ErrorKind::InvalidInput
    );
}

/// Where that is still there; nobody is signed out by it.
pub async fn a_hash_is_renewed_where_it_is_still_the_known_one(people: &dyn People) {
    let store = ready(people).await;
    assert!(begin(&*store, &of_ada(1)).await);
    let before = actions(&*store).await.len();
    let renew = async |known: char, renewed: char| {
        let (known, renewed) = (hash(known), hash(renewed));
        let renewed = people.renew_password(&ada(), &known, &renewed).await;
        renewed.expect("another hash is no error")
    };
    assert!(!renew('b', 'c').await && renew('a', 'b').await && !renew('a', 'c').await);
    assert_eq!(password(&*store).await, Some(hash('b')));
    assert_eq!(sign_ins(&*store).await.len(), 1);
    assert_eq!(actions(&*store).await.len(), before);
}

/// And nobody else, and what they may is what their role allows.
pub async fn a_member_signs_in_with_the_password_that_is_theirs(people: &dyn People) {
    let store = default(people).await;
    assert_eq!(store.account(&ada()).await.expect("no error"), None);
    assert!(!begin(&*store, &of_ada(1)).await);
    add(people, &ada()).await;
    set(people, &ada(), Some(&hash('a'))).await;
    let account = store.account(&ada()).await.expect("no error");
    let account = account.expect("ada is a user");
    assert_eq!(account.standing.allowed(), Err(Refusal::NoMember));
    assert!(!begin(&*store, &of_ada(1)).await);
    let saved = store.save_role(&role("staff"), &read_only(), None).await;
    saved.expect("the role is saved");
    let member = store.set_membership(&ada(), &role("staff"), None).await;
    member.expect("ada is a member");
    people.disable_user(&ada()).await.expect("no error");
    assert!(!begin(&*store, &of_ada(1)).await);
    people.enable_user(&ada()).await.expect("no error");
    let mut wrong = of_ada(1);
    wrong.password = hash('b');
    assert!(!begin(&*store, &wrong).await);
    assert_eq!(sign_ins(&*store).await, []);

    let new = of_ada(1);
    assert!(begin(&*store, &new).await);
    let found = find(&*store, &new.tokens.access).await;
    let found = found.expect("it is there");
    assert_eq!(found.access_ends_at, new.tokens.access_ends_at);
    assert_eq!(
        (&found.sign_in.user, &found.sign_in.id),
        (&ada(), &SignInId::of(&new.tokens.family))
    );
    assert_eq!(
        (found.sign_in.lapses_at, found.sign_in.ends_at),
        (new.tokens.lapses_at, new.ends_at)
    );
    let principal = found.principal(now()).expect("it lets ada in");
    assert!(principal.permissions.read_only);
    assert_eq!(principal.actor, ada().actor());
    assert_eq!(sign_ins(&*store).await, [found.sign_in]);
    assert_eq!(find(&*store, &Hash([0; 32])).await, None);

    let at = async || {
        let found = find(&*store, &new.tokens.access).await;
        found.expect("it is there").principal(now()).map(|_| ())
    };
    people.disable_user(&ada()).await.expect("no error");
    assert_eq!(at().await, Err(Refusal::Disabled));
    assert_eq!(
        refresh(&*store, 1, 0, 1).await,
        Refreshed::Refused(Refusal::Disabled)
    );
    people.enable_user(&ada()).await.expect("no error");
    assert_eq!(at().await, Ok(()));
    store.remove_membership(&ada()).await.expect("no error");
    assert_eq!(at().await, Err(Refusal::NoMember));
    assert_eq!(
        refresh(&*store, 1, 0, 1).await,
        Refreshed::Refused(Refusal::NoMember)
    );
}

/// Who shows one that was replaced ends the sign-in, for whoever has it.
pub async fn a_refresh_token_is_good_once(people: &dyn People) {
    let store = ready(people).await;
    assert!(begin(&*store, &of_ada(1)).await && begin(&*store, &of_ada(2)).await);
    let first = of_ada(1).tokens;
    let Refreshed::Renewed(renewed) = refresh(&*store, 1, 0, 1).await else {
        panic!("it is the newest");
    };
    assert_eq!(renewed.user, ada());
    assert!(renewed.refreshed_at >= renewed.began_at && renewed.lapses_at <= renewed.ends_at);
    assert_eq!(find(&*store, &first.access).await, None);
    let second = tokens(1, 1).1;
    assert!(find(&*store, &second.access).await.is_some());
    for turn in 1..4 {
        let refreshed = refresh(&*store, 1, turn, turn + 1).await;
        assert!(matches!(refreshed, Refreshed::Renewed(_)), "{refreshed:?}");
    }
    // However long ago.
    let reused = Refreshed::Refused(Refusal::Reused);
    assert_eq!(refresh(&*store, 1, 0, 9).await, reused);
    assert_eq!(find(&*store, &tokens(1, 4).1.access).await, None);
    let unknown = Refreshed::Refused(Refusal::Unknown);
    assert_eq!(refresh(&*store, 1, 4, 5).await, unknown);
    assert_eq!(sign_ins(&*store).await.len(), 1);
    assert_eq!(actions(&*store).await.last(), Some(&Action::SIGN_IN_REUSE));

    let at_once = (1..5).map(|next| refresh(&*store, 2, 0, next));
    let outcomes = join_all(at_once).await;
    let renewed = |outcome: &&Refreshed| matches!(outcome, Refreshed::Renewed(_));
    assert_eq!(outcomes.iter().filter(renewed).count(), 1, "{outcomes:?}");
    assert_eq!(sign_ins(&*store).await, []);
}

/// Whatever is left of its own time, and no time makes it longer than it may be.
pub async fn a_sign_in_lapses_unless_it_is_refreshed(people: &dyn People) {
    let store = ready(people).await;
    let mut new = of_ada(1);
    new.tokens.lapses_at = now() - 1;
    assert!(begin(&*store, &new).await);
    let found = find(&*store, &new.tokens.access).await;
    let found = found.expect("it is there");
    assert_eq!(found.principal(now()), Err(Refusal::Expired));
    let expired = Refreshed::Refused(Refusal::Expired);
    assert_eq!(refresh(&*store, 1, 0, 1).await, expired);
    assert_eq!(sign_ins(&*store).await, []);
    let mut short = of_ada(2);
    short.ends_at = now() + MINUTE;
    assert!(begin(&*store, &short).await);
    assert_eq!(sign_ins(&*store).await[0].lapses_at, short.ends_at);
    let Refreshed::Renewed(renewed) = refresh(&*store, 2, 0, 1).await else {
        panic!("it is the newest");
    };
    assert_eq!(renewed.lapses_at, short.ends_at);
    // The one that had lapsed made room.
    assert_eq!(find(&*store, &new.tokens.access).await, None);

    for family in 3..6 {
        let mut new = of_ada(family);
        new.tokens.lapses_at = now() + 1;
        assert!(begin(&*store, &new).await);
    }
    next_millisecond();
    next_millisecond();
    let purge = async |limit| store.purge_sign_ins(limit).await;
    // Each that began made room for itself.
    let first = purge(1).await.expect("no error");
    let rest = purge(10).await.expect("no error");
    assert!(first == 1 && rest <= 2, "{first} and {rest}");
    assert_eq!(purge(10).await.expect("no error"), 0);
    assert_eq!(sign_ins(&*store).await.len(), 1);
    assert!(purge(0).await.is_err() && purge(1_001).await.is_err());
}

/// One more takes the place of the one that was not refreshed for the longest time.
pub async fn a_user_has_a_bounded_number_of_sign_ins(people: &dyn People) {
    let store = ready(people).await;
    let most = u8::try_from(SignIn::MAX).expect("a small number");
    for family in 0..most {
        assert!(begin(&*store, &of_ada(family)).await);
        next_millisecond();
    }
    let refreshed = refresh(&*store, 0, 0, 1).await;
    assert!(matches!(refreshed, Refreshed::Renewed(_)), "{refreshed:?}");
    assert!(begin(&*store, &of_ada(most)).await);
    let listed = sign_ins(&*store).await;
    let listed: Vec<_> = listed.into_iter().map(|sign_in| sign_in.id).collect();
    // The newest first, and without the second.
    let lasting = (2..=most).rev().chain([0]);
    let id = |family| SignInId::of(&of_ada(family).tokens.family);
    assert_eq!(listed, lasting.map(id).collect::<Vec<_>>());
    assert_eq!(find(&*store, &of_ada(1).tokens.access).await, None);
}

/// Also while some end and others begin.
pub async fn pages_of_sign_ins_join(people: &dyn People) {
    let store = ready(people).await;
    let begun: Vec<_> = (1..8).map(of_ada).collect();
    join_all(begun.iter().map(|new| begin(&*store, new))).await;
    let whole = sign_ins(&*store).await;
    assert_eq!(whole.len(), begun.len());
    for limit in [1, 2, 6, 7, 1_000] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.sign_ins(&ada(), after.as_ref(), limit).await;
            let page = page.expect("a page");
            assert!(page.sign_ins.len() <= limit as usize);
            listed.extend(page.sign_ins);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(listed, whole, "pages of {limit}");
    }
    let first = store.sign_ins(&ada(), None, 3).await.expect("a page");
    let after = first.next.expect("there are more");
    let ended = store.end_sign_ins(&ada(), Some(&after.id)).await;
    assert_eq!(ended.expect("no error"), 1);
    next_millisecond();
    assert!(begin(&*store, &of_ada(9)).await);
    let rest = store.sign_ins(&ada(), Some(&after), 1_000).await;
    assert_eq!(rest.expect("a page").sign_ins, whole[3..]);
    for limit in [0, 1_001] {
        let refused = store.sign_ins(&ada(), None, limit).await;
        let refused = refused.expect_err("no such page");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}

/// One, or all; and not those of another tenant, whose log says nothing of it.
pub async fn a_sign_in_that_was_ended_is_gone(people: &dyn People) {
    let store = ready(people).await;
    for family in 1..=4 {
        assert!(begin(&*store, &of_ada(family)).await);
    }
    let tenant = TenantName::new("other").expect("a legal name");
    people.create_tenant(&tenant).await.expect("it is made");
    let scope = Scope {
        tenant,
        ..Scope::default()
    };
    let other = people.scoped(scope).await.expect("a handle");
    let family = |number| of_ada(number).tokens.family;
    let ended = other.end_sign_in(&family(1)).await;
    assert!(!ended.expect("no error"));
    let unknown = Refreshed::Refused(Refusal::Unknown);
    assert_eq!(refresh(&*other, 1, 0, 1).await, unknown);
    let ended = other.end_sign_ins(&ada(), None).await;
    assert_eq!(ended.expect("no error"), 0);
    let end = async |number| {
        let ended = store.end_sign_in(&family(number)).await;
        ended.expect("one that is gone is no error")
    };
    assert_eq!((end(1).await, end(1).await), (true, false));
    assert_eq!(find(&*store, &of_ada(1).tokens.access).await, None);
    assert_eq!(refresh(&*store, 1, 0, 1).await, unknown);
    let id = SignInId::of(&family(2));
    let end = async |id| store.end_sign_ins(&ada(), id).await.expect("no error");
    assert_eq!((end(Some(&id)).await, end(Some(&id)).await), (1, 0));
    assert_eq!(sign_ins(&*store).await.len(), 2);
    assert_eq!((end(None).await, end(None).await), (2, 0));
    assert_eq!(sign_ins(&*store).await, []);
}

/// Who signed in and out did so themselves; a failure is noted of who is a user.
pub async fn sign_ins_are_in_the_log(people: &dyn People) {
    let store = ready(people).await;
    let version = super::version(&*store).await;
    let before = actions(&*store).await.len();
    assert!(begin(&*store, &of_ada(1)).await);
    assert!(matches!(
        refresh(&*store, 1, 0, 1).await,
        Refreshed::Renewed(_)
    ));
    for name in [ada(), user("hunter2")] {
        let noted = store.note_failed_sign_in(&name, Some(FROM)).await;
        noted.expect("it is noted, or not");
    }
    let ended = store.end_sign_in(&of_ada(1).tokens.family).await;
    assert!(ended.expect("no error"));
    let page = store.audit(&AuditQuery::default()).await;
    let entries = page.expect("a page of the log").entries;
    let noted: Vec<_> = entries
        .iter()
        .skip(before)
        .map(|entry| (entry.action.clone(), entry.actor.clone()))
        .collect();
    assert_eq!(
        noted,
        [
            (Action::SIGN_IN_BEGIN, ada().actor()),
            (Action::SIGN_IN_FAIL, Actor::default()),
            (Action::SIGN_IN_END, ada().actor()),
        ]
    );
    assert!(entries.iter().skip(before).all(|entry| {
        let id = SignInId::of(&of_ada(1).tokens.family);
        let detail = entry.detail.get();
        entry.target == "user:ada@example.com"
            && (detail.contains("127.0.0.1") || detail.contains(id.as_str()))
    }));
    assert!(!entries.iter().any(|entry| {
        let detail = entry.detail.get();
        detail.contains("argon2") || detail.contains("hunter2")
    }));
    assert_eq!(super::version(&*store).await, version);
}
