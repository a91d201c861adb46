//! JSON Schemas become Rust types.

use mcphub_core::schema::Schema;
use serde_json::{Map, Value};

/// How many schemas one type follows; the rest is any value.
const MAX_NODES: usize = 64;
/// The most texts that become a type of their own.
const MAX_CHOICES: usize = 64;

/// The type of an argument. It only helps a reader and the compiler: what is accepted is the
/// schema's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) base: Base,
    /// Whether it may be null. Any value may, and does not say so.
    pub(super) nullable: bool,
}

/// A type without null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Any,
    Text,
    Number,
    Bool,
    Object,
    List(Box<Kind>),
    /// One of these texts. The name is that of the definition, where there is one.
    Choice(Vec<String>, Option<String>),
}

impl Kind {
    /// The type for one property of a schema.
    pub(super) fn of(schema: &Schema, property: &Value) -> Self {
        let mut reader = Reader {
            schema,
            inside: Vec::new(),
            left: MAX_NODES,
        };
        union(reader.alternatives(property))
    }

    /// Any value.
    pub(super) const ANY: Self = Self::new(Base::Any);
    const NULL: Self = Self {
        base: Base::Any,
        nullable: true,
    };

    const fn new(base: Base) -> Self {
        Self {
            base,
            nullable: false,
        }
    }

    /// Whether null is one of its values.
    pub(super) fn takes_null(&self) -> bool {
        self.nullable || self.base == Base::Any
    }
}

/// The type that has the values of all.
fn union(kinds: Vec<Kind>) -> Kind {
    let nullable = kinds.iter().any(|kind| kind.nullable);
    let mut bases: Vec<Base> = Vec::new();
    for kind in kinds {
        if kind != Kind::NULL && !bases.contains(&kind.base) {
            bases.push(kind.base);
        }
    }
    let text = |base: &Base| matches!(base, Base::Text | Base::Choice(..));
    match bases.len() {
        1 => match bases.pop() {
            Some(base) if base != Base::Any => Kind { base, nullable },
            _ => Kind::ANY,
        },
        0 => Kind::ANY,
        _ if bases.iter().all(text) => Kind {
            base: Base::Text,
            nullable,
        },
        _ => Kind::ANY,
    }
}

/// Follows a schema.
struct Reader<'a> {
    schema: &'a Schema,
    /// The definitions that are being followed: a model inside itself has no finite type.
    inside: Vec<&'a str>,
    /// How many schemas may still be read.
    left: usize,
}

impl<'a> Reader<'a> {
    fn alternatives(&mut self, value: &'a Value) -> Vec<Kind> {
        let any = || vec![Kind::ANY];
        let (Value::Object(object), Some(left)) = (value, self.left.checked_sub(1)) else {
            return any();
        };
        self.left = left;
        if let Some(path) = object.get("$ref").and_then(Value::as_str) {
            return self.reference(path).unwrap_or_else(any);
        }
        if let Some(choice) = choice(object, self.inside.last()) {
            return vec![choice];
        }
        match object.get("type") {
            Some(Value::String(kind)) => vec![self.of_type(object, kind)],
            Some(Value::Array(kinds)) => {
                let kinds = kinds.iter().filter_map(Value::as_str);
                kinds.map(|kind| self.of_type(object, kind)).collect()
            }
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

    fn reference(&mut self, path: &'a str) -> Option<Vec<Kind>> {
        let name = path.strip_prefix("#/$defs/")?;
        let mut definitions = self.schema.definitions().iter();
        let target = definitions.find(|definition| *definition.name == *name)?;
        if self.inside.contains(&name) {
            return None;
        }
        self.inside.push(name);
        let found = self.alternatives(&target.schema);
        self.inside.pop();
        Some(found)
    }

    fn of_type(&mut self, object: &'a Map<String, Value>, kind: &str) -> Kind {
        Kind::new(match kind {
            "string" => Base::Text,
            "integer" | "number" => Base::Number,
            "boolean" => Base::Bool,
            "object" => Base::Object,
            "null" => return Kind::NULL,
            "array" => {
                let items = object.get("items");
                let items = items.map_or_else(Vec::new, |items| self.alternatives(items));
                Base::List(Box::new(union(items)))
            }
            _ => Base::Any,
        })
    }
}

/// The type of a value that is one of a few texts.
fn choice(object: &Map<String, Value>, definition: Option<&&str>) -> Option<Kind> {
    let values = match (object.get("enum"), object.get("const")) {
        (Some(Value::Array(values)), _) => values.as_slice(),
        (_, Some(value)) => std::slice::from_ref(value),
        _ => return None,
    };
    let nullable = values.iter().any(Value::is_null);
    let mut texts: Vec<String> = Vec::new();
    for value in values.iter().filter(|value| !value.is_null()) {
        let text = value.as_str()?;
        if !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }
    let base = match texts.len() {
        0 => return None,
        count if count > MAX_CHOICES => Base::Text,
        _ => Base::Choice(texts, definition.map(|name| (*name).to_owned())),
    };
    Some(Kind { base, nullable })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_become_types() {
        let root = json!({"$defs": {
            "Genre": {"enum": ["novel", "poetry", null]},
            "Tree": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
        }});
        let schema = Schema::from_object(root.as_object().unwrap().clone());
        let list = |items: Kind| Kind::new(Base::List(Box::new(items)));
        let nullable = |base: Base| Kind {
            base,
            nullable: true,
        };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        for (property, expected) in [
            (json!({"type": "string"}), Kind::new(Base::Text)),
            (json!({"type": ["null", "integer"]}), nullable(Base::Number)),
            (
                json!({"type": "array", "items": {"type": "number"}}),
                list(Kind::new(Base::Number)),
            ),
            (
                json!({"$ref": "#/$defs/Genre"}),
                nullable(Base::Choice(
                    texts(&["novel", "poetry"]),
                    Some("Genre".to_owned()),
                )),
            ),
            (
                json!({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}),
                nullable(Base::Number),
            ),
            (
                json!({"anyOf": [{"const": "a"}, {"type": "string"}]}),
                Kind::new(Base::Text),
            ),
            (json!({"type": ["string", "integer"]}), Kind::ANY),
            (json!({"type": "null"}), Kind::ANY),
            (json!({"$ref": "#/$defs/Tree"}), list(Kind::ANY)),
            (json!({"enum": [1, "a"]}), Kind::ANY),
            (
                json!({"enum": [true], "type": "boolean"}),
                Kind::new(Base::Bool),
            ),
            (json!(true), Kind::ANY),
        ] {
            assert_eq!(Kind::of(&schema, &property), expected, "{property}");
        }
    }
}
