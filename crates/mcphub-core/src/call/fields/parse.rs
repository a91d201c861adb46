//! Filters of JSONPath as they are written (RFC 9535, 2.3.5.1).

use super::filter::{Comparison, Filter, Operand, Query};
use super::path::{Selector, Step, bracketed, quoted};

/// What separates the parts of an expression (RFC 9535, 2.1.1).
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// A logical expression, with what comes after it; `None` for what is none, or nests deeper.
pub(super) fn filter(text: &str, nesting: usize) -> Option<(Filter, &str)> {
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
