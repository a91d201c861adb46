//! What `x-mcp` says of tools and arguments.

use super::*;

#[test]
fn a_tool_is_what_its_operation_says_it_is() {
    let tool = tool(
        json!({"operationId": "id", "summary": "s", "description": "d", "x-mcp": {
        "name": "find things", "title": "Find", "description": "Finds.",
        "annotations": {"readOnlyHint": true, "destructiveHint": false}}}),
    );
    assert_eq!(tool.name.as_str(), "find_things");
    assert_eq!(
        (tool.title.as_deref(), tool.description.as_str()),
        (Some("Find"), "Finds.")
    );
    assert!(tool.annotations.read_only_hint && !tool.annotations.destructive_hint);
    assert!(!tool.annotations.idempotent_hint && tool.annotations.open_world_hint);
}

#[test]
fn a_preset_is_sent_and_no_argument() {
    let tool = tool(json!({
        "parameters": [
            {"name": "limit", "in": "query", "schema": {"type": "integer"}, "x-mcp": {"value": 50}},
            {"name": "q", "in": "query", "schema": {"type": "string"}, "x-mcp": {"name": "text"}},
        ],
        "requestBody": body("application/json", json!({"type": "object", "required": ["kind"], "properties": {
            "kind": {"type": "string", "x-mcp": {"value": "note"}},
            "debug": {"type": "boolean", "x-mcp": false},
            "body_text": {"type": "string", "x-mcp": {"name": "content", "description": "What it says."}},
        }})),
    }));
    assert_eq!(arguments(&tool), ["id", "text", "content"]);
    assert_eq!(required(&tool), ["id"]);
    let content = tool.input.properties().last().unwrap().1;
    assert_eq!(
        content,
        &json!({"type": "string", "description": "What it says."})
    );
    let given =
        Arguments::parse(r#"{"id": "7", "text": "a b", "content": "hi", "limit": 1}"#).unwrap();
    let base = "https://shop.test".parse().unwrap();
    let request = tool.binding.request(&base, &given).unwrap();
    assert_eq!(
        request.url.as_str(),
        "https://shop.test/a/7?limit=50&q=a%20b"
    );
    assert_eq!(
        request.body.unwrap().bytes,
        r#"{"kind":"note","body_text":"hi"}"#
    );
}

#[test]
fn a_required_member_is_not_hidden_without_a_value() {
    let schema = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"type": "string", "x-mcp": false}, "b": {"type": "string"}}});
    let plan = plan(
        json!({"/a": {"post": {"requestBody": body("application/json", schema)}}}),
        json!({}),
    );
    assert_eq!(arguments(&plan.tools.tools[0]), ["a", "b"]);
    assert_eq!(plan.diagnostics[0].code, "required-argument");
}

#[test]
fn presets_are_kept_with_a_plan() {
    let tool = tool(
        json!({"parameters": [{"name": "q", "in": "query", "schema": {}, "x-mcp": {"value": [1, {"a": null}]}}]}),
    );
    let text = serde_json::to_string(&tool.binding).unwrap();
    assert_eq!(
        serde_json::from_str::<HttpBinding>(&text).unwrap(),
        tool.binding
    );
}

#[test]
fn a_preset_that_does_not_fit_its_schema_is_said_and_sent() {
    let operation = |limit: Value, kind: Value| {
        json!({
            "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}, "x-mcp": {"value": limit}}],
            "requestBody": body("application/json", json!({"type": "object", "properties": {
                "kind": {"$ref": "#/components/schemas/Kind", "x-mcp": {"value": kind}}, "text": {"type": "string"}}})),
        })
    };
    let schemas = json!({"Kind": {"type": "string", "enum": ["note", "task"]}});
    let planned = |limit, kind| {
        let paths = json!({"/a": {"post": operation(limit, kind)}});
        plan(paths, schemas.clone())
    };
    assert_eq!(planned(json!(20), json!("note")).diagnostics, []);
    let plan = planned(json!(200), json!("memo"));
    let said: Vec<_> = plan
        .diagnostics
        .iter()
        .map(|d| (d.code.as_str(), d.severity))
        .collect();
    assert_eq!(said, [("preset-mismatch", Severity::Warning); 2]);
    assert!(
        plan.diagnostics[0].message.contains("`limit`"),
        "{}",
        plan.diagnostics[0].message
    );
    assert_eq!(plan.tools.tools[0].binding.presets["limit"], json!(200));
}
