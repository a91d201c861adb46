//! Calls of a tool without a gateway.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::program::*;

#[test]
fn a_dry_run_shows_the_request_without_its_secrets() {
    let output = Command::new(env!("CARGO_BIN_EXE_mcphub"))
        .args(["call", &spec("bookshop.yaml"), "createReview", "--base-url", "http://api.test/v1"])
        .args(["--args", r#"{"isbn": "9780000000019", "rating": 5, "text": "Good.", "reviewer": {"name": "Ada"}}"#])
        .args(["--secret-env", "shopKey=SHOP_KEY", "--dry-run"])
        .env("SHOP_KEY", "s3cret")
        .output()
        .unwrap();
    assert!(!stdout(&output).contains("s3cret"));
    let tool = json_of(&mcphub(&[
        "inspect",
        &spec("bookshop.yaml"),
        "--format",
        "json",
    ]));
    let tool = tool["tools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|tool| tool["name"] == "createReview")
        .unwrap();
    let request = match output.status.code() {
        Some(0) => json_of(&output),
        _ => panic!("{} for {}", stderr(&output), tool["inputSchema"]),
    };
    assert_eq!(request["method"], "POST");
    assert_eq!(
        request["url"],
        "http://api.test/v1/books/9780000000019/reviews"
    );
    let headers = request["headers"].as_array().unwrap();
    assert!(
        headers.contains(&json!(["x-api-key", "[redacted]"])),
        "{request}"
    );
    let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["rating"], 5);
}

#[test]
fn wrong_arguments_are_named_with_what_is_expected() {
    let call = |args: &str| {
        mcphub(&[
            "call",
            &spec("bookshop.yaml"),
            "getBook",
            "--args",
            args,
            "--dry-run",
        ])
    };
    assert_refused(&call("{}"), 2, &["isbn", "required"]);
    assert_refused(&call(r#"{"isbn": 7}"#), 2, &["isbn", "string"]);
    assert_refused(
        &call(r#"{"isbn": "9780000000019", "isbm": 1}"#),
        2,
        &["isbm"],
    );
    assert_refused(&call("[1]"), 2, &["JSON object"]);
    assert_refused(
        &call(r#"{"isbn": "a", "isbn": "b"}"#),
        2,
        &["`isbn` appears twice"],
    );
}

#[test]
fn an_unknown_tool_is_answered_with_similar_ones() {
    let output = mcphub(&["call", &spec("bookshop.yaml"), "book", "--args", "{}"]);
    assert_refused(&output, 4, &["mcphub inspect", "getBook"]);
}

/// Answers every request on a loopback port with these bytes.
fn api(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(&answer);
        }
    });
    url
}

fn call_against(answer: &str) -> Output {
    let url = api(answer.as_bytes().to_vec());
    mcphub(&[
        "call",
        &spec("bookshop.yaml"),
        "getBook",
        "--args",
        r#"{"isbn": "9780000000019"}"#,
        "--base-url",
        &url,
    ])
}

#[test]
fn what_an_api_does_wrong_is_said_and_ends_with_7() {
    let answer = |head: &str, body: &str| {
        format!(
            "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let broken = call_against(&answer(
        "500 Internal Server Error\r\ncontent-type: text/plain",
        "out of paper",
    ));
    assert_refused(
        &broken,
        7,
        &["HTTP 500 Internal Server Error", "out of paper"],
    );
    let no_json = call_against(&answer("200 OK\r\ncontent-type: application/json", "{oops"));
    assert_refused(&no_json, 7, &["not valid JSON", "{oops"]);
    let huge = call_against(&answer(
        "200 OK\r\ncontent-type: application/json",
        &format!("[{}]", " ".repeat(11 * 1024 * 1024)),
    ));
    assert_refused(&huge, 7, &["too long for one result", "[cut: bytes 0 to "]);
    let unreachable = mcphub(&[
        "call",
        &spec("bookshop.yaml"),
        "getBook",
        "--args",
        r#"{"isbn": "9780000000019"}"#,
        "--base-url",
        "http://127.0.0.1:1",
    ]);
    assert_refused(&unreachable, 7, &["127.0.0.1:1", "could not be reached"]);
}
