//! What a server has besides tools, and what it keeps for its callers, is each principal's own.

use std::sync::Arc;

use mcphub_core::principal::Permissions;
use mcphub_gateway::KeyAuthenticator;
use serde_json::{Value, json};

use super::keys::{Keys, allowed, everything, told};
use super::mcp_server::{Era, McpServer};
use super::support::*;

/// A shop and a bank that speak MCP, and keys.
struct Guarded {
    served: Served,
    keys: Arc<Keys>,
    shop: Arc<McpServer>,
}

impl Guarded {
    async fn with(era: Era) -> Self {
        let (shop, bank) = (McpServer::start(era).await, McpServer::start(era).await);
        let hub = Arc::new(Hub::default());
        hub.attach("shop", &shop.url);
        hub.attach("bank", &bank.url);
        let keys = Arc::new(Keys::default());
        let authenticator = Arc::new(KeyAuthenticator::new(keys.clone()));
        let gateway = builder(&hub, quick()).authenticator(authenticator);
        let served = serve_gateway(hub, gateway.build().unwrap()).await;
        until("the first lists", async || {
            let servers = served.gateway.servers();
            servers.iter().all(|server| server.tools > 0)
        })
        .await;
        Self { served, keys, shop }
    }

    fn key(&self, name: &str, permissions: Permissions) -> Holder<'_> {
        Holder {
            guarded: self,
            token: self.keys.add(name, permissions),
        }
    }
}

struct Holder<'a> {
    guarded: &'a Guarded,
    token: String,
}

impl Holder<'_> {
    fn request(&self, path: &str, method: &str, params: Value) -> reqwest::RequestBuilder {
        let mut body = modern_body(1, method, params);
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({"elicitation": {}});
        let request = self.guarded.served.modern_request(path, &body);
        request.bearer_auth(&self.token)
    }

    async fn ask(&self, method: &str, params: Value) -> (u16, String, Value) {
        told(self.request("/mcp", method, params)).await
    }

    async fn listed(&self, method: &str, member: &str, key: &str) -> Vec<String> {
        let (_, _, body) = self.ask(method, json!({})).await;
        let list = body["result"][member].as_array().cloned();
        let text = |item: &Value| item[key].as_str().unwrap().to_owned();
        list.unwrap_or_default().iter().map(text).collect()
    }
}

