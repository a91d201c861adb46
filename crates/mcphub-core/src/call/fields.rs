//! The fields of a JSON answer that a caller asks for.

mod filter;
mod parse;
mod path;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use self::filter::Looking;
use self::path::{Place, Selector, Step, steps};
use super::style::compact;
use crate::{Error, Result};

/// The most fields that one call asks for.
pub const MAX_FIELDS: usize = 64;

/// The longest field, in bytes.
const MAX_LENGTH: usize = 512;

/// In how many ways fields may lead to one place: one for each, and one for each step from `..` on.
const MAX_STATES: usize = 128;

/// The deepest place in an answer that is looked at.
const MAX_DEPTH: usize = 128;

/// Fields of a JSON value: what they name stays, with what stands around it, and nothing else.
///
/// A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its
/// items; `*` is every member of an object or every item of a list. JSONPath (RFC 9535) is read as
/// well: `$.items[*]['id','name']`, `$.items[-1]`, `$.items[:10]`, `$..id`, `$.items[?@.open].id`; but
/// for the functions `match` and `search`, because not every language has regular expressions that
/// take no more time than their text is long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    text: String,
    steps: Vec<Step>,
}

/// What fields leave of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// JSON without insignificant white space. What stays is as it was written.
    pub json: String,
    /// The fields that the value does not have.
    pub absent: Vec<String>,
}

impl Fields {
    /// Reads fields.
    ///
    /// # Errors
    /// `InvalidInput` that shows the field: it is none, or longer than 512 bytes. There are more than
    /// 64, or more than 128 with one for each step from `..` on.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self> {
        if texts.is_empty() || texts.len() > MAX_FIELDS {
            return Err(Error::invalid(format!("has 1 to {MAX_FIELDS} fields")));
        }
        let fields = texts.iter().map(|text| {
            let text = text.as_ref();
            let steps = if text.len() > MAX_LENGTH {
                None
            } else {
                steps(text)
            };
            let shown: String = text.chars().take(80).collect();
            let steps = steps.ok_or_else(|| {
                Error::invalid(format!(
                    "{shown:?} is no field; write names with dots between them, such as owner.name, or a JSONPath without match and search"
                ))
            })?;
            Ok(Field {
                text: text.to_owned(),
                steps,
            })
        });
        let fields: Vec<_> = fields.collect::<Result<_>>()?;
        if fields.iter().map(ways).sum::<usize>() > MAX_STATES {
            return Err(Error::invalid(format!(
                "has more than {MAX_STATES} steps from `..` on"
            )));
        }
        Ok(Self(fields))
    }

    /// What they leave of a value.
    ///
    /// # Errors
    /// `InvalidInput` for what is no JSON, or nests deeper than 128 levels where it is looked at.
    /// `TooLarge` where filters look at more than 1,000,000 values.
    pub fn of(&self, json: &str) -> Result<Picked> {
        let raw: &RawValue = serde_json::from_str(json.trim_start_matches('\u{feff}'))
            .map_err(|error| Error::invalid("it is not valid JSON").caused_by(error))?;
        let mut picking = Picking {
            fields: &self.0,
            found: vec![false; self.0.len()],
            out: String::new(),
            looking: Looking::new(raw),
        };
        let states = (0..self.0.len()).map(|field| (field, 0)).collect();
        if !picking.value(raw, states, MAX_DEPTH)? {
            picking.out.push_str(match raw.get().as_bytes().first() {
                Some(b'{') => "{}",
                Some(b'[') => "[]",
                _ => "null",
            });
        }
        let missed = self.0.iter().zip(&picking.found);
        let absent = missed.filter(|(_, found)| !**found);
        Ok(Picked {
            absent: absent.map(|(field, _)| field.text.clone()).collect(),
            json: picking.out,
        })
    }
}

/// In how many ways a field may lead to one place.
fn ways(field: &Field) -> usize {
    let first = field.steps.iter().position(|step| step.descends);
    first.map_or(1, |first| field.steps.len() - first)
}

/// Which step of which field comes next.
type States = Vec<(usize, usize)>;

struct Picking<'f> {
    fields: &'f [Field],
    found: Vec<bool>,
    out: String,
    looking: Looking<'f>,
}

