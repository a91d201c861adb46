//! `mcphub add`: MCP servers that exist already, behind the endpoint.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

/// A gateway over the bookshop, which is an MCP server for another gateway.
struct Upstream {
    _sandbox: Sandbox,
    _shop: Bookshop,
    gateway: Gateway,
    up: Vec<String>,
}

impl Upstream {
    fn start() -> Self {
        let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
        let spec = sandbox.write("bookshop.yaml", Bookshop::document());
        let up = ["up", &spec, "--base-url", &shop.url()].map(str::to_owned);
        let gateway = Gateway::start(&sandbox, &up.each_ref().map(String::as_str));
        Self {
            _sandbox: sandbox,
            _shop: shop,
            gateway,
            up: up.to_vec(),
        }
    }

    /// Stops the gateway, and starts it again where it was.
    fn restart(self, between: impl FnOnce()) -> Self {
        let address = self.gateway.address().to_owned();
        drop(self.gateway);
        between();
        let up: Vec<&str> = self.up.iter().map(String::as_str).collect();
        Self {
            gateway: Gateway::start_at(&self._sandbox, &up, &address),
            ..self
        }
    }
}

/// Calls until the answer is as wanted, for at most half a minute.
fn call_until(gateway: &Gateway, tool: &str, arguments: &Value, wanted: impl Fn(&Value) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = gateway.call(tool, arguments);
        if wanted(&answer) {
            return;
        }
        assert!(Instant::now() < deadline, "last answer: {answer}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn fine(answer: &Value) -> bool {
    answer["content"].is_array() && answer["isError"] != json!(true)
}

#[test]
fn another_mcphub_is_an_upstream_that_may_die_and_come_back() {
    let upstream = Upstream::start();
    let url = upstream.gateway.server_url("bookshop");
    let sandbox = Sandbox::new();
    let added = sandbox.run(&["add", "far", &url, "--header", "X-Team: s3cret-team"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(
        added.stdout.contains("far: 12 tools from http://"),
        "{added:?}"
    );
    assert!(added.stdout.contains("\n  listBooks\n"), "{added:?}");
    let listed = sandbox.run(&["list", "--serve", "remote"]);
    assert!(
        listed.stdout.starts_with("far\t12 tools\tremote\t"),
        "{listed:?}"
    );
    let audit = sandbox.run(&["audit", "list"]);
    assert!(audit.stdout.contains("server:far"), "{audit:?}");
    for shown in [&added, &listed, &audit] {
        assert!(!format!("{shown:?}").contains("s3cret-team"), "{shown:?}");
    }

    let gateway = Gateway::start(&sandbox, &["serve"]);
    let (tool, arguments) = ("far_listBooks", json!({"limit": 1}));
    call_until(&gateway, tool, &arguments, fine);
    let upstream = upstream.restart(|| {
        let answer = gateway.call(tool, &arguments);
        assert!(!fine(&answer), "{answer}");
        assert!(
            answer.to_string().contains("could not be reached"),
            "{answer}"
        );
    });
    call_until(&gateway, tool, &arguments, fine);
    drop(upstream);

    let again = Gateway::start(&sandbox, &["serve"]);
    let answer = again.call(tool, &arguments);
    assert!(
        answer.to_string().contains("could not be reached"),
        "it is still listed: {answer}"
    );
}

#[test]
fn a_server_that_does_not_answer_is_registered_only_when_asked_to() {
    let sandbox = Sandbox::new();
    let nobody = "http://127.0.0.1:1/mcp?key=s3cret-key";
    let refused = sandbox.run(&["add", "later", nobody]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("--no-probe"), "{refused:?}");
    let listed = sandbox.run(&["list"]);
    assert!(!listed.stdout.contains("later"), "{listed:?}");
    let added = sandbox.run(&["add", "later", nobody, "--no-probe"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let listed = sandbox.run(&["list", "--format", "json"]);
    let servers: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(servers[0]["serve"], "remote");
    assert_eq!(servers[0]["source"], "http://127.0.0.1:1/mcp");
    for shown in [&refused, &added, &listed] {
        assert!(!format!("{shown:?}").contains("s3cret-key"), "{shown:?}");
    }
}

#[test]
fn servers_are_found_where_somebody_says_and_registered_once() {
    let upstream = Upstream::start();
    let (host, port) = upstream.gateway.address().rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a number");
    let places = format!("{host}:{}-{port}", port - 1);
    let sandbox = Sandbox::new();
    let found = sandbox.run(&["discover", &places, "--format", "json"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let servers: Value = serde_json::from_str(&found.stdout).expect("JSON");
    let ours = servers.as_array().expect("an array").iter();
    let ours: Vec<_> = ours
        .filter(|it| {
            it["url"]
                .as_str()
                .is_some_and(|url| url.contains(&port.to_string()))
        })
        .collect();
    assert_eq!(
        (ours[0]["tools"].as_u64(), &ours[0]["registered"]),
        (Some(12), &json!(false))
    );
    let listed = sandbox.run(&["list"]);
    assert!(
        !listed.stdout.contains(&port.to_string()),
        "it only looked: {listed:?}"
    );
    let place = format!("{host}:{port}");
    for _ in 0..2 {
        let added = sandbox.run(&["discover", &place, "--add"]);
        assert!(added.stdout.ends_with("\tregistered\n"), "{added:?}");
    }
    let listed = sandbox.run(&["list"]);
    assert!(listed.stdout.contains("\t12 tools\tremote\t"), "{listed:?}");
    let history = sandbox.run(&["audit", "list"]);
    assert_eq!(history.stdout.matches("server:").count(), 1, "{history:?}");
    let nobody = sandbox.run(&["discover", "127.0.0.1:1"]);
    assert_eq!(nobody.code, Some(4), "{nobody:?}");
}

#[test]
fn credentials_do_not_go_where_a_server_was_before() {
    let sandbox = Sandbox::new();
    for url in ["http://127.0.0.1:1/mcp", "http://127.0.0.1:2/mcp"] {
        let added = sandbox.run(&["add", "moved", url, "--header", "X-Key: k", "--no-probe"]);
        assert_eq!(added.code, Some(0), "{added:?}");
    }
    let refused = sandbox.run(&["rollback", "moved", "1"]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("127.0.0.1:1"), "{refused:?}");
}

#[test]
fn an_api_keeps_its_name() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let gateway = Gateway::start(&sandbox, &["up", &spec, "--base-url", &shop.url()]);
    let refused = sandbox.run(&["add", "bookshop", &gateway.url(), "--no-probe"]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("mcphub remove"), "{refused:?}");
}

/// A server that answers nobody before two ask it at once, and then that it is not there.
fn patient_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut waiting, mut enough) = (Vec::new(), false);
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            waiting.push(stream);
            enough |= waiting.len() >= 2;
            if enough {
                for mut stream in waiting.drain(..) {
                    let answer =
                        "HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        }
    });
    url
}

#[test]
fn the_servers_of_the_configuration_are_met_side_by_side() {
    let (sandbox, url) = (Sandbox::new(), patient_server());
    let server = |name: &str| format!("[servers.{name}]\nurl = \"{url}\"\n");
    sandbox.write("mcphub.toml", &(server("one") + &server("two")));
    let gateway = Gateway::start(&sandbox, &["serve"]);
    let said = gateway.running().stderr();
    for name in ["one", "two"] {
        let warning = said
            .lines()
            .find(|line| line.contains(&format!("{name} does not answer")));
        let warning = warning.unwrap_or_else(|| panic!("nothing of {name}: {said}"));
        // One after the other, the first would have waited in vain.
        assert!(warning.contains("503"), "{warning}");
    }
}
