//! Schemas are read to rules, as far as they are understood.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{ANYTHING, Accept, Member, Rule, Shape, Target, Types, UNKNOWN, order};

/// What nests deeper than this within one definition is left to the validator.
const MAX_DEPTH: usize = 64;

/// The most members that one schema may require: each has a bit.
const MAX_REQUIRED: usize = u64::BITS as usize;

/// Keywords that no value can break; `format` is not asserted.
const ANNOTATIONS: [&str; 13] = [
    "$comment",
    "$defs",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "default",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];

/// A number beyond this is not told apart from its neighbours by every reader (RFC 8259, 6).
const EXACT: f64 = 9_007_199_254_740_991.0;

pub(super) struct Reading<'a> {
    definitions: Option<&'a Map<String, Value>>,
    rules: Vec<Rule>,
    /// The rules of definitions, by name.
    known: HashMap<&'a str, usize>,
    /// Definitions whose rules are still to be read.
    unread: Vec<(usize, &'a Value)>,
}

impl<'a> Reading<'a> {
    /// The rules of a schema whose references all lead to its own `$defs`.
    pub(super) fn of(schema: &'a Value) -> Accept {
        let mut reading = Self {
            definitions: schema.get("$defs").and_then(Value::as_object),
            rules: vec![Rule::Anything, Rule::Unknown],
            known: HashMap::new(),
            unread: Vec::new(),
        };
        let root = reading.target(schema, 0);
        while let Some((rule, definition)) = reading.unread.pop() {
            let target = reading.target(definition, 0);
            reading.define(rule, target);
        }
        Accept {
            rules: reading.rules,
            root,
        }
    }

    fn target(&mut self, schema: &'a Value, depth: usize) -> Target {
        let members = match schema {
            Value::Bool(true) => return Target::to(ANYTHING),
            Value::Object(members) if depth < MAX_DEPTH => members,
            _ => return Target::to(UNKNOWN),
        };
        if let Some(reference) = members.get("$ref") {
            return self.reference(members, reference);
        }
        if let Some(choices) = members.get("anyOf") {
            return self.nullable(members, choices, depth);
        }
        let Some(shape) = self.shape(members, depth) else {
            return Target::to(UNKNOWN);
        };
        self.rules.push(Rule::Value(shape));
        Target::to(self.rules.len() - 1)
    }

    fn reference(&mut self, members: &Map<String, Value>, reference: &'a Value) -> Target {
        let name = reference
            .as_str()
            .and_then(|text| text.strip_prefix("#/$defs/"));
        let found = name.and_then(|name| Some((name, self.definitions?.get(name)?)));
        let Some((name, definition)) = found.filter(|_| only(members, &["$ref"])) else {
            return Target::to(UNKNOWN);
        };
        let rule = *self.known.entry(name).or_insert_with(|| {
            let rule = self.rules.len();
            self.rules.push(Rule::Unknown);
            self.unread.push((rule, definition));
            rule
        });
        Target::to(rule)
    }

    /// A definition's rule is the same as what was read. One that leads only to itself stays unknown.
    fn define(&mut self, rule: usize, mut target: Target) {
        while let Some(Rule::Same(next)) = self.rules.get(target.rule) {
            target = target.or(*next);
        }
        if target.rule != rule
            && let Some(own) = self.rules.get_mut(rule)
        {
            *own = Rule::Same(target);
        }
    }

    /// The one combination that is understood: a schema or `null`.
    fn nullable(
        &mut self,
        members: &Map<String, Value>,
        choices: &'a Value,
        depth: usize,
    ) -> Target {
        let is_null = |choice: &Value| {
            choice.as_object().is_some_and(|members| {
                members.len() == 1 && members.get("type") == Some(&"null".into())
            })
        };
        let other = match choices.as_array().map(Vec::as_slice) {
            Some([null, other] | [other, null]) if is_null(null) => other,
            _ => return Target::to(UNKNOWN),
        };
        if !only(members, &["anyOf"]) {
            return Target::to(UNKNOWN);
        }
        Target {
            nullable: true,
            ..self.target(other, depth + 1)
        }
    }

    fn shape(&mut self, members: &'a Map<String, Value>, depth: usize) -> Option<Shape> {
        let understood = [
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "enum",
            "maximum",
            "maxItems",
            "maxLength",
            "minimum",
            "minItems",
            "minLength",
        ];
        if !only(members, &understood) {
            return None;
        }
        let types = match members.get("enum") {
            None => Types::of(members.get("type"))?,
            // Only texts are understood.
            Some(_) if Types::of(members.get("type"))?.has(Types::STRING) => Types(Types::STRING),
            Some(_) => return None,
        };
        let texts = members.get("enum").map(texts);
        let texts = match texts {
            Some(texts) => Some(texts?),
            None => None,
        };
        let numbers = (
            number(members, "minimum", f64::NEG_INFINITY)?,
            number(members, "maximum", f64::INFINITY)?,
        );
        let count = |least: &str, most: &str| {
            Some((count(members, least, 0)?, count(members, most, u64::MAX)?))
        };
        let (lengths, counts) = (
            count("minLength", "maxLength")?,
            count("minItems", "maxItems")?,
        );
        let mut below = |keyword: &str| {
            members.get(keyword).map_or(Target::to(ANYTHING), |schema| {
                self.target(schema, depth + 1)
            })
        };
        let (others, items) = (below("additionalProperties"), below("items"));
        let mut named: Vec<Member> = Vec::new();
        if let Some(properties) = members.get("properties") {
            for (name, schema) in properties.as_object()? {
                named.push(Member {
                    name: name.as_str().into(),
                    target: self.target(schema, depth + 1),
                    required: 0,
                });
            }
        }
        let mut required = 0;
        let names = match members.get("required") {
            Some(names) => names.as_array()?.as_slice(),
            None => &[],
        };
        if names.len() > MAX_REQUIRED {
            return None;
        }
        for (index, name) in names.iter().enumerate() {
            let (name, bit) = (name.as_str()?, 1 << index);
            required |= bit;
            match named.iter_mut().find(|member| *member.name == *name) {
                Some(member) => member.required |= bit,
                None => named.push(Member {
                    name: name.into(),
                    target: others,
                    required: bit,
                }),
            }
        }
        named.sort_by(|a, b| order(&a.name, &b.name));
        Some(Shape {
            types,
            members: named,
            required,
            others,
            items,
            numbers,
            lengths,
            counts,
            texts,
        })
    }
}

fn number(members: &Map<String, Value>, keyword: &str, default: f64) -> Option<f64> {
    let number = members.get(keyword).map_or(Some(default), Value::as_f64)?;
    (number.is_infinite() || number.abs() <= EXACT).then_some(number)
}

fn count(members: &Map<String, Value>, keyword: &str, default: u64) -> Option<u64> {
    members.get(keyword).map_or(Some(default), Value::as_u64)
}

fn texts(choices: &Value) -> Option<Box<[Box<str>]>> {
    let texts = choices.as_array()?.iter().filter(|text| !text.is_null());
    texts.map(|text| text.as_str().map(Box::from)).collect()
}

/// Whether a schema has no other keywords than these and annotations.
fn only(members: &Map<String, Value>, keywords: &[&str]) -> bool {
    members
        .keys()
        .all(|key| keywords.contains(&key.as_str()) || ANNOTATIONS.contains(&key.as_str()))
}