impl<'f> Picking<'f> {
    /// Writes what stays of a value. Whether anything does.
    fn value(&mut self, raw: &RawValue, states: States, depth: usize) -> Result<bool> {
        if states
            .iter()
            .any(|&(field, step)| self.step(field, step).is_none())
        {
            let has_more = raw.get().starts_with(['{', '[']);
            for (field, step) in states {
                let is_found = has_more || self.step(field, step).is_none();
                if let Some(found) = self.found.get_mut(field) {
                    *found |= is_found;
                }
            }
            self.out.push_str(&compact(raw));
            return Ok(true);
        }
        if !raw.get().starts_with(['{', '[']) {
            return Ok(false);
        }
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| Error::invalid(format!("it nests deeper than {MAX_DEPTH} levels")))?;
        let invalid = |error| Error::invalid("it is not valid JSON").caused_by(error);
        let length = if raw.get().starts_with('[') && self.counts(&states) {
            let length = super::page::length(raw);
            length.ok_or_else(|| Error::invalid("it is not valid JSON"))?
        } else {
            0
        };
        let (start, looks) = (self.out.len(), self.looks(&states));
        let mut failed = None;
        let parts = Parts {
            picking: self,
            states: &states,
            depth,
            length: length as i64,
            failed: &mut failed,
        };
        let read = serde_json::Deserializer::from_str(raw.get()).deserialize_any(parts);
        if let Some(error) = failed {
            return Err(error);
        }
        let has_any = read.map_err(invalid)?;
        if looks && !has_any {
            self.out.truncate(start);
        }
        Ok(has_any || !looks)
    }

    fn step(&self, field: usize, step: usize) -> Option<&'f Step> {
        self.fields.get(field)?.steps.get(step)
    }

    /// Which step of which field comes next for a member, or an item, that a step takes.
    fn below(&mut self, states: &States, place: Place<'_>, part: &RawValue) -> Result<States> {
        let mut below = States::new();
        let mut add = |state| {
            if !below.contains(&state) {
                below.push(state);
            }
        };
        for &(field, at) in states {
            let Some(step) = self.step(field, at) else {
                continue;
            };
            let taken = self.looking.takes(step, place, part)?;
            if taken {
                add((field, at + 1));
            }
            let in_list = matches!(place, Place::Item(..));
            if step.descends || (in_list && !taken && step.passes()) {
                add((field, at));
            }
        }
        Ok(below)
    }

    /// Whether a value is only looked through, so that nothing of it stays but what it has.
    fn looks(&self, states: &States) -> bool {
        let mut states = states.iter();
        states.all(|&(field, at)| self.step(field, at).is_some_and(|step| step.descends))
    }

    /// Whether it matters how many items a list has.
    fn counts(&self, states: &States) -> bool {
        let mut steps = states
            .iter()
            .filter_map(|&(field, at)| self.step(field, at));
        steps.any(|step| {
            let mut selectors = step.selectors.iter();
            selectors.any(|it| matches!(it, Selector::Item(_) | Selector::Items { .. }))
        })
    }
}

/// Reads the parts of an object or list one by one.
struct Parts<'a, 'f> {
    picking: &'a mut Picking<'f>,
    states: &'a States,
    depth: usize,
    /// How many items a list has, where that matters.
    length: i64,
    /// Why reading ended; a reader's error has no place for it.
    failed: &'a mut Option<Error>,
}

impl Parts<'_, '_> {
    fn part<E: serde::de::Error>(&mut self, raw: &RawValue, states: States) -> Result<bool, E> {
        let picked = self.picking.value(raw, states, self.depth);
        self.told(picked)
    }

