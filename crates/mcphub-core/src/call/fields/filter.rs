//! Which values a filter of JSONPath takes (RFC 9535, 2.3.5.2).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::path::{Place, Selector, Step};
use super::{MAX_DEPTH, Name};
use crate::{Error, ErrorKind, Result};

/// At how many values the filters of all fields look together.
const MAX_LOOKS: usize = 1_000_000;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Exists(Query),
    Compares(Operand, Comparison, Operand),
}

/// A path whose names do not look into lists, as in the standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// Whether it begins at the whole rather than at what is filtered.
    pub is_absolute: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    Null,
    Boolean(bool),
    /// As it was written.
    Number(String),
    Text(String),
    /// What a query finds, where that is one value.
    Value(Query),
    /// How many characters, items or members.
    Length(Box<Self>),
    /// How many values a query finds.
    Count(Query),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Query {
    /// Whether it finds one value at most, whatever it looks at.
    pub fn is_singular(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.all(|step| {
            let single = matches!(step.selectors[..], [Selector::Name(_) | Selector::Item(_)]);
            single && !step.descends
        })
    }
}

/// What is compared.
enum Known<'v> {
    Null,
    Boolean(bool),
    Number(Number),
    Text(Cow<'v, str>),
    List(Vec<&'v RawValue>),
    Object(BTreeMap<Cow<'v, str>, &'v RawValue>),
}

/// Integers of 64 bits are exact, other numbers the nearest double.
#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    Double(f64),
}

impl Number {
    fn read(text: &str) -> Self {
        let integer = text.parse().ok();
        match integer.filter(|it| (i64::MIN.into()..=u64::MAX.into()).contains(it)) {
            Some(integer) => Self::Integer(integer),
            None => Self::Double(text.parse().unwrap_or(f64::NAN)),
        }
    }

    fn cmp(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) => Some(one.cmp(&two)),
            (one, two) => one.double().partial_cmp(&two.double()),
        }
    }

    fn double(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Double(double) => double,
        }
    }
}

impl<'v> Known<'v> {
    fn read(raw: &'v RawValue) -> Result<Self> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'"') => Self::Text(serde_json::from_str::<Name<'_>>(text).map_err(invalid)?.0),
            Some(b'[') => Self::List(serde_json::from_str(text).map_err(invalid)?),
            Some(b'{') => Self::Object(members(raw)?),
            _ => Self::Number(Number::read(text)),
        })
    }
}

/// The members of an object; of those with one name, the last.
fn members(raw: &RawValue) -> Result<BTreeMap<Cow<'_, str>, &RawValue>> {
    let members: BTreeMap<Name<'_>, _> = serde_json::from_str(raw.get()).map_err(invalid)?;
    Ok(members
        .into_iter()
        .map(|(Name(name), it)| (name, it))
        .collect())
}

fn invalid(error: serde_json::Error) -> Error {
    Error::invalid("it is not valid JSON").caused_by(error)
}

/// What filters have in common over one value.
pub(super) struct Looking<'r> {
    whole: &'r RawValue,
    left: usize,
}

impl<'r> Looking<'r> {
    pub fn new(whole: &'r RawValue) -> Self {
        let left = MAX_LOOKS;
        Self { whole, left }
    }

    /// Whether a step takes a part of a value.
    pub fn takes<'v>(&mut self, step: &Step, place: Place<'_>, part: &'v RawValue) -> Result<bool>
    where
        'r: 'v,
    {
        for selector in &step.selectors {
            if self.selects(selector, place, part)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn selects<'v>(
        &mut self,
        selector: &Selector,
        place: Place<'_>,
        part: &'v RawValue,
    ) -> Result<bool>
    where
        'r: 'v,
    {
        match selector {
            Selector::Filter(filter) => self.holds(filter, part),
            other => Ok(other.takes(place)),
        }
    }

    fn holds<'v>(&mut self, filter: &Filter, value: &'v RawValue) -> Result<bool>
    where
        'r: 'v,
    {
        Ok(match filter {
            Filter::Any(filters) => {
                for filter in filters {
                    if self.holds(filter, value)? {
                        return Ok(true);
                    }
                }
                false
            }
            Filter::All(filters) => {
                for filter in filters {
                    if !self.holds(filter, value)? {
                        return Ok(false);
                    }
                }
                true
            }
            Filter::Not(filter) => !self.holds(filter, value)?,
            Filter::Exists(query) => !self.found(query, value)?.is_empty(),
            Filter::Compares(left, comparison, right) => {
                let (left, right) = (self.known(left, value)?, self.known(right, value)?);
                self.compare(&left, *comparison, &right)?
            }
        })
    }

