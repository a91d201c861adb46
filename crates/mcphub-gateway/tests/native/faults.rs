//! What an API does wrong becomes a tool error that a model can act on, and costs bounded time and
//! memory.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::NativeApi;
use serde_json::Value;
use url::Url;

use crate::bookshop;
use crate::bookshop::{native, native_with};
use crate::recording_api::{RecordingApi, Reply};

/// A call as the gateway makes it.
async fn call(api: &NativeApi, tool: &str, arguments: &str) -> Value {
    let arguments = Arguments::parse(arguments).unwrap();
    let result = Upstream::call(api, tool, &arguments).await.unwrap();
    assert!(!result.as_bytes().contains(&b'\n'), "a result is one line");
    serde_json::from_slice(result.as_bytes()).unwrap()
}

/// The text of an error.
async fn error(api: &NativeApi, tool: &str, arguments: &str) -> String {
    let result = call(api, tool, arguments).await;
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

fn none() -> Credentials {
    Credentials::default()
}

#[tokio::test]
async fn an_api_that_refuses_connections_is_named_with_the_reason() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let api = native(&Url::parse(&format!("http://{free}/")).unwrap(), none());
    assert_eq!(
        error(&api, "open_hours", "{}").await,
        format!("The API at {free} could not be reached: connection refused")
    );
}

