//! How long `mcphub serve` takes from its start to the first successful call, with 50 registered
//! APIs, as a multiple of `mcphub --version`.
//!
//! `cargo bench -p mcphub-cli --bench start`

#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcphub_cli::demo_api::{self, DemoApi};
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::platform::{Platform, PublishRequest};
use mcphub_core::secret::Credentials;
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::Document;
use mcphub_core::tool::ToolChoices;
use mcphub_store::{MasterKey, StoreSettings};
use url::Url;

const MCPHUB: &str = env!("CARGO_BIN_EXE_mcphub");
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const APIS: usize = 50;
const RUNS: usize = 15;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("mcphub.db");
    let api = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(DemoApi::new().serve(listener));
        address
    });
    runtime.block_on(register(&store, api));

    let mut starts = Vec::new();
    let mut versions = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let status = Command::new(MCPHUB)
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        versions.push(begun.elapsed());
        assert!(status.success());
        starts.push(first_call(&store));
    }
    let (start, version) = (median(&mut starts), median(&mut versions));
    println!("mcphub serve, {APIS} APIs, start to first call: {start:.1?} (median of {RUNS})");
    println!("mcphub --version:                             {version:.1?}");
    println!("ratio: {:.1}", start.as_secs_f64() / version.as_secs_f64());
}

async fn register(store: &Path, api: SocketAddr) {
    let settings = StoreSettings::new(store.to_str().unwrap())
        .with_master_key(MasterKey::from_text(KEY).unwrap());
    let store = mcphub_store::open(&settings).await.unwrap();
    let platform = Platform::new(
        Arc::new(OpenApiParser::default()),
        Arc::new(ToolPlanner::default()),
        store,
    );
    for number in 1..=APIS {
        let request = PublishRequest {
            document: Document {
                source: format!("/{number}.yaml"),
                bytes: demo_api::DOCUMENT.as_bytes().into(),
            },
            name: Some(ServerName::new(format!("shop-{number}")).unwrap()),
            serve: Serve::Native,
            base_url: Some(Url::parse(&format!("http://{api}")).unwrap()),
            credentials: Credentials::default(),
            choices: ToolChoices::default(),
        };
        platform
            .publish(platform.prepare(request).unwrap())
            .await
            .unwrap();
    }
}

/// The time from starting the program to the first answered call.
fn first_call(store: &Path) -> Duration {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let begun = Instant::now();
    let _gateway = Gateway(
        Command::new(MCPHUB)
            .args(["serve", "--listen", &address.to_string(), "--store"])
            .arg(store)
            .env("MCPHUB_MASTER_KEY", KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    while begun.elapsed() < Duration::from_secs(20) {
        if let Some(answer) = call(address) {
            assert!(
                answer.contains("structuredContent") && !answer.contains("isError"),
                "{answer}"
            );
            return begun.elapsed();
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    panic!("no call was answered within 20 s");
}

struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One call in the era of `initialize`, whose requests need no headers of their own.
fn call(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"shop-50_listBooks","arguments":{"limit":1}}}"#;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\nmcp-protocol-version: 2025-11-25\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
