//! The fields of a JSON answer that a caller asks for.

use serde_json::{Map, Value};

use crate::paths::steps;
use crate::request::ArgumentError;
use crate::result::Answer;
use crate::serialization::is_json;
use crate::steps::{Looking, Place, Step, TooMuch};

/// The most fields that one call asks for.
pub const MAX_FIELDS: usize = 64;
/// The longest field, in bytes.
const MAX_LENGTH: usize = 512;

/// In how many ways fields may lead to one place: one for each, and one for each step from `..` on.
const MAX_STATES: usize = 128;

/// Fields of a JSON value: what they name stays, with what stands around it, and nothing else.
///
/// A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its
/// items; `*` is every member of an object or every item of a list. JSONPath (RFC 9535) is read as
/// well: `$.items[*]['id','name']`, `$.items[-1]`, `$.items[:10]`, `$..id`, `$.items[?@.open].id`; but
/// for the functions `match` and `search`, which are refused from every server alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    text: String,
    steps: Vec<Step>,
}

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
                let how = "write names with dots between them, such as owner.name, or a JSONPath without match and search";
                ArgumentError::new(argument, format!("{shown:?} is no field; {how}"))
            })?;
            let text = text.to_owned();
            Ok(Field { text, steps })
        });
        let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
        if fields.iter().map(ways).sum::<usize>() > MAX_STATES {
            let expected = format!("has more than {MAX_STATES} steps from `..` on");
            return Err(ArgumentError::new(argument, expected));
        }
        Ok(Self(fields))
    }

    /// What they leave of a value, and those that it does not have. Fails where filters look at too
    /// much.
    pub fn of(&self, value: &Value) -> Result<(Value, Vec<&str>), TooMuch> {
        let mut found = vec![false; self.0.len()];
        let states: States = (0..self.0.len()).map(|field| (field, 0)).collect();
        let left = self.pick(value, &states, &mut found, &mut Looking::new(value))?;
        let missed = self.0.iter().zip(found).filter(|(_, found)| !found);
        let absent = missed.map(|(field, _)| field.text.as_str());
        let nothing = || match value {
            Value::Object(_) => Value::Object(Map::new()),
            Value::Array(_) => Value::Array(Vec::new()),
            _ => Value::Null,
        };
        Ok((left.unwrap_or_else(nothing), absent.collect()))
    }

    /// Leaves only these of a successful JSON answer; what is none stays. Gives a line for the
    /// model about those that it does not have.
    pub(crate) fn pick_from(&self, answer: &mut Answer) -> Option<String> {
        if !(200..300).contains(&answer.status) || !is_json(&answer.content_type) {
            return None;
        }
        let (left, absent) = {
            let value = answer.json()?;
            match self.of(&value) {
                Ok((left, absent)) => (left, absent.join(", ")),
                Err(error) => return Some(format!("[all fields are given: {error}]")),
            }
        };
        answer.body = left.to_string().into_bytes();
        (!absent.is_empty()).then(|| format!("[the answer has no {absent}]"))
    }

    fn step(&self, field: usize, step: usize) -> Option<&Step> {
        self.0.get(field)?.steps.get(step)
    }

    fn pick<'v>(
        &self,
        value: &'v Value,
        states: &States,
        found: &mut [bool],
        looking: &mut Looking<'v>,
    ) -> Result<Option<Value>, TooMuch> {
        let mut all = states.iter();
        if all.any(|&(field, step)| self.step(field, step).is_none()) {
            let has_more = value.is_object() || value.is_array();
            for &(field, step) in states {
                let is_found = has_more || self.step(field, step).is_none();
                if let Some(found) = found.get_mut(field) {
                    *found |= is_found;
                }
            }
            return Ok(Some(value.clone()));
        }
        let mut pick = |place: Place<'_>, part: &'v Value| {
            let below = self.below(states, place, part, looking)?;
            match below.is_empty() {
                true => Ok(None),
                false => self.pick(part, &below, found, looking),
            }
        };
        let looks = self.looks(states);
        Ok(match value {
            Value::Object(members) => {
                let mut left = Map::new();
                for (name, member) in members {
                    if let Some(member) = pick(Place::Member(name), member)? {
                        left.insert(name.clone(), member);
                    }
                }
                (!looks || !left.is_empty()).then(|| left.into())
            }
            Value::Array(items) => {
                let length = items.len() as i64;
                let mut left = Vec::new();
                for (place, item) in (0..).zip(items) {
                    left.extend(pick(Place::Item(place, length), item)?);
                }
                (!looks || !left.is_empty()).then(|| left.into())
            }
            _ => None,
        })
    }

    /// Which step of which field comes next for a member, or an item, that a step takes.
    fn below<'v>(
        &self,
        states: &States,
        place: Place<'_>,
        part: &'v Value,
        looking: &mut Looking<'v>,
    ) -> Result<States, TooMuch> {
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
            let taken = looking.takes(step, place, part)?;
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
}

/// In how many ways a field may lead to one place.
fn ways(field: &Field) -> usize {
    let first = field.steps.iter().position(|step| step.descends);
    first.map_or(1, |first| field.steps.len() - first)
}
