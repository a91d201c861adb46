//! The members of a JSON object as raw text: nothing is copied, reordered or merged.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of one JSON object, in order, borrowed from its text.
///
/// Reading fails when a member appears twice, because then readers disagree about which one
/// counts, and when there are more than [`Members::MAX`].
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The most members an object may have. MCP's own objects have about ten.
    pub(crate) const MAX: usize = 128;

    /// Reads an object.
    pub(crate) fn read(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The text of one member.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }

    /// The same with a member that has this value, or without it.
    pub(crate) fn with(&self, name: &'static str, value: Option<&'a RawValue>) -> Self {
        let others = self.0.iter().filter(|(known, _)| known != name).cloned();
        let member = value.map(|value| (Cow::Borrowed(name), value));
        Self(others.chain(member).collect())
    }

    /// The members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Cow<'a, str>, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name, *value))
    }

    /// A member that has to be a string, if it is there.
    pub(crate) fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, NotAString> {
        self.get(name)
            .map(|raw| string(raw).ok_or(NotAString))
            .transpose()
    }
}

/// Where a value lies in the text that it was borrowed from. `None` for one of another text.
pub(crate) fn place(text: &str, value: &RawValue) -> Option<Range<usize>> {
    let start = (value.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(value.get().len())?;
    (end <= text.len()).then_some(start..end)
}

/// A text with parts replaced. Parts that overlap one before them are left as they are.
pub(crate) fn splice(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(at, _)| at.start);
    let added: usize = edits.iter().map(|(_, with)| with.len()).sum();
    let mut out = String::with_capacity(text.len() + added);
    let mut from = 0;
    for (at, with) in edits {
        if let Some(kept) = text.get(from..at.start) {
            out.push_str(kept);
            out.push_str(&with);
            from = at.end;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// A string as JSON.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    put_quoted(&mut quoted, text);
    quoted
}

/// Adds a string as JSON.
pub(crate) fn put_quoted(to: &mut String, text: &str) {
    // Names and methods hardly ever have anything to escape (RFC 8259, 7).
    if text
        .bytes()
        .any(|byte| matches!(byte, b'"' | b'\\') || byte < b' ')
    {
        to.push_str(&serde_json::Value::from(text).to_string());
        return;
    }
    to.push('"');
    to.push_str(text);
    to.push('"');
}

/// A member is not the string that it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAString;

/// The value of a JSON string, borrowed where it has no escapes.
pub(crate) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let text = raw.get();
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(text).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// The first member of an object with this name, if it is a string. What comes after it is not read.
pub(crate) fn first_string(json: &str, name: &str) -> Option<String> {
    let mut search = Search { name, found: None };
    // It ends with an error where it stops early.
    let _ = serde_json::Deserializer::from_str(json).deserialize_map(&mut search);
    search.found
}

struct Search<'n> {
    name: &'n str,
    found: Option<String>,
}

impl<'de> Visitor<'de> for &mut Search<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(name)) = map.next_key()? {
            if name == self.name {
                self.found = string(map.next_value()?).map(Cow::into_owned);
                break;
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether the value is an object.
pub(crate) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::with_capacity(4);
                while let Some(Key(name)) = map.next_key()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        let name: String = name.chars().take(64).collect();
                        return Err(A::Error::custom(format!("member `{name}` appears twice")));
                    }
                    if members.len() == Members::MAX {
                        return Err(A::Error::custom(format!(
                            "more than {} members",
                            Members::MAX
                        )));
                    }
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A member's name, borrowed where it has no escapes; `Cow` by itself always copies.
#[derive(Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_text() {
        let members =
            Members::read(r#"{"n": 1.10, "o": { "b" : [1] }, "s": "a\u0062", "p\u0071": 1}"#)
                .unwrap();
        assert_eq!(members.get("n").unwrap().get(), "1.10");
        assert_eq!(members.get("o").unwrap().get(), r#"{ "b" : [1] }"#);
        assert_eq!(members.string("s").unwrap().unwrap(), "ab");
        assert!(members.get("pq").is_some() && members.string("n").is_err());
    }

    #[test]
    fn a_member_is_found_without_reading_on() {
        let found = |json| first_string(json, "name");
        assert_eq!(
            found(r#"{"x":{"name":1},"n\u0061me":"a\u0062", no JSON"#).as_deref(),
            Some("ab")
        );
        for json in [
            r#"{"name":1,"name":"a"}"#,
            r#"{"x":"name"}"#,
            r#"["name","a"]"#,
        ] {
            assert_eq!(found(json), None, "{json}");
        }
    }

    #[test]
    fn a_member_that_appears_twice_is_refused_however_it_is_written() {
        let error = Members::read(r#"{"name": 1, "n\u0061me": 2}"#).unwrap_err();
        assert!(
            error.to_string().contains("`name` appears twice"),
            "{error}"
        );
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let object = |count: usize| {
            let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(Members::read(&object(Members::MAX)).is_ok());
        assert!(Members::read(&object(Members::MAX + 1)).is_err());
    }

    #[test]
    fn parts_are_replaced_and_the_rest_stays() {
        let text = r#"{"a": 1.0, "b":[2],"c":3}"#;
        let members = Members::read(text).unwrap();
        let at = |name: &str| place(text, members.get(name).unwrap()).unwrap();
        let edits = vec![(at("c"), "x".to_owned()), (at("a"), "yy".to_owned())];
        assert_eq!(splice(text, edits), r#"{"a": yy, "b":[2],"c":x}"#);
        let overlapping = vec![
            (1..4, "x".to_owned()),
            (2..5, "y".to_owned()),
            (90..99, "z".to_owned()),
        ];
        assert_eq!(splice("abcdef", overlapping), "axef");
        let other = Members::read(r#"{"a":1}"#).unwrap();
        assert_eq!(place("{}", other.get("a").unwrap()), None);
    }
}