    /// RFC 9535, 2.3.5.2.2; `None` is nothing.
    fn compare(
        &mut self,
        left: &Option<Known<'_>>,
        comparison: Comparison,
        right: &Option<Known<'_>>,
    ) -> Result<bool> {
        let order = match (left, right) {
            (Some(Known::Number(one)), Some(Known::Number(two))) => one.cmp(*two),
            // By characters, which is how UTF-8 is sorted.
            (Some(Known::Text(one)), Some(Known::Text(two))) => Some(one.cmp(two)),
            (Some(one), Some(two)) => self.same(one, two, MAX_DEPTH)?.then_some(Ordering::Equal),
            (None, None) => Some(Ordering::Equal),
            _ => None,
        };
        Ok(match comparison {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::Unequal => order != Some(Ordering::Equal),
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Comparison::More => order == Some(Ordering::Greater),
            Comparison::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        })
    }

    fn same(&mut self, one: &Known<'_>, two: &Known<'_>, depth: usize) -> Result<bool> {
        let depth = below(depth)?;
        match (one, two) {
            (Known::Null, Known::Null) => Ok(true),
            (Known::Boolean(one), Known::Boolean(two)) => Ok(one == two),
            (Known::Number(one), Known::Number(two)) => Ok(one.cmp(*two) == Some(Ordering::Equal)),
            (Known::Text(one), Known::Text(two)) => Ok(one == two),
            (Known::List(one), Known::List(two)) if one.len() == two.len() => {
                self.look(one.len())?;
                for (one, two) in one.iter().zip(two) {
                    if !self.same(&Known::read(one)?, &Known::read(two)?, depth)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Known::Object(one), Known::Object(two)) if one.keys().eq(two.keys()) => {
                self.look(one.len())?;
                for (one, two) in one.values().zip(two.values()) {
                    if !self.same(&Known::read(one)?, &Known::read(two)?, depth)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn known<'v>(&mut self, operand: &'v Operand, value: &'v RawValue) -> Result<Option<Known<'v>>>
    where
        'r: 'v,
    {
        let counted = |count: usize| Some(Known::Number(Number::Integer(count as i128)));
        Ok(match operand {
            Operand::Null => Some(Known::Null),
            Operand::Boolean(it) => Some(Known::Boolean(*it)),
            Operand::Number(text) => Some(Known::Number(Number::read(text))),
            Operand::Text(text) => Some(Known::Text(text.into())),
            Operand::Value(query) => match self.found(query, value)?[..] {
                [found] => Some(Known::read(found)?),
                _ => None,
            },
            Operand::Count(query) => counted(self.found(query, value)?.len()),
            Operand::Length(of) => match self.known(of, value)? {
                Some(Known::Text(text)) => counted(text.chars().count()),
                Some(Known::List(items)) => counted(items.len()),
                Some(Known::Object(members)) => counted(members.len()),
                _ => None,
            },
        })
    }

    /// The values that a query finds.
    fn found<'v>(&mut self, query: &Query, value: &'v RawValue) -> Result<Vec<&'v RawValue>>
    where
        'r: 'v,
    {
        let mut found: Vec<&'v RawValue> = vec![if query.is_absolute { self.whole } else { value }];
        for step in &query.steps {
            let mut next = Vec::new();
            for value in found {
                self.select(step, value, &mut next, MAX_DEPTH)?;
            }
            found = next;
        }
        Ok(found)
    }

    fn select<'v>(
        &mut self,
        step: &Step,
        value: &'v RawValue,
        found: &mut Vec<&'v RawValue>,
        depth: usize,
    ) -> Result<()>
    where
        'r: 'v,
    {
        let depth = below(depth)?;
        let mut select = |place: Place<'_>, part: &'v RawValue| {
            self.look(1)?;
            for selector in &step.selectors {
                if self.selects(selector, place, part)? {
                    self.look(1)?;
                    found.push(part);
                }
            }
            if step.descends {
                self.select(step, part, found, depth)?;
            }
            Ok(())
        };
        match value.get().as_bytes().first() {
            Some(b'{') => {
                let members = members(value)?;
                members
                    .iter()
                    .try_for_each(|(name, part)| select(Place::Member(name), part))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(invalid)?;
                let length = items.len() as i64;
                let mut items = (0..).zip(items);
                items.try_for_each(|(at, part)| select(Place::Item(at, length), part))
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, count: usize) -> Result<()> {
        self.left = self.left.checked_sub(count).ok_or_else(|| {
            let told = format!("the filters look at more than {MAX_LOOKS} values");
            Error::new(ErrorKind::TooLarge, told)
        })?;
        Ok(())
    }
}

fn below(depth: usize) -> Result<usize> {
    depth.checked_sub(1).ok_or_else(|| {
        let told = format!("the filters look deeper than {MAX_DEPTH} levels");
        Error::new(ErrorKind::TooLarge, told)
    })
}
