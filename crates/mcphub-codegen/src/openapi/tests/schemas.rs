//! Schema objects.

use super::*;

#[test]
fn nullable_lets_null_in_whatever_the_schema_is() {
    let null = json!({"type": "null"});
    for (from, to) in [
        (
            json!({"type": "string", "nullable": true}),
            json!({"type": ["string", "null"]}),
        ),
        (
            json!({"type": "string", "nullable": false}),
            json!({"type": "string"}),
        ),
        (json!({"nullable": true}), json!({})),
        (
            json!({"type": "string", "enum": ["a"], "nullable": true}),
            json!({"type": ["string", "null"], "enum": ["a", null]}),
        ),
        (
            json!({"enum": ["a", null], "nullable": true}),
            json!({"enum": ["a", null]}),
        ),
        (
            json!({"anyOf": [{"type": "string"}], "nullable": true}),
            json!({"anyOf": [{"type": "string"}, null]}),
        ),
        (
            json!({"allOf": [{"type": "string"}], "nullable": true, "description": "d"}),
            json!({"description": "d", "anyOf": [{"allOf": [{"type": "string"}]}, null]}),
        ),
        (
            json!({"type": "object", "oneOf": [{}], "nullable": true}),
            json!({"anyOf": [{"type": "object", "oneOf": [{}]}, null]}),
        ),
    ] {
        let mut to = to;
        if let Some(last) = to.pointer_mut("/anyOf/1") {
            *last = null.clone();
        }
        assert_eq!(schema(from.clone()), to, "{from}");
    }
}

#[test]
fn exclusive_bounds_are_numbers() {
    let from =
        json!({"minimum": 1, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false});
    assert_eq!(schema(from), json!({"exclusiveMinimum": 1, "maximum": 9}));
    assert_eq!(
        schema_of("3.1.0", json!({"exclusiveMinimum": 1.5})),
        json!({"exclusiveMinimum": 1.5})
    );
}

#[test]
fn what_2020_12_does_not_know_is_dropped_and_what_it_knows_stays() {
    let kept = json!({"type": "string", "readOnly": true, "writeOnly": false, "deprecated": true, "format": "uuid",
        "default": "x", "enum": ["x"], "description": "d", "title": "t", "const": "x"});
    let mut from = kept.clone();
    for key in [
        "discriminator",
        "xml",
        "externalDocs",
        "x-note",
        "collectionFormat",
        "$id",
        "$schema",
        "$anchor",
        "$defs",
    ] {
        from[key] = json!({"a": 1});
    }
    from["example"] = json!("e");
    let mut to = kept;
    to["examples"] = json!(["e"]);
    assert_eq!(schema(from), to);
}

#[test]
fn wrong_values_are_repaired_or_dropped() {
    for (from, to) in [
        (json!({"required": true}), json!({})),
        (
            json!({"required": ["a", "a", 1]}),
            json!({"required": ["a"]}),
        ),
        (json!({"type": "file"}), json!({"type": "string"})),
        (json!({"type": "Integer"}), json!({"type": "integer"})),
        (json!({"type": "any"}), json!({})),
        (
            json!({"type": ["string", "string", "zebra"]}),
            json!({"type": ["string"]}),
        ),
        (json!({"type": []}), json!({})),
        (json!({"type": 3}), json!({})),
        (json!({"pattern": "(["}), json!({})),
        (json!({"pattern": "^\\d+$"}), json!({"pattern": "^\\d+$"})),
        (json!({"pattern": "^(?=a)b"}), json!({"pattern": "^(?=a)b"})),
        (
            json!({"minimum": "3", "maximum": "many"}),
            json!({"minimum": 3}),
        ),
        (
            json!({"maxLength": -1, "minLength": 2.0, "maxItems": 1.5}),
            json!({"minLength": 2}),
        ),
        (json!({"multipleOf": 0}), json!({})),
        (
            json!({"type": "array"}),
            json!({"type": "array", "items": {}}),
        ),
        (
            json!({"type": "array", "items": [{"type": "string"}]}),
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        (
            json!({"type": "array", "items": [{"type": "string"}, {}]}),
            json!({"type": "array", "prefixItems": [{"type": "string"}, {}], "items": {}}),
        ),
        (json!({"enum": "a"}), json!({})),
        (json!({"enum": []}), json!({})),
        (json!({"properties": []}), json!({})),
        (
            json!({"properties": {"a": 1, "b": true, "c": false}}),
            json!({"properties": {"a": {}, "b": {}, "c": false}}),
        ),
        (json!({"allOf": {}}), json!({"allOf": [{}]})),
        (json!({"anyOf": []}), json!({})),
        (
            json!({"uniqueItems": "true", "deprecated": 1}),
            json!({"uniqueItems": true}),
        ),
        (
            json!({"description": 5, "title": []}),
            json!({"description": "5"}),
        ),
        (
            json!({"patternProperties": {"(": {}, "^x": {}}}),
            json!({"patternProperties": {"^x": {}}}),
        ),
        (json!({"$ref": 5}), json!({})),
        (json!({"additionalProperties": "yes"}), json!({})),
        (json!("string"), json!({})),
        (json!(null), json!({})),
        (json!(true), json!({})),
    ] {
        assert_eq!(schema(from.clone()), to, "{from}");
    }
}

#[test]
fn a_wrong_value_is_reported_where_it_stands() {
    let parsed = operation(
        json!({"parameters": [{"name": "id", "in": "path", "required": true, "schema":
        {"type": "object", "properties": {"a/b": {"items": {"required": true}}}}}]}),
    );
    let at = "/paths/~1pets~1{id}/get/parameters/0/schema/properties/a~1b/items/required";
    assert_eq!(
        remarks(&parsed),
        [(Severity::Warning, "invalid-keyword", at)]
    );
}

#[test]
fn references_become_definitions_once_and_on_demand() {
    let (found, parsed) = definitions(json!({
        "A": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/B%20b"},
            "same": {"$ref": "#/components/schemas/B b"}, "self": {"$ref": "#/components/schemas/A"},
            "inner": {"$ref": "#/components/schemas/C/properties/x~1y"}}},
        "B b": {"type": "string"},
        "C": {"properties": {"x/y": {"type": "integer"}}},
        "Idle": {"type": "boolean"},
    }));
    assert_eq!(
        found,
        json!({
            "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B_b"}, "same": {"$ref": "#/$defs/B_b"},
                "self": {"$ref": "#/$defs/A"}, "inner": {"$ref": "#/$defs/C.properties.x_y"}}},
            "B_b": {"type": "string"},
            "C.properties.x_y": {"type": "integer"},
        })
    );
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
}

