//! The arguments of one call, as the client wrote them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use indexmap::IndexMap;
use serde::de::{MapAccess, SeqAccess, Visitor};
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
    /// `InvalidInput` when it is not a JSON object, or has a member twice at the top.
    pub fn parse(json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(indistinct)
    }

    /// Checks that no object in a JSON text, at any depth, has a member twice. Readers disagree
    /// about which of the two counts, so that what was checked and what is carried out could differ.
    ///
    /// # Errors
    /// `InvalidInput` when one has, when the text is no JSON, or nests deeper than 128 levels.
    pub fn refuse_repeated_members(json: &str) -> Result<()> {
        serde_json::from_str(json)
            .map(|Distinct| ())
            .map_err(indistinct)
    }

    /// The text of one argument.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// These arguments and the presets, which come before what was sent under their names.
    pub(super) fn with_presets(&self, presets: &IndexMap<String, Value>) -> Result<Cow<'_, Self>> {
        if presets.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut all = self.0.clone();
        for (name, value) in presets {
            let raw = serde_json::value::to_raw_value(value).map_err(|error| {
                Error::internal("a preset argument cannot be written").caused_by(error)
            })?;
            all.insert(name.clone(), raw);
        }
        Ok(Cow::Owned(Self(all)))
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

fn indistinct(error: serde_json::Error) -> Error {
    Error::invalid("the arguments are not a JSON object with distinct members").caused_by(error)
}

fn repeated<E: serde::de::Error>(name: &str) -> E {
    let name: String = name.chars().take(64).collect();
    E::custom(format!("member `{name}` appears twice"))
}

/// JSON that is only read through, whose objects have distinct members.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Distinct)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = Names::default();
        while let Some(Name(name)) = map.next_key()? {
            names.insert(name).map_err(|name| repeated(&name))?;
            map.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// The names of one object's members so far.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    /// Up to this many are faster searched than hashed.
    const FEW: usize = 16;

    /// Takes a name, or gives one back that is there already.
    fn insert(&mut self, name: Cow<'a, str>) -> Result<(), Cow<'a, str>> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Err(name);
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
        } else {
            self.many.insert(name);
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes; `Cow` by itself always copies.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

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
                        return Err(repeated(&name));
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

    #[test]
    fn members_that_appear_twice_are_found_at_any_depth() {
        let check = Arguments::refuse_repeated_members;
        for json in [
            r#"{"a": 1, "a": 2}"#,
            r#"{"o": {"a": 1, "\u0061": 2}}"#,
            r#"{"l": [null, true, -1, 1.5, "s", [{"a": {}, "b": [], "a": {}}]]}"#,
        ] {
            let report = check(json).unwrap_err().report();
            assert!(report.contains("`a` appears twice"), "{report}");
        }
        let many: Vec<_> = (0..100).map(|n| format!(r#""m{n}":{n}"#)).collect();
        check(&format!("{{{}}}", many.join(","))).unwrap();
        for again in ["m0", "m99"] {
            let json = format!(r#"{{{},"{again}":1}}"#, many.join(","));
            assert!(check(&json).is_err(), "{again}");
        }
        check(r#"{"a": {"a": [{"a": 18446744073709551616}, {"a": 1e2}]}, "b": "a"}"#).unwrap();
        assert!(check(&format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200))).is_err());
    }
}
