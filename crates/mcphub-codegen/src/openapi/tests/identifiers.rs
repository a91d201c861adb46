//! What parts of a document call themselves, and references by these names.

use super::*;

/// A 3.2 document whose one operation answers with `schema`; its definitions.
fn answer(schema: Value, schemas: Value) -> (Value, Parsed) {
    let answer = json!({"200": {"content": {"application/json": {"schema": schema}}}});
    let parsed = parse(&json!({
        "openapi": "3.2.0",
        "$self": "https://shop.test/api/openapi.json",
        "paths": {"/a": {"get": {"responses": answer}}},
        "components": {"schemas": schemas},
    }));
    let all = &parsed.spec.definitions;
    let all = all
        .iter()
        .map(|(name, schema)| (name.to_string(), Value::clone(schema)));
    (Value::Object(all.collect()), parsed)
}

#[test]
fn references_by_the_documents_own_uri_are_local() {
    let b = "https://shop.test/api/openapi.json#/components/schemas/B";
    let (found, parsed) = answer(
        json!({"$ref": "#/components/schemas/A"}),
        json!({
            "A": {"properties": {"x": {"$ref": b}, "y": {"$ref": "openapi.json#/components/schemas/B"}}},
            "B": {"type": "string"},
        }),
    );
    assert_eq!(
        found["A"]["properties"],
        json!({"x": {"$ref": "#/$defs/B"}, "y": {"$ref": "#/$defs/B"}})
    );
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn reference_objects_may_use_the_documents_uri_too() {
    let parsed = parse(&json!({
        "openapi": "3.2.0",
        "$self": "/api/openapi",
        "paths": {"/a": {"get": {"parameters": [{"$ref": "openapi#/components/parameters/q"}]}}},
        "components": {"parameters": {"q": {"name": "q", "in": "query", "schema": {}}}},
    }));
    assert_eq!(parsed.spec.operations[0].parameters[0].name, "q");
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn schemas_are_found_by_id_and_anchor() {
    let (found, parsed) = answer(
        json!({"anyOf": [{"$ref": "https://shop.test/api/tree"}, {"$ref": "tree#leaf"}, {"$ref": "#top"}]}),
        json!({
            "Tree": {"$id": "tree", "properties": {"left": {"$ref": "#/$defs/Leaf"}, "all": {"$ref": "#"},
                "far": {"$ref": "#/components/schemas/Top"}},
                "$defs": {"Leaf": {"$anchor": "leaf", "type": "integer"}}},
            "Top": {"$anchor": "top", "type": "boolean"},
        }),
    );
    assert_eq!(remarks(&parsed), []);
    let leaf = "#/$defs/Tree.defs.Leaf";
    assert_eq!(found["Tree.defs.Leaf"], json!({"type": "integer"}));
    assert_eq!(
        parsed.spec.operations[0].responses[0].content[0].1,
        json!({"anyOf": [{"$ref": "#/$defs/Tree"}, {"$ref": leaf}, {"$ref": "#/$defs/Top"}]})
    );
    assert_eq!(
        found["Tree"]["properties"],
        json!({"left": {"$ref": leaf}, "all": {"$ref": "#/$defs/Tree"},
            "far": {"$ref": "#/$defs/Top"}})
    );
}

#[test]
fn what_is_not_there_is_named() {
    let (_, parsed) = answer(
        json!({"items": {"$ref": "#gone"}, "not": {"$ref": "https://elsewhere.test/x"}, "if": {"$dynamicRef": "#lost"}}),
        json!({}),
    );
    let at = "/paths/~1a/get/responses/200/content/application~1json/schema";
    assert_eq!(
        remarks(&parsed),
        [
            (
                Severity::Warning,
                "dangling-reference",
                format!("{at}/items/$ref").as_str()
            ),
            (
                Severity::Warning,
                "external-reference",
                format!("{at}/not/$ref").as_str()
            ),
            (
                Severity::Warning,
                "dangling-reference",
                format!("{at}/if/$dynamicRef").as_str()
            ),
        ]
    );
}

#[test]
fn identifiers_in_data_are_data() {
    let (found, _) = answer(
        json!({"$ref": "#a"}),
        json!({
            "A": {"type": "object", "default": {"$anchor": "a"}, "enum": [{"$anchor": "a"}], "x-y": {"$anchor": "a"},
                "properties": {"default": {"$anchor": "a", "type": "string"}}},
        }),
    );
    let found: Vec<_> = found.as_object().unwrap().values().collect();
    assert_eq!(found, [&json!({"type": "string"})]);
}

/// 3.1.1, Schema Object, "Generic (Template) Data Structures".
#[test]
fn a_dynamic_reference_is_what_its_user_says() {
    let generic = |name: &str, items: Value| json!({"$id": name, "$ref": "array", "$defs": {"own": {"$dynamicAnchor": "item", "allOf": [items]}}});
    let (found, parsed) = answer(
        json!({"anyOf": [{"$ref": "numbers"}, {"$ref": "strings"}, {"$ref": "array"}]}),
        json!({
            "Array": {"$id": "array", "type": "array", "items": {"$dynamicRef": "#item"},
                "$defs": {"any": {"$dynamicAnchor": "item"}}},
            "Numbers": generic("numbers", json!({"type": "number"})),
            "Strings": generic("strings", json!({"type": "string"})),
        }),
    );
    assert_eq!(remarks(&parsed), []);
    let target = |schema: &Value| {
        let reference = schema["$ref"].as_str().unwrap();
        found[reference.strip_prefix("#/$defs/").unwrap()].clone()
    };
    let item = |name: &str| target(&target(&found[name])["items"]);
    assert_eq!(item("Numbers"), json!({"allOf": [{"type": "number"}]}));
    assert_eq!(item("Strings"), json!({"allOf": [{"type": "string"}]}));
    let plain = &parsed.spec.operations[0].responses[0].content[0].1["anyOf"][2];
    assert_eq!(target(&target(plain)["items"]), json!({}));
}

#[test]
fn a_recursive_schema_that_is_extended_recurs_as_the_extension() {
    let (found, parsed) = answer(
        json!({"$ref": "strict"}),
        json!({
            "Tree": {"$id": "tree", "$dynamicAnchor": "node", "type": "object",
                "properties": {"children": {"type": "array", "items": {"$dynamicRef": "#node"}}}},
            "Strict": {"$id": "strict", "$dynamicAnchor": "node", "$ref": "tree", "unevaluatedProperties": false},
        }),
    );
    assert_eq!(remarks(&parsed), []);
    assert_eq!(
        found,
        json!({
            "Strict": {"$ref": "#/$defs/Tree", "unevaluatedProperties": false},
            "Tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Strict"}}}},
        })
    );
}

