//! The fields of a JSON answer that a caller asks for.

use serde_json::{Map, Value};

use crate::request::ArgumentError;
use crate::result::Answer;
use crate::serialization::is_json;

/// The most fields that one call asks for.
pub const MAX_FIELDS: usize = 64;
/// The longest field, in bytes.
const MAX_LENGTH: usize = 512;

/// In how many ways fields may lead to one place: one for each, and one for each step from `..` on.
const MAX_STATES: usize = 128;

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
                let how = "write names with dots between them, such as owner.name, or a JSONPath without filters";
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

    /// What they leave of a value, and those that it does not have.
    pub fn of(&self, value: &Value) -> (Value, Vec<&str>) {
        let mut found = vec![false; self.0.len()];
        let states: States = (0..self.0.len()).map(|field| (field, 0)).collect();
        let left = self.pick(value, &states, &mut found);
        let missed = self.0.iter().zip(found).filter(|(_, found)| !found);
        let absent = missed.map(|(field, _)| field.text.as_str());
        let nothing = || match value {
            Value::Object(_) => Value::Object(Map::new()),
            Value::Array(_) => Value::Array(Vec::new()),
            _ => Value::Null,
        };
        (left.unwrap_or_else(nothing), absent.collect())
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
            let has_more = value.is_object() || value.is_array();
            for &(field, step) in states {
                let is_found = has_more || self.step(field, step).is_none();
                if let Some(found) = found.get_mut(field) {
                    *found |= is_found;
                }
            }
            return Some(value.clone());
        }
        let mut pick = |value, below: States| match below.is_empty() {
            true => None,
            false => self.pick(value, &below, found),
        };
        let looks = self.looks(states);
        match value {
            Value::Object(members) => {
                let mut left = Map::new();
                for (name, member) in members {
                    let below = self.below(states, false, |step| step.takes_member(name));
                    if let Some(member) = pick(member, below) {
                        left.insert(name.clone(), member);
                    }
                }
                (!looks || !left.is_empty()).then(|| left.into())
            }
            Value::Array(items) => {
                let length = items.len() as i64;
                let mut left = Vec::new();
                for (place, item) in (0..).zip(items) {
                    let below = self.below(states, true, |step| step.takes_item(place, length));
                    left.extend(pick(item, below));
                }
                (!looks || !left.is_empty()).then(|| left.into())
            }
            _ => None,
        }
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
