//! The table of docs/reliability.md: what servers and clients do wrong, one after the other, while
//! others go on. `scripts/fault-table.py servers` writes it from what is printed here.

#![allow(clippy::print_stdout, reason = "rows of a table")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcphub_gateway::GatewaySettings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::faulty_server::{Fault, FaultyServer, NOT_YOURS};
use crate::support::{BOUND, Hub, Served, Server, quick, serve, serve_hub, until};

/// How long a request may take here.
const LIMIT: Duration = Duration::from_millis(400);

/// How long a circuit stays open here.
const PAUSE: Duration = Duration::from_millis(100);

/// How late an answer may be beside its limit, on a busy machine.
const SLACK: Duration = Duration::from_secs(4);

fn settings() -> GatewaySettings {
    let mut settings = quick();
    settings.stream_timeout = LIMIT;
    settings.body_timeout = LIMIT;
    settings.guard.failures = 3;
    (settings.guard.pause, settings.guard.max_pause) = (PAUSE, PAUSE);
    settings
}

async fn call(served: &Served, tool: &str) -> Value {
    served.modern("tools/call", json!({"name": tool})).await.1
}

fn text(answer: &Value) -> String {
    answer["result"]["content"][0]["text"]
        .as_str()
        .or(answer["error"]["message"].as_str())
        .unwrap_or_else(|| panic!("neither a text nor an error in {answer}"))
        .to_owned()
}

fn is_well(answer: &Value) -> bool {
    answer.get("error").is_none() && answer["result"]["isError"] != true
}

/// Calls of a server that is well, one after the other, until it is told to end: how many, how many
/// failed, and the longest.
async fn others(served: &Served, done: &AtomicBool) -> (usize, usize, Duration) {
    let (mut calls, mut failed, mut longest) = (0, 0, Duration::ZERO);
    while !done.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let answer = call(served, "good_echo").await;
        longest = longest.max(begun.elapsed());
        calls += 1;
        failed += usize::from(!is_well(&answer));
    }
    (calls, failed, longest)
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_does_wrong_is_told_in_time_and_to_nobody_else() {
    let hub = Arc::new(Hub::default());
    let good = Server::with(&["echo"]);
    hub.register("good", &good);
    let mut servers = Vec::new();
    for (place, (fault, what)) in Fault::ALL.into_iter().enumerate() {
        let server = FaultyServer::start(fault).await;
        let name = format!("bad{place}");
        hub.attach(&name, &server.url);
        servers.push((name, what, server));
    }
    let served = serve_hub(hub, settings()).await;
    let all = servers.len() + 1;
    until("all lists", async || served.names().await.len() == all).await;

    for (name, what, server) in &servers {
        server.break_down().await;
        let tool = format!("{name}_t");
        let done = AtomicBool::new(false);
        let bad = async {
            let mut longest = Duration::ZERO;
            // Two callers at once, so that one could get what is the other's.
            for _ in 0..3 {
                let begun = Instant::now();
                let (one, other) = tokio::join!(call(&served, &tool), call(&served, &tool));
                longest = longest.max(begun.elapsed());
                for answer in [one, other] {
                    assert!(!is_well(&answer), "{what}: {answer}");
                    assert!(!answer.to_string().contains(NOT_YOURS), "{what}: {answer}");
                    assert!(text(&answer).contains(name.as_str()), "{what}: {answer}");
                }
            }
            assert!(longest < LIMIT + SLACK, "{what}: {longest:?}");
            server.mend().await;
            let mended = Instant::now();
            until("it is called again", async || {
                is_well(&call(&served, &tool).await)
            })
            .await;
            done.store(true, Ordering::SeqCst);
            (longest, mended.elapsed())
        };
        let ((longest, back), (calls, failed, slowest)) = tokio::join!(bad, others(&served, &done));
        assert_eq!(failed, 0, "{what}: calls of another server failed");
        assert!(back < PAUSE + LIMIT + SLACK, "{what}: {back:?}");
        println!(
            "| {what} | {} | {calls} | {failed} | {} | {} |",
            milliseconds(longest),
            milliseconds(slowest),
            milliseconds(back),
        );
    }
}

