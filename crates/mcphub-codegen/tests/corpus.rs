//! Every document of the corpus loads, and each of its operations becomes a tool or an error.
//!
//! `MCPHUB_CORPUS` names a folder with a `MANIFEST.tsv`; without it the bundled documents are used.
//! `scripts/corpus-table.py` takes the table from here.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use common::{Sample, check, parse, plan, samples, walk};
use futures::executor::block_on;
use mcphub_codegen::openapi::{ParserSettings, bundle};
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::Error;
use mcphub_core::spec::{Document, DocumentLoader, Method, Parsed, Severity};
use mcphub_core::tool::{ListLimit, OutputShape, Plan, PlanOptions, Planner, Profile};
use serde_json::{Value, json};
use url::Url;

#[test]
#[allow(clippy::print_stdout, reason = "what was read is worth seeing")]
fn every_operation_becomes_a_tool_or_a_diagnostic() {
    let samples = samples();
    assert!(samples.len() >= 2, "there are documents to read");
    let mut table = String::from(
        "| document | version | operations | tools | skipped | warnings | with output schema | KiB | offered | ratio |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut details = String::new();
    for Sample {
        name,
        version,
        path,
    } in samples
    {
        let bytes = std::fs::read(&path).expect("the document can be read");
        let document = match bundled(&path, bytes.clone()) {
            Ok(document) => document,
            Err(error) if name.starts_with("adv_") => {
                table.push_str(&format!(
                    "| {name} | {version} | refused: {} |\n",
                    error.message()
                ));
                continue;
            }
            Err(error) => panic!("{name}: {}", error.report()),
        };
        let start = Instant::now();
        let parsed = match parse(document.bytes.clone()) {
            Ok(parsed) => parsed,
            Err(error) if name.starts_with("adv_") => {
                table.push_str(&format!(
                    "| {name} | {version} | refused: {} |\n",
                    error.message()
                ));
                continue;
            }
            Err(error) => panic!("{name}: {}", error.report()),
        };
        let plan = plan(&parsed);
        let time = start.elapsed();
        check(&parsed, &plan);
        if let Some(expected) = operations(&document) {
            check_complete(&name, &expected, &parsed, &plan);
        }
        let offered = offered(&plan);
        let limit = parsed.spec.document_bytes.max(ListLimit::FLOOR);
        assert!(
            offered <= limit,
            "{name}: {offered} bytes of tools, {limit} allowed"
        );
        for profile in [Profile::Inlined, Profile::Plain] {
            check_profile(&name, &parsed, profile);
        }
        let count = |severity| {
            let all = parsed.diagnostics.iter().chain(&plan.diagnostics);
            all.filter(|diagnostic| diagnostic.severity == severity)
                .count()
        };
        let outputs = plan
            .tools
            .tools
            .iter()
            .filter(|tool| tool.binding.output != OutputShape::None)
            .count();
        table.push_str(&format!(
            "| {name} | {version} | {} | {} | {} | {} | {outputs} | {} | {} | {:.2} |\n",
            plan.tools.tools.len() + count(Severity::Error),
            plan.tools.tools.len(),
            count(Severity::Error),
            count(Severity::Warning),
            parsed.spec.document_bytes.div_ceil(1024),
            offered.div_ceil(1024),
            offered as f64 / parsed.spec.document_bytes as f64,
        ));
        let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
        for diagnostic in parsed.diagnostics.iter().chain(&plan.diagnostics) {
            *codes.entry(&diagnostic.code).or_default() += 1;
        }
        details.push_str(&format!("{name}: {time:.1?} {codes:?}\n"));
    }
    println!("{details}");
    println!("{table}");
}

/// The bytes that `tools/list` has for these tools.
fn offered(plan: &Plan) -> usize {
    let tools = plan.tools.tools.iter().map(|tool| {
        let mut listed = json!({
            "name": tool.name,
            "description": tool.description,
            "inputSchema": tool.input,
            "annotations": tool.annotations,
        });
        if let Some(title) = &tool.title {
            listed["title"] = json!(title);
        }
        if let Some(output) = &tool.output {
            listed["outputSchema"] = json!(output);
        }
        listed.to_string().len() + 1
    });
    tools.sum()
}

/// In a profile the tools are the same, their schemas valid and of its form, and the list fits.
fn check_profile(name: &str, parsed: &Parsed, profile: Profile) {
    let mut options = PlanOptions::default();
    options.choices.profile = profile;
    let plan = ToolPlanner::new().plan(parsed, &options).unwrap();
    check(parsed, &plan);
    let limit = parsed.spec.document_bytes.max(ListLimit::FLOOR);
    let offered = offered(&plan);
    assert!(
        offered <= limit,
        "{name}, {profile}: {offered} bytes of tools, {limit} allowed"
    );
    for tool in &plan.tools.tools {
        let schemas = [Some(&tool.input), tool.output.as_ref()];
        for schema in schemas.into_iter().flatten() {
            walk(&schema.to_value(), &mut |schema| {
                let has = |key: &str| schema.get(key).is_some();
                let combines = has("allOf") || has("anyOf") || has("oneOf") || has("not");
                let typed = schema.get("type").is_none_or(Value::is_string);
                let plain = profile != Profile::Plain || (!combines && typed);
                assert!(
                    !has("$ref") && !has("$defs") && plain,
                    "{name}, {profile}, {}: {schema}",
                    tool.name
                );
            });
        }
    }
}

/// The files around a document.
#[derive(Debug)]
struct Files;

#[async_trait]
impl DocumentLoader for Files {
    async fn load(&self, address: &Url) -> mcphub_core::Result<Bytes> {
        let path = address
            .to_file_path()
            .map_err(|()| Error::not_found("no file"))?;
        let bytes =
            std::fs::read(path).map_err(|error| Error::not_found("no file").caused_by(error))?;
        Ok(bytes.into())
    }
}

fn bundled(path: &Path, bytes: Vec<u8>) -> mcphub_core::Result<Document> {
    let document = Document {
        source: std::fs::canonicalize(path).unwrap().display().to_string(),
        bytes: bytes.into(),
    };
    block_on(bundle(document, &Files, &ParserSettings::default()))
}

/// The pointers of the operations of a document, found without the parser.
fn operations(document: &Document) -> Option<BTreeSet<String>> {
    let text = std::str::from_utf8(&document.bytes).ok()?;
    let document: Value = serde_json::from_str(text)
        .or_else(|_| serde_saphyr::from_str(text))
        .ok()?;
    let mut found = BTreeSet::new();
    for (path, item) in document
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let path = path.replace('~', "~0").replace('/', "~1");
        if path.starts_with("x-") {
            continue;
        }
        let target = item
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|r| document.pointer(r.strip_prefix('#')?));
        for item in [Some(item), target].into_iter().flatten() {
            let methods = Method::ALL
                .into_iter()
                .filter(|method| item.get(method.key()).is_some());
            found.extend(methods.map(|method| format!("/paths/{path}/{}", method.key())));
            let additional = item.get("additionalOperations").and_then(Value::as_object);
            let keys = additional.into_iter().flat_map(|map| map.keys());
            found.extend(keys.map(|key| format!("/paths/{path}/additionalOperations/{key}")));
        }
        let outside = item
            .get("$ref")
            .and_then(Value::as_str)
            .is_some_and(|reference| !reference.starts_with('#'));
        if outside {
            found.insert(format!("/paths/{path}"));
        }
    }
    Some(found)
}

fn check_complete(name: &str, expected: &BTreeSet<String>, parsed: &Parsed, plan: &Plan) {
    let errors = parsed
        .diagnostics
        .iter()
        .chain(&plan.diagnostics)
        .filter(|d| d.severity == Severity::Error);
    let mut found: Vec<&str> = errors
        .map(|diagnostic| diagnostic.pointer.as_str())
        .collect();
    let refused: BTreeSet<&str> = plan
        .diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .map(|d| d.pointer.as_str())
        .collect();
    found.extend(
        parsed
            .spec
            .operations
            .iter()
            .map(|o| o.pointer.as_str())
            .filter(|pointer| !refused.contains(pointer)),
    );
    found.sort_unstable();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    assert_eq!(found, expected, "{name}: each operation is there once");
}
