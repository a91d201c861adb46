//! All of MCP through the gateway, in front of servers of both eras, for clients of both.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::client::{ALL, Client, ERAS, got, in_front_of, with_one};
use crate::mcp_server::{Era, McpServer, TOOLS};
use crate::support::{BOUND, answer, modern_body, names, until};

#[tokio::test]
async fn everything_is_listed_and_read_under_one_roof() {
    for server_era in ERAS {
        let (one, two) = (
            McpServer::start(server_era).await,
            McpServer::start(Era::Modern).await,
        );
        let served = in_front_of(&[("one", &one), ("two", &two)]).await;
        for client_era in ERAS {
            let client = Client::of(&served, "/mcp", client_era).await;
            let prompts = client.result("prompts/list", json!({})).await;
            let prompts = prompts["prompts"].as_array().unwrap();
            assert_eq!(prompts[0]["name"], "one_greet");
            assert_eq!(prompts[1]["name"], "two_greet");
            let resources = client.result("resources/list", json!({})).await;
            let uris: Vec<&Value> = resources["resources"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| &it["uri"])
                .collect();
            assert_eq!(
                uris,
                [
                    "test://one/a",
                    "ui://one/app",
                    "test://two/a",
                    "ui://two/app"
                ]
            );
            let templates = client.result("resources/templates/list", json!({})).await;
            assert_eq!(
                templates["resourceTemplates"][1]["uriTemplate"],
                "test://two/t/{id}"
            );
            let tools = client.result("tools/list", json!({})).await;
            assert_eq!(
                tools["tools"][0]["_meta"]["ui"]["resourceUri"],
                "ui://one/app"
            );

            let read = client
                .result("resources/read", json!({"uri": "test://one/t/7"}))
                .await;
            assert_eq!(read["contents"][0]["uri"], "test://one/t/7");
            let prompt = client
                .result(
                    "prompts/get",
                    json!({"name": "two_greet", "arguments": {"who": "x"}}),
                )
                .await;
            let content = &prompt["messages"][0]["content"];
            assert_eq!(content["resource"]["uri"], "test://two/a");
            assert_eq!(got(&content["resource"]["text"])["name"], "greet");
            let linked = client
                .result("tools/call", json!({"name": "one_link"}))
                .await;
            assert_eq!(linked["content"][0]["uri"], "test://one/a");
            let task = linked["taskId"].as_str().unwrap();
            assert!(task.starts_with("one/") && task.ends_with(".7"), "{task}");
            for (reference, own) in [
                (
                    json!({"type": "ref/prompt", "name": "one_greet"}),
                    json!({"type": "ref/prompt", "name": "greet"}),
                ),
                (
                    json!({"type": "ref/resource", "uri": "test://one/t/{id}"}),
                    json!({"type": "ref/resource", "uri": "test://t/{id}"}),
                ),
            ] {
                let params = json!({"ref": reference, "argument": {"name": "who", "value": "a"}});
                let completed = client.result("completion/complete", params).await;
                assert_eq!(got(&completed["completion"]["values"][0])["ref"], own);
            }
            let cacheable = (
                read["resultType"].clone(),
                read["ttlMs"].clone(),
                read["cacheScope"].clone(),
            );
            match client_era {
                Era::Modern => {
                    assert_eq!(cacheable, (json!("complete"), json!(0), json!("private")))
                }
                Era::Legacy => assert_eq!(cacheable, (Value::Null, Value::Null, Value::Null)),
            }
            for (method, params) in [
                ("prompts/get", json!({"name": "three_greet"})),
                ("resources/read", json!({"uri": "test://three/a"})),
                ("resources/read", json!({"uri": "test://a"})),
            ] {
                assert_eq!(client.ask(method, params).await["error"]["code"], -32602);
            }
            assert_eq!(
                client.ask("x/echo", json!({})).await["error"]["code"],
                -32601
            );
        }
        let sent = one.sent("resources/read");
        assert_eq!(sent[0].body["params"]["uri"], "test://t/7");
        if server_era == Era::Modern {
            assert_eq!(sent[0].headers["mcp-name"], "test://t/7");
        }
    }
}