    fn below<E>(&mut self, place: Place<'_>, part: &RawValue) -> Result<States, E>
    where
        E: serde::de::Error,
    {
        let below = self.picking.below(self.states, place, part);
        self.told(below)
    }

    fn told<T, E: serde::de::Error>(&mut self, result: Result<T>) -> Result<T, E> {
        result.map_err(|error| {
            *self.failed = Some(error);
            E::custom("")
        })
    }
}

impl<'de> Visitor<'de> for Parts<'_, '_> {
    /// Whether anything stays.
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<bool, A::Error> {
        self.picking.out.push('{');
        let mut first = true;
        while let Some((Name(name), raw)) = members.next_entry::<Name<'de>, &RawValue>()? {
            let states = self.below(Place::Member(&name), raw)?;
            if states.is_empty() {
                continue;
            }
            let start = self.picking.out.len();
            if !first {
                self.picking.out.push(',');
            }
            let key = serde_json::to_string(&name).map_err(serde::de::Error::custom)?;
            self.picking.out.push_str(&key);
            self.picking.out.push(':');
            if self.part(raw, states)? {
                first = false;
            } else {
                self.picking.out.truncate(start);
            }
        }
        self.picking.out.push('}');
        Ok(!first)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<bool, A::Error> {
        self.picking.out.push('[');
        let (mut first, mut place) = (true, 0);
        while let Some(raw) = items.next_element::<&RawValue>()? {
            let states = self.below(Place::Item(place, self.length), raw)?;
            place += 1;
            if states.is_empty() {
                continue;
            }
            let start = self.picking.out.len();
            if !first {
                self.picking.out.push(',');
            }
            if self.part(raw, states)? {
                first = false;
            } else {
                self.picking.out.truncate(start);
            }
        }
        self.picking.out.push(']');
        Ok(!first)
    }
}

/// A member's name, borrowed where it has no escapes; `Cow` by itself always copies.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_too_deep_ends_with_an_error() {
        let fields = Fields::parse(&["a"]).unwrap();
        let nested = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(fields.of(&nested(100)).unwrap().absent, ["a"]);
        for json in [nested(200), nested(50_000), "[1".to_owned()] {
            assert!(fields.of(&json).is_err());
        }
    }

    #[test]
    fn what_stays_is_as_it_was_written() {
        let fields = Fields::parse(&["n", "s"]).unwrap();
        let json = r#"{"n" : 12345678901234567890123.50 , "x": 1e999, "s": "\u00e9 \" {" }"#;
        let picked = fields.of(json).unwrap();
        assert_eq!(
            picked.json,
            r#"{"n":12345678901234567890123.50,"s":"\u00e9 \" {"}"#
        );
    }

    #[test]
    fn filters_look_at_so_many_values() {
        let json = format!("[{}]", ["[[1,2,3],[4,5,6]]"; 200].join(","));
        let few = Fields::parse(&["$[?count(@..*) == 8][0]"]).unwrap();
        assert_eq!(few.of(&json).unwrap().json.len(), 200 * 10 + 1);
        let many = format!("$[?count({}) > 1]", ["$..*"; 1].join("") + &"..*".repeat(8));
        let error = Fields::parse(&[many]).unwrap().of(&json).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::TooLarge);
    }

    #[test]
    fn what_a_filter_looks_at_is_as_it_was_written() {
        let of = |field: &str, json: &str| Fields::parse(&[field]).unwrap().of(json).unwrap().json;
        let ids = r#"[{"id": 9007199254740993}, {"id": 9007199254740992}, {"id": 1e999}]"#;
        assert_eq!(
            of("$[?@.id == 9007199254740993]", ids),
            r#"[{"id":9007199254740993}]"#
        );
        assert_eq!(
            of("$[?@.id > 18446744073709551615]", ids),
            r#"[{"id":1e999}]"#
        );
    }

    #[test]
    fn too_many_and_too_long_ones_are_refused() {
        assert!(Fields::parse::<&str>(&[]).is_err());
        assert!(Fields::parse(&vec!["a"; 65]).is_err());
        assert!(Fields::parse(&["a".repeat(513)]).is_err());
        assert!(Fields::parse(&["a".repeat(512)]).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn no_field_and_no_answer_is_too_strange(field in ".{0,20}", json in r#"[\[{"a:1,}\] ]{0,20}"#) {
            if let Ok(fields) = Fields::parse(&[field]) {
                let _ = fields.of(&json);
            }
        }

        #[test]
        fn what_stays_is_json(field in r"(\$|a|\*|\.|b|\['a'\]|\[-?[0-2]\]|\[:2\]|\[\?@\.b>=[0-2]\]|\[\?!\(@\.\.a && \$\.b\)\]){1,5}") {
            if let Ok(fields) = Fields::parse(&[field]) {
                let json = r#"{"a": [{"b": 1, "a": {"b": null}}, 2, [[{"a": "x"}]]], "b": {"a": 1.0}}"#;
                let picked = fields.of(json).unwrap();
                serde_json::from_str::<serde_json::Value>(&picked.json).unwrap();
            }
        }
    }
}
