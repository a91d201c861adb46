//! Finding tools by words.

use super::{name, of_tools, registration, save};
use crate::ErrorKind;
use crate::store::{FoundTool, Store, ToolPlace, ToolSearch};
use crate::tool::ToolKind::{Additive, Destructive, ReadOnly};

/// What a search finds, in pages of a length, as `SERVER/TOOL`.
async fn found(store: &dyn Store, search: &ToolSearch, limit: u32) -> Vec<String> {
    let mut search = ToolSearch {
        limit,
        ..search.clone()
    };
    let mut names = Vec::new();
    loop {
        let page = store.search(&search).await.expect("a page");
        assert!(page.tools.len() <= limit as usize);
        names.extend(page.tools.iter().map(path));
        match page.next {
            None => return names,
            next => search.after = next,
        }
    }
}

fn path(tool: &FoundTool) -> String {
    format!("{}/{}", tool.server, tool.name)
}

async fn fill(store: &dyn Store) {
    let mut shop = registration("shop");
    shop.tools = of_tools(
        "Shop",
        &[
            ("listOrders", "All of them, newest first.", ReadOnly),
            (
                "refund",
                "Takes back an order; see also: invoices.",
                Destructive,
            ),
            ("place_order", "Größe & Farbe der 東京 Ware.", Additive),
        ],
    );
    save(store, &shop).await;
    let mut bank = registration("bank");
    bank.tools = of_tools(
        "Bank",
        &[
            ("order.cancel", "Cancels one\0of them.", Destructive),
            ("balance", "What is left.", ReadOnly),
        ],
    );
    save(store, &bank).await;
}

/// Each word begins a word of the tool, whatever its case; those by name come first, then in the
/// order in which they came; in pages of any length.
pub async fn a_tool_is_found_by_the_words_of_its_text(store: &dyn Store) {
    fill(store).await;
    let of = |text: &str, kind| {
        let mut search = ToolSearch::new(text);
        search.kind = kind;
        search
    };
    for (text, kind, names) in [
        (
            "order",
            None,
            &[
                "shop/listOrders",
                "shop/place_order",
                "bank/order.cancel",
                "shop/refund",
            ][..],
        ),
        (
            "order",
            Some(Destructive),
            &["bank/order.cancel", "shop/refund"],
        ),
        ("order", Some(ReadOnly), &["shop/listOrders"]),
        ("ORDERS", None, &["shop/listOrders"]),
        ("listorders", None, &["shop/listOrders"]),
        ("cancelOrder", None, &["bank/order.cancel"]),
        ("back ord inv", None, &["shop/refund"]),
        ("order newest", None, &["shop/listOrders"]),
        ("größe 東", None, &["shop/place_order"]),
        ("one of", None, &["bank/order.cancel"]),
        ("rder", None, &[]),
        ("order unheard", None, &[]),
        ("shop", None, &[]),
    ] {
        for limit in [1, 2, 1_000] {
            let tools = found(store, &of(text, kind), limit).await;
            assert_eq!(tools, names, "{text} {kind:?} in pages of {limit}");
        }
    }
    let page = store.search(&of("refund", None)).await.expect("a page");
    let wanted = FoundTool {
        server: name("shop"),
        name: "refund".parse().expect("a tool's name"),
        title: None,
        description: "Takes back an order; see also: invoices.".to_owned(),
        kind: Destructive,
    };
    assert_eq!((page.tools, page.next), (vec![wanted], None));
}

/// With every save; not those of a server that was removed, until it comes back.
pub async fn tools_are_found_where_their_servers_are(store: &dyn Store) {
    fill(store).await;
    let search = ToolSearch::new("order");
    let mut bank = registration("bank");
    bank.tools = of_tools(
        "Bank",
        &[
            ("balance", "Of an order.", ReadOnly),
            ("pay", "Pays.", Additive),
        ],
    );
    save(store, &bank).await;
    let changed = [
        "shop/listOrders",
        "shop/place_order",
        "shop/refund",
        "bank/balance",
    ];
    assert_eq!(found(store, &search, 2).await, changed);
    store.remove(&name("shop")).await.expect("it is removed");
    assert_eq!(found(store, &search, 2).await, ["bank/balance"]);
    store.restore(&name("shop")).await.expect("it is restored");
    assert_eq!(found(store, &search, 2).await, changed);
    store.remove(&name("shop")).await.expect("it is removed");
    store.purge(&name("shop")).await.expect("it is purged");
    assert_eq!(found(store, &search, 2).await, ["bank/balance"]);
    assert_eq!(found(store, &ToolSearch::new("pay"), 2).await, ["bank/pay"]);
}

/// A place stays good when the server that it is of is saved again, or is gone.
pub async fn pages_of_found_tools_join_while_servers_come_and_go(store: &dyn Store) {
    fill(store).await;
    let mut search = ToolSearch::new("order");
    search.limit = 2;
    let first = store.search(&search).await.expect("a page");
    let names: Vec<_> = first.tools.iter().map(path).collect();
    assert_eq!(names, ["shop/listOrders", "shop/place_order"]);
    search.after = first.next;

    let mut shop = registration("shop");
    shop.tools = of_tools(
        "Shop",
        &[
            ("new_order", "A new tool.", Additive),
            ("place_order", "Said in other words.", Additive),
            ("listOrders", "Also.", ReadOnly),
            ("refund", "An order.", Destructive),
        ],
    );
    save(store, &shop).await;
    let rest = ["bank/order.cancel", "shop/new_order", "shop/refund"];
    assert_eq!(found(store, &search, 1).await, rest);
    store.remove(&name("shop")).await.expect("it is removed");
    assert_eq!(found(store, &search, 1).await, ["bank/order.cancel"]);
    search.after = Some(ToolPlace {
        class: u8::MAX,
        tool: u64::MAX,
    });
    assert_eq!(found(store, &search, 1).await, [""; 0]);
}

