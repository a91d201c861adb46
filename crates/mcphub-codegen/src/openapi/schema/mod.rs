//! Schema Objects of every version become JSON Schema 2020-12.
//!
//! Whatever stands in the document, what comes out is valid 2020-12: a keyword that is unknown to
//! it is dropped, one with a wrong value is repaired or dropped with a remark. References are kept
//! and lead to [`definition`]s, which are made once each, when something refers to them.

mod cycle;
mod definition;
mod discriminator;
mod draft;
mod dynamic;
mod nullable;
mod pattern;
mod repair;

use serde_json::{Map, Value};

use super::node::{Node, Object};
use super::place::Place;
use super::remark::kind;
use super::{Skip, Walk};
use crate::keyword::{self, Keyword, has_type};
pub(super) use definition::Schemas;
use draft::Draft;

impl<'d> Walk<'d> {
    /// The schema of a parameter or of a media type. One that several operations share stays
    /// shared, unless it is short.
    pub(super) fn part_schema(
        &mut self,
        schema: &'d Node<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> Value {
        if (shared || self.shared) && !is_small(schema) {
            return self.reference_to_place(schema, at);
        }
        self.schema(schema, at)
    }

    /// Runs `read`; a reference to nothing in a schema right there is its error. Elsewhere such a
    /// reference accepts any value, with a warning.
    pub(super) fn needed<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Result<T, Skip> {
        self.schemas.strict = true;
        let value = read(self);
        self.schemas.strict = false;
        match self.schemas.broken.take() {
            Some(skip) => Err(skip),
            None => Ok(value),
        }
    }

    /// The keywords of a schema that stand on a parameter itself, as in Swagger 2.0.
    pub(super) fn bare_schema(&mut self, object: &'d Object<'d>, at: Place<'_>) -> Value {
        let mut out = Map::new();
        for (key, value) in object {
            if stands_on_parameters(key) {
                self.keyword(key, value, object, at.key(key), &mut out);
            }
        }
        complete(&mut out);
        Value::Object(out)
    }

    pub(super) fn schema(&mut self, schema: &'d Node<'d>, at: Place<'_>) -> Value {
        match schema {
            Node::Object(object) => self.schema_object(object, at),
            Node::Bool(false) => Value::Bool(false),
            Node::Bool(true) => Value::Object(Map::new()),
            other => {
                self.remarks.warn("invalid-schema", at, || {
                    format!(
                        "a schema is an object, found {}; it accepts any value",
                        kind(other)
                    )
                });
                Value::Object(Map::new())
            }
        }
    }

    fn schema_object(&mut self, source: &'d Object<'d>, at: Place<'_>) -> Value {
        let outer = self.enter(source, at);
        let outer_draft = self.enter_draft(source, at);
        let mut out = Map::with_capacity(source.len());
        let mut nullable = false;
        // 3.0.4, Reference Object: what stands beside `$ref` is ignored. What only describes is
        // kept, as its authors meant it.
        let ignored = (!self.reference_siblings() || self.draft() == Draft::Old)
            && source.get("$ref").is_some_and(Node::is_string);
        for (key, value) in source {
            match key {
                "nullable" | "x-nullable" => {
                    nullable = self.flag(source, key, at).unwrap_or_default()
                }
                "example" => example(source, value, &mut out),
                "$schema" => self.schema_dialect(source, key, at),
                "$dynamicRef" | "$recursiveRef" => {}
                "dependencies" if self.reference_siblings() && !ignored => {
                    if let Node::Object(members) = value {
                        self.dependencies(members, at.key(key), &mut out);
                    }
                }
                _ if ignored && !describes(key) => {}
                _ => self.keyword(key, value, source, at.key(key), &mut out),
            }
        }
        self.dynamic_references(source, at, &mut out);
        self.discriminate(source, at, &mut out);
        complete(&mut out);
        if nullable {
            nullable::allow_null(&mut out);
        }
        self.schemas.scope = outer;
        self.schemas.drafted = outer_draft;
        Value::Object(out)
    }

