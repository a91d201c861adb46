//! What the native executor adds to the plain HTTP client, in processor time: a call of a tool with
//! 10 arguments, and the same request by the client alone. The goal is 15 µs at most.
//!
//! Both use one thread, taking turns, and the API has another, whose time does not count. Counted is
//! what lies between the arguments' text and the result's: reading and checking the arguments,
//! the request, the answer. `cargo bench --profile dist -p mcphub-gateway --bench executor`;
//! `-- --check` fails when the goal is missed, `-- --only client|tool --calls N` makes so many calls for
//! a program that counts instructions.

#![allow(missing_docs, clippy::print_stdout)]

#[path = "call/api.rs"]
mod api;
#[path = "call/client.rs"]
#[allow(
    dead_code,
    reason = "the API reads messages as the client does, and has no client"
)]
mod client;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mcphub_core::call::Arguments;
use mcphub_core::catalog::{CatalogServer, CatalogVersion, Upstream as Target};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolSet;
use mcphub_gateway::upstream::{Connect, Connector, Upstream, UpstreamSettings};
use mimalloc::MiMalloc;
use nix::time::{ClockId, clock_gettime};
use serde_json::json;

/// The one of the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const ROUNDS: usize = 31;
const CALLS: u32 = 400;
const GOAL: f64 = 15.0;

const ARGUMENTS: &str = r#"{"shop":"north","isbn":"9780141439600","limit":20,"fields":["title","price"],"dry_run":false,"trace":"a1b2c3","title":"A Tale of Two Cities","authors":["Charles Dickens"],"price":9.5,"tags":["novel","classic"]}"#;
const PATH: &str =
    "shops/north/books/9780141439600?limit=20&fields=title&fields=price&dry_run=false";
const BODY: &str = r#"{"title":"A Tale of Two Cities","authors":["Charles Dickens"],"price":9.5,"tags":["novel","classic"]}"#;

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no other provider is installed");
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = runtime();
        let address = runtime.block_on(api::start());
        told.send(address).expect("somebody waits for it");
        runtime.block_on(std::future::pending::<()>());
    });
    let base = format!("http://{}/", address.recv().expect("the API starts"));
    runtime().block_on(measure(&base))
}

async fn measure(base: &str) -> ExitCode {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let url = format!("{base}{PATH}");
    let plain = async || {
        let request = client
            .put(&url)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("x-trace", "a1b2c3")
            .body(BODY);
        let answer = request.send().await.expect("the API answers");
        answer.bytes().await.expect("the API answers").len()
    };
    let upstream = upstream(base);
    let call = async || {
        let arguments = Arguments::parse(ARGUMENTS).expect("the arguments are an object");
        let result = upstream.call("put_book", &arguments).await;
        result.expect("the API answers").as_bytes().len()
    };
    if let Some(only) = option("--only") {
        let calls = option("--calls").and_then(|calls| calls.parse().ok());
        for _ in 0..calls.unwrap_or(CALLS) {
            match &*only {
                "client" => plain().await,
                _ => call().await,
            };
        }
        return ExitCode::SUCCESS;
    }
    assert_eq!(plain().await, api::ANSWER.len());
    assert!(call().await > api::ANSWER.len());

    let (mut direct, mut through, mut more) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms up the connection, caches and the allocator.
    for round in 0..=ROUNDS {
        let alone = each(&plain).await;
        let called = each(&call).await;
        if round > 0 {
            direct.push(alone);
            through.push(called);
            more.push(called - alone);
        }
    }
    let more = median(&mut more);
    println!(
        "10 arguments: client alone {:.1} µs, call of a native tool {:.1} µs, {more:.1} µs more; goal {GOAL}",
        median(&mut direct),
        median(&mut through),
    );
    if more > GOAL && std::env::args().any(|option| option == "--check") {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn option(name: &str) -> Option<String> {
    let mut options = std::env::args().skip_while(|option| option != name);
    options.nth(1)
}

/// Microseconds of this thread for one of many.
async fn each(work: &impl AsyncFn() -> usize) -> f64 {
    let start = processor_time();
    for _ in 0..CALLS {
        std::hint::black_box(work().await);
    }
    (processor_time() - start).as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("the clock is there").into()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn upstream(base: &str) -> Arc<dyn Upstream> {
    let connector = Connector::new(UpstreamSettings::default()).expect("the settings are right");
    connector.connect(&CatalogServer {
        name: ServerName::new("shop").expect("a name"),
        revision: CatalogVersion::default(),
        tools: Arc::new(tools()),
        upstream: Target::Native {
            base_url: base.parse().expect("a URL"),
            credentials: Credentials::default(),
        },
    })
}

/// One tool: two arguments in the path, three in the query, one in a header, four in the body.
fn tools() -> ToolSet {
    let text = json!({"type": "string"});
    let strings = json!({"type": "array", "items": text});
    let properties = json!({
        "shop": text, "isbn": text, "limit": {"type": "integer", "minimum": 1, "maximum": 100}, "fields": strings,
        "dry_run": {"type": "boolean"}, "trace": text, "title": text, "authors": strings, "price": {"type": "number"},
        "tags": strings,
    });
    let parameter = |argument: &str, name: &str, place: &str, style: &str| {
        let required = place == "path";
        json!({"argument": argument, "name": name, "in": place, "required": required, "style": style, "explode": style == "form"})
    };
    let members =
        ["title", "authors", "price", "tags"].map(|name| json!({"argument": name, "name": name}));
    let set = json!({
        "planVersion": mcphub_core::tool::PLAN_VERSION,
        "api": {"title": "Shop", "version": "1", "dialect": "openapi-3.0"},
        "servers": [], "securitySchemes": {}, "definitions": [],
        "tools": [{
            "name": "put_book", "description": "A book",
            "annotations": {"readOnlyHint": false, "destructiveHint": true, "idempotentHint": true, "openWorldHint": true},
            "input": {"root": {"type": "object", "properties": properties, "required": ["shop", "isbn", "title"], "additionalProperties": false}},
            "binding": {
                "method": "PUT", "path": "/shops/{shop}/books/{isbn}", "accept": "application/json",
                "parameters": [
                    parameter("shop", "shop", "path", "simple"), parameter("isbn", "isbn", "path", "simple"),
                    parameter("limit", "limit", "query", "form"), parameter("fields", "fields", "query", "form"),
                    parameter("dry_run", "dry_run", "query", "form"), parameter("trace", "X-Trace", "header", "simple"),
                ],
                "body": {"mediaType": "application/json", "format": "json", "required": true, "source": {"members": members}},
            },
        }],
    });
    serde_json::from_value(set).expect("a tool set")
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
