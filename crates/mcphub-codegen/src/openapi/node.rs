//! The document as it was read: JSON that leaves its text where the document has it.
//!
//! Reading to a `serde_json::Value` allocates and hashes every key of every object, which takes
//! longer than everything that is done with them. Here an object is a list, text without escapes is
//! borrowed, and only an object with many members gets an index.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use indexmap::IndexMap;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use crate::json_size;

/// The most members that are searched one by one.
const FEW: usize = 16;

/// A JSON value of the document.
#[derive(Debug)]
pub(super) enum Node<'d> {
    Null,
    Bool(bool),
    Number(Number),
    String(Cow<'d, str>),
    Array(Vec<Node<'d>>),
    Object(Object<'d>),
}

/// The members of an object in document order. Of several with one name there is only the last, in
/// the place of the first, as in a `serde_json::Map`.
#[derive(Debug, Default)]
pub(super) struct Object<'d> {
    members: Vec<(Cow<'d, str>, Node<'d>)>,
    /// The places of the members in the order of their names; empty where there are few.
    by_name: Box<[usize]>,
}

impl<'d> Node<'d> {
    /// A member, if this is an object that has it.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    pub(super) fn as_object(&self) -> Option<&Object<'d>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(super) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What stands at an RFC 6901 JSON pointer.
    pub(super) fn pointer(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        let mut node = self;
        for token in pointer.strip_prefix('/')?.split('/') {
            node = match node {
                Self::Object(object) if token.contains('~') => {
                    object.get(&token.replace("~1", "/").replace("~0", "~"))?
                }
                Self::Object(object) => object.get(token)?,
                Self::Array(items) => items.get(index(token)?)?,
                _ => return None,
            };
        }
        Some(node)
    }

    /// The bytes of it as JSON without white space.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Null => 4,
            Self::Bool(flag) => 5 - usize::from(*flag),
            Self::Number(number) => json_size::number(number),
            Self::String(text) => text_size(text),
            Self::Array(items) => {
                let items = items.iter().map(|item| item.size() + 1);
                1 + items.sum::<usize>().max(1)
            }
            Self::Object(object) => {
                let members = object.members.iter();
                let members = members.map(|(name, node)| text_size(name) + node.size() + 2);
                1 + members.sum::<usize>().max(1)
            }
        }
    }

    /// The same as a value of its own.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::String(text) => Value::String(text.as_ref().to_owned()),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(object) => {
                let mut members = Map::with_capacity(object.len());
                for (name, node) in object {
                    members.insert(name.to_owned(), node.to_value());
                }
                Value::Object(members)
            }
        }
    }
}

/// An item's place: digits without leading zeros (RFC 6901, 4).
fn index(token: &str) -> Option<usize> {
    let legal = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| legal)
}

impl<'d> Object<'d> {
    pub(super) fn new(members: Vec<(Cow<'d, str>, Node<'d>)>) -> Self {
        if members.len() <= FEW {
            let again = |(place, (name, _)): (usize, &(Cow<'_, str>, _))| {
                members.iter().take(place).any(|(other, _)| other == name)
            };
            if members.iter().enumerate().any(again) {
                return Self::distinct(members);
            }
            return Self {
                members,
                by_name: Box::default(),
            };
        }
        let mut by_name: Box<[usize]> = (0..members.len()).collect();
        by_name.sort_unstable_by(|a, b| members[*a].0.cmp(&members[*b].0));
        if by_name
            .windows(2)
            .any(|pair| members[pair[0]].0 == members[pair[1]].0)
        {
            return Self::distinct(members);
        }
        Self { members, by_name }
    }

    /// Of members that may have one name the last.
    fn distinct(members: Vec<(Cow<'d, str>, Node<'d>)>) -> Self {
        let distinct: IndexMap<_, _> = members.into_iter().collect();
        Self::new(distinct.into_iter().collect())
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Node<'d>> {
        let member = if self.by_name.is_empty() {
            self.members.iter().find(|(other, _)| other == name)
        } else {
            let found = self
                .by_name
                .binary_search_by(|place| self.members[*place].0.as_ref().cmp(name));
            found.ok().map(|rank| &self.members[self.by_name[rank]])
        };
        member.map(|(_, node)| node)
    }

    pub(super) fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn iter(&self) -> Members<'_, 'd> {
        self.into_iter()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }
}

/// The members of an [`Object`].
#[derive(Debug)]
pub(super) struct Members<'o, 'd>(std::slice::Iter<'o, (Cow<'d, str>, Node<'d>)>);

impl<'o, 'd> Iterator for Members<'o, 'd> {
    type Item = (&'o str, &'o Node<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, node)| (name.as_ref(), node))
    }
}

