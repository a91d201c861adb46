//! The extension `x-mcp`.

use super::*;
use mcphub_core::spec::{ArgumentHints, FieldsHint, PagesHint, ToolHints};

#[test]
fn the_nearest_says_what_is_hidden() {
    let mut document = document(
        json!({
            "/a": {"get": {}, "put": {"x-mcp": true}, "post": {"x-mcp": {"name": "p"}}},
            "/b": {"x-mcp": {"hidden": false}, "get": {}, "put": {"x-mcp": {"hidden": true}}},
        }),
        json!({}),
    );
    document["x-mcp"] = json!(false);
    let parsed = parse(&document);
    let shown: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| o.pointer.as_str())
        .collect();
    assert_eq!(shown, ["/paths/~1a/put", "/paths/~1b/get"]);
    assert_eq!(
        remarks(&parsed),
        [
            (Severity::Info, "hidden", "/paths/~1a/get"),
            (Severity::Info, "hidden", "/paths/~1a/post"),
            (Severity::Info, "hidden", "/paths/~1b/put"),
        ]
    );
}

#[test]
fn an_operation_says_what_its_tool_is_called_and_does() {
    let parsed = operation(json!({"operationId": "id", "tags": ["own"], "x-mcp": {
        "name": "find", "title": "Find", "description": "Finds.", "tags": ["group"],
        "annotations": {"readOnlyHint": false, "openWorldHint": false}}}));
    let operation = &parsed.spec.operations[0];
    assert_eq!(operation.tags, ["group"]);
    assert_eq!(
        operation.hints,
        ToolHints {
            name: Some("find".to_owned()),
            title: Some("Find".to_owned()),
            description: Some("Finds.".to_owned()),
            read_only: Some(false),
            open_world: Some(false),
            ..ToolHints::default()
        }
    );
}

#[test]
fn the_nearest_says_the_group_which_is_the_first_tag() {
    let document = json!({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {
        "/a": {"x-mcp": {"group": "Desk"}, "get": {"tags": ["x", "Desk"]},
            "put": {"tags": ["x"], "x-mcp": {"group": " Till "}}, "post": {"x-mcp": {"group": []}}},
        "/b": {"get": {"tags": ["x"], "x-mcp": {"group": ""}}},
    }});
    let parsed = parse(&document);
    let tags: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| o.tags.join(" "))
        .collect();
    assert_eq!(tags, ["Desk x", "Till x", "Desk", "x"]);
    assert_eq!(
        remarks(&parsed),
        [(
            Severity::Warning,
            "wrong-type",
            "/paths/~1a/post/x-mcp/group"
        )]
    );
}

#[test]
fn parameters_are_renamed_hidden_and_preset() {
    let parsed = operation(json!({"parameters": [
        {"name": "q", "in": "query", "x-mcp": {"name": "text", "description": "What to find."}},
        {"name": "debug", "in": "query", "x-mcp": false},
        {"name": "limit", "in": "query", "x-mcp": {"value": 50}},
        {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}, "x-mcp": {"hidden": true}},
    ]}));
    let parameters = &parsed.spec.operations[0].parameters;
    let names: Vec<_> = parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["q", "limit", "id"]);
    assert_eq!(parameters[0].hints.name.as_deref(), Some("text"));
    assert_eq!(parameters[0].description.as_deref(), Some("What to find."));
    assert_eq!(parameters[1].hints.value, Some(json!(50)));
    assert_eq!(parameters[2].hints, ArgumentHints::default());
    let at = "/paths/~1pets~1{id}/get/parameters/3/x-mcp";
    assert!(remarks(&parsed).contains(&(Severity::Warning, "required-argument", at)));
}

