//! Parameter objects.

use super::*;

#[test]
fn styles_have_the_defaults_of_their_location_and_wrong_ones_fall_back() {
    let parsed = operation(json!({"parameters": [
        {"name": "id", "in": "path", "schema": {}, "style": "matrix"},
        {"name": "q", "in": "query", "schema": {}},
        {"name": "p", "in": "query", "schema": {}, "style": "pipeDelimited", "allowReserved": true},
        {"name": "h", "in": "header", "schema": {}, "style": "form"},
        {"name": "c", "in": "cookie", "schema": {}, "explode": false},
    ]}));
    let found: Vec<_> = parsed.spec.operations[0]
        .parameters
        .iter()
        .map(|p| {
            (
                p.serialization.style,
                p.serialization.explode,
                p.serialization.allow_reserved,
                p.required,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (Style::Matrix, false, false, true),
            (Style::Form, true, false, false),
            (Style::PipeDelimited, false, true, false),
            (Style::Simple, false, false, false),
            (Style::Form, false, false, false),
        ]
    );
    let style = "/paths/~1pets~1{id}/get/parameters/3/style";
    assert_eq!(
        remarks(&parsed),
        [(Severity::Warning, "invalid-style", style)]
    );
}

#[test]
fn the_whole_query_and_cookies_as_they_are_have_names_of_their_own() {
    let parsed = operation(json!({"parameters": [
        {"name": "id", "in": "path", "schema": {}},
        {"name": "all", "in": "querystring", "content": {"application/json": {"schema": {}}}},
        {"name": "sid", "in": "cookie", "style": "cookie", "schema": {}},
        {"name": "q", "in": "query", "style": "cookie", "schema": {}},
    ]}));
    let parameters = &parsed.spec.operations[0].parameters;
    let how = |at: usize| {
        let parameter = &parameters[at];
        let serialization = &parameter.serialization;
        (
            parameter.location,
            serialization.style,
            serialization.explode,
        )
    };
    assert_eq!(how(1).0, Location::QueryString);
    assert_eq!(
        parameters[1].serialization.content.as_deref(),
        Some("application/json")
    );
    assert_eq!(how(2), (Location::Cookie, Style::Cookie, true));
    assert_eq!(how(3), (Location::Query, Style::Form, true));
    assert_eq!(remarks(&parsed).len(), 1);
}

#[test]
fn an_empty_value_is_possible_where_the_document_allows_it() {
    let schema = |parameter: Value| {
        let parsed = operation(
            json!({"parameters": [{"name": "id", "in": "path", "schema": {}}, parameter]}),
        );
        parsed.spec.operations[0].parameters[1].schema.clone()
    };
    let flag =
        json!({"name": "q", "in": "query", "allowEmptyValue": true, "schema": {"type": "boolean"}});
    assert_eq!(
        schema(flag),
        json!({"anyOf": [{"type": "boolean"}, {"const": ""}]})
    );
    let text =
        json!({"name": "q", "in": "query", "allowEmptyValue": true, "schema": {"type": "string"}});
    assert_eq!(schema(text), json!({"type": "string"}));
    let header = json!({"name": "q", "in": "header", "allowEmptyValue": true, "schema": {"type": "integer"}});
    assert_eq!(schema(header), json!({"type": "integer"}));
}

#[test]
fn an_operation_replaces_what_its_path_says() {
    let parsed = parse(&document(
        json!({"/a/{id}": {
            "parameters": [
                {"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}},
                {"$ref": "#/components/parameters/page"},
            ],
            "get": {"parameters": [{"name": "page", "in": "query", "schema": {"type": "string"}},
                {"name": "page", "in": "header", "schema": {"type": "boolean"}}]},
        }}),
        json!({"parameters": {"page": {"name": "page", "in": "query", "schema": {"type": "integer"}}}}),
    ));
    let found: Vec<_> = parsed.spec.operations[0]
        .parameters
        .iter()
        .map(|p| (p.location, p.schema["type"].clone()))
        .collect();
    assert_eq!(
        found,
        [
            (Location::Path, json!("integer")),
            (Location::Query, json!("string")),
            (Location::Header, json!("boolean"))
        ]
    );
    assert!(parsed.diagnostics.is_empty());
}

#[test]
fn the_path_template_decides_which_path_parameters_there_are() {
    let parsed = operation(
        json!({"parameters": [{"name": "other", "in": "path", "required": true, "schema": {}}]}),
    );
    let parameter = &parsed.spec.operations[0].parameters[0];
    assert_eq!(
        (parameter.name.as_str(), &parameter.schema),
        ("id", &json!({"type": "string"}))
    );
    let at = "/paths/~1pets~1{id}/get";
    assert_eq!(
        remarks(&parsed),
        [
            (Severity::Warning, "unused-path-parameter", at),
            (Severity::Warning, "undeclared-path-parameter", at)
        ]
    );
}

#[test]
fn headers_that_are_described_elsewhere_are_no_parameters() {
    let parsed = operation(json!({"parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {}},
        {"name": "authorization", "in": "header", "required": true, "schema": {}},
        {"name": "Accept", "in": "header", "schema": {}},
        {"name": "Content-Type", "in": "header", "schema": {}},
    ]}));
    assert_eq!(parsed.spec.operations[0].parameters.len(), 1);
    assert!(
        parsed
            .diagnostics
            .iter()
            .all(|d| d.code == "ignored-header" && d.severity == Severity::Info)
    );
}

#[test]
fn content_type_on_the_parameter_and_no_schema_at_all() {
    let parsed = operation(json!({"parameters": [
        {"name": "id", "in": "path", "required": true, "schema": {}},
        {"name": "filter", "in": "query", "content": {"Application/JSON; charset=utf-8": {"schema": {"type": "object"}}}},
        {"name": "old", "in": "query", "type": "integer", "minimum": 1},
        {"name": "bare", "in": "query"},
        {"name": "bad", "in": "body", "schema": {}},
        "nonsense",
    ]}));
    let parameters = &parsed.spec.operations[0].parameters;
    assert_eq!(
        parameters[1].serialization.content.as_deref(),
        Some("application/json")
    );
    assert_eq!(parameters[1].schema, json!({"type": "object"}));
    assert_eq!(
        parameters[2].schema,
        json!({"type": "integer", "minimum": 1})
    );
    assert_eq!(parameters[3].schema, json!({"type": "string"}));
    assert_eq!(parameters.len(), 4);
    let codes: Vec<_> = parsed.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "missing-schema",
            "missing-schema",
            "invalid-parameter",
            "wrong-type"
        ]
    );
}

