//! JSON as it is held against a schema: borrowed from its text, and read once.
//!
//! `serde_json::Value` would copy each string and hash each member, which costs more than the check
//! itself.

use std::borrow::Cow;
use std::fmt;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use mcphub_core::call::Arguments;
use mcphub_core::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// Objects with more members than this are sorted, because each look-up goes through all of them.
const MAX_UNSORTED: usize = 32;

/// One JSON value. Of a member that is there twice the last counts.
#[derive(Debug, Default)]
pub(super) enum Tree<'a> {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'a, str>),
    Array(Vec<Tree<'a>>),
    Object(Members<'a>),
}

/// The members of an object.
#[derive(Debug)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, Tree<'a>)>);

impl<'a> Members<'a> {
    fn new(mut members: Vec<(Cow<'a, str>, Tree<'a>)>) -> Self {
        if members.len() > MAX_UNSORTED {
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        Self(members)
    }

    fn get(&self, name: &str) -> Option<&Tree<'a>> {
        let Self(members) = self;
        if members.len() <= MAX_UNSORTED {
            return members
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value);
        }
        let after = members.partition_point(|(known, _)| known.as_ref() <= name);
        members[..after]
            .last()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

impl<'a> Tree<'a> {
    /// The arguments of a call as one object.
    ///
    /// # Errors
    /// `InvalidInput` when a value nests deeper than 128 levels.
    pub(super) fn of_arguments(arguments: &'a Arguments<'_>) -> Result<Self> {
        let members = arguments.iter().map(|(name, raw)| {
            let value = serde_json::from_str(raw.get()).map_err(|error| {
                Error::invalid("an argument cannot be read")
                    .with("argument", name)
                    .caused_by(error)
            })?;
            Ok((Cow::Borrowed(name), value))
        });
        Ok(Self::Object(Members::new(members.collect::<Result<_>>()?)))
    }
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree<'de>, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree<'de>, E> {
        Ok(Tree::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree<'de>, E> {
        // JSON has no number that is not finite.
        Ok(Number::from_f64(value).map_or(Tree::Null, Tree::Number))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Tree<'de>, E> {
        Ok(Tree::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree<'de>, E> {
        Ok(Tree::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Tree::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Tree::Object(Members::new(members)))
    }
}

/// A member's name, borrowed where it has no escapes; `Cow` by itself always copies.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// [`Tree`] as the validator knows it.
pub(super) struct Borrowed;

impl Json for Borrowed {
    type Node<'a> = &'a Tree<'a>;
    type PreparedKey = Box<str>;
    type StringBuffer = Tree<'static>;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(
        buffer: &mut Tree<'static>,
        string: &str,
        f: impl for<'b> FnOnce(&'b Tree<'b>) -> T,
    ) -> T {
        *buffer = Tree::String(Cow::Owned(string.to_owned()));
        f(buffer)
    }
}

impl<'a> Node<'a, Borrowed> for &'a Tree<'a> {
    type Object = &'a Members<'a>;
    type Array = &'a [Tree<'a>];
    type Number = &'a Number;

    fn as_object(&self) -> Option<&'a Members<'a>> {
        if let Tree::Object(members) = self {
            Some(members)
        } else {
            None
        }
    }

    fn as_array(&self) -> Option<&'a [Tree<'a>]> {
        if let Tree::Array(items) = self {
            Some(items)
        } else {
            None
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        if let Tree::String(text) = self {
            Some(Cow::Borrowed(text))
        } else {
            None
        }
    }

    fn as_number(&self) -> Option<&'a Number> {
        if let Tree::Number(number) = self {
            Some(number)
        } else {
            None
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Tree::Bool(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Tree::Null)
    }

    fn json_type(&self) -> JsonType {
        match self {
            Tree::Null => JsonType::Null,
            Tree::Bool(_) => JsonType::Boolean,
            Tree::Number(_) => JsonType::Number,
            Tree::String(_) => JsonType::String,
            Tree::Array(_) => JsonType::Array,
            Tree::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self, expected) {
            (Tree::String(text), Value::String(expected)) => text == expected,
            (Tree::String(_), _) | (_, Value::String(_)) => false,
            _ => jsonschema::json::cmp::equal(&self.to_value(), expected),
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        Cow::Owned(match self {
            Tree::Null => Value::Null,
            Tree::Bool(value) => Value::Bool(*value),
            Tree::Number(number) => Value::Number(number.clone()),
            Tree::String(text) => Value::String(text.to_string()),
            Tree::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.to_value().into_owned())
                    .collect(),
            ),
            Tree::Object(Members(members)) => {
                let members = members
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.to_value().into_owned()));
                Value::Object(members.collect())
            }
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(
            std::ptr::from_ref::<Tree<'a>>(*self).addr(),
        ))
    }
}

impl<'a> Object<'a, Borrowed> for &'a Members<'a> {
    type Node = &'a Tree<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, name: &Box<str>) -> Option<&'a Tree<'a>> {
        Members::get(self, name)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.0.iter())
    }
}

pub(super) struct MembersIter<'a>(std::slice::Iter<'a, (Cow<'a, str>, Tree<'a>)>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, &'a Tree<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_ref(), value))
    }
}

impl<'a> Array<'a, Borrowed> for &'a [Tree<'a>] {
    type Node = &'a Tree<'a>;
    type ElementsIter = std::slice::Iter<'a, Tree<'a>>;

    fn len(&self) -> usize {
        <[Tree<'a>]>::len(self)
    }

    fn elements(&self) -> std::slice::Iter<'a, Tree<'a>> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_validator_accepts_it_as_json() {
        let text = jsonschema::json::conformance::document().to_string();
        let tree: Tree<'_> = serde_json::from_str(&text).unwrap();
        jsonschema::json::conformance::assert_conformance::<Borrowed>(&&tree);
    }

    #[test]
    fn it_is_what_was_written() {
        let value = json!({"a": [1, -2, 1.5, 1e300, true, null, "x\u{e9}\n"], "b\n": {"c": {}}});
        let text = value.to_string();
        let tree: Tree<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!((&tree).to_value().into_owned(), value);
    }

    #[test]
    fn the_last_of_equal_members_counts_in_small_and_large_objects() {
        for count in [1, 100] {
            let members: Vec<_> = (0..count).map(|n| format!(r#""m{n}":0,"a":{n}"#)).collect();
            let text = format!("{{{}}}", members.join(","));
            let tree: Tree<'_> = serde_json::from_str(&text).unwrap();
            let Tree::Object(members) = &tree else {
                panic!()
            };
            let found = members.get("a").map(|value| value.to_value().into_owned());
            assert_eq!(found, Some(json!(count - 1)));
            assert!(
                members.get("m0").is_some()
                    && members.get("b").is_none()
                    && members.get("").is_none()
            );
        }
    }
}
