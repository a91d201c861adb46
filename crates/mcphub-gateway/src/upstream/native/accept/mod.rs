//! What surely fits a schema, told in one pass over its text.
//!
//! The validator holds a value in memory against a schema, and making that value costs more than
//! the rest of a small call's answer. Most answers fit, and most output schemas say no more than
//! types, members and items; for these one reading without an allocation is enough. Whatever does
//! not fit, and whatever a schema says beyond that, is left to the validator, whose word counts.

mod held;
mod reading;

use std::cmp::Ordering;

use mcphub_core::call::Arguments;
use serde::de::DeserializeSeed;
use serde_json::Value;

use self::held::Seed;
use self::reading::Reading;

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
    /// The values of a number, both ends among them.
    numbers: (f64, f64),
    /// How many characters a text has.
    lengths: (u64, u64),
    /// How many items an array has.
    counts: (u64, u64),
    /// The texts that are possible, of few.
    texts: Option<Box<[Box<str>]>>,
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
        Reading::of(schema)
    }

    /// Whether this JSON text is a value that surely fits. `false` says nothing.
    pub(super) fn fits(&self, text: &str) -> bool {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = self.seed(self.root).deserialize(&mut deserializer);
        read.is_ok() && deserializer.end().is_ok()
    }

    /// As [`Accept::fits`], of the arguments of a call as one object.
    pub(super) fn fits_all(&self, arguments: &Arguments<'_>) -> bool {
        let Some(Rule::Value(shape)) = self.rules.get(self.root.rule) else {
            return false;
        };
        if !shape.types.has(Types::OBJECT) {
            return false;
        }
        let mut missing = shape.required;
        arguments.iter().all(|(name, value)| {
            let member = shape.member(name);
            missing &= !member.map_or(0, |member| member.required);
            let target = member.map_or(shape.others, |member| member.target);
            let mut deserializer = serde_json::Deserializer::from_str(value.get());
            self.seed(target).deserialize(&mut deserializer).is_ok()
        }) && missing == 0
    }

    fn seed(&self, target: Target) -> Seed<'_> {
        Seed {
            accept: self,
            target,
        }
    }
}

impl Shape {
    fn member(&self, name: &str) -> Option<&Member> {
        let found = self
            .members
            .binary_search_by(|member| order(&member.name, name));
        found.ok().and_then(|index| self.members.get(index))
    }
}

/// By length first, which tells most names apart without a look at them.
fn order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests;
