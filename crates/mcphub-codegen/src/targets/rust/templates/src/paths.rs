//! Paths into a JSON value as they are written: names with dots between them, and JSONPath (RFC 9535).

use crate::steps::{Comparison, Filter, Operand, Query, Selector, Step};

/// How deep filters and what is in brackets may nest.
const MAX_NESTING: usize = 16;

/// The steps of a field; `None` for what is none.
pub(crate) fn steps(text: &str) -> Option<Vec<Step>> {
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
fn bracketed(text: &str, nesting: usize) -> Option<(Vec<Selector>, &str)> {
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
        let (filter, after) = filter(condition, nesting)?;
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

/// What separates the parts of an expression (RFC 9535, 2.1.1).
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// A logical expression, with what comes after it; `None` for what is none, or nests deeper.
fn filter(text: &str, nesting: usize) -> Option<(Filter, &str)> {
    let nesting = nesting.checked_sub(1)?;
    let (first, mut rest) = conjunction(text, nesting)?;
    let mut any = vec![first];
    while let Some(more) = blanks(rest).strip_prefix("||") {
        let (next, after) = conjunction(more, nesting)?;
        any.push(next);
        rest = after;
    }
    Some((Filter::Any(any), rest))
}

fn conjunction(text: &str, nesting: usize) -> Option<(Filter, &str)> {
    let (first, mut rest) = basic(text, nesting)?;
    let mut all = vec![first];
    while let Some(more) = blanks(rest).strip_prefix("&&") {
        let (next, after) = basic(more, nesting)?;
        all.push(next);
        rest = after;
    }
    Some((Filter::All(all), rest))
}

/// A test, a comparison, or an expression in parentheses.
fn basic(text: &str, nesting: usize) -> Option<(Filter, &str)> {
    let text = blanks(text);
    if let Some(inner) = text.strip_prefix('!') {
        let inner = blanks(inner);
        let (filter, after) = match inner.strip_prefix('(') {
            Some(inner) => grouped(inner, nesting)?,
            None => {
                let (query, after) = query(inner, nesting)?;
                (Filter::Exists(query), after)
            }
        };
        return Some((Filter::Not(Box::new(filter)), after));
    }
    if let Some(inner) = text.strip_prefix('(') {
        return grouped(inner, nesting);
    }
    if let Some((query, after)) = query(text, nesting)
        && comparison(blanks(after)).is_none()
    {
        return Some((Filter::Exists(query), after));
    }
    let (left, after) = comparable(text, nesting)?;
    let (comparison, after) = comparison(blanks(after))?;
    let (right, after) = comparable(blanks(after), nesting)?;
    Some((Filter::Compares(left, comparison, right), after))
}

fn grouped(text: &str, nesting: usize) -> Option<(Filter, &str)> {
    let (inner, after) = filter(text, nesting)?;
    Some((inner, blanks(after).strip_prefix(')')?))
}

fn comparison(text: &str) -> Option<(Comparison, &str)> {
    let known = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<=", Comparison::AtMost),
        (">=", Comparison::AtLeast),
        ("<", Comparison::Less),
        (">", Comparison::More),
    ];
    let mut known = known.into_iter();
    known.find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))
}

/// A literal, a query for one value, or a function that gives a value.
fn comparable(text: &str, nesting: usize) -> Option<(Operand, &str)> {
    let nesting = nesting.checked_sub(1)?;
    if text.starts_with(['\'', '"']) {
        let (text, after) = quoted(text)?;
        return Some((Operand::Text(text), after));
    }
    if text.starts_with(['@', '$']) {
        let (query, after) = query(text, nesting)?;
        return query
            .is_singular()
            .then_some((Operand::Value(query), after));
    }
    let letters = text.find(|letter: char| !letter.is_ascii_lowercase());
    let (word, after) = text.split_at(letters.unwrap_or(text.len()));
    let operand = match word {
        "null" => Operand::Null,
        "true" => Operand::Boolean(true),
        "false" => Operand::Boolean(false),
        "" => return number(text),
        _ => {
            // RFC 9535, 2.4.4 to 2.4.8; no blank before the parenthesis.
            let inner = blanks(after.strip_prefix('(')?);
            let (operand, after) = match word {
                "length" => {
                    let (of, after) = comparable(inner, nesting)?;
                    (Operand::Length(Box::new(of)), after)
                }
                "count" | "value" => {
                    let (query, after) = query(inner, nesting)?;
                    let operand = match word {
                        "count" => Operand::Count(query),
                        _ => Operand::Value(query),
                    };
                    (operand, after)
                }
                _ => return None,
            };
            return Some((operand, blanks(after).strip_prefix(')')?));
        }
    };
    Some((operand, after))
}

/// A number as JSON writes it.
fn number(text: &str) -> Option<(Operand, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = text.strip_prefix('-').unwrap_or(text);
    let count = digits(whole);
    if count == 0 || (count > 1 && whole.starts_with('0')) {
        return None;
    }
    let mut rest = whole.get(count..)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = Some(digits(fraction)).filter(|count| *count > 0)?;
        rest = fraction.get(count..)?;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let count = Some(digits(exponent)).filter(|count| *count > 0)?;
        rest = exponent.get(count..)?;
    }
    let (number, after) = text.split_at(text.len() - rest.len());
    Some((Operand::Number(number.to_owned()), after))
}

/// A query from the value itself or from the whole.
fn query(text: &str, nesting: usize) -> Option<(Query, &str)> {
    let is_absolute = text.starts_with('$');
    let mut rest = text.strip_prefix(['@', '$'])?;
    let mut steps = Vec::new();
    loop {
        let next = blanks(rest);
        let below = next.strip_prefix("..");
        let (selectors, after) = match (below, below.unwrap_or(next)) {
            (_, inner) if inner.starts_with('[') => bracketed(inner.get(1..)?, nesting)?,
            (Some(name), _) => shorthand(name)?,
            (None, inner) => match inner.strip_prefix('.') {
                Some(name) => shorthand(name)?,
                None => break,
            },
        };
        steps.push(Step {
            selectors,
            descends: below.is_some(),
        });
        rest = after;
    }
    Some((Query { is_absolute, steps }, rest))
}

/// A name without quotes, or `*` (RFC 9535, 2.5.1.1).
fn shorthand(text: &str) -> Option<(Vec<Selector>, &str)> {
    if let Some(after) = text.strip_prefix('*') {
        return Some((vec![Selector::Any], after));
    }
    let belongs =
        |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || !letter.is_ascii();
    let end = text.find(|letter| !belongs(letter)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    Some((vec![Selector::Name(name.to_owned())], after))
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches(BLANKS)
}