#[test]
fn members_of_a_body_say_it_in_their_schemas() {
    let parsed = parse(&document(
        json!({"/a": {"put": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}}}}),
        json!({"schemas": {
            "A": {"allOf": [{"$ref": "#/components/schemas/B"}, {"$ref": "#/components/schemas/A"}], "properties": {
                "a": {"type": "string", "x-mcp": false}, "c": {"type": "string"}}},
            "B": {"properties": {"b": {"type": "string", "x-mcp": {"value": "fixed"}}}},
        }}),
    ));
    let hints = &parsed.spec.operations[0].body.as_ref().unwrap().content[0].hints;
    let found: Vec<_> = hints
        .iter()
        .map(|(name, hints)| (name.as_str(), hints.hidden, hints.value.clone()))
        .collect();
    assert_eq!(
        found,
        [("b", false, Some(json!("fixed"))), ("a", true, None)]
    );
}

#[test]
fn what_means_nothing_is_told() {
    let parsed = operation(
        json!({"x-mcp": {"nmae": "x", "annotations": {"readOnlyHint": "perhaps"}}, "parameters": [
        {"name": "q", "in": "query", "schema": {}, "x-mcp": {"title": "t"}},
        {"name": "r", "in": "query", "schema": {}, "x-mcp": "yes"},
        {"name": "s", "in": "query", "schema": {}, "x-mcp": {"value": "x".repeat(3_000)}}]}),
    );
    let at = |rest: &str| format!("/paths/~1pets~1{{id}}/get{rest}");
    let expected = [
        ("unknown-hint", at("/x-mcp/nmae")),
        ("wrong-type", at("/x-mcp/annotations/readOnlyHint")),
        ("unknown-hint", at("/parameters/0/x-mcp/title")),
        ("wrong-type", at("/parameters/1/x-mcp")),
        ("too-large", at("/parameters/2/x-mcp/value")),
        ("undeclared-path-parameter", at("")),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(code, at)| (Severity::Warning, *code, at.as_str()))
        .collect();
    assert_eq!(remarks(&parsed), expected);
}

#[test]
fn answers_are_as_the_nearest_says() {
    let mut document = document(
        json!({
            "/a": {"get": {}, "put": {"x-mcp": {"fields": "id"}}},
            "/b": {"x-mcp": {"fields": ["a", "b.c"], "pages": false}, "get": {"x-mcp": {"fields": false}}},
        }),
        json!({}),
    );
    document["x-mcp"] = json!({"fields": true});
    let parsed = parse(&document);
    let hints = parsed
        .spec
        .operations
        .iter()
        .map(|operation| &operation.hints);
    let found: Vec<_> = hints
        .map(|hints| (hints.fields.clone(), hints.pages.clone()))
        .collect();
    let only = FieldsHint::Only(vec!["id".to_owned()]);
    assert_eq!(
        found,
        [
            (Some(FieldsHint::Argument), None),
            (Some(only), None),
            (Some(FieldsHint::All), Some(PagesHint::One)),
        ]
    );
}

#[test]
fn wrong_words_about_answers_are_told_and_mean_nothing() {
    for (said, code, at) in [
        (json!({"fields": "a..b"}), "invalid-field", "/fields"),
        (json!({"fields": [1]}), "wrong-type", "/fields"),
        (json!({"pages": 3}), "wrong-type", "/pages"),
        (json!({"pages": {"by": "magic"}}), "invalid-pages", "/pages"),
        (
            json!({"pages": {"by": "cursor", "at": "a"}}),
            "invalid-pages",
            "/pages",
        ),
        (
            json!({"pages": {"by": "link", "items": 1}}),
            "invalid-pages",
            "/pages",
        ),
        (
            json!({"pages": {"by": "link", "itmes": "a"}}),
            "unknown-hint",
            "/pages/itmes",
        ),
    ] {
        let parsed = operation(json!({"x-mcp": said}));
        let hints = &parsed.spec.operations[0].hints;
        assert_eq!(hints.fields, None);
        assert_eq!(hints.pages.is_some(), code == "unknown-hint");
        let at = format!("/paths/~1pets~1{{id}}/get/x-mcp{at}");
        let expected = (Severity::Warning, code, at.as_str());
        assert!(
            remarks(&parsed).contains(&expected),
            "{:?}",
            remarks(&parsed)
        );
    }
}
