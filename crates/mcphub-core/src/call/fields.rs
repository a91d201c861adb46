//! The fields of a JSON answer that a caller asks for.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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
/// items; `*` is every member of an object or every item of a list. JSONPath (RFC 9535) is read but
/// for filters: `$.items[*]['id','name']`, `$.items[-1]`, `$.items[:10]`, `$..id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    text: String,
    steps: Vec<Step>,
}

/// What a step takes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    selectors: Vec<Selector>,
    /// Whether it takes them of everything below, too (`..`).
    descends: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    /// Whatever there is.
    Any,
    /// A member.
    Name(String),
    /// An item by its place, from the end where that is negative.
    Item(i64),
    /// Items by their places (RFC 9535, 2.3.4).
    Items {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
}

impl Step {
    fn takes_member(&self, name: &str) -> bool {
        let mut selectors = self.selectors.iter();
        selectors.any(|selector| match selector {
            Selector::Any => true,
            Selector::Name(known) => known == name,
            _ => false,
        })
    }

    fn takes_item(&self, place: i64, length: i64) -> bool {
        let mut selectors = self.selectors.iter();
        selectors.any(|selector| selector.takes_item(place, length))
    }

    /// Whether it looks into the items of a list as if there was none.
    fn passes(&self) -> bool {
        let mut selectors = self.selectors.iter();
        selectors.any(|selector| matches!(selector, Selector::Name(_)))
    }
}

impl Selector {
    fn takes_item(&self, place: i64, length: i64) -> bool {
        let (start, end, step) = match self {
            Self::Any => return true,
            Self::Name(_) => return false,
            Self::Item(item) => return *item == place || *item == place - length,
            Self::Items { start, end, step } => (*start, *end, *step),
        };
        let bound = |given: Option<i64>, usual, least, most: i64| {
            let counted = given.map_or(usual, |it| if it < 0 { it + length } else { it });
            counted.min(most).max(least)
        };
        if step > 0 {
            let (start, end) = (bound(start, 0, 0, length), bound(end, length, 0, length));
            return place >= start && place < end && (place - start) % step == 0;
        }
        let last = length - 1;
        let (start, end) = (bound(start, last, -1, last), bound(end, -1, -1, last));
        step < 0 && place <= start && place > end && (start - place) % step == 0
    }
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
                    "{shown:?} is no field; write names with dots between them, such as owner.name, or a JSONPath without filters"
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
    pub fn of(&self, json: &str) -> Result<Picked> {
        let raw: &RawValue = serde_json::from_str(json.trim_start_matches('\u{feff}'))
            .map_err(|error| Error::invalid("it is not valid JSON").caused_by(error))?;
        let mut picking = Picking {
            fields: &self.0,
            found: vec![false; self.0.len()],
            out: String::new(),
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

/// The steps of a field; `None` for what is none.
fn steps(text: &str) -> Option<Vec<Step>> {
    let (mut rest, mut steps) = (text.trim(), Vec::new());
    let rooted = rest
        .strip_prefix('$')
        .filter(|after| after.is_empty() || after.starts_with(['.', '[']));
    rest = rooted.unwrap_or(rest);
    if rest.is_empty() {
        return rooted.map(|_| steps);
    }
    let mut first = rooted.is_none();
    while !rest.is_empty() {
        let below = rest.strip_prefix("..").filter(|_| rooted.is_some());
        let (selectors, after) = match below.unwrap_or(rest).strip_prefix('[') {
            Some(inside) => bracketed(inside)?,
            None => named(match below {
                Some(name) => name,
                None if first => rest,
                None => rest.strip_prefix('.')?,
            })?,
        };
        steps.push(Step {
            selectors,
            descends: below.is_some(),
        });
        rest = after;
        first = false;
    }
    Some(steps)
}

/// A name without quotes, or `*`, with what comes after it.
fn named(text: &str) -> Option<(Vec<Selector>, &str)> {
    let end = text.find(['.', '[', ']', '\'', '"']);
    match text.split_at(end.unwrap_or(text.len())) {
        ("", _) => None,
        ("*", after) => Some((vec![Selector::Any], after)),
        (name, _) if name.contains('*') => None,
        (name, after) => Some((vec![Selector::Name(name.to_owned())], after)),
    }
}

/// Selectors with commas between them and `]`.
fn bracketed(text: &str) -> Option<(Vec<Selector>, &str)> {
    let (mut selectors, mut rest) = (Vec::new(), text.trim_start());
    loop {
        let (selector, after) = selector(rest)?;
        selectors.push(selector);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return Some((selectors, after.strip_prefix(']')?)),
        }
    }
}

fn selector(text: &str) -> Option<(Selector, &str)> {
    if let Some(after) = text.strip_prefix('*') {
        return Some((Selector::Any, after));
    }
    if text.starts_with(['\'', '"']) {
        let (name, after) = quoted(text)?;
        return Some((Selector::Name(name), after));
    }
    let (start, after) = integer(text)?;
    let Some(after) = after.trim_start().strip_prefix(':') else {
        return Some((Selector::Item(start?), after));
    };
    let (end, after) = integer(after.trim_start())?;
    let (step, after) = match after.trim_start().strip_prefix(':') {
        Some(after) => integer(after.trim_start())?,
        None => (None, after),
    };
    let step = step.unwrap_or(1);
    Some((Selector::Items { start, end, step }, after))
}

/// An integer where there is one (RFC 9535, 2.1: no leading zeros, at most 15 digits here).
fn integer(text: &str) -> Option<(Option<i64>, &str)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (number, after) = text.split_at(text.len() - digits.len() + count);
    match (number, digits.starts_with('0')) {
        ("", _) => Some((None, after)),
        (_, true) if number != "0" => None,
        _ if count > 15 => None,
        _ => Some((Some(number.parse().ok()?), after)),
    }
}

/// A name in quotes, with what comes after it (RFC 9535, 2.3.1.1).
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut characters = text.chars();
    let quote = characters.next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    loop {
        match characters.next()? {
            '\\' => name.push(match characters.next()? {
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => escaped(&mut characters)?,
                same @ ('\'' | '"' | '/' | '\\') => same,
                _ => return None,
            }),
            end if end == quote => return Some((name, characters.as_str())),
            other => name.push(other),
        }
    }
}

