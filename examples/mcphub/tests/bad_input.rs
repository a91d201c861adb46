//! What an API and a client do wrong, against the running gateway: each is an answer, the other
//! tools go on, and memory stays bounded.

#![allow(clippy::print_stdout, reason = "it says when it does not run")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use common::gateway::Gateway;
use common::process::Running;
use common::sandbox::Sandbox;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
/// How many answers without end, and how many large ones, are asked for at once.
const AT_ONCE: usize = 40;
/// What the gateway says before a piece of an answer.
const TOO_LONG: &str = "too long for one result";
/// What it says when there is no room for an answer in time.
const NO_ROOM: &str = "too many large answers at once";
/// What it says when reading an answer took too long.
const TOO_SLOW: &str = "did not answer within";
/// Bytes of a large answer.
const LARGE: usize = 9 * 1024 * 1024;
/// Large answers take 64 MiB together, as results up to three times that; the program itself takes
/// about 50 MiB, and what the allocator has not given back yet comes on top.
const MEMORY: u64 = 50 + 3 * 64 + 64;

/// An API with an operation for each thing that goes wrong.
fn api() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    url
}

fn answer(mut stream: TcpStream) {
    let mut head = [0; 16 * 1024];
    let read = stream.read(&mut head).unwrap_or(0);
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    let mut whole = |status: &str, media: &str, body: &str| {
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    };
    match head.split([' ', '?']).nth(1).unwrap_or_default() {
        "/broken" => whole("500 Internal Server Error", "text/plain", "out of paper"),
        "/noJson" => whole("200 OK", "application/json", "{oops"),
        "/html" => whole("200 OK", "text/html", "<b>hello</b>"),
        "/large" => whole("200 OK", "text/plain", &"large\n".repeat(LARGE / 6)),
        "/silent" => thread::sleep(PATIENCE),
        "/endless" => {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
            );
            // Ends when the gateway has had enough.
            while stream.write_all(&[b' '; 64 * 1024]).is_ok() {}
        }
        _ => whole("200 OK", "application/json", r#"{"well":true}"#),
    }
}

fn document(url: &str) -> String {
    let operation = |name: &str| {
        let get = json!({ "operationId": name, "responses": { "200": {
            "description": "an object",
            "content": { "application/json": { "schema": { "type": "object" } } },
        } } });
        (format!("/{name}"), json!({ "get": get }))
    };
    let names = [
        "well", "broken", "noJson", "html", "large", "silent", "endless",
    ];
    let mut paths: serde_json::Map<_, _> = names.into_iter().map(operation).collect();
    paths["/well"]["get"]["parameters"] = json!([
        { "name": "limit", "in": "query", "schema": { "type": "integer", "maximum": 9 } },
    ]);
    json!({
        "openapi": "3.0.3",
        "info": { "title": "Faults", "version": "1" },
        "servers": [{ "url": url }],
        "paths": paths,
    })
    .to_string()
}

fn message(id: usize, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}

/// Posts a body and gives the status and the answer.
fn post(url: &str, body: String) -> (u16, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let request = client.build().unwrap().post(url);
        let request = request
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(body);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        )
    })
}