/// What a client does on a connection of its own, and what it gets.
struct Client {
    what: &'static str,
    /// What it sends.
    says: Vec<u8>,
    /// Whether it then waits for an answer, and with which status that has to begin; an empty one
    /// where the connection may be closed without.
    gets: &'static [&'static str],
}

fn post(headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

fn whole(body: &str) -> Vec<u8> {
    post(&format!("content-length: {}\r\n", body.len()), body)
}

fn echo(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"good_echo","arguments":{{"a":1}}}}}}"#
    )
}

fn clients() -> Vec<Client> {
    let call = echo("1");
    let long = call.len();
    let hidden = "POST /mcp HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let client = |what, says, gets| Client { what, says, gets };
    let called = |hosts: &str| {
        let request = String::from_utf8(whole(&call)).unwrap();
        request
            .replacen("host: localhost\r\n", hosts, 1)
            .into_bytes()
    };
    let mut bad_text = whole(&call.replace("\"a\":1", "\"a\":\"??\""));
    let place = bad_text.iter().position(|byte| *byte == b'?').unwrap();
    bad_text[place..place + 2].copy_from_slice(b"\xc3\x28");
    vec![
        client(
            "two lengths that differ",
            post(
                &format!("content-length: {long}\r\ncontent-length: 5\r\n"),
                &call,
            ),
            &["400", ""],
        ),
        client(
            "a length and chunks, with a request in the body",
            post(
                "content-length: 4\r\ntransfer-encoding: chunked\r\n",
                &format!("0\r\n\r\n{hidden}"),
            ),
            &["400", ""],
        ),
        client(
            "an unknown transfer encoding",
            post("transfer-encoding: chunked, x\r\n", &call),
            &["400", "501", ""],
        ),
        client(
            "a header folded over two lines",
            post(
                &format!("x-a: b\r\n c\r\ncontent-length: {long}\r\n"),
                &call,
            ),
            &["400", ""],
        ),
        client(
            "a header without an end",
            vec![b'a'; 1 << 20],
            &["400", "431", ""],
        ),
        client(
            "no HTTP",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".to_vec(),
            &["400", ""],
        ),
        client(
            "a page of another origin",
            post(
                &format!("origin: https://evil.example\r\ncontent-length: {long}\r\n"),
                &call,
            ),
            &["403"],
        ),
        client(
            "the name of another host",
            called("host: evil.example\r\n"),
            &["403"],
        ),
        client(
            "another host in its target",
            {
                let mut elsewhere = whole(&call);
                elsewhere.splice(5..5, *b"http://evil.example");
                elsewhere
            },
            &["403"],
        ),
        client("no host", called(""), &["400"]),
        client(
            "two hosts",
            called("host: localhost\r\nhost: localhost\r\n"),
            &["400"],
        ),
        client("bytes that are no UTF-8", bad_text, &["400"]),
        client("a body that is no JSON", whole("{"), &["400"]),
        client(
            "100,000 nested arrays",
            whole(&"[".repeat(100_000)),
            &["400"],
        ),
        client(
            "a member twice",
            whole(&call.replace("\"a\":1", "\"a\":1,\"a\":2")),
            &["400"],
        ),
        client(
            "a name twice, one for the check and one for the call",
            whole(&call.replace("\"name\":", "\"name\":\"x\",\"name\":")),
            &["400"],
        ),
        client(
            "a body larger than it may be",
            post("content-length: 99999999\r\n", ""),
            &["413"],
        ),
        client(
            "a body that does not come",
            post(&format!("content-length: {long}\r\n"), "{"),
            &["408"],
        ),
        client(
            "another method's header",
            post(
                &format!(
                    "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\ncontent-length: {long}\r\n"
                ),
                &call,
            ),
            &["400"],
        ),
    ]
}

