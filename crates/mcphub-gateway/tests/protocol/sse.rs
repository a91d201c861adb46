//! HTTP+SSE of 2024-11-05, for clients that know no other.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::keys::{allowed, everything, guarded};
use crate::support::{Events, Served, Server, answer, quick, serve, shop};

/// A client with its stream open.
struct Client<'a> {
    hub: &'a Served,
    events: Events,
    address: String,
    token: Option<&'a str>,
}

fn stream(hub: &Served, path: &str) -> RequestBuilder {
    let request = hub.client.get(hub.url(path));
    request.header("accept", "text/event-stream")
}

impl<'a> Client<'a> {
    async fn open(hub: &'a Served, path: &str) -> Self {
        Self::with_token(hub, path, None).await
    }

    async fn with_token(hub: &'a Served, path: &str, token: Option<&'a str>) -> Self {
        let mut request = stream(hub, path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let mut events = Events::open(request).await;
        assert_eq!(events.line().await.as_deref(), Some("event: endpoint"));
        let address = events.line().await.expect("an address");
        let address = address.strip_prefix("data: ").expect("data");
        let base: reqwest::Url = hub.url(path).parse().unwrap();
        Self {
            hub,
            events,
            address: base.join(address).unwrap().into(),
            token,
        }
    }

    async fn post(&self, message: &str) -> u16 {
        let request = self.hub.client.post(&self.address);
        let mut request = request.header("content-type", "application/json");
        if let Some(token) = self.token {
            request = request.bearer_auth(token);
        }
        let (status, _) = answer(request.body(message.to_owned())).await;
        status.as_u16()
    }

    async fn ask(&mut self, id: i64, method: &str, params: Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        assert_eq!(self.post(&message.to_string()).await, 202);
        let answer = self.events.next().await.expect("an answer");
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"].clone()
    }

    async fn initialize(&mut self) -> Value {
        let params = json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let result = self.ask(0, "initialize", params).await;
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(self.post(initialized).await, 202);
        result
    }
}

#[tokio::test]
async fn a_client_of_2024_lists_calls_and_hears_of_changes() {
    let (hub, server) = shop().await;
    for (path, tool) in [("/sse", "shop_echo"), ("/sse/shop", "echo")] {
        let mut client = Client::open(&hub, path).await;
        assert_eq!(client.initialize().await["protocolVersion"], "2024-11-05");
        let tools = client.ask(1, "tools/list", json!({})).await;
        let names: Vec<_> = tools["tools"].as_array().unwrap().iter().collect();
        let tool = names.iter().find(|it| it["name"] == tool);
        let tool = tool.unwrap_or_else(|| panic!("{tools}"))["name"].clone();
        let called = client.ask(2, "tools/call", json!({"name": tool})).await;
        assert!(called["content"].is_array(), "{called}");
        assert!(called.get("resultType").is_none(), "{called}");
        server.change(&["echo", "more"]);
        let told = client.events.next().await.expect("an announcement");
        assert_eq!(told["method"], "notifications/tools/list_changed");
        server.change(&["echo"]);
        let told = client.events.next().await.expect("an announcement");
        assert_eq!(told["method"], "notifications/tools/list_changed");
    }
}

#[tokio::test]
async fn messages_go_to_the_stream_whose_address_they_were_sent_to_and_to_no_other() {
    let (hub, _) = shop().await;
    let (mut one, mut two) = (
        Client::open(&hub, "/sse").await,
        Client::open(&hub, "/sse").await,
    );
    assert_ne!(one.address, two.address);
    one.initialize().await;
    two.initialize().await;
    one.ask(1, "ping", json!({})).await;
    let address = one.address.clone();
    drop(one);
    let gone = async || {
        let request = hub.client.post(&address).body("{}");
        let request = request.header("content-type", "application/json");
        answer(request).await.0 == 404
    };
    crate::support::until("the address is none any more", gone).await;
    two.ask(2, "ping", json!({})).await;
}

#[tokio::test]
async fn what_is_no_message_of_an_open_stream_is_refused() {
    let (hub, _) = shop().await;
    let post = |path: &str| hub.client.post(hub.url(path)).body("{}");
    let json = |path: &str| post(path).header("content-type", "application/json");
    assert_eq!(answer(json("/messages")).await.0, 404);
    assert_eq!(answer(json("/messages?session_id=1")).await.0, 404);
    let text = post("/messages").header("content-type", "text/plain");
    assert_eq!(answer(text).await.0, 415);
    let plain = hub
        .client
        .get(hub.url("/sse"))
        .header("accept", "text/html");
    assert_eq!(answer(plain).await.0, 406);
    assert_eq!(answer(stream(&hub, "/sse/nobody")).await.0, 404);
    let elsewhere = stream(&hub, "/sse").header("origin", "https://evil.example");
    assert_eq!(answer(elsewhere).await.0, 403);
    let mut client = Client::open(&hub, "/sse").await;
    client.initialize().await;
    assert_eq!(client.post("nonsense").await, 202);
    let error = client.events.next().await.expect("an error");
    assert_eq!(error["error"]["code"], -32700, "{error}");
    let long = format!("\"{}\"", "x".repeat(9 * 1024 * 1024));
    assert_eq!(client.post(&long).await, 413);
    client.ask(1, "ping", json!({})).await;
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_gateway() {
    let server = Server::with(&["order"]);
    let mut settings = quick();
    settings.max_streams = 1;
    let hub = serve(&[("shop", &server)], settings).await;
    let mut client = Client::open(&hub, "/sse").await;
    client.initialize().await;
    assert_eq!(answer(stream(&hub, "/sse")).await.0, 503);
    hub.gateway.close();
    assert_eq!(client.events.next().await, None);
}

#[tokio::test]
async fn who_opens_a_stream_shows_a_key_sees_what_it_may_and_is_the_only_one_to_use_it() {
    let (hub, keys, _) = guarded().await;
    let (one, other) = (
        keys.add("one", allowed(&["shop/get"], false)),
        keys.add("other", everything()),
    );
    assert_eq!(answer(stream(&hub, "/sse")).await.0, 401);
    let mut client = Client::with_token(&hub, "/sse", Some(&one)).await;
    client.initialize().await;
    let tools = client.ask(1, "tools/list", json!({})).await;
    let tools = tools["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1, "{tools:?}");
    assert_eq!(tools[0]["name"], "shop_get");
    let call =
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "shop_buy"}});
    assert_eq!(client.post(&call.to_string()).await, 202);
    let refused = client.events.next().await.expect("an answer");
    assert!(refused["error"]["code"].is_number(), "{refused}");
    for (token, status) in [(None, 401), (Some(&*other), 404)] {
        let stranger = Client {
            hub: &hub,
            events: Events::open(stream(&hub, "/sse").bearer_auth(&other)).await,
            address: client.address.clone(),
            token,
        };
        assert_eq!(stranger.post("{}").await, status);
    }
    client.ask(3, "ping", json!({})).await;
}
