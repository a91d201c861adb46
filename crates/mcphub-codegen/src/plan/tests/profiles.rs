//! Schemas for clients that do not take all of JSON Schema.

use mcphub_core::tool::{ListLimit, Profile};

use super::*;

fn planned(schemas: Value, body_schema: Value, profile: Profile) -> (Tool, Plan) {
    let operation = json!({"operationId": "o", "requestBody": body("application/json", body_schema.clone()),
        "responses": {"200": {"content": {"application/json": {"schema": body_schema}}}}});
    let mut options = PlanOptions::default();
    options.choices.profile = profile;
    options.choices.list_limit = ListLimit::None;
    let plan = ToolPlanner::new()
        .plan(
            &parse(json!({"/a": {"post": operation}}), schemas),
            &options,
        )
        .unwrap();
    (plan.tools.tools[0].clone(), plan)
}

/// The schema of the argument `it`.
fn argument(schemas: Value, schema: Value, profile: Profile) -> Value {
    let whole = json!({"type": "object", "properties": {"it": schema}});
    let (tool, _) = planned(schemas, whole, profile);
    let value = tool.input.to_value();
    jsonschema::draft202012::new(&value).expect("it is valid and resolves");
    assert!(
        !value.to_string().contains("$ref") && value.get("$defs").is_none(),
        "{value}"
    );
    value["properties"]["it"].clone()
}

#[test]
fn what_is_referred_to_stands_in_its_place() {
    let schemas = json!({
        "Pet": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "owner": {"$ref": "#/components/schemas/Owner"}}},
        "Owner": {"type": "object", "description": "Who.", "properties": {"mail": {"type": "string", "format": "email"}}},
    });
    let pet = json!({"$ref": "#/components/schemas/Pet"});
    let found = argument(schemas.clone(), pet.clone(), Profile::Inlined);
    assert_eq!(
        found,
        json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"},
            "owner": {"type": "object", "description": "Who.", "properties": {"mail": {"type": "string", "format": "email"}}}}})
    );
    let described = json!({"$ref": "#/components/schemas/Owner", "description": "Whose."});
    let found = argument(schemas.clone(), described, Profile::Inlined);
    assert_eq!(found["description"], "Whose.");
    let narrowed = json!({"$ref": "#/components/schemas/Owner", "minProperties": 1});
    let found = argument(schemas.clone(), narrowed, Profile::Inlined);
    assert_eq!(
        (&found["minProperties"], &found["allOf"][0]["type"]),
        (&json!(1), &json!("object"))
    );
    let (tool, plan) = planned(schemas, pet, Profile::Inlined);
    assert!(tool.output.unwrap().definitions().is_empty());
    assert_eq!(plan.diagnostics, []);
}

#[test]
fn what_contains_itself_ends_with_its_type() {
    let schemas = json!({"Tree": {"type": "object", "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}}});
    let tree = json!({"$ref": "#/components/schemas/Tree"});
    let found = argument(schemas.clone(), tree.clone(), Profile::Inlined);
    assert_eq!(
        found["properties"]["children"]["items"],
        json!({"type": "object"})
    );
    let (_, plan) = planned(
        schemas,
        json!({"type": "object", "properties": {"it": tree}}),
        Profile::Inlined,
    );
    assert_eq!(plan.diagnostics[0].code, "profile-simplified");
}

#[test]
fn models_that_multiply_end_where_the_room_does() {
    // Each model has ten members of the next: written out they would be 10^20.
    let schemas: serde_json::Map<_, _> = (0..20)
        .map(|n| {
            let next = json!({"$ref": format!("#/components/schemas/M{}", n + 1)});
            let members: serde_json::Map<_, _> =
                (0..10).map(|m| (format!("m{m}"), next.clone())).collect();
            let properties = if n == 19 {
                json!({"end": {"type": "string"}})
            } else {
                Value::Object(members)
            };
            (
                format!("M{n}"),
                json!({"type": "object", "properties": properties}),
            )
        })
        .collect();
    for profile in [Profile::Inlined, Profile::Plain] {
        let model = json!({"$ref": "#/components/schemas/M0"});
        let whole = json!({"type": "object", "properties": {"it": model}});
        let (tool, _) = planned(Value::Object(schemas.clone()), whole, profile);
        let size = tool.input.to_value().to_string().len();
        assert!((10_000..=65_536).contains(&size), "{size}");
    }
}

#[test]
fn a_plain_schema_has_one_type_and_no_combinator() {
    let plain = |schema: Value| argument(json!({}), schema, Profile::Plain);
    for (from, to) in [
        (
            json!({"type": ["string", "null"], "enum": ["a", null]}),
            json!({"type": "string", "enum": ["a"]}),
        ),
        (json!({"type": ["string", "integer"]}), json!({})),
        (json!({"const": "a"}), json!({"enum": ["a"]})),
        (
            json!({"type": "string", "format": "date"}),
            json!({"type": "string", "description": "(format: date)"}),
        ),
        (
            json!({"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]}),
            json!({"type": "string", "maxLength": 3}),
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "integer"}], "description": "d"}),
            json!({"description": "d"}),
        ),
        (
            json!({"oneOf": [
                {"type": "object", "required": ["kind", "a"], "properties": {"kind": {"const": "x", "type": "string"}, "a": {"type": "integer"}}},
                {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "y", "type": "string"}}}]}),
            json!({"type": "object", "properties": {"kind": {"type": "string", "enum": ["x", "y"]}, "a": {"type": "integer"}}, "required": ["kind"]}),
        ),
        (
            json!({"allOf": [{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}},
                {"required": ["b"], "properties": {"b": {"type": "integer"}}}], "not": {"required": ["c"]}}),
            json!({"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}),
        ),
        (
            json!({"anyOf": [
                {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "string"}}}},
                {"type": "object", "properties": {"list": {"type": "array", "items": {"type": "integer"}}}}]}),
            json!({"type": "object", "properties": {"list": {"type": "array", "items": {}}}}),
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}]}),
            json!({"type": "array", "items": {}}),
        ),
        (
            json!({"type": "number", "exclusiveMinimum": 0, "maximum": 9}),
            json!({"type": "number", "maximum": 9}),
        ),
        (
            json!({"type": "string", "default": null}),
            json!({"type": "string"}),
        ),
    ] {
        assert_eq!(plain(from.clone()), to, "{from}");
    }
    let (tool, _) = planned(json!({}), json!({"type": "object"}), Profile::Plain);
    assert!(tool.output.is_none() && tool.binding.output == OutputShape::None);
}

#[test]
fn what_nests_deep_ends_where_readers_of_json_do() {
    // Each of eight models nests fifteen deep before it leads to the next.
    let schemas: serde_json::Map<_, _> = (0..8)
        .map(|n| {
            let mut schema = json!({"$ref": format!("#/components/schemas/M{}", n + 1)});
            if n == 7 {
                schema = json!({"type": "string"});
            }
            for _ in 0..15 {
                schema = json!({"type": "object", "properties": {"in": schema}});
            }
            (format!("M{n}"), schema)
        })
        .collect();
    for profile in [Profile::Inlined, Profile::Plain] {
        let model = json!({"$ref": "#/components/schemas/M0"});
        let whole = json!({"type": "object", "properties": {"it": model}});
        let (_, plan) = planned(Value::Object(schemas.clone()), whole, profile);
        let text = serde_json::to_string(&plan.tools).unwrap();
        let back: mcphub_core::tool::ToolSet = serde_json::from_str(&text).expect("it can be kept");
        assert!(back == plan.tools);
        assert_eq!(plan.diagnostics[0].code, "profile-simplified");
    }
}
