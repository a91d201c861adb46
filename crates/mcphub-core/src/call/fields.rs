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

/// The deepest place in an answer that is looked at.
const MAX_DEPTH: usize = 128;

/// Fields of a JSON value: what they name stays, with what stands around it, and nothing else.
///
/// A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its
/// items; `*` is every member of an object or every item of a list. JSONPath (RFC 9535) is read as
/// far as it says the same: `$.items[*]['id','name']`; indices, slices, filters and descendants are
/// refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    text: String,
    steps: Vec<Step>,
}

/// The names that a step takes; none takes all.
type Step = Vec<String>;

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
    /// `InvalidInput` that shows the field: it is none, there are more than 64, or it is longer than
    /// 512 bytes.
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
                    "{shown:?} is no field; write names with dots between them, such as owner.name, or a JSONPath of names and wildcards"
                ))
            })?;
            Ok(Field {
                text: text.to_owned(),
                steps,
            })
        });
        fields.collect::<Result<_>>().map(Self)
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
            picking.out.push_str("null");
        }
        let missed = self.0.iter().zip(&picking.found);
        let absent = missed.filter(|(_, found)| !**found);
        Ok(Picked {
            absent: absent.map(|(field, _)| field.text.clone()).collect(),
            json: picking.out,
        })
    }
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
        let (step, after) = match rest.strip_prefix('[') {
            Some(inside) => bracketed(inside)?,
            None => {
                let name = if first { rest } else { rest.strip_prefix('.')? };
                let end = name.find(['.', '[', ']', '\'', '"']);
                let (name, after) = name.split_at(end.unwrap_or(name.len()));
                match name {
                    "" => return None,
                    "*" => (Vec::new(), after),
                    name if name.contains('*') => return None,
                    name => (vec![name.to_owned()], after),
                }
            }
        };
        steps.push(step);
        rest = after;
        first = false;
    }
    Some(steps)
}

/// `*]`, or quoted names with commas between them and `]`.
fn bracketed(text: &str) -> Option<(Step, &str)> {
    let text = text.trim_start();
    if let Some(after) = text.strip_prefix('*') {
        return Some((Vec::new(), after.trim_start().strip_prefix(']')?));
    }
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let (name, after) = quoted(rest)?;
        names.push(name);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return Some((names, after.strip_prefix(']')?)),
        }
    }
}

/// A name in quotes, with what comes after it (RFC 9535, 2.3.1.1; escapes of quotes, `/` and `\`).
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (mut name, mut characters) = (String::new(), text.char_indices().skip(1));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.push(
                characters
                    .next()
                    .map(|(_, c)| c)
                    .filter(|c| "'\"/\\".contains(*c))?,
            ),
            end if end == quote => return Some((name, &text[at + 1..])),
            other => name.push(other),
        }
    }
    None
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
            for (field, _) in states {
                if let Some(found) = self.found.get_mut(field) {
                    *found = true;
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
        let mut failed = None;
        let parts = Parts {
            picking: self,
            states: &states,
            depth,
            failed: &mut failed,
        };
        let read = serde_json::Deserializer::from_str(raw.get()).deserialize_any(parts);
        if let Some(error) = failed {
            return Err(error);
        }
        read.map_err(|error| Error::invalid("it is not valid JSON").caused_by(error))?;
        Ok(true)
    }

    fn step(&self, field: usize, step: usize) -> Option<&'f Step> {
        self.fields.get(field)?.steps.get(step)
    }

    fn of_member(&self, name: &str, states: &States) -> States {
        let next = states.iter().filter_map(|&(field, step)| {
            let names = self.step(field, step)?;
            let taken = names.is_empty() || names.iter().any(|known| known == name);
            taken.then_some((field, step + 1))
        });
        next.collect()
    }

    fn of_item(&self, states: &States) -> States {
        let next = states.iter().map(|&(field, step)| {
            let all = self.step(field, step).is_some_and(Vec::is_empty);
            (field, step + usize::from(all))
        });
        next.collect()
    }
}

/// Reads the parts of an object or list one by one.
struct Parts<'a, 'f> {
    picking: &'a mut Picking<'f>,
    states: &'a States,
    depth: usize,
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
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.picking.out.push('{');
        let mut first = true;
        while let Some((Name(name), raw)) = members.next_entry::<Name<'de>, &RawValue>()? {
            let states = self.picking.of_member(&name, self.states);
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
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        self.picking.out.push('[');
        let states = self.picking.of_item(self.states);
        let mut first = true;
        while let Some(raw) = items.next_element::<&RawValue>()? {
            let start = self.picking.out.len();
            if !first {
                self.picking.out.push(',');
            }
            if self.part(raw, states.clone())? {
                first = false;
            } else {
                self.picking.out.truncate(start);
            }
        }
        self.picking.out.push(']');
        Ok(())
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
        fn what_stays_is_json(field in r"(\$|a|\*|\.|b|\['a'\]){1,5}") {
            if let Ok(fields) = Fields::parse(&[field]) {
                let json = r#"{"a": [{"b": 1, "a": {"b": null}}, 2, [[{"a": "x"}]]], "b": {"a": 1.0}}"#;
                let picked = fields.of(json).unwrap();
                serde_json::from_str::<serde_json::Value>(&picked.json).unwrap();
            }
        }
    }
}
