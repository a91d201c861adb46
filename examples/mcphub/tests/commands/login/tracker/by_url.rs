//! Users log in by the URL that a call of theirs is answered with.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};
use url::Url;

use super::super::PATIENCE;
use super::browser::{Browser, client, field, link, run};
use super::{Tracker, caller, done, users};
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const PASSWORD: &str = "correct horse battery";

/// A gateway with a server that each user logs in to, and whose tools were listed for one of them.
struct Hub {
    sandbox: Sandbox,
    tracker: Tracker,
    gateway: Gateway,
    /// Those of `ada` and `bob`.
    keys: [String; 2],
}

impl Hub {
    fn open() -> Self {
        let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
        let add = ["add", "tracker", &tracker.url(), "--no-probe", "--per-user"];
        done(sandbox.run(&add));
        let [ada, bob, _] = users(&sandbox, ["ada", "bob", "carol"]);
        tracker.log_in(&sandbox, "Carol", &["--user", "carol"]);
        let gateway = node(&sandbox, free_port());
        Self {
            sandbox,
            tracker,
            gateway,
            keys: [ada, bob],
        }
    }

    /// The URL in the text that a call of `ada` is answered with.
    fn url(&self) -> String {
        let params = json!({"name": "tracker_whoami", "arguments": {}});
        let (_, answer) = self
            .gateway
            .message_as(Some(&self.keys[0]), "tools/call", params);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        let at = text.find("http://").expect("a URL in the text");
        text[at..].split(' ').next().unwrap().to_owned()
    }

    fn public_url(&self) -> String {
        format!("http://{}", self.gateway.address())
    }

    fn is_person(&self, person: &str) {
        person.clone_into(&mut self.tracker.world.person.lock().unwrap());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A gateway whose public URL is at this port of loopback.
fn node(sandbox: &Sandbox, port: u16) -> Gateway {
    let (address, url) = (
        format!("127.0.0.1:{port}"),
        format!("http://127.0.0.1:{port}"),
    );
    let serve = ["serve", "--auth", "keys", "--public-url", &url];
    Gateway::start_at(sandbox, &serve, &address)
}

/// A request to the gateway in the modern era, whose client opens URLs; its result.
fn modern(gateway: &str, key: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}},
    });
    params["name"] = json!("tracker_whoami");
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let headers = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "tracker_whoami"),
    ];
    let answer = run(async {
        let answer = sent(gateway, key, &headers, &message).await;
        serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()
    });
    answer["result"].clone()
}

