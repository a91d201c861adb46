//! The modern era: 2026-07-28.

use serde_json::{Value, json};

use crate::support::{Events, Server, answer, modern_body, names, quick, serve, shop};

#[tokio::test]
async fn discover_says_what_the_gateway_is() {
    let (hub, _) = shop().await;
    let (status, body) = hub.modern("server/discover", json!({})).await;
    assert_eq!(status, 200);
    let result = &body["result"];
    assert_eq!(result["resultType"], "complete");
    assert_eq!(
        result["supportedVersions"],
        json!([
            "2026-07-28",
            "2025-11-25",
            "2025-06-18",
            "2025-03-26",
            "2024-11-05"
        ])
    );
    assert_eq!(
        result["capabilities"],
        json!({"tools": {"listChanged": true}})
    );
    assert_eq!(result["ttlMs"], 0);
    assert_eq!(result["cacheScope"], "public");
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "mcphub"
    );
    assert!(
        result["instructions"]
            .as_str()
            .unwrap()
            .contains("shop_: The shop API 1.0")
    );
}

#[tokio::test]
async fn lists_are_complete_prefixed_and_cacheable() {
    let (hub, _) = shop().await;
    let (status, body) = hub.modern("tools/list", json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(names(&body)[..2], ["shop_echo", "shop_hang"]);
    let tool = &body["result"]["tools"][0];
    assert_eq!(
        (&tool["title"], &tool["annotations"]["readOnlyHint"]),
        (&json!("name"), &json!(true))
    );
    assert_eq!(body["result"]["resultType"], "complete");
    assert_eq!(
        (&body["result"]["ttlMs"], &body["result"]["cacheScope"]),
        (&json!(0), &json!("public"))
    );
}

#[tokio::test]
async fn one_server_is_served_under_its_own_names() {
    let (hub, server) = shop().await;
    let (_, body) =
        answer(hub.modern_request("/mcp/shop", &modern_body(1, "tools/list", json!({})))).await;
    assert_eq!(names(&body)[0], "echo");
    let call = modern_body(2, "tools/call", json!({"name": "echo"}));
    let (status, body) = answer(hub.modern_request("/mcp/shop", &call)).await;
    assert_eq!(
        (status.as_u16(), &body["result"]["content"][0]["text"]),
        (200, &json!("{}"))
    );
    assert_eq!(
        *server.calls.lock().unwrap(),
        [("echo".to_owned(), "{}".to_owned())]
    );
    let (_, discovered) =
        answer(hub.modern_request("/mcp/shop", &modern_body(1, "server/discover", json!({}))))
            .await;
    let instructions = discovered["result"]["instructions"].as_str().unwrap();
    assert!(
        instructions.contains("The shop API 1.0") && instructions.contains("Sells things."),
        "{instructions}"
    );
    for path in ["/mcp/nobody", "/mcp/No_Name"] {
        let (status, body) = answer(hub.modern_request(path, &call)).await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_i64()),
            (404, Some(-31404)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn arguments_are_forwarded_byte_for_byte() {
    let (hub, server) = shop().await;
    let arguments = r#"{ "n" : 1.10, "big": 123456789012345678901234567890, "ü": "\u00fc" }"#;
    let body = modern_body(
        7,
        "tools/call",
        json!({"name": "shop_echo", "arguments": "HERE"}),
    );
    let text = body.to_string().replace("\"HERE\"", arguments);
    let (status, answered) = answer(hub.modern_request("/mcp", &body).body(text)).await;
    assert_eq!(status, 200);
    assert_eq!(server.calls.lock().unwrap()[0].1, arguments);
    assert_eq!(answered["id"], 7);
    let result = &answered["result"];
    assert_eq!(
        (&result["resultType"], &result["content"][0]["text"]),
        (&json!("complete"), &json!(arguments))
    );
    assert_eq!(
        result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "mcphub"
    );
}

#[tokio::test]
async fn a_large_result_arrives_whole() {
    let (hub, _) = shop().await;
    let (status, body) = hub
        .modern("tools/call", json!({"name": "shop_large"}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        body["result"]["content"][0]["text"].as_str().unwrap().len(),
        200_000
    );
}

#[tokio::test]
async fn pages_follow_each_other_and_stale_cursors_are_refused() {
    let server = Server::with(&["a", "b", "c", "d", "e"]);
    let mut settings = quick();
    settings.page_size = 2;
    let hub = serve(&[("shop", &server)], settings).await;
    let mut seen = Vec::new();
    let mut params = json!({});
    let stale = loop {
        let (_, body) = hub.modern("tools/list", params).await;
        seen.extend(names(&body));
        assert_eq!(body["result"]["cacheScope"], "public");
        match body["result"]["nextCursor"].as_str() {
            Some(cursor) => params = json!({"cursor": cursor}),
            None => break seen.len(),
        }
    };
    assert_eq!((stale, &seen[4]), (5, &"shop_e".to_owned()));
    for cursor in [json!(""), json!("x-1"), json!("2"), json!(3)] {
        let (status, body) = hub.modern("tools/list", json!({"cursor": cursor})).await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_i64()),
            (200, Some(-32602)),
            "{cursor}"
        );
    }
}

#[tokio::test]
async fn a_request_that_lacks_its_meta_is_malformed() {
    let (hub, _) = shop().await;
    for meta in [
        json!({}),
        json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}),
        json!({"io.modelcontextprotocol/clientCapabilities": {}}),
        json!({"io.modelcontextprotocol/protocolVersion": 1, "io.modelcontextprotocol/clientCapabilities": {}}),
        json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": 1}),
    ] {
        let (status, body) = hub
            .modern("tools/list", json!({"_meta": meta.clone()}))
            .await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_i64()),
            (400, Some(-32602)),
            "{meta}: {body}"
        );
        assert_eq!(body["id"], 1);
    }
}