/// The character that is written as `\u` and four digits, or as a pair of these.
fn escaped(characters: &mut std::str::Chars<'_>) -> Option<char> {
    let mut unit = || {
        let digits = characters.as_str().get(..4)?;
        let unit = u16::from_str_radix(digits, 16).ok();
        *characters = characters.as_str().get(4..)?.chars();
        unit.filter(|_| !digits.starts_with('+'))
    };
    let first = unit()?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some(character);
    }
    let after = characters.as_str().strip_prefix("\\u")?;
    *characters = after.chars();
    let second = u16::from_str_radix(after.get(..4)?, 16).ok()?;
    *characters = after.get(4..)?.chars();
    char::decode_utf16([first, second]).next()?.ok()
}

/// Which step of which field comes next.
type States = Vec<(usize, usize)>;

struct Picking<'f> {
    fields: &'f [Field],
    found: Vec<bool>,
    out: String,
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
    fn below(&self, states: &States, in_list: bool, takes: impl Fn(&Step) -> bool) -> States {
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
            let taken = takes(step);
            if taken {
                add((field, at + 1));
            }
            if step.descends || (in_list && !taken && step.passes()) {
                add((field, at));
            }
        }
        below
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
        self.picking
            .value(raw, states, self.depth)
            .map_err(|error| {
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
            let takes = |step: &Step| step.takes_member(&name);
            let states = self.picking.below(self.states, false, takes);
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
            let takes = |step: &Step| step.takes_item(place, self.length);
            let states = self.picking.below(self.states, true, takes);
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
#[derive(Deserialize)]
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
        fn what_stays_is_json(field in r"(\$|a|\*|\.|b|\['a'\]|\[-?[0-2]\]|\[:2\]){1,5}") {
            if let Ok(fields) = Fields::parse(&[field]) {
                let json = r#"{"a": [{"b": 1, "a": {"b": null}}, 2, [[{"a": "x"}]]], "b": {"a": 1.0}}"#;
                let picked = fields.of(json).unwrap();
                serde_json::from_str::<serde_json::Value>(&picked.json).unwrap();
            }
        }
    }
}