/// However many tools have one of the words and however far apart those are that have all of them;
/// also after some of the tools have lost a word, and others have gained it.
pub async fn words_of_many_tools_are_found(store: &dyn Store) {
    const TOOLS: usize = 2_400;
    let names: Vec<_> = (0..TOOLS)
        .map(|number| format!("item{number:04}"))
        .collect();
    let mut depot = registration("depot");
    for lost in [0, 97] {
        let has = |every: usize, number: usize| (number + lost).is_multiple_of(every);
        let told: Vec<_> = (0..TOOLS)
            .map(|number| {
                let words = [("Seldom", 97), ("even", 2), ("often", 3)];
                let words = words.iter().filter(|(_, every)| has(*every, number));
                let words: Vec<_> = words.map(|(word, _)| *word).collect();
                format!("Common {}.", words.join(" "))
            })
            .collect();
        let tools: Vec<_> = (0..TOOLS)
            .map(|number| {
                let kind = if has(251, number) {
                    Destructive
                } else {
                    ReadOnly
                };
                (names[number].as_str(), told[number].as_str(), kind)
            })
            .collect();
        depot.tools = of_tools("Depot", &tools);
        save(store, &depot).await;
        for (text, kind, every) in [
            ("item", None, vec![]),
            ("commo", None, vec![]),
            ("seldom", None, vec![97]),
            ("common seldom", None, vec![97]),
            ("sel ite ofte", None, vec![97, 3]),
            ("even often EVEN", None, vec![2, 3]),
            ("item", Some(Destructive), vec![251]),
            ("even common", Some(Destructive), vec![251, 2]),
        ] {
            let mut search = ToolSearch::new(text);
            search.kind = kind;
            let tools = found(store, &search, 700).await;
            let expected =
                (0..TOOLS).filter(|number| every.iter().all(|every| has(*every, *number)));
            let expected: Vec<_> = expected
                .map(|number| format!("depot/{}", names[number]))
                .collect();
            assert_eq!(tools, expected, "{text} {kind:?}, {lost} later");
        }
    }
}

/// However many words begin so, and wherever they stand: short and long beginnings alike.
pub async fn a_beginning_of_many_words_is_found(store: &dyn Store) {
    let names: Vec<_> = (100..300).map(|number| format!("report{number}")).collect();
    let tools: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "Berichtet.", ReadOnly))
        .collect();
    let mut office = registration("office");
    office.tools = of_tools("Office", &tools);
    save(store, &office).await;
    let told: Vec<_> = (100..300)
        .map(|number| format!("Reported{number}."))
        .collect();
    let tools: Vec<_> = names
        .iter()
        .zip(&told)
        .map(|(name, told)| (&name[6..], told.as_str(), ReadOnly))
        .collect();
    let mut archive = registration("archive");
    archive.tools = of_tools("Archive", &tools);
    save(store, &archive).await;
    let by_name = names.iter().map(|name| format!("office/{name}"));
    let by_text = names.iter().map(|name| format!("archive/{}", &name[6..]));
    let all: Vec<_> = by_name.chain(by_text).collect();
    for text in ["r", "rep", "repo", "report"] {
        for limit in [70, 200, 1_000] {
            let tools = found(store, &ToolSearch::new(text), limit).await;
            assert_eq!(tools, all, "{text} in pages of {limit}");
        }
    }
    let some = found(store, &ToolSearch::new("report25 beri"), 3).await;
    assert_eq!(some, all[150..160]);
    let none = found(store, &ToolSearch::new("reporter"), 3).await;
    assert_eq!(none, [""; 0]);
}

/// What comes after is nobody's to find it by.
pub async fn words_are_told_apart_by_their_first_64_characters(store: &dyn Store) {
    let (long, other) = ("ä".repeat(64), "ä".repeat(63));
    let mut api = registration("long");
    let description = format!("{long}end and {other}b");
    api.tools = of_tools("Long", &[("tool", &description, ReadOnly)]);
    save(store, &api).await;
    let text = |end: &str| ToolSearch::new(format!("{long}{end}"));
    for (search, wanted) in [
        (text(""), 1),
        (text("end"), 1),
        (text("another"), 1),
        (ToolSearch::new(format!("{other}b")), 1),
        (ToolSearch::new(format!("{other}c")), 0),
    ] {
        let names = found(store, &search, 10).await;
        assert_eq!(names.len(), wanted, "{search:?}");
    }
}

/// A text has 1 to 16 words, and a page 1 to 1,000 tools.
pub async fn a_search_without_words_or_length_is_refused(store: &dyn Store) {
    let mut searches = vec![
        ToolSearch::new(""),
        ToolSearch::new(" \"%*_':()!\0"),
        ToolSearch::new("a ".repeat(17)),
    ];
    for limit in [0, 1_001, u32::MAX] {
        let mut search = ToolSearch::new("a");
        search.limit = limit;
        searches.push(search);
    }
    for search in searches {
        let error = store.search(&search).await.expect_err("it is no search");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{search:?}");
    }
    let most = ToolSearch::new("a ".repeat(16));
    assert_eq!(found(store, &most, 1).await, [""; 0]);
}
