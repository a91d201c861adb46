//! The audit log.

use futures::future::join_all;
use serde_json::value::RawValue;

use super::{full, name, registration, save, tools};
use crate::audit::{Action, AuditEntry, AuditNote, AuditQuery, Chain, Order, Pruned};
use crate::store::Store;
use crate::tenant::{Actor, TenantName};

async fn log(store: &dyn Store, query: AuditQuery) -> Vec<AuditEntry> {
    let mut query = query;
    let mut entries = Vec::new();
    loop {
        let page = store.audit(&query).await.expect("a page of the log");
        assert!(page.entries.len() <= query.limit as usize);
        entries.extend(page.entries);
        match page.next {
            None => return entries,
            next => query.after = next,
        }
    }
}

async fn whole_log(store: &dyn Store) -> Vec<AuditEntry> {
    log(store, AuditQuery::default()).await
}

fn sequences(entries: &[AuditEntry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

/// Also a change that was refused or changes nothing is no change.
pub async fn every_change_adds_one_entry(store: &dyn Store) {
    assert!(whole_log(store).await.is_empty());
    let mut api = full("api");
    let first = save(store, &api).await;
    save(store, &api).await;
    api.tools = tools("Second");
    store
        .replace(&api, first.revision)
        .await
        .expect("it is replaced");
    let late = store.replace(&full("api"), first.revision).await;
    late.expect_err("it was replaced");
    let gone = name("api");
    for again in [false, true] {
        store.remove(&gone).await.expect("no error");
        if !again {
            store.restore(&gone).await.expect("no error");
            store.restore(&gone).await.expect("no error");
            store.purge(&gone).await.expect("no error");
        }
    }
    store.purge(&gone).await.expect("no error");
    store.purge(&gone).await.expect("no error");
    let log = whole_log(store).await;
    let actions: Vec<_> = log.iter().map(|entry| entry.action.clone()).collect();
    assert_eq!(
        actions,
        [
            Action::SERVER_SAVE,
            Action::SERVER_SAVE,
            Action::SERVER_REMOVE,
            Action::SERVER_RESTORE,
            Action::SERVER_REMOVE,
            Action::SERVER_PURGE,
        ]
    );
    assert!(log.iter().all(|entry| entry.target == "server:api"));
}

/// Every entry follows from the one before, and the last one is the head.
pub async fn the_log_is_a_chain_whoever_writes_at_once(store: &dyn Store) {
    let servers: Vec<_> = (0..16).map(|n| registration(&format!("api-{n}"))).collect();
    join_all(servers.iter().map(|server| save(store, server))).await;
    let mut chain = Chain::new(TenantName::default());
    let log = whole_log(store).await;
    log.iter().for_each(|entry| chain.follow(entry));
    assert_eq!(chain.findings(), []);
    let head = store.audit_head().await.expect("the head is read");
    assert_eq!((chain.head(), head.sequence), (head, 16));
}

/// Between changes, in their order, whoever writes at once; too many are none.
pub async fn notes_are_entries_among_others(store: &dyn Store) {
    let notes = |many: usize, actor: &str| -> Vec<AuditNote> {
        let notes = (0..many).map(|number| AuditNote {
            at: 1,
            actor: Actor::of("key", actor),
            action: Action::TOOL_CALL,
            target: format!("tool:api/{number}"),
            detail: RawValue::from_string(r#"{"outcome":"ok"}"#.to_owned()).expect("JSON"),
        });
        notes.collect()
    };
    save(store, &registration("a")).await;
    for many in [0, 1, 120] {
        store.note(&notes(many, "one")).await.expect("noted");
    }
    let (api, others) = (registration("b"), notes(60, "two"));
    let again = notes(60, "three");
    let saving = save(store, &api);
    let noting = async |notes| store.note(notes).await.expect("noted");
    futures::join!(saving, noting(&others), noting(&again));
    let error = store.note(&notes(AuditNote::MAX + 1, "one")).await;
    let error = error.expect_err("too many");
    assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);

    let log = whole_log(store).await;
    assert_eq!(log.len(), 2 + 121 + 120);
    let mut chain = Chain::new(TenantName::default());
    log.iter().for_each(|entry| chain.follow(entry));
    assert_eq!(chain.findings(), []);
    assert!(
        log.is_sorted_by_key(|entry| entry.at),
        "times do not go back"
    );
    for (actor, many) in [("two", 60), ("three", 60)] {
        let query = AuditQuery {
            actor: Some(Actor::of("key", actor)),
            action: Some(Action::TOOL_CALL),
            limit: 7,
            ..AuditQuery::default()
        };
        let found = self::log(store, query).await;
        let targets: Vec<_> = found.iter().map(|entry| entry.target.as_str()).collect();
        let wanted: Vec<_> = (0..many)
            .map(|number| format!("tool:api/{number}"))
            .collect();
        assert_eq!(targets, wanted, "{actor}");
        assert!(
            found
                .iter()
                .all(|entry| entry.detail.get() == r#"{"outcome":"ok"}"#)
        );
    }
}

/// As if the clock had been set back: what follows a note from an hour ahead has that time, and is found by it.
pub async fn times_of_the_log_do_not_go_back(store: &dyn Store) {
    save(store, &registration("before")).await;
    let last = whole_log(store).await[0].at;
    let ahead = last + 3_600_000;
    let note = |at: i64| AuditNote {
        at,
        actor: Actor::of("key", "one"),
        action: Action::TOOL_CALL,
        target: "tool:api/call".to_owned(),
        detail: RawValue::from_string("{}".to_owned()).expect("JSON"),
    };
    store.note(&[note(ahead)]).await.expect("it is noted");
    save(store, &registration("after")).await;
    store.note(&[note(last)]).await.expect("it is noted");
    save(store, &registration("late")).await;
    let times = whole_log(store).await.into_iter().map(|entry| entry.at);
    assert!(times.eq([last, ahead, ahead, ahead, ahead]));
    let between = async |since, until| {
        let query = AuditQuery {
            since,
            until,
            ..AuditQuery::default()
        };
        sequences(&log(store, query).await)
    };
    assert_eq!(between(Some(ahead), Some(ahead + 1)).await, [2, 3, 4, 5]);
    assert_eq!(between(None, Some(ahead)).await, [1]);
    assert_eq!(between(Some(ahead + 1), None).await, [0; 0]);
}

/// Actor, action, target and time, alone and together.
pub async fn conditions_of_the_log_have_all_to_be_met(store: &dyn Store) {
    for server in ["a", "b", "a"] {
        let mut wanted = registration(server);
        wanted.tools = tools(&format!("{server} {}", whole_log(store).await.len()));
        save(store, &wanted).await;
    }
    store.remove(&name("a")).await.expect("it is removed");
    let all = whole_log(store).await;
    let (first, last) = (all[0].at, all[3].at);
    let query = AuditQuery::default;
    for (query, found) in [
        (query(), &[1, 2, 3, 4][..]),
        (
            AuditQuery {
                target: Some("server:a".into()),
                ..query()
            },
            &[1, 3, 4],
        ),
        (
            AuditQuery {
                action: Some(Action::SERVER_REMOVE),
                ..query()
            },
            &[4],
        ),
        (
            AuditQuery {
                action: Some(Action::SERVER_SAVE),
                target: Some("server:a".into()),
                ..query()
            },
            &[1, 3],
        ),
        (
            AuditQuery {
                actor: Some(all[0].actor.clone()),
                ..query()
            },
            &[1, 2, 3, 4],
        ),
        (
            AuditQuery {
                actor: Some(Actor::of("cli", "nobody")),
                ..query()
            },
            &[],
        ),
        (
            AuditQuery {
                since: Some(first),
                until: Some(last + 1),
                ..query()
            },
            &[1, 2, 3, 4],
        ),
        (
            AuditQuery {
                until: Some(first),
                ..query()
            },
            &[],
        ),
        (
            AuditQuery {
                since: Some(last + 1),
                ..query()
            },
            &[],
        ),
    ] {
        let entries = log(store, query.clone()).await;
        assert_eq!(sequences(&entries), found, "{query:?}");
    }
}

/// In pages of any length.
pub async fn pages_of_the_log_join_in_both_orders(store: &dyn Store) {
    for number in 0..7 {
        save(store, &registration(&format!("api-{number}"))).await;
    }
    for limit in [1, 2, 3, 6, 7, 8, 1_000] {
        for (order, wanted) in [
            (Order::OldestFirst, [1, 2, 3, 4, 5, 6, 7]),
            (Order::NewestFirst, [7, 6, 5, 4, 3, 2, 1]),
        ] {
            let query = AuditQuery {
                order,
                limit,
                ..AuditQuery::default()
            };
            let entries = log(store, query).await;
            assert_eq!(sequences(&entries), wanted, "{order:?} by {limit}");
        }
    }
    for limit in [0, 1_001] {
        let query = AuditQuery {
            limit,
            ..AuditQuery::default()
        };
        let error = store.audit(&query).await;
        let error = error.expect_err("a page has 1 to 1,000 entries");
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }
}

/// As many as are asked for, from before a time, with an entry that says so; none is no change.
pub async fn the_oldest_entries_are_pruned_and_the_rest_is_a_chain(store: &dyn Store) {
    for number in 0..7 {
        save(store, &registration(&format!("api-{number}"))).await;
    }
    let whole = whole_log(store).await;
    let (never, always) = (whole[0].at, i64::MAX);
    let prune = async |before, limit| {
        let pruned = store.prune_audit(before, limit).await;
        pruned.expect("it is pruned")
    };
    assert_eq!(prune(never, 10).await, 0);
    assert_eq!(whole_log(store).await.len(), 7);
    assert_eq!(prune(always, 4).await, 4);
    let mut rest = whole_log(store).await;
    assert_eq!(sequences(&rest), [5, 6, 7, 8]);
    let told = rest.pop().expect("an entry");
    assert_eq!(told.action, Action::AUDIT_PRUNE);
    let detail: Pruned = serde_json::from_str(told.detail.get()).expect("what is gone");
    let wanted = Pruned {
        through: 4,
        hash: whole[3].hash,
        entries: 4,
        before: always,
    };
    assert_eq!(detail, wanted);
    for (left, entry) in rest.iter().zip(&whole[4..]) {
        assert_eq!((left.at, left.hash), (entry.at, entry.hash));
    }
    assert_eq!(chain(store).await.start().sequence, 4);

    save(store, &registration("later")).await;
    // All of it: the entry that says so is left.
    assert_eq!(prune(always, Pruned::MAX).await, 5);
    assert_eq!(sequences(&whole_log(store).await), [10]);
    let found = chain(store).await;
    assert_eq!((found.start().sequence, found.head().sequence), (9, 10));
    assert_eq!(found.head(), store.audit_head().await.expect("the head"));
    for limit in [0, Pruned::MAX + 1] {
        let error = store.prune_audit(always, limit).await;
        let error = error.expect_err("it is no limit");
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }
}

/// Also several at once: each entry is removed once.
pub async fn a_log_is_pruned_while_others_write(store: &dyn Store) {
    let servers: Vec<_> = (0..8).map(|n| registration(&format!("api-{n}"))).collect();
    let saving = join_all(servers.iter().map(|server| save(store, server)));
    let prune = async || store.prune_audit(i64::MAX, 2).await.expect("it is pruned");
    let (_, one, two, three) = futures::join!(saving, prune(), prune(), prune());
    let head = chain(store).await.head();
    assert_eq!(head, store.audit_head().await.expect("the head"));
    let left = whole_log(store).await.len() as u64;
    assert_eq!(left + one + two + three, head.sequence);
}

/// The log, followed, and found sound.
async fn chain(store: &dyn Store) -> Chain {
    let mut chain = Chain::new(TenantName::default());
    let log = whole_log(store).await;
    log.iter().for_each(|entry| chain.follow(entry));
    assert_eq!(chain.findings(), []);
    chain
}

/// Names of credentials, and no values.
pub async fn no_entry_holds_a_secret(store: &dyn Store) {
    let mut wanted = full("api");
    wanted.credentials.bearer = Some("s3cret-Zm9v".into());
    save(store, &wanted).await;
    store.remove(&wanted.name).await.expect("it is removed");
    let log = serde_json::to_string(&whole_log(store).await).expect("JSON");
    assert!(!log.contains("s3cret-Zm9v"), "{log}");
    assert!(log.contains("bearer"), "{log}");
}
