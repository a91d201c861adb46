use serde_json::{Value, json};

use super::*;
use crate::spec::Dialect;
use crate::tool::ApiInfo;

fn tool(name: &str, input: Value) -> Tool {
    let binding = json!({"method": "GET", "path": "/", "accept": "*/*"});
    Tool {
        name: ToolName::new(name).unwrap(),
        title: None,
        description: "Does it.".into(),
        input: serde_json::from_value(input).unwrap(),
        output: None,
        annotations: crate::spec::Method::Get.into(),
        tags: Vec::new(),
        binding: serde_json::from_value(binding).unwrap(),
    }
}

fn set(tools: Vec<Tool>) -> ToolSet {
    ToolSet {
        api: ApiInfo {
            title: "t".into(),
            version: "1".into(),
            dialect: Dialect::default(),
            description: None,
        },
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools,
    }
}

/// What becomes of a tool whose input is changed, and what of one whose answer is.
fn both(before: &Value, after: &Value) -> [Option<Change>; 2] {
    let with_output = |schema: &Value| {
        let mut tool = tool("t", json!({}));
        tool.output = Some(serde_json::from_value(schema.clone()).unwrap());
        tool
    };
    let input = tool("t", before.clone()).difference(&tool("t", after.clone()));
    let output = with_output(before).difference(&with_output(after));
    [input, output].map(|found| found.map(|found| found.change))
}

#[test]
fn changes_of_schemas_are_judged_by_who_gives_the_values() {
    use Change::{Breaking, Compatible, Described};
    let of = |schema: Value| json!({"type": "object", "properties": {"a": schema}});
    let typed = |kind: Value| of(json!({"type": kind}));
    let object = |required: Value| json!({"type": "object", "properties": {"a": {}, "b": {}}, "required": required});
    for (before, after, expected) in [
        (typed(json!("string")), typed(json!("string")), [None, None]),
        (
            of(json!({})),
            object(json!([])),
            [Some(Compatible), Some(Compatible)],
        ),
        (
            of(json!({})),
            object(json!(["b"])),
            [Some(Breaking), Some(Compatible)],
        ),
        (
            object(json!([])),
            of(json!({})),
            [Some(Breaking), Some(Breaking)],
        ),
        (
            object(json!([])),
            object(json!(["a"])),
            [Some(Breaking), Some(Compatible)],
        ),
        (
            object(json!(["a"])),
            object(json!([])),
            [Some(Compatible), Some(Breaking)],
        ),
        (
            typed(json!("string")),
            typed(json!(["string", "null"])),
            [Some(Compatible), Some(Breaking)],
        ),
        (
            typed(json!("string")),
            typed(json!("integer")),
            [Some(Breaking), Some(Breaking)],
        ),
        (
            of(json!({"enum": [1, 2]})),
            of(json!({"enum": [1]})),
            [Some(Breaking), Some(Compatible)],
        ),
        (
            of(json!({"enum": [1]})),
            of(json!({})),
            [Some(Compatible), Some(Breaking)],
        ),
        (
            of(json!({"maximum": 9})),
            of(json!({"maximum": 99})),
            [Some(Compatible), Some(Breaking)],
        ),
        (
            of(json!({"minimum": 9})),
            of(json!({"minimum": 99})),
            [Some(Breaking), Some(Compatible)],
        ),
        (
            of(json!({})),
            of(json!({"pattern": "a"})),
            [Some(Breaking), Some(Compatible)],
        ),
        (
            of(json!({"pattern": "b"})),
            of(json!({"pattern": "a"})),
            [Some(Breaking), Some(Breaking)],
        ),
        (
            of(json!({"description": "x"})),
            of(json!({"description": "y"})),
            [Some(Described), Some(Described)],
        ),
        (
            of(json!({"items": {"type": "string"}})),
            of(json!({})),
            [Some(Compatible), Some(Breaking)],
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": false}),
            [Some(Breaking), Some(Compatible)],
        ),
        (
            of(json!({"$ref": "#/$defs/A"})),
            of(json!({"$ref": "#/$defs/B"})),
            [Some(Breaking), Some(Breaking)],
        ),
        (
            json!({"$defs": {"A": {"maximum": 1}}}),
            json!({"$defs": {"A": {"maximum": 2}}}),
            [Some(Compatible), Some(Breaking)],
        ),
    ] {
        assert_eq!(both(&before, &after), expected, "{before} {after}");
    }
}

#[test]
fn tools_that_came_went_and_changed_are_told_by_name() {
    let mut changed = tool("b", json!({}));
    changed.description = "Does it\n  otherwise.".into();
    changed.annotations.read_only_hint = false;
    let before = set(vec![
        tool("c", json!({})),
        tool("b", json!({})),
        tool("a", json!({})),
    ]);
    let after = set(vec![tool("d", json!({})), tool("a", json!({})), changed]);
    let told: Vec<_> = before.differences(&after);
    let changes: Vec<_> = told
        .iter()
        .map(|it| (it.name.as_str(), it.change))
        .collect();
    assert_eq!(
        changes,
        [
            ("b", Change::Breaking),
            ("c", Change::Removed),
            ("d", Change::Added)
        ]
    );
    assert_eq!(
        told[0].details,
        [
            "description: Does it. → Does it otherwise.",
            "readOnlyHint: true → false"
        ]
    );
    assert_eq!(before.differences(&before), []);
}

#[test]
fn another_request_under_the_same_name_is_told() {
    let mut other = tool("a", json!({}));
    other.binding.path = "/v2".into();
    let told = tool("a", json!({})).difference(&other).unwrap();
    assert_eq!(told.change, Change::Compatible);
    assert_eq!(told.details, ["request: GET / → GET /v2"]);
    other.binding.method = crate::spec::Method::Delete;
    assert_eq!(
        tool("a", json!({})).difference(&other).unwrap().change,
        Change::Breaking
    );
}

#[test]
fn the_digest_is_that_of_what_clients_see() {
    let one = set(vec![
        tool("a", json!({"b": 1, "c": 2})),
        tool("b", json!({})),
    ]);
    let same = set(vec![
        tool("b", json!({})),
        tool("a", json!({"c": 2, "b": 1})),
    ]);
    assert_eq!(one.definitions_digest(), same.definitions_digest());
    let other = set(vec![tool("a", json!({"b": 1})), tool("b", json!({}))]);
    assert_ne!(one.definitions_digest(), other.definitions_digest());
}

#[test]
fn deep_schemas_end() {
    let deep = |end: Value| (0..200).fold(end, |schema, _| json!({"items": schema}));
    let found = both(
        &deep(json!({"type": "string"})),
        &deep(json!({"type": "integer"})),
    );
    assert_eq!(found, [Some(Change::Breaking), Some(Change::Breaking)]);
}