impl<'o, 'd> IntoIterator for &'o Object<'d> {
    type Item = (&'o str, &'o Node<'d>);
    type IntoIter = Members<'o, 'd>;

    fn into_iter(self) -> Self::IntoIter {
        Members(self.members.iter())
    }
}

impl From<Value> for Node<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::String(Cow::Owned(text)),
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                let members = members.into_iter();
                let members = members.map(|(name, value)| (Cow::Owned(name), Self::from(value)));
                Self::Object(Object::new(members.collect()))
            }
        }
    }
}

impl PartialEq<str> for Node<'_> {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == Some(text)
    }
}

impl PartialEq<Value> for Node<'_> {
    fn eq(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(b)) => a == b,
            (Self::String(a), Value::String(b)) => a == b,
            (Self::Array(a), Value::Array(b)) => a == b,
            (Self::Object(a), Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(name, node)| b.get(name).is_some_and(|value| node == value))
            }
            _ => false,
        }
    }
}

/// Reads JSON, and how many bytes it has without white space.
///
/// # Errors
/// What `serde_json` says of text that is no JSON, or nests too deep.
pub(super) fn read_json(text: &str) -> serde_json::Result<(Node<'_>, usize)> {
    let reading = Reading::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let node = NodeSeed(&reading).deserialize(&mut json)?;
    json.end()?;
    let size = match reading.repeats.get() {
        true => node.size(),
        false => reading.size.get(),
    };
    Ok((node, size))
}

/// What is known while a document is read.
#[derive(Default)]
struct Reading<'de> {
    /// The bytes of what was read, as JSON without white space.
    size: Cell<usize>,
    /// Whether an object has several members of one name, so that the bytes are too many.
    repeats: Cell<bool>,
    /// What was read of objects and lists that have not ended, so that each takes the room that it
    /// needs and no more.
    members: RefCell<Vec<(Cow<'de, str>, Node<'de>)>>,
    items: RefCell<Vec<Node<'de>>>,
}

impl Reading<'_> {
    fn add(&self, bytes: usize) {
        self.size.set(self.size.get() + bytes);
    }
}

