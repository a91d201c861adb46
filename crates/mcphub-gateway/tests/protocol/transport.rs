//! HTTP itself: what is refused before, or instead of, a message.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{BOUND, Served, Server, answer, modern_body, quick, serve, shop, until};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Sends text as it is and gives what comes back until the other end closes or pauses.
async fn raw(hub: &Served, text: &str) -> String {
    let mut socket = TcpStream::connect(hub.address).await.unwrap();
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(Ok(read @ 1..)) =
        tokio::time::timeout(Duration::from_secs(1), socket.read(&mut buffer)).await
    {
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn malformed_json_is_a_parse_error() {
    let (hub, _) = shop().await;
    for body in [
        "",
        "{",
        "nonsense",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}}"#,
        "[{]",
    ] {
        let (status, answered) = answer(hub.post("/mcp").body(body)).await;
        assert_eq!(
            (status.as_u16(), answered["error"]["code"].as_i64()),
            (400, Some(-32700)),
            "{body}"
        );
        assert!(answered.get("id").is_none() && answered["jsonrpc"] == "2.0");
    }
    let (status, answered) = answer(hub.post("/mcp").body(vec![b'"', 0xff, b'"'])).await;
    assert_eq!(
        (status.as_u16(), answered["error"]["code"].as_i64()),
        (400, Some(-32700))
    );
}

#[tokio::test]
async fn deep_nesting_takes_no_stack() {
    let (hub, _) = shop().await;
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{deep}}}}}"#);
    assert_eq!(answer(hub.post("/mcp").body(body)).await.0, 200);
}

