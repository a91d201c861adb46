//! The fields of a JSON answer that a caller asks for.

use serde_json::{Map, Value};

use crate::request::ArgumentError;
use crate::result::Answer;
use crate::serialization::is_json;

/// The most fields that one call asks for.
pub const MAX_FIELDS: usize = 64;
/// The longest field, in bytes.
const MAX_LENGTH: usize = 512;

/// Fields of a JSON value: what they name stays, with what stands around it, and nothing else.
///
/// A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its
/// items; `*` is every member of an object or every item of a list. JSONPath (RFC 9535) is read as
/// far as it says the same: `$.items[*]['id','name']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    text: String,
    steps: Vec<Step>,
}

/// The names that a step takes; none takes all.
type Step = Vec<String>;

/// Which step of which field comes next.
type States = Vec<(usize, usize)>;

impl Fields {
    /// Reads fields. Fails when one is none, or there are too many.
    pub fn parse<T: AsRef<str>>(argument: &str, texts: &[T]) -> Result<Self, ArgumentError> {
        if texts.is_empty() || texts.len() > MAX_FIELDS {
            let expected = format!("has 1 to {MAX_FIELDS} fields");
            return Err(ArgumentError::new(argument, expected));
        }
        let fields = texts.iter().map(|text| {
            let text = text.as_ref();
            let steps = steps(text).filter(|_| text.len() <= MAX_LENGTH);
            let steps = steps.ok_or_else(|| {
                let shown: String = text.chars().take(80).collect();
                let how = "write names with dots between them, such as owner.name, or a JSONPath of names and wildcards";
                ArgumentError::new(argument, format!("{shown:?} is no field; {how}"))
            })?;
            let text = text.to_owned();
            Ok(Field { text, steps })
        });
        fields.collect::<Result<_, _>>().map(Self)
    }

    /// What they leave of a value, and those that it does not have.
    pub fn of(&self, value: &Value) -> (Value, Vec<&str>) {
        let mut found = vec![false; self.0.len()];
        let states: States = (0..self.0.len()).map(|field| (field, 0)).collect();
        let left = self.pick(value, &states, &mut found);
        let missed = self.0.iter().zip(found).filter(|(_, found)| !found);
        let absent = missed.map(|(field, _)| field.text.as_str());
        (left.unwrap_or_default(), absent.collect())
    }

    /// Leaves only these of a successful JSON answer; what is none stays. Gives a line for the
    /// model about those that it does not have.
    pub(crate) fn pick_from(&self, answer: &mut Answer) -> Option<String> {
        if !(200..300).contains(&answer.status) || !is_json(&answer.content_type) {
            return None;
        }
        let (left, absent) = {
            let value = answer.json()?;
            let (left, absent) = self.of(&value);
            (left, absent.join(", "))
        };
        answer.body = left.to_string().into_bytes();
        (!absent.is_empty()).then(|| format!("[the answer has no {absent}]"))
    }

    fn step(&self, field: usize, step: usize) -> Option<&Step> {
        self.0.get(field)?.steps.get(step)
    }

    fn pick(&self, value: &Value, states: &States, found: &mut [bool]) -> Option<Value> {
        let mut all = states.iter();
        if all.any(|&(field, step)| self.step(field, step).is_none()) {
            for &(field, _) in states {
                if let Some(found) = found.get_mut(field) {
                    *found = true;
                }
            }
            return Some(value.clone());
        }
        match value {
            Value::Object(members) => {
                let mut left = Map::new();
                for (name, member) in members {
                    let states = self.of_member(name, states);
                    if states.is_empty() {
                        continue;
                    }
                    if let Some(member) = self.pick(member, &states, found) {
                        left.insert(name.clone(), member);
                    }
                }
                Some(left.into())
            }
            Value::Array(items) => {
                let states = states.iter().map(|&(field, step)| {
                    let all = self.step(field, step).is_some_and(Vec::is_empty);
                    (field, step + usize::from(all))
                });
                let states = states.collect();
                let items = items.iter();
                let left = items.filter_map(|item| self.pick(item, &states, found));
                Some(left.collect())
            }
            _ => None,
        }
    }

    fn of_member(&self, name: &str, states: &States) -> States {
        let next = states.iter().filter_map(|&(field, step)| {
            let names = self.step(field, step)?;
            let taken = names.is_empty() || names.iter().any(|known| known == name);
            taken.then_some((field, step + 1))
        });
        next.collect()
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
                match name.split_at(end.unwrap_or(name.len())) {
                    ("", _) => return None,
                    ("*", after) => (Vec::new(), after),
                    (name, _) if name.contains('*') => return None,
                    (name, after) => (vec![name.to_owned()], after),
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
    let mut characters = text.chars();
    let quote = characters.next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    while let Some(character) = characters.next() {
        match character {
            '\\' => name.push(characters.next().filter(|c| "'\"/\\".contains(*c))?),
            end if end == quote => return Some((name, characters.as_str())),
            other => name.push(other),
        }
    }
    None
}
