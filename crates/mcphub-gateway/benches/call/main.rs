//! What a tool call costs beside the HTTP request that it makes.
//!
//! In one run, taking turns, at 32 connections: the same request to the same API through a plain
//! pass-through proxy made of axum and reqwest, and as `tools/call` of a native tool through the
//! gateway's `/mcp`. Printed are the wall time per call of both and their ratio, of which the median
//! of all rounds counts; the target is 1.25 at most. The ratio of processor time, which includes
//! that of the client and the API, holds on a busy machine as well.
//!
//! `cargo bench -p mcphub-gateway --bench call`; `-- --rounds N --seconds S` for more or longer
//! rounds, `-- --check` to fail when the target is missed, `-- --only proxy|gateway --case TEXT` to
//! keep one of them busy for a profiler.

#![allow(missing_docs, clippy::print_stdout)]

mod api;
mod client;
mod gateway;
mod load;
mod proxy;

use std::process::ExitCode;
use std::time::Duration;

use mimalloc::MiMalloc;

/// The one of the binary, for both that are compared.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const CONNECTIONS: usize = 32;
const TARGET: f64 = 1.25;

/// A request, and the same as a call.
struct Case {
    name: &'static str,
    plain: Vec<u8>,
    call: Vec<u8>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = options.iter().position(|option| option == name)?;
        options.get(at + 1).map(String::as_str)
    };
    let number = |name: &str, default: f64| {
        option(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    };
    let rounds = number("--rounds", 15.0) as usize;
    let time = Duration::from_secs_f64(number("--seconds", 1.0));
    let case = option("--case").unwrap_or_default();

    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no other provider is installed");
    let api = api::start().await;
    let proxy = proxy::start(api).await;
    let gateway = gateway::start(api).await;

    let mut missed = false;
    for case in cases()
        .into_iter()
        .filter(|known| known.name.contains(case))
    {
        load::answers(proxy, &case.plain, api::ANSWER).await;
        load::answers(gateway, &case.call, r#""content":[{"type":"text""#).await;
        let mut ratios = Vec::new();
        let (mut direct, mut through, mut work) = (Vec::new(), Vec::new(), Vec::new());
        // The first round warms up connections, caches and the allocator.
        for round in 0..=rounds {
            if let Some(only) = option("--only") {
                let (server, request) = match only {
                    "proxy" => (proxy, &case.plain),
                    _ => (gateway, &case.call),
                };
                load::run(server, request, CONNECTIONS, time).await;
                continue;
            }
            let plain = load::run(proxy, &case.plain, CONNECTIONS, time).await;
            let call = load::run(gateway, &case.call, CONNECTIONS, time).await;
            if round > 0 {
                ratios.push(call.wall / plain.wall);
                work.push(call.cpu / plain.cpu);
                direct.push(plain.wall);
                through.push(call.wall);
            }
        }
        if ratios.is_empty() {
            continue;
        }
        let ratio = median(&mut ratios);
        println!(
            "{:<22} proxy {:>6.1} µs  tools/call {:>6.1} µs  ratio {ratio:.3} (rounds {:.3} to {:.3}, target {TARGET})  of processor time {:.3}",
            case.name,
            median(&mut direct) * 1e6,
            median(&mut through) * 1e6,
            ratios.first().copied().unwrap_or_default(),
            ratios.last().copied().unwrap_or_default(),
            median(&mut work),
        );
        missed |= ratio > TARGET;
    }
    if missed && options.iter().any(|option| option == "--check") {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn cases() -> Vec<Case> {
    let get =
        |tool: &str, path: &str, arguments: &str| (plain("GET", path, ""), call(tool, arguments));
    let book = r#"{"isbn":"9780141439600","title":"A Tale of Two Cities","authors":["Charles Dickens"],"price":9.5,"tags":["novel","classic"]}"#;
    let (get_plain, get_call) = get(
        "get_book",
        "/books/9780141439600?fields=title&fields=price",
        r#"{"isbn":"9780141439600","fields":["title","price"]}"#,
    );
    let (list_plain, list_call) = get(
        "get_typed_book",
        "/books/9780141439600",
        r#"{"isbn":"9780141439600"}"#,
    );
    vec![
        Case {
            name: "GET, path and query",
            plain: get_plain,
            call: get_call,
        },
        Case {
            name: "GET, checked output",
            plain: list_plain,
            call: list_call,
        },
        Case {
            name: "POST, JSON body",
            plain: plain("POST", "/books", book),
            call: call("add_book", book),
        },
    ]
}

fn plain(method: &str, path: &str, body: &str) -> Vec<u8> {
    let content = if body.is_empty() {
        String::new()
    } else {
        format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        )
    };
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n{content}\r\n{body}").into_bytes()
}

fn call(tool: &str, arguments: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"shop_{tool}","arguments":{arguments},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: shop_{tool}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
