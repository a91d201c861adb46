//! `nullable: true` of OpenAPI 3.0 (3.0.4, Schema Object), as 2020-12 says it.

use serde_json::{Map, Value, json};

use crate::keyword::get;

/// Keywords that apply to a value as a whole, so that `null` has to be let in beside them.
const COMBINING: [&str; 7] = ["$ref", "allOf", "anyOf", "oneOf", "not", "if", "then"];

/// Keywords that stay outside when a schema becomes one of two alternatives.
const OUTER: [&str; 7] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// Lets the schema accept `null` too.
pub(super) fn allow_null(schema: &mut Map<String, Value>) {
    let combining = schema.keys();
    let combining = combining.filter(|key| COMBINING.contains(&key.as_str()));
    let combining = combining.count();
    let alone = combining == 1 && get(schema, "type").is_none();
    if let (true, Some(Value::Array(alternatives))) = (alone, schema.get_mut("anyOf")) {
        if !alternatives.iter().any(is_null) {
            alternatives.push(json!({"type": "null"}));
        }
        return;
    }
    if combining > 0 {
        let (outer, inner): (Map<_, _>, Map<_, _>) = std::mem::take(schema)
            .into_iter()
            .partition(|(key, _)| OUTER.contains(&key.as_str()));
        *schema = outer;
        schema.insert(
            "anyOf".to_owned(),
            Value::Array(vec![Value::Object(inner), json!({"type": "null"})]),
        );
        return;
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) if types.iter().any(|name| name == "null") => {}
        Some(Value::Array(types)) => types.push("null".into()),
        Some(one) if one != "null" => *one = Value::Array(vec![one.take(), "null".into()]),
        _ => {}
    }
    match schema.get_mut("enum") {
        Some(Value::Array(values)) if !values.contains(&Value::Null) => values.push(Value::Null),
        _ => {}
    }
    if let Some(value) = schema.shift_remove("const") {
        let values = if value.is_null() {
            json!([null])
        } else {
            json!([value, null])
        };
        schema.insert("enum".to_owned(), values);
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|name| name == "null")
}
