//! What surely fits a schema, told in one pass over its text.
//!
//! The validator holds a value in memory against a schema, and making that value costs more than
//! the rest of a small call's answer. Most answers fit, and most output schemas say no more than
//! types, members and items; for these one reading without an allocation is enough. Whatever does
//! not fit, and whatever a schema says beyond that, is left to the validator, whose word counts.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

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

/// A schema as far as it is understood here.
#[derive(Debug)]
pub(super) struct Accept {
    rules: Vec<Rule>,
    root: Target,
}

/// A rule, by its index, and whether `null` is as good.
#[derive(Debug, Clone, Copy)]
struct Target {
    rule: usize,
    nullable: bool,
}

#[derive(Debug)]
enum Rule {
    Anything,
    /// Beyond what is understood here.
    Unknown,
    Same(Target),
    Value(Shape),
}

/// The rules that are there before any schema is read.
const ANYTHING: usize = 0;
const UNKNOWN: usize = 1;

#[derive(Debug)]
struct Shape {
    types: Types,
    /// In the order of [`order`].
    members: Vec<Member>,
    /// The bits of all members that have to be there.
    required: u64,
    /// Of members without a rule of their own.
    others: Target,
    items: Target,
}

#[derive(Debug)]
struct Member {
    name: Box<str>,
    target: Target,
    /// One bit, if the member has to be there.
    required: u64,
}

#[derive(Debug, Clone, Copy)]
struct Types(u8);

impl Types {
    const NULL: u8 = 1;
    const BOOLEAN: u8 = 2;
    const INTEGER: u8 = 4;
    const NUMBER: u8 = 8;
    const STRING: u8 = 16;
    const ARRAY: u8 = 32;
    const OBJECT: u8 = 64;

    fn has(self, any: u8) -> bool {
        self.0 & any != 0
    }

    fn bit(name: &Value) -> Option<u8> {
        Some(match name.as_str()? {
            "null" => Self::NULL,
            "boolean" => Self::BOOLEAN,
            "integer" => Self::INTEGER,
            "number" => Self::NUMBER,
            "string" => Self::STRING,
            "array" => Self::ARRAY,
            "object" => Self::OBJECT,
            _ => return None,
        })
    }

    fn of(keyword: Option<&Value>) -> Option<Self> {
        match keyword {
            None => Some(Self(u8::MAX)),
            Some(Value::Array(names)) => names
                .iter()
                .try_fold(0, |bits, name| Some(bits | Self::bit(name)?))
                .map(Self),
            Some(name) => Self::bit(name).map(Self),
        }
    }
}

impl Target {
    const fn to(rule: usize) -> Self {
        let nullable = false;
        Self { rule, nullable }
    }

    /// Where this one leads on to.
    fn or(self, next: Self) -> Self {
        Self {
            nullable: self.nullable || next.nullable,
            ..next
        }
    }
}

impl Accept {
    /// Reads a schema whose references all lead to its own `$defs`.
    pub(super) fn new(schema: &Value) -> Self {
        let mut reading = Reading {
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
        Self {
            rules: reading.rules,
            root,
        }
    }

    /// Whether this JSON text is a value that surely fits. `false` says nothing.
    pub(super) fn fits(&self, text: &str) -> bool {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = self.seed(self.root).deserialize(&mut deserializer);
        read.is_ok() && deserializer.end().is_ok()
    }

    fn seed(&self, target: Target) -> Seed<'_> {
        Seed {
            accept: self,
            target,
        }
    }
}

struct Reading<'a> {
    definitions: Option<&'a Map<String, Value>>,
    rules: Vec<Rule>,
    /// The rules of definitions, by name.
    known: HashMap<&'a str, usize>,
    /// Definitions whose rules are still to be read.
    unread: Vec<(usize, &'a Value)>,
}

impl<'a> Reading<'a> {
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
        ];
        if !only(members, &understood) {
            return None;
        }
        let types = Types::of(members.get("type"))?;
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
        })
    }
}

