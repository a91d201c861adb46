//! JSON Schemas become TypeScript types.

use std::collections::BTreeSet;

use mcphub_core::schema::Schema;
use serde_json::{Map, Value};

use super::literal::ts_literal;
use super::names::is_identifier;

/// How many schemas one type follows; the rest is `unknown`.
const MAX_NODES: usize = 64;
/// The longest type in characters.
const MAX_LENGTH: usize = 84;

/// The type for one property of a schema. It only helps a reader and the compiler: what is accepted
/// is the schema's to say.
///
/// A type longer than `room` characters says less.
pub(super) fn annotation(schema: &Schema, property: &Value, room: usize) -> String {
    for members in [true, false] {
        let mut reader = Reader {
            schema,
            inside: Vec::new(),
            left: MAX_NODES,
            members,
        };
        let text = union(reader.alternatives(property)).join(" | ");
        if text.chars().count() <= room.min(MAX_LENGTH) {
            return text;
        }
    }
    "unknown".to_owned()
}

/// What of the alternatives has to be said.
fn union(mut types: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    types.retain(|name| seen.insert(name.clone()));
    if types.is_empty() || types.iter().any(|name| name == "unknown") {
        return vec!["unknown".to_owned()];
    }
    // It takes every text that a literal says.
    if types.iter().any(|name| name == "string") {
        types.retain(|name| !name.starts_with(['"', '\'']));
    }
    types.sort_by_key(|name| name == "null");
    types
}

/// Follows a schema.
struct Reader<'a> {
    schema: &'a Schema,
    /// The definitions that are being followed: a model inside itself has no finite type.
    inside: Vec<&'a str>,
    /// How many schemas may still be read.
    left: usize,
    /// Whether the members of objects are shown.
    members: bool,
}

impl<'a> Reader<'a> {
    fn alternatives(&mut self, value: &'a Value) -> Vec<String> {
        let any = || vec!["unknown".to_owned()];
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
        match kind {
            "string" | "boolean" | "null" => kind.to_owned(),
            "integer" | "number" => "Numeric".to_owned(),
            "object" => self.object(object),
            "array" => {
                let items = object
                    .get("items")
                    .map_or_else(Vec::new, |items| self.alternatives(items));
                match union(items).as_slice() {
                    [one] => format!("{one}[]"),
                    more => format!("({})[]", more.join(" | ")),
                }
            }
            _ => "unknown".to_owned(),
        }
    }

    fn object(&mut self, object: &'a Map<String, Value>) -> String {
        let properties = object.get("properties").and_then(Value::as_object);
        let Some(properties) = properties.filter(|all| self.members && !all.is_empty()) else {
            return "Record<string, unknown>".to_owned();
        };
        let required = object.get("required").and_then(Value::as_array);
        let members: Vec<_> = properties
            .iter()
            .map(|(name, property)| {
                let needed = required.is_some_and(|all| all.iter().any(|known| known == name));
                member(
                    name,
                    needed,
                    &union(self.alternatives(property)).join(" | "),
                )
            })
            .collect();
        format!("{{ {} }}", members.join("; "))
    }
}

/// `name?: TYPE`.
pub(super) fn member(name: &str, required: bool, annotation: &str) -> String {
    let key = if is_identifier(name) {
        name.to_owned()
    } else {
        ts_literal(name)
    };
    format!("{key}{}: {annotation}", if required { "" } else { "?" })
}

fn literal(object: &Map<String, Value>) -> Option<Vec<String>> {
    let values = match (object.get("enum"), object.get("const")) {
        (Some(Value::Array(values)), _) => values.clone(),
        (_, Some(value)) => vec![value.clone()],
        _ => return None,
    };
    let texts: Option<Vec<_>> = values
        .iter()
        .map(|value| match value {
            Value::Null => Some("null".to_owned()),
            Value::String(text) => Some(ts_literal(text)),
            _ => None,
        })
        .collect();
    let texts = texts.filter(|texts| !texts.is_empty())?;
    if texts
        .iter()
        .map(|text| text.chars().count() + 3)
        .sum::<usize>()
        <= MAX_LENGTH
    {
        return Some(texts);
    }
    let null = texts.iter().any(|text| text == "null");
    let string = ["string".to_owned()].into_iter();
    Some(string.chain(null.then(|| "null".to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_become_types() {
        let root = json!({"$defs": {
            "Genre": {"enum": ["novel", "\"); x"]},
            "Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        }});
        let schema = Schema::from_object(root.as_object().unwrap().clone());
        for (property, expected) in [
            (json!({"type": "string"}), "string"),
            (json!({"type": ["null", "integer"]}), "Numeric | null"),
            (
                json!({"type": "array", "items": {"type": "number"}}),
                "Numeric[]",
            ),
            (
                json!({"type": "array", "items": {"type": ["string", "null"]}}),
                "(string | null)[]",
            ),
            (json!({"$ref": "#/$defs/Genre"}), r#""novel" | '"); x'"#),
            (
                json!({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}),
                "Numeric | null",
            ),
            (json!({"type": "object"}), "Record<string, unknown>"),
            (
                json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}, "X-b": {}}}),
                r#"{ a: string; "X-b"?: unknown }"#,
            ),
            (
                json!({"type": "array", "items": {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}}),
                "{ a?: string | null }[]",
            ),
            (json!({"$ref": "#/$defs/Tree"}), "unknown[]"),
            (json!({"enum": [1, "a"]}), "unknown"),
            (json!({"enum": ["x".repeat(99), null]}), "string | null"),
            (json!(true), "unknown"),
        ] {
            assert_eq!(
                annotation(&schema, &property, MAX_LENGTH),
                expected,
                "{property}"
            );
        }
    }
}
