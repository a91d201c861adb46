//! The arguments of one call, as the client wrote them.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Error, Result};

/// The arguments of one call: a JSON object whose values keep the text in which they were sent, so
/// that a number of any size and precision reaches the API as it was written.
#[derive(Debug, Clone, Default)]
pub struct Arguments(IndexMap<String, Box<RawValue>>);

impl Arguments {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// `InvalidInput` when it is not a JSON object, or has a member twice: what was checked and
    /// what is sent must not differ.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| {
            Error::invalid("the arguments are not a JSON object with distinct members")
                .caused_by(error)
        })
    }

    /// The text of one argument.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// The names, in the order in which they were sent.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The arguments as one value, for validation.
    ///
    /// # Errors
    /// `InvalidInput` when a value nests deeper than 128 levels.
    pub fn to_value(&self) -> Result<Value> {
        let members = self.0.iter().map(|(name, raw)| {
            let value = serde_json::from_str(raw.get()).map_err(|error| {
                Error::invalid("an argument cannot be read")
                    .with("argument", name)
                    .caused_by(error)
            })?;
            Ok((name.clone(), value))
        });
        members.collect::<Result<_>>().map(Value::Object)
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Arguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = IndexMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.contains_key(&name) {
                        return Err(serde::de::Error::custom(format!(
                            "member `{name}` appears twice"
                        )));
                    }
                    members.insert(name, value);
                }
                Ok(Arguments(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_text_and_duplicates_are_refused() {
        let arguments =
            Arguments::parse(r#"{"id": 123456789012345678901234567890, "p": 1.10}"#).unwrap();
        assert_eq!(
            arguments.get("id").unwrap().get(),
            "123456789012345678901234567890"
        );
        assert_eq!(arguments.get("p").unwrap().get(), "1.10");
        let error = Arguments::parse(r#"{"a": 1, "a": 2}"#).unwrap_err();
        assert!(
            error.report().contains("`a` appears twice"),
            "{}",
            error.report()
        );
        assert!(Arguments::parse("[1]").is_err());
    }
}
