//! What the steps of a path take of a JSON value (RFC 9535, 2.3 to 2.5).

use std::cmp::Ordering;

use serde_json::Value;

/// At how many values the filters of all fields look together.
const MAX_LOOKS: usize = 1_000_000;

/// How deep they look.
const MAX_DEPTH: usize = 128;

/// What a step takes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub selectors: Vec<Selector>,
    /// Whether it takes them of everything below, too (`..`).
    pub descends: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
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
    /// Whatever a condition holds for.
    Filter(Filter),
}

/// Where a part of a value is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    Member(&'a str),
    /// Of how many.
    Item(i64, i64),
}

impl Step {
    /// Whether it looks into the items of a list as if there was none.
    pub fn passes(&self) -> bool {
        let mut selectors = self.selectors.iter();
        selectors.any(|selector| matches!(selector, Selector::Name(_)))
    }
}

impl Selector {
    /// Whether it takes what is there. What a filter takes depends on the part itself.
    pub fn takes(&self, part: Place<'_>) -> bool {
        let (start, end, step, place, length) = match (self, part) {
            (Self::Any, _) => return true,
            (Self::Name(known), Place::Member(name)) => return known == name,
            (Self::Item(item), Place::Item(place, length)) => {
                return *item == place || *item == place - length;
            }
            (Self::Items { start, end, step }, Place::Item(place, length)) => {
                (*start, *end, *step, place, length)
            }
            _ => return false,
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

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
    Exists(Query),
    Compares(Operand, Comparison, Operand),
}

/// A path whose names do not look into lists, as in the standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    /// Whether it begins at the whole rather than at what is filtered.
    pub is_absolute: bool,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operand {
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
pub(crate) enum Comparison {
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

/// Filters look at too much: at what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooMuch(String);

impl std::fmt::Display for TooMuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the filters look {}", self.0)
    }
}

impl std::error::Error for TooMuch {}

type Result<T> = std::result::Result<T, TooMuch>;

/// What is compared.
enum Known<'v> {
    /// Of the answer.
    Value(&'v Value),
    Null,
    Boolean(bool),
    Number(Number),
    Text(&'v str),
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
    fn of(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(it) => Self::Boolean(*it),
            Value::Number(number) => Self::Number(Number::read(&number.to_string())),
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Value(value),
        }
    }

    /// How many characters, items or members.
    fn length(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.chars().count()),
            Self::Value(Value::Array(items)) => Some(items.len()),
            Self::Value(Value::Object(members)) => Some(members.len()),
            _ => None,
        }
    }
}

/// What filters have in common over one value.
pub(crate) struct Looking<'r> {
    whole: &'r Value,
    left: usize,
}

impl<'r> Looking<'r> {
    pub(crate) fn new(whole: &'r Value) -> Self {
        let left = MAX_LOOKS;
        Self { whole, left }
    }

    /// Whether a step takes a part of a value.
    pub(crate) fn takes(&mut self, step: &Step, place: Place<'_>, part: &'r Value) -> Result<bool> {
        for selector in &step.selectors {
            if self.selects(selector, place, part)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn selects(&mut self, selector: &Selector, place: Place<'_>, part: &'r Value) -> Result<bool> {
        match selector {
            Selector::Filter(filter) => self.holds(filter, part),
            other => Ok(other.takes(place)),
        }
    }

    fn holds(&mut self, filter: &Filter, value: &'r Value) -> Result<bool> {
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
                self.compare(left.as_ref(), *comparison, right.as_ref())?
            }
        })
    }

    /// RFC 9535, 2.3.5.2.2; `None` is nothing.
    fn compare(
        &mut self,
        left: Option<&Known<'_>>,
        comparison: Comparison,
        right: Option<&Known<'_>>,
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
            (Known::Value(Value::Array(one)), Known::Value(Value::Array(two)))
                if one.len() == two.len() =>
            {
                self.look(one.len())?;
                for (one, two) in one.iter().zip(two) {
                    if !self.same(&Known::of(one), &Known::of(two), depth)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Known::Value(Value::Object(one)), Known::Value(Value::Object(two)))
                if one.len() == two.len() =>
            {
                self.look(one.len())?;
                for (name, one) in one {
                    let Some(two) = two.get(name) else {
                        return Ok(false);
                    };
                    if !self.same(&Known::of(one), &Known::of(two), depth)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn known<'o>(&mut self, operand: &'o Operand, value: &'r Value) -> Result<Option<Known<'o>>>
    where
        'r: 'o,
    {
        let counted = |count: usize| Known::Number(Number::Integer(count as i128));
        Ok(match operand {
            Operand::Null => Some(Known::Null),
            Operand::Boolean(it) => Some(Known::Boolean(*it)),
            Operand::Number(text) => Some(Known::Number(Number::read(text))),
            Operand::Text(text) => Some(Known::Text(text)),
            Operand::Value(query) => match self.found(query, value)?[..] {
                [found] => Some(Known::of(found)),
                _ => None,
            },
            Operand::Count(query) => Some(counted(self.found(query, value)?.len())),
            Operand::Length(of) => {
                let of = self.known(of, value)?;
                of.and_then(|of| of.length()).map(counted)
            }
        })
    }

    /// The values that a query finds.
    fn found(&mut self, query: &Query, value: &'r Value) -> Result<Vec<&'r Value>> {
        let mut found = vec![if query.is_absolute { self.whole } else { value }];
        for step in &query.steps {
            let mut next = Vec::new();
            for value in found {
                self.select(step, value, &mut next, MAX_DEPTH)?;
            }
            found = next;
        }
        Ok(found)
    }

    fn select(
        &mut self,
        step: &Step,
        value: &'r Value,
        found: &mut Vec<&'r Value>,
        depth: usize,
    ) -> Result<()> {
        let depth = below(depth)?;
        let mut select = |place: Place<'_>, part: &'r Value| {
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
        match value {
            Value::Object(members) => {
                let mut members = members.iter();
                members.try_for_each(|(name, part)| select(Place::Member(name), part))
            }
            Value::Array(items) => {
                let length = items.len() as i64;
                let mut items = (0..).zip(items);
                items.try_for_each(|(at, part)| select(Place::Item(at, length), part))
            }
            _ => Ok(()),
        }
    }

    fn look(&mut self, count: usize) -> Result<()> {
        let told = || TooMuch(format!("at more than {MAX_LOOKS} values"));
        self.left = self.left.checked_sub(count).ok_or_else(told)?;
        Ok(())
    }
}

fn below(depth: usize) -> Result<usize> {
    let told = || TooMuch(format!("deeper than {MAX_DEPTH} levels"));
    depth.checked_sub(1).ok_or_else(told)
}