async fn sent(gateway: &str, key: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    let mut request = client()
        .post(gateway)
        .bearer_auth(key)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(body.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[test]
fn a_call_without_a_login_gives_the_url_of_one() {
    let hub = Hub::open();
    let [ada, bob] = &hub.keys;
    let url = hub.url();
    assert!(!url.contains("ada"), "{url}");
    hub.is_person("Ada");
    let mut browser = Browser::default();
    // Whoever is given the address of another gets no further, with whatever is theirs.
    let stolen = Browser::default().say(&url, &[("key", bob)]);
    assert_eq!(stolen.status, 403, "{stolen:?}");
    assert!(stolen.text.contains("somebody else"), "{stolen:?}");
    done(hub.sandbox.run(&["tenant", "create", "acme"]));
    let foreign = done(
        hub.sandbox
            .run(&["key", "create", "ada", "--tenant", "acme"]),
    );
    let nobody = done(hub.sandbox.run(&["key", "create", "ci"]));
    for wrong in [foreign.trim_end(), nobody.trim_end(), "mcphub_x"] {
        let wrong = browser.say(&url, &[("key", wrong)]);
        assert_eq!(wrong.status, 403, "{wrong:?}");
    }
    let page = browser.say(&url, &[("key", ada)]);
    assert!(page.text.contains("You are <b>ada</b>"), "{page:?}");
    assert!(!page.text.contains(ada.as_str()));
    let back = browser.sent_back(&page);
    // Nobody else goes on with it, nor with another state.
    let elsewhere = Browser::default().get(&back);
    assert_eq!(elsewhere.status, 400, "{elsewhere:?}");
    let mut changed = Url::parse(&back).unwrap();
    let pairs: Vec<_> = changed.query_pairs().into_owned().collect();
    changed.set_query(None);
    for (name, value) in pairs {
        let value = if name == "state" {
            value.to_uppercase()
        } else {
            value
        };
        changed.query_pairs_mut().append_pair(&name, &value);
    }
    assert_eq!(browser.get(changed.as_str()).status, 400);
    let cookies = browser.cookies.clone();
    let finished = browser.get(&back);
    assert_eq!(finished.status, 200, "{finished:?}");
    assert!(
        finished.text.contains("go back to your assistant"),
        "{finished:?}"
    );
    caller(&hub.gateway, Some(ada), "\"Ada\"");
    // It is good once, for this browser, and for one that kept its cookie.
    assert_eq!(browser.get(&back).status, 400);
    assert!(browser.cookies.is_empty());
    let again = Browser { cookies }.get(&back);
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(hub.tracker.grants("authorization_code"), 2);
    let asked = hub.tracker.world.asked.lock().unwrap().clone();
    let ours = asked
        .iter()
        .rfind(|it| it["grant_type"] == "authorization_code");
    assert_eq!(ours.unwrap()["resource"], hub.tracker.url());
    // It is hers, by herself, and she is logged out as ever.
    let list = ["audit", "list", "--actor", "user:ada", "--format", "json"];
    let log = done(hub.sandbox.run(&list));
    assert!(log.contains("server:tracker"), "{log}");
    done(hub.sandbox.run(&["logout", "tracker", "--user", "ada"]));
    caller(&hub.gateway, Some(ada), "/auth/login/tracker");
}

#[test]
fn a_form_is_taken_from_the_browser_that_was_shown_it() {
    let hub = Hub::open();
    let [ada, _] = &hub.keys;
    let url = hub.url();
    let (place, _) = url.split_once('?').unwrap();
    let mut browser = Browser::default();
    let shown = browser.get(&url);
    let (ticket, token) = (field(&shown.text, "ticket"), field(&shown.text, "token"));
    let form = [("ticket", &*ticket), ("token", &*token), ("key", ada)];
    assert_eq!(Browser::default().post(place, &[], &form).status, 403);
    let mut other = Browser::default();
    other.get(&url);
    assert_eq!(other.post(place, &[], &form).status, 403);
    for headers in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        assert_eq!(browser.post(place, &[headers], &form).status, 403);
    }
    // As a browser sends it from a page that tells nobody where it was.
    let own = [("sec-fetch-site", "same-origin"), ("origin", "null")];
    assert_eq!(browser.post(place, &own, &form).status, 200);
    for broken in ["", "?ticket=", "?ticket=AAAA", "?x=1"] {
        assert_eq!(browser.get(&format!("{place}{broken}")).status, 400);
    }
    let elsewhere = url.replace("/tracker?", "/other?");
    let shown = browser.get(&elsewhere);
    let (ticket, token) = (field(&shown.text, "ticket"), field(&shown.text, "token"));
    let form = [("ticket", &*ticket), ("token", &*token), ("key", ada)];
    let other = place.replace("/tracker", "/other");
    assert_eq!(browser.post(&other, &[], &form).status, 403);
    let large = "x".repeat(10_000);
    assert_eq!(browser.post(place, &[], &[("key", &large)]).status, 413);
}

#[test]
fn a_password_is_enough_and_who_may_not_gets_no_further() {
    let hub = Hub::open();
    let mut command = hub.sandbox.mcphub();
    command.args(["user", "password", "ada"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{PASSWORD}").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
    hub.is_person("Ada");
    let who = |password| [("user", "ada"), ("password", password)];
    let mut browser = Browser::default();
    assert_eq!(browser.say(&hub.url(), &who("wrong")).status, 403);
    let page = browser.say(&hub.url(), &who(PASSWORD));
    let back = browser.sent_back(&page);
    // What was allowed a moment ago.
    done(
        hub.sandbox
            .run(&["role", "set", "staff", "--allow", "shop"]),
    );
    let refused = browser.get(&back);
    assert_eq!(refused.status, 403, "{refused:?}");
    done(hub.sandbox.run(&["role", "set", "staff"]));
    let url = hub.url();
    done(
        hub.sandbox
            .run(&["role", "set", "staff", "--allow", "shop"]),
    );
    assert_eq!(browser.say(&url, &who(PASSWORD)).status, 403);
    done(hub.sandbox.run(&["role", "set", "staff"]));
    let page = browser.say(&url, &who(PASSWORD));
    let back = browser.sent_back(&page);
    // Another server, whatever is in it, is nobody that was asked.
    let evil = back.replace("&iss=http", "&iss=https");
    assert_eq!(browser.get(&evil).status, 502);
    done(hub.sandbox.run(&["user", "disable", "ada"]));
    assert_eq!(browser.say(&url, &who(PASSWORD)).status, 403);
    assert_eq!(hub.tracker.grants("authorization_code"), 1);
}

#[test]
fn what_the_authorization_server_refuses_is_shown_as_text() {
    let hub = Hub::open();
    let mut browser = Browser::default();
    let page = browser.say(&hub.url(), &[("key", &hub.keys[0])]);
    let back = browser.sent_back(&page);
    let refused = back.replace("code=c0de", "error=access_denied%3Cscript%3E");
    let refused = browser.get(&refused);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(
        refused.text.contains("access_denied&lt;script&gt;"),
        "{refused:?}"
    );
    assert!(!refused.text.contains("<script"), "{refused:?}");
}

#[test]
fn a_gateway_over_tls_describes_itself_as_a_client() {
    let hub = Hub::open();
    let serve = [
        "serve",
        "--auth",
        "keys",
        "--public-url",
        "https://hub.test",
    ];
    let gateway = Gateway::start(&hub.sandbox, &serve);
    let here =
        |url: &str| url.replace("https://hub.test", &format!("http://{}", gateway.address()));
    let id = "https://hub.test/auth/client.json";
    let mut browser = Browser::default();
    let described = browser.get(&here(id));
    let described: Value = serde_json::from_str(&described.text).unwrap();
    assert_eq!(described["client_id"], id);
    let redirect = "https://hub.test/auth/callback";
    assert_eq!(described["redirect_uris"], json!([redirect]));
    let asked = modern(&gateway.url(), &hub.keys[0], json!({}));
    let url = &asked["inputRequests"]["mcphub-login"]["params"]["url"];
    let url = here(url.as_str().unwrap());
    for (reads, client) in [(false, "c1"), (true, id)] {
        let reads_clients = &hub.tracker.world.reads_clients;
        reads_clients.store(reads, std::sync::atomic::Ordering::SeqCst);
        let page = browser.say(&url, &[("key", &hub.keys[0])]);
        let link = Url::parse(&link(&page)).unwrap();
        let asked: BTreeMap<_, _> = link.query_pairs().into_owned().collect();
        assert_eq!(
            (&*asked["client_id"], &*asked["redirect_uri"]),
            (client, redirect)
        );
        assert_eq!(asked["code_challenge_method"], "S256");
    }
    hub.is_person("Ada");
    let page = browser.say(&url, &[("key", &hub.keys[0])]);
    let back = here(&browser.sent_back(&page));
    assert_eq!(browser.get(&back).status, 200);
    caller(&gateway, Some(&hub.keys[0]), "\"Ada\"");
}

#[test]
fn a_login_that_is_exchanged_is_made_by_a_url_too() {
    let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
    let [ada] = users(&sandbox, ["ada"]);
    let (url, issuer) = (tracker.url(), tracker.issuer());
    let mut command = sandbox.mcphub();
    command.args(["add", "tracker", &url, "--per-user", "--client-env"]);
    command.args(["TRACKER_CLIENT", "--issuer", &issuer, "--exchange", "login"]);
    let added = command.env("TRACKER_CLIENT", "me:s3cret").output().unwrap();
    assert!(added.status.success(), "{added:?}");
    tracker
        .world
        .reads_clients
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let hub = Hub {
        gateway: node(&sandbox, free_port()),
        sandbox,
        tracker,
        keys: [ada, String::new()],
    };
    hub.is_person("Ada");
    let mut browser = Browser::default();
    let page = browser.say(&hub.url(), &[("key", &hub.keys[0])]);
    // The client that is configured comes before others.
    assert!(link(&page).contains("client_id=me&"), "{page:?}");
    assert!(!page.text.contains("s3cret"), "{page:?}");
    let back = browser.sent_back(&page);
    assert_eq!(browser.get(&back).status, 200);
    caller(&hub.gateway, Some(&hub.keys[0]), "\"exchanged Ada\"");
}

#[test]
fn any_node_goes_on_with_what_another_began() {
    let hub = Hub::open();
    let [ada, _] = &hub.keys;
    let second = Gateway::start(
        &hub.sandbox,
        &["serve", "--auth", "keys", "--public-url", &hub.public_url()],
    );
    hub.is_person("Ada");
    let elsewhere = |url: &str| url.replace(hub.gateway.address(), second.address());
    let mut browser = Browser::default();
    let page = browser.say(&elsewhere(&hub.url()), &[("key", ada)]);
    let back = browser.sent_back(&page);
    assert!(back.starts_with(&hub.public_url()), "{back}");
    let finished = browser.get(&elsewhere(&back));
    assert_eq!(finished.status, 200, "{finished:?}");
    caller(&hub.gateway, Some(ada), "\"Ada\"");
    caller(&second, Some(ada), "\"Ada\"");
}

#[test]
fn a_login_that_has_ended_is_made_anew_by_a_url() {
    let hub = Hub::open();
    let [ada, _] = &hub.keys;
    hub.is_person("Ada");
    let url = hub.url();
    assert_eq!(Browser::default().log_in(&url, ada).status, 200);
    caller(&hub.gateway, Some(ada), "\"Ada\"");
    // Nothing that was given is known any more.
    hub.tracker.world.given.lock().unwrap().clear();
    caller(&hub.gateway, Some(ada), "/auth/login/tracker");
    hub.is_person("Ada again");
    assert_eq!(Browser::default().log_in(&hub.url(), ada).status, 200);
    caller(&hub.gateway, Some(ada), "\"Ada again\"");
}

#[test]
fn a_client_of_the_modern_era_is_asked_and_its_retry_waits() {
    let hub = Hub::open();
    let [ada, bob] = &hub.keys;
    let gateway = hub.gateway.url();
    let asked = modern(&gateway, ada, json!({}));
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["mcphub-login"];
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["mode"], "url");
    let url = question["params"]["url"].as_str().unwrap().to_owned();
    let answered = |action: &str| json!({"inputResponses": {"mcphub-login": {"action": action}}});
    let declined = modern(&gateway, bob, answered("decline"));
    assert_eq!(declined["isError"], true, "{declined}");
    assert!(!declined.to_string().contains("http://"), "{declined}");
    hub.is_person("Ada");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let begun = Instant::now();
            loop {
                let result = modern(&gateway, ada, answered("accept"));
                if result["resultType"] != "input_required" {
                    return result;
                }
                assert!(begun.elapsed() < PATIENCE, "{result}");
            }
        });
        assert_eq!(Browser::default().log_in(&url, ada).status, 200);
        let result = waiting.join().unwrap();
        assert_eq!(result["content"][0]["text"], "Ada", "{result}");
    });
    // What was answered to the gateway is not for the server.
    let result = modern(&gateway, ada, answered("accept"));
    assert_eq!(result["content"][0]["text"], "Ada", "{result}");
}

