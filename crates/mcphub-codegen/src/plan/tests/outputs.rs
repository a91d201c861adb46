//! Output schemas.

use super::*;

#[test]
fn an_object_is_described_and_never_refused() {
    let schemas = json!({"Pet": {"type": "object", "required": ["id"], "additionalProperties": false, "minProperties": 1,
        "description": "A pet.", "properties": {
            "id": {"type": "integer", "minimum": 1, "multipleOf": 2},
            "state": {"type": "string", "enum": ["a"], "pattern": "^a", "maxLength": 1, "format": "uuid", "default": "a"},
            "kind": {"const": "pet"}, "secret": {"type": "string", "writeOnly": true},
            "tags": {"type": ["array", "string"], "uniqueItems": true, "minItems": 1, "prefixItems": [{"type": "string"}], "items": false},
            "map": {"type": "object", "additionalProperties": {"type": "number", "maximum": 3}, "propertyNames": {"pattern": "^a"}},
            "either": {"oneOf": [{"type": "string"}, {"not": {}}], "if": {}, "then": false},
            "friend": {"$ref": "#/components/schemas/Pet"}}}});
    let tool = tool_with(answer(json!({"$ref": "#/components/schemas/Pet"})), schemas);
    assert_eq!(tool.binding.output, OutputShape::Object);
    let output = tool.output.unwrap();
    let properties = json!({
        "id": {"type": ["integer", "null"]},
        "state": {"type": ["string", "null"], "format": "uuid"},
        "kind": {},
        "tags": {"type": ["array", "string", "null"], "items": {}},
        "map": {"type": ["object", "null"], "additionalProperties": {"type": ["number", "null"]}},
        "either": {"anyOf": [{"type": ["string", "null"]}, {}]},
        "friend": {"$ref": "#/$defs/Pet"},
    });
    assert_eq!(
        Value::Object(output.root().clone()),
        json!({"description": "A pet.", "type": "object", "properties": properties})
    );
    assert_eq!(output.definitions()[0].schema["properties"], properties);
    assert_eq!(
        output.definitions()[0].schema["type"],
        json!(["object", "null"])
    );
}

#[test]
fn what_is_no_object_is_wrapped() {
    for (schema, result) in [
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": ["array", "null"], "items": {"type": ["string", "null"]}}),
        ),
        (
            json!({"type": "string"}),
            json!({"type": ["string", "null"]}),
        ),
        (
            json!({"oneOf": [{"type": "object"}, {"type": "array"}]}),
            json!({"anyOf": [{"type": ["object", "null"]}, {"type": ["array", "null"], "items": {}}]}),
        ),
    ] {
        let tool = tool(answer(schema));
        assert_eq!(tool.binding.output, OutputShape::Wrapped);
        let root = Value::Object(tool.output.unwrap().root().clone());
        assert_eq!(
            root,
            json!({"type": "object", "properties": {"result": result}})
        );
    }
}

#[test]
fn combinators_at_the_top_are_folded() {
    let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "same": {"type": "string"}}});
    let two = json!({"properties": {"a": {"type": "integer"}, "same": {"type": "string"}}});
    for key in ["oneOf", "anyOf", "allOf"] {
        let tool = tool(answer(json!({key: [one, two]})));
        assert_eq!(tool.binding.output, OutputShape::Object, "{key}");
        let root = tool.output.unwrap().root().clone();
        let properties = &root["properties"];
        assert_eq!(
            properties["a"],
            json!({"anyOf": [{"type": ["string", "null"]}, {"type": ["integer", "null"]}]})
        );
        assert_eq!(properties["same"], json!({"type": ["string", "null"]}));
    }
}

#[test]
fn several_success_answers_are_all_possible() {
    let content = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
    let string = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let number = json!({"type": "object", "properties": {"a": {"type": "number"}}});
    let tool = tool(
        json!({"responses": {"202": content(number), "200": content(string), "404": content(json!({"type": "array"}))}}),
    );
    let root = tool.output.unwrap().root().clone();
    assert_eq!(
        root["properties"]["a"],
        json!({"anyOf": [{"type": ["string", "null"]}, {"type": ["number", "null"]}]})
    );
}

#[test]
fn nothing_is_promised_where_nothing_is_described() {
    for responses in [
        json!({"204": {}}),
        json!({"200": {"content": {"application/json": {}}}}),
        json!({"200": {"content": {"text/csv": {"schema": {"type": "string"}}}}}),
        json!({"default": {"content": {"application/json": {"schema": {"type": "object"}}}}}),
    ] {
        let tool = tool(json!({"responses": responses}));
        assert!(tool.output.is_none() && tool.binding.output.is_none());
    }
}

#[test]
fn one_that_is_too_large_is_left_out() {
    let wide = |n: usize| -> serde_json::Map<_, _> {
        (0..n)
            .map(|i| (format!("property_{i}"), json!({"type": "string"})))
            .collect()
    };
    let inline = plan(
        json!({"/a": {"get": answer(json!({"type": "object", "properties": wide(2_000)}))}}),
        json!({}),
    );
    let schemas = json!({"A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B"}}},
        "B": {"type": "object", "properties": wide(2_000)}});
    let shared = plan(
        json!({"/a": {"get": answer(json!({"$ref": "#/components/schemas/A"}))}}),
        schemas,
    );
    for plan in [inline, shared] {
        assert!(plan.tools.tools[0].output.is_none());
        let remark = &plan.diagnostics[0];
        assert_eq!(
            (remark.severity, remark.code.as_str()),
            (Severity::Info, "output-schema-left-out")
        );
    }
}

#[test]
fn accept_prefers_json_and_takes_anything() {
    assert_eq!(
        tool(json!({})).binding.accept,
        "application/json, */*;q=0.5"
    );
    let tool = tool(
        json!({"responses": {"200": {"content": {"text/csv": {}, "application/hal+json": {}}},
        "404": {"content": {"application/problem+json": {}}}}}),
    );
    assert_eq!(
        tool.binding.accept,
        "application/hal+json, text/csv;q=0.5, */*;q=0.1"
    );
}
