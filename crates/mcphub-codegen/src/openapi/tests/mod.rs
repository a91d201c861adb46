//! One reduced document for each quirk.

mod bodies;
mod documents;
mod drafts;
mod extension;
mod identifiers;
mod openapi31;
mod openapi32;
mod operations;
mod parameters;
mod schemas;
mod swagger;

use mcphub_core::ErrorKind;
use mcphub_core::spec::{
    Dialect, Document, Location, OAuthFlow, Parsed, SecurityScheme, Severity, SpecParser, Style,
};
use serde_json::{Value, json};

use super::{OpenApiParser, ParserSettings};

fn read(text: &str) -> mcphub_core::Result<Parsed> {
    let document = Document {
        source: "shop/pets.yaml".to_owned(),
        bytes: text.as_bytes().to_vec().into(),
    };
    OpenApiParser::default().parse(&document)
}

fn parse(document: &Value) -> Parsed {
    read(&document.to_string()).unwrap()
}

/// A 3.0 document with these paths and components.
fn document(paths: Value, components: Value) -> Value {
    json!({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths, "components": components})
}

/// One operation, `GET /pets/{id}`, with this in it.
fn operation(operation: Value) -> Parsed {
    parse(&document(
        json!({"/pets/{id}": {"get": operation}}),
        json!({}),
    ))
}

/// The schema of a query parameter, as 2020-12 has it.
fn schema(schema: Value) -> Value {
    schema_of("3.0.3", schema)
}

fn schema_of(version: &str, schema: Value) -> Value {
    let mut document = document(
        json!({"/a": {"get": {"parameters": [{"name": "q", "in": "query", "schema": schema}]}}}),
        json!({}),
    );
    document["openapi"] = version.into();
    parse(&document).spec.operations[0].parameters[0]
        .schema
        .clone()
}

/// The definition `A`, given the component schemas.
fn definitions(schemas: Value) -> (Value, Parsed) {
    let reference = json!({"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}});
    let parsed = parse(&document(
        json!({"/a": {"get": {"responses": reference}}}),
        json!({"schemas": schemas}),
    ));
    let all = parsed
        .spec
        .definitions
        .iter()
        .map(|(name, schema)| (name.to_string(), Value::clone(schema)))
        .collect();
    (Value::Object(all), parsed)
}

/// Severity, code and pointer of each diagnostic.
fn remarks(parsed: &Parsed) -> Vec<(Severity, &str, &str)> {
    parsed
        .diagnostics
        .iter()
        .map(|d| (d.severity, d.code.as_str(), d.pointer.as_str()))
        .collect()
}

#[test]
fn remarks_are_bounded() {
    let many: serde_json::Map<_, _> = (0..5_000)
        .map(|n| (format!("p{n}"), json!({"required": true})))
        .collect();
    let parsed = operation(
        json!({"requestBody": {"content": {"application/json": {"schema": {"properties": many}}}}}),
    );
    assert_eq!(parsed.diagnostics.len(), 1_001);
    assert_eq!(parsed.diagnostics.last().unwrap().code, "more-diagnostics");
}

#[test]
fn what_grows_faster_than_the_document_is_bounded() {
    let parameters: Vec<_> = (0..1_001)
        .map(|n| json!({"name": format!("p{n}"), "in": "query", "schema": {}}))
        .collect();
    let types: serde_json::Map<_, _> = (0..100)
        .map(|n| (format!("text/x{n}"), json!({})))
        .collect();
    let parsed = parse(&document(
        json!({
            "/many": {"get": {"parameters": parameters}},
            format!("/{}", "x".repeat(9_000)): {"get": {}},
            "/types": {"put": {"requestBody": {"content": types}}},
        }),
        json!({}),
    ));
    let codes: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| (d.severity, d.code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            (Severity::Error, "too-many"),
            (Severity::Error, "invalid-path"),
            (Severity::Warning, "too-many"),
        ]
    );
    assert_eq!(
        parsed.spec.operations[0]
            .body
            .as_ref()
            .unwrap()
            .content
            .len(),
        64
    );
}