#[test]
fn names_of_definitions_stay_apart_whatever_the_order() {
    let schemas = json!({
        "A": {"properties": {"x": {"$ref": "#/components/schemas/Page<Pet>"}, "y": {"$ref": "#/components/schemas/Page[Pet]"},
            "z": {"$ref": "#/components/schemas/Page_Pet"}}},
        "Page<Pet>": {"type": "string"}, "Page[Pet]": {"type": "integer"}, "Page_Pet": {"type": "boolean"},
    });
    let (found, _) = definitions(schemas);
    let kind = |key: &str| {
        let reference = found["A"]["properties"][key]["$ref"].as_str().unwrap();
        found[&reference["#/$defs/".len()..]]["type"].clone()
    };
    assert_eq!(
        (kind("x"), kind("y"), kind("z")),
        (json!("string"), json!("integer"), json!("boolean"))
    );
    assert_eq!(found["A"]["properties"]["z"]["$ref"], "#/$defs/Page_Pet");
    assert_eq!(found.as_object().unwrap().len(), 4);
}

#[test]
fn schemas_that_stand_for_themselves_accept_anything() {
    let (found, parsed) = definitions(json!({
        "A": {"$ref": "#/components/schemas/B"},
        "B": {"$ref": "#/components/schemas/A"},
    }));
    assert_eq!(found, json!({"A": {"$ref": "#/$defs/B"}, "B": {}}));
    assert_eq!(
        remarks(&parsed),
        [(Severity::Warning, "reference-loop", "/components/schemas/B")]
    );
    let (found, parsed) = definitions(json!({
        "A": {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"type": "string"}]},
        "Cat": {"allOf": [{"$ref": "#/components/schemas/A"}, {"type": "object"}]},
    }));
    assert_eq!(found["Cat"], json!({"allOf": [{}, {"type": "object"}]}));
    assert_eq!(
        remarks(&parsed),
        [(
            Severity::Warning,
            "reference-loop",
            "/components/schemas/Cat"
        )]
    );
    let (found, _) = definitions(json!({
        "A": {"allOf": [{"$ref": "#/components/schemas/Pet"}]},
        "Pet": {"oneOf": [{"$ref": "#/components/schemas/A"}, {"type": "string"}], "not": {"$ref": "#/components/schemas/A"}},
    }));
    assert_eq!(
        found["Pet"],
        json!({"anyOf": [{}, {"type": "string"}]}),
        "a way out of `oneOf` opens all of it"
    );
}

