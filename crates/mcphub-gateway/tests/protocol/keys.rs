//! API keys: who is let in, and to what.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use mcphub_core::audit::Hash;
use mcphub_core::key::{ApiKey, FoundApiKey, KeyListing, KeyName, KeyToken, NewApiKey, Standing};
use mcphub_core::principal::{Permissions, ToolRule};
use mcphub_core::shared::Rate;
use mcphub_core::store::ApiKeyStore;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::KeyAuthenticator;
use reqwest::RequestBuilder;
use reqwest::header::WWW_AUTHENTICATE;
use serde_json::{Value, json};

use super::support::*;

/// Keys that a test edits.
#[derive(Debug, Default)]
pub struct Keys {
    found: Mutex<HashMap<[u8; 32], FoundApiKey>>,
    fails: AtomicBool,
    asked: AtomicUsize,
    noted: AtomicUsize,
}

impl Keys {
    /// Adds a key and gives its token.
    pub fn add(&self, name: &str, permissions: Permissions) -> String {
        let bits = std::array::from_fn(|place| name.as_bytes()[place % name.len()]);
        let token = KeyToken::from_entropy(bits);
        let key = ApiKey {
            name: KeyName::new(name).unwrap(),
            user: None,
            permissions,
            created_at: 0,
            rotated_at: 0,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        };
        let found = FoundApiKey {
            key,
            replaced_at: None,
            standing: Standing::default(),
        };
        self.found.lock().unwrap().insert(token.digest().0, found);
        token.expose().to_owned()
    }

    fn edit(&self, name: &str, edit: impl Fn(&mut FoundApiKey)) {
        let mut found = self.found.lock().unwrap();
        found
            .values_mut()
            .filter(|found| found.key.name.as_str() == name)
            .for_each(edit);
    }
}

#[async_trait]
impl ApiKeyStore for Keys {
    async fn create_api_key(&self, _: &NewApiKey) -> Result<bool> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the gateway makes no key",
        ))
    }

    async fn api_keys(&self, _: Option<&KeyName>, _: u32) -> Result<KeyListing> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the gateway lists no key",
        ))
    }

    async fn api_key(&self, _: &KeyName) -> Result<Option<FoundApiKey>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the gateway asks for no name",
        ))
    }

    async fn find_api_key(&self, digest: &Hash) -> Result<Option<FoundApiKey>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is away"));
        }
        Ok(self.found.lock().unwrap().get(&digest.0).cloned())
    }

    async fn rotate_api_key(&self, _: &KeyName, _: &Hash, _: i64) -> Result<bool> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the gateway rotates no key",
        ))
    }

    async fn revoke_api_key(&self, _: &KeyName) -> Result<bool> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "the gateway revokes no key",
        ))
    }

    async fn note_api_key_use(&self, name: &KeyName, at: i64) -> Result<()> {
        self.noted.fetch_add(1, Ordering::SeqCst);
        self.edit(name.as_str(), |found| found.key.last_used_at = Some(at));
        Ok(())
    }
}

/// A shop and a bank, each with a tool that reads and one that does not say so.
pub async fn guarded() -> (Served, Arc<Keys>, Arc<Server>) {
    let hub = Arc::new(Hub::default());
    let shop = Server::with(&["get"]);
    shop.tools
        .lock()
        .unwrap()
        .push(json!({"name": "buy", "inputSchema": {"type": "object"}}));
    hub.register("shop", &shop);
    hub.register("bank", &shop);
    let keys = Arc::new(Keys::default());
    let authenticator = KeyAuthenticator::new(keys.clone());
    let gateway = builder(&hub, quick()).authenticator(Arc::new(authenticator));
    let served = serve_gateway(hub, gateway.build().unwrap()).await;
    (served, keys, shop)
}

pub fn everything() -> Permissions {
    Permissions::default()
}

pub fn allowed(rules: &[&str], read_only: bool) -> Permissions {
    let mut permissions = Permissions::default();
    permissions.allow = rules
        .iter()
        .map(|rule| ToolRule::new(rule).unwrap())
        .collect();
    permissions.read_only = read_only;
    permissions
}

fn list(hub: &Served) -> RequestBuilder {
    hub.modern_request("/mcp", &modern_body(1, "tools/list", json!({})))
}

fn call(hub: &Served, tool: &str) -> RequestBuilder {
    let params = json!({"name": tool, "arguments": {}});
    hub.modern_request("/mcp", &modern_body(1, "tools/call", params))
}

