//! Sessions with servers of the `initialize` era: what they say besides answers, and their ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::{Client, in_front_of};
use crate::mcp_server::{Era, McpServer};
use crate::support::{Served, answer, until};

async fn shop() -> (Served, Arc<McpServer>) {
    let server = McpServer::start(Era::Legacy).await;
    (in_front_of(&[("shop", &server)]).await, server)
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

/// The sessions in which a method was sent.
fn sessions(server: &McpServer, method: &str) -> BTreeSet<String> {
    let sent = server.sent(method).into_iter();
    let id =
        |headers: &axum::http::HeaderMap| headers["mcp-session-id"].to_str().unwrap().to_owned();
    sent.map(|sent| id(&sent.headers)).collect()
}

#[tokio::test]
async fn what_a_server_asks_on_the_stream_of_a_session_reaches_the_call() {
    let (served, _server) = shop().await;
    let old = Client::of(&served, "/mcp", Era::Legacy).await;
    let mut events = old
        .events(7, "tools/call", json!({"name": "shop_aside"}))
        .await;
    let log = events.next().await.unwrap();
    assert_eq!(log["params"]["data"], "aside", "{log}");
    let question = events.next().await.unwrap();
    assert_eq!(question["method"], "roots/list", "{question}");
    old.respond(&question["id"], json!({"roots": [1]})).await;
    let end = events.next().await.unwrap();
    assert_eq!(
        (&end["id"], text(&end["result"])),
        (&json!(7), r#"{"roots":[1]}"#)
    );

    let modern = Client::of(&served, "/mcp", Era::Modern).await;
    let mut call = json!({"name": "shop_aside"});
    let asked = modern.result("tools/call", call.clone()).await;
    let (key, input) = asked["inputRequests"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(input["method"], "roots/list", "{asked}");
    call["requestState"] = asked["requestState"].clone();
    call["inputResponses"] = json!({key: {"roots": [2]}});
    let end = modern.result("tools/call", call).await;
    assert_eq!(text(&end), r#"{"roots":[2]}"#);
}

#[tokio::test]
async fn servers_that_asked_for_the_roots_of_a_session_hear_that_they_changed() {
    const CHANGED: &str = "notifications/roots/list_changed";
    const ABLE: &str = r#"{"roots":{"listChanged":true}}"#;
    let (served, server) = shop().await;
    let client = Client::able(&served, "/mcp", Era::Legacy, ABLE).await;
    let other = Client::able(&served, "/mcp", Era::Legacy, ABLE).await;
    for client in [&client, &other] {
        let echo = json!({"name": "shop_echo"});
        client.result("tools/call", echo).await;
        // Nobody has asked.
        client.tell(CHANGED, json!({})).await;
    }
    let declared = server.sent("initialize");
    let declared = &declared[1].body["params"]["capabilities"];
    assert_eq!(declared["roots"]["listChanged"], true, "{declared}");

    let aside = json!({"name": "shop_aside"});
    let mut events = client.events(7, "tools/call", aside).await;
    events.next().await.unwrap();
    let question = events.next().await.unwrap();
    assert_eq!(question["method"], "roots/list", "{question}");
    let roots = json!({"roots": []});
    client.respond(&question["id"], roots).await;
    events.next().await.unwrap();
    other.tell(CHANGED, json!({})).await;
    client.tell(CHANGED, json!({})).await;
    until("the server hears of it", async || {
        !server.sent(CHANGED).is_empty()
    })
    .await;
    let asked = server.sent("tools/call").pop().unwrap();
    assert_eq!(asked.body["params"]["name"], "aside");
    let heard = sessions(&server, CHANGED);
    let there = asked.headers["mcp-session-id"].to_str().unwrap();
    assert_eq!(heard, BTreeSet::from([there.to_owned()]));
}

#[tokio::test]
async fn a_session_that_has_ended_is_made_anew_without_losing_the_call() {
    let (served, server) = shop().await;
    for (era, capabilities) in [(Era::Legacy, r#"{"roots":{}}"#), (Era::Modern, "{}")] {
        let client = Client::able(&served, "/mcp", era, capabilities).await;
        let echo = async || {
            client
                .result("tools/call", json!({"name": "shop_echo"}))
                .await
        };
        assert!(text(&echo().await).contains("echo"));
        let before = server.sent("initialize").len();
        server.expire();
        let sent = server.sent("tools/call").len();
        assert!(text(&echo().await).contains("echo"), "{era:?}");
        assert!(server.sent("initialize").len() > before, "{era:?}");
        // One was refused, and one was answered.
        assert_eq!(server.sent("tools/call").len(), sent + 2, "{era:?}");
    }
    // What the server ended is not ended again.
    let deleted = sessions(&server, "DELETE");
    assert!(deleted.is_disjoint(&sessions(&server, "tools/call")));
}

#[tokio::test]
async fn an_answer_goes_on_after_its_stream_broke_off() {
    let (served, server) = shop().await;
    for era in [Era::Legacy, Era::Modern] {
        let client = Client::of(&served, "/mcp", era).await;
        let result = client
            .result("tools/call", json!({"name": "shop_pause"}))
            .await;
        assert_eq!(text(&result), "after a pause");
    }
    assert_eq!(
        server.sent("tools/call").len(),
        2,
        "nothing is called twice"
    );
}

#[tokio::test]
async fn sessions_end_with_those_of_their_clients_with_their_server_and_with_the_gateway() {
    let (served, server) = shop().await;
    let (one, two) = (
        Client::of(&served, "/mcp", Era::Legacy).await,
        Client::of(&served, "/mcp", Era::Legacy).await,
    );
    for client in [&one, &two] {
        client
            .result("tools/call", json!({"name": "shop_echo"}))
            .await;
    }
    let begun = sessions(&server, "tools/call");
    assert_eq!(begun.len(), 2, "each has its own");
    let end = served.client.delete(served.url("/mcp"));
    let end = end.header("mcp-session-id", one.session.as_deref().unwrap());
    assert_eq!(answer(end).await.0, 204);
    until("its session has ended", async || {
        sessions(&server, "DELETE").len() == 1
    })
    .await;
    assert!(sessions(&server, "DELETE").is_subset(&begun));
    served.hub.remove("shop");
    until("all have ended", async || {
        sessions(&server, "DELETE").is_superset(&begun)
    })
    .await;
    until("that of the lists has, too", async || {
        sessions(&server, "DELETE").len() == 3
    })
    .await;

    let (served, server) = shop().await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    client
        .result("tools/call", json!({"name": "shop_echo"}))
        .await;
    served.gateway.leave().await;
    // It is waited for.
    assert_eq!(sessions(&server, "DELETE").len(), 2);
    assert_eq!(server.sent("DELETE").len(), 2, "each ends once");
}
