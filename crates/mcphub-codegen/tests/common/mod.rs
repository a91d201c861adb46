//! What the integration tests share: reading documents, and the promises that every plan keeps.

#![allow(dead_code, reason = "each test uses a part of it")]

pub mod cargo;
pub mod hostile;
pub mod node;
pub mod projects;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::spec::{Diagnostic, Document, Parsed, Severity, SpecParser};
use mcphub_core::tool::{BodySource, Plan, PlanOptions, Planner, Tool, ToolSet};
use serde_json::Value;

/// A document of the corpus, or of the bundled examples.
pub struct Sample {
    pub name: String,
    pub version: String,
    pub path: PathBuf,
}

/// The documents of `$MCPHUB_CORPUS`; without it, those under `examples/specs`.
pub fn samples() -> Vec<Sample> {
    match std::env::var_os("MCPHUB_CORPUS") {
        Some(folder) => corpus(Path::new(&folder)),
        None => bundled(),
    }
}

fn corpus(folder: &Path) -> Vec<Sample> {
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.tsv"))
        .expect("MCPHUB_CORPUS has a MANIFEST.tsv");
    let mut rows = manifest
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let head = rows.next().expect("a head line");
    let column = |name| {
        head.iter()
            .position(|column| *column == name)
            .expect("the column is there")
    };
    let (name, version, entry) = (column("name"), column("version"), column("entry"));
    let samples = rows.map(|row| Sample {
        name: row[name].to_owned(),
        version: row[version].to_owned(),
        path: folder.join(row[entry]),
    });
    samples.collect()
}

fn version(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("the document can be read");
    let swagger = text.starts_with("swagger:");
    if swagger { "2.0" } else { "3.0" }.to_owned()
}

fn bundled() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/specs");
    let files = std::fs::read_dir(&folder).expect("the bundled documents are there");
    let mut samples: Vec<_> = files
        .map(|file| file.expect("the folder can be listed").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ending == "yaml" || ending == "json")
        })
        .map(|path| Sample {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            version: version(&path),
            path,
        })
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}

pub fn document(bytes: impl Into<Vec<u8>>) -> Document {
    Document {
        source: "test.yaml".to_owned(),
        bytes: bytes.into().into(),
    }
}

pub fn parse(bytes: impl Into<Vec<u8>>) -> mcphub_core::Result<Parsed> {
    OpenApiParser::default().parse(&document(bytes))
}

pub fn plan(parsed: &Parsed) -> Plan {
    ToolPlanner::new()
        .plan(parsed, &PlanOptions::default())
        .expect("the default options are valid")
}

/// Checks everything that a plan promises, whatever the document.
pub fn check(parsed: &Parsed, plan: &Plan) {
    let tools = &plan.tools.tools;
    let errors = |diagnostics: &[Diagnostic]| {
        diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count()
    };
    assert_eq!(
        parsed.spec.operations.len(),
        tools.len() + errors(&plan.diagnostics),
        "each operation is a tool or an error"
    );
    let mut names = HashSet::new();
    for tool in tools {
        let name = tool.name.as_str();
        assert!(name.len() <= 64, "{name} is too long");
        assert!(
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'),
            "{name} is not legal"
        );
        assert!(names.insert(name), "{name} is there twice");
        check_input(tool);
        check_output(tool);
        assert!(
            !tool.description.is_empty() && tool.description.chars().count() <= 2_048,
            "{name}"
        );
    }
    check_valid(tools);
    let text = serde_json::to_string(&plan.tools).expect("a tool set serialises");
    let back: ToolSet = serde_json::from_str(&text).expect("a tool set reads back");
    assert!(back == plan.tools, "a tool set reads back equal");
}

