//! MCP servers that no SDK would make, word by word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use mcphub_core::call::Arguments;
use mcphub_core::deployment::Endpoint;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::streamable_http::{McpClient, McpHttp, McpSettings};
use mcphub_gateway::upstream::{Forward, Said, Upstream};
use serde_json::Value;
use url::Url;

use crate::bookshop;
use crate::recording_api::{Recorded, RecordingApi, Reply};

const DISCOVERED: &str = r#""result":{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#;

fn upstream(url: &Url) -> McpHttp {
    upstream_with(url, |_| {})
}

fn upstream_with(url: &Url, change: impl FnOnce(&mut McpSettings)) -> McpHttp {
    bookshop::install_crypto();
    let mut settings = McpSettings::default();
    settings.initial_backoff = Duration::from_millis(10);
    change(&mut settings);
    let headers = vec![("X-Ticket".to_owned(), "t1cket".into())];
    McpHttp::new(
        Endpoint {
            url: url.clone(),
            headers,
        },
        McpClient::new(settings).unwrap(),
    )
}

async fn call(upstream: &McpHttp) -> Result<String> {
    let arguments = Arguments::parse(r#"{"a": 1.10}"#).unwrap();
    upstream
        .call("t", &arguments)
        .await
        .map(|result| String::from_utf8(result.into_bytes().into()).unwrap())
}

fn fact<'a>(error: &'a Error, key: &str) -> Option<&'a str> {
    error
        .context()
        .find(|(known, _)| *known == key)
        .map(|(_, value)| value)
}

fn id(request: &Recorded) -> Value {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    body["id"].clone()
}

fn method(request: &Recorded) -> String {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    body["method"].as_str().unwrap_or_default().to_owned()
}

fn message(request: &Recorded, member: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},{member}}}"#, id(request))
}

fn events(text: impl Into<String>) -> Reply {
    Reply::Whole(200, "text/event-stream", text.into().into_bytes())
}