/// Whether a schema has no other keywords than these and annotations.
fn only(members: &Map<String, Value>, keywords: &[&str]) -> bool {
    members
        .keys()
        .all(|key| keywords.contains(&key.as_str()) || ANNOTATIONS.contains(&key.as_str()))
}

/// Reads one value; an error is a value that does not surely fit.
#[derive(Clone, Copy)]
struct Seed<'s> {
    accept: &'s Accept,
    target: Target,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.accept.rules.get(self.target.rule) {
            Some(Rule::Anything) => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            Some(Rule::Value(shape)) => deserializer.deserialize_any(Held {
                accept: self.accept,
                nullable: self.target.nullable,
                shape,
            }),
            Some(Rule::Same(next)) => self
                .accept
                .seed(self.target.or(*next))
                .deserialize(deserializer),
            Some(Rule::Unknown) | None => Err(unsure()),
        }
    }
}

fn unsure<E: Error>() -> E {
    E::custom("unsure")
}

/// A value that is held against a shape.
struct Held<'s> {
    accept: &'s Accept,
    nullable: bool,
    shape: &'s Shape,
}

impl Held<'_> {
    fn any_of<E: Error>(&self, types: u8) -> Result<(), E> {
        if self.shape.types.has(types) {
            Ok(())
        } else {
            Err(unsure())
        }
    }
}

impl<'de> Visitor<'de> for Held<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if self.nullable {
            return Ok(());
        }
        self.any_of(Types::NULL)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.any_of(Types::BOOLEAN)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.any_of(Types::INTEGER | Types::NUMBER)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.any_of(Types::INTEGER | Types::NUMBER)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        // `1.0` is an integer too; the validator knows.
        self.any_of(Types::NUMBER)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.any_of(Types::STRING)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.any_of(Types::ARRAY)?;
        let seed = self.accept.seed(self.shape.items);
        while items.next_element_seed(seed)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.any_of(Types::OBJECT)?;
        let mut missing = self.shape.required;
        // Of a member that is there twice each has to fit, the last among them.
        while let Some(member) = map.next_key_seed(Named(&self.shape.members))? {
            let target = member.map_or(self.shape.others, |member| {
                missing &= !member.required;
                member.target
            });
            map.next_value_seed(self.accept.seed(target))?;
        }
        if missing == 0 { Ok(()) } else { Err(unsure()) }
    }
}

/// By length first, which tells most names apart without a look at them.
fn order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Reads a member's name and finds the member, without keeping the name.
struct Named<'s>(&'s [Member]);

