//! Discriminator Object: which value of a property belongs to which alternative (OpenAPI 3.1.1).
//!
//! JSON Schema has no such keyword. Each alternative says the value itself, so that whoever fills
//! in the property knows it. It is not demanded: an API may take an alternative without it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::Walk;
use super::super::node::{Node, Object};
use super::super::place::Place;

impl<'d> Walk<'d> {
    /// Adds the value of the discriminating property to each alternative that is a reference and
    /// does not have it already.
    pub(super) fn discriminate(
        &mut self,
        source: &'d Object<'d>,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        let Some(Node::Object(discriminator)) = source.get("discriminator") else {
            return;
        };
        let Some(property) = discriminator.get("propertyName").and_then(Node::as_str) else {
            return;
        };
        let mut stated: HashMap<Arc<str>, Vec<&str>> = HashMap::new();
        let mapping = discriminator.get("mapping").and_then(Node::as_object);
        for (value, schema) in mapping.into_iter().flatten() {
            if let Some(pointer) = schema.as_str().and_then(|name| self.mapped(name, at)) {
                stated.entry(pointer).or_default().push(value);
            }
        }
        for key in ["oneOf", "anyOf"] {
            let (Some(Node::Array(from)), Some(Value::Array(to))) =
                (source.get(key), out.get_mut(key))
            else {
                continue;
            };
            for (from, to) in from.iter().zip(to) {
                let reference = from.get("$ref").and_then(Node::as_str);
                let (Some(reference), Value::Object(to)) = (reference, to) else {
                    continue;
                };
                let Ok((schema, pointer)) = self.refer(reference, at) else {
                    continue;
                };
                if to.contains_key("properties") || !leaves_open(schema, property) {
                    continue;
                }
                let values = match (stated.get(&pointer), self.schemas.component(&pointer)) {
                    (Some(values), _) => json!(values),
                    (None, Some(name)) => json!([name]),
                    (None, None) => continue,
                };
                to.insert(
                    "properties".to_owned(),
                    json!({property: {"type": "string", "enum": values}}),
                );
            }
        }
    }

    /// Where the schema stands that a mapping names, by its name or by a reference.
    fn mapped(&mut self, name: &'d str, at: Place<'_>) -> Option<Arc<str>> {
        match self.schemas.place_of(name) {
            Some(pointer) => Some(pointer.into()),
            None => self.refer(name, at).ok().map(|(_, pointer)| pointer),
        }
    }
}

/// Whether a schema does not say itself which values a property has, and these can be text.
fn leaves_open(schema: &Node<'_>, property: &str) -> bool {
    let property = schema.get("properties").and_then(|all| all.get(property));
    property.is_none_or(|property| {
        let says = |key| property.get(key).is_some();
        let kind = property.get("type");
        !["enum", "const", "$ref", "allOf", "oneOf", "anyOf"]
            .into_iter()
            .any(says)
            && kind.is_none_or(|kind| *kind == *"string")
    })
}
