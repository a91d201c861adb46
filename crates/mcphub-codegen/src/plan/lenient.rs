//! Output schemas describe; they never refuse.
//!
//! A client throws away a result that breaks the tool's own output schema, and many an API is not
//! quite what its document says. So nothing is required, no value is bounded, and `null` is
//! possible wherever a type is stated.

use serde_json::{Map, Value};

/// The schema in its lenient form. References stay.
pub(super) fn lenient(schema: &Value) -> Value {
    let Value::Object(source) = schema else {
        return Value::Object(Map::new());
    };
    let mut out = Map::with_capacity(source.len());
    for (key, value) in source {
        match (key.as_str(), value) {
            ("type", value) => {
                out.insert(key.clone(), with_null(value));
            }
            (
                "$ref" | "description" | "title" | "format" | "deprecated" | "contentMediaType"
                | "contentEncoding",
                value,
            ) => {
                out.insert(key.clone(), value.clone());
            }
            ("properties", Value::Object(properties)) => {
                let mut shown = Map::with_capacity(properties.len());
                for (name, property) in properties {
                    if !is_write_only(property) {
                        shown.insert(name.clone(), lenient(property));
                    }
                }
                out.insert(key.clone(), Value::Object(shown));
            }
            ("items", value) => {
                out.insert(key.clone(), lenient(value));
            }
            ("additionalProperties", Value::Object(object)) if !object.is_empty() => {
                out.insert(key.clone(), lenient(value));
            }
            ("allOf" | "anyOf", Value::Array(items)) => {
                out.insert(key.clone(), items.iter().map(lenient).collect());
            }
            // One of several is any of several once their bounds are gone.
            ("oneOf", Value::Array(items)) if !source.contains_key("anyOf") => {
                out.insert("anyOf".to_owned(), items.iter().map(lenient).collect());
            }
            _ => {}
        }
    }
    Value::Object(out)
}

fn with_null(types: &Value) -> Value {
    match types {
        Value::Array(types) if types.iter().any(|name| name == "null") => {
            Value::Array(types.clone())
        }
        Value::Array(types) => types.iter().cloned().chain(["null".into()]).collect(),
        one if one == "null" => one.clone(),
        one => Value::Array(vec![one.clone(), "null".into()]),
    }
}

fn is_write_only(property: &Value) -> bool {
    property.get("writeOnly") == Some(&Value::Bool(true))
}
