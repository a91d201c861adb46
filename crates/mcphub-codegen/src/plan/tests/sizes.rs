//! Schemas that are too large.

use super::*;

/// A body whose members refer to a chain of models, each with a long description and example.
fn chain(links: usize, text: usize) -> (Value, Value) {
    let schemas: serde_json::Map<_, _> = (0..links)
        .map(|n| {
            let next = json!({"$ref": format!("#/components/schemas/M{}", n + 1)});
            let mut properties = json!({"note": {"type": "string", "description": "d".repeat(text), "examples": ["e".repeat(text)]}});
            if n + 1 < links {
                properties["next"] = next;
            }
            (format!("M{n}"), json!({"type": "object", "properties": properties}))
        })
        .collect();
    let body = body(
        "application/json",
        json!({"type": "object", "properties": {"first": {"$ref": "#/components/schemas/M0"}}}),
    );
    (
        json!({"/a": {"post": {"requestBody": body}}}),
        Value::Object(schemas),
    )
}

fn simplified(links: usize, text: usize, max: usize) -> (Tool, Vec<String>) {
    let (paths, schemas) = chain(links, text);
    let mut options = PlanOptions::default();
    options.max_input_schema = max;
    let plan = ToolPlanner::new()
        .plan(&parse(paths, schemas), &options)
        .unwrap();
    let tool = plan.tools.tools.into_iter().next().unwrap();
    let size = tool.input.to_value().to_string().len();
    assert!(size <= max, "{size} > {max}");
    jsonschema::draft202012::new(&tool.input.to_value()).expect("it is valid and resolves");
    (
        tool,
        plan.diagnostics.into_iter().map(|d| d.message).collect(),
    )
}

#[test]
fn an_input_schema_loses_the_least_that_makes_it_fit() {
    let (tool, messages) = simplified(5, 100, 65_536);
    assert!(messages.is_empty() && tool.input.to_value().to_string().contains("ddd"));
    let (tool, messages) = simplified(5, 1_000, 8_000);
    assert!(
        messages[0].contains("the descriptions of nested values"),
        "{messages:?}"
    );
    assert_eq!(tool.input.definitions().len(), 5);
    assert!(tool.input.to_value().to_string().contains("eee"));
    let (tool, messages) = simplified(5, 1_000, 2_000);
    assert!(
        messages[0].contains("descriptions and examples"),
        "{messages:?}"
    );
    assert_eq!(tool.input.definitions().len(), 5);
    let (tool, messages) = simplified(50, 1_000, 1_000);
    assert!(messages[0].contains("deeply nested"), "{messages:?}");
    let definitions = tool.input.definitions();
    assert!((2..50).contains(&definitions.len()));
    assert_eq!(
        *definitions.last().unwrap().schema,
        json!({"type": "object"}),
        "types stay"
    );
    assert!(
        definitions[..definitions.len() - 1]
            .iter()
            .all(|d| d.schema.get("properties").is_some())
    );
}

#[test]
fn large_arguments_lose_their_schema_last() {
    let values: Vec<_> = (0..2_000).map(|n| format!("value-{n}")).collect();
    let parameters = json!([{"name": "big", "in": "query", "schema": {"type": "string", "enum": values}},
        {"name": "small", "in": "query", "schema": {"type": "integer"}}]);
    let parsed = parse(
        json!({"/a": {"get": {"parameters": parameters}}}),
        json!({}),
    );
    let mut options = PlanOptions::default();
    options.max_input_schema = 4_096;
    let plan = ToolPlanner::new().plan(&parsed, &options).unwrap();
    let properties = &plan.tools.tools[0].input.root()["properties"];
    assert_eq!(
        (&properties["big"], &properties["small"]),
        (&json!({}), &json!({"type": "integer"}))
    );
    assert_eq!(plan.diagnostics[0].code, "input-schema-simplified");
}
