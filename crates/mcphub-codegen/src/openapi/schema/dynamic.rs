//! Schemas that depend on who refers to them (JSON Schema 2020-12, Core, 8.2.3.2; 2019-09, Core,
//! 8.2.4.2), and schemas of other dialects.
//!
//! A `$dynamicRef` or a `$recursiveRef` leads to another schema on each way that leads to it. What comes out has plain
//! references alone: a definition that is reached on several such ways is there once for each.

use serde_json::{Map, Value, json};

use super::super::Walk;
use super::super::node::{Node, Object};
use super::super::place::Place;
use super::super::remark::shown;
use super::draft::Draft;

impl<'d> Walk<'d> {
    /// Enters a schema that has a URI of its own; the scope outside, to be restored.
    pub(super) fn enter(&mut self, source: &Object<'_>, at: Place<'_>) -> usize {
        let outer = self.schemas.scope;
        if let (Some(identifiers), true) = (&mut self.identifiers, source.contains_key("$id")) {
            self.schemas.scope = identifiers.enter(outer, &at.pointer());
        }
        outer
    }

    /// Adds what a schema's `$dynamicRef` and `$recursiveRef` lead to.
    pub(super) fn dynamic_references(
        &mut self,
        source: &'d Object<'d>,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        for key in ["$dynamicRef", "$recursiveRef"] {
            if let Some(Node::String(reference)) = source.get(key) {
                self.dynamic_reference(reference, at.key(key), out);
            }
        }
    }

    fn dynamic_reference(
        &mut self,
        reference: &'d str,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        let found = match &self.identifiers {
            Some(identifiers) => identifiers
                .resolve_dynamic(reference, &at.pointer(), self.schemas.scope)
                .map(|(value, pointer)| (value, pointer.into())),
            None => self.refer(reference, at),
        };
        let index = found.map(|(value, pointer)| self.entry(pointer, value));
        let Some(reference) = self.definition_of(index, at) else {
            return;
        };
        match (out.contains_key("$ref"), out.get_mut("allOf")) {
            (false, _) => {
                out.insert("$ref".to_owned(), reference);
            }
            (true, Some(Value::Array(all))) => all.push(json!({"$ref": reference})),
            (true, _) => {
                out.insert("allOf".to_owned(), json!([{"$ref": reference}]));
            }
        }
    }

    /// Says once which dialect that is none of JSON Schema's a schema or the document is written in
    /// (3.1.1, Schema Object, `jsonSchemaDialect`). It is read as 2020-12 all the same.
    pub(in super::super) fn schema_dialect(
        &mut self,
        object: &'d Object<'d>,
        key: &str,
        at: Place<'_>,
    ) {
        let Some(Node::String(dialect)) = object.get(key) else {
            return;
        };
        let known =
            dialect.starts_with("https://spec.openapis.org/oas/3.") || Draft::of(dialect).is_some();
        if known || !self.reference_siblings() || !self.schemas.dialects.insert(dialect) {
            return;
        }
        self.remarks.info("other-dialect", at.key(key), || {
            format!(
                "schemas of the dialect {} are read as JSON Schema 2020-12",
                shown(dialect)
            )
        });
    }
}