#[test]
fn siblings_of_a_reference_count_from_3_1_on() {
    let beside = json!({"$ref": "#/components/schemas/A", "minLength": 3, "description": "d", "nullable": true});
    let with = |version: &str| {
        let mut document = document(
            json!({"/a": {"get": {"parameters": [{"name": "q", "in": "query", "schema": beside}]}}}),
            json!({"schemas": {"A": {"type": "string"}}}),
        );
        document["openapi"] = version.into();
        parse(&document).spec.operations[0].parameters[0]
            .schema
            .clone()
    };
    assert_eq!(
        with("3.0.0"),
        json!({"description": "d", "anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]})
    );
    let inner = json!({"$ref": "#/$defs/A", "minLength": 3});
    assert_eq!(
        with("3.1.0"),
        json!({"description": "d", "anyOf": [inner, {"type": "null"}]})
    );
}

#[test]
fn a_long_schema_of_a_shared_part_stays_shared() {
    let properties: serde_json::Map<_, _> = (0..60)
        .map(|n| (format!("p{n}"), json!({"type": "string"})))
        .collect();
    let long = json!({"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}});
    let answer = json!({"responses": {"200": {"$ref": "#/components/responses/Long"}}});
    let parsed = parse(&document(
        json!({"/a": {"get": answer}, "/b": {"get": answer}}),
        json!({"responses": {"Long": long}}),
    ));
    let name = "responses.Long.content.application_json.schema";
    assert!(
        parsed
            .spec
            .definitions
            .contains_key(format!("components.{name}").as_str()),
        "{:?}",
        parsed.spec.definitions.keys()
    );
    for operation in &parsed.spec.operations {
        assert_eq!(
            operation.responses[0].content[0].1,
            json!({"$ref": format!("#/$defs/components.{name}")})
        );
    }
}

#[test]
fn copies_of_shared_parts_are_bounded() {
    let text = "x".repeat(100_000);
    let list: Vec<_> = (0..10_000)
        .map(|n| {
            (
                format!("/p{n}"),
                json!({"get": {"parameters": [{"$ref": "#/components/parameters/q"}]}}),
            )
        })
        .collect();
    let paths: serde_json::Map<_, _> = list.into_iter().collect();
    let parameter = json!({"name": "q", "in": "query", "description": text, "schema": {}});
    let parsed = parse(&document(
        Value::Object(paths),
        json!({"parameters": {"q": parameter}}),
    ));
    assert!(
        parsed
            .diagnostics
            .iter()
            .any(|d| d.code == "expansion-limit" && d.severity == Severity::Error)
    );
    assert!(!parsed.spec.operations.is_empty());
    assert_eq!(
        parsed.diagnostics.len() + parsed.spec.operations.len(),
        10_000
    );
}

#[test]
fn each_alternative_says_the_value_of_its_discriminator() {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let alternatives = ["Cat", "Dog", "Fox", "Owl", "Bat"].map(reference);
    let (found, parsed) = definitions(json!({
        "A": {
            "oneOf": alternatives,
            "discriminator": {"propertyName": "kind", "mapping": {
                "cat": "#/components/schemas/Cat", "kitten": "Cat", "dog": "Dog", "gone": "Gone"}},
        },
        "Cat": {"type": "object", "properties": {"kind": {"type": "string"}}},
        "Dog": {"allOf": [{"type": "object"}]},
        "Fox": {"type": "object"},
        "Owl": {"properties": {"kind": {"const": "owl"}}},
        "Bat": {"properties": {"kind": {"type": "integer"}}},
    }));
    let with = |name: &str, values: Value| json!({"$ref": format!("#/$defs/{name}"), "properties": {"kind": {"type": "string", "enum": values}}});
    assert_eq!(
        found["A"]["oneOf"],
        json!([
            with("Cat", json!(["cat", "kitten"])),
            with("Dog", json!(["dog"])),
            with("Fox", json!(["Fox"])),
            {"$ref": "#/$defs/Owl"},
            {"$ref": "#/$defs/Bat"},
        ])
    );
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn properties_may_be_a_reference() {
    let (all, parsed) = definitions(json!({
        "A": {"type": "object", "properties": {"$ref": "#/components/schemas/B/properties"}},
        "B": {"type": "object", "properties": {"n": {"type": "integer"}, "$ref": {"type": "string"}}},
        "C": {"type": "object", "properties": {"$ref": "#/nowhere"}},
    }));
    assert_eq!(
        all["A"]["properties"],
        json!({"n": {"type": "integer"}, "$ref": {"type": "string"}})
    );
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let (all, parsed) = definitions(json!({
        "A": {"type": "object", "properties": {"$ref": "#/nowhere"}},
    }));
    assert!(all["A"].get("properties").is_none());
    assert_eq!(
        remarks(&parsed),
        [(
            Severity::Warning,
            "dangling-reference",
            "/components/schemas/A/properties"
        )]
    );
}
