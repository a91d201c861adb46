//! Two nodes over one PostgreSQL server, with nothing in common but its URL and a key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::{Finished, Sandbox};

const ISBN: &str = "9780000000019";
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder of its own, and the store that all share.
struct Node {
    sandbox: Sandbox,
    store: String,
}

impl Node {
    /// With a schema for this test on the server of `MCPHUB_TEST_POSTGRES`, if there is one.
    #[allow(clippy::print_stdout, reason = "a test has no other way to say it")]
    fn of(schema: &str) -> Option<Self> {
        let Ok(server) = std::env::var("MCPHUB_TEST_POSTGRES") else {
            println!("not run: set MCPHUB_TEST_POSTGRES, as scripts/test-servers.sh does");
            return None;
        };
        let separator = if server.contains('?') { '&' } else { '?' };
        let sandbox = Sandbox::new();
        sandbox.write("mcphub.toml", "key_file = 'shared.key'");
        let key = sandbox.write("shared.key", &"ab".repeat(32));
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Self {
            sandbox,
            store: format!("{server}{separator}schema={schema}"),
        })
    }

    fn run(&self, args: &[&str]) -> Finished {
        self.sandbox
            .run(&[args, &["--store", &self.store]].concat())
    }

    fn start(&self, args: &[&str]) -> Gateway {
        let args = [args, &["--store", &self.store]].concat();
        Gateway::start(&self.sandbox, &args)
    }
}

fn schema(test: &str) -> String {
    format!("cli_{test}_{}", std::process::id())
}

/// Calls until the answer is as wanted: nodes find out by themselves.
fn call_until(gateway: &Gateway, tool: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let result = gateway.call(tool, &json!({ "isbn": ISBN }));
        if wanted(&result) {
            return result;
        }
        assert!(Instant::now() < deadline, "{tool}: {result}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_one_node_registers_and_removes_the_other_serves_and_drops() {
    let schema = schema("two_nodes");
    let (Some(one), Some(other)) = (Node::of(&schema), Node::of(&schema)) else {
        return;
    };
    let missing = one.run(&["list"]);
    assert_eq!(missing.code, Some(4), "{missing:?}");

    let shop = Bookshop::open();
    let spec = one.sandbox.write("bookshop.yaml", Bookshop::document());
    let serving = other.start(&["serve"]);
    let url = shop.url();
    let first = one.start(&[
        "up",
        &spec,
        "--base-url",
        &url,
        "--header",
        "X-Shop: s3cret",
    ]);
    let found = call_until(&first, "bookshop_getBook", |result| !result.is_null());
    assert_ne!(found["isError"], true, "{found}");
    let same = call_until(&serving, "bookshop_getBook", |result| !result.is_null());
    assert_eq!(same, found);

    let list = other.run(&["list", "--format", "json"]);
    assert_eq!(list.code, Some(0), "{list:?}");
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!(list[0]["name"], "bookshop");

    let removed = other.run(&["remove", "bookshop"]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    for gateway in [&first, &serving] {
        call_until(gateway, "bookshop_getBook", Value::is_null);
    }
    assert!(!one.sandbox.path().join("mcphub.db").exists());
}

#[test]
fn a_wrong_url_or_key_ends_with_2_and_shows_no_password() {
    let sandbox = Sandbox::new();
    for store in [
        "postgres://hub:s3cret@",
        "postgres://hub:s3cret@localhost/hub?shema=typo",
        "mysql://hub:s3cret@localhost/hub",
        // No key, and no folder to keep one in.
        "postgres://hub:s3cret@localhost/hub",
    ] {
        let refused = sandbox.run(&["serve", "--store", store]);
        assert_eq!(refused.code, Some(2), "{store}: {refused:?}");
        assert!(!refused.stderr.contains("s3cret"), "{refused:?}");
    }
}

#[test]
fn a_list_in_the_wrong_folder_makes_no_store() {
    let sandbox = Sandbox::new();
    for command in [&["list"][..], &["remove", "bookshop"]] {
        let lost = sandbox.run(command);
        assert_eq!(lost.code, Some(4), "{lost:?}");
        assert!(lost.stderr.contains("--store"), "{lost:?}");
    }
    assert_eq!(fs::read_dir(sandbox.path()).unwrap().count(), 0);
}
