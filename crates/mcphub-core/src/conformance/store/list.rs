//! Listing and finding.

use super::{all, name, of_tools, registration, save, tools};
use crate::ErrorKind;
use crate::server::Serve;
use crate::server::ServerName;
use crate::store::{Page, ServerFilter, ServerRevision, ServerStatus, Store};
use crate::tool::ToolKind;

/// In the order of their bytes, in which `-` comes before digits and letters.
const SORTED: [&str; 7] = ["a", "a-b", "a0", "aa", "b", "b-1", "z9"];

async fn fill(store: &dyn Store) {
    for index in [3, 0, 6, 1, 5, 2, 4] {
        save(store, &registration(SORTED[index])).await;
    }
}

async fn page(
    store: &dyn Store,
    after: Option<ServerName>,
    limit: u32,
) -> (Vec<String>, Option<ServerName>) {
    let page = Page {
        after,
        limit,
        ..Page::default()
    };
    let listing = store.list(&page).await.expect("a page");
    let names = listing
        .servers
        .iter()
        .map(|summary| summary.name.to_string());
    (names.collect(), listing.next)
}

/// Whatever the order in which they were saved.
pub async fn a_list_is_sorted_and_shows_the_tools_apart(store: &dyn Store) {
    fill(store).await;
    let listed = all(store).await;
    let names: Vec<_> = listed.iter().map(|summary| summary.name.as_str()).collect();
    assert_eq!(names, SORTED);
    assert!(
        listed
            .iter()
            .all(|summary| summary.tools == 1 && summary.title == summary.name.as_str())
    );
    let (_, next) = page(store, None, 100).await;
    assert_eq!(next, None, "there is no other page");
}

/// Those that are listed, whatever was removed, came back or was saved again.
pub async fn revisions_are_those_of_all_servers(store: &dyn Store) {
    assert_eq!(store.revisions().await.expect("revisions"), []);
    fill(store).await;
    store.remove(&name("a0")).await.expect("it is removed");
    store.remove(&name("b")).await.expect("it is removed");
    store.restore(&name("b")).await.expect("it is restored");
    let mut another = registration("aa");
    another.tools = tools("Another");
    save(store, &another).await;
    let listed = all(store).await;
    let listed = listed.into_iter().map(|summary| ServerRevision {
        name: summary.name,
        revision: summary.revision,
        serve: summary.serve,
        plan_version: summary.plan_version,
    });
    let listed: Vec<_> = listed.collect();
    assert_eq!(listed.len(), SORTED.len() - 1);
    assert_eq!(store.revisions().await.expect("revisions"), listed);
}

/// For every length of a page.
pub async fn pages_join_without_gap_or_repetition(store: &dyn Store) {
    fill(store).await;
    for limit in [1, 2, 3, 6, 7, 8, 1_000] {
        let (mut names, mut next) = page(store, None, limit).await;
        while let Some(after) = next {
            let more;
            (more, next) = page(store, Some(after), limit).await;
            assert!(!more.is_empty() && more.len() <= limit as usize);
            names.extend(more);
        }
        assert_eq!(names, SORTED, "pages of {limit}");
    }
}

/// A page begins after a name that may be gone by then.
pub async fn pages_join_while_servers_come_and_go(store: &dyn Store) {
    fill(store).await;
    let (_, next) = page(store, None, 2).await;
    let after = next.expect("there is another page");
    store.remove(&after).await.expect("it is removed");
    save(store, &registration("a-a")).await;
    save(store, &registration("a-c")).await;
    let (names, _) = page(store, Some(after), 2).await;
    assert_eq!(names, ["a-c", "a0"]);
}

/// 0 and more than 1,000.
pub async fn a_page_of_no_length_is_refused(store: &dyn Store) {
    for limit in [0, 1_001, u32::MAX] {
        let page = Page {
            limit,
            ..Page::default()
        };
        let error = store
            .list(&page)
            .await
            .expect_err("a page has 1 to 1,000 servers");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{limit}");
    }
}

