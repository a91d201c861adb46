//! The gateway is killed; what was registered is served again, and nothing is left running.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until calls succeed: a process has to be started first.
fn call_until_it_works(gateway: &Gateway, tool: &str, arguments: &Value) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let result = gateway.call(tool, arguments);
        if result["isError"] != true {
            return result;
        }
        assert!(Instant::now() < deadline, "{result}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn review() -> Value {
    json!({ "isbn": ISBN, "rating": 5, "text": "Good.", "reviewer": { "name": "Ada" } })
}

const ISBN: &str = "9780000000019";

#[test]
fn what_was_registered_outlives_a_kill_with_its_secrets() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let (url, key) = (shop.url(), Bookshop::key_header());
    let gateway = Gateway::start(
        &sandbox,
        &["up", &spec, "--base-url", &url, "--header", &key],
    );
    assert_ne!(
        gateway.call("bookshop_createReview", &review())["isError"],
        true
    );
    gateway.running().signal(Signal::SIGKILL);
    drop(gateway);
    fs::remove_file(&spec).unwrap();

    let gateway = Gateway::start(&sandbox, &["serve"]);
    let result = gateway.call("bookshop_createReview", &review());
    assert_ne!(result["isError"], true, "{result}");
    assert!(gateway.stop().success());

    let secret = key.split(": ").nth(1).unwrap().as_bytes();
    for file in fs::read_dir(sandbox.path()).unwrap() {
        let contents = fs::read(file.unwrap().path()).unwrap();
        assert!(
            !contents
                .windows(secret.len())
                .any(|window| window == secret),
            "a secret in the clear"
        );
    }
}

#[test]
fn what_was_selected_is_selected_after_a_restart() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let gateway = Gateway::start(
        &sandbox,
        &[
            "up",
            &spec,
            "--base-url",
            &url,
            "--include",
            "tag=books",
            "--read-only",
        ],
    );
    let found = gateway.call("bookshop_getBook", &json!({ "isbn": ISBN }));
    assert_ne!(found["isError"], true, "{found}");
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&sandbox, &["serve"]);
    let found = gateway.call("bookshop_getBook", &json!({ "isbn": ISBN }));
    assert_ne!(found["isError"], true, "{found}");
    assert_eq!(
        gateway.call("bookshop_listReviews", &json!({ "isbn": ISBN })),
        Value::Null
    );
    let listed: Value =
        serde_json::from_str(&sandbox.run(&["list", "--format", "json"]).stdout).unwrap();
    assert_eq!(
        listed[0]["choices"],
        json!({ "selection": { "include": ["tag=books"], "readOnly": true } })
    );
}

#[test]
fn a_removed_server_is_gone_from_a_running_gateway() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let gateway = Gateway::start(&sandbox, &["up", &spec, "--base-url", &shop.url()]);
    assert_ne!(
        gateway.call("bookshop_getBook", &json!({ "isbn": ISBN }))["isError"],
        true
    );
    assert_eq!(sandbox.run(&["remove", "bookshop"]).code, Some(0));
    let deadline = Instant::now() + PATIENCE;
    while !gateway
        .call("bookshop_getBook", &json!({ "isbn": ISBN }))
        .is_null()
    {
        assert!(Instant::now() < deadline, "the tool is still served");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(sandbox.run(&["remove", "bookshop"]).code, Some(4));
}

#[test]
fn a_gateway_over_a_store_that_was_deleted_does_not_count_as_updated() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let gateway = Gateway::start(&sandbox, &["up", &spec, "--base-url", &url]);
    assert_eq!(gateway.health()["catalog"], "current");
    for end in ["", "-wal", "-shm"] {
        fs::remove_file(sandbox.path().join(format!("mcphub.db{end}"))).unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    while gateway.health()["catalog"] != "unreadable" {
        assert!(Instant::now() < deadline, "{}", gateway.health());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(gateway.health()["status"], "degraded");
    let update = [
        "up",
        &spec,
        "--base-url",
        &url,
        "--listen",
        gateway.address(),
    ];
    let refused = sandbox.run(&update);
    assert_eq!(
        refused.code,
        Some(5),
        "{}{}",
        refused.stdout,
        refused.stderr
    );
    let result = gateway.call("bookshop_getBook", &json!({ "isbn": ISBN }));
    assert_ne!(result["isError"], true, "{result}");
}

/// The processes, other than the gateway, that were started with the sandbox's marker.
fn marked(marker: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let marked = processes.filter(|process| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment
            .windows(marker.len())
            .any(|window| window == marker.as_bytes())
    });
    marked
        .filter_map(|process| fs::read_to_string(process.join("cmdline")).ok())
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn a_server_process_ends_with_a_killed_gateway_and_comes_back() {
    if std::env::var_os("MCPHUB_TEST_PYTHON").is_none() {
        println!("not run: set MCPHUB_TEST_PYTHON=1; it needs Python and a package index");
        return;
    }
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let gateway = Gateway::start(
        &sandbox,
        &["up", &spec, "--base-url", &url, "--serve", "process"],
    );
    let arguments = json!({ "isbn": ISBN });
    let before = call_until_it_works(&gateway, "bookshop_getBook", &arguments);
    // The base URL has a port that no other test uses, and is in the environment of the server.
    let marker = format!("{}/", url.trim_end_matches('/'));
    assert!(
        !marked(&marker).is_empty(),
        "no process has {marker} in its environment"
    );
    gateway.running().signal(Signal::SIGKILL);
    let deadline = Instant::now() + PATIENCE;
    while !marked(&marker).is_empty() {
        assert!(
            Instant::now() < deadline,
            "left behind: {:?}",
            marked(&marker)
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(gateway);

    let gateway = Gateway::start(&sandbox, &["serve"]);
    assert_eq!(
        call_until_it_works(&gateway, "bookshop_getBook", &arguments),
        before
    );
    assert!(gateway.stop().success());
    assert!(
        marked(&marker).is_empty(),
        "left behind: {:?}",
        marked(&marker)
    );
}