/// The text of a result, which is an error or not.
fn text(answer: &Value, is_error: bool) -> &str {
    assert_eq!(answer["result"]["isError"] == true, is_error, "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

/// The most memory that a process ever had, in MiB.
fn peak(process: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

fn faults(more: &[&str]) -> (Sandbox, Gateway) {
    let sandbox = Sandbox::new();
    let spec = sandbox.write("faults.json", &document(&api()));
    let gateway = Gateway::start(&sandbox, &[&["up", &spec], more].concat());
    (sandbox, gateway)
}

/// `endless` is said of an answer that has no end.
fn every_fault_is_an_answer(gateway: &Gateway, endless: &str) {
    let call = |tool: &str, arguments: &str| post(&gateway.url(), message(1, tool, arguments)).1;
    let deadline = Instant::now() + PATIENCE;
    while call("faults_well", "{}")["result"]["isError"] == true {
        assert!(Instant::now() < deadline, "the server does not start");
        thread::sleep(Duration::from_millis(50));
    }
    let broken = call("faults_broken", "{}");
    assert_eq!(
        text(&broken, true),
        "HTTP 500 Internal Server Error\nout of paper"
    );
    assert!(text(&call("faults_noJson", "{}"), true).contains("not valid JSON"));
    assert_eq!(text(&call("faults_html", "{}"), false), "<b>hello</b>");
    assert!(text(&call("faults_endless", "{}"), true).contains(endless));
    let wrong = call("faults_well", r#"{"limit": "many", "limt": 1}"#);
    for said in ["limit: must be an integer", "limt: is not an argument"] {
        assert!(text(&wrong, true).contains(said), "{wrong}");
    }
    let unknown = call("faults_nothing", "{}");
    assert_eq!(unknown["error"]["code"], -32602);
    for (body, code, said) in [
        ("{".to_owned(), -32700, "Parse error"),
        (r#"{"jsonrpc":"2.0","id":1}"#.to_owned(), -32600, "method"),
        (
            message(1, "faults_well", r#"{"limit":1,"limit":2}"#),
            -32602,
            "`limit` appears twice",
        ),
        (
            message(1, "faults_well", r#"{"limit":[{"a":1,"a":2}]}"#),
            -32602,
            "`a` appears twice",
        ),
    ] {
        let (status, answer) = post(&gateway.url(), body);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)));
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn every_fault_is_an_answer_from_the_gateway_itself() {
    let (_sandbox, gateway) = faults(&[]);
    every_fault_is_an_answer(&gateway, TOO_LONG);
    assert!(gateway.stop().success());
}

#[test]
fn every_fault_is_an_answer_from_a_process() {
    if std::env::var_os("MCPHUB_TEST_PYTHON").is_none() {
        println!("not run: set MCPHUB_TEST_PYTHON=1; it needs Python and a package index");
        return;
    }
    let (_sandbox, gateway) = faults(&["--serve", "process"]);
    every_fault_is_an_answer(&gateway, "10 MiB");
    assert!(gateway.stop().success());
}

#[test]
fn answers_without_end_and_without_beginning_take_bounded_memory_and_hold_nobody_up() {
    let (_sandbox, gateway) = faults(&[]);
    let waiting: Vec<_> = (0..AT_ONCE)
        .flat_map(|id| ["faults_endless", "faults_silent"].map(|tool| (id, tool)))
        .map(|(id, tool)| {
            let url = gateway.url();
            let call = thread::spawn(move || post(&url, message(id, tool, "{}")).1);
            (tool, call)
        })
        .collect();
    let start = Instant::now();
    let well = post(&gateway.url(), message(1, "faults_well", "{}")).1;
    assert_eq!(text(&well, false), r#"{"well":true}"#);
    assert!(start.elapsed() < Duration::from_secs(10));
    let mut pieces = 0;
    for (_, call) in waiting
        .into_iter()
        .filter(|(tool, _)| *tool == "faults_endless")
    {
        let answer = call.join().unwrap();
        let said = text(&answer, true);
        // Which of them depends on how fast the machine is.
        let known = [TOO_LONG, NO_ROOM, TOO_SLOW];
        assert!(known.iter().any(|known| said.contains(known)), "{said}");
        pieces += usize::from(said.contains(TOO_LONG));
    }
    assert!(pieces > 0);
    let peak = peak(gateway.running());
    assert!(peak < MEMORY, "{peak} MiB");
}

#[test]
fn large_answers_to_many_callers_at_once_take_bounded_memory_and_all_arrive() {
    let (_sandbox, gateway) = faults(&[]);
    let callers: Vec<_> = (0..AT_ONCE)
        .map(|id| {
            let address = gateway.url().replace("http://", "").replace("/mcp", "");
            let message = message(id, "faults_large", "{}");
            thread::spawn(move || {
                let mut stream = TcpStream::connect(&address).unwrap();
                write!(
                    stream,
                    "POST /mcp HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: {}\r\n\r\n{message}",
                    message.len()
                )
                .unwrap();
                // Not kept: the test is no smaller than what it watches otherwise.
                std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
            })
        })
        .collect();
    for caller in callers {
        assert!(caller.join().unwrap() > LARGE as u64);
    }
    let peak = peak(gateway.running());
    assert!(peak < MEMORY, "{peak} MiB");
}

#[test]
fn a_client_that_writes_garbage_on_standard_input_is_answered_line_by_line() {
    let sandbox = Sandbox::new();
    let spec = sandbox.write("faults.json", &document(&api()));
    let lines = [
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#.to_owned(),
        "garbage".to_owned(),
        "[".repeat(100_000),
        "x".repeat(5 * 1024 * 1024),
        message(1, "faults_well", r#"{"limit":1,"limit":2}"#),
        message(2, "faults_endless", "{}"),
        message(3, "faults_nothing", "{}"),
        message(4, "faults_well", "{}"),
    ];
    let mut command = sandbox.mcphub();
    command.args(["up", &spec, "--stdio"]);
    let mut running = Running::start("mcphub", &mut command, &(lines.join("\n") + "\n"));
    let deadline = Instant::now() + PATIENCE;
    let mut answers = Vec::new();
    while let Some(line) = running.line(deadline) {
        answers.push(serde_json::from_str::<Value>(&line).unwrap());
    }
    assert!(running.wait(PATIENCE).success());
    assert_eq!(answers.len(), lines.len(), "{answers:?}");
    let of = |id: u32| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(of(1)["error"]["code"], -32602);
    assert!(text(of(2), true).contains(TOO_LONG));
    assert_eq!(of(3)["error"]["code"], -32602);
    assert_eq!(text(of(4), false), r#"{"well":true}"#);
}
