//! All of YAML 1.2, by the events of a parser.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::thread;

use mcphub_core::{Error, ErrorKind, Result};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::super::node::{Node, Object};
use super::{BYTES_OF_NODE, borrowed};

/// The deepest nesting, as `serde_json` has it.
const MAX_DEPTH: usize = 128;

/// The stack of as many levels, which take 0.5 MiB of it, and 3 MiB without optimisation. Threads of
/// a runtime have 2 MiB.
const STACK: usize = 16 << 20;

/// Reads any document that may grow to `limit` bytes.
pub(super) fn read(text: &str, limit: usize) -> Result<Node<'_>> {
    thread::scope(|scope| {
        let reader = thread::Builder::new().stack_size(STACK);
        let reader = reader
            .spawn_scoped(scope, || parse(text, limit))
            .map_err(|error| Error::internal("no thread can be started").caused_by(error))?;
        reader
            .join()
            .unwrap_or_else(|_| Err(Error::internal("the reader of YAML ended early")))
    })
}

fn parse(text: &str, limit: usize) -> Result<Node<'_>> {
    let options = serde_saphyr::options! {
        // Real documents have hundreds of thousands of nodes. What aliases add is bounded below.
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: None,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_depth: MAX_DEPTH,
            enforce_alias_anchor_ratio: false,
        },
        duplicate_keys: DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let room = Room {
        bytes: Cell::new(limit),
        nodes: Cell::new(limit / BYTES_OF_NODE),
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        YamlNode(&room).deserialize(deserializer)
    })
    .map_err(|error| {
        let place = error.location();
        let mut told = Error::new(ErrorKind::InvalidDocument, "the document is not valid YAML");
        if let Some(place) = place {
            told = told
                .with("line", place.line())
                .with("column", place.column());
        }
        told.with("reason", error.without_snippet())
    })
}

/// What a YAML document may still become: aliases repeat nodes and text without limit.
struct Room {
    bytes: Cell<usize>,
    nodes: Cell<usize>,
}

impl Room {
    fn take<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        match (
            self.bytes.get().checked_sub(bytes),
            self.nodes.get().checked_sub(1),
        ) {
            (Some(bytes), Some(nodes)) => {
                self.bytes.set(bytes);
                self.nodes.set(nodes);
                Ok(())
            }
            _ => Err(E::custom(
                "its aliases make it larger than the limit for a document",
            )),
        }
    }
}

/// Reads one node, whatever it is. Unlike `Value`'s own reader it takes keys as they are written
/// (`200`, `true`) and integers of any size.
#[derive(Clone, Copy)]
struct YamlNode<'r>(&'r Room);

impl<'de> DeserializeSeed<'de> for YamlNode<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for YamlNode<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML node")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node<'de>, E> {
        self.0.take(1)?;
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node<'de>, E> {
        self.0.take(1)?;
        Ok(Node::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node<'de>, E> {
        self.0.take(1)?;
        Ok(Node::Number(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Node<'de>, E> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.visit_i64(value),
            (_, Ok(value)) => self.visit_u64(value),
            // As JSON's reader does with what fits neither.
            _ => self.visit_f64(value as f64),
        }
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Node<'de>, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node<'de>, E> {
        self.0.take(1)?;
        Ok(Number::from_f64(value).map_or(Node::Null, Node::Number))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Node<'de>, E> {
        self.0.take(value.len())?;
        Ok(Node::String(borrowed(value)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node<'de>, E> {
        self.0.take(value.len())?;
        Ok(Node::String(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Node<'de>, E> {
        self.0.take(value.len())?;
        Ok(Node::String(Cow::Owned(value)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node<'de>, E> {
        self.0.take(1)?;
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node<'de>, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Node<'de>, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        self.0.take(2)?;
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            out.push(item);
        }
        Ok(Node::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        self.0.take(2)?;
        let mut out = Vec::new();
        while let Some(YamlName(key)) = members.next_key()? {
            self.0.take(key.len())?;
            out.push((key, members.next_value_seed(self)?));
        }
        Ok(Node::Object(Object::new(out)))
    }
}

/// The name of a member, as it is written.
struct YamlName<'d>(Cow<'d, str>);

impl<'de> Deserialize<'de> for YamlName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(YamlNameVisitor)
    }
}

struct YamlNameVisitor;

impl<'de> Visitor<'de> for YamlNameVisitor {
    type Value = YamlName<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(YamlName(borrowed(name)))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(YamlName(Cow::Owned(name.to_owned())))
    }

    fn visit_string<E: de::Error>(self, name: String) -> Result<Self::Value, E> {
        Ok(YamlName(Cow::Owned(name)))
    }
}
