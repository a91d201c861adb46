//! The arguments of one call, as the client wrote them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::LazyLock;

use indexmap::IndexMap;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Error, Result};

/// The arguments of one call: a JSON object whose values keep the text in which they were sent, so
/// that a number of any size and precision reaches the API as it was written.
///
/// No object in them, at any depth, has a member twice: readers disagree about which of the two
/// counts, so that what was checked and what is carried out could differ.
#[derive(Debug, Clone)]
pub struct Arguments<'a> {
    text: Cow<'a, RawValue>,
    members: Members<'a>,
}

/// In order. Most calls have a few, which are found by a look at each.
#[derive(Debug, Clone, Default)]
struct Members<'a> {
    all: Vec<Member<'a>>,
    /// Where they are by name, once there are more than [`FEW`]. The names are a stranger's, so the
    /// hasher has a random seed.
    places: Option<HashMap<String, usize, ahash::RandomState>>,
}

type Member<'a> = (Cow<'a, str>, Cow<'a, RawValue>);

/// Up to this many names are faster searched than hashed.
const FEW: usize = 16;

static EMPTY: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    // An empty object is JSON.
    RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
});

impl<'a> Members<'a> {
    fn find(&self, name: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(name).copied(),
            None => self.all.iter().position(|(known, _)| known == name),
        }
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        let (_, value) = self.all.get(self.find(name)?)?;
        Some(value)
    }

    /// Takes a member, in place of the one of that name if there is one.
    fn insert(&mut self, name: Cow<'a, str>, value: Cow<'a, RawValue>) {
        match self.find(&name).and_then(|at| self.all.get_mut(at)) {
            Some((_, known)) => *known = value,
            None => self.push(name, value),
        }
    }

    /// Takes a member that is not there.
    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, RawValue>) {
        if let Some(places) = &mut self.places {
            places.insert(name.clone().into_owned(), self.all.len());
        } else if self.all.len() == FEW {
            let names = self.all.iter().map(|(name, _)| name).chain([&name]);
            let places = names.enumerate().map(|(at, name)| (name.to_string(), at));
            self.places = Some(places.collect());
        }
        self.all.push((name, value));
    }
}

impl<'a> FromIterator<Member<'a>> for Members<'a> {
    fn from_iter<I: IntoIterator<Item = Member<'a>>>(members: I) -> Self {
        let mut all = Self::default();
        for (name, value) in members {
            all.insert(name, value);
        }
        all
    }
}

impl<'a> Arguments<'a> {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// `InvalidInput` when it is not a JSON object, when an object in it has a member twice, or
    /// when it nests deeper than 128 levels.
    pub fn parse(json: &'a str) -> Result<Self> {
        serde_json::from_str(json)
            .map_err(indistinct)
            .and_then(Self::of)
    }

    /// As [`Arguments::parse`], of what is known to be JSON.
    ///
    /// # Errors
    /// As [`Arguments::parse`].
    pub fn of(json: &'a RawValue) -> Result<Self> {
        let DistinctMembers(members) = serde_json::from_str(json.get()).map_err(indistinct)?;
        Ok(Self {
            text: Cow::Borrowed(json),
            members,
        })
    }

    /// The object as it was sent.
    pub fn text(&self) -> &RawValue {
        &self.text
    }

