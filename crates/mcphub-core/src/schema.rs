//! JSON Schema 2020-12 as tools carry it: a root, and shared definitions that are never expanded.

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// A self-contained JSON Schema 2020-12. Definitions are shared between the tools of a set by
/// `Arc`, so that a document with many tools over the same models keeps one copy of each.
///
/// Serialises to one JSON object with `$defs`; every `$ref` in it is `#/$defs/NAME`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    root: Arc<Map<String, Value>>,
    definitions: Arc<[Definition]>,
}

/// One entry of `$defs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The name below `$defs`.
    pub name: Arc<str>,
    /// The schema, which may refer to other definitions.
    pub schema: Arc<Value>,
}

impl Schema {
    /// A schema from its root object, without `$defs`, and the definitions that it reaches, in the
    /// order in which `$defs` lists them.
    pub fn new(
        root: impl Into<Arc<Map<String, Value>>>,
        definitions: impl Into<Arc<[Definition]>>,
    ) -> Self {
        Self {
            root: root.into(),
            definitions: definitions.into(),
        }
    }

    /// The root object, without `$defs`.
    pub fn root(&self) -> &Map<String, Value> {
        &self.root
    }

    /// The shared definitions that the root reaches.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// The members of `properties`, in order.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Value)> {
        let properties = self.root.get("properties").and_then(Value::as_object);
        properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.as_str(), schema))
    }

    /// Whether `properties` has to have this member.
    pub fn requires(&self, property: &str) -> bool {
        let required = self.root.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|name| name == property))
    }

    /// The whole schema as one JSON value.
    pub fn to_value(&self) -> Value {
        let mut object = Map::clone(&self.root);
        if !self.definitions.is_empty() {
            let defs = self
                .definitions
                .iter()
                .map(|d| (d.name.to_string(), Value::clone(&d.schema)));
            object.insert("$defs".into(), Value::Object(defs.collect()));
        }
        Value::Object(object)
    }

    /// A schema from one JSON object, taking `$defs` apart.
    pub fn from_object(mut object: Map<String, Value>) -> Self {
        let definitions = match object.shift_remove("$defs") {
            Some(Value::Object(defs)) => defs
                .into_iter()
                .map(|(name, schema)| Definition {
                    name: name.into(),
                    schema: Arc::new(schema),
                })
                .collect(),
            _ => Arc::default(),
        };
        Self {
            root: object.into(),
            definitions,
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Defs<'a>(&'a [Definition]);
        impl Serialize for Defs<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|d| (&d.name, &d.schema)))
            }
        }
        let extra = usize::from(!self.definitions.is_empty());
        let mut map = serializer.serialize_map(Some(self.root.len() + extra))?;
        for (key, value) in self.root.iter() {
            map.serialize_entry(key, value)?;
        }
        if extra == 1 {
            map.serialize_entry("$defs", &Defs(&self.definitions))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from_object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn serialises_self_contained_and_reads_back() {
        let root = json!({"type": "object", "properties": {"pet": {"$ref": "#/$defs/Pet"}}, "required": ["pet"]});
        let pet = Definition {
            name: "Pet".into(),
            schema: Arc::new(json!({"type": "object"})),
        };
        let schema = Schema::new(root.as_object().unwrap().clone(), vec![pet]);
        let text = serde_json::to_string(&schema).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            schema.to_value()
        );
        assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), schema);
        assert!(schema.requires("pet") && !schema.requires("cat"));
    }
}
