//! A schema that says what an example is made of, without its values.

use serde_json::{Map, Value, json};

/// The most items of a list that are looked at.
const MAX_ITEMS: usize = 20;

/// The schema of values like this one.
pub(super) fn schema(example: &Value) -> Value {
    match example {
        Value::Null => json!({}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Number(number) if number.is_f64() => json!({"type": "number"}),
        Value::Number(_) => json!({"type": "integer"}),
        Value::String(_) => json!({"type": "string"}),
        Value::Array(items) => {
            let items = items.iter().take(MAX_ITEMS).map(schema);
            json!({"type": "array", "items": items.reduce(both).unwrap_or_else(|| json!({}))})
        }
        Value::Object(members) => {
            let members = members.iter();
            let properties: Map<_, _> = members
                .map(|(name, value)| (name.clone(), schema(value)))
                .collect();
            json!({"type": "object", "properties": properties})
        }
    }
}

/// A schema of values like either.
fn both(one: Value, other: Value) -> Value {
    if one == other {
        return one;
    }
    let kind = |schema: &Value| {
        schema
            .get("type")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    match (kind(&one).as_deref(), kind(&other).as_deref()) {
        (Some("object"), Some("object")) => {
            let (mut one, other) = (one, other);
            if let (Some(Value::Object(known)), Some(Value::Object(new))) =
                (one.get_mut("properties"), other.get("properties"))
            {
                for (name, schema) in new {
                    let merged = match known.get(name) {
                        Some(known) => both(known.clone(), schema.clone()),
                        None => schema.clone(),
                    };
                    known.insert(name.clone(), merged);
                }
            }
            one
        }
        (Some("array"), Some("array")) => {
            let items = both(one["items"].clone(), other["items"].clone());
            json!({"type": "array", "items": items})
        }
        (Some("integer" | "number"), Some("integer" | "number")) => json!({"type": "number"}),
        // Of `null` nothing is known.
        (None, Some(_)) => other,
        (Some(_), None) => one,
        _ => json!({}),
    }
}
