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

/// The same for what only Swagger 2.0 has.
fn sample_20() -> Value {
    json!({
        "swagger": "2.0",
        "info": {"title": "T", "version": "1"},
        "host": "a.io", "basePath": "/v1", "schemes": ["https", "http"],
        "consumes": ["application/json"], "produces": ["application/json", "text/plain"],
        "securityDefinitions": {"key": {"type": "apiKey", "in": "query", "name": "k"}, "basic": {"type": "basic"}},
        "security": [{"key": []}],
        "paths": {
            "/pets/{id}": {
                "parameters": [{"$ref": "#/parameters/id"}],
                "get": {
                    "parameters": [{"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "pipes"}],
                    "responses": {"200": {"$ref": "#/responses/pet"}, "404": {"description": "no"}},
                },
                "put": {
                    "parameters": [{"name": "pet", "in": "body", "required": true, "schema": {"$ref": "#/definitions/Pet"}}],
                    "responses": {"200": {"description": "It.", "schema": {"type": "file"}}},
                },
                "post": {
                    "consumes": ["multipart/form-data"],
                    "parameters": [
                        {"name": "photo", "in": "formData", "type": "file", "required": true},
                        {"name": "note", "in": "formData", "type": "string", "x-mcp": {"name": "text"}},
                    ],
                    "responses": {"204": {"description": "done"}},
                },
            },
        },
        "parameters": {"id": {"name": "id", "in": "path", "required": true, "type": "integer", "format": "int64"}},
        "responses": {"pet": {"description": "It.", "schema": {"$ref": "#/definitions/Pet"}}},
        "definitions": {"Pet": {"type": "object", "x-nullable": true, "discriminator": "kind", "properties": {
            "kind": {"type": "string"}, "friends": {"type": "array", "items": {"$ref": "#/definitions/Pet"}}}}},
    })
}

/// The same for what 3.1 and 3.2 add, and for `x-mcp`.
fn sample_32() -> Value {
    json!({
        "openapi": "3.2.0",
        "$self": "https://a.io/openapi.json",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {"title": "T", "version": "1"},
        "x-mcp": true,
        "tags": [{"name": "trees", "parent": "plants"}, {"name": "plants"}],
        "paths": {
            "/trees/{id}": {
                "$ref": "#/components/pathItems/tree",
                "x-mcp": {"hidden": false},
                "query": {
                    "tags": ["trees"],
                    "x-mcp": {"name": "find", "title": "Find", "description": "Finds.", "tags": ["trees"],
                        "annotations": {"readOnlyHint": true, "openWorldHint": false}},
                    "requestBody": {"content": {"application/jsonl": {"$ref": "#/components/mediaTypes/trees"}}},
                    "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "https://a.io/openapi.json#/components/schemas/Numbers"}}}}},
                    "security": [{"#/components/securitySchemes/key": []}],
                },
                "additionalOperations": {
                    "COPY": {"parameters": [{"name": "deep", "in": "query", "x-mcp": {"value": true}, "schema": {"type": "boolean"}}],
                        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "list"}}}}}},
                },
            },
        },
        "components": {
            "pathItems": {"tree": {
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": ["string", "integer"]}, "examples": {"a": {"dataValue": "x"}}}],
                "patch": {"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#kind"}}}},
                    "responses": {"200": {"content": {"text/event-stream": {"itemSchema": {"$ref": "#/components/schemas/Leaf"}}}}}},
            }},
            "mediaTypes": {"trees": {"itemSchema": {"$ref": "tree"}}},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Kind": {"$anchor": "kind", "type": "object", "properties": {
                    "note": {"type": "string", "x-mcp": {"name": "text", "description": "A note."}},
                    "fixed": {"const": 1, "x-mcp": {"value": 1}},
                    "plant": {"oneOf": [{"$ref": "#/components/schemas/Leaf"}, {"$ref": "#/components/schemas/Tree"}],
                        "discriminator": {"propertyName": "kind", "mapping": {"leaf": "Leaf", "tree": "#/components/schemas/Tree"}}}}},
                "Leaf": {"type": "object", "properties": {"kind": {"type": "string"}}, "if": {"required": ["kind"]}, "then": {"minProperties": 1}},
                "Tree": {"$id": "tree", "$dynamicAnchor": "node", "type": "object",
                    "properties": {"children": {"type": "array", "items": {"$dynamicRef": "#node"}}}},
                "List": {"$id": "list", "type": "array", "items": {"$dynamicRef": "#item"}, "$defs": {"any": {"$dynamicAnchor": "item"}}},
                "Numbers": {"$id": "numbers", "$ref": "list", "$defs": {"own": {"$dynamicAnchor": "item", "type": "number"}}},
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
        Just("#kind"),
        Just("tree"),
        Just("numbers#item"),
        Just("https://a.io/openapi.json"),
        Just("#/definitions/Pet"),
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
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_document_never_panics_and_gives_valid_tools(
        sample in prop_oneof![Just(sample()), Just(sample_20()), Just(sample_32())],
        changes in proptest::collection::vec((any::<prop::sample::Index>(), wrong()), 1..6),
    ) {
        let mut document = sample;
        for (place, value) in changes {
            let mut pointers = Vec::new();
            places(&document, "", &mut pointers);
            // The root and its version stay, so that there is something to read.
            let pointers: Vec<_> = pointers.into_iter().filter(|p| !["", "/openapi", "/swagger"].contains(&p.as_str())).collect();
            if let Some(slot) = document.pointer_mut(place.get::<String>(&pointers)) {
                *slot = value;
            }
        }
        let parsed = parse(document.to_string()).expect("it is still OpenAPI");
        let plan = plan(&parsed);
        check(&parsed, &plan);
        for diagnostic in parsed.diagnostics.iter().chain(&plan.diagnostics) {
            // An operation of a shared path item is named as one of the path's own.
            let item = diagnostic.pointer.match_indices('/').nth(2).map(|(end, _)| &diagnostic.pointer[..end]);
            let shared = item.and_then(|item| document.pointer(item)).is_some_and(|item| item.get("$ref").is_some());
            let there = shared || document.pointer(&diagnostic.pointer).is_some();
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
fn the_samples_are_good_before_they_are_mutated() {
    for sample in [sample(), sample_20(), sample_32()] {
        let parsed = parse(sample.to_string()).expect("it is OpenAPI");
        let plan = plan(&parsed);
        check(&parsed, &plan);
        assert_eq!(plan.tools.tools.len(), 3);
        let worse = |d: &&mcphub_core::spec::Diagnostic| d.severity > Severity::Info;
        let all = parsed.diagnostics.iter().chain(&plan.diagnostics);
        assert_eq!(all.filter(worse).collect::<Vec<_>>(), Vec::<&_>::new());
    }
}
