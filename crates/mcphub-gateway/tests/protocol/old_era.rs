//! The era of `initialize`: 2025-11-25 down to 2025-03-26.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Events, Served, answer, names, quick, serve_hub, shop};

fn message(id: i64, method: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string()
}

async fn in_session(hub: &Served, session: &str, body: String) -> (StatusCode, Value) {
    answer(
        hub.post("/mcp")
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25")
            .body(body),
    )
    .await
}

fn stream(hub: &Served, session: &str) -> reqwest::RequestBuilder {
    let request = hub
        .client
        .get(hub.url("/mcp"))
        .header("accept", "text/event-stream");
    request.header("mcp-session-id", session)
}

#[tokio::test]
async fn initialize_settles_on_a_version() {
    let (hub, _) = shop().await;
    for (requested, settled) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("nonsense", "2025-11-25"),
    ] {
        let (session, body) = hub.initialize(requested).await;
        let result = &body["result"];
        assert_eq!(result["protocolVersion"], settled, "{requested}");
        assert_eq!(
            result["capabilities"],
            json!({"tools": {"listChanged": true}})
        );
        assert_eq!(
            result["serverInfo"],
            json!({"name": "mcphub", "version": env!("CARGO_PKG_VERSION")})
        );
        assert!(
            result["instructions"]
                .as_str()
                .unwrap()
                .contains("The shop API")
        );
        assert!(
            session.bytes().all(|byte| (0x21..=0x7e).contains(&byte)),
            "{session}"
        );
    }
    let (_, body) = hub.old("initialize", json!({})).await;
    assert_eq!(body["error"]["code"], -32602);
}

#[tokio::test]
async fn a_session_lists_and_calls() {
    let (hub, server) = shop().await;
    let (session, _) = hub.initialize("2025-11-25").await;
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    assert_eq!(in_session(&hub, &session, initialized).await.0, 202);
    assert_eq!(
        in_session(&hub, &session, message(2, "ping")).await.1,
        json!({"jsonrpc": "2.0", "id": 2, "result": {}})
    );
    let (_, list) = in_session(&hub, &session, message(3, "tools/list")).await;
    assert_eq!(names(&list)[0], "shop_echo");
    assert!(list["result"].get("resultType").is_none() && list["result"].get("ttlMs").is_none());
    let call = json!({"jsonrpc": "2.0", "id": "c", "method": "tools/call", "params": {"name": "shop_echo", "arguments": {"a": 1}}});
    let (status, body) = in_session(&hub, &session, call.to_string()).await;
    assert_eq!(
        (
            status.as_u16(),
            &body["id"],
            &body["result"]["content"][0]["text"]
        ),
        (200, &json!("c"), &json!(r#"{"a":1}"#))
    );
    assert_eq!(server.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn methods_that_there_are_not_are_errors_with_status_200() {
    let (hub, _) = shop().await;
    for method in [
        "logging/setLevel",
        "resources/list",
        "prompts/list",
        "subscriptions/listen",
    ] {
        let (status, body) = hub.old(method, json!({})).await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_i64()),
            (200, Some(-32601)),
            "{method}"
        );
    }
}

#[tokio::test]
async fn an_unknown_tool_is_an_error_of_the_protocol() {
    let (hub, _) = shop().await;
    let (status, body) = hub.old("tools/call", json!({"name": "shop_nothing"})).await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_i64()),
        (200, Some(-32602))
    );
}

#[tokio::test]
async fn an_unknown_version_header_is_refused() {
    let (hub, _) = shop().await;
    let request = hub
        .post("/mcp")
        .header("mcp-protocol-version", "1999-01-01")
        .body(message(1, "ping"));
    let (status, body) = answer(request).await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_i64()),
        (400, Some(-32022))
    );
}

#[tokio::test]
async fn delete_ends_a_session_and_its_stream() {
    let (hub, _) = shop().await;
    let (session, _) = hub.initialize("2025-11-25").await;
    let mut events = Events::open(stream(&hub, &session)).await;
    let delete = || {
        hub.client
            .delete(hub.url("/mcp"))
            .header("mcp-session-id", &session)
    };
    assert_eq!(answer(delete()).await.0, 204);
    assert_eq!(events.next().await, None);
    assert_eq!(in_session(&hub, &session, message(1, "ping")).await.0, 404);
    assert_eq!(answer(stream(&hub, &session)).await.0, 404);
    assert_eq!(answer(delete()).await.0, 404);
    let (other, _) = hub.initialize("2025-11-25").await;
    assert_eq!(in_session(&hub, &other, message(1, "ping")).await.0, 200);
}