/// The status that a connection gives, or nothing where it ends without.
async fn status(served: &Served, says: &[u8]) -> String {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let talk = async {
        // It may be closed before all is sent.
        let _ = stream.write_all(says).await;
        let mut answer = [0; 12];
        let read = stream.read_exact(&mut answer).await;
        match read {
            Ok(_) => String::from_utf8_lossy(&answer[9..]).into_owned(),
            Err(_) => String::new(),
        }
    };
    tokio::time::timeout(BOUND, talk)
        .await
        .expect("an answer, or an end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_does_wrong_is_refused_and_others_do_not_notice() {
    let good = Server::with(&["echo"]);
    let served = serve(&[("good", &good)], settings()).await;
    for Client { what, says, gets } in clients() {
        let made = good.calls.lock().unwrap().len();
        let begun = Instant::now();
        let got = status(&served, &says).await;
        let took = begun.elapsed();
        assert!(gets.contains(&got.as_str()), "{what}: {got:?}");
        assert!(took < LIMIT + SLACK, "{what}: {took:?}");
        assert_eq!(
            good.calls.lock().unwrap().len(),
            made,
            "{what}: it was called"
        );
        assert!(is_well(&call(&served, "good_echo").await), "{what}");
        let got = if got.is_empty() { "closed" } else { &got };
        println!("| {what} | {got} | {} |", milliseconds(took));
    }
}

/// Clients that send the head of a request byte by byte, and the next byte only once others were
/// answered meanwhile. In the end they are answered as well.
async fn drip(served: &Served, request: &[u8], clients: usize) {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = request.split_at(end.unwrap());
    let mut streams = Vec::new();
    for _ in 0..clients {
        let stream = TcpStream::connect(served.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    for byte in head {
        for stream in &mut streams {
            stream.write_all(&[*byte]).await.unwrap();
        }
        assert!(is_well(&call(served, "good_echo").await));
    }
    for mut stream in streams {
        stream.write_all(body).await.unwrap();
        let mut answer = [0; 12];
        let answered = tokio::time::timeout(BOUND, stream.read_exact(&mut answer));
        answered.await.expect("an answer").unwrap();
        assert_eq!(&answer[9..], b"200");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stay_or_go_hold_up_nobody() {
    let good = Server::with(&["echo", "large", "hang"]);
    let served = serve(&[("good", &good)], settings()).await;
    let one = |tool: &str| whole(&echo("1").replace("good_echo", &format!("good_{tool}")));
    let connect = async || TcpStream::connect(served.address).await.unwrap();
    let mut kept = Vec::new();
    for (what, says, many) in [
        ("say nothing", Vec::new(), 300),
        ("begin a header", b"POST /mcp HT".to_vec(), 100),
        ("send a byte at a time", one("echo"), 20),
        ("never read a large answer", one("large"), 50),
        ("go away in the middle of a call", one("hang"), 50),
    ] {
        let done = AtomicBool::new(false);
        let bad = async {
            let begun = Instant::now();
            if what.starts_with("send a byte") {
                drip(&served, &says, many).await;
            } else {
                for _ in 0..many {
                    let mut stream = connect().await;
                    stream.write_all(&says).await.unwrap();
                    kept.push(stream);
                }
            }
            if what.starts_with("go away") {
                until("all are called", async || {
                    let calls = good.calls.lock().unwrap();
                    calls.iter().filter(|(tool, _)| tool == "hang").count() == many
                })
                .await;
                kept.clear();
                until("all calls are given up", async || {
                    good.cancelled.load(Ordering::SeqCst) == many
                })
                .await;
            }
            done.store(true, Ordering::SeqCst);
            begun.elapsed()
        };
        let (took, (calls, failed, slowest)) = tokio::join!(bad, others(&served, &done));
        assert_eq!(failed, 0, "{what}");
        assert!(is_well(&call(&served, "good_echo").await), "{what}");
        println!(
            "| {many} that {what} | {} | {calls} | {failed} | {} |",
            milliseconds(took),
            milliseconds(slowest)
        );
    }
}
