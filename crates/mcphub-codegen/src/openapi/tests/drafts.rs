//! Schemas of JSON Schema before 2020-12.

use super::*;

const DRAFT_4: &str = "http://json-schema.org/draft-04/schema#";
const DRAFT_7: &str = "http://json-schema.org/draft-07/schema#";
const RECENT: &str = "https://json-schema.org/draft/2019-09/schema";

/// The one query parameter's schema in a 3.1 document with these components.
fn read_in(dialect: Option<&str>, schema: Value, schemas: Value) -> (Value, Parsed) {
    let mut document = document(
        json!({"/a": {"get": {"parameters": [{"name": "q", "in": "query", "schema": schema}]}}}),
        json!({"schemas": schemas}),
    );
    document["openapi"] = "3.1.0".into();
    if let Some(dialect) = dialect {
        document["jsonSchemaDialect"] = dialect.into();
    }
    let parsed = parse(&document);
    let found = parsed.spec.operations[0].parameters[0].schema.clone();
    (found, parsed)
}

#[test]
fn tuples_and_what_follows_them_are_those_of_2020_12() {
    for draft in [DRAFT_4, DRAFT_7, RECENT] {
        let (found, parsed) = read_in(
            None,
            json!({"$schema": draft, "type": "array", "items": [{"type": "string"}], "additionalItems": {"type": "integer"}}),
            json!({}),
        );
        assert_eq!(
            found,
            json!({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}})
        );
        assert_eq!(remarks(&parsed), [], "{draft}");
    }
    let closed = json!({"type": "array", "items": [{}, {}], "additionalItems": false});
    let (found, _) = read_in(Some(DRAFT_7), closed, json!({}));
    assert_eq!(
        found,
        json!({"type": "array", "prefixItems": [{}, {}], "items": false})
    );
    let (found, parsed) = read_in(
        Some(DRAFT_7),
        json!({"type": "array", "items": [{"type": "string"}]}),
        json!({}),
    );
    assert_eq!(
        found,
        json!({"type": "array", "prefixItems": [{"type": "string"}], "items": {}})
    );
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn dependencies_are_taken_apart() {
    let (found, parsed) = read_in(
        Some(DRAFT_7),
        json!({"type": "object", "dependencies": {"card": ["address"], "mail": {"required": ["name"]}}}),
        json!({}),
    );
    assert_eq!(
        found,
        json!({"type": "object", "dependentRequired": {"card": ["address"]}, "dependentSchemas": {"mail": {"required": ["name"]}}})
    );
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn boolean_bounds_are_those_of_draft_4() {
    let bounds = json!({"$schema": DRAFT_4, "type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false});
    let (found, parsed) = read_in(None, bounds, json!({}));
    assert_eq!(
        found,
        json!({"type": "number", "exclusiveMinimum": 0, "maximum": 9})
    );
    assert_eq!(remarks(&parsed), []);
}

#[test]
fn beside_a_reference_old_drafts_have_only_text() {
    let schemas = json!({"A": {"type": "string"}});
    let narrowed = json!({"$ref": "#/components/schemas/A", "maxLength": 3, "description": "d"});
    let (found, _) = read_in(Some(DRAFT_7), narrowed.clone(), schemas.clone());
    assert_eq!(found, json!({"$ref": "#/$defs/A", "description": "d"}));
    for newer in [None, Some(RECENT)] {
        let (found, _) = read_in(newer, narrowed.clone(), schemas.clone());
        assert_eq!(found["maxLength"], 3);
    }
}

#[test]
fn a_draft_holds_inside_of_the_schema_that_states_it() {
    let (_, parsed) = read_in(
        None,
        json!({"$ref": "#/components/schemas/Old"}),
        json!({
            "Old": {"$schema": DRAFT_7, "type": "object",
                "properties": {"a": {"$ref": "#/components/schemas/Old/definitions/Inner"}, "b": {"$ref": "#/components/schemas/New"}},
                "definitions": {"Inner": {"$ref": "#/components/schemas/Text", "maxLength": 3}}},
            "New": {"$ref": "#/components/schemas/Text", "maxLength": 3},
            "Text": {"type": "string"},
        }),
    );
    let found = |name: &str| {
        parsed
            .spec
            .definitions
            .get(name)
            .map(|schema| Value::clone(schema))
    };
    let inner = json!({"$ref": "#/$defs/Text"});
    assert!(
        parsed
            .spec
            .definitions
            .values()
            .any(|schema| **schema == inner)
    );
    assert_eq!(
        found("New"),
        Some(json!({"$ref": "#/$defs/Text", "maxLength": 3}))
    );
}

#[test]
fn draft_4_calls_an_identifier_id() {
    let (_, parsed) = read_in(
        None,
        json!({"$ref": "https://example.com/old.json#/definitions/Inner"}),
        json!({"Old": {"$schema": DRAFT_4, "id": "https://example.com/old.json", "definitions": {"Inner": {"type": "string"}}}}),
    );
    assert_eq!(remarks(&parsed), []);
    assert!(
        parsed
            .spec
            .definitions
            .values()
            .any(|schema| **schema == json!({"type": "string"}))
    );
}
