//! What OpenAPI 3.2 adds.

use super::*;
use mcphub_core::spec::Method;

fn parse_32(mut document: Value) -> Parsed {
    document["openapi"] = "3.2.0".into();
    parse(&document)
}

#[test]
fn query_and_additional_operations_are_operations() {
    let parsed = parse_32(document(
        json!({"/pets/{id}": {
            "additionalOperations": {"COPY": {"operationId": "copy"}, "M-SEARCH": {}},
            "query": {"operationId": "search"},
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
        }}),
        json!({}),
    ));
    let found: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| (o.method.as_str(), o.pointer.as_str(), o.parameters.len()))
        .collect();
    let at = "/paths/~1pets~1{id}/additionalOperations";
    assert_eq!(
        found,
        [
            ("QUERY", "/paths/~1pets~1{id}/query", 1),
            ("COPY", format!("{at}/COPY").as_str(), 1),
            ("M-SEARCH", format!("{at}/M-SEARCH").as_str(), 1),
        ]
    );
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn additional_operations_have_methods_of_their_own() {
    let parsed = parse_32(document(
        json!({"/a": {"get": {}, "additionalOperations": {"get": {}, "POST": {}, "A B": {}, "CONNECT": {}}}}),
        json!({}),
    ));
    let methods: Vec<_> = parsed.spec.operations.iter().map(|o| o.method).collect();
    assert_eq!(methods, [Method::Get, Method::Post]);
    let at = |key: &str| format!("/paths/~1a/additionalOperations/{key}");
    assert_eq!(
        remarks(&parsed),
        [
            (Severity::Warning, "invalid-method", at("get").as_str()),
            (Severity::Warning, "invalid-method", at("POST").as_str()),
            (Severity::Error, "invalid-method", at("A B").as_str()),
            (Severity::Error, "invalid-method", at("CONNECT").as_str()),
        ]
    );
}

#[test]
fn media_types_may_be_shared_and_describe_items() {
    let content = json!({"application/jsonl": {"$ref": "#/components/mediaTypes/Pets"},
        "text/event-stream": {"$ref": "#/components/mediaTypes/Pets"},
        "text/csv": {"$ref": "#/components/mediaTypes/none"}});
    let parsed = parse_32(document(
        json!({"/a": {"put": {"requestBody": {"content": content}, "responses": {"200": {"content": content}}}}}),
        json!({"mediaTypes": {"Pets": {"itemSchema": {"$ref": "#/components/schemas/Pet"}}},
            "schemas": {"Pet": {"type": "object"}}}),
    ));
    let pets = json!({"type": "array", "items": {"$ref": "#/$defs/Pet"}});
    let operation = &parsed.spec.operations[0];
    let body = &operation.body.as_ref().unwrap().content;
    let types: Vec<_> = body
        .iter()
        .map(|c| (c.media_type.as_str(), &c.schema))
        .collect();
    assert_eq!(
        types,
        [("application/jsonl", &pets), ("text/event-stream", &pets)]
    );
    assert_eq!(operation.responses[0].content[0].1, pets);
    assert!(
        remarks(&parsed)
            .iter()
            .all(|(severity, code, _)| (*severity, *code)
                == (Severity::Warning, "dangling-reference"))
    );
}

#[test]
fn an_operation_has_the_tags_above_its_own_too() {
    let mut document = document(
        json!({"/a": {"get": {"tags": ["novels", "new"]}}}),
        json!({}),
    );
    document["tags"] = json!([{"name": "novels", "parent": "books"}, {"name": "books", "parent": "products"},
        {"name": "products", "parent": "novels"}, {"name": "new", "parent": "gone"}]);
    let parsed = parse_32(document);
    assert_eq!(
        parsed.spec.operations[0].tags,
        ["novels", "new", "books", "products"]
    );
    assert_eq!(
        remarks(&parsed),
        [(Severity::Warning, "unknown-tag", "/tags/3/parent")]
    );
}

#[test]
fn a_security_requirement_may_be_a_reference() {
    let parsed = parse_32(document(
        json!({"/a": {"get": {"security": [{"#/components/securitySchemes/key": []}]}}}),
        json!({"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}),
    ));
    assert_eq!(parsed.spec.operations[0].security, [["key"]]);
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn an_example_may_be_a_data_value() {
    let parameter =
        json!({"name": "q", "in": "query", "schema": {}, "examples": {"a": {"dataValue": 7}}});
    let parsed = parse_32(document(
        json!({"/a": {"get": {"parameters": [parameter]}}}),
        json!({}),
    ));
    assert_eq!(
        parsed.spec.operations[0].parameters[0].example,
        Some(json!(7))
    );
}