    /// The text of one argument.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.members.get(name)
    }

    /// All of them, in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        let members = self.members.all.iter();
        members.map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// These without one of them.
    pub fn without(&self, name: &str) -> Arguments<'_> {
        let others = || self.iter().filter(|(known, _)| *known != name);
        let members = others()
            .map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value)))
            .collect();
        let pairs: IndexMap<&str, &RawValue> = others().collect();
        let text = serde_json::value::to_raw_value(&pairs);
        Arguments {
            // Names and values that were read can be written.
            text: Cow::Owned(text.unwrap_or_else(|_| EMPTY.clone())),
            members,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.all.is_empty()
    }

    /// These arguments without what they borrow.
    pub fn into_owned(self) -> Arguments<'static> {
        let members = self.members.all.into_iter().map(|(name, value)| {
            (
                Cow::Owned(name.into_owned()),
                Cow::Owned(value.into_owned()),
            )
        });
        Arguments {
            text: Cow::Owned(self.text.into_owned()),
            members: members.collect(),
        }
    }

    /// The values by name with the presets, which come before what was sent under their names.
    pub(super) fn with_presets(&self, presets: &IndexMap<String, Value>) -> Result<Cow<'_, Self>> {
        if presets.is_empty() {
            return Ok(Cow::Borrowed(self));
        }
        let mut all = self.clone();
        for (name, value) in presets {
            let raw = serde_json::value::to_raw_value(value).map_err(|error| {
                Error::internal("a preset argument cannot be written").caused_by(error)
            })?;
            all.members
                .insert(Cow::Owned(name.clone()), Cow::Owned(raw));
        }
        Ok(Cow::Owned(all))
    }

    /// The arguments as one value, for validation.
    ///
    /// # Errors
    /// `InvalidInput` when a value nests deeper than 128 levels.
    pub fn to_value(&self) -> Result<Value> {
        let members = self.iter().map(|(name, raw)| {
            let value = serde_json::from_str(raw.get()).map_err(|error| {
                Error::invalid("an argument cannot be read")
                    .with("argument", name)
                    .caused_by(error)
            })?;
            Ok((name.to_owned(), value))
        });
        members.collect::<Result<_>>().map(Value::Object)
    }
}

impl Default for Arguments<'_> {
    fn default() -> Self {
        Self {
            text: Cow::Borrowed(&EMPTY),
            members: Members::default(),
        }
    }
}

fn indistinct(error: serde_json::Error) -> Error {
    Error::invalid("the arguments are not a JSON object with distinct members").caused_by(error)
}

fn repeated<E: serde::de::Error>(name: &str) -> E {
    let name: String = name.chars().take(64).collect();
    E::custom(format!("member `{name}` appears twice"))
}

fn within<E: serde::de::Error>(name: &str, error: &serde_json::Error) -> E {
    let name: String = name.chars().take(64).collect();
    E::custom(format!("in `{name}`: {error}"))
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
    /// Takes a name, or gives one back that is there already.
    fn insert(&mut self, name: Cow<'a, str>) -> Result<(), Cow<'a, str>> {
        if self.few.contains(&name) || self.many.contains(&name) {
            return Err(name);
        }
        if self.few.len() < FEW {
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

/// The members of an object, whose values have distinct members as well.
struct DistinctMembers<'a>(Members<'a>);

impl<'de> Deserialize<'de> for DistinctMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = DistinctMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members {
                    all: Vec::with_capacity(8),
                    places: None,
                };
                while let Some((Name(name), value)) = map.next_entry::<_, &RawValue>()? {
                    if members.find(&name).is_some() {
                        return Err(repeated(&name));
                    }
                    if value.get().starts_with(['{', '[']) {
                        serde_json::from_str(value.get())
                            .map(|Distinct| ())
                            .map_err(|error| within(&name, &error))?;
                    }
                    members.push(name, Cow::Borrowed(value));
                }
                Ok(DistinctMembers(members))
            }
        }
        deserializer.deserialize_map(Object)
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
        let check = |json: &str| Arguments::parse(json).map(|_| ());
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
        let json = format!("{{{}}}", many.join(","));
        let all = Arguments::parse(&json).unwrap();
        for (at, (name, value)) in all.iter().enumerate() {
            assert_eq!((name, value.get()), (&*format!("m{at}"), &*at.to_string()));
            assert_eq!(all.get(name).unwrap().get(), value.get());
        }
        let others = all.without("m50");
        assert!(others.get("m50").is_none() && all.get("m100").is_none());
        assert_eq!(others.get("m99").unwrap().get(), "99");
        check(r#"{"a": {"a": [{"a": 18446744073709551616}, {"a": 1e2}]}, "b": "a"}"#).unwrap();
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(
            check(&deep)
                .unwrap_err()
                .report()
                .contains("in `a`: recursion limit")
        );
    }
}