fn check_input(tool: &Tool) {
    let name = &tool.name;
    let root = tool.input.root();
    assert_eq!(root["type"], "object", "{name}");
    assert_eq!(root["additionalProperties"], false, "{name}");
    for combinator in ["anyOf", "oneOf", "allOf", "not", "if", "$ref"] {
        assert!(
            !root.contains_key(combinator),
            "{name} has {combinator} at the top"
        );
    }
    let mut properties: HashSet<&str> = tool.input.properties().map(|(name, _)| name).collect();
    for preset in tool.binding.presets.keys() {
        assert!(properties.insert(preset), "{name}: {preset} is an argument");
    }
    let mut bound: Vec<&str> = tool
        .binding
        .parameters
        .iter()
        .map(|p| p.argument.as_str())
        .collect();
    match tool.binding.body.as_ref().map(|body| &body.source) {
        Some(BodySource::Argument(argument)) => bound.push(argument),
        Some(BodySource::Members(members)) => {
            let parts = members.iter().filter_map(|m| m.part.as_ref());
            let headers = parts.flat_map(|part| &part.headers);
            bound.extend(headers.map(|header| header.argument.as_str()));
            bound.extend(members.iter().map(|m| m.argument.as_str()));
        }
        Some(_) | None => {}
    }
    bound.extend(tool.binding.answer.arguments());
    assert_eq!(
        bound.len(),
        properties.len(),
        "{name}: every argument goes somewhere, once"
    );
    for argument in bound {
        assert!(properties.contains(argument), "{name}: {argument}");
        let legal = argument
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        assert!(
            legal && (1..=64).contains(&argument.len()),
            "{name}: {argument}"
        );
    }
    let value = tool.input.to_value();
    let size = value.to_string().len();
    assert!(size <= 65_536, "{name}: the input schema has {size} bytes");
    check_references(&value, name.as_str());
}

fn check_output(tool: &Tool) {
    let Some(output) = &tool.output else { return };
    assert_eq!(output.root()["type"], "object", "{}", tool.name);
    for combinator in ["anyOf", "oneOf", "allOf", "not", "if", "$ref", "required"] {
        assert!(
            !output.root().contains_key(combinator),
            "{} has {combinator} at the top",
            tool.name
        );
    }
    let value = output.to_value();
    assert!(value.to_string().len() <= 32_768, "{}", tool.name);
    check_references(&value, tool.name.as_str());
}

/// Every `$ref` resolves in the schema itself, no definition is idle, every array says what it
/// holds.
fn check_references(root: &Value, name: &str) {
    let mut used = HashSet::new();
    walk(root, &mut |schema| {
        if let Some(reference) = schema.get("$ref") {
            let reference = reference.as_str().expect("a reference is a string");
            assert!(reference.starts_with("#/$defs/"), "{name}: {reference}");
            assert!(
                root.pointer(&reference[1..]).is_some(),
                "{name}: {reference} leads nowhere"
            );
            used.insert(reference["#/$defs/".len()..].to_owned());
        }
        let array = match schema.get("type") {
            Some(Value::String(one)) => one == "array",
            Some(Value::Array(many)) => many.iter().any(|one| one == "array"),
            _ => false,
        };
        assert!(
            !array || schema.get("items").is_some(),
            "{name}: an array without items: {schema}"
        );
    });
    for definition in root
        .get("$defs")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|defs| defs.keys())
    {
        assert!(
            used.contains(definition),
            "{name}: nothing refers to {definition}"
        );
        assert!(
            definition
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)),
            "{name}: {definition}"
        );
    }
}

/// Visits every schema below a schema.
pub fn walk<'v>(schema: &'v Value, visit: &mut impl FnMut(&'v Value)) {
    visit(schema);
    for (key, value) in schema.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            (
                "properties" | "patternProperties" | "dependentSchemas" | "$defs",
                Value::Object(named),
            ) => {
                named.values().for_each(|schema| walk(schema, visit));
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(items)) => {
                items.iter().for_each(|schema| walk(schema, visit));
            }
            (
                "items"
                | "additionalProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "propertyNames"
                | "contentSchema"
                | "unevaluatedItems"
                | "unevaluatedProperties",
                value,
            ) => walk(value, visit),
            _ => {}
        }
    }
}

/// Every schema is valid JSON Schema 2020-12. A definition that several tools share is checked once.
fn check_valid(tools: &[Tool]) {
    let meta = jsonschema::draft202012::meta::validator();
    let mut seen: HashSet<*const Value> = HashSet::new();
    for tool in tools {
        for schema in [Some(&tool.input), tool.output.as_ref()]
            .into_iter()
            .flatten()
        {
            let root = Value::Object(schema.root().clone());
            if let Err(error) = meta.validate(&root) {
                panic!("{}: {error} at {}", tool.name, error.instance_path());
            }
            for definition in schema.definitions() {
                let new = seen.insert(std::sync::Arc::as_ptr(&definition.schema));
                if let (true, Err(error)) = (new, meta.validate(&definition.schema)) {
                    panic!(
                        "{} {}: {error} at {}",
                        tool.name,
                        definition.name,
                        error.instance_path()
                    );
                }
            }
        }
    }
}