#[test]
fn from_3_1_on_a_description_beside_a_reference_wins() {
    let parameters =
        json!({"q": {"name": "q", "in": "query", "description": "theirs", "schema": {}}});
    let reference = json!({"$ref": "#/components/parameters/q", "description": "ours"});
    let mut document = document(
        json!({"/a": {"get": {"parameters": [reference]}}}),
        json!({"parameters": parameters}),
    );
    let description = |document: &Value| {
        parse(document).spec.operations[0].parameters[0]
            .description
            .clone()
    };
    assert_eq!(description(&document).as_deref(), Some("theirs"));
    document["openapi"] = "3.1.0".into();
    assert_eq!(description(&document).as_deref(), Some("ours"));
}

#[test]
fn an_example_may_be_named_or_referenced() {
    let parsed = parse(&document(
        json!({"/a": {"get": {"parameters": [
            {"name": "a", "in": "query", "schema": {}, "examples": {"one": {"value": 1}, "two": {"value": 2}}},
            {"name": "b", "in": "query", "schema": {}, "examples": {"one": {"$ref": "#/components/examples/e"}}},
            {"name": "c", "in": "query", "schema": {}, "examples": {"one": {"$ref": "#/components/examples/none"}}},
        ]}}}),
        json!({"examples": {"e": {"value": "shared"}}}),
    ));
    let examples: Vec<_> = parsed.spec.operations[0]
        .parameters
        .iter()
        .map(|p| p.example.clone())
        .collect();
    assert_eq!(examples, [Some(json!(1)), Some(json!("shared")), None]);
}