#[tokio::test]
async fn one_server_is_untouched_at_its_own_endpoint() {
    for server_era in ERAS {
        let (served, server) = with_one(server_era).await;
        for client_era in ERAS {
            let client = Client::of(&served, "/mcp/shop", client_era).await;
            assert_eq!(
                names(&json!({"result": client.result("tools/list", json!({})).await})),
                TOOLS
            );
            let resources = client.result("resources/list", json!({})).await;
            assert_eq!(resources["resources"][0]["uri"], "test://a");
            let linked = client.result("tools/call", json!({"name": "link"})).await;
            assert_eq!(linked["content"][0]["uri"], "test://a");
            // What the gateway does not know goes through.
            let echoed = client.result("x/echo", json!({"y": {"z": 1}})).await;
            assert_eq!(echoed["params"]["y"], json!({"z": 1}));
            assert_eq!(
                client.ask("x/unknown", json!({})).await["error"]["code"],
                -32601
            );
        }
        let modern = Client::of(&served, "/mcp/shop", Era::Modern).await;
        for method in [
            "initialize",
            "ping",
            "logging/setLevel",
            "resources/subscribe",
        ] {
            let before = server.sent(method).len();
            let params = json!({"uri": "test://a", "level": "info"});
            let refused = modern.ask(method, params).await;
            assert_eq!(refused["error"]["code"], -32601, "{method}: {refused}");
            assert_eq!(server.sent(method).len(), before, "{method}");
        }
        let discovered =
            served.modern_request("/mcp/shop", &modern_body(1, "server/discover", json!({})));
        let (_, discovered) = answer(discovered).await;
        let capabilities = &discovered["result"]["capabilities"];
        assert_eq!(
            capabilities["resources"],
            json!({"listChanged": true, "subscribe": true})
        );
        assert_eq!(capabilities["extensions"], json!({"test/x": {"a": 1}}));
        assert!(
            discovered["result"]["instructions"]
                .as_str()
                .unwrap()
                .contains("Be kind.")
        );
        assert_eq!(server.sent("x/echo").len(), 2);
    }
}

#[tokio::test]
async fn what_is_sent_is_what_the_client_wrote_and_the_rest_is_ours() {
    for server_era in ERAS {
        let (served, server) = with_one(server_era).await;
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"shop_echo","arguments":{{"n": 1.10,"b":123456789012345678901234567890}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{ALL},"traceparent":"00-1","progressToken":"mine","x":{{"y":1.0}}}}}}}}"#
        );
        let request = served
            .post("/mcp")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", "shop_echo")
            .header("mcp-param-region", "eu")
            .header("x-other", "1")
            .body(body);
        let (status, _) = answer(request).await;
        assert_eq!(status, 200);
        let sent = &server.sent("tools/call")[0];
        assert!(
            sent.text
                .contains(r#""arguments":{"n": 1.10,"b":123456789012345678901234567890}"#),
            "{}",
            sent.text
        );
        let meta = &sent.body["params"]["_meta"];
        assert_eq!(
            (&meta["traceparent"], &meta["x"]),
            (&json!("00-1"), &json!({"y": 1.0}))
        );
        assert_eq!(meta["progressToken"], sent.body["id"]);
        assert!(sent.headers.get("x-other").is_none());
        let version = meta
            .get("io.modelcontextprotocol/protocolVersion")
            .is_some();
        assert_eq!(version, server_era == Era::Modern);
        if server_era == Era::Modern {
            assert_eq!(sent.headers["mcp-param-region"], "eu");
            assert_eq!(
                meta["io.modelcontextprotocol/clientCapabilities"]["roots"],
                json!({})
            );
        }
    }
}

#[tokio::test]
async fn a_client_of_before_sends_no_headers_and_the_server_gets_them() {
    let (served, server) = with_one(Era::Modern).await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    let arguments = json!({"region": "Düsseldorf", "n": 7});
    let params = json!({"name": "shop_echo", "arguments": arguments});
    client.result("tools/call", params).await;
    let sent = &server.sent("tools/call")[0];
    assert_eq!(
        sent.headers["mcp-param-region"],
        "=?base64?RMO8c3NlbGRvcmY=?="
    );
}

#[tokio::test]
async fn what_is_said_before_the_answer_is_streamed() {
    for server_era in ERAS {
        let (served, _server) = with_one(server_era).await;
        for client_era in ERAS {
            let client = Client::of(&served, "/mcp", client_era).await;
            let meta = match client_era {
                Era::Modern => {
                    json!({"progressToken": "p\"1", "io.modelcontextprotocol/logLevel": "info"})
                }
                Era::Legacy => {
                    client
                        .result("logging/setLevel", json!({"level": "info"}))
                        .await;
                    json!({"progressToken": "p\"1"})
                }
            };
            let mut events = client
                .events(7, "tools/call", json!({"name": "shop_say", "_meta": meta}))
                .await;
            let progress = events.next().await.unwrap();
            assert_eq!(
                progress["params"],
                json!({"progressToken": "p\"1", "progress": 0.5, "x": 1})
            );
            assert_eq!(events.next().await.unwrap()["params"]["level"], "warning");
            assert_eq!(events.next().await.unwrap()["method"], "notifications/x");
            let end = events.next().await.unwrap();
            assert_eq!(
                (&end["id"], &end["result"]["content"][0]["text"]),
                (&json!(7), &json!("said"))
            );
            assert_eq!(events.next().await, None);
        }
    }
}

