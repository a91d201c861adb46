//! One list out of many.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::call::Arguments;
use mcphub_core::server::ServerName;
use mcphub_core::spec::Dialect;
use mcphub_core::tool::ApiInfo;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Member, Scope, Snapshot};
use crate::federation::{Kind, Listing, Part};
use crate::upstream::{CallResult, Upstream, UpstreamTool};

#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Upstream for Nowhere {
    async fn tools(&self) -> mcphub_core::Result<Vec<UpstreamTool>> {
        Ok(Vec::new())
    }

    async fn call(&self, tool: &str, _: &Arguments<'_>) -> mcphub_core::Result<CallResult> {
        Err(mcphub_core::Error::not_found(tool))
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }
}

/// A snapshot of servers with these tools, and the names that it lists for all of them.
fn snapshot(servers: &[(&str, &[&str])], page_size: usize) -> Snapshot {
    let api = ApiInfo {
        title: "T".into(),
        version: "1".into(),
        dialect: Dialect::default(),
        description: None,
    };
    let upstream: Arc<dyn Upstream> = Arc::new(Nowhere);
    let servers: Vec<(ServerName, Arc<Listing>)> = servers
        .iter()
        .map(|(name, tools)| {
            let tool = |tool: &&str| UpstreamTool {
                name: (*tool).to_owned(),
                definition: serde_json::value::to_raw_value(
                    &serde_json::json!({"name": tool, "inputSchema": {}}),
                )
                .unwrap(),
            };
            (
                ServerName::new(name).unwrap(),
                Arc::new(Listing::new(tools.iter().map(tool).collect())),
            )
        })
        .collect();
    let members: Vec<Member<'_>> = servers
        .iter()
        .map(|(server, listing)| Member {
            server,
            api: &api,
            plan: None,
            listing,
            upstream: &upstream,
        })
        .collect();
    Snapshot::new(&members, page_size)
}

