//! What OpenAPI 3.1 adds.

use super::*;

#[test]
fn schemas_are_json_schema_as_they_are() {
    let schema = json!({
        "type": ["object", "null"],
        "properties": {
            "kind": {"const": "a"},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false},
            "some": {"type": "array", "contains": {"type": "string"}, "minContains": 2, "items": {}},
            "bytes": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
            "ratio": {"exclusiveMinimum": 0, "exclusiveMaximum": 1},
        },
        "patternProperties": {"^x-": true},
        "propertyNames": {"maxLength": 20},
        "dependentRequired": {"pair": ["kind"]},
        "dependentSchemas": {"some": {"required": ["kind"]}},
        "if": {"required": ["kind"]},
        "then": {"required": ["pair"]},
        "else": {"not": {"required": ["pair"]}},
        "unevaluatedProperties": false,
        "examples": [{"kind": "a"}],
        "$comment": "kept",
    });
    let mut expected = schema.clone();
    expected["patternProperties"]["^x-"] = json!({});
    assert_eq!(schema_of("3.1.0", schema), expected);
}

#[test]
fn schemas_below_defs_are_found_by_their_pointers() {
    let schema = json!({"type": "array", "items": {"$ref": "#/components/schemas/A/$defs/Inner"}});
    let mut document = document(
        json!({"/a": {"get": {"parameters": [{"name": "q", "in": "query", "schema": schema}]}}}),
        json!({"schemas": {"A": {"$defs": {"Inner": {"type": "integer"}}}}}),
    );
    document["openapi"] = "3.1.1".into();
    let parsed = parse(&document);
    assert_eq!(
        parsed.spec.operations[0].parameters[0].schema["items"],
        json!({"$ref": "#/$defs/A.defs.Inner"})
    );
    assert_eq!(
        *parsed.spec.definitions["A.defs.Inner"],
        json!({"type": "integer"})
    );
}

#[test]
fn path_items_are_shared_below_components() {
    let parsed = parse(&json!({
        "openapi": "3.1.0",
        "paths": {"/a": {"$ref": "#/components/pathItems/shared"}},
        "components": {"pathItems": {"shared": {"get": {"operationId": "find"}}}},
    }));
    assert_eq!(parsed.spec.operations[0].id.as_deref(), Some("find"));
}

#[test]
fn what_an_api_calls_is_no_tool_and_no_fault() {
    let callback = json!({"{$request.body#/url}": {"post": {"operationId": "called"}}});
    let parsed = parse(&json!({
        "openapi": "3.1.0",
        "webhooks": {"new": {"post": {"operationId": "hook"}}},
        "paths": {"/a": {"post": {"operationId": "own", "callbacks": {"done": callback},
            "responses": {"200": {"links": {"next": {"operationId": "own"}}}}}}},
    }));
    let ids: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| o.id.as_deref())
        .collect();
    assert_eq!(ids, [Some("own")]);
    let hooks = parse(&json!({"openapi": "3.1.0", "webhooks": {"new": {"post": {}}}}));
    assert!(hooks.spec.operations.is_empty());
    assert_eq!((remarks(&parsed), remarks(&hooks)), (vec![], vec![]));
}