#[tokio::test]
async fn a_rule_about_a_server_lets_to_its_prompts_and_resources() {
    let guarded = Guarded::with(Era::Modern).await;
    for permissions in [allowed(&["sh*"], false), allowed(&["shop", "bank/x"], true)] {
        let name = if permissions.read_only {
            "reader"
        } else {
            "shopper"
        };
        let key = guarded.key(name, permissions);
        let prompts = key.listed("prompts/list", "prompts", "name").await;
        assert_eq!(prompts, ["shop_greet"]);
        let resources = key.listed("resources/list", "resources", "uri").await;
        assert_eq!(resources, ["test://shop/a", "ui://shop/app"]);
        let templates = "resources/templates/list";
        let templates = key
            .listed(templates, "resourceTemplates", "uriTemplate")
            .await;
        assert_eq!(templates, ["test://shop/t/{id}"]);
        for (method, own, others) in [
            (
                "prompts/get",
                json!({"name": "shop_greet"}),
                json!({"name": "bank_greet"}),
            ),
            (
                "resources/read",
                json!({"uri": "test://shop/a"}),
                json!({"uri": "test://bank/a"}),
            ),
            (
                "resources/read",
                json!({"uri": "test://shop/t/1"}),
                json!({"uri": "test://bank/t/1"}),
            ),
            (
                "completion/complete",
                json!({"ref": {"type": "ref/prompt", "name": "shop_greet"}, "argument": {"name": "who", "value": ""}}),
                json!({"ref": {"type": "ref/resource", "uri": "test://bank/t/{id}"}, "argument": {"name": "id", "value": ""}}),
            ),
        ] {
            let (status, _, body) = key.ask(method, own).await;
            assert!(
                status == 200 && body["result"].is_object(),
                "{method}: {body}"
            );
            let (status, challenge, body) = key.ask(method, others).await;
            assert_eq!(status, 403, "{method}: {body}");
            assert!(challenge.ends_with(r#"scope="bank""#), "{challenge}");
        }
    }
}

#[tokio::test]
async fn a_rule_about_tools_lets_to_nothing_else() {
    let guarded = Guarded::with(Era::Modern).await;
    let key = guarded.key("caller", allowed(&["shop/*"], false));
    let (_, _, body) = key.ask("server/discover", json!({})).await;
    let capabilities = &body["result"]["capabilities"];
    assert!(capabilities["tools"].is_object(), "{body}");
    for absent in ["prompts", "resources", "completions"] {
        assert!(capabilities[absent].is_null(), "{absent}: {body}");
    }
    assert!(
        key.listed("prompts/list", "prompts", "name")
            .await
            .is_empty()
    );
    let (status, ..) = key
        .ask("resources/read", json!({"uri": "test://shop/a"}))
        .await;
    assert_eq!(status, 403);
    for (method, params) in [
        ("resources/list", json!({})),
        ("resources/read", json!({"uri": "test://a"})),
        ("prompts/get", json!({"name": "greet"})),
        ("x/echo", json!({})),
    ] {
        let (status, _, body) = told(key.request("/mcp/shop", method, params)).await;
        assert_eq!(status, 403, "{method}: {body}");
        assert!(
            guarded
                .shop
                .sent(method)
                .iter()
                .all(|sent| sent.body["params"]["uri"].is_null())
        );
    }
    assert!(guarded.shop.sent("x/echo").is_empty() && guarded.shop.sent("prompts/get").is_empty());

    // What an extension does, nobody knows: whoever only reads does not get there.
    let reader = guarded.key("reader", allowed(&["shop"], true));
    let echo = |key: &Holder<'_>| key.request("/mcp/shop", "x/echo", json!({}));
    assert_eq!(told(echo(&reader)).await.0, 403);
    let whole = guarded.key("whole", allowed(&["shop"], false));
    assert_eq!(told(echo(&whole)).await.0, 200);
}

#[tokio::test]
async fn a_subscription_is_granted_to_what_may_be_read() {
    let guarded = Guarded::with(Era::Modern).await;
    let key = guarded.key("shopper", allowed(&["shop"], false));
    let uris = ["test://bank/a", "test://shop/a"];
    let filter = json!({"notifications": {"resourceSubscriptions": uris}});
    let mut events = Events::open(key.request("/mcp", "subscriptions/listen", filter)).await;
    let acknowledged = events.next().await.unwrap();
    let granted = &acknowledged["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(granted, &json!(["test://shop/a"]));
}

#[tokio::test]
async fn a_servers_session_is_of_one_principal() {
    let guarded = Guarded::with(Era::Legacy).await;
    let (ada, bob) = (
        guarded.key("ada", everything()),
        guarded.key("bob", everything()),
    );
    for key in [&ada, &bob, &ada] {
        let (status, _, body) = key.ask("tools/call", json!({"name": "shop_echo"})).await;
        assert_eq!(status, 200, "{body}");
    }
    let sent = guarded.shop.sent("tools/call");
    let sessions: Vec<_> = sent
        .iter()
        .map(|sent| &sent.headers["mcp-session-id"])
        .collect();
    assert_eq!(sessions.len(), 3);
    assert!(
        sessions[0] == sessions[2] && sessions[0] != sessions[1],
        "{sessions:?}"
    );
}

#[tokio::test]
async fn a_call_that_waits_for_input_is_of_who_made_it() {
    let guarded = Guarded::with(Era::Legacy).await;
    let (ada, bob) = (
        guarded.key("ada", everything()),
        guarded.key("bob", everything()),
    );
    let (_, _, asked) = ada.ask("tools/call", json!({"name": "shop_ask"})).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let input = json!({"input": {"action": "accept", "content": {"name": "Ada"}}});
    let state = &asked["result"]["requestState"];
    let retry = json!({"name": "shop_ask", "inputResponses": input, "requestState": state});
    let (_, _, refused) = bob.ask("tools/call", retry.clone()).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let (_, _, answered) = ada.ask("tools/call", retry).await;
    let text = answered["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("Ada"), "{answered}");
}

#[tokio::test]
async fn a_task_is_of_whom_it_was_given_to() {
    let guarded = Guarded::with(Era::Modern).await;
    let (ada, bob) = (
        guarded.key("ada", everything()),
        guarded.key("bob", everything()),
    );
    for path in ["/mcp", "/mcp/shop"] {
        let name = if path == "/mcp" { "shop_task" } else { "task" };
        let mut made = Events::open(ada.request(path, "tools/call", json!({"name": name}))).await;
        made.next().await.unwrap();
        let id = made.next().await.unwrap()["result"]["taskId"].clone();
        let params = json!({"taskId": id});
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let (_, _, refused) = told(bob.request(path, method, params.clone())).await;
            let unknown = format!("Unknown task: {}", id.as_str().unwrap());
            assert_eq!(refused["error"]["message"], unknown, "{refused}");
            assert_eq!(refused["error"]["code"], -32602);
            let (_, _, answered) = told(ada.request(path, method, params.clone())).await;
            assert!(answered["result"].is_object(), "{answered}");
        }
    }
    assert_eq!(guarded.shop.sent("tasks/get").len(), 2);
}

#[tokio::test]
async fn the_state_of_a_call_is_of_who_made_it() {
    let guarded = Guarded::with(Era::Modern).await;
    let (ada, bob) = (
        guarded.key("ada", everything()),
        guarded.key("bob", everything()),
    );
    let (_, _, asked) = ada.ask("tools/call", json!({"name": "shop_ask"})).await;
    let state = &asked["result"]["requestState"];
    let retry = |state: &Value| json!({"name": "shop_ask", "inputResponses": {"name": {}}, "requestState": state});
    for (holder, state) in [(&bob, state), (&ada, &json!("s1")), (&ada, &json!(1))] {
        let (_, _, refused) = holder.ask("tools/call", retry(state)).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        let text = refused["error"]["message"].as_str().unwrap();
        assert!(
            text.contains("nothing waits for this `requestState`"),
            "{text}"
        );
    }
    // Nor at another server.
    let elsewhere = json!({"name": "bank_ask", "inputResponses": {}, "requestState": state});
    let (_, _, refused) = ada.ask("tools/call", elsewhere).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let (_, _, answered) = ada.ask("tools/call", retry(state)).await;
    let text = answered["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(r#"["s1","#), "{answered}");
    assert_eq!(guarded.shop.sent("tools/call").len(), 2);
}
