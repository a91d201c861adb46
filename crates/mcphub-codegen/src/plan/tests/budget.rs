//! Tools that are too large together.

use mcphub_core::tool::{ListLimit, Simplification};

use super::super::listed_size;
use super::*;

/// Operations that take and answer one tree of models, all described.
fn forest(operations: usize) -> Parsed {
    let text = "It is told here what this is, and what it is not. ".repeat(4);
    let models: serde_json::Map<_, _> = (0..6)
        .map(|n| {
            let mut properties = json!({
                "name": {"type": "string", "description": text, "examples": ["Ada"]},
                "state": {"type": "string", "enum": ["on", "off"], "description": text},
            });
            if n < 5 {
                properties["next"] = json!({"$ref": format!("#/components/schemas/M{}", n + 1)});
            }
            let schema = json!({"type": "object", "required": ["name"], "description": text, "properties": properties});
            (format!("M{n}"), schema)
        })
        .collect();
    let model = json!({"$ref": "#/components/schemas/M0"});
    let member = json!({"type": "object", "required": ["given"], "properties": {"given": model, "kind": {"type": "string", "enum": ["a", "b"], "description": text}}});
    let paths: serde_json::Map<_, _> = (0..operations)
        .map(|n| {
            let operation = json!({"operationId": format!("o{n}"), "summary": "Plant", "description": text,
                "requestBody": body("application/json", member.clone()),
                "responses": {"200": {"content": {"application/json": {"schema": member}}}}});
            (format!("/p{n}"), json!({"post": operation}))
        })
        .collect();
    parse(Value::Object(paths), Value::Object(models))
}

fn limited(parsed: &Parsed, limit: ListLimit) -> Plan {
    let mut options = PlanOptions::default();
    options.choices.list_limit = limit;
    ToolPlanner::new().plan(parsed, &options).unwrap()
}

fn size(plan: &Plan) -> usize {
    plan.tools.tools.iter().map(listed_size).sum()
}

/// What `tools/list` has of a tool, written out.
fn listed(tool: &Tool) -> usize {
    let mut listed = json!({"name": tool.name, "description": tool.description, "inputSchema": tool.input, "annotations": tool.annotations});
    if let Some(title) = &tool.title {
        listed["title"] = json!(title);
    }
    if let Some(output) = &tool.output {
        listed["outputSchema"] = json!(output);
    }
    listed.to_string().len() + 1
}

fn codes(plan: &Plan) -> Vec<&str> {
    let diagnostics = plan.diagnostics.iter();
    diagnostics
        .map(|diagnostic| diagnostic.code.as_str())
        .collect()
}

#[test]
fn sizes_are_those_of_the_list() {
    for limit in [
        ListLimit::None,
        ListLimit::Document,
        ListLimit::Bytes(60_000),
    ] {
        for tool in &limited(&forest(30), limit).tools.tools {
            assert_eq!(listed_size(tool), listed(tool), "{}", tool.name);
        }
    }
}

#[test]
fn a_list_is_no_larger_than_its_document() {
    let parsed = forest(40);
    let whole = limited(&parsed, ListLimit::None);
    assert!(size(&whole) > 2 * parsed.spec.document_bytes && codes(&whole).is_empty());
    let plan = limited(&parsed, ListLimit::Document);
    assert!(size(&plan) <= parsed.spec.document_bytes);
    assert!(codes(&plan).iter().all(|code| *code == "list-simplified") && !codes(&plan).is_empty());
    let few = forest(3);
    assert!(few.spec.document_bytes < ListLimit::FLOOR);
    assert!(
        codes(&limited(&few, ListLimit::Document)).is_empty(),
        "small lists stay whole"
    );
}

#[test]
fn what_matters_least_is_lost_first() {
    let parsed = forest(40);
    let mut limit = size(&limited(&parsed, ListLimit::None));
    let (mut reached, last) = (0, Simplification::ORDER.len() - 1);
    let mut outputs = 40;
    while reached < last {
        limit -= limit / 20;
        let plan = limited(&parsed, ListLimit::Bytes(limit));
        if codes(&plan).contains(&"list-too-large") {
            break;
        }
        assert!(size(&plan) <= limit, "{} > {limit}", size(&plan));
        let steps = plan.diagnostics.iter().map(|diagnostic| {
            let mut order = Simplification::ORDER.iter();
            order
                .position(|step| diagnostic.message.contains(step.loss()))
                .unwrap()
        });
        let steps: Vec<_> = steps.collect();
        assert!(steps.is_sorted(), "{steps:?}");
        let farthest = *steps.last().unwrap();
        assert!(farthest >= reached, "a smaller list has not lost less");
        reached = farthest;
        let with_output = plan.tools.tools.iter().filter(|tool| tool.output.is_some());
        let with_output = with_output.count();
        assert!(with_output <= outputs);
        outputs = with_output;
        let told = plan.diagnostics.iter();
        let told = told.filter(|it| it.message.contains(Simplification::Output.loss()));
        assert_eq!(
            told.count(),
            usize::from(outputs < 40),
            "also when none is made"
        );
        for tool in &plan.tools.tools {
            let input = tool.input.to_value();
            jsonschema::draft202012::new(&input).expect("it is valid and resolves");
            assert_eq!(tool.input.root()["required"], json!(["given"]));
            assert_eq!(input["properties"]["kind"]["enum"], json!(["a", "b"]));
            let given = &input["$defs"]["M0"];
            assert_eq!(given["type"], "object");
            assert!(
                tool.input.root()["properties"]["given"]
                    .get("$ref")
                    .is_some()
            );
        }
    }
    assert_eq!((reached, outputs), (last, 0));
}

#[test]
fn the_order_is_the_hosts() {
    let parsed = forest(40);
    let mut options = PlanOptions::default();
    options.simplify = vec![Simplification::ToolText];
    options.choices.list_limit = ListLimit::Bytes(1_000);
    let plan = ToolPlanner::new().plan(&parsed, &options).unwrap();
    assert_eq!(codes(&plan), ["list-simplified", "list-too-large"]);
    assert!(
        plan.tools
            .tools
            .iter()
            .all(|tool| tool.description == "Plant" && tool.output.is_some())
    );
}
