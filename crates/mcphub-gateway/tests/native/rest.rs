//! An answer that is too long for one result, and the way to its rest.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::NativeApi;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex, split};
use tokio::net::TcpListener;

use crate::bookshop;
use crate::bookshop::native_with;
use crate::recording_api::{Recorded, RecordingApi, Reply};

/// The bookshop with room for so many bytes in one result.
fn native(server: &RecordingApi, bytes: usize) -> NativeApi {
    native_with(&server.url, Credentials::default(), |settings| {
        settings.max_response = bytes;
    })
}

async fn call(api: &NativeApi, tool: &str, arguments: &Value) -> Value {
    let arguments = arguments.to_string();
    let arguments = Arguments::parse(&arguments).unwrap();
    let result = Upstream::call(api, tool, &arguments).await.unwrap();
    serde_json::from_slice(result.as_bytes()).unwrap()
}

/// The bytes of a result.
fn bytes(content: &Value) -> Vec<u8> {
    match content["type"].as_str().unwrap() {
        "text" => content["text"].as_str().unwrap().as_bytes().to_vec(),
        "resource" => STANDARD
            .decode(content["resource"]["blob"].as_str().unwrap())
            .unwrap(),
        other => panic!("{other}"),
    }
}

/// What a result says to call with next.
fn rest(result: &Value) -> Option<String> {
    let content = result["content"].as_array().unwrap();
    let note = content.last().unwrap()["text"].as_str().unwrap();
    let how = "; for the rest call again with the same arguments and rest=";
    let (_, place) = note.split_once(how)?;
    Some(place.trim_end_matches(']').to_owned())
}

/// All pieces of an answer, each with its note.
async fn pieces(
    api: &NativeApi,
    tool: &str,
    arguments: &Value,
    at: usize,
) -> Vec<(Vec<u8>, String)> {
    let (mut arguments, mut pieces) = (arguments.clone(), Vec::new());
    loop {
        let result = call(api, tool, &arguments).await;
        let content = &result["content"];
        let note = content[at + 1]["text"].as_str().unwrap_or_default();
        pieces.push((bytes(&content[at]), note.to_owned()));
        match rest(&result) {
            Some(place) => arguments["rest"] = place.into(),
            None => return pieces,
        }
        assert!(pieces.len() < 20, "it ends");
    }
}

fn chunked(kind: &str, body: &[u8]) -> Reply {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut reply = head.into_bytes();
    for chunk in body.chunks(700) {
        reply.extend(format!("{:x}\r\n", chunk.len()).bytes());
        reply.extend(chunk);
        reply.extend(b"\r\n");
    }
    reply.extend(b"0\r\n\r\n");
    Reply::Raw(reply)
}

fn joined(pieces: &[(Vec<u8>, String)]) -> Vec<u8> {
    pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
}

#[tokio::test]
async fn text_comes_in_pieces_of_whole_characters() {
    let body = "aü€🦀".repeat(300);
    let answer = body.clone();
    let server = RecordingApi::start(move |request| match &*request.target {
        "/hours" => Reply::Whole(200, "text/plain", answer.clone().into_bytes()),
        _ => chunked("text/plain; charset=utf-8", answer.as_bytes()),
    })
    .await;
    let api = native(&server, 1005);
    for tool in ["open_hours", "public"] {
        let pieces = pieces(&api, tool, &json!({}), 0).await;
        assert_eq!(joined(&pieces), body.as_bytes());
        let sizes: Vec<usize> = pieces.iter().map(|(bytes, _)| bytes.len()).collect();
        assert_eq!(sizes, [1003, 1003, 994]);
        let all = if tool == "public" { "more" } else { "3000" };
        let first = format!("[cut: bytes 0 to 1003 of {all} are given; for the rest call again");
        assert!(pieces[0].1.starts_with(&first), "{}", pieces[0].1);
        assert_eq!(
            pieces[2].1,
            "[bytes 2006 to 3000 of 3000 are given: this is the end]"
        );
    }
}

#[tokio::test]
async fn bytes_come_in_pieces_and_arguments_stay() {
    let body: Vec<u8> = (0..5_000_u32).map(|n| (n * 7) as u8).collect();
    let answer = body.clone();
    let server = RecordingApi::start(move |_| Reply::Whole(200, "image/png", answer.clone())).await;
    let api = native(&server, 2_000);
    let pieces = pieces(&api, "find_books", &json!({"tag": ["a", "b"]}), 0).await;
    assert_eq!((joined(&pieces), pieces.len()), (body, 3));
    for request in server.requests() {
        assert_eq!(request.target, "/books?tag=a&tag=b");
    }
}