#[tokio::test]
async fn a_client_that_takes_no_stream_gets_the_answer_alone() {
    let (served, server) = with_one(Era::Legacy).await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    let session = client.session.as_deref().unwrap();
    for (tool, text) in [("shop_say", "said"), ("shop_ask", "cannot be asked")] {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "_meta": {"progressToken": 1}}});
        let request = served
            .client
            .post(served.url("/mcp"))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("mcp-session-id", session)
            .body(body.to_string());
        let (_, answer) = answer(request).await;
        assert!(
            answer["result"]["content"][0]["text"]
                .as_str()
                .unwrap()
                .contains(text),
            "{answer}"
        );
    }
    assert!(
        server.sent("tools/call")[0].body["params"]
            .get("_meta")
            .is_none()
    );
}

#[tokio::test]
async fn an_error_of_a_server_arrives_as_it_is_and_nonsense_as_ours() {
    for server_era in ERAS {
        let (served, _server) = with_one(server_era).await;
        for (client_era, status) in [(Era::Modern, 400), (Era::Legacy, 200)] {
            let client = Client::of(&served, "/mcp", client_era).await;
            let request = client.request(1, "tools/call", json!({"name": "shop_refuse"}));
            let (found, refused) = answer(request).await;
            assert_eq!(found, status);
            let data = json!({"requiredCapabilities": {"x": 1.0}});
            assert_eq!(
                refused["error"],
                json!({"code": -32021, "message": "no", "data": data})
            );
            let wrong = client
                .ask("tools/call", json!({"name": "shop_wrong"}))
                .await;
            assert_eq!(wrong["error"]["code"], -31502);
        }
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled_at_the_server() {
    for server_era in ERAS {
        let (served, server) = with_one(server_era).await;
        for client_era in ERAS {
            let client = Client::of(&served, "/mcp", client_era).await;
            let before = cancelled(&server);
            let params = json!({"name": "shop_hang", "_meta": {"io.modelcontextprotocol/logLevel": "debug"}});
            let mut events = client.events(3, "tools/call", params).await;
            assert_eq!(events.next().await.unwrap()["params"]["data"], "on it");
            match &client.session {
                None => drop(events),
                Some(session) => {
                    let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}});
                    let (status, _) =
                        answer(client.in_session(session).body(body.to_string())).await;
                    assert_eq!(status, 202);
                    assert_eq!(events.next().await, None, "no answer follows");
                }
            }
            until("the cancellation", async || cancelled(&server) > before).await;
        }
    }
}

/// How many calls the server knows to be cancelled.
fn cancelled(server: &McpServer) -> usize {
    match server.era {
        Era::Modern => server.dropped.load(Ordering::SeqCst),
        Era::Legacy => {
            let told = server.sent("notifications/cancelled");
            let calls = server.sent("tools/call");
            let is_call = |id: &Value| calls.iter().any(|call| call.body["id"] == *id);
            told.iter()
                .filter(|it| is_call(&it.body["params"]["requestId"]))
                .count()
        }
    }
}

#[tokio::test]
async fn a_task_is_asked_for_where_it_runs() {
    let (served, server) = with_one(Era::Modern).await;
    let client = Client::of(&served, "/mcp", Era::Modern).await;
    let mut events = client
        .events(1, "tools/call", json!({"name": "shop_task"}))
        .await;
    let told = events.next().await.unwrap();
    let made = events.next().await.unwrap();
    let id = &made["result"]["taskId"];
    assert_eq!(told["method"], "notifications/tasks");
    assert_eq!(&told["params"]["taskId"], id);
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = client.result(method, json!({"taskId": id})).await;
        if method == "tasks/get" {
            assert_eq!(&answer["taskId"], id);
        }
        let sent = &server.sent(method)[0];
        assert_eq!(sent.headers["mcp-name"], "a:/7");
        assert_eq!(sent.body["params"]["taskId"], "a:/7");
    }
    for nobodys in ["7", "a:/7", "shop/a:/7", "bank/a:/7"] {
        let answer = client.ask("tasks/get", json!({"taskId": nobodys})).await;
        assert_eq!(answer["error"]["code"], -32602);
        assert_eq!(
            answer["error"]["message"],
            format!("Unknown task: {nobodys}")
        );
    }
    assert_eq!(server.sent("tasks/get").len(), 1);
}

