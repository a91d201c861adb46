//! What it costs to list tools, and what to find them: bytes that a model reads, and time.
//!
//! `cargo bench -p mcphub-cli --bench search [-- DOCUMENT…]` measures generated lists, and API
//! documents where any are named, as rows of the table in docs/performance.md.

#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner};
use mcphub_gateway::federation::Tools;
use mcphub_gateway::upstream::planned_tools;
use mimalloc::MiMalloc;
use serde_json::{Value, json};

/// The one of the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const VERBS: [&str; 10] = [
    "list", "get", "create", "update", "delete", "search", "export", "archive", "restore",
    "approve",
];
const NOUNS: [&str; 30] = [
    "invoice",
    "customer",
    "order",
    "book",
    "ticket",
    "repository",
    "branch",
    "issue",
    "pipeline",
    "deployment",
    "user",
    "team",
    "role",
    "secret",
    "webhook",
    "subscription",
    "payment",
    "refund",
    "product",
    "price",
    "shipment",
    "address",
    "contact",
    "lead",
    "campaign",
    "report",
    "metric",
    "alert",
    "dashboard",
    "log",
];

/// How many tools are looked for, each by the words of its name.
const TASKS: usize = 200;

fn main() {
    println!(
        "| tools of | tools | `tools/list` | three tools | found and described | pays up to | reading and indexing | finding, median | 99 % |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for count in [10, 100, 1_000, 10_000] {
        report(&format!("{count} generated"), list(generated(count)));
    }
    for file in std::env::args().skip(1).filter(|it| !it.starts_with('-')) {
        match planned(Path::new(&file)) {
            Ok(definitions) => {
                let name = Path::new(&file).file_stem().unwrap_or_default();
                report(&name.to_string_lossy(), list(definitions));
            }
            Err(error) => println!("{file}: {}", error.report()),
        }
    }
}

/// Prints one row.
fn report(what: &str, list: Bytes) {
    let begun = Instant::now();
    let tools = Tools::read(vec![list.clone()]);
    let read = begun.elapsed();
    let whole: Value = serde_json::from_slice(&list).unwrap();
    let names: Vec<&str> = whole["tools"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    let step = (names.len() / TASKS).max(1);
    let (mut bytes, mut times) = (Vec::new(), Vec::new());
    for name in names.iter().step_by(step) {
        let query = name.replace('_', " ");
        let begun = Instant::now();
        let (found, _) = black_box(tools.find(&query, 10));
        times.push(begun.elapsed());
        let described = tools.describe(name).unwrap_or_default();
        bytes.push(json!({"tools": found}).to_string().len() + described.len());
    }
    let task = bytes.iter().sum::<usize>() / bytes.len();
    let three = Tools::three().len();
    let pays = list.len().saturating_sub(three) as f64 / task as f64;
    times.sort_unstable();
    let at = |share: usize| micros(times[(times.len() - 1) * share / 100]);
    println!(
        "| {what} | {} | {} | {three} | {task} | {pays:.1} tools | {:.1} ms | {} | {} |",
        tools.len(),
        list.len(),
        read.as_secs_f64() * 1e3,
        at(50),
        at(99),
    );
}

fn micros(time: Duration) -> String {
    format!("{:.0} µs", time.as_secs_f64() * 1e6)
}

fn list(definitions: Vec<String>) -> Bytes {
    format!(r#"{{"tools":[{}]}}"#, definitions.join(",")).into()
}

fn planned(file: &Path) -> mcphub_core::Result<Vec<String>> {
    let bytes = std::fs::read(file).map_err(|error| {
        mcphub_core::Error::not_found("the document cannot be read").caused_by(error)
    })?;
    let document = Document {
        source: file.display().to_string(),
        bytes: bytes.into(),
    };
    let parsed = OpenApiParser::default().parse(&document)?;
    let plan = ToolPlanner::default().plan(&parsed, &PlanOptions::default())?;
    let tools = planned_tools(&plan.tools).into_iter();
    Ok(tools.map(|tool| tool.definition.get().to_owned()).collect())
}

fn generated(count: usize) -> Vec<String> {
    let tool = |number: usize| {
        let verb = VERBS[number % 10];
        let (noun, of) = (NOUNS[number / 10 % 30], NOUNS[number / 300 % 30]);
        let part = number / 9_000;
        json!({
            "name": format!("server{}_{verb}_{noun}_of_{of}_{part}", number % 50),
            "description": format!("The operation will {verb} the {noun} of a {of} in the account, with all of its fields. Use it when somebody asks to {verb} a {noun}."),
            "inputSchema": {"type": "object", "required": ["account_id"], "additionalProperties": false, "properties": {
                "account_id": {"type": "string", "description": "The id of the account"},
                format!("{of}_id"): {"type": "string", "description": format!("The id of the {of}")},
                "limit": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many are given at most"},
                "fields": {"type": "array", "items": {"type": "string"}, "description": "Which fields are given"},
            }},
            "annotations": {"readOnlyHint": number % 10 < 2},
        })
        .to_string()
    };
    (0..count).map(tool).collect()
}