#[test]
fn a_client_of_before_gets_its_error_and_is_told_when_it_is_done() {
    let hub = Hub::open();
    let [ada, _] = &hub.keys;
    hub.is_person("Ada");
    let gateway = hub.gateway.url();
    let version = ("mcp-protocol-version", "2025-11-25");
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"url": {}}},
        "clientInfo": {"name": "t", "version": "1"},
    }});
    let session = run(async {
        let answer = sent(&gateway, ada, &[], &initialize).await;
        let session = answer.headers()["mcp-session-id"].to_str();
        session.unwrap().to_owned()
    });
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "tracker_whoami", "arguments": {}}});
    let headers = [version, ("mcp-session-id", &*session)];
    let called = || {
        run(async {
            let answer = sent(&gateway, ada, &headers, &call).await;
            serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()
        })
    };
    let error = called()["error"].clone();
    assert_eq!(error["code"], -32042, "{error}");
    let asked = &error["data"]["elicitations"][0];
    assert_eq!(asked["mode"], "url");
    let url = asked["url"].as_str().unwrap();
    let complete = json!({"jsonrpc": "2.0", "method": "notifications/elicitation/complete",
        "params": {"elicitationId": asked["elicitationId"]}});
    run(async {
        let mut stream = client().get(hub.gateway.url()).bearer_auth(ada);
        stream = stream.header("accept", "text/event-stream");
        for (name, value) in headers {
            stream = stream.header(name, value);
        }
        let mut stream = stream.send().await.unwrap();
        assert_eq!(stream.status(), 200);
        let (url, key) = (url.to_owned(), ada.clone());
        let browser = thread::spawn(move || Browser::default().log_in(&url, &key).status);
        let mut heard = String::new();
        let told = async {
            while !heard.lines().any(|line| {
                let data = line.strip_prefix("data:").unwrap_or_default();
                serde_json::from_str::<Value>(data).is_ok_and(|it| it == complete)
            }) {
                let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
                heard.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(30), told).await;
        assert!(told.is_ok(), "it is not told");
        assert_eq!(browser.join().unwrap(), 200);
    });
    // At once, because it was told when it could.
    assert_eq!(called()["result"]["content"][0]["text"], "Ada");
}
