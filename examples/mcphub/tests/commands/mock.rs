//! `mcphub mock` as the API of `mcphub call`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::process::Running;
use crate::common::sandbox::Sandbox;

const PATIENCE: Duration = Duration::from_secs(30);

/// A mock of a bundled document, and where it is.
fn mock(sandbox: &Sandbox, spec: &str, more: &[&str]) -> (Running, String) {
    let mut command = sandbox.mcphub();
    command
        .args(["mock", spec, "--listen", "127.0.0.1:0"])
        .args(more);
    let running = Running::start("the mock", &mut command, "");
    let line = running.line(Instant::now() + PATIENCE).expect("it serves");
    let url = line
        .split(" at ")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let url = url
        .unwrap_or_else(|| panic!("no address in: {line}"))
        .to_owned();
    (running, url)
}

fn spec(name: &str) -> String {
    format!("{}/../specs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_mock_is_for_names_of_this_machine_and_those_that_it_was_given() {
    let sandbox = Sandbox::new();
    let allowed = ["--allow-host", "api.test"];
    let (_mock, url) = mock(&sandbox, &spec("bookshop.yaml"), &allowed);
    let url = url::Url::parse(&url).unwrap();
    let address = url.socket_addrs(|| None).unwrap()[0];
    for (host, status) in [("localhost", 200), ("api.test:1", 200), ("evil.test", 403)] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let path = format!("{}/books", url.path().trim_end_matches('/'));
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{host}: {answer}"
        );
    }
}

#[test]
fn a_call_of_a_tool_is_what_the_mock_takes() {
    let sandbox = Sandbox::new();
    let spec = spec("bodies.yaml");
    let (_mock, url) = mock(&sandbox, &spec, &[]);
    let call = |tool: &str, arguments: &str| {
        let mut command = sandbox.mcphub();
        command.args(["call", &spec, tool, "--args", arguments, "--base-url", &url]);
        command.args(["--format", "json"]);
        let output = command.output().unwrap();
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), result)
    };
    for (tool, arguments) in [
        (
            "addPicture",
            r#"{"picture": "iVBO", "rating": 3, "tags": ["a"]}"#,
        ),
        ("replacePictures", r#"{"body": "AAEC"}"#),
        ("addEvents", r#"{"body": [{"name": "x"}]}"#),
        ("setRating", r#"{"body": 5}"#),
        (
            "changeSettings",
            r#"{"widths": [1, 2], "filter": {"name": "x"}}"#,
        ),
    ] {
        let (code, result) = call(tool, arguments);
        assert_eq!(code, Some(0), "{tool}: {result}");
    }
}

#[test]
fn failures_come_when_they_are_asked_for() {
    let sandbox = Sandbox::new();
    let (_mock, url) = mock(&sandbox, &spec("bookshop.yaml"), &["--fail-every", "2"]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let statuses: Vec<u16> = (0..4)
        .map(|_| {
            let books = format!("{url}/books");
            let answer = runtime.block_on(async { reqwest::get(books).await.unwrap() });
            answer.status().as_u16()
        })
        .collect();
    assert_eq!(statuses, [200, 503, 200, 503]);
}

#[test]
fn calls_of_the_api_are_recorded_without_secrets_and_played_again() {
    let sandbox = Sandbox::new();
    let spec = spec("bookshop.yaml");
    // The API itself: a mock that asks for a key.
    let (api, url) = mock(&sandbox, &spec, &[]);
    let file = sandbox.path().join("calls.har").display().to_string();
    let call = |url: &str, key: &str| {
        let mut command = sandbox.mcphub();
        command
            .env("SHOP_KEY", key)
            .args(["call", &spec, "deleteReview", "--base-url", url]);
        command.args([
            "--args",
            r#"{"review_id": 7}"#,
            "--secret-env",
            "shopKey=SHOP_KEY",
        ]);
        let output = command.args(["--format", "json"]).output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (recorder, recording) = mock(&sandbox, &spec, &["--record", &file, "--base-url", &url]);
    let recorded = call(&recording, "s3cret-key");
    assert_eq!(recorded.0, Some(0), "{recorded:?}");
    drop((recorder, api));

    let written = std::fs::read_to_string(&file).unwrap();
    assert!(!written.contains("s3cret-key"), "{written}");
    let archive: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(
        archive["log"]["entries"].as_array().map(Vec::len),
        Some(1),
        "{archive:#}"
    );

    let (_player, playing) = mock(&sandbox, &spec, &["--replay", &file]);
    assert_eq!(call(&playing, "another-key"), recorded);
    let again = sandbox
        .mcphub()
        .args(["mock", &spec, "--record", &file, "--base-url", &url])
        .output()
        .unwrap();
    assert_eq!(
        again.status.code(),
        Some(5),
        "a recording is never overwritten: {again:?}"
    );
}
