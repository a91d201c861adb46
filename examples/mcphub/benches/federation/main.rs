//! What the gateway costs between clients and MCP servers: calls, lists, memory, the start, and
//! what the number of servers adds.
//!
//! All in one run and taking turns: `mcphub serve` as it is shipped, and a plain pass-through proxy
//! made of axum and reqwest, each a process of its own in front of the same MCP servers. Calls per
//! second, processor time as the operating system counts it for that process, and the 99th
//! percentile of the time that a call takes are printed as ratios, as tables of docs/performance.md.
//!
//! `cargo bench --profile dist -p mcphub-cli --bench federation`, with
//! `-- [--rounds N] [--seconds S] [calls] [native] [lists] [memory] [start] [scale] [--servers N,N] [--tools N]
//! [faults] [long] [--calls N]` for some of it. Lists are compared with `nginx`, where it is installed.

#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

#[path = "../../../../crates/mcphub-gateway/benches/call/client.rs"]
mod client;
#[path = "../../../../crates/mcphub-gateway/benches/call/proxy.rs"]
mod proxy;

mod calls;
mod faults;
mod faulty;
mod lists;
mod load;
mod long;
mod memory;
mod native;
mod official;
mod party;
mod scale;
mod seed;
mod servers;

use std::time::Duration;

use mimalloc::MiMalloc;

/// The one of the binary, for both that are compared.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How long, and how often, each of those that are compared is kept busy.
#[derive(Clone, Copy)]
struct Turns {
    rounds: usize,
    time: Duration,
}

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no other provider is installed");
    let options: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &options[..]
        && first == party::MARK
    {
        return servers::run(rest).await;
    }
    let option = |name: &str| {
        let at = options.iter().position(|option| option == name)?;
        options.get(at + 1)
    };
    let number = |name: &str, default: f64| {
        option(name).map_or(default, |value| value.parse().expect("a number"))
    };
    let turns = Turns {
        rounds: number("--rounds", 7.0) as usize,
        time: Duration::from_secs_f64(number("--seconds", 0.5)),
    };
    let sections = [
        "calls", "native", "lists", "memory", "start", "scale", "faults", "long",
    ];
    let some = options
        .iter()
        .any(|option| sections.contains(&option.as_str()));
    let asked = |section: &str| !some || options.iter().any(|option| option == section);

    if asked("calls") {
        calls::report(turns).await;
    }
    if asked("native") {
        native::report(turns).await;
    }
    if asked("lists") {
        lists::report(turns).await;
    }
    if asked("memory") {
        memory::report().await;
    }
    if asked("start") {
        scale::start(turns).await;
    }
    if asked("scale") {
        let numbers = option("--servers").map_or("1,10,1000,10000", String::as_str);
        let numbers = numbers
            .split(',')
            .map(|number| number.parse().expect("a number"));
        let tools = number("--tools", 10.0) as usize;
        scale::report(turns, numbers.collect(), tools).await;
    }
    if asked("faults") {
        faults::report(turns).await;
    }
    if asked("long") {
        long::report(number("--calls", 200_000.0) as usize).await;
    }
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