/// JSON Schema 2019-09, Core, 8.2.4.2: the same as above, before anchors had names.
#[test]
fn a_recursive_reference_leads_to_the_outermost_that_recurs() {
    let tree = |anchor: bool| {
        json!({"$id": "tree", "$recursiveAnchor": anchor, "type": "object",
            "properties": {"children": {"type": "array", "items": {"$recursiveRef": "#"}}}})
    };
    let strict = json!({"$id": "strict", "$recursiveAnchor": true, "$ref": "tree",
        "unevaluatedProperties": false});
    for (anchor, leads_to) in [(true, "#/$defs/Strict"), (false, "#/$defs/Tree")] {
        let (found, parsed) = answer(
            json!({"$ref": "strict"}),
            json!({"Tree": tree(anchor), "Strict": strict.clone()}),
        );
        assert_eq!(remarks(&parsed), []);
        let items = &found["Tree"]["properties"]["children"]["items"];
        assert_eq!(*items, json!({"$ref": leads_to}), "{anchor}");
        assert!(!found.to_string().contains("recursive"), "{found}");
    }
}

#[test]
fn scopes_and_pointers_are_bounded() {
    // Each of these schemas has a dynamic anchor of its own and leads to all others.
    let schemas: serde_json::Map<_, _> = (0..40)
        .map(|n| {
            let all: Vec<_> = (0..40).map(|n| json!({"$ref": format!("s{n}")})).collect();
            let schema = json!({"$id": format!("s{n}"), "$dynamicAnchor": format!("a{n}"),
                "items": {"anyOf": all}, "not": {"$dynamicRef": "s0#a0"}});
            (format!("S{n}"), schema)
        })
        .collect();
    let (found, _) = answer(json!({"$ref": "s0"}), Value::Object(schemas));
    assert!(found.as_object().unwrap().len() <= 32 * 40);
}

#[test]
fn another_dialect_is_said_once() {
    let draft = "https://example.com/schemas/of-our-own";
    let parsed = parse(&json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "paths": {"/a": {"get": {"parameters": [
            {"name": "q", "in": "query", "schema": {"$schema": draft, "type": "string"}},
            {"name": "r", "in": "query", "schema": {"$schema": draft, "type": "string"}}]}}},
    }));
    let at = "/paths/~1a/get/parameters/0/schema/$schema";
    assert_eq!(remarks(&parsed), [(Severity::Info, "other-dialect", at)]);
}
