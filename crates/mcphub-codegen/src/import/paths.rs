//! The operations of a collection, by path.

use serde_json::{Map, Value, json};

use super::items;

/// The most parameters of one operation.
pub(super) const MAX_PARAMETERS: usize = 1_000;

/// Methods that a path item has a field for; others go below `additionalOperations`.
const FIELDS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

#[derive(Default)]
pub(super) struct Paths(Map<String, Value>);

impl Paths {
    /// Adds an operation. The same once more adds its parameters to the first.
    pub(super) fn add(&mut self, path: String, method: &str, operation: Value) {
        let path_item = self.0.entry(path).or_insert_with(|| json!({}));
        let field = method.to_ascii_lowercase();
        let slot = if FIELDS.contains(&field.as_str()) {
            &mut path_item[field]
        } else {
            &mut path_item["additionalOperations"][method]
        };
        let Some(known) = slot.get_mut("parameters").and_then(Value::as_array_mut) else {
            *slot = operation;
            return;
        };
        for parameter in items(&operation, "parameters") {
            let same = |other: &Value| {
                other["name"] == parameter["name"] && other["in"] == parameter["in"]
            };
            if known.len() < MAX_PARAMETERS && !known.iter().any(same) {
                known.push(parameter.clone());
            }
        }
    }

    /// The Paths Object.
    pub(super) fn finish(self) -> Value {
        Value::Object(self.0)
    }
}