#[tokio::test]
async fn headers_have_to_say_what_the_body_says() {
    let (hub, server) = shop().await;
    let body = modern_body(1, "tools/call", json!({"name": "shop_echo"}));
    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "tools/call");
    let name = ("mcp-name", "shop_echo");
    for headers in [
        vec![method, name],
        vec![version, name],
        vec![version, method],
        vec![("mcp-protocol-version", "2025-11-25"), method, name],
        vec![version, ("mcp-method", "tools/list"), name],
        vec![version, method, ("mcp-name", "shop_hang")],
        vec![version, method, ("mcp-name", "=?base64?!?=")],
        vec![version, method, name, ("mcp-name", "shop_hang")],
    ] {
        let mut request = hub.post("/mcp").body(body.to_string());
        for (key, value) in &headers {
            request = request.header(*key, *value);
        }
        let (status, answered) = answer(request).await;
        assert_eq!(
            (status.as_u16(), answered["error"]["code"].as_i64()),
            (400, Some(-32020)),
            "{headers:?}: {answered}"
        );
    }
    assert!(server.calls.lock().unwrap().is_empty());
    let encoded = hub
        .post("/mcp")
        .body(body.to_string())
        .header(version.0, version.1)
        .header(method.0, method.1);
    let (status, _) = answer(encoded.header("mcp-name", "=?base64?c2hvcF9lY2hv?=")).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_unknown_version_is_answered_with_the_known_ones() {
    let (hub, _) = shop().await;
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "1900-01-01"});
    let body = modern_body(1, "tools/list", json!({"_meta": meta}));
    let request = hub
        .post("/mcp")
        .header("mcp-protocol-version", "1900-01-01")
        .body(body.to_string());
    let (status, answered) = answer(request).await;
    assert_eq!(
        (status.as_u16(), answered["error"]["code"].as_i64()),
        (400, Some(-32022))
    );
    assert_eq!(answered["error"]["data"]["requested"], "1900-01-01");
    assert_eq!(answered["error"]["data"]["supported"][0], "2026-07-28");
}

#[tokio::test]
async fn methods_that_there_are_not_are_404() {
    let (hub, _) = shop().await;
    for method in [
        "resources/list",
        "ping",
        "initialize",
        "logging/setLevel",
        "nonsense",
    ] {
        let (status, body) = hub.modern(method, json!({})).await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_i64()),
            (404, Some(-32601)),
            "{method}"
        );
    }
}

#[tokio::test]
async fn an_unknown_tool_is_an_error_of_the_protocol() {
    let (hub, _) = shop().await;
    let (status, body) = hub
        .modern("tools/call", json!({"name": "shop_nothing"}))
        .await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_i64()),
        (200, Some(-32602))
    );
    assert_eq!(body["error"]["message"], "Unknown tool: shop_nothing");
}