/// A modern server with this answer to everything but `server/discover`.
async fn modern(answer: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> RecordingApi {
    RecordingApi::start(move |request| match method(request).as_str() {
        "server/discover" => Reply::json(message(request, DISCOVERED)),
        _ => answer(request),
    })
    .await
}

#[tokio::test]
async fn a_modern_call_has_the_headers_and_the_members_that_the_revision_asks_for() {
    let server =
        modern(|request| Reply::json(message(request, r#""result":{"content":[]}"#))).await;
    assert_eq!(
        call(&upstream(&server.url)).await.unwrap(),
        r#"{"content":[]}"#
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let request = &requests[1];
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "t"),
        ("accept", "application/json, text/event-stream"),
        ("content-type", "application/json"),
        ("x-ticket", "t1cket"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert!(
        request.body.contains(r#""arguments":{"a": 1.10}"#),
        "{}",
        request.body
    );
    assert!(
        request
            .body
            .contains(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#)
    );
    assert!(
        request
            .body
            .contains(r#""io.modelcontextprotocol/clientCapabilities":{}"#)
    );
}

#[tokio::test]
async fn an_answer_may_come_among_other_events() {
    let server = modern(|request| {
        let answer = message(request, "\ndata: \"result\":{\"content\":[],\ndata: \"n\":1.10}");
        events(format!(
            ": hello\n\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{}}}}\n\nevent: message\ndata: {answer}\n\n"
        ))
    })
    .await;
    assert_eq!(
        call(&upstream(&server.url)).await.unwrap(),
        r#"{"content":[], "n":1.10}"#
    );
}

#[tokio::test]
async fn a_json_rpc_error_keeps_its_code_and_message() {
    let server = modern(|request| {
        Reply::json(message(
            request,
            r#""error":{"code":-32602,"message":"no such tool"}"#,
        ))
    })
    .await;
    let error = call(&upstream(&server.url)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Upstream);
    assert_eq!(
        (fact(&error, "code"), fact(&error, "message")),
        (Some("-32602"), Some("no such tool"))
    );
}

#[tokio::test]
async fn answers_that_make_no_sense_are_errors_of_the_upstream() {
    for (name, answer) in [
        (
            "wrong id",
            r#"{"jsonrpc":"2.0","id":"other","result":{}}"#.to_owned(),
        ),
        (
            "a member twice",
            r#"{"jsonrpc":"2.0","id":2,"result":{},"result":{}}"#.to_owned(),
        ),
        ("no JSON", "<html>".to_owned()),
        ("no result", r#"{"jsonrpc":"2.0","id":2}"#.to_owned()),
        (
            "no object",
            r#"{"jsonrpc":"2.0","id":2,"result":[1]}"#.to_owned(),
        ),
        ("nothing", String::new()),
    ] {
        let server = modern(move |_| Reply::json(answer.clone())).await;
        let error = call(&upstream(&server.url)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Upstream, "{name}: {error}");
        assert_eq!(
            fact(&error, "server"),
            Some(server.host().as_str()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_the_answer_is_an_error() {
    for text in [
        "",
        ": ping\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n\n",
    ] {
        let server = modern(move |_| events(text)).await;
        let error = call(&upstream(&server.url)).await.unwrap_err();
        assert_eq!(
            fact(&error, "reason"),
            Some("the stream ended before the answer"),
            "{text:?}: {error}"
        );
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let server = modern(|_| Reply::Endless).await;
    let error = call(&upstream_with(&server.url, |s| s.max_message = 1024 * 1024))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(
        server.sent() < 24 * 1024 * 1024,
        "{} bytes were taken",
        server.sent()
    );
    let server = modern(|_| events("data: ".to_owned() + &"x".repeat(2 * 1024 * 1024))).await;
    let error = call(&upstream_with(&server.url, |s| s.max_message = 1024 * 1024))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_silent_server_is_given_up_in_time() {
    let server = modern(|_| Reply::Silence(Duration::from_secs(60))).await;
    let upstream = upstream_with(&server.url, |settings| {
        settings.call_timeout = Duration::from_millis(200);
        settings.list_timeout = Duration::from_millis(200);
    });
    let start = Instant::now();
    assert_eq!(
        call(&upstream).await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert_eq!(
        upstream.tools().await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_dead_server_is_unavailable_and_found_again_when_it_is_back() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let upstream = upstream(&Url::parse(&format!("http://{free}/mcp?token=s3cret")).unwrap());
    let error = call(&upstream).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.is_retryable()),
        (ErrorKind::Unavailable, true)
    );
    assert_eq!(
        error.to_string(),
        format!("the MCP server could not be reached (server: {free}, reason: connection refused)")
    );
    assert!(!format!("{error:?} {upstream:?}").contains("s3cret"));
    let server = RecordingApi::start_at(free, |request| match method(request).as_str() {
        "server/discover" => Reply::json(message(request, DISCOVERED)),
        _ => Reply::json(message(request, r#""result":{"content":[]}"#)),
    })
    .await;
    call(&upstream).await.unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_upstreams_own_headers_do_not_follow_a_redirect_to_another_origin() {
    let other = RecordingApi::start(|_| Reply::json("{}")).await;
    let target = other.url.to_string();
    let server = RecordingApi::start(move |_| Reply::redirect(307, &target)).await;
    assert!(call(&upstream(&server.url)).await.is_err());
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_moves_after_it_was_met_is_followed_within_the_call() {
    let moved = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&moved);
    let server = RecordingApi::start(move |request| {
        if theirs.load(Ordering::SeqCst) && request.target == "/mcp" {
            return Reply::redirect(307, "/moved");
        }
        match method(request).as_str() {
            "server/discover" => Reply::json(message(request, DISCOVERED)),
            "tools/list" => Reply::json(message(request, r#""result":{"tools":[]}"#)),
            _ => Reply::json(message(request, r#""result":{"content":[]}"#)),
        }
    })
    .await;
    let url = server.url.join("/mcp").unwrap();
    let (calls, lists, relays) = (upstream(&url), upstream(&url), upstream(&url));
    call(&calls).await.unwrap();
    lists.tools().await.unwrap();
    relayed(&relays).await.unwrap();
    moved.store(true, Ordering::SeqCst);
    call(&calls).await.unwrap();
    lists.tools().await.unwrap();
    relayed(&relays).await.unwrap();
    let last = server.requests().pop().unwrap();
    assert_eq!((&*last.target, &*method(&last)), ("/moved", "tools/call"));
    assert_eq!(
        last.header("x-ticket"),
        Some("t1cket"),
        "it is the same origin"
    );
}

#[tokio::test]
async fn a_call_goes_by_another_connection_where_the_kept_one_was_closed() {
    let server = RecordingApi::start(|request| {
        let body = message(
            request,
            match method(request).as_str() {
                "server/discover" => DISCOVERED,
                _ => r#""result":{"content":[]}"#,
            },
        );
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        // It does not say that it closes the connection.
        Reply::Raw([head, body].concat().into_bytes())
    })
    .await;
    let upstream = upstream(&server.url);
    let relay = upstream.relay().unwrap();
    relay.ready(&Forward::default()).await.unwrap();
    for called in 1..=5 {
        until_closed(&server).await;
        relayed(&upstream).await.unwrap();
        // The server was met once, and saw each call once.
        assert_eq!(server.requests().len(), called + 1);
    }
    assert_eq!(server.made(), 6);
}

/// Waits until the server has closed its connections, and the runtime has had a turn to hear of it.
async fn until_closed(server: &RecordingApi) {
    let closed = async {
        while server.open() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, closed).await.unwrap();
}

/// A call as the gateway passes it on.
async fn relayed(upstream: &McpHttp) -> Result<()> {
    let mut forward = Forward::default();
    forward.method = "tools/call".to_owned();
    forward.name = Some("t".to_owned());
    forward.params = r#""name":"t""#.to_owned();
    let mut exchange = upstream.relay().unwrap().open(forward.into()).await?;
    match exchange.next().await? {
        Said::Result(_) => Ok(()),
        other => Err(Error::internal(format!("{other:?}"))),
    }
}

/// A legacy server: this answer to what it does not know, a handshake, and an empty result.
async fn legacy(refusal: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) -> RecordingApi {
    RecordingApi::start(move |request| match method(request).as_str() {
        "initialize" => Reply::Raw({
            let body = message(request, r#""result":{"protocolVersion":"2025-06-18","capabilities":{}}"#);
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: s1\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        }),
        "notifications/initialized" => Reply::Whole(202, "", Vec::new()),
        "tools/call" => Reply::json(message(request, r#""result":{"content":[]}"#)),
        _ => refusal(request),
    })
    .await
}

#[tokio::test]
async fn what_is_no_modern_answer_means_the_legacy_era() {
    type Refusal = fn(&Recorded) -> Reply;
    let refusals: [(&str, Refusal); 6] = [
        ("empty 400", |_| Reply::Whole(400, "", Vec::new())),
        ("text 404", |_| {
            Reply::Whole(404, "text/plain", b"no".to_vec())
        }),
        ("method not allowed", |_| Reply::Whole(405, "", Vec::new())),
        ("old error", |_| {
            let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}"#;
            Reply::Whole(400, "application/json", body.as_bytes().to_vec())
        }),
        ("unknown method", |request| {
            Reply::json(message(
                request,
                r#""error":{"code":-32601,"message":"Method not found"}"#,
            ))
        }),
        ("other versions only", |request| {
            Reply::json(message(
                request,
                r#""error":{"code":-32022,"message":"no","data":{"supported":["2025-06-18"]}}"#,
            ))
        }),
    ];
    for (name, refusal) in refusals {
        let server = legacy(refusal).await;
        call(&upstream(&server.url))
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let requests = server.requests();
        let methods: Vec<_> = requests.iter().map(method).collect();
        assert_eq!(
            methods,
            [
                "server/discover",
                "initialize",
                "notifications/initialized",
                "tools/call"
            ],
            "{name}"
        );
        let last = &requests[3];
        assert_eq!(last.header("mcp-session-id"), Some("s1"));
        assert_eq!(last.header("mcp-protocol-version"), Some("2025-06-18"));
        assert!(!last.body.contains("_meta"), "{}", last.body);
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_caller_is_not_taken_for_a_legacy_one() {
    for status in [401, 403, 500, 503] {
        let server = RecordingApi::start(move |_| Reply::Whole(status, "", Vec::new())).await;
        let error = call(&upstream(&server.url)).await.unwrap_err();
        assert_eq!(
            error.message(),
            format!("the MCP server answered HTTP {status}")
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_forgotten_session_is_renewed_once() {
    let calls = AtomicUsize::new(0);
    let server = RecordingApi::start(move |request| match method(request).as_str() {
        "server/discover" => Reply::Whole(400, "", Vec::new()),
        "initialize" => Reply::json(message(
            request,
            r#""result":{"protocolVersion":"2025-11-25"}"#,
        )),
        "notifications/initialized" => Reply::Whole(202, "", Vec::new()),
        _ => match calls.fetch_add(1, Ordering::SeqCst) {
            1 => Reply::Whole(404, "", Vec::new()),
            _ => Reply::json(message(request, r#""result":{"content":[]}"#)),
        },
    })
    .await;
    let upstream = upstream(&server.url);
    call(&upstream).await.unwrap();
    call(&upstream).await.unwrap();
    let handshakes = server
        .requests()
        .iter()
        .filter(|request| method(request) == "initialize")
        .count();
    assert_eq!(handshakes, 2);
}

#[tokio::test]
async fn a_server_that_forgets_every_session_is_an_error_and_no_loop() {
    let server = RecordingApi::start(|request| match method(request).as_str() {
        "initialize" => Reply::json(message(
            request,
            r#""result":{"protocolVersion":"2025-11-25"}"#,
        )),
        "notifications/initialized" => Reply::Whole(202, "", Vec::new()),
        _ => Reply::Whole(404, "", Vec::new()),
    })
    .await;
    let upstream = upstream(&server.url);
    assert!(call(&upstream).await.is_err());
    let error = call(&upstream).await.unwrap_err();
    assert_eq!(error.message(), "the MCP server answered HTTP 404");
    assert!(server.requests().len() < 12);
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let page = |cursor: String| {
        format!(
            r#""result":{{"tools":[{{"name":"t","inputSchema":{{}}}}],"nextCursor":"{cursor}"}}"#
        )
    };
    let server =
        modern(move |request| Reply::json(message(request, &page("same".to_owned())))).await;
    let error = upstream(&server.url).tools().await.unwrap_err();
    assert_eq!(fact(&error, "reason"), Some("its pages do not end"));

    let count = AtomicUsize::new(0);
    let server = modern(move |request| {
        Reply::json(message(
            request,
            &page(count.fetch_add(1, Ordering::SeqCst).to_string()),
        ))
    })
    .await;
    let error = upstream_with(&server.url, |settings| settings.max_tools = 20)
        .tools()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_tool_without_a_name_is_left_out_and_the_others_stay() {
    let server = modern(|request| {
        Reply::json(message(
            request,
            r#""result":{"tools":[{"inputSchema":{}},{"name":"t","inputSchema":{}}]}"#,
        ))
    })
    .await;
    let tools = upstream(&server.url).tools().await.unwrap();
    assert_eq!(tools.len(), 1);
}

#[tokio::test]
async fn a_broken_stream_of_changes_is_opened_again_and_counts_as_a_change() {
    let acknowledged = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{}}\n\n";
    let server = modern(move |_| events(acknowledged)).await;
    let mut changes = upstream(&server.url).changes();
    tokio::time::timeout(Duration::from_secs(10), changes.next())
        .await
        .unwrap()
        .unwrap();
    let listens = server
        .requests()
        .iter()
        .filter(|request| method(request) == "subscriptions/listen")
        .count();
    assert_eq!(listens, 2);
}

#[tokio::test]
async fn a_server_without_announcements_is_left_alone() {
    let server = modern(|request| {
        let body = message(request, r#""error":{"code":-32601,"message":"no"}"#);
        Reply::Whole(404, "application/json", body.into_bytes())
    })
    .await;
    let mut changes = upstream(&server.url).changes();
    let waited = tokio::time::timeout(Duration::from_millis(300), changes.next()).await;
    assert!(waited.is_err(), "there was no change");
    assert_eq!(server.requests().len(), 2);
}