/// Not by an earlier one, not after it is gone; of several, the first by name.
pub async fn a_server_is_found_by_its_current_source(store: &dyn Store) {
    let find = async |source: &str| {
        let found = store.find_by_source(source).await;
        found.expect("the source is looked up")
    };
    let mut moved = registration("m");
    let old = moved.document.source.clone();
    assert_eq!(find(&old).await, None);
    save(store, &moved).await;
    assert_eq!(find(&old).await, Some(name("m")));
    moved.document.source = "https://example.com/a%20b.json?v=1".into();
    moved.tools = tools("Moved");
    save(store, &moved).await;
    assert_eq!(find(&old).await, None);
    assert_eq!(find(&moved.document.source).await, Some(name("m")));
    for other in ["n", "b"] {
        let mut other = registration(other);
        other.document.source.clone_from(&moved.document.source);
        save(store, &other).await;
    }
    assert_eq!(find(&moved.document.source).await, Some(name("b")));
    for server in ["b", "m", "n"] {
        store.remove(&name(server)).await.expect("it is removed");
    }
    assert_eq!(find(&moved.document.source).await, None);
}

async fn filtered(store: &dyn Store, filter: ServerFilter, limit: u32) -> Vec<String> {
    let mut page = Page {
        limit,
        filter,
        ..Page::default()
    };
    let mut names = Vec::new();
    loop {
        let listing = store.list(&page).await.expect("a page");
        let found = listing.servers.iter().map(|server| server.name.to_string());
        names.extend(found);
        match listing.next {
            None => return names,
            next => page.after = next,
        }
    }
}

/// By how they are served, by words of name and title, by what tools they have, by whether they were
/// removed, and by several at once; in pages of any length.
pub async fn a_filter_leaves_what_it_names(store: &dyn Store) {
    for (server, title, serve) in [
        ("alpha", "Orders 100%", Serve::Native),
        ("beta", "ordersArchive", Serve::Process),
        ("gamma", "Users", Serve::Native),
        ("orders-api", "Something else", Serve::Native),
        ("zeta", "Gone", Serve::Process),
    ] {
        let mut wanted = registration(server);
        wanted.tools = tools(title);
        wanted.serve = serve;
        save(store, &wanted).await;
    }
    let mut destructive = registration("gamma");
    destructive.tools = of_tools(
        "Users",
        &[("drop_user", "Drops one.", ToolKind::Destructive)],
    );
    save(store, &destructive).await;
    store.remove(&name("zeta")).await.expect("it is removed");
    let text = |text: &str| ServerFilter {
        text: Some(text.to_owned()),
        ..ServerFilter::default()
    };
    let served = |serve: Serve| ServerFilter {
        serve: Some(serve),
        ..ServerFilter::default()
    };
    let removed = ServerFilter {
        status: ServerStatus::Removed,
        ..ServerFilter::default()
    };
    let has = |tool: &str| ServerFilter {
        tool: Some(tool.parse().expect("a tool's name")),
        ..ServerFilter::default()
    };
    let can = |kind: ToolKind| ServerFilter {
        kind: Some(kind),
        ..ServerFilter::default()
    };
    for (filter, names) in [
        (
            ServerFilter::default(),
            &["alpha", "beta", "gamma", "orders-api"][..],
        ),
        (served(Serve::Native), &["alpha", "gamma", "orders-api"]),
        (served(Serve::Process), &["beta"]),
        (text("ORDERS"), &["alpha", "beta", "orders-api"]),
        (text("100% ord"), &["alpha"]),
        (text("archive"), &["beta"]),
        (text("rders"), &[]),
        (text("nothing of that"), &[]),
        (has("get_pet"), &["alpha", "beta", "orders-api"]),
        (has("drop_user"), &["gamma"]),
        (has("drop"), &[]),
        (can(ToolKind::ReadOnly), &["alpha", "beta", "orders-api"]),
        (can(ToolKind::Destructive), &["gamma"]),
        (can(ToolKind::Additive), &[]),
        (
            ServerFilter {
                status: ServerStatus::Outdated,
                ..ServerFilter::default()
            },
            &[],
        ),
        (
            ServerFilter {
                serve: Some(Serve::Process),
                kind: Some(ToolKind::ReadOnly),
                tool: has("get_pet").tool,
                ..text("orders")
            },
            &["beta"],
        ),
        (
            ServerFilter {
                status: ServerStatus::Removed,
                ..has("get_pet")
            },
            &["zeta"],
        ),
        (
            ServerFilter {
                serve: Some(Serve::Native),
                ..text("orders")
            },
            &["alpha", "orders-api"],
        ),
        (removed.clone(), &["zeta"]),
        (
            ServerFilter {
                serve: Some(Serve::Native),
                ..removed
            },
            &[],
        ),
    ] {
        for limit in [1, 2, 1_000] {
            let found = filtered(store, filter.clone(), limit).await;
            assert_eq!(found, names, "{filter:?} in pages of {limit}");
        }
    }
}