#[tokio::test]
async fn json_that_is_no_message_is_an_invalid_request() {
    let (hub, _) = shop().await;
    for body in [
        "1",
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
    ] {
        let (status, answered) = answer(hub.post("/mcp").body(body)).await;
        assert_eq!(
            (status.as_u16(), answered["error"]["code"].as_i64()),
            (400, Some(-32600)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn members_that_appear_twice_are_refused_and_nothing_is_called() {
    let (hub, server) = shop().await;
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    for (body, member) in [
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"shop_echo"}}"#.to_owned(), "id"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shop_hang","name":"shop_echo"}}"#.to_owned(), "name"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shop_hang","n\u0061me":"shop_echo"}}"#.to_owned(), "name"),
        (format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"shop_echo",{meta},{meta}}}}}"#), "_meta"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shop_echo","_meta":{"a":1,"a":1}}}"#.to_owned(), "a"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shop_echo","arguments":{"x":1,"x":2}}}"#.to_owned(), "x"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shop_echo","arguments":{"o":[{"x":1,"\u0078":2}]}}}"#.to_owned(), "x"),
    ] {
        let (status, answered) = answer(hub.post("/mcp").body(body.clone())).await;
        assert_eq!(status, 400, "{body}");
        let message = answered["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("`{member}` appears twice")), "{message}");
    }
    assert!(server.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn web_pages_of_other_origins_are_refused() {
    let server = Server::with(&["echo"]);
    let mut settings = quick();
    settings.allowed_origins = vec!["https://chat.example.com".into()];
    let hub = serve(&[("shop", &server)], settings).await;
    for (origin, status) in [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8000", 200),
        ("https://chat.example.com", 200),
        ("https://evil.example.com", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
    ] {
        assert_eq!(
            answer(hub.post("/mcp").header("origin", origin).body(PING))
                .await
                .0,
            status,
            "{origin}"
        );
        let stream = hub
            .client
            .get(hub.url("/mcp"))
            .header("origin", origin)
            .header("accept", "text/event-stream");
        let stream = stream.header("mcp-protocol-version", "2025-06-18");
        assert_eq!(stream.send().await.unwrap().status(), status, "{origin}");
        assert_eq!(
            hub.client
                .get(hub.url("/healthz"))
                .header("origin", origin)
                .send()
                .await
                .unwrap()
                .status(),
            status
        );
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_send_and_read() {
    let (hub, _) = shop().await;
    let page = "http://localhost:3000";
    let preflight = hub
        .client
        .request(reqwest::Method::OPTIONS, hub.url("/mcp"))
        .header("origin", page)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,mcp-protocol-version,mcp-method",
        );
    let allowed = preflight.try_clone().unwrap().send().await.unwrap();
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["access-control-allow-origin"], page);
    assert_eq!(
        allowed.headers()["access-control-allow-headers"],
        "content-type,mcp-protocol-version,mcp-method"
    );
    let answered = hub
        .post("/mcp")
        .header("origin", page)
        .body(PING)
        .send()
        .await
        .unwrap();
    assert_eq!(answered.headers()["access-control-allow-origin"], page);
    assert_eq!(
        answered.headers()["access-control-expose-headers"],
        "mcp-session-id,www-authenticate"
    );
    let refused = preflight
        .header("origin", "https://evil.example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), 403);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let server = Server::with(&["echo"]);
    let mut settings = quick();
    settings.body_limit = 1_000;
    let hub = serve(&[("shop", &server)], settings).await;
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let stated = raw(&hub, &format!("{head}content-length: 1001\r\n\r\n")).await;
    assert!(
        stated.starts_with("HTTP/1.1 413 ") && stated.contains("-31413"),
        "{stated}"
    );
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1_000));
    let chunked = raw(
        &hub,
        &format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}"),
    )
    .await;
    assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
    let padded = PING.to_owned() + &" ".repeat(1_000 - PING.len());
    assert_eq!(answer(hub.post("/mcp").body(padded)).await.0, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::with(&["echo"]);
    let mut settings = quick();
    settings.body_timeout = Duration::from_millis(50);
    let hub = serve(&[("shop", &server)], settings).await;
    let answered = raw(
        &hub,
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{",
    )
    .await;
    assert!(answered.starts_with("HTTP/1.1 408 "), "{answered}");
}

#[tokio::test]
async fn media_types_are_read_leniently() {
    let (hub, _) = shop().await;
    for (content_type, status) in [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/vnd.x+json", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
    ] {
        let request = hub
            .client
            .post(hub.url("/mcp"))
            .header("content-type", content_type)
            .body(PING);
        assert_eq!(answer(request).await.0, status, "{content_type}");
    }
    assert_eq!(
        answer(hub.client.post(hub.url("/mcp")).body(PING)).await.0,
        200
    );
    for (accept, status, content_type) in [
        ("application/json", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("text/event-stream", 200, "text/event-stream"),
        ("text/html", 406, "application/json"),
    ] {
        let response = hub
            .client
            .post(hub.url("/mcp"))
            .header("accept", accept)
            .body(PING)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (
                response.status().as_u16(),
                &response.headers()["content-type"]
            ),
            (status, &content_type.parse().unwrap()),
            "{accept}"
        );
    }
}

#[tokio::test]
async fn who_accepts_only_events_gets_the_answer_as_one() {
    let (hub, _) = shop().await;
    let body = modern_body(1, "tools/call", json!({"name": "shop_lines"}));
    let mut request = hub.modern_request("/mcp", &body).build().unwrap();
    request
        .headers_mut()
        .insert("accept", "text/event-stream".parse().unwrap());
    let text = hub
        .client
        .execute(request)
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let data = text
        .strip_prefix("data: ")
        .unwrap()
        .strip_suffix("\n\n")
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(data).unwrap()["result"]["content"],
        json!([])
    );
}

#[tokio::test]
async fn other_methods_and_paths_are_not_there() {
    let (hub, _) = shop().await;
    let put = hub.client.put(hub.url("/mcp")).send().await.unwrap();
    assert_eq!(put.status(), 405);
    assert_eq!(
        hub.client
            .post(hub.url("/"))
            .body(PING)
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call() {
    let (hub, server) = shop().await;
    let body = modern_body(1, "tools/call", json!({"name": "shop_hang"}));
    let mut pending = tokio::spawn(hub.modern_request("/mcp", &body).send());
    until("the call", async || {
        !server.calls.lock().unwrap().is_empty()
    })
    .await;
    pending.abort();
    let _ = (&mut pending).await;
    let cancelled = async || server.cancelled.load(std::sync::atomic::Ordering::SeqCst) == 1;
    until("the cancellation", cancelled).await;
}

#[tokio::test]
async fn a_client_of_before_cancels_its_call_with_a_message() {
    let (hub, server) = shop().await;
    let (session, _) = hub.initialize("2025-11-25").await;
    for (at, meta) in [json!({}), json!({"progressToken": 1})]
        .into_iter()
        .enumerate()
    {
        let params = json!({"name": "shop_hang", "_meta": meta});
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
        let in_session = |body: serde_json::Value| {
            let request = hub.post("/mcp").header("mcp-session-id", &session);
            request.body(body.to_string())
        };
        let pending = tokio::spawn(answer(in_session(body)));
        until("the call", async || server.calls.lock().unwrap().len() > at).await;
        // Of another session, and another request: nothing happens.
        let (other, _) = hub.initialize("2025-11-25").await;
        for (session, id) in [(&other, 7), (&session, 8), (&session, 7)] {
            assert_eq!(
                server.cancelled.load(std::sync::atomic::Ordering::SeqCst),
                at
            );
            let told = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            let request = hub.post("/mcp").header("mcp-session-id", session);
            assert_eq!(answer(request.body(told.to_string())).await.0, 202);
        }
        let (_, ended) = pending.await.unwrap();
        assert_eq!(ended["error"]["code"], -31_499, "{ended}");
        assert_eq!(
            server.cancelled.load(std::sync::atomic::Ordering::SeqCst),
            at + 1
        );
    }
}

#[tokio::test]
async fn a_call_takes_no_longer_than_it_may() {
    let server = Server::with(&["hang"]);
    let mut settings = quick();
    settings.call_timeout = Duration::from_millis(50);
    let hub = serve(&[("shop", &server)], settings).await;
    let (status, body) = hub.modern("tools/call", json!({"name": "shop_hang"})).await;
    assert_eq!(
        (status.as_u16(), &body["result"]["isError"]),
        (200, &json!(true))
    );
    let text = body["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("did not answer in time")
            && text.ends_with("The same call may succeed later."),
        "{text}"
    );
}

#[tokio::test]
async fn a_hanging_call_does_not_hold_up_others() {
    let (hub, server) = shop().await;
    let body = modern_body(1, "tools/call", json!({"name": "shop_hang"}));
    let hanging: Vec<_> = (0..50)
        .map(|_| tokio::spawn(hub.modern_request("/mcp", &body).send()))
        .collect();
    until("50 hanging calls", async || {
        server.calls.lock().unwrap().len() == 50
    })
    .await;
    let others = async {
        for _ in 0..20 {
            assert_eq!(
                hub.modern("tools/call", json!({"name": "shop_echo"}))
                    .await
                    .0,
                200
            );
            assert_eq!(hub.names().await.len(), 6);
        }
    };
    tokio::time::timeout(BOUND, others).await.unwrap();
    hanging.iter().for_each(|call| call.abort());
}
