//! Bodies of parts.

use mcphub_core::spec::Diagnostic;

use super::*;

/// The tools of a document, and what it gets wrong.
fn planned(document: &Value) -> (Vec<Tool>, Vec<Diagnostic>) {
    let document = Document {
        source: "p.json".to_owned(),
        bytes: document.to_string().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    let plan = ToolPlanner::new()
        .plan(&parsed, &PlanOptions::default())
        .unwrap();
    (plan.tools.tools, parsed.diagnostics)
}

/// The tool of an operation that takes this content.
fn tool_of(content: Value) -> Tool {
    let (tools, diagnostics) = planned(&json!({
        "openapi": "3.2.0", "info": {"title": "P", "version": "1"},
        "paths": {"/parts": {"post": {"operationId": "send", "responses": {},
            "requestBody": {"required": true, "content": content}}}},
        "components": {"headers": {"Shared": {"required": true, "schema": {"type": "integer"}}}},
    }));
    assert_eq!(tools.len(), 1, "{diagnostics:?}");
    tools[0].clone()
}

fn body(tool: &Tool) -> Value {
    serde_json::to_value(&tool.binding.body).unwrap()
}

#[test]
fn headers_of_parts_are_arguments() {
    let tool = tool_of(json!({"multipart/form-data": {
        "schema": {"type": "object", "required": ["photo"], "properties": {
            "photo": {"type": "string", "format": "binary"}, "note": {"type": "string"}}},
        "encoding": {
            "photo": {"contentType": "image/png", "headers": {
                "X-Size": {"$ref": "#/components/headers/Shared"},
                "X-Kind": {"schema": {"const": "photo"}},
                "Content-Type": {"schema": {}},
                "Content-Disposition": {"schema": {}},
                "bad name": {"schema": {}}}},
            "note": {"headers": {"X-Size": {"required": true, "description": "In words.", "schema": {"type": "integer"}}}}},
    }}));
    let arguments: Vec<_> = tool
        .input
        .properties()
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(arguments, ["photo", "note", "photo_X-Size", "note_X-Size"]);
    assert!(tool.input.requires("photo_X-Size"));
    // Only where there is such a part.
    assert!(!tool.input.requires("note_X-Size"));
    assert_eq!(tool.binding.presets["photo_X-Kind"], "photo");
    let members = &body(&tool)["source"]["members"];
    assert_eq!(
        members[0]["part"],
        json!({"file": true, "mediaType": "image/png", "headers": [
            {"argument": "photo_X-Size", "name": "X-Size", "required": true},
            {"argument": "photo_X-Kind", "name": "X-Kind"}]})
    );
    assert_eq!(
        members[1]["part"],
        json!({"headers": [{"argument": "note_X-Size", "name": "X-Size", "required": true}]})
    );
}

#[test]
fn a_list_is_parts_in_order() {
    let tool = tool_of(json!({"multipart/mixed": {
        "schema": {"type": "array", "items": {"type": "string", "format": "binary"}}}}));
    let (name, schema) = tool.input.properties().next().unwrap();
    assert_eq!(name, "body");
    assert!(schema["items"]["anyOf"].is_array(), "{schema}");
    let body = body(&tool);
    assert_eq!(body["format"], "multipart");
    assert_eq!(body["parts"], json!({"items": {"file": true}}));
    // An object has parts by name.
    let tool = tool_of(json!({"multipart/related": {
        "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}}));
    assert_eq!(tool.input.properties().next().unwrap().0, "a");
    assert_eq!(tool.binding.body.unwrap().media_type, "multipart/related");
}

#[test]
fn positions_have_encodings_of_their_own() {
    let tool = tool_of(json!({"multipart/mixed": {
        "itemSchema": {"type": "string", "format": "binary"},
        "prefixEncoding": [{"contentType": "application/json", "headers": {"X-A": {"schema": {"enum": ["a"]}}}}],
        "itemEncoding": {"contentType": "image/png", "headers": {"X-B": {"schema": {"type": "string"}}}},
    }}));
    let arguments: Vec<_> = tool
        .input
        .properties()
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(arguments, ["body", "part_X-B"]);
    assert_eq!(tool.binding.presets["part1_X-A"], "a");
    let parts = &body(&tool)["parts"];
    assert_eq!(
        parts["prefix"][0]["headers"],
        json!([{"argument": "part1_X-A", "name": "X-A"}])
    );
    assert_eq!(parts["items"]["mediaType"], "image/png");
    let tool = tool_of(json!({"multipart/mixed": {
        "schema": {"type": "array", "prefixItems": [{"type": "object"}, {"type": "array", "items": {"type": "string", "format": "binary"}}],
            "items": {"type": "string"}},
        "prefixEncoding": [{}, {"contentType": "image/png"}], "itemEncoding": {"contentType": "text/csv"},
    }}));
    // A list within a list is one part, and JSON.
    assert_eq!(
        body(&tool)["parts"],
        json!({"prefix": [{}, {}], "items": {"mediaType": "text/csv"}})
    );
}

#[test]
fn wrong_encodings_are_left_out_and_said() {
    let (tools, diagnostics) = planned(&json!({
        "openapi": "3.2.0", "info": {"title": "P", "version": "1"},
        "paths": {"/parts": {"post": {"operationId": "send", "responses": {}, "requestBody": {"content": {"multipart/mixed": {
            "itemSchema": {"type": "object"}, "prefixEncoding": {"a": 1},
            "itemEncoding": {"headers": {"X-A": {"$ref": "#/nowhere"}, "X-B": 5}, "itemEncoding": {}}}}}}}},
    }));
    assert_eq!(tools.len(), 1);
    let codes: Vec<_> = diagnostics.iter().map(|it| it.code.as_str()).collect();
    for code in ["wrong-type", "nested-encoding", "dangling-reference"] {
        assert!(codes.contains(&code), "no {code} in {codes:?}");
    }
}