impl<'s, 'de> DeserializeSeed<'de> for Named<'s> {
    type Value = Option<&'s Member>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'s, 'de> Visitor<'de> for Named<'s> {
    type Value = Option<&'s Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let found = self.0.binary_search_by(|member| order(&member.name, name));
        Ok(found.ok().and_then(|index| self.0.get(index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fits(schema: Value, text: &str) -> bool {
        Accept::new(&schema).fits(text)
    }

    #[test]
    fn types_members_and_items_are_understood() {
        let book = json!({
            "type": "object", "title": "Book", "required": ["isbn", "id"],
            "properties": {
                "isbn": {"type": "string", "format": "isbn"},
                "price": {"type": ["number", "null"]},
                "stock": {"type": "integer"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "next": {"anyOf": [{"$ref": "#/$defs/Book"}, {"type": "null"}]},
                "open": {},
            },
            "additionalProperties": {"type": "boolean"},
        });
        let schema = json!({"$ref": "#/$defs/Book", "$defs": {"Book": book}});
        for (text, expected) in [
            (r#"{"isbn":"1","id":true}"#, true),
            (
                r#"{"isbn":"1","id":true,"price":null,"tags":["a","\u0062"],"x":false}"#,
                true,
            ),
            (
                r#"{"isbn":"1","id":true,"next":{"id":false,"isbn":"2","next":null}}"#,
                true,
            ),
            (
                r#"{"i\u0073bn":"1","id":true,"open":{"a":[1,{}]},"stock":-7}"#,
                true,
            ),
            (r#"{"isbn":"1"}"#, false),
            (r#"{"isbn":"1","id":1}"#, false),
            (r#"{"isbn":"1","id":true,"tags":["a",1]}"#, false),
            (r#"{"isbn":"1","id":true,"next":{"isbn":"2"}}"#, false),
            (r#"{"isbn":1,"isbn":"1","id":true}"#, false),
            (r#"{"isbn":"1","id":true,"stock":1.5}"#, false),
            (r#"{"isbn":"1","id":true} x"#, false),
            (r#"{"isbn":"1","id":true"#, false),
            ("null", false),
        ] {
            assert_eq!(fits(schema.clone(), text), expected, "{text}");
        }
    }

    #[test]
    fn definitions_may_be_nullable_be_others_or_be_themselves() {
        let schema = |definitions: Value| json!({"$ref": "#/$defs/A", "$defs": definitions});
        let nullable = json!({"anyOf": [{"type": "null"}, {"type": "string"}]});
        assert!(fits(schema(json!({"A": nullable})), "null"));
        let chain = json!({"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/C"}, "C": {"type": "integer"}});
        assert!(fits(schema(chain.clone()), "1") && !fits(schema(chain), r#""1""#));
        let pair = json!({"type": "array", "items": {"$ref": "#/$defs/A"}});
        assert!(fits(schema(json!({"A": pair})), "[[],[[]]]"));
        for loops in [
            json!({"A": {"$ref": "#/$defs/A"}}),
            json!({"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}}),
        ] {
            assert!(!fits(schema(loops), "1"));
        }
    }

    #[test]
    fn what_is_not_understood_is_left_to_the_validator() {
        for schema in [
            json!(false),
            json!({"enum": ["a"]}),
            json!({"type": "string", "minLength": 1}),
            json!({"$ref": "#/$defs/none"}),
            json!({"$ref": "#/$defs/A", "type": "string", "$defs": {"A": {}}}),
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
            json!({"type": "stringy"}),
        ] {
            assert!(!fits(schema.clone(), r#""a""#), "{schema}");
        }
    }

    fn schemas() -> impl Strategy<Value = Value> {
        let types = [
            "null", "boolean", "integer", "number", "string", "array", "object",
        ];
        let leaf = prop_oneof![
            prop::sample::select(types.to_vec()).prop_map(|name| json!({"type": name})),
            prop::sample::subsequence(types.to_vec(), 1..4)
                .prop_map(|names| json!({"type": names})),
            Just(json!({})),
            Just(json!({"enum": [1, "a"]})),
            Just(json!({"$ref": "#/$defs/A"})),
            any::<bool>().prop_map(Value::Bool),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let members = prop::collection::btree_map("[ab]", inner.clone(), 0..3);
            let names = prop::collection::btree_set("[abc]", 0..3);
            prop_oneof![
                inner.clone().prop_map(|items| json!({"items": items})),
                inner.clone().prop_map(|other| json!({"anyOf": [other, {"type": "null"}]})),
                (members, names, inner).prop_map(|(members, names, others)| {
                    json!({"properties": members, "required": names, "additionalProperties": others})
                }),
            ]
        })
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-3_i64..3).prop_map(Value::from),
            Just(json!(1.0)),
            Just(json!(0.5)),
            "[a\"]{0,2}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::hash_map("[abcd]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_it_accepts_the_validator_accepts(root in schemas(), shared in schemas(), value in values()) {
            let schema = json!({"allOf": [root], "$defs": {"A": shared}});
            // A definition that is only itself has no meaning that could be compared.
            prop_assume!(shared.get("$ref").is_none());
            let mut own = root.as_object().cloned().unwrap_or_default();
            own.insert("$defs".into(), json!({"A": shared}));
            let accept = Accept::new(&Value::Object(own));
            if root.is_object() && accept.fits(&value.to_string()) {
                prop_assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&value));
            }
        }
    }
}