fn names(snapshot: &Snapshot, scope: &Scope) -> Vec<String> {
    let page: Value = serde_json::from_slice(
        &snapshot
            .view(scope)
            .unwrap()
            .page(Kind::Tools, None)
            .unwrap()
            .result,
    )
    .unwrap();
    page["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_order_is_that_of_names_and_then_of_each_server() {
    let one = snapshot(&[("b", &["z", "a"]), ("a", &["m"])], 10);
    let other = snapshot(&[("a", &["m"]), ("b", &["z", "a"])], 10);
    assert_eq!(names(&one, &Scope::All), ["a_m", "b_z", "b_a"]);
    let digest = |snapshot: &Snapshot| snapshot.view(&Scope::All).unwrap().digest().to_owned();
    assert_eq!(digest(&one), digest(&other));
    assert_ne!(
        digest(&one),
        digest(&snapshot(&[("a", &["m"]), ("b", &["a", "z"])], 10))
    );
}

#[test]
fn a_list_that_is_only_written_differently_is_the_same() {
    let listing = |definition: &str| {
        Listing::new(vec![UpstreamTool {
            name: "t".into(),
            definition: RawValue::from_string(definition.into()).unwrap(),
        }])
    };
    let one = listing(r#"{"name":"t","inputSchema":{"type":"object","properties":{}}}"#);
    let spaced = listing(r#"{ "inputSchema": {"properties": {}, "type": "object"}, "name": "t" }"#);
    let other = listing(r#"{"name":"t","inputSchema":{"type":"object","properties":{"a":{}}}}"#);
    assert!(one.same_as(&spaced));
    assert!(!one.same_as(&other));
}

#[test]
fn the_first_underscore_ends_the_prefix() {
    let snapshot = snapshot(&[("a", &["b_c"]), ("a-b", &["c"])], 10);
    let all = snapshot.view(&Scope::All).unwrap();
    assert_eq!(names(&snapshot, &Scope::All), ["a_b_c", "a-b_c"]);
    let route = all.route("a_b_c").unwrap();
    assert_eq!((route.server.as_str(), &*route.own), ("a", "b_c"));
}

#[test]
fn names_that_would_collide_after_repair_do_not() {
    let tools = ["get pet", "get/pet", "get_pet", "Ünïcode"];
    let snapshot = snapshot(&[("a", &tools)], 10);
    for scope in [Scope::All, Scope::Server(ServerName::new("a").unwrap())] {
        let view = snapshot.view(&scope).unwrap();
        let names = names(&snapshot, &scope);
        assert_eq!(
            names.iter().collect::<std::collections::HashSet<_>>().len(),
            tools.len(),
            "{names:?}"
        );
        for (name, tool) in names.iter().zip(tools) {
            assert!(
                mcphub_core::tool::ToolName::new(name).is_ok() && name.len() <= 64,
                "{name}"
            );
            assert_eq!(&*view.route(name).unwrap().own, tool);
        }
    }
}

#[test]
fn pages_are_exact_at_their_edges() {
    for (tools, pages) in [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2)] {
        let names: Vec<String> = (0..tools).map(|n| format!("t{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let snapshot = snapshot(&[("a", &names)], 2);
        let view = snapshot.view(&Scope::All).unwrap();
        let (mut cursor, mut seen, mut count) = (None::<String>, 0, 0);
        loop {
            let page: Value =
                serde_json::from_slice(&view.page(Kind::Tools, cursor.as_deref()).unwrap().result)
                    .unwrap();
            seen += page["tools"].as_array().unwrap().len();
            count += 1;
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((seen, count), (tools, pages));
    }
}

#[test]
fn there_is_no_view_of_a_server_that_is_not_there() {
    assert!(
        snapshot(&[], 1)
            .view(&Scope::Server(ServerName::new("a").unwrap()))
            .is_none()
    );
}

/// All pages, each with the names in it, by following their cursors.
fn pages(snapshot: &Snapshot) -> Vec<Vec<String>> {
    let view = snapshot.view(&Scope::All).unwrap();
    let (mut pages, mut cursor) = (Vec::new(), None);
    loop {
        let page = view.page(Kind::Tools, cursor.as_deref()).unwrap();
        let page: Value = serde_json::from_slice(&page.result).unwrap();
        let tools = page["tools"].as_array().unwrap().iter();
        pages.push(
            tools
                .map(|it| it["name"].as_str().unwrap().to_owned())
                .collect(),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return pages,
        }
    }
}

#[test]
fn pages_end_anywhere_in_what_servers_have() {
    let servers: [(&str, &[&str]); 4] = [
        ("a", &["1", "2", "3"]),
        ("b", &[]),
        ("c", &["1"]),
        ("d", &["1", "2", "3", "4", "5"]),
    ];
    let all: Vec<String> = servers
        .iter()
        .flat_map(|(server, tools)| tools.iter().map(move |tool| format!("{server}_{tool}")))
        .collect();
    for size in 1..=10 {
        let pages = pages(&snapshot(&servers, size));
        let expected: Vec<Vec<String>> = all.chunks(size).map(<[String]>::to_vec).collect();
        assert_eq!(pages, expected, "pages of {size}");
    }
}

#[test]
fn servers_that_did_not_change_are_shared() {
    let api = ApiInfo {
        title: "T".into(),
        version: "1".into(),
        dialect: Dialect::default(),
        description: None,
    };
    let upstream: Arc<dyn Upstream> = Arc::new(Nowhere);
    let (a, b) = (ServerName::new("a").unwrap(), ServerName::new("b").unwrap());
    let listing = Arc::new(Listing::default());
    let member = |server| Member {
        server,
        api: &api,
        plan: None,
        listing: &listing,
        upstream: &upstream,
    };
    let members = [member(&a), member(&b)];
    let mut parts = members.map(|member| Arc::new(Part::new(&member, 10)));
    let view = |snapshot: &Snapshot, server: &ServerName| {
        Arc::clone(snapshot.view(&Scope::Server(server.clone())).unwrap())
    };
    let before = Snapshot::of(&parts, &members, &[], 10);
    parts[1] = Arc::new(Part::new(&members[1], 10));
    let after = Snapshot::of(&parts, &members, &[], 10);
    assert!(Arc::ptr_eq(&view(&before, &a), &view(&after, &a)));
    assert!(!Arc::ptr_eq(&view(&before, &b), &view(&after, &b)));
}