#[tokio::test]
async fn a_session_of_another_server_is_told_to_begin_anew() {
    let (hub, _) = shop().await;
    let (status, body) = in_session(
        &hub,
        "5b1f6c1e-0000-4000-8000-000000000000",
        message(4, "ping"),
    )
    .await;
    assert_eq!((status.as_u16(), &body["id"]), (404, &json!(4)));
}

#[tokio::test]
async fn a_session_outlives_the_gateway_that_began_it() {
    let (before, server) = shop().await;
    let (session, _) = before.initialize("2025-06-18").await;
    let hub = std::sync::Arc::clone(&before.hub);
    drop(before);
    let after = serve_hub(hub, quick()).await;
    let (status, list) = in_session(&after, &session, message(1, "tools/list")).await;
    assert_eq!((status.as_u16(), names(&list).len()), (200, 6));
    // The list is the one that the client knows: nothing to tell.
    assert!(
        Events::open(stream(&after, &session))
            .await
            .is_silent()
            .await
    );
    let hub = std::sync::Arc::clone(&after.hub);
    drop(after);
    *server.tools.lock().unwrap() = Vec::new();
    let changed = serve_hub(hub, quick()).await;
    let told = Events::open(stream(&changed, &session))
        .await
        .next()
        .await
        .unwrap();
    assert_eq!(
        told,
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    );
}

#[tokio::test]
async fn changes_are_told_once_on_the_newest_stream() {
    let (hub, server) = shop().await;
    let (session, _) = hub.initialize("2025-11-25").await;
    let mut older = Events::open(stream(&hub, &session)).await;
    let mut newer = Events::open(stream(&hub, &session)).await;
    server.change(&["new"]);
    assert_eq!(
        newer.next().await.unwrap()["method"],
        "notifications/tools/list_changed"
    );
    assert!(older.is_silent().await);
    drop(newer);
    crate::support::until("a message on the stream that is left", async || {
        server.change(&[
            "newer",
            &format!(
                "n{}",
                server.listed.load(std::sync::atomic::Ordering::SeqCst)
            ),
        ]);
        !older.is_silent().await
    })
    .await;
}

#[tokio::test]
async fn a_stream_needs_a_session_or_a_version_and_its_media_type() {
    let (hub, _) = shop().await;
    let get = || hub.client.get(hub.url("/mcp"));
    assert_eq!(
        answer(get().header("accept", "text/event-stream")).await.0,
        405
    );
    let (session, _) = hub.initialize("2025-11-25").await;
    assert_eq!(
        answer(
            get()
                .header("accept", "application/json")
                .header("mcp-session-id", &session)
        )
        .await
        .0,
        406
    );
    Events::open(
        get()
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", "2025-06-18"),
    )
    .await;
    let delete = hub
        .client
        .delete(hub.url("/mcp"))
        .header("mcp-protocol-version", "2025-06-18");
    assert_eq!(answer(delete).await.0, 400);
}

#[tokio::test]
async fn batches_are_of_2025_03_26_only_and_bounded() {
    let (hub, _) = shop().await;
    let call =
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "shop_echo"}});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let init = json!({"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}});
    let batch =
        json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, note, call, init, 5]).to_string();
    let (session, _) = hub.initialize("2025-03-26").await;
    let (status, body) = answer(
        hub.post("/mcp")
            .header("mcp-session-id", &session)
            .body(batch.clone()),
    )
    .await;
    assert_eq!(status, 200);
    let replies = body.as_array().unwrap();
    assert_eq!(replies.len(), 4);
    assert_eq!(
        (&replies[0]["id"], &replies[0]["result"]),
        (&json!(1), &json!({}))
    );
    assert_eq!(replies[1]["result"]["content"][0]["text"], "{}");
    assert_eq!(
        (&replies[2]["error"]["code"], &replies[3]["error"]["code"]),
        (&json!(-32600), &json!(-32600))
    );
    assert_eq!(
        answer(hub.post("/mcp").body(json!([note]).to_string()))
            .await
            .0,
        202
    );
    let (status, body) = in_session(&hub, &session, batch).await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_i64()),
        (400, Some(-32600))
    );
    for bad in [json!([]), json!(vec![note; 101])] {
        let (status, body) = answer(hub.post("/mcp").body(bad.to_string())).await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_i64()),
            (400, Some(-32600))
        );
    }
}
