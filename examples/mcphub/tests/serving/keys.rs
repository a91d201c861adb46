//! Who is let in: API keys, made, used by clients of others, rotated and revoked; and users.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common;
use crate::common::client::{Client, ToolCall, names};
use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::{Finished, Sandbox};

pub const ISBN: &str = "9780000000019";
const PATIENCE: Duration = Duration::from_secs(10);

pub fn done(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

/// Makes a key and gives its token.
fn create(sandbox: &Sandbox, args: &[&str]) -> String {
    let said = done(sandbox.run(&[&["key", "create"], args].concat()));
    said.trim_end().to_owned()
}

fn keys(sandbox: &Sandbox) -> Value {
    let listed = done(sandbox.run(&["key", "list", "--format", "json"]));
    serde_json::from_str(&listed).unwrap()
}

fn identify(sandbox: &Sandbox, token: &str) -> (Option<i32>, String) {
    let mut command = sandbox.mcphub();
    command.args(["key", "identify"]);
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = streams.stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(token.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

/// A gateway that asks for keys, with the bookshop behind it.
pub fn guarded(sandbox: &Sandbox, shop: &Bookshop) -> Gateway {
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let (url, header) = (shop.url(), Bookshop::key_header());
    let up = ["up", &spec, "--base-url", &url, "--header", &header];
    Gateway::start(sandbox, &[&up[..], &["--auth", "keys"]].concat())
}

#[test]
fn a_key_is_made_listed_rotated_and_revoked() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&["key", "list"]).code, Some(4));
    let first = create(
        &sandbox,
        &[
            "ci",
            "--expires",
            "90d",
            "--allow",
            "shop/get*",
            "--read-only",
        ],
    );
    assert!(first.starts_with("mcphub_") && first.len() == 56, "{first}");
    let listed = keys(&sandbox);
    assert_eq!(listed[0]["name"], "ci");
    assert_eq!(
        listed[0]["permissions"],
        json!({"allow": ["shop/get*"], "readOnly": true})
    );
    assert_eq!(sandbox.run(&["key", "create", "ci"]).code, Some(5));

    let second = done(sandbox.run(&["key", "rotate", "ci", "--overlap", "1d"]));
    let second = second.trim_end();
    for token in [first.as_str(), second] {
        let (code, said) = identify(&sandbox, token);
        assert_eq!(code, Some(0));
        assert!(
            said.starts_with("ci\tshop/get*, read-only\t") && said.contains("lets its holder in"),
            "{said}"
        );
    }
    done(sandbox.run(&["key", "rotate", "ci", "--overlap", "0s"]));
    assert!(identify(&sandbox, second).1.contains("has expired"));
    assert_eq!(identify(&sandbox, &first).0, Some(4));
    assert_eq!(identify(&sandbox, &first[..55]).0, Some(2));

    done(sandbox.run(&["key", "revoke", "ci"]));
    assert_eq!(sandbox.run(&["key", "revoke", "ci"]).code, Some(4));
    assert_eq!(sandbox.run(&["key", "rotate", "ci"]).code, Some(4));
    assert!(done(sandbox.run(&["key", "list"])).contains("\trevoked "));
    let again = create(&sandbox, &["ci"]);
    assert!(identify(&sandbox, &again).1.contains("everything\tgood"));

    let log = done(sandbox.run(&["audit", "export"]));
    assert_eq!(
        log.lines().filter(|line| line.contains("api_key.")).count(),
        5
    );
    assert!(
        ![&first, second, &again]
            .iter()
            .any(|token| log.contains(*token))
    );
    for wrong in [
        &["key", "create", &again][..],
        &["key", "create", "x", "--allow", "a b"],
        &["key", "create", "x", "--expires", "2001-01-01T00:00:00Z"],
        &["key", "rotate", "ci", "--overlap", "soon"],
    ] {
        assert_eq!(sandbox.run(wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_gateway_that_asks_for_keys_lets_in_until_one_is_revoked() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let gateway = guarded(&sandbox, &shop);
    let get = |token: Option<&str>| {
        gateway.message_as(
            token,
            "tools/call",
            json!({"name": "bookshop_getBook", "arguments": {"isbn": ISBN}}),
        )
    };
    assert_eq!(get(None).0, 401);
    let reader = create(&sandbox, &["reader", "--read-only"]);
    let (status, answer) = get(Some(&reader));
    assert_eq!(
        (status, &answer["result"]["structuredContent"]["isbn"]),
        (200, &json!(ISBN))
    );
    let order = json!({"name": "bookshop_updateBook", "arguments": {"isbn": ISBN, "stock": 7}});
    let (status, answer) = gateway.message_as(Some(&reader), "tools/call", order);
    assert_eq!(status, 403);
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("read-only"),
        "{answer}"
    );

    done(sandbox.run(&["key", "revoke", "reader"]));
    let deadline = Instant::now() + Duration::from_secs(10);
    while get(Some(&reader)).0 != 401 {
        assert!(Instant::now() < deadline, "a revoked key is let in");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(keys(&sandbox)[0]["lastUsedAt"].is_i64());
    assert_eq!(gateway.health()["status"], "ok");
    assert!(gateway.stop().success());
}

/// The body of an answer to a GET.
fn get(url: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let answer = client.build().unwrap().get(url).send().await.unwrap();
        answer.text().await.unwrap()
    })
}

#[test]
fn operators_see_how_calls_go_and_the_audit_log_who_made_them() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    drop(guarded(&sandbox, &shop));
    let key = create(&sandbox, &["ci"]);
    sandbox.write("mcphub.toml", "[audit]\ncalls = \"all\"\n");
    let args = ["serve", "--auth", "keys", "--metrics-listen", "127.0.0.1:0"];
    let gateway = Gateway::start(&sandbox, &args);
    let params = json!({"name": "bookshop_getBook", "arguments": {"isbn": ISBN}});
    assert_eq!(
        gateway.message_as(None, "tools/call", params.clone()).0,
        401
    );
    assert_eq!(gateway.message_as(Some(&key), "tools/call", params).0, 200);

    let deadline = Instant::now() + PATIENCE;
    let url = loop {
        let said = gateway.running().stderr();
        let line = said
            .lines()
            .find_map(|line| line.strip_prefix("metrics at "));
        if let Some(url) = line {
            break url.to_owned();
        }
        assert!(Instant::now() < deadline, "{said}");
        std::thread::sleep(Duration::from_millis(10));
    };
    let metrics = get(&url);
    for line in [
        r#"mcphub_requests_total{server="bookshop",kind="read",outcome="ok"} 1"#,
        r#"mcphub_http_answers_total{code="401"} 1"#,
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    let elsewhere = get(&format!("http://{}/metrics", gateway.address()));
    assert!(!elsewhere.contains("mcphub_"), "{elsewhere}");

    let status = ["status", "--listen", gateway.address()];
    let nobody = sandbox.run(&status);
    assert!(!format!("{nobody:?}").contains("bookshop"), "{nobody:?}");
    assert!(nobody.stderr.contains("MCPHUB_KEY"), "{nobody:?}");
    let mut command = sandbox.mcphub();
    let seen = command
        .args(status)
        .env("MCPHUB_KEY", &key)
        .output()
        .unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert!(seen.starts_with("bookshop\tready\t"), "{seen}");
    assert!(gateway.stop().success());

    let called = done(sandbox.run(&["audit", "list", "--action", "tool.call"]));
    let noted = "\tkey:ci\ttool.call\ttool:bookshop/getBook\t{\"outcome\":\"ok\",";
    assert!(
        called.contains(noted) && called.lines().count() == 1,
        "{called}"
    );
    assert!(!called.contains(ISBN), "{called}");
    assert!(done(sandbox.run(&["audit", "verify"])).contains("is whole"));
}

#[test]
fn a_users_key_does_what_their_role_allows_while_they_are_a_member() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let gateway = guarded(&sandbox, &shop);
    let ada = "ada@example.com";
    done(sandbox.run(&["user", "add", ada]));
    assert_eq!(
        sandbox.run(&["user", "add", "ADA@example.com"]).code,
        Some(5)
    );
    let refused = sandbox.run(&["key", "create", "laptop", "--user", ada]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    done(sandbox.run(&["role", "set", "staff", "--read-only"]));
    done(sandbox.run(&["member", "set", ada, "--role", "staff"]));
    let token = create(&sandbox, &["laptop", "--user", ada, "--allow", "bookshop"]);
    let update = || {
        let update =
            json!({"name": "bookshop_updateBook", "arguments": {"isbn": ISBN, "stock": 7}});
        gateway.message_as(Some(&token), "tools/call", update).0
    };
    let until = |status: u16| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while update() != status {
            assert!(Instant::now() < deadline, "{} and never {status}", update());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    until(403);
    let explain = |thing: &str| sandbox.run(&["key", "explain", "laptop", thing]);
    let denied = explain("bookshop/updateBook");
    assert_eq!(denied.code, Some(5));
    assert!(
        denied
            .stdout
            .contains("the role of its user: it is read-only"),
        "{denied:?}"
    );
    assert!(done(explain("bookshop/getBook")).contains("laptop may call"));
    assert!(done(explain("bookshop")).contains("prompts and resources"));
    assert_eq!(explain("bookshop/none").code, Some(4));
    done(sandbox.run(&["role", "set", "staff", "--revision", "1"]));
    until(200);
    assert_eq!(
        sandbox
            .run(&["role", "set", "staff", "--read-only", "--revision", "1"])
            .code,
        Some(5)
    );
    assert_eq!(sandbox.run(&["role", "remove", "staff"]).code, Some(5));
    done(sandbox.run(&["user", "disable", ada]));
    until(401);
    assert!(
        explain("bookshop/getBook")
            .stdout
            .contains("the user is disabled")
    );
    assert!(done(sandbox.run(&["user", "list"])).contains("ada@example.com\tperson\tdisabled "));
    done(sandbox.run(&["user", "enable", ada]));
    until(200);
    assert!(done(sandbox.run(&["member", "list"])).starts_with("ada@example.com\tstaff\t"));
    done(sandbox.run(&["member", "remove", ada]));
    until(401);
    assert!(done(sandbox.run(&["key", "list"])).contains("\tof ada@example.com"));
    done(sandbox.run(&["role", "remove", "staff"]));
    assert!(gateway.stop().success());
}

#[test]
fn clients_of_others_show_a_key_and_see_what_it_may() {
    if !common::clients_wanted() {
        return;
    }
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let gateway = guarded(&sandbox, &shop);
    let token = create(
        &sandbox,
        &[
            "client",
            "--allow",
            "bookshop/getBook",
            "--allow",
            "bookshop/up*",
            "--read-only",
        ],
    );
    let calls = [ToolCall::new(
        "bookshop_getBook",
        json!({ "isbn": ISBN, "fields": ["title"] }),
    )];
    for client in Client::ALL {
        let report = client.report_as(&gateway.url(), &token, &calls);
        assert_eq!(report.protocol_version, client.revision(), "{client:?}");
        assert_eq!(names(&report.tools), ["bookshop_getBook"], "{client:?}");
        let book = report.calls.first().unwrap().structured();
        assert_eq!(book["title"], "The Sea Has No Corners", "{client:?}");
    }
    assert!(gateway.stop().success());
}