#[tokio::test]
async fn private_addresses_are_refused_by_number_and_by_name() {
    let server = RecordingApi::start(|_| Reply::json("{}")).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let mut url = server.url.clone();
        url.set_host(Some(host)).unwrap();
        let api = native_with(&url, none(), |settings| {
            settings.refuse_private_addresses = true
        });
        let text = error(&api, "public", "{}").await;
        assert!(text.contains("its address is private"), "{host}: {text}");
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_host_without_an_address_is_said_to_be_unreachable() {
    let api = native(&Url::parse("http://no-such-host.invalid/").unwrap(), none());
    let text = error(&api, "open_hours", "{}").await;
    assert!(
        text.starts_with("The API at no-such-host.invalid could not be reached: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_failure_of_the_api_comes_with_status_reason_and_body() {
    let server =
        RecordingApi::start(|_| Reply::Whole(500, "text/plain", b"out of ink".to_vec())).await;
    let text = error(&native(&server.url, none()), "open_hours", "{}").await;
    assert_eq!(text, "HTTP 500 Internal Server Error\nout of ink");
}

/// A refusal, and when to come again.
fn later(status: u16, retry_after: &str) -> Reply {
    Reply::Raw(
        format!("HTTP/1.1 {status} X\r\nretry-after: {retry_after}\r\ncontent-length: 0\r\n\r\n")
            .into_bytes(),
    )
}

#[tokio::test]
async fn what_is_safe_to_repeat_goes_again_when_the_api_says() {
    for (status, retry_after) in [(429, "1"), (503, "Sun, 06 Nov 1994 08:49:37 GMT")] {
        let first = AtomicBool::new(true);
        let server = RecordingApi::start(move |_| match first.swap(false, Ordering::SeqCst) {
            true => later(status, retry_after),
            false => Reply::json("{}"),
        })
        .await;
        let start = Instant::now();
        let result = call(&native(&server.url, none()), "open_hours", "{}").await;
        assert_eq!(result["content"][0]["text"], "{}", "{result}");
        assert_eq!(server.requests().len(), 2);
        assert!(status != 429 || start.elapsed() >= Duration::from_secs(1));
    }
}

/// An API that answers after this many connections without a word.
async fn silent_at_first(times: usize) -> RecordingApi {
    let left = AtomicUsize::new(times);
    let one_less = |left: usize| left.checked_sub(1);
    RecordingApi::start(move |_| {
        match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Reply::Raw(Vec::new()),
            Err(_) => Reply::json(r#"{"isbn":"123"}"#),
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_that_breaks_is_made_once_more_where_that_is_safe() {
    for (tool, silent, requests, well) in [
        ("get_book", 1, 2, true),
        ("get_book", 2, 2, false),
        ("order_book", 1, 1, false),
    ] {
        let server = silent_at_first(silent).await;
        let result = call(&native(&server.url, none()), tool, r#"{"isbn":"123"}"#).await;
        assert_eq!(server.requests().len(), requests, "{tool}");
        assert_eq!(result["isError"] != true, well, "{tool}: {result}");
    }
}

#[tokio::test]
async fn an_api_that_fails_too_often_in_a_row_is_left_alone() {
    let server = RecordingApi::start(|_| Reply::Whole(502, "text/plain", Vec::new())).await;
    let gateway = bookshop::hub::gateway(&server.url, |_| {}).await;
    let call = async || {
        let request = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shop_public","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let mut answer = Vec::new();
        let line = [request.as_bytes(), b"\n"].concat();
        gateway.serve_stdio(&*line, &mut answer).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for _ in 0..5 {
        assert_eq!(call().await, "HTTP 502 Bad Gateway");
    }
    let text = call().await;
    assert!(
        text.contains("it is tried again in 5 s (last failure: HTTP 502)"),
        "{text}"
    );
    assert_eq!(server.requests().len(), 5);
    assert_eq!(gateway.servers()[0].retry_after, Some(5));
}

#[tokio::test]
async fn waits_are_bounded_in_number_and_length_and_time() {
    let asked = |retry_after: &'static str, tool: &'static str, seconds| async move {
        let server = RecordingApi::start(move |_| later(503, retry_after)).await;
        let api = native_with(&server.url, none(), |settings| {
            settings.timeout = Duration::from_secs(seconds);
        });
        let text = error(&api, tool, r#"{"isbn":"123"}"#).await;
        let told = format!("HTTP 503 Service Unavailable (Retry-After: {retry_after})");
        assert_eq!(text, told);
        server.requests().len()
    };
    assert_eq!(asked("0", "get_book", 30).await, 3);
    assert_eq!(asked("0", "order_book", 30).await, 1, "not safe to repeat");
    assert_eq!(
        asked("11", "get_book", 30).await,
        1,
        "longer than a call waits"
    );
    assert_eq!(
        asked("9", "get_book", 8).await,
        1,
        "longer than the call may take"
    );
    assert_eq!(asked("soon", "get_book", 30).await, 1);
}

#[tokio::test]
async fn a_slow_api_is_given_up_in_time_and_a_write_is_said_to_be_in_doubt() {
    let server = RecordingApi::start(|_| Reply::Silence(Duration::from_secs(60))).await;
    let api = native_with(&server.url, none(), |settings| {
        settings.timeout = Duration::from_millis(300)
    });
    let start = Instant::now();
    let host = server.host();
    assert_eq!(
        error(&api, "open_hours", "{}").await,
        format!("The API at {host} did not answer within 0.3 s")
    );
    assert_eq!(
        error(&api, "add_book", r#"{"isbn":"123"}"#).await,
        format!(
            "The API at {host} did not answer within 0.3 s. The request may have been carried out all the same"
        )
    );
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn an_answer_that_stalls_is_given_up_in_time() {
    let server = RecordingApi::start(|_| {
        Reply::Stalled(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n12".to_vec())
    })
    .await;
    let api = native_with(&server.url, none(), |settings| {
        settings.timeout = Duration::from_millis(300)
    });
    assert!(
        error(&api, "open_hours", "{}")
            .await
            .ends_with("did not answer within 0.3 s")
    );
}

#[tokio::test]
async fn a_stream_that_is_too_long_gives_what_is_not() {
    let lines = "{\"n\": 1}\n".repeat(30_000);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n{lines}");
    let server = RecordingApi::start(move |_| Reply::Raw(answer.clone().into_bytes())).await;
    let api = native_with(&server.url, none(), |settings| {
        settings.max_response = 100_000
    });
    let result = call(&api, "open_hours", "{}").await;
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.len() <= 100_000 && text.ends_with("{\"n\": 1}\n"),
        "{}",
        text.len()
    );
    let told = result["content"][1]["text"].as_str().unwrap();
    assert!(
        told.starts_with("[cut: the stream is over 100000 bytes; "),
        "{told}"
    );
    // One that ends is given as it came.
    let whole = native_with(&server.url, none(), |_| {});
    let result = call(&whole, "open_hours", "{}").await;
    assert_eq!(result["content"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_and_not_collected() {
    let server = RecordingApi::start(|_| Reply::Endless).await;
    let result = call(&native(&server.url, none()), "open_hours", "{}").await;
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.len(), 10 * 1024 * 1024);
    let told = result["content"][1]["text"].as_str().unwrap();
    assert!(
        told.starts_with("[cut: bytes 0 to 10485760 of more are given; for the rest call again"),
        "{told}"
    );
    // What is over the limit is what lay in the sockets' buffers.
    assert!(
        server.sent() < 32 * 1024 * 1024,
        "{} bytes were taken",
        server.sent()
    );
}

#[tokio::test]
async fn an_answer_that_announces_too_much_takes_no_room_for_it() {
    let head =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1099511627776\r\n\r\nx"
            .to_vec();
    let server = RecordingApi::start(move |_| Reply::Raw(head.clone())).await;
    let text = error(&native(&server.url, none()), "open_hours", "{}").await;
    assert!(text.contains(" broke off after 1 bytes"), "{text}");
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_large_one_is_cut_off() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&vec![b'0'; 16 * 1024 * 1024]).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 256 * 1024);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    let answer = [head.into_bytes(), packed].concat();
    let server = RecordingApi::start(move |_| Reply::Raw(answer.clone())).await;
    let api = native_with(&server.url, none(), |settings| {
        settings.max_response = 1024 * 1024
    });
    let result = call(&api, "open_hours", "{}").await;
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(text.len(), 1024 * 1024);
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_where() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789".to_vec();
    let server = RecordingApi::start(move |_| Reply::Raw(bytes.clone())).await;
    let text = error(&native(&server.url, none()), "open_hours", "{}").await;
    assert!(
        text.starts_with(&format!(
            "The answer of the API at {} broke off after 10 bytes",
            server.host()
        )),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_no_http_is_a_tool_error() {
    let server = RecordingApi::start(|_| Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())).await;
    let text = error(&native(&server.url, none()), "open_hours", "{}").await;
    assert!(
        text.starts_with(&format!(
            "The API at {} did not answer as HTTP asks: ",
            server.host()
        )),
        "{text}"
    );
}

#[tokio::test]
async fn invalid_json_comes_whole_and_flagged() {
    let server = RecordingApi::start(|_| Reply::json("{broken\n")).await;
    let result = call(&native(&server.url, none()), "get_book", r#"{"isbn":"1"}"#).await;
    assert_eq!(result["isError"], true);
    assert!(
        result["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("not valid JSON")
    );
    assert_eq!(result["content"][1]["text"], "{broken\n");
    assert!(result.get("structuredContent").is_none());
}

#[tokio::test]
async fn an_answer_that_breaks_its_own_schema_comes_whole_and_flagged() {
    let server = RecordingApi::start(|_| Reply::json(r#"{"isbn": 7, "price": "cheap"}"#)).await;
    let result = call(&native(&server.url, none()), "get_book", r#"{"isbn":"1"}"#).await;
    assert_eq!(result["isError"], true);
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(
        text.contains("isbn: must be a string") || text.contains("price: must be a number"),
        "{text}"
    );
    assert_eq!(
        result["content"][1]["text"],
        r#"{"isbn": 7, "price": "cheap"}"#
    );
    assert!(result.get("structuredContent").is_none());
}

#[tokio::test]
async fn an_answer_of_another_content_type_is_passed_on_as_what_it_is() {
    let server = RecordingApi::start(|request| match request.target.as_str() {
        "/hours" => Reply::Whole(200, "text/html", b"<b>always</b>".to_vec()),
        _ => Reply::Whole(200, "image/png", vec![1, 2, 3]),
    })
    .await;
    let api = native(&server.url, none());
    assert_eq!(
        call(&api, "open_hours", "{}").await["content"][0]["text"],
        "<b>always</b>"
    );
    let image = call(&api, "public", "{}").await;
    assert_eq!(
        (&image["content"][0]["type"], &image["content"][0]["data"]),
        (&"image".into(), &"AQID".into())
    );
}

#[tokio::test]
async fn json_becomes_text_and_structured_content_and_numbers_keep_their_digits() {
    let body = "{\"isbn\": \"1\",\n \"price\": 1.10, \"n\": 123456789012345678901234567890}";
    let server = RecordingApi::start(move |_| Reply::json(body)).await;
    let api = native(&server.url, none());
    let arguments = Arguments::parse(r#"{"isbn":"1"}"#).unwrap();
    let result = Upstream::call(&api, "get_book", &arguments).await.unwrap();
    let result = String::from_utf8(result.into_bytes().into()).unwrap();
    assert!(
        result.contains(r#""price": 1.10, "n": 123456789012345678901234567890}"#),
        "{result}"
    );
    let result: Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["content"][0]["text"], body);
    assert!(result.get("isError").is_none());
}

#[tokio::test]
async fn one_hanging_call_does_not_hold_up_the_others() {
    let server = RecordingApi::start(|request| match request.target.as_str() {
        "/hours" => Reply::Silence(Duration::from_secs(60)),
        _ => Reply::json("{}"),
    })
    .await;
    let api = std::sync::Arc::new(native(&server.url, none()));
    let hanging = tokio::spawn({
        let api = std::sync::Arc::clone(&api);
        async move { call(&api, "open_hours", "{}").await }
    });
    let quick = tokio::time::timeout(Duration::from_secs(5), call(&api, "public", "{}"))
        .await
        .unwrap();
    assert_eq!(quick["content"][0]["text"], "{}");
    hanging.abort();
}
