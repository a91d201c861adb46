//! What takes a client more than one look at an answer: streams that it hears of while they come,
//! and answers that are too long for one result.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::common;
use crate::common::client::{Client, Outcome, Report, ToolCall};
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const EVENTS: [&str; 3] = ["one", "two", "{\"n\": 3}"];

/// Longer than one result, which has at most 10 MiB.
const LONG: usize = 10 * 1024 * 1024 + 5;

/// An API on loopback: `/events` streams, anything else is long.
fn api() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound listener has one");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client may go away at any time.
            thread::spawn(move || answer(stream).unwrap_or_default());
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    if first.contains(" /events ") {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
        for event in EVENTS {
            stream.write_all(format!("data: {event}\n\n").as_bytes())?;
        }
        return Ok(());
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {LONG}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&vec![b'x'; LONG])
}

fn document(url: &str) -> String {
    let operation = |id: &str, kind: &str| {
        json!({"get": {"operationId": id, "responses": {"200": {
            "description": "", "content": {kind: {}},
        }}}})
    };
    let document = json!({
        "openapi": "3.1.0",
        "info": {"title": "Feed", "version": "1"},
        "servers": [{"url": url}],
        "paths": {
            "/events": operation("watch", "text/event-stream"),
            "/export": operation("export", "text/plain"),
        },
    });
    document.to_string()
}

/// The texts of the first call.
fn texts(report: &Report) -> Vec<&str> {
    let Outcome::Result(result) = &report.calls[0] else {
        panic!("{:?}", report.calls[0]);
    };
    assert!(!result.is_error);
    let texts = result
        .content
        .iter()
        .map(|content| content["text"].as_str());
    texts.map(|text| text.expect("a text")).collect()
}

fn call(tool: &str, arguments: Value) -> ToolCall {
    ToolCall::new(&format!("feed_{tool}"), arguments)
}

/// A client, which makes one call each time, hears of a stream.
fn check_stream(name: &str, client: impl Fn(ToolCall) -> Report) {
    let heard = client(call("watch", json!({})).with_progress());
    assert_eq!(heard.progress, EVENTS, "{name}");
    assert_eq!(texts(&heard).len(), 1, "{name}");
    for event in EVENTS {
        assert!(texts(&heard)[0].contains(event), "{name}");
    }
}

/// It reads all of a long answer.
fn check_rest(name: &str, client: impl Fn(ToolCall) -> Report) {
    let first = client(call("export", json!({})));
    let [text, note] = texts(&first)[..] else {
        panic!("{name}: {} texts", texts(&first).len());
    };
    let (_, place) = note.split_once("rest=").expect("a way to the rest");
    let rest = client(call("export", json!({"rest": place.trim_end_matches(']')})));
    let [more, end] = texts(&rest)[..] else {
        panic!("{name}: {} texts", texts(&rest).len());
    };
    assert_eq!(text.len() + more.len(), LONG, "{name}");
    assert!(end.ends_with("this is the end]"), "{name}: {end}");
}

#[test]
fn clients_hear_of_streams_and_read_all_of_long_answers() {
    if !common::clients_wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let spec = sandbox.write("feed.json", &document(&api()));
    let gateway = Gateway::start(&sandbox, &["up", &spec]);
    let newest = "2026-07-28";
    for client in [
        Client::Python("legacy"),
        Client::Python(newest),
        Client::Node("default"),
        Client::Node("auto"),
    ] {
        let ask = |call| client.report(&gateway.url(), &[call]);
        check_stream(&format!("{client:?}"), ask);
        if client != Client::Python("legacy") {
            check_rest(&format!("{client:?}"), ask);
        }
    }
    assert!(gateway.stop().success());
    let mut command = sandbox.mcphub();
    command.args(["up", &spec, "--stdio"]);
    for mode in ["legacy", newest] {
        let client = Client::Python(mode);
        let ask = |call| client.report_stdio(&sandbox, &command, &[call]);
        check_stream(&format!("{client:?} over stdio"), ask);
        if mode == "legacy" {
            check_rest(&format!("{client:?} over stdio"), ask);
        }
    }
}
