//! Paths into a JSON value: names with dots between them, and JSONPath (RFC 9535).

use super::filter::Filter;
use super::parse;

/// How deep filters and what is in brackets may nest.
const MAX_NESTING: usize = 16;

/// What a step takes of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub selectors: Vec<Selector>,
    /// Whether it takes them of everything below, too (`..`).
    pub descends: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
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
pub(super) enum Place<'a> {
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

/// The steps of a field; `None` for what is none.
pub(super) fn steps(text: &str) -> Option<Vec<Step>> {
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
            Some(inside) => bracketed(inside, MAX_NESTING)?,
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

/// Selectors with commas between them and `]`. Filters in it nest so deep.
pub(super) fn bracketed(text: &str, nesting: usize) -> Option<(Vec<Selector>, &str)> {
    let (mut selectors, mut rest) = (Vec::new(), text.trim_start());
    loop {
        let (selector, after) = selector(rest, nesting)?;
        selectors.push(selector);
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return Some((selectors, after.strip_prefix(']')?)),
        }
    }
}

fn selector(text: &str, nesting: usize) -> Option<(Selector, &str)> {
    if let Some(condition) = text.strip_prefix('?') {
        let (filter, after) = parse::filter(condition, nesting)?;
        return Some((Selector::Filter(filter), after));
    }
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
pub(super) fn quoted(text: &str) -> Option<(String, &str)> {
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
