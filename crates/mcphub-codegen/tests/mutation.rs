//! Whatever is wrong in a document, parsing and planning end, and what comes out keeps its promises.

mod common;

use common::{check, parse, plan};
use mcphub_core::spec::Severity;
use proptest::prelude::*;
use serde_json::{Value, json};

fn sample() -> Value {
    json!({
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "https://{h}.io", "variables": {"h": {"default": "a"}}}],
        "security": [{"key": []}],
        "paths": {
            "/pets/{id}": {
                "parameters": [{"$ref": "#/components/parameters/id"}],
                "servers": [{"url": "/v2"}],
                "get": {
                    "operationId": "getPet", "summary": "One", "description": "Pet.", "tags": ["pets"], "deprecated": true,
                    "parameters": [
                        {"name": "fields", "in": "query", "style": "form", "explode": false, "required": true,
                            "schema": {"type": "array", "items": {"type": "string", "enum": ["a", "b"], "nullable": true}}},
                        {"name": "X-Trace", "in": "header", "schema": {"type": "string", "pattern": "^[a-f]+$"}, "example": "abc"},
                        {"name": "raw", "in": "cookie", "content": {"application/json": {"schema": {"type": "object"}}}},
                    ],
                    "responses": {"200": {"$ref": "#/components/responses/pet"}, "default": {"description": "no"}},
                    "security": [{"key": []}, {}],
                },
                "put": {
                    "requestBody": {"$ref": "#/components/requestBodies/pet"},
                    "responses": {"204": {"description": "done"}},
                },
            },
            "/forms": {"post": {
                "requestBody": {"content": {"application/x-www-form-urlencoded": {
                    "schema": {"type": "object", "properties": {"a": {"type": "array", "items": {}}, "b": {"type": "object"}}},
                    "encoding": {"a": {"style": "spaceDelimited"}, "b": {"contentType": "application/json"}}}}},
                "responses": {"2XX": {"content": {"application/json": {"schema": {"oneOf": [
                    {"$ref": "#/components/schemas/Pet"}, {"type": "object", "additionalProperties": {"type": "number"}}]}}}}},
            }},
        },
        "components": {
            "parameters": {"id": {"name": "id", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 1, "exclusiveMinimum": true}}},
            "responses": {"pet": {"description": "It.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}},
            "requestBodies": {"pet": {"required": true, "content": {"application/json": {"schema": {"allOf": [
                {"$ref": "#/components/schemas/Pet"}, {"required": ["name"], "properties": {"extra": {"type": "string"}}}]}}}}},
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
            "schemas": {
                "Pet": {"type": "object", "required": ["id"], "discriminator": {"propertyName": "kind"}, "properties": {
                    "id": {"type": "integer", "readOnly": true}, "name": {"type": "string", "maxLength": 10},
                    "friends": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}},
                    "owner": {"$ref": "#/components/schemas/Owner"}}},
                "Owner": {"nullable": true, "anyOf": [{"$ref": "#/components/schemas/Person"}, {"not": {"type": "string"}}]},
                "Person": {"type": "object", "patternProperties": {"^x": {}}, "properties": {"pets": {"$ref": "#/components/schemas/Pet/properties/friends"}}},
            },
        },
    })
}

/// Things that stand where they should not.
fn wrong() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![
            Just(json!(0)),
            Just(json!(-1)),
            Just(json!(1.5)),
            Just(json!(u64::MAX)),
            Just(json!(1e300))
        ],
        prop_oneof![
            Just(String::new()),
            Just("path".to_owned()),
            Just("string".to_owned()),
            Just("array".to_owned()),
            Just("(".to_owned()),
            Just("a\r\nb: c".to_owned()),
            "\\PC{0,8}",
        ]
        .prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!(["a", 1, null, {}])),
        reference(),
        reference().prop_map(|r| json!([r])),
        reference().prop_map(|r| json!({"allOf": [r], "oneOf": [{}], "not": {"anyOf": []}})),
        Just(
            json!({"type": ["null", "array"], "nullable": true, "enum": [], "required": true, "items": []})
        ),
        Just(json!({"get": {}, "parameters": {}, "content": {"*/*": {}}})),
    ]
}

fn reference() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just("#/components/schemas/Pet"),
        Just("#/components/schemas/Owner"),
        Just("#/components/schemas/Person/patternProperties/^x"),
        Just("#/components/parameters/id"),
        Just("#/components/responses/pet"),
        Just("#/components/requestBodies/pet"),
        Just("#/paths/~1pets~1{id}"),
        Just("#"),
        Just("#/"),
        Just("#/nowhere"),
        Just("other.yaml#/a"),
        Just("#anchor"),
        Just("#/%zz/%ff"),
    ]
    .prop_map(|reference| json!({"$ref": reference}))
}

/// Every place of a value, as a pointer.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| places(item, &format!("{at}/{index}"), out)),
        Value::Object(members) => members.iter().for_each(|(key, item)| {
            places(
                item,
                &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                out,
            )
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_document_never_panics_and_gives_valid_tools(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), wrong()), 1..6),
    ) {
        let mut document = sample();
        for (place, value) in changes {
            let mut pointers = Vec::new();
            places(&document, "", &mut pointers);
            // The root and its version stay, so that there is something to read.
            let pointers: Vec<_> = pointers.into_iter().filter(|p| !p.is_empty() && p != "/openapi").collect();
            if let Some(slot) = document.pointer_mut(place.get::<String>(&pointers)) {
                *slot = value;
            }
        }
        let parsed = parse(document.to_string()).expect("it is still OpenAPI");
        let plan = plan(&parsed);
        check(&parsed, &plan);
        for diagnostic in parsed.diagnostics.iter().chain(&plan.diagnostics) {
            let there = document.pointer(&diagnostic.pointer).is_some();
            prop_assert!(there, "{} points to nothing: {}", diagnostic.pointer, diagnostic.message);
        }
        for tool in &plan.tools.tools {
            let schema = tool.input.to_value();
            prop_assert!(jsonschema::draft202012::new(&schema).is_ok(), "{schema}");
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        prop_assert!(parse(text).is_err());
    }

    #[test]
    fn any_yaml_below_a_version_is_read_or_refused(text in "[ -~\n]{0,200}") {
        if let Ok(parsed) = parse(format!("openapi: 3.0.0\n{text}")) {
            let plan = plan(&parsed);
            check(&parsed, &plan);
        }
    }
}

#[test]
fn the_sample_is_good_before_it_is_mutated() {
    let parsed = parse(sample().to_string()).expect("it is OpenAPI");
    let plan = plan(&parsed);
    check(&parsed, &plan);
    assert_eq!(plan.tools.tools.len(), 3);
    let worse = |d: &&mcphub_core::spec::Diagnostic| d.severity > Severity::Info;
    assert_eq!(
        parsed
            .diagnostics
            .iter()
            .chain(&plan.diagnostics)
            .filter(worse)
            .count(),
        0,
        "{:?}",
        parsed.diagnostics
    );
}
