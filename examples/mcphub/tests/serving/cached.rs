//! Answers that are kept, by gateways as people start them.
//!
//! `MCPHUB_TEST_REDIS` and `MCPHUB_TEST_POSTGRES` name the servers that two of them share.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::nodes::shared;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const DOCUMENT: &str = "
openapi: 3.1.0
info: {title: Rates, version: '1'}
paths:
  /rates:
    get: {operationId: rates, responses: {'200': {description: All}}}
    post: {operationId: change, responses: {'200': {description: Done}}}
  /mine:
    get: {operationId: mine, responses: {'200': {description: Yours}}}
";

/// An API whose answers count themselves: those for everybody last ten minutes.
struct Rates {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Rates {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                std::thread::spawn(move || answer(stream, &count));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Answers one connection until it ends.
fn answer(stream: TcpStream, count: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut first, mut length) = (String::new(), 0);
        reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let number = count.fetch_add(1, Ordering::SeqCst);
        let scope = if first.contains("/mine") {
            "private"
        } else {
            "public"
        };
        let body = format!("[{number}]");
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: {scope}, max-age=600\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).ok()?;
    }
}

/// What a tool answers.
fn call(gateway: &Gateway, tool: &str) -> String {
    let result = gateway.call(&format!("rates_{tool}"), &json!({}));
    let text = result["content"][0]["text"].as_str();
    text.unwrap_or_else(|| panic!("{result}")).to_owned()
}

fn register(sandbox: &Sandbox, api: &Rates) {
    let spec = sandbox.write("rates.yaml", DOCUMENT);
    let up = ["up", &spec, "--base-url", &api.url];
    Gateway::start(sandbox, &up).stop();
}

#[test]
fn answers_that_are_for_everybody_are_kept_where_that_is_wanted() {
    let (sandbox, api) = (Sandbox::new(), Rates::open());
    register(&sandbox, &api);

    let gateway = Gateway::start(&sandbox, &["serve"]);
    assert_ne!(call(&gateway, "rates"), call(&gateway, "rates"));
    gateway.stop();

    for config in ["", "cache = \"8MiB\"\n"] {
        sandbox.write("mcphub.toml", config);
        let serve: &[&str] = match config {
            "" => &["serve", "--cache", "8MiB"],
            _ => &["serve"],
        };
        let gateway = Gateway::start(&sandbox, serve);
        let before = api.asked();
        let first = call(&gateway, "rates");
        assert_eq!(call(&gateway, "rates"), first);
        assert_eq!(api.asked(), before + 1, "a hit asks nobody");
        assert_ne!(call(&gateway, "mine"), call(&gateway, "mine"));
        call(&gateway, "change");
        assert_ne!(call(&gateway, "rates"), first);
        gateway.stop();
    }
    let refused = sandbox.run(&["serve", "--cache", "much"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("64MiB"), "{refused:?}");
}

fn nodes_share_answers(variable: &str) {
    let Some(shared) = shared(variable) else {
        return;
    };
    let (sandbox, api) = (Sandbox::new(), Rates::open());
    register(&sandbox, &api);
    let args = ["serve", "--shared", &shared, "--cache", "8MiB"];
    let [one, other] = [(), ()].map(|()| Gateway::start(&sandbox, &args));
    let before = api.asked();
    let first = call(&one, "rates");
    assert_eq!(call(&other, "rates"), first);
    assert_eq!(api.asked(), before + 1, "the other node asks nobody");
    call(&other, "change");
    let second = call(&one, "rates");
    assert_ne!(second, first);
    assert_eq!(call(&other, "rates"), second);
    assert_eq!(api.asked(), before + 3);
}

#[test]
fn nodes_share_answers_through_redis() {
    nodes_share_answers("MCPHUB_TEST_REDIS");
}

#[test]
fn nodes_share_answers_through_postgresql() {
    nodes_share_answers("MCPHUB_TEST_POSTGRES");
}
