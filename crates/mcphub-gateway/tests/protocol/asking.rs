//! Servers that ask their clients: each era of one, each of the other.

use serde_json::{Value, json};

use crate::client::{ALL, Client, got, with_one};
use crate::mcp_server::Era;
use crate::support::until;

#[tokio::test]
async fn a_server_of_before_asks_a_client_of_before_as_it_goes() {
    let (served, server) = with_one(Era::Legacy).await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    let stranger = Client::of(&served, "/mcp", Era::Legacy).await;
    let mut events = client
        .events(1, "tools/call", json!({"name": "shop_ask"}))
        .await;
    let question = events.next().await.unwrap();
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"], json!({"message": "Who?"}));
    // An answer from another session is nobody's.
    stranger
        .respond(&question["id"], json!({"action": "stolen"}))
        .await;
    client
        .respond(&question["id"], json!({"action": "accept"}))
        .await;
    let end = events.next().await.unwrap();
    assert_eq!(
        got(&end["result"]["content"][0]["text"]),
        json!({"action": "accept"})
    );
    // Lists are read as a client that can be asked all; the server knows what this client can be
    // asked, in a session of its own.
    let initialized = server.sent("initialize");
    let capabilities: Vec<&Value> = initialized
        .iter()
        .map(|it| &it.body["params"]["capabilities"])
        .collect();
    let every = json!({"elicitation": {"form": {}, "url": {}}, "roots": {"listChanged": true}, "sampling": {"context": {}, "tools": {}}});
    assert_eq!(
        capabilities,
        [&every, &serde_json::from_str::<Value>(ALL).unwrap()]
    );
}

#[tokio::test]
async fn a_server_hears_how_far_the_client_is_that_it_asks() {
    const PROGRESS: &str = "notifications/progress";
    let (served, server) = with_one(Era::Legacy).await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    let stranger = Client::of(&served, "/mcp", Era::Legacy).await;
    let call = json!({"name": "shop_ask", "arguments": {"token": 7}});
    let mut events = client.events(1, "tools/call", call).await;
    let question = events.next().await.unwrap();
    // Another server may use the same token.
    let token = &question["params"]["_meta"]["progressToken"];
    assert!(token.is_string(), "{question}");
    let progress = json!({"progressToken": token, "progress": 9});
    stranger.tell(PROGRESS, progress).await;
    for nothing in [
        json!({"progressToken": 7, "progress": 9}),
        json!({"progressToken": token, "progress": "9"}),
        json!({"progress": 9}),
    ] {
        client.tell(PROGRESS, nothing).await;
    }
    let half =
        json!({"progressToken": token, "progress": 0.5, "total": 1, "message": "half", "x": 1});
    client.tell(PROGRESS, half).await;
    until("the server hears of it", async || {
        !server.sent(PROGRESS).is_empty()
    })
    .await;
    let heard = server.sent(PROGRESS);
    assert_eq!(
        heard[0].body["params"],
        json!({"progressToken": 7, "progress": 0.5, "total": 1, "message": "half"})
    );
    let (there, called) = (&heard[0].headers, &server.sent("tools/call")[0].headers);
    assert_eq!(there["mcp-session-id"], called["mcp-session-id"]);
    client
        .respond(&question["id"], json!({"action": "accept"}))
        .await;
    let end = events.next().await.unwrap();
    assert_eq!(
        got(&end["result"]["content"][0]["text"]),
        json!({"action": "accept"})
    );
    client
        .tell(PROGRESS, json!({"progressToken": token, "progress": 1}))
        .await;
    client
        .result("tools/call", json!({"name": "shop_echo"}))
        .await;
    assert_eq!(server.sent(PROGRESS).len(), 1);
}

#[tokio::test]
async fn a_server_of_before_asks_a_modern_client_with_a_result() {
    let (served, server) = with_one(Era::Legacy).await;
    let client = Client::of(&served, "/mcp", Era::Modern).await;
    let params = json!({"name": "shop_ask", "arguments": {}});
    let first = client.result("tools/call", params.clone()).await;
    assert_eq!(first["resultType"], "input_required");
    assert_eq!(
        first["inputRequests"]["input"],
        json!({"method": "elicitation/create", "params": {"message": "Who?"}})
    );
    let retry = |state: &Value| {
        let mut params = params.clone();
        params["requestState"] = state.clone();
        params["inputResponses"] = json!({"input": {"action": "accept"}});
        params
    };
    let end = client
        .result("tools/call", retry(&first["requestState"]))
        .await;
    assert_eq!(got(&end["content"][0]["text"]), json!({"action": "accept"}));
    assert_eq!(end["resultType"], "complete");
    assert_eq!(server.sent("tools/call").len(), 1);
    for state in [&first["requestState"], &json!("mcphub-waiting-0")] {
        assert_eq!(
            client.ask("tools/call", retry(state)).await["error"]["code"],
            -32602
        );
    }
    let unable = Client::able(&served, "/mcp", Era::Modern, "{}").await;
    let refused = unable.result("tools/call", params).await;
    assert_eq!(got(&refused["content"][0]["text"])["code"], -32601);
}

#[tokio::test]
async fn a_modern_server_asks_a_modern_client_untouched() {
    let (served, _server) = with_one(Era::Modern).await;
    let client = Client::of(&served, "/mcp", Era::Modern).await;
    let first = client
        .result("tools/call", json!({"name": "shop_ask"}))
        .await;
    assert_eq!(first["resultType"], "input_required");
    let state = &first["requestState"];
    assert!(state.as_str().unwrap().ends_with(".s1"), "{state}");
    assert_eq!(first["inputRequests"]["dirs"]["method"], "roots/list");
    let params = json!({"name": "shop_ask", "requestState": state, "inputResponses": {"name": 1, "dirs": 2}, "arguments": {"a": 1}});
    let end = client.result("tools/call", params).await;
    assert_eq!(
        got(&end["content"][0]["text"]),
        json!(["s1", {"name": 1, "dirs": 2}, {"a": 1}])
    );
}

#[tokio::test]
async fn a_modern_server_asks_a_client_of_before_as_it_goes() {
    let (served, server) = with_one(Era::Modern).await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    let mut events = client
        .events(
            1,
            "tools/call",
            json!({"name": "shop_ask", "arguments": {"a": 1}}),
        )
        .await;
    for (method, result) in [
        ("elicitation/create", json!({"action": "decline"})),
        ("roots/list", json!({"roots": []})),
    ] {
        let question = events.next().await.unwrap();
        assert_eq!(question["method"], method);
        client.respond(&question["id"], result).await;
    }
    let end = events.next().await.unwrap();
    let answers = json!({"name": {"action": "decline"}, "dirs": {"roots": []}});
    assert_eq!(
        got(&end["result"]["content"][0]["text"]),
        json!(["s1", answers, {"a": 1}])
    );
    assert_eq!(server.sent("tools/call").len(), 2);

    let unable = Client::able(&served, "/mcp", Era::Legacy, r#"{"elicitation":{}}"#).await;
    let refused = unable.ask("tools/call", json!({"name": "shop_ask"})).await;
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("roots/list"),
        "{refused}"
    );
}