#[tokio::test]
async fn a_call_that_is_no_call_is_malformed() {
    let (hub, _) = shop().await;
    for params in [
        json!({}),
        json!({"name": 1}),
        json!({"name": "shop_echo", "arguments": [1]}),
    ] {
        let (status, body) = hub.modern("tools/call", params.clone()).await;
        assert_eq!(
            (status.as_u16(), body["error"]["code"].as_i64()),
            (400, Some(-32602)),
            "{params}"
        );
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_that_a_model_can_read() {
    let (hub, _) = shop().await;
    let (status, body) = hub
        .modern("tools/call", json!({"name": "shop_unreachable"}))
        .await;
    assert_eq!(status, 200);
    assert_eq!(body["result"]["isError"], true);
    let text = body["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        text.starts_with("The server shop did not answer this call: no connection"),
        "{text}"
    );
}

#[tokio::test]
async fn a_fault_of_the_gateway_tells_no_details() {
    let (hub, _) = shop().await;
    let (status, body) = hub.modern("tools/call", json!({"name": "shop_bug"})).await;
    assert_eq!(
        (status.as_u16(), body["error"]["code"].as_i64()),
        (200, Some(-32603))
    );
    assert!(!body.to_string().contains("secret"), "{body}");
}

#[tokio::test]
async fn there_is_nothing_to_get_or_delete() {
    let (hub, _) = shop().await;
    for request in [
        hub.client.get(hub.url("/mcp")),
        hub.client.delete(hub.url("/mcp")),
    ] {
        let request = request
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", "2026-07-28");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "POST");
    }
}

#[tokio::test]
async fn sessions_are_ignored_and_not_given() {
    let (hub, _) = shop().await;
    let body = modern_body(1, "tools/list", json!({}));
    let response = hub
        .modern_request("/mcp", &body)
        .header("mcp-session-id", "whatever")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("mcp-session-id"));
}

#[tokio::test]
async fn notifications_are_taken_without_an_answer() {
    let (hub, _) = shop().await;
    let body =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let request = hub
        .post("/mcp")
        .header("mcp-protocol-version", "2026-07-28")
        .body(body.to_string());
    assert_eq!(
        answer(request).await,
        (reqwest::StatusCode::ACCEPTED, Value::String(String::new()))
    );
}

#[tokio::test]
async fn a_subscription_is_acknowledged_and_then_told_of_changes() {
    let (hub, server) = shop().await;
    let body = modern_body(
        9,
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}}),
    );
    let mut events = Events::open(hub.modern_request("/mcp", &body)).await;
    let id = json!({"io.modelcontextprotocol/subscriptionId": 9});
    let acknowledged = events.next().await.unwrap();
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    assert_eq!(
        acknowledged["params"],
        json!({"_meta": id, "notifications": {"toolsListChanged": true}})
    );
    server.change(&["echo", "new"]);
    let changed = events.next().await.unwrap();
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"], id);
    assert_eq!(hub.names().await, ["shop_echo", "shop_new"]);
    hub.gateway.close();
    let cancelled = events.next().await.unwrap();
    assert_eq!(
        (&cancelled["method"], &cancelled["params"]["requestId"]),
        (&json!("notifications/cancelled"), &json!(9))
    );
    let response = events.next().await.unwrap();
    assert_eq!(
        (
            &response["id"],
            &response["result"]["resultType"],
            &response["result"]["_meta"]
        ),
        (&json!(9), &json!("complete"), &id)
    );
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_subscription_tells_only_what_was_asked_for() {
    let (hub, server) = shop().await;
    let body = modern_body(
        1,
        "subscriptions/listen",
        json!({"notifications": {"promptsListChanged": true}}),
    );
    let mut events = Events::open(hub.modern_request("/mcp", &body)).await;
    assert_eq!(
        events.next().await.unwrap()["params"]["notifications"],
        json!({})
    );
    assert_eq!(events.line().await.as_deref(), Some(""));
    server.change(&["new"]);
    assert!(events.is_silent().await);
    let json_only = hub
        .modern_request("/mcp", &body)
        .header("accept", "application/json");
    assert_eq!(
        json_only
            .build()
            .unwrap()
            .headers()
            .get_all("accept")
            .iter()
            .count(),
        2
    );
    let request = hub
        .client
        .post(hub.url("/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json");
    let request = request
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "subscriptions/listen");
    assert_eq!(answer(request.body(body.to_string())).await.0, 406);
}

#[tokio::test]
async fn quiet_streams_are_kept_alive_and_their_number_is_bounded() {
    let server = Server::with(&["echo"]);
    let mut settings = quick();
    settings.keep_alive = std::time::Duration::from_millis(20);
    settings.max_streams = 1;
    let hub = serve(&[("shop", &server)], settings).await;
    let body = modern_body(1, "subscriptions/listen", json!({"notifications": {}}));
    let mut events = Events::open(hub.modern_request("/mcp", &body)).await;
    events.next().await.unwrap();
    assert_eq!(events.line().await.as_deref(), Some(""));
    assert!(events.line().await.unwrap().starts_with(':'));
    assert_eq!(answer(hub.modern_request("/mcp", &body)).await.0, 503);
    drop(events);
    crate::support::until("a place for another stream", async || {
        hub.modern_request("/mcp", &body)
            .send()
            .await
            .unwrap()
            .status()
            == 200
    })
    .await;
}