/// The status, the challenge, and the body.
pub async fn told(request: RequestBuilder) -> (u16, String, Value) {
    let response = request.send().await.unwrap();
    let challenge = response.headers().get(WWW_AUTHENTICATE);
    let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    let body = serde_json::from_str(&body).unwrap_or_default();
    (status, challenge.unwrap_or_default(), body)
}

#[tokio::test]
async fn nobody_is_let_in_without_a_key() {
    let (hub, keys, server) = guarded().await;
    keys.add("ci", everything());
    let get = hub.client.get(hub.url("/mcp"));
    let delete = hub.client.delete(hub.url("/mcp"));
    let broken = hub.post("/mcp/nobody").body("{");
    let basic = call(&hub, "shop_get").header("authorization", "Basic YTpi");
    let query = hub.modern_request(
        "/mcp?access_token=a",
        &modern_body(1, "tools/list", json!({})),
    );
    for request in [list(&hub), get, delete, broken, basic, query] {
        let (status, challenge, body) = told(request).await;
        assert_eq!(
            (status, challenge.as_str()),
            (401, r#"Bearer realm="mcphub""#)
        );
        assert_eq!(body["error"]["code"], -31401, "{body}");
    }
    let health = hub.client.get(hub.url("/healthz"));
    let (status, _, health) = told(health).await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert!(health.get("servers").is_none(), "{health}");
    assert!(server.calls.lock().unwrap().is_empty());
    assert_eq!(keys.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn servers_are_named_to_who_may_use_them() {
    let (hub, keys, _) = guarded().await;
    let health = async |token: &str| {
        let request = hub.client.get(hub.url("/healthz")).bearer_auth(token);
        let servers = told(request).await.2["servers"].take();
        let names = servers
            .as_array()?
            .iter()
            .map(|server| server["name"].to_string());
        Some(names.collect::<Vec<_>>().join(" "))
    };
    for (name, rules, named) in [
        ("all", &[][..], r#""bank" "shop""#),
        ("one", &["shop/get"], r#""shop""#),
        ("none", &["other"], ""),
    ] {
        let key = keys.add(name, allowed(rules, false));
        assert_eq!(health(&key).await.as_deref(), Some(named));
    }
    assert_eq!(health("mcphub_no").await, None);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_with_a_reason() {
    let (hub, keys, _) = guarded().await;
    let revoked = keys.add("revoked", everything());
    keys.edit("revoked", |found| found.key.revoked_at = Some(1));
    let expired = keys.add("expired", everything());
    keys.edit("expired", |found| found.key.expires_at = Some(1));
    let unknown = KeyToken::from_entropy([9; 32]).expose().to_owned();
    let mut wrong = unknown.clone();
    wrong.pop();
    for (token, reason) in [
        (&revoked, "revoked"),
        (&expired, "expired"),
        (&unknown, "not known"),
        (&wrong, "not whole"),
    ] {
        let (status, challenge, body) = told(list(&hub).bearer_auth(token)).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!(status, 401, "{reason}");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{challenge}"
        );
        assert!(
            challenge.contains(reason) && message.contains(reason),
            "{challenge} {message}"
        );
        assert!(!message.contains(token.as_str()));
    }
    let asked = keys.asked.load(Ordering::SeqCst);
    told(list(&hub).bearer_auth(&wrong)).await;
    assert_eq!(
        keys.asked.load(Ordering::SeqCst),
        asked,
        "a typing error asks no store"
    );
    let twice = list(&hub).bearer_auth(&unknown).bearer_auth(&unknown);
    let (status, challenge, _) = told(twice).await;
    assert_eq!(status, 400);
    assert!(
        challenge.contains(r#"error="invalid_request""#),
        "{challenge}"
    );
}

#[tokio::test]
async fn a_key_sees_and_calls_what_it_may_and_is_told_the_rule_otherwise() {
    let (hub, keys, server) = guarded().await;
    let all = ["bank_get", "bank_buy", "shop_get", "shop_buy"];
    for (name, permissions, seen, rule) in [
        ("all", everything(), &all[..], ""),
        (
            "reader",
            allowed(&[], true),
            &["bank_get", "shop_get"],
            "read-only",
        ),
        (
            "shopper",
            allowed(&["shop"], false),
            &all[2..],
            "only shop is allowed",
        ),
        (
            "getter",
            allowed(&["s*/get", "x/y"], true),
            &["shop_get"],
            "only s*/get, x/y is allowed",
        ),
        (
            "nobody",
            allowed(&["x/y"], false),
            &[],
            "only x/y is allowed",
        ),
    ] {
        let token = keys.add(name, permissions);
        let (_, _, body) = told(list(&hub).bearer_auth(&token)).await;
        assert_eq!(names(&body), seen, "{name}");
        assert_eq!(body["result"]["cacheScope"], "private");
        for tool in all {
            server.calls.lock().unwrap().clear();
            let (status, challenge, body) = told(call(&hub, tool).bearer_auth(&token)).await;
            let called = server.calls.lock().unwrap().len();
            if seen.contains(&tool) {
                assert_eq!((status, called), (200, 1), "{name} {tool}: {body}");
                continue;
            }
            assert_eq!((status, called), (403, 0), "{name} {tool}");
            let scope = tool.replace('_', "/");
            let wanted =
                format!(r#"Bearer realm="mcphub", error="insufficient_scope", scope="{scope}""#);
            assert_eq!(challenge, wanted);
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains(&scope), "{message}");
            assert!(
                message.contains(rule) || message.contains("read-only"),
                "{message}"
            );
        }
        let (status, _, body) = told(call(&hub, "shop_none").bearer_auth(&token)).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (200, &json!(-32602)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_denied_call_is_told_alike_when_progress_was_asked_for() {
    let (hub, keys, server) = guarded().await;
    let token = keys.add("reader", allowed(&[], true));
    let mut body = modern_body(
        1,
        "tools/call",
        json!({"name": "shop_buy", "arguments": {}}),
    );
    body["params"]["_meta"]["progressToken"] = json!(1);
    let request = hub.modern_request("/mcp", &body).bearer_auth(&token);
    let (status, challenge, _) = told(request).await;
    assert_eq!(status, 403);
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    assert!(server.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_key_may_not_see_is_not_told() {
    let (hub, keys, _) = guarded().await;
    let token = keys.add("shopper", allowed(&["shop/get"], false));
    let discover = |path: &str| {
        hub.modern_request(path, &modern_body(1, "server/discover", json!({})))
            .bearer_auth(&token)
    };
    let (_, _, body) = told(discover("/mcp")).await;
    let text = body["result"]["instructions"].as_str().unwrap();
    assert!(
        text.contains("The shop API") && !text.contains("bank"),
        "{text}"
    );
    let (_, _, body) = told(discover("/mcp/bank")).await;
    let text = body["result"]["instructions"].as_str().unwrap();
    assert!(!text.contains("The bank API"), "{text}");

    let body = modern_body(
        7,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let listen = hub.modern_request("/mcp", &body).bearer_auth(&token);
    let mut events = Events::open(listen).await;
    events.next().await.unwrap();
    hub.hub.register("more", &Server::with(&["get"]));
    let more = keys.add("all", everything());
    until("the new server is served", async || {
        names(&told(list(&hub).bearer_auth(&more)).await.2).contains(&"more_get".to_owned())
    })
    .await;
    // A comment that keeps the stream alive comes every 15 s, later than this.
    while let Ok(line) = tokio::time::timeout(Duration::from_millis(300), events.line()).await {
        assert!(!line.unwrap().contains("list_changed"));
    }
}

#[tokio::test]
async fn a_batch_tells_of_each_call_that_is_denied() {
    let (hub, keys, _) = guarded().await;
    let token = keys.add("reader", allowed(&[], true));
    let call = |id: i64, tool: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}});
    let body = json!([call(1, "shop_get"), call(2, "shop_buy")]).to_string();
    let batch = hub
        .post("/mcp")
        .header("mcp-protocol-version", "2025-03-26");
    let (status, _, body) = told(batch.bearer_auth(&token).body(body)).await;
    assert_eq!(status, 200);
    assert!(body[0]["result"].is_object(), "{body}");
    assert_eq!(body[1]["error"]["code"], -31403, "{body}");
}

#[tokio::test]
async fn a_session_belongs_to_who_began_it() {
    let (hub, keys, _) = guarded().await;
    let (ada, bob) = (keys.add("ada", everything()), keys.add("bob", everything()));
    let message = |method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
    };
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let begin = hub
        .post("/mcp")
        .bearer_auth(&ada)
        .body(message("initialize", params));
    let response = begin.send().await.unwrap();
    let session = response.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let ping = async |token: &str, session: &str| {
        let ping = hub.post("/mcp").header("mcp-session-id", session);
        told(ping.bearer_auth(token).body(message("ping", json!({}))))
            .await
            .0
    };
    let end = async |token: &str| {
        let end = hub
            .client
            .delete(hub.url("/mcp"))
            .header("mcp-session-id", &session);
        told(end.bearer_auth(token)).await.0
    };
    assert_eq!(ping(&ada, &session).await, 200);
    assert_eq!(ping(&bob, &session).await, 404);
    assert_eq!(end(&bob).await, 404);
    assert_eq!(ping(&ada, &session).await, 200);
    let unowned = session.rsplit_once('.').unwrap().0;
    assert_eq!(ping(&ada, unowned).await, 404);
    assert_eq!(end(&ada).await, 204);
    assert_eq!(ping(&ada, &session).await, 404);
}

#[tokio::test]
async fn a_revocation_is_seen_soon_and_ends_open_streams() {
    let (hub, keys, _) = guarded().await;
    let (ada, bob) = (keys.add("ada", everything()), keys.add("bob", everything()));
    let listen = |token: &str| {
        let params = json!({"notifications": {"toolsListChanged": true}});
        hub.modern_request("/mcp", &modern_body(1, "subscriptions/listen", params))
            .bearer_auth(token)
    };
    let mut ended = Events::open(listen(&ada)).await;
    let mut stays = Events::open(listen(&bob)).await;
    for events in [&mut ended, &mut stays] {
        assert!(events.next().await.is_some());
    }
    assert_eq!(told(list(&hub).bearer_auth(&ada)).await.0, 200);
    keys.edit("ada", |found| found.key.revoked_at = Some(1));
    let begun = SystemTime::now();
    until("the key is refused", async || {
        told(list(&hub).bearer_auth(&ada)).await.0 == 401
    })
    .await;
    assert!(begun.elapsed().unwrap() < Duration::from_secs(3));
    let cancelled = ended.next().await.unwrap();
    assert_eq!(cancelled["method"], "notifications/cancelled");
    assert_eq!(
        ended.next().await.unwrap()["result"]["resultType"],
        "complete"
    );
    assert_eq!(ended.next().await, None);
    hub.hub.register("more", &Server::with(&["get"]));
    assert_eq!(
        stays.next().await.unwrap()["method"],
        "notifications/tools/list_changed"
    );
}

#[tokio::test]
async fn who_was_let_in_goes_on_while_the_store_is_away() {
    let (hub, keys, _) = guarded().await;
    let (ada, bob) = (keys.add("ada", everything()), keys.add("bob", everything()));
    assert_eq!(told(list(&hub).bearer_auth(&ada)).await.0, 200);
    keys.fails.store(true, Ordering::SeqCst);
    let asked = keys.asked.load(Ordering::SeqCst);
    until("the store is asked again", async || {
        assert_eq!(told(list(&hub).bearer_auth(&ada)).await.0, 200);
        keys.asked.load(Ordering::SeqCst) > asked
    })
    .await;
    let response = list(&hub).bearer_auth(&bob).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    keys.fails.store(false, Ordering::SeqCst);
    assert_eq!(told(list(&hub).bearer_auth(&bob)).await.0, 200);
}

#[tokio::test]
async fn keys_have_rates_of_their_own_behind_one_address() {
    let (hub, keys) = (Arc::new(Hub::default()), Arc::new(Keys::default()));
    hub.register("shop", &Server::with(&["get"]));
    // Three at once, and no other within the test.
    let rate = "1/d".parse::<Rate>().unwrap().with_burst(3);
    let gateway = builder(&hub, quick())
        .shared(mcphub_store::memory::shared())
        .rate_limit(rate)
        .authenticator(Arc::new(KeyAuthenticator::new(keys.clone())));
    let hub = serve_gateway(hub, gateway.build().unwrap()).await;
    let (ada, bob) = (keys.add("ada", everything()), keys.add("bob", everything()));
    let status = async |token: &str| told(list(&hub).bearer_auth(token)).await.0;
    // The first of each counts by the address, which then has one left.
    for token in [&ada, &bob] {
        for _ in 0..4 {
            assert_eq!(status(token).await, 200);
        }
        assert_eq!(status(token).await, 429);
    }
    let unknown = KeyToken::from_entropy([9; 32]).expose().to_owned();
    assert_eq!((status(&unknown).await, status(&unknown).await), (401, 429));
}

#[tokio::test]
async fn a_use_is_noted_once_however_often_a_key_is_used() {
    let (hub, keys, _) = guarded().await;
    let token = keys.add("ci", everything());
    let noted = || keys.noted.load(Ordering::SeqCst);
    told(list(&hub).bearer_auth(&token)).await;
    until("the use is noted", async || noted() == 1).await;
    let asked = keys.asked.load(Ordering::SeqCst);
    until("the store is asked again", async || {
        told(list(&hub).bearer_auth(&token)).await;
        keys.asked.load(Ordering::SeqCst) > asked
    })
    .await;
    assert_eq!(noted(), 1);
}
