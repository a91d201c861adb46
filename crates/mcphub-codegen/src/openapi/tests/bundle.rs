//! Documents in several files.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use futures::executor::block_on;
use mcphub_core::spec::{Parsed, SpecParser};
use serde_json::{Value, json};

use super::*;
use crate::openapi::OpenApiParser;

/// Files by address, and which were asked for.
#[derive(Debug, Default)]
struct Files {
    files: HashMap<String, String>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl DocumentLoader for Files {
    async fn load(&self, address: &Url) -> Result<Bytes> {
        self.asked.lock().unwrap().push(address.to_string());
        let file = self.files.get(address.as_str()).cloned();
        file.map(Bytes::from)
            .ok_or_else(|| Error::not_found("there is no such document"))
    }
}

fn files(files: &[(&str, Value)]) -> Files {
    let named = |(name, value): &(&str, Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        (format!("file:///api/{name}"), text)
    };
    Files {
        files: files.iter().map(named).collect(),
        asked: Mutex::default(),
    }
}

fn document(value: &Value) -> Document {
    Document {
        source: "/api/openapi.yaml".to_owned(),
        bytes: value.to_string().into(),
    }
}

fn bundled(root: &Value, files: &Files) -> (Value, Parsed) {
    let document = block_on(bundle(document(root), files, &ParserSettings::default())).unwrap();
    let value = serde_json::from_slice(&document.bytes).unwrap();
    (value, OpenApiParser::default().parse(&document).unwrap())
}

fn openapi(paths: Value) -> Value {
    json!({"openapi": "3.0.3", "info": {"title": "T", "version": "1"}, "paths": paths})
}

#[test]
fn what_is_in_other_files_becomes_part_of_the_document() {
    let root = openapi(json!({
        "/pets": {"$ref": "paths/pets.yaml"},
        "/pets/first": {"get": {"$ref": "paths/pet.yaml#/get"}},
    }));
    let files = files(&[
        (
            "paths/pets.yaml",
            json!("get:\n  operationId: list\n  parameters:\n    - $ref: '../parts.json#/limit'\n"),
        ),
        (
            "paths/pet.yaml",
            json!({"get": {"operationId": "one", "responses": {"200": {"content": {"application/json": {
                "schema": {"$ref": "../models/Pet.v1.json"}}}}}}}),
        ),
        (
            "parts.json",
            json!({"limit": {"name": "limit", "in": "query", "schema": {"$ref": "#/types/count"}},
                "types": {"count": {"type": "integer"}}}),
        ),
        (
            "models/Pet.v1.json",
            json!({"type": "object", "properties": {
                "parent": {"$ref": "#"}, "list": {"$ref": "../openapi.yaml#/x-list"}}}),
        ),
    ]);
    let mut root = root;
    root["x-list"] = json!({"type": "array", "items": {"$ref": "models/Pet.v1.json"}});
    let (value, parsed) = bundled(&root, &files);
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let [list, one] = &parsed.spec.operations[..] else {
        panic!()
    };
    assert_eq!(list.id.as_deref(), Some("list"));
    assert_eq!(list.parameters[0].name, "limit");
    assert_eq!(list.parameters[0].schema, json!({"$ref": "#/$defs/count"}));
    assert_eq!(
        one.responses[0].content[0].1,
        json!({"$ref": "#/$defs/Pet"})
    );
    assert_eq!(
        *parsed.spec.definitions["Pet"],
        json!({"type": "object", "properties": {
            "parent": {"$ref": "#/$defs/Pet"}, "list": {"$ref": "#/$defs/x-list"}}})
    );
    let names: Vec<_> = value[DOCUMENTS].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "paths/pets.yaml",
            "paths/pet.yaml",
            "models/Pet.v1.json",
            "parts.json"
        ]
    );
    assert_eq!(files.asked.lock().unwrap().len(), 4, "each is loaded once");
}

#[test]
fn a_document_that_refers_to_nothing_outside_is_not_touched() {
    let files = files(&[]);
    for text in [
        r##"{"openapi": "3.0.0", "paths": {"/a": {"$ref": "#/b"}}}"##,
        "openapi: 3.0.0\npaths:\n  /a: {$ref: '#/b'}\n  /c:\n    $ref: \"#/b\"\n",
    ] {
        let document = Document {
            source: "/api/openapi.yaml".to_owned(),
            bytes: text.into(),
        };
        let same = block_on(bundle(document, &files, &ParserSettings::default())).unwrap();
        assert_eq!(same.bytes, text);
    }
    let root = openapi(
        json!({"/a": {"get": {"responses": {"200": {"content": {"application/json": {
        "example": {"$ref": "other.json"}}}}}}}}),
    );
    bundled(&root, &files);
    assert!(
        files.asked.lock().unwrap().is_empty(),
        "example data is data"
    );
}

