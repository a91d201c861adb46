//! What a running gateway lets through, and to whom it shows what.

use serde_json::json;

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

#[test]
fn status_says_which_server_is_not_called_and_for_how_long() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    sandbox.write(
        "mcphub.toml",
        "[guard]\nfailures = 2\npause = 600\nmax_pause = 600\n",
    );
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let up = ["up", &spec, "--base-url", &url, "--name", "shop"];
    let gateway = Gateway::start(&sandbox, &up);
    let status = ["status", "--listen", gateway.address()];
    let well = sandbox.run(&status);
    assert!(well.stdout.starts_with("shop\tready\t"), "{well:?}");
    assert!(well.stdout.ends_with("tools\tcalled\n"), "{well:?}");
    assert!(well.stderr.contains("ok: http://"), "{well:?}");

    drop(shop);
    for _ in 0..2 {
        let result = gateway.call("shop_listBooks", &json!({}));
        assert_eq!(result["isError"], true, "{result}");
    }
    let refused = gateway.call("shop_listBooks", &json!({}));
    assert_eq!(
        refused["_meta"]["mcphub/retryAfterSeconds"], 600,
        "{refused}"
    );
    let open = sandbox.run(&status);
    assert!(
        open.stdout.contains("tools\tnot called, tried again in "),
        "{open:?}"
    );
    assert!(open.stderr.contains("degraded: http://"), "{open:?}");
    let json = sandbox.run(&[&status[..], &["--format", "json"]].concat());
    assert!(json.stdout.contains(r#""circuit": "open""#), "{json:?}");

    let address = gateway.address().to_owned();
    gateway.stop();
    let gone = sandbox.run(&["status", "--listen", &address]);
    assert_eq!(gone.code, Some(6), "{gone:?}");
}

const BEFORE: &str = "
openapi: 3.1.0
info: {title: Books, version: '1'}
servers: [{url: 'http://127.0.0.1:9'}]
paths:
  /books:
    get:
      operationId: books
      description: Lists books.
      parameters: [{name: tag, in: query, schema: {type: string}}]
      responses: {}
    delete: {operationId: burn, responses: {}}
";

/// One operation is gone, one new, and one wants more.
fn after() -> String {
    BEFORE
        .replace(
            "{name: tag, in: query,",
            "{name: tag, in: query, required: true,",
        )
        .replace("delete: {operationId: burn", "post: {operationId: add")
}

#[test]
fn a_gateway_takes_the_names_that_it_was_given() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "mcphub.toml",
        "allowed_hosts = [\"configured.test\"]\npublic_url = \"https://public.test/hub\"\n",
    );
    let spec = sandbox.write("books.yaml", BEFORE);
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for begins in [&["up", &spec][..], &["serve"]] {
        let named = ["--allow-host", "one.test", "--allow-host", "two.test:81"];
        let gateway = Gateway::start(&sandbox, &[begins, &named].concat());
        for (host, status) in [
            (gateway.address(), 200),
            ("localhost", 200),
            ("configured.test", 200),
            ("public.test", 200),
            ("one.test", 200),
            ("two.test:81", 200),
            ("two.test", 403),
            ("evil.test", 403),
        ] {
            let answered = gateway.post("/mcp", &[("host", host)], &ping);
            assert_eq!(answered.0, status, "{begins:?} {host}: {}", answered.1);
        }
        gateway.stop();
    }
    let wrong = sandbox.run(&["serve", "--allow-host", "https://hub.test"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn changes_of_an_api_are_told_by_what_they_ask_of_callers() {
    let sandbox = Sandbox::new();
    let spec = sandbox.write("books.yaml", BEFORE);
    let gateway = Gateway::start(&sandbox, &["up", &spec]);
    let nothing = sandbox.run(&["changes", "books"]);
    assert_eq!(nothing.code, Some(4), "{nothing:?}");
    sandbox.write("books.yaml", &after());
    let again = sandbox.run(&["up", &spec, "--listen", gateway.address()]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let told = sandbox.run(&["changes", "books"]);
    assert_eq!(
        told.stdout,
        "added\tadd\nbreaking\tbooks\n\targument tag: is required now\nremoved\tburn\n",
        "{told:?}"
    );
    let approve = sandbox.run(&["changes", "books", "--approve"]);
    assert_eq!(approve.code, Some(2), "{approve:?}");
}

#[test]
fn changes_of_a_server_wait_for_approval_where_that_is_asked() {
    let (theirs, ours) = (Sandbox::new(), Sandbox::new());
    let spec = theirs.write("books.yaml", BEFORE);
    let upstream = Gateway::start(&theirs, &["up", &spec]);
    let url = upstream.server_url("books");
    for policy in ["follow", "pin", "quarantine"] {
        let added = ours.run(&["add", policy, &url, "--changes", policy]);
        assert_eq!(added.code, Some(0), "{added:?}");
    }
    let gateway = Gateway::start(&ours, &["serve"]);
    theirs.write("books.yaml", &after());
    let again = theirs.run(&["up", &spec, "--listen", upstream.address()]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let lists = |what: &str, expected: &[&str]| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let mut names = gateway.tools();
            names.sort_unstable();
            if names == expected {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{what}: {names:?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    };
    lists(
        "each policy keeps to itself",
        &["follow_add", "follow_books", "pin_books", "pin_burn"],
    );
    let status = ours.run(&["status", "--listen", gateway.address()]);
    for line in [
        "pin\tready\t2 tools\tcalled\t2 wait for approval: mcphub changes pin",
        "follow\tready\t2 tools\tcalled\n",
    ] {
        assert!(status.stdout.contains(line), "{status:?}");
    }

    let told = ours.run(&["changes", "pin"]);
    let expected = "added\tadd\nbreaking\tbooks\n\targument tag: is required now\nremoved\tburn\n";
    assert_eq!(told.stdout, expected, "{told:?}");
    for name in ["pin", "quarantine"] {
        let approved = ours.run(&["changes", name, "--approve"]);
        assert_eq!(approved.code, Some(0), "{approved:?}");
    }
    lists(
        "what was approved",
        &[
            "follow_add",
            "follow_books",
            "pin_add",
            "pin_books",
            "quarantine_add",
            "quarantine_books",
        ],
    );
    let none = ours.run(&["changes", "pin"]);
    assert!(none.stderr.contains("nothing has changed"), "{none:?}");
}

#[test]
fn clients_search_and_see_virtual_servers_as_it_is_configured() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let config = "tools = \"search\"\n[virtual.desk]\ntools = [\"shop/get*\"]\n\
                  [virtual.desk.change.\"shop/getBook\"]\nname = \"book\"\npreset = { isbn = \"9780141439600\" }\n";
    sandbox.write("mcphub.toml", config);
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let gateway = Gateway::start(
        &sandbox,
        &["up", &spec, "--base-url", &url, "--name", "shop"],
    );
    assert_eq!(
        gateway.tools(),
        ["find_tools", "describe_tool", "call_tool"]
    );
    let found = gateway.call("find_tools", &json!({"query": "list books"}));
    let text = found["content"][0]["text"].as_str().expect("a text");
    assert!(
        text.starts_with(r#"{"tools":[{"name":"shop_listBooks""#),
        "{text}"
    );
    let called = gateway.call("call_tool", &json!({"name": "shop_listBooks"}));
    assert_ne!(called["isError"], true, "{called}");

    sandbox.write("mcphub.toml", "[virtual.desk]\ntools = [\"shop\"]\n");
    let wrong = sandbox.run(&["serve"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("[virtual.desk]"), "{wrong:?}");
}
