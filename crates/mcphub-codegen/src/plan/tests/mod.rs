//! One reduced API for each rule of the planner.

mod arguments;
mod budget;
mod hints;
mod names;
mod outputs;
mod pages;
mod parts;
mod profiles;
mod selections;
mod sizes;

use mcphub_core::call::Arguments;
use mcphub_core::spec::{Document, Location, Parsed, Severity, SpecParser};
use mcphub_core::tool::{
    BodyFormat, BodySource, HttpBinding, OutputShape, Plan, PlanOptions, Planner, Tool,
};
use serde_json::{Value, json};

use super::ToolPlanner;
use crate::openapi::OpenApiParser;

fn parse(paths: Value, schemas: Value) -> Parsed {
    let document = json!({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths,
        "components": {"schemas": schemas}});
    let document = Document {
        source: "t.json".to_owned(),
        bytes: document.to_string().into(),
    };
    OpenApiParser::default().parse(&document).unwrap()
}

fn plan(paths: Value, schemas: Value) -> Plan {
    ToolPlanner::new()
        .plan(&parse(paths, schemas), &PlanOptions::default())
        .unwrap()
}

/// The tool of `POST /a/{id}` with this operation.
fn tool(operation: Value) -> Tool {
    tool_with(operation, json!({}))
}

fn tool_with(operation: Value, schemas: Value) -> Tool {
    let plan = plan(
        json!({"/a/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
            "post": operation,
        }}),
        schemas,
    );
    assert!(
        plan.diagnostics
            .iter()
            .all(|d| d.severity != Severity::Error),
        "{:?}",
        plan.diagnostics
    );
    plan.tools.tools.into_iter().next().unwrap()
}

fn body(media_type: &str, schema: Value) -> Value {
    json!({"required": true, "content": {media_type: {"schema": schema}}})
}

fn answer(schema: Value) -> Value {
    json!({"responses": {"200": {"content": {"application/json": {"schema": schema}}}}})
}

fn arguments(tool: &Tool) -> Vec<&str> {
    tool.input.properties().map(|(name, _)| name).collect()
}

fn required(tool: &Tool) -> Vec<&str> {
    arguments(tool)
        .into_iter()
        .filter(|name| tool.input.requires(name))
        .collect()
}

#[test]
fn a_tool_says_what_it_does() {
    let described = |summary: &str, description: &str, deprecated: bool| {
        tool(json!({"summary": summary, "description": description, "deprecated": deprecated}))
            .description
    };
    assert_eq!(
        described("List pets", "All of them.", false),
        "List pets\n\nAll of them."
    );
    assert_eq!(
        described("List pets.", "List pets of a shop.", false),
        "List pets of a shop."
    );
    assert_eq!(described("List pets", "", true), "Deprecated.\n\nList pets");
    assert_eq!(described("", " ", true), "Deprecated.\n\nPOST /a/{id}");
    let long = described("S", &"ü".repeat(5_000), false);
    assert_eq!(long.chars().count(), 2_048);
    assert!(long.ends_with('…'));
}

#[test]
fn definitions_are_shared_between_tools() {
    let reference =
        json!({"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}});
    let operation = |schema: &Value| {
        json!({"requestBody": body("application/json", schema.clone()),
        "responses": {"200": {"content": {"application/json": {"schema": schema}}}}})
    };
    let plan = plan(
        json!({"/a": {"post": operation(&reference)}, "/b": {"post": operation(&reference)}}),
        json!({"A": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}}),
    );
    let [one, two] = &plan.tools.tools[..] else {
        panic!("two tools")
    };
    let input = |tool: &Tool| tool.input.definitions()[0].schema.clone();
    let output = |tool: &Tool| {
        tool.output.as_ref().unwrap().definitions()[0]
            .schema
            .clone()
    };
    assert!(std::sync::Arc::ptr_eq(&input(one), &input(two)));
    assert!(std::sync::Arc::ptr_eq(&output(one), &output(two)));
    assert!(input(one).get("required").is_some() && output(one).get("required").is_none());
}

#[test]
fn the_same_input_gives_the_same_output() {
    let paths = json!({"/a": {"post": {"requestBody": body("application/json", json!({"$ref": "#/components/schemas/A"}))}},
        "/b": {"get": answer(json!({"$ref": "#/components/schemas/B"}))}});
    let schemas = json!({"A": {"properties": {"b": {"$ref": "#/components/schemas/B"}}}, "B": {"properties": {"a": {"$ref": "#/components/schemas/A"}}}});
    let text = || serde_json::to_string(&plan(paths.clone(), schemas.clone()).tools).unwrap();
    assert_eq!(text(), text());
}

#[test]
fn security_and_servers_go_with_the_tool() {
    let tool = tool(json!({"servers": [{"url": "https://own.io"}], "security": [{"a": []}, {}]}));
    assert_eq!(tool.binding.server.as_deref(), Some("https://own.io"));
    assert_eq!(tool.binding.security, [vec!["a".to_owned()], vec![]]);
    assert!(!tool.annotations.read_only_hint && !tool.annotations.destructive_hint);
}