#[tokio::test]
async fn an_answer_of_exactly_the_bound_is_whole() {
    let server = RecordingApi::start(|_| chunked("text/plain", &[b'x'; 1400])).await;
    let result = call(&native(&server, 1400), "public", &json!({})).await;
    assert_eq!(result["content"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn json_that_is_promised_is_flagged_and_put_together_by_its_pieces() {
    let body = json!({"isbn": "x".repeat(3_000)}).to_string();
    let answer = body.clone();
    let server = RecordingApi::start(move |_| Reply::json(answer.clone())).await;
    let api = native(&server, 2_000);
    let arguments = json!({"isbn": "1"});
    let first = call(&api, "get_book", &arguments).await;
    assert_eq!(first["isError"], true);
    assert_eq!(
        first["content"][0]["text"],
        "The API answered 200, but that is too long for one result. Its answer:"
    );
    assert!(first.get("structuredContent").is_none());
    let pieces = pieces(&api, "get_book", &arguments, 1).await;
    assert_eq!(joined(&pieces), body.as_bytes());
}

#[tokio::test]
async fn lines_come_in_pieces_of_whole_lines() {
    let body: String = (0..300).map(|n| format!("{{\"n\": {n}}}\n")).collect();
    let answer = body.clone();
    let server =
        RecordingApi::start(move |_| chunked("application/jsonl", answer.as_bytes())).await;
    let pieces = pieces(&native(&server, 1_000), "public", &json!({}), 0).await;
    assert_eq!(joined(&pieces), body.as_bytes());
    for (piece, _) in &pieces {
        assert!(piece.starts_with(b"{") && piece.ends_with(b"}\n"));
    }
    assert!(pieces.len() > 2);
}

/// A file that is told by ranges, whose version is in its validator.
fn file(request: &Recorded, version: &str, all: &[u8]) -> Reply {
    let tag = format!("\"{version}\"");
    let range = request.header("range").and_then(|range| {
        let from = range.strip_prefix("bytes=")?.strip_suffix('-')?;
        from.parse::<usize>().ok()
    });
    let same = request.header("if-range") == Some(&tag);
    let (status, from, more) = match range.filter(|_| same) {
        Some(from) => {
            let range = format!(
                "content-range: bytes {from}-{}/{}\r\n",
                all.len() - 1,
                all.len()
            );
            ("206 Partial Content", from, range)
        }
        None => ("200 OK", 0, "accept-ranges: bytes\r\n".to_owned()),
    };
    let body = &all[from..];
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/pdf\r\netag: {tag}\r\n{more}content-length: {}\r\n\r\n",
        body.len()
    );
    Reply::Raw([head.as_bytes(), body].concat())
}

#[tokio::test]
async fn what_has_a_strong_validator_is_asked_for_by_range() {
    let body: Vec<u8> = (0..5_000_u32).map(|n| (n * 13) as u8).collect();
    let (answer, version) = (body.clone(), Arc::new(Mutex::new("v1")));
    let now = Arc::clone(&version);
    let server =
        RecordingApi::start(move |request| file(request, &now.lock().unwrap(), &answer)).await;
    let api = native(&server, 2_000);
    let pieces = pieces(&api, "public", &json!({}), 0).await;
    assert_eq!((joined(&pieces), pieces.len()), (body, 3));
    assert!(
        pieces[1]
            .1
            .starts_with("[cut: bytes 2000 to 4000 of 5000 are given")
    );
    let requests = server.requests();
    assert_eq!(requests[0].header("range"), None);
    assert_eq!(requests[2].header("range"), Some("bytes=4000-"));
    assert_eq!(requests[2].header("accept-encoding"), Some("identity"));

    *version.lock().unwrap() = "v2";
    let place = rest(&call(&api, "public", &json!({})).await).unwrap();
    *version.lock().unwrap() = "v3";
    let changed = call(&api, "public", &json!({"rest": place})).await;
    assert_eq!(changed["isError"], true);
}

#[tokio::test]
async fn an_answer_that_changed_has_no_rest() {
    let bodies = Arc::new(Mutex::new(vec![
        vec![b'a'; 2_500],
        vec![b'b'; 2_500],
        vec![b'a'; 999],
    ]));
    let server = RecordingApi::start(move |_| {
        Reply::Whole(200, "text/plain", bodies.lock().unwrap().remove(0))
    })
    .await;
    let api = native(&server, 1_000);
    let place = rest(&call(&api, "public", &json!({})).await).unwrap();
    for _ in 0..2 {
        let result = call(&api, "public", &json!({"rest": place})).await;
        assert_eq!(result["isError"], true);
        assert_eq!(
            result["content"][0]["text"],
            format!(
                "The answer of the API at {} is not what it was before, so that it has no rest; ask anew without `rest`",
                server.host()
            )
        );
    }
}

#[tokio::test]
async fn what_changes_something_is_not_asked_again() {
    let server = RecordingApi::start(|_| Reply::Whole(200, "text/plain", vec![b'x'; 3_000])).await;
    let api = native(&server, 1_000);
    let result = call(&api, "order_book", &json!({"isbn": "1"})).await;
    assert_eq!(
        result["content"][1]["text"],
        "[cut: bytes 0 to 1000 of 3000 are given; asking again could change something, so that there is no way to the rest]"
    );
    let place = "1000.AAAAAAAAAAAAAAAAAAAAAA";
    for (tool, arguments, why) in [
        (
            "order_book",
            json!({"isbn": "1", "rest": place}),
            "asking again could change something",
        ),
        (
            "public",
            json!({"rest": "1000"}),
            "is none that an answer named",
        ),
        (
            "public",
            json!({"rest": 1000}),
            "is none that an answer named",
        ),
    ] {
        let refused = call(&api, tool, &arguments).await;
        let text = refused["content"][0]["text"].as_str().unwrap();
        let told = format!("Invalid arguments for {tool}:\n- rest: {why}");
        assert!(text.starts_with(&told), "{text}");
    }
    assert_eq!(server.requests().len(), 1, "nothing more is sent");
}

#[tokio::test]
async fn an_error_that_is_too_long_has_no_rest() {
    let server = RecordingApi::start(|_| Reply::Whole(500, "text/plain", vec![b'x'; 30_000])).await;
    let result = call(&native(&server, 20_000), "public", &json!({})).await;
    assert_eq!(result["content"].as_array().unwrap().len(), 1);
    assert_eq!(result["isError"], true);
}

/// A client over HTTP and one over stdio, each in both eras, read all of a long answer.
#[tokio::test]
async fn clients_read_the_rest_through_the_gateway() {
    let body = "0123456789".repeat(250_000);
    let answer = body.clone();
    let server = RecordingApi::start(move |_| chunked("text/plain", answer.as_bytes())).await;
    let gateway = bookshop::hub::gateway(&server.url, |native| {
        native.max_response = 1024 * 1024;
        // One at a time.
        native.max_held = 1024 * 1024;
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = gateway.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (ours, theirs) = duplex(1 << 16);
    let (reader, writer) = split(theirs);
    tokio::spawn(async move { gateway.serve_stdio(reader, writer).await });
    let (output, mut input) = split(ours);
    let mut output = BufReader::new(output).lines();
    let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    input
        .write_all(format!("{begin}\n").as_bytes())
        .await
        .unwrap();
    output.next_line().await.unwrap().unwrap();

    for (over_http, modern) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut arguments, mut read, mut calls) = (json!({}), String::new(), 0);
        loop {
            let mut params = json!({"name": "shop_public", "arguments": arguments});
            if modern {
                params["_meta"] = json!({
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
            }
            let message = json!({"jsonrpc": "2.0", "id": calls + 1, "method": "tools/call", "params": params});
            let answer = if over_http {
                let mut request = http
                    .post(&url)
                    .header("content-type", "application/json")
                    .header("accept", "application/json, text/event-stream");
                if modern {
                    request = request
                        .header("mcp-protocol-version", "2026-07-28")
                        .header("mcp-method", "tools/call")
                        .header("mcp-name", "shop_public");
                }
                let answer = request.body(message.to_string()).send().await.unwrap();
                answer.text().await.unwrap()
            } else {
                input
                    .write_all(format!("{message}\n").as_bytes())
                    .await
                    .unwrap();
                output.next_line().await.unwrap().unwrap()
            };
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let result = &answer["result"];
            read.push_str(result["content"][0]["text"].as_str().unwrap());
            calls += 1;
            match rest(result) {
                Some(place) => arguments = json!({"rest": place}),
                None => break,
            }
        }
        assert!(read == body, "{} bytes", read.len());
        assert_eq!(calls, 3);
    }
}