#[tokio::test]
async fn no_answer_reaches_another_caller() {
    let modern = McpServer::start(Era::Modern).await;
    let legacy = McpServer::start(Era::Legacy).await;
    let served = in_front_of(&[("new", &modern), ("old", &legacy)]).await;
    let old = Client::of(&served, "/mcp", Era::Legacy).await;
    let new = Client::of(&served, "/mcp", Era::Modern).await;
    let calls = (0..200).map(|n| {
        let client = if n % 2 == 0 { &old } else { &new };
        let tool = if n % 3 == 0 { "new_echo" } else { "old_echo" };
        // All callers use the same id.
        let request = client.request(
            1,
            "tools/call",
            json!({"name": tool, "arguments": {"n": n}}),
        );
        async move {
            let (_, answer) = tokio::time::timeout(BOUND, answer(request)).await.unwrap();
            assert_eq!(answer["id"], 1);
            assert_eq!(
                got(&answer["result"]["content"][0]["text"])["arguments"]["n"],
                n,
                "{answer}"
            );
        }
    });
    futures::future::join_all(calls).await;
}

#[tokio::test]
async fn a_server_that_opens_a_sessions_stream_late_is_called_before_and_heard_after() {
    let server = McpServer::start(Era::Legacy).await;
    server.late.store(true, Ordering::SeqCst);
    let served = in_front_of(&[("shop", &server)]).await;
    let client = Client::of(&served, "/mcp", Era::Legacy).await;
    let mut events = client
        .events(1, "tools/call", json!({"name": "shop_aside"}))
        .await;
    events.next().await.unwrap();
    let question = events.next().await.unwrap();
    assert_eq!(question["method"], "roots/list");
    client.respond(&question["id"], json!({"roots": []})).await;
    let end = events.next().await.unwrap();
    assert!(end["result"]["content"][0]["text"].is_string(), "{end}");
}

#[tokio::test]
async fn the_trace_of_a_request_reaches_its_server() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    for server_era in ERAS {
        let (served, _server) = with_one(server_era).await;
        for client_era in ERAS {
            let client = Client::of(&served, "/mcp", client_era).await;
            let call = |meta: Value| {
                let params = json!({"name": "shop_echo", "_meta": meta});
                let request = client.request(1, "tools/call", params);
                let request = request.header("traceparent", parent);
                request.header("baggage", "user=ada")
            };
            let (_, said) = answer(call(json!({}))).await;
            let meta = &got(&said["result"]["content"][0]["text"])["_meta"];
            assert_eq!(
                (&meta["traceparent"], &meta["baggage"]),
                (&json!(parent), &json!("user=ada"))
            );
            let (_, said) = answer(call(json!({"traceparent": "own"}))).await;
            let meta = &got(&said["result"]["content"][0]["text"])["_meta"];
            assert_eq!(meta["traceparent"], "own", "{said}");
        }
    }
}

#[tokio::test]
async fn the_trace_of_a_request_is_in_its_headers_too() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    for server_era in ERAS {
        let (served, server) = with_one(server_era).await;
        let client = Client::of(&served, "/mcp", Era::Modern).await;
        let meta = json!({"traceparent": PARENT, "tracestate": "a=1", "baggage": "b=2"});
        let call = json!({"name": "shop_echo", "_meta": meta});
        client.result("tools/call", call).await;
        let sent = &server.sent("tools/call")[0];
        for (name, value) in [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("baggage", "b=2"),
        ] {
            assert_eq!(sent.headers[name], value);
            assert_eq!(sent.body["params"]["_meta"][name], value);
        }
        let wrong =
            json!({"name": "shop_echo", "_meta": {"traceparent": "00-1", "baggage": "b=\r\n"}});
        client.result("tools/call", wrong).await;
        let sent = &server.sent("tools/call")[1];
        assert_eq!(sent.body["params"]["_meta"]["traceparent"], "00-1");
        for name in ["traceparent", "tracestate", "baggage"] {
            assert!(sent.headers.get(name).is_none(), "{name}");
        }
    }
}
