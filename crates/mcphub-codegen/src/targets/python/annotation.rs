//! JSON Schemas become Python type annotations.

use std::collections::BTreeSet;

use mcphub_core::schema::Schema;
use serde_json::{Map, Value};

use super::literal::python_literal;

/// How many schemas one annotation follows; the rest is `Any`.
const MAX_NODES: usize = 64;
/// The longest annotation in characters; a longer one is `Any`.
const MAX_LENGTH: usize = 72;

/// The annotation for one property of a schema. It only helps a reader and a type checker: what is
/// accepted is the schema's to say.
pub(super) fn annotation(schema: &Schema, property: &Value) -> String {
    let mut reader = Reader {
        schema,
        inside: Vec::new(),
        left: MAX_NODES,
    };
    let text = union(reader.alternatives(property));
    if text.chars().count() > MAX_LENGTH {
        "Any".to_owned()
    } else {
        text
    }
}

fn union(mut types: Vec<String>) -> String {
    let mut seen = BTreeSet::new();
    types.retain(|name| seen.insert(name.clone()));
    if types.is_empty() || types.iter().any(|name| name == "Any") {
        return "Any".to_owned();
    }
    // A float takes every int (PEP 484).
    if types.iter().any(|name| name == "float") {
        types.retain(|name| name != "int");
    }
    types.sort_by_key(|name| name == "None");
    types.join(" | ")
}

/// Follows a schema.
struct Reader<'a> {
    schema: &'a Schema,
    /// The definitions that are being followed: a model inside itself has no finite annotation.
    inside: Vec<&'a str>,
    /// How many schemas may still be read.
    left: usize,
}

impl<'a> Reader<'a> {
    fn alternatives(&mut self, value: &'a Value) -> Vec<String> {
        let any = || vec!["Any".to_owned()];
        let Value::Object(object) = value else {
            return any();
        };
        let Some(left) = self.left.checked_sub(1) else {
            return any();
        };
        self.left = left;
        if let Some(path) = object.get("$ref").and_then(Value::as_str) {
            return self.reference(path).unwrap_or_else(any);
        }
        if let Some(literal) = literal(object) {
            return literal;
        }
        match object.get("type") {
            Some(Value::String(kind)) => vec![self.of_type(object, kind)],
            Some(Value::Array(kinds)) => kinds
                .iter()
                .filter_map(Value::as_str)
                .map(|kind| self.of_type(object, kind))
                .collect(),
            _ => {
                let list = |key: &str| object.get(key).and_then(Value::as_array);
                match (
                    list("anyOf").or(list("oneOf")),
                    list("allOf").map(Vec::as_slice),
                ) {
                    (Some(branches), _) => branches
                        .iter()
                        .flat_map(|branch| self.alternatives(branch))
                        .collect(),
                    (None, Some([only])) => self.alternatives(only),
                    _ => any(),
                }
            }
        }
    }

    fn reference(&mut self, path: &'a str) -> Option<Vec<String>> {
        let name = path.strip_prefix("#/$defs/")?;
        let target = self
            .schema
            .definitions()
            .iter()
            .find(|definition| *definition.name == *name)?;
        if self.inside.contains(&name) {
            return None;
        }
        self.inside.push(name);
        let found = self.alternatives(&target.schema);
        self.inside.pop();
        Some(found)
    }

    fn of_type(&mut self, object: &'a Map<String, Value>, kind: &str) -> String {
        let name = match kind {
            "string" => "str",
            "integer" => "int",
            "number" => "float",
            "boolean" => "bool",
            "null" => "None",
            "object" => "dict[str, Any]",
            "array" => {
                let items = object
                    .get("items")
                    .map_or_else(Vec::new, |items| self.alternatives(items));
                return format!("list[{}]", union(items));
            }
            _ => "Any",
        };
        name.to_owned()
    }
}

fn literal(object: &Map<String, Value>) -> Option<Vec<String>> {
    let values = match (object.get("enum"), object.get("const")) {
        (Some(Value::Array(values)), _) => values.clone(),
        (_, Some(value)) => vec![value.clone()],
        _ => return None,
    };
    let null = values.iter().any(Value::is_null);
    let texts: Option<Vec<_>> = values
        .iter()
        .filter(|value| !value.is_null())
        .map(|value| value.as_str().map(python_literal))
        .collect();
    let texts = texts.filter(|texts| !texts.is_empty())?;
    let literal = format!("Literal[{}]", texts.join(", "));
    let shown = if literal.chars().count() > MAX_LENGTH - 16 {
        "str".to_owned()
    } else {
        literal
    };
    Some(
        [shown]
            .into_iter()
            .chain(null.then(|| "None".to_owned()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_become_annotations() {
        let root = json!({"$defs": {
            "Genre": {"enum": ["novel", "\"); x"]},
            "Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        }});
        let schema = Schema::from_object(root.as_object().unwrap().clone());
        for (property, expected) in [
            (json!({"type": "string"}), "str"),
            (json!({"type": ["null", "integer"]}), "int | None"),
            (
                json!({"type": "array", "items": {"type": "number"}}),
                "list[float]",
            ),
            (
                json!({"$ref": "#/$defs/Genre"}),
                r#"Literal["novel", '"); x']"#,
            ),
            (
                json!({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}),
                "float | None",
            ),
            (json!({"type": "object"}), "dict[str, Any]"),
            (json!({"$ref": "#/$defs/Tree"}), "list[Any]"),
            (json!({"enum": [1, "a"]}), "Any"),
            (json!(true), "Any"),
        ] {
            assert_eq!(annotation(&schema, &property), expected, "{property}");
        }
    }
}