    /// Adds one keyword of `source` to `out`, as 2020-12 has it.
    fn keyword(
        &mut self,
        key: &str,
        value: &'d Node<'d>,
        source: &'d Object<'d>,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        let Some(keyword) = Keyword::of(key) else {
            return;
        };
        let result = match keyword {
            Keyword::Ref => match value {
                Node::String(reference) => {
                    self.reference(reference, at, out);
                    return;
                }
                _ => Err("a reference is a string"),
            },
            Keyword::Schema => match (key, value) {
                // Tuples before 2020-12.
                ("items", Node::Array(items)) => return self.tuple(items, source, at, out),
                (_, Node::Object(_) | Node::Bool(_)) => Ok(self.schema(value, at)),
                _ => Err("expected a schema"),
            },
            Keyword::List => match value {
                Node::Array(items) if !items.is_empty() => {
                    Ok(Value::Array(self.schemas_of(items, at)))
                }
                Node::Object(_) => Ok(Value::Array(vec![self.schema(value, at)])),
                _ => Err("expected a non-empty array of schemas"),
            },
            Keyword::Named => match value {
                Node::Object(members) if members.get("$ref").is_some_and(Node::is_string) => {
                    return self.named_elsewhere(key, value, at, out);
                }
                Node::Object(members) => Ok(self.named(members, at)),
                _ => Err("expected schemas by name"),
            },
            Keyword::Patterned => match value {
                Node::Object(members) => Ok(self.patterned(members, at)),
                _ => Err("expected schemas by regular expression"),
            },
            Keyword::Pattern => match value {
                Node::String(pattern) if self.schemas.is_regex(pattern) => Ok(value.to_value()),
                _ => Err("expected a regular expression (ECMA-262)"),
            },
            Keyword::Number if matches!(value, Node::Bool(_)) => {
                // 3.0: `exclusiveMinimum: true` changes what `minimum` means.
                return;
            }
            Keyword::Number if repair::is_exclusive(key, source) => {
                let exclusive = if key == "minimum" {
                    "exclusiveMinimum"
                } else {
                    "exclusiveMaximum"
                };
                if let Some(number) = repair::number(value) {
                    out.insert(exclusive.to_owned(), number);
                }
                return;
            }
            Keyword::Type => repair::types(value),
            Keyword::Number => repair::number(value).ok_or("expected a number"),
            Keyword::Positive => repair::positive(value).ok_or("expected a number above zero"),
            Keyword::Count => repair::count(value).ok_or("expected an integer from zero"),
            Keyword::Flag => repair::flag(value).ok_or("expected a boolean"),
            Keyword::Text => repair::text(value).ok_or("expected a string"),
            Keyword::Names => repair::names(value).ok_or("expected an array of strings"),
            Keyword::NamesByName => {
                repair::names_by_name(value).ok_or("expected arrays of strings by name")
            }
            Keyword::DataList => match value {
                Node::Array(items) if !items.is_empty() => Ok(value.to_value()),
                _ => Err("expected a non-empty array"),
            },
            Keyword::Data => Ok(value.to_value()),
        };
        match result {
            Ok(value) => {
                if keyword == Keyword::Type && source.get(key).is_none_or(|stated| *stated != value)
                {
                    self.remarks.warn("invalid-type", at, || {
                        format!("this is no type of JSON Schema; it is read as {value}")
                    });
                }
                out.insert(key.to_owned(), value);
            }
            Err(why) => self.remarks.warn("invalid-keyword", at, || {
                format!("{why}, found {}; it is left out", kind(value))
            }),
        }
    }

    fn schemas_of(&mut self, items: &'d [Node<'d>], at: Place<'_>) -> Vec<Value> {
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.schema(item, at.index(index)))
            .collect()
    }

    /// Schemas by name that are a reference, which no version has, but APIs in many files do.
    fn named_elsewhere(
        &mut self,
        key: &str,
        value: &'d Node<'d>,
        at: Place<'_>,
        out: &mut Map<String, Value>,
    ) {
        let target = match self.follow(value, at) {
            Ok(target) => target,
            Err(skip) => {
                self.remarks.warn(skip.code, at, || skip.message);
                return;
            }
        };
        let there = target.place(at);
        match target.object() {
            Some(members) => {
                let members = self.named(members, there);
                out.insert(key.to_owned(), members);
            }
            None => self
                .remarks
                .wrong_type(there, "schemas by name", target.value),
        }
    }

    fn named(&mut self, members: &'d Object<'d>, at: Place<'_>) -> Value {
        let mut out = Map::with_capacity(members.len());
        for (name, schema) in members {
            out.insert(name.to_owned(), self.schema(schema, at.key(name)));
        }
        Value::Object(out)
    }

    fn patterned(&mut self, members: &'d Object<'d>, at: Place<'_>) -> Value {
        let mut out = Map::with_capacity(members.len());
        for (pattern, schema) in members {
            if self.schemas.is_regex(pattern) {
                out.insert(pattern.to_owned(), self.schema(schema, at.key(pattern)));
            } else {
                self.remarks.warn("invalid-keyword", at.key(pattern), || {
                    "expected a regular expression (ECMA-262); it is left out".to_owned()
                });
            }
        }
        Value::Object(out)
    }
}

/// Whether a keyword describes a value without constraining it.
fn describes(key: &str) -> bool {
    matches!(
        key,
        "$ref"
            | "description"
            | "title"
            | "default"
            | "examples"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
    )
}

/// Whether a keyword has a place on a parameter itself (2.0, Parameter Object and Items Object).
fn stands_on_parameters(key: &str) -> bool {
    matches!(
        key,
        "type"
            | "format"
            | "items"
            | "default"
            | "enum"
            | "minimum"
            | "maximum"
            | "exclusiveMinimum"
            | "exclusiveMaximum"
            | "multipleOf"
            | "minLength"
            | "maxLength"
            | "pattern"
            | "minItems"
            | "maxItems"
            | "uniqueItems"
    )
}

/// `example` of 3.0 is the one item of `examples`.
fn example(source: &Object<'_>, value: &Node<'_>, out: &mut Map<String, Value>) {
    if !value.is_null() && !source.contains_key("examples") {
        out.insert("examples".to_owned(), Value::Array(vec![value.to_value()]));
    }
}

/// Clients refuse arrays that do not say what they hold.
fn complete(schema: &mut Map<String, Value>) {
    if has_type(schema, "array") && keyword::get(schema, "items").is_none() {
        schema.insert("items".to_owned(), Value::Object(Map::new()));
    }
}

/// Whether a value is short enough to be copied where it is used.
pub(super) fn is_small(value: &Node<'_>) -> bool {
    fn fits(value: &Node<'_>, nodes: &mut usize, bytes: &mut usize) -> bool {
        let Some(rest) = nodes.checked_sub(1) else {
            return false;
        };
        *nodes = rest;
        let mut take = |text: &str| match bytes.checked_sub(text.len()) {
            Some(rest) => {
                *bytes = rest;
                true
            }
            None => false,
        };
        match value {
            Node::String(text) => take(text),
            Node::Array(items) => items.iter().all(|item| fits(item, nodes, bytes)),
            Node::Object(members) => members.iter().all(|(key, value)| {
                let rest = bytes.checked_sub(key.len());
                *bytes = rest.unwrap_or_default();
                rest.is_some() && fits(value, nodes, bytes)
            }),
            _ => true,
        }
    }
    fits(value, &mut 48, &mut 2_048)
}