#[test]
fn what_cannot_be_loaded_is_said_and_costs_what_needs_it() {
    let root = openapi(json!({
        "/a": {"$ref": "none.yaml"},
        "/b": {"$ref": "page.yaml"},
        "/c": {"get": {"parameters": [{"name": "q", "in": "query", "schema": {"$ref": "page.yaml#/x"}}]}},
        "/d": {"get": {}},
    }));
    let files = files(&[("page.yaml", json!("<html></html>"))]);
    let (_, parsed) = bundled(&root, &files);
    let said: Vec<_> = parsed
        .diagnostics
        .iter()
        .map(|d| (d.code.as_str(), d.pointer.as_str(), d.message.as_str()))
        .collect();
    assert_eq!(parsed.spec.operations.len(), 1);
    for (at, why) in [
        ("/paths/~1a", "there is no such document"),
        ("/paths/~1b", "HTML or XML"),
        ("/paths/~1c/get", "HTML or XML"),
    ] {
        assert!(
            said.iter()
                .any(|(code, pointer, message)| *code == "external-reference"
                    && *pointer == at
                    && message.contains(why)),
            "{at}: {said:?}"
        );
    }
}

#[test]
fn circles_and_sums_are_bounded() {
    let root = openapi(json!({"/a": {"$ref": "a.json"}}));
    let circle = files(&[
        ("a.json", json!({"get": {"$ref": "b.json"}})),
        ("b.json", json!({"$ref": "a.json#/get"})),
    ]);
    let (_, parsed) = bundled(&root, &circle);
    assert_eq!(parsed.diagnostics[0].code, "reference-loop");

    let large = files(&[("a.json", json!({"get": {"summary": "x".repeat(5_000)}}))]);
    let settings = ParserSettings {
        max_document: 4_000,
        ..ParserSettings::default()
    };
    let document = block_on(bundle(document(&root), &large, &settings)).unwrap();
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    assert!(
        parsed.diagnostics[0]
            .message
            .contains("more than 4000 bytes"),
        "{:?}",
        parsed.diagnostics
    );
}

#[test]
fn anchors_and_uris_lead_into_other_documents_too() {
    let schema = |reference: &str| json!({"schema": {"$ref": reference}});
    let parameters: Vec<_> = [
        "parts.yaml#leaf",
        "parts.yaml#/Tree",
        "https://shop.test/leaf",
        "https://shop.test/api.yaml#own",
    ]
    .iter()
    .enumerate()
    .map(|(index, reference)| {
        let mut parameter = schema(reference);
        parameter["name"] = format!("p{index}").into();
        parameter["in"] = "query".into();
        parameter
    })
    .collect();
    let mut root = openapi(json!({"/a": {"get": {"parameters": parameters}}}));
    root["openapi"] = "3.2.0".into();
    root["$self"] = "https://shop.test/api.yaml".into();
    root["components"] = json!({"schemas": {"Own": {"$anchor": "own", "type": "number"}}});
    let parts = json!({"Leaf": {"$anchor": "leaf", "type": "integer"},
        "Tree": {"$id": "https://shop.test/tree", "items": {"$ref": "leaf"}},
        "Other": {"$id": "https://shop.test/leaf", "type": "boolean"}});
    let files = files(&[("parts.yaml", parts)]);
    let (_, parsed) = bundled(&root, &files);
    assert_eq!(parsed.diagnostics, []);
    let asked = files.asked.lock().unwrap();
    assert!(
        !asked.iter().any(|address| address.contains("api.yaml")),
        "{asked:?}"
    );
    let definition = |index: usize| {
        let schema = &parsed.spec.operations[0].parameters[index].schema;
        let name = schema["$ref"].as_str().unwrap();
        Value::clone(&parsed.spec.definitions[name.strip_prefix("#/$defs/").unwrap()])
    };
    assert_eq!(definition(0), json!({"type": "integer"}));
    assert_eq!(definition(1)["items"]["$ref"], "#/$defs/Other");
    assert_eq!(definition(2), json!({"type": "boolean"}));
    assert_eq!(definition(3), json!({"type": "number"}));
}