#[derive(Clone, Copy)]
struct NodeSeed<'r, 'de>(&'r Reading<'de>);

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, 'de> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, 'de> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        self.0.add(4);
        Ok(Node::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
        self.0.add(5 - usize::from(flag));
        Ok(Node::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.number(Some(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.number(Some(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        self.number(Number::from_f64(number))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.0.add(text.len() + 2);
        Ok(Node::String(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.0.add(json_size::string(text));
        Ok(Node::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let items = &self.0.items;
        let start = items.borrow().len();
        while let Some(item) = access.next_element_seed(self)? {
            items.borrow_mut().push(item);
        }
        let items: Vec<_> = items.borrow_mut().drain(start..).collect();
        self.0.add(json_size::framed(items.len()));
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let members = &self.0.members;
        let start = members.borrow().len();
        while let Some(Name(name)) = access.next_key()? {
            self.0.add(text_size(&name) + 1);
            let node = access.next_value_seed(self)?;
            members.borrow_mut().push((name, node));
        }
        let members: Vec<_> = members.borrow_mut().drain(start..).collect();
        let count = members.len();
        self.0.add(json_size::framed(count));
        let object = Object::new(members);
        if object.len() < count {
            self.0.repeats.set(true);
        }
        Ok(Node::Object(object))
    }
}

impl<'de> NodeSeed<'_, 'de> {
    fn number<E>(self, number: Option<Number>) -> Result<Node<'de>, E> {
        self.0.add(number.as_ref().map_or(4, json_size::number));
        Ok(number.map_or(Node::Null, Node::Number))
    }
}

/// The bytes of text as JSON.
#[expect(clippy::ptr_arg, reason = "it matters whether the text is borrowed")]
fn text_size(text: &Cow<'_, str>) -> usize {
    match text {
        // Text that is borrowed has no escapes.
        Cow::Borrowed(text) => text.len() + 2,
        Cow::Owned(text) => json_size::string(text),
    }
}

/// The name of a member. A `Cow` itself would always be read as an owned one.
struct Name<'d>(Cow<'d, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, read_json};
    use serde_json::Value;

    /// A document with every kind of value, and an object with `count` members besides.
    fn document(count: usize) -> String {
        let many: Vec<String> = (0..count)
            .map(|n| format!("\"m{}\": {n}", n * 7 % count))
            .collect();
        format!(
            r#"{{"text": "a\nb", "plain": "c", "list": [null, true, -1, 18446744073709551615, 1.5, {{}}],
                "twice": 1, "a/b~c": {{"": 0}}, "twice": 2, "many": {{{}}}}}"#,
            many.join(", ")
        )
    }

    #[test]
    fn a_document_reads_as_a_value_does() {
        for count in [0, 1, 16, 17, 500] {
            let text = document(count);
            let (node, size) = read_json(&text).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(node, value);
            assert_eq!(size, value.to_string().len());
            // What has no name twice is counted while it is read.
            let (_, size) = read_json(&value.to_string()).unwrap();
            assert_eq!(size, value.to_string().len());
            // Equality of values does not look at the order.
            assert_eq!(node.to_value().to_string(), value.to_string());
            assert_eq!(node.size(), value.to_string().len());
            assert_eq!(Node::from(value.clone()).size(), value.to_string().len());
            assert_eq!(
                Node::from(value.clone()).to_value().to_string(),
                value.to_string()
            );
        }
    }

    #[test]
    fn members_are_found_among_few_and_many() {
        for count in [3, 16, 17, 500] {
            let text = document(count);
            let (node, _) = read_json(&text).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap();
            for place in 0..=count {
                let name = format!("m{place}");
                let expected = value["many"].get(&name);
                let found = node.get("many").unwrap().get(&name);
                assert_eq!(
                    found.map(Node::to_value).as_ref(),
                    expected,
                    "{name} of {count}"
                );
            }
        }
    }

    #[test]
    fn the_last_of_several_members_counts_among_many_too() {
        let members: Vec<String> = (0..40).map(|n| format!("\"m{}\": {n}", n % 20)).collect();
        let text = format!("{{{}}}", members.join(", "));
        let (node, _) = read_json(&text).unwrap();
        assert_eq!(node, serde_json::from_str::<Value>(&text).unwrap());
        assert_eq!(node.get("m3").unwrap().to_value(), 23);
        assert_eq!(node.as_object().unwrap().len(), 20);
    }

    #[test]
    fn pointers_lead_where_rfc_6901_says() {
        let text = document(20);
        let (node, _) = read_json(&text).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        for pointer in [
            "",
            "/",
            "/list/1",
            "/list/01",
            "/list/+1",
            "/list/9",
            "/list/-",
            "/a~1b~0c/",
            "/a/b",
            "/many/m3",
            "/text/0",
            "list",
        ] {
            let found = node.pointer(pointer).map(Node::to_value);
            assert_eq!(found.as_ref(), value.pointer(pointer), "{pointer}");
        }
    }
}
