//! Virtual servers that the store keeps, and a gateway that runs meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const DESK: &str = r#"
instructions = "Books."
tools = ["shop/get*"]
[change."shop/getBook"]
name = "book"
preset = { isbn = "9780000000019" }
"#;

/// One request to an endpoint, in the era of `initialize`.
fn ask(gateway: &Gateway, path: &str, method: &str, params: Value) -> (u16, Value) {
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    gateway.post(path, &headers, &message)
}

/// The names of the tools at an endpoint; `None` where there is none.
fn listed(gateway: &Gateway, path: &str) -> Option<Vec<String>> {
    let (_, answer) = ask(gateway, path, "tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array()?;
    let names = tools.iter().filter_map(|tool| tool["name"].as_str());
    Some(names.map(str::to_owned).collect())
}

/// Waits for what is listed at an endpoint.
fn until(gateway: &Gateway, path: &str, right: impl Fn(Option<&[String]>) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let names = listed(gateway, path);
        if right(names.as_deref()) {
            return;
        }
        assert!(Instant::now() < deadline, "{path}: {names:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_running_gateway_takes_over_what_the_store_keeps() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let up = ["up", &spec, "--base-url", &url, "--name", "shop"];
    let gateway = Gateway::start(&sandbox, &up);
    assert_eq!(listed(&gateway, "/mcp/desk"), None);

    let file = sandbox.write("desk.toml", DESK);
    let add = ["virtual", "add", "desk", "--from", &file];
    let added = sandbox.run(&add);
    assert_eq!(added.code, Some(0), "{added:?}");
    let has = |name: &'static str| {
        move |names: Option<&[String]>| names.is_some_and(|all| all.iter().any(|it| it == name))
    };
    until(&gateway, "/mcp/desk", has("book"));
    let call = json!({"name": "book", "arguments": {}});
    let (_, called) = ask(&gateway, "/mcp/desk", "tools/call", call);
    assert_ne!(called["result"]["isError"], true, "{called}");
    let text = called["result"].to_string();
    assert!(text.contains("9780000000019"), "{text}");

    let again = sandbox.run(&add);
    assert!(again.stdout.contains("is as it was"), "{again:?}");
    let shown = sandbox.run(&["virtual", "show", "desk", "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).expect("JSON");
    let file = sandbox.write(
        "desk.json",
        &shown["definition"]
            .to_string()
            .replace("\"book\"", "\"tome\""),
    );
    let stale = ["virtual", "add", "desk", "--from", &file, "--revision", "0"];
    let refused = sandbox.run(&stale);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    let revision = shown["revision"].to_string();
    let right = [
        "virtual",
        "add",
        "desk",
        "--from",
        &file,
        "--revision",
        &revision,
    ];
    let changed = sandbox.run(&right);
    assert_eq!(changed.code, Some(0), "{changed:?}");
    until(&gateway, "/mcp/desk", has("tome"));

    let list = sandbox.run(&["virtual", "list"]);
    assert!(list.stdout.starts_with("desk\trevision "), "{list:?}");
    let log = sandbox.run(&["audit", "list"]);
    assert!(log.stdout.contains("virtual_server.save"), "{log:?}");
    let removed = sandbox.run(&["virtual", "remove", "desk"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    until(&gateway, "/mcp/desk", |names| names.is_none());
    let gone = sandbox.run(&["virtual", "show", "desk"]);
    assert_eq!(gone.code, Some(4), "{gone:?}");
}

#[test]
fn one_name_is_that_of_one_server() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let up = ["up", &spec, "--base-url", &url, "--name", "shop"];
    let gateway = Gateway::start(&sandbox, &up);
    let file = sandbox.write("desk.toml", DESK);
    let add = |name: &str| sandbox.run(&["virtual", "add", name, "--from", &file]);
    let taken = add("shop");
    assert_eq!(taken.code, Some(5), "{taken:?}");
    assert_eq!(add("desk").code, Some(0));
    let desk = ["up", &spec, "--base-url", &url, "--name", "desk"];
    let taken = sandbox.run(&[&desk[..], &["--listen", gateway.address()]].concat());
    assert_eq!(taken.code, Some(5), "{taken:?}");
    assert!(
        taken.stderr.contains("a virtual server has that name"),
        "{taken:?}"
    );

    sandbox.write(
        "mcphub.toml",
        "[virtual.counter]\ntools = [\"shop/*\"]\n\
         [servers.desk]\nurl = \"http://127.0.0.1:9/mcp\"\n",
    );
    let configured = add("counter");
    assert_eq!(configured.code, Some(5), "{configured:?}");
    assert!(
        configured.stderr.contains("[virtual.counter]"),
        "{configured:?}"
    );
    gateway.stop();
    // The name is given twice, and the others are served.
    let gateway = Gateway::start(&sandbox, &["serve"]);
    until(&gateway, "/mcp/desk", |names| {
        names.is_some_and(|all| all.iter().any(|it| it == "book"))
    });
    assert!(listed(&gateway, "/mcp/counter").is_some_and(|all| all.len() > 2));
}
