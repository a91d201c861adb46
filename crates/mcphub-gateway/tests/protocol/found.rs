//! Endpoints whose tools are found rather than listed, and virtual servers.

use std::sync::Arc;

use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolName;
use mcphub_core::virtual_server::{ToolChange, VirtualServer};
use mcphub_gateway::ToolsMode;
use serde_json::{Value, json};

use crate::mcp_server::{Era, McpServer};
use crate::support::{
    Events, Hub, Served, Server, answer, builder, modern_body, names, quick, serve, serve_gateway,
    serve_hub, until,
};

const THREE: [&str; 3] = ["find_tools", "describe_tool", "call_tool"];

async fn ask(served: &Served, path: &str, method: &str, params: Value) -> Value {
    let body = modern_body(1, method, params);
    answer(served.modern_request(path, &body)).await.1
}

async fn call(served: &Served, path: &str, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    let answer = ask(served, path, "tools/call", params).await;
    let result = answer.get("result");
    result.unwrap_or_else(|| panic!("{tool}: {answer}")).clone()
}

async fn listed(served: &Served, path: &str) -> Vec<String> {
    names(&ask(served, path, "tools/list", json!({})).await)
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn tools_are_found_described_and_called() {
    let (shop, other) = (Server::with(&["getBook", "echo"]), Server::with(&["echo"]));
    let served = serve(&[("shop", &shop), ("other", &other)], quick()).await;
    let path = "/mcp?tools=search";
    assert_eq!(listed(&served, path).await, THREE);
    let found = call(
        &served,
        path,
        "find_tools",
        json!({"query": "get a book", "limit": 1}),
    )
    .await;
    let found: Value = serde_json::from_str(text(&found)).unwrap();
    assert_eq!(
        found,
        json!({"tools": [{"name": "shop_getBook", "arguments": []}]})
    );
    let described = call(
        &served,
        path,
        "describe_tool",
        json!({"name": "shop_getBook"}),
    )
    .await;
    let described: Value = serde_json::from_str(text(&described)).unwrap();
    let all = ask(&served, "/mcp", "tools/list", json!({})).await;
    assert_eq!(described, all["result"]["tools"][1]);
    let arguments = json!({"name": "shop_echo", "arguments": {"n": 1}});
    let called = call(&served, path, "call_tool", arguments).await;
    assert_eq!(text(&called), r#"{"n":1}"#);
    let direct = call(&served, path, "shop_echo", json!({"n": 2})).await;
    assert_eq!(text(&direct), r#"{"n":2}"#);

    let one = "/mcp/other?tools=search";
    let called = call(&served, one, "call_tool", json!({"name": "echo"})).await;
    assert_eq!(text(&called), "{}");
    let discovered = ask(&served, path, "server/discover", json!({})).await;
    let told = discovered["result"]["instructions"].as_str().unwrap();
    assert!(
        told.contains("find_tools") && told.contains("shop_"),
        "{told}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_search_is_told_to_the_model() {
    let shop = Server::with(&["getBook", "listBooks"]);
    let served = serve(&[("shop", &shop)], quick()).await;
    let path = "/mcp?tools=search";
    for (tool, arguments, told) in [
        ("find_tools", json!({}), "query: has to be a text"),
        (
            "find_tools",
            json!({"query": "a", "limit": 0}),
            "limit: has to be",
        ),
        (
            "find_tools",
            json!({"query": "x".repeat(2_000)}),
            "at most 1000 bytes",
        ),
        (
            "describe_tool",
            json!({"name": "getBook"}),
            "Did you mean shop_getBook",
        ),
        (
            "describe_tool",
            json!({"name": "zzz"}),
            "Unknown tool: zzz. find_tools",
        ),
        (
            "call_tool",
            json!({"name": "getBook"}),
            "Did you mean shop_getBook",
        ),
        ("call_tool", json!({"name": "call_tool"}), "name: has to be"),
        (
            "call_tool",
            json!({"name": "shop_getBook", "arguments": 1}),
            "arguments: has to be",
        ),
    ] {
        let result = call(&served, path, tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        assert!(text(&result).contains(told), "{told}: {result}");
    }
    let nothing = call(&served, path, "find_tools", json!({"query": "zebra"})).await;
    assert!(
        text(&nothing).starts_with("None of the 2 tools"),
        "{nothing}"
    );
    let body = modern_body(1, "tools/list", json!({}));
    let (status, _) = answer(served.modern_request("/mcp?tools=some", &body)).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_gateway_can_search_unless_a_client_wants_all() {
    let shop = Server::with(&["echo"]);
    let mut settings = quick();
    settings.tools = ToolsMode::Search;
    let served = serve(&[("shop", &shop)], settings).await;
    assert_eq!(served.names().await, THREE);
    assert_eq!(listed(&served, "/mcp?tools=all").await, ["shop_echo"]);
    let (_, old) = served
        .old(
            "tools/call",
            json!({"name": "call_tool", "arguments": {"name": "shop_echo"}}),
        )
        .await;
    assert_eq!(text(&old["result"]), "{}");
}

#[tokio::test]
async fn what_changes_is_found_and_the_three_do_not_change() {
    let shop = Server::with(&["getBook"]);
    let served = serve(&[("shop", &shop)], quick()).await;
    let path = "/mcp?tools=search";
    let subscribe = json!({"notifications": {"toolsListChanged": true}});
    let body = modern_body(1, "subscriptions/listen", subscribe);
    let mut events = Events::open(served.modern_request(path, &body)).await;
    events.next().await.unwrap();
    events.line().await.unwrap();
    shop.change(&["sellCar"]);
    until("the new tool to be found", async || {
        let found = call(&served, path, "find_tools", json!({"query": "car"})).await;
        text(&found).contains("shop_sellCar")
    })
    .await;
    assert!(events.is_silent().await);
}

#[tokio::test]
async fn servers_that_speak_for_themselves_are_called_through_a_search() {
    for era in [Era::Modern, Era::Legacy] {
        let server = McpServer::start(era).await;
        let hub = Arc::new(Hub::default());
        hub.attach("shop", &server.url);
        let served = serve_hub(hub, quick()).await;
        until("the list", async || served.names().await.len() > 1).await;
        let arguments = json!({"name": "shop_echo", "arguments": {"region": "eu"}});
        let params = json!({"name": "call_tool", "arguments": arguments});
        let answer = ask(&served, "/mcp?tools=search", "tools/call", params).await;
        assert!(answer["result"]["content"].is_array(), "{answer}");
        let sent = server.sent("tools/call").pop().unwrap();
        assert_eq!(sent.body["params"]["name"], "echo");
        assert_eq!(sent.body["params"]["arguments"], json!({"region": "eu"}));
        if era == Era::Modern {
            assert_eq!(sent.headers["mcp-name"], "echo");
            assert_eq!(sent.headers["mcp-param-region"], "eu");
        }
    }
}

/// A desk with a book of the shop and two things of a server that speaks for itself.
fn desk() -> VirtualServer {
    let mut desk = VirtualServer::new(ServerName::new("desk").unwrap());
    desk.instructions = Some("At your service.".into());
    desk.tools = ["shop/get*", "mcp/echo"]
        .map(|it| it.parse().unwrap())
        .into();
    desk.prompts = vec!["mcp/greet".parse().unwrap()];
    desk.resources = vec!["mcp/test://a".parse().unwrap()];
    let mut change = ToolChange::default();
    change.name = Some(ToolName::new("book").unwrap());
    change.description = Some("The book.".into());
    let shop = ServerName::new("shop").unwrap();
    desk.changes.insert((shop, "getBook".into()), change);
    let mut change = ToolChange::default();
    change.preset.insert("region".into(), json!("eu"));
    change.hidden = vec!["debug".into()];
    let mcp = ServerName::new("mcp").unwrap();
    desk.changes.insert((mcp, "echo".into()), change);
    desk
}

async fn with_desk() -> (Served, Arc<Server>, Arc<McpServer>) {
    let shop = Server::with(&["getBook", "getHours", "sell"]);
    let mcp = McpServer::start(Era::Modern).await;
    let hub = Arc::new(Hub::default());
    hub.register("shop", &shop);
    hub.attach("mcp", &mcp.url);
    let gateway = builder(&hub, quick()).virtual_servers(vec![desk()]);
    let served = serve_gateway(hub, gateway.build().unwrap()).await;
    until("both lists", async || served.names().await.len() > 5).await;
    (served, shop, mcp)
}

#[tokio::test]
async fn a_virtual_server_has_what_is_chosen_and_nothing_else() {
    let (served, shop, _) = with_desk().await;
    let path = "/mcp/desk";
    assert_eq!(
        listed(&served, path).await,
        ["mcp_echo", "book", "shop_getHours"]
    );
    let list = ask(&served, path, "tools/list", json!({})).await;
    assert_eq!(list["result"]["tools"][1]["description"], "The book.");
    call(&served, path, "book", json!({"n": 1})).await;
    let calls = shop.calls.lock().unwrap().clone();
    assert_eq!(calls, [("getBook".to_owned(), r#"{"n":1}"#.to_owned())]);
    for hidden in ["shop_sell", "shop_getBook", "mcp_hang"] {
        let params = json!({"name": hidden});
        let answer = ask(&served, path, "tools/call", params).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    let discovered = ask(&served, path, "server/discover", json!({})).await;
    assert_eq!(discovered["result"]["instructions"], "At your service.");
    assert_eq!(served.gateway.virtual_servers()[0].1, 3);
    let searched = "/mcp/desk?tools=search";
    let found = call(&served, searched, "call_tool", json!({"name": "book"})).await;
    assert_eq!(text(&found), "{}");
}

#[tokio::test]
async fn arguments_are_set_and_hidden_and_no_caller_sets_them() {
    let (served, _, mcp) = with_desk().await;
    let path = "/mcp/desk";
    let list = ask(&served, path, "tools/list", json!({})).await;
    let schema = &list["result"]["tools"][0]["inputSchema"];
    assert_eq!(schema["properties"], json!({}));
    call(&served, path, "mcp_echo", json!({"x": 1})).await;
    let sent = mcp.sent("tools/call").pop().unwrap();
    let arguments = &sent.body["params"]["arguments"];
    assert_eq!(*arguments, json!({"region": "eu", "x": 1}));
    assert_eq!(sent.headers["mcp-param-region"], "eu");
    for wrong in [json!({"region": "us"}), json!({"debug": true})] {
        let refused = call(&served, path, "mcp_echo", wrong).await;
        assert!(text(&refused).contains("is not an argument of this tool"));
    }
    assert_eq!(mcp.sent("tools/call").len(), 1);
    // The server's own endpoint is as it was.
    call(&served, "/mcp/mcp", "echo", json!({"region": "us"})).await;
}

#[tokio::test]
async fn prompts_and_resources_are_chosen_too() {
    let (served, ..) = with_desk().await;
    let path = "/mcp/desk";
    let prompts = ask(&served, path, "prompts/list", json!({})).await;
    assert_eq!(prompts["result"]["prompts"][0]["name"], "mcp_greet");
    let resources = ask(&served, path, "resources/list", json!({})).await;
    let listed = resources["result"]["resources"].as_array().unwrap();
    let uris: Vec<_> = listed
        .iter()
        .map(|it| it["uri"].as_str().unwrap())
        .collect();
    assert_eq!(uris, ["test://mcp/a"]);
    let read = async |uri: &str| ask(&served, path, "resources/read", json!({"uri": uri})).await;
    assert!(read("test://mcp/a").await["result"]["contents"].is_array());
    assert_eq!(read("ui://mcp/app").await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_virtual_server_follows_its_servers_and_says_so() {
    let (served, shop, _) = with_desk().await;
    let subscribe = json!({"notifications": {"toolsListChanged": true}});
    let body = modern_body(1, "subscriptions/listen", subscribe);
    let mut events = Events::open(served.modern_request("/mcp/desk", &body)).await;
    events.next().await.unwrap();
    shop.change(&["getBook", "getShelf", "sell"]);
    let told = events.next().await.unwrap();
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(
        listed(&served, "/mcp/desk").await,
        ["mcp_echo", "book", "shop_getShelf"]
    );
}
