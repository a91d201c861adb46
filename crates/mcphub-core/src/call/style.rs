//! The serialization tables: OpenAPI 3.0.4 "Style Values" and "Style Examples", RFC 6570.
//!
//! Where the tables say nothing, this is what mcphub does, from every target alike:
//! - `null` and an empty array or object are absent; an empty string is present and empty.
//! - A value that nests below an array's item or an object's member is JSON text, except in
//!   `deepObject`, where members nest as `a[b][c]` and arrays repeat their key.
//! - Exploded cookies are pairs of their own (`a=1; a=2`), not the `&` of the query.
//! - Parts of a multipart body that have a style are not percent-encoded.
//! - A number that is not an integer literal is written as ECMAScript does (`1`, `0.1`, `1e+21`).

use std::borrow::Cow;

use indexmap::IndexMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;

use crate::spec::{Serialization, Style};
use crate::{Error, Result};

/// Everything but RFC 3986 unreserved characters.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// RFC 6570 reserved expansion, less what would end or split a query: `#`, `&`, `+`, `[`, `]`.
const RESERVED: &AsciiSet = &UNRESERVED
    .remove(b':')
    .remove(b'/')
    .remove(b'?')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// How text is escaped for its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// As it is: headers, parts, cookies of the style `cookie`.
    None,
    /// All but unreserved characters: path, query, cookie, form.
    Percent,
    /// `allowReserved`: reserved characters and percent-encoded triples pass.
    Reserved,
}

impl Escape {
    /// For a value that becomes pairs.
    pub(super) fn of(how: &Serialization) -> Self {
        match how {
            _ if how.style == Style::Cookie => Self::None,
            _ if how.allow_reserved => Self::Reserved,
            _ => Self::Percent,
        }
    }

    /// Escapes the name of a pair, in which nothing is reserved.
    pub(super) fn key(self, name: &str) -> String {
        match self {
            Self::None => name.to_owned(),
            Self::Percent | Self::Reserved => Self::Percent.text(name),
        }
    }

    pub(super) fn text(self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Percent => Cow::from(utf8_percent_encode(text, UNRESERVED)).into_owned(),
            Self::Reserved => reserved(text),
        }
    }
}

fn reserved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.extend(utf8_percent_encode(&rest[..at], RESERVED));
        let triple = rest
            .as_bytes()
            .get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let end = if triple { at + 3 } else { at + 1 };
        out.push_str(if triple { &rest[at..end] } else { "%25" });
        rest = &rest[end..];
    }
    out.extend(utf8_percent_encode(rest, RESERVED));
    out
}

/// A value, taken apart one level.
pub(super) enum Shape {
    Null,
    Scalar(String),
    Array(Vec<String>),
    Object(Vec<(String, String)>),
}

impl Shape {
    pub(super) fn of(raw: &RawValue) -> Result<Self> {
        Ok(match raw.get().as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b'[') => {
                let items: Vec<&RawValue> = read(raw)?;
                let items = items.into_iter().filter(|item| item.get() != "null");
                Self::Array(items.map(scalar).collect::<Result<_>>()?)
            }
            Some(b'{') => {
                let members: IndexMap<String, &RawValue> = read(raw)?;
                let members = members
                    .into_iter()
                    .filter(|(_, value)| value.get() != "null");
                Self::Object(
                    members
                        .map(|(name, value)| Ok((name, scalar(value)?)))
                        .collect::<Result<_>>()?,
                )
            }
            _ => Self::Scalar(scalar(raw)?),
        })
    }
}

/// The text of one value: a string's content, a number's digits, JSON for what nests.
pub(super) fn scalar(raw: &RawValue) -> Result<String> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => read(raw),
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => {
            let number: f64 = read(raw)?;
            Ok(ryu_js::Buffer::new().format(number).to_owned())
        }
        Some(b'[' | b'{') => Ok(compact(raw)),
        _ => Ok(text.to_owned()),
    }
}

/// JSON text without insignificant white space; numbers keep their digits.
pub(super) fn compact(raw: &RawValue) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let kept = raw.get().chars().filter(|&c| {
        let keep = in_string || !c.is_ascii_whitespace();
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
        keep
    });
    kept.collect()
}

/// The items of an array, in order.
pub(super) fn items(raw: &RawValue) -> Result<Vec<&RawValue>> {
    read(raw)
}

/// The members of an object, in order.
pub(super) fn members(raw: &RawValue) -> Result<IndexMap<String, &RawValue>> {
    if !raw.get().starts_with('{') {
        return Err(Error::invalid("must be an object"));
    }
    read(raw)
}

fn read<'a, T: serde::Deserialize<'a>>(raw: &'a RawValue) -> Result<T> {
    serde_json::from_str(raw.get())
        .map_err(|error| Error::invalid("the value cannot be read").caused_by(error))
}

/// The value of a path or header parameter as one text; `None` when it is absent.
pub(super) fn single(
    name: &str,
    raw: &RawValue,
    how: &Serialization,
    escape: Escape,
) -> Result<Option<String>> {
    let e = |text: &String| escape.text(text);
    let pairs = |members: &[(String, String)], between: &str, separator: &str| {
        let pairs = members
            .iter()
            .map(|(key, value)| format!("{}{between}{}", e(key), e(value)));
        pairs.collect::<Vec<_>>().join(separator)
    };
    let join =
        |items: &[String], separator: &str| items.iter().map(e).collect::<Vec<_>>().join(separator);
    let key = escape.text(name);
    Ok(match (Shape::of(raw)?, how.style, how.explode) {
        (Shape::Null, ..) => None,
        (Shape::Array(items), ..) if items.is_empty() => None,
        (Shape::Object(members), ..) if members.is_empty() => None,
        (Shape::Scalar(text), Style::Label, _) => Some(format!(".{}", e(&text))),
        (Shape::Scalar(text), Style::Matrix, _) if text.is_empty() => Some(format!(";{key}")),
        (Shape::Scalar(text), Style::Matrix, _) => Some(format!(";{key}={}", e(&text))),
        (Shape::Scalar(text), ..) => Some(e(&text)),
        (Shape::Array(items), Style::Label, explode) => Some(format!(
            ".{}",
            join(&items, if explode { "." } else { "," })
        )),
        (Shape::Array(items), Style::Matrix, false) => {
            Some(format!(";{key}={}", join(&items, ",")))
        }
        (Shape::Array(items), Style::Matrix, true) => Some(
            items
                .iter()
                .map(|item| format!(";{key}={}", e(item)))
                .collect(),
        ),
        (Shape::Array(items), style, _) => Some(join(&items, delimiter(style, escape))),
        (Shape::Object(members), Style::Label, false) => {
            Some(format!(".{}", pairs(&members, ",", ",")))
        }
        (Shape::Object(members), Style::Label, true) => {
            Some(format!(".{}", pairs(&members, "=", ".")))
        }
        (Shape::Object(members), Style::Matrix, false) => {
            Some(format!(";{key}={}", pairs(&members, ",", ",")))
        }
        (Shape::Object(members), Style::Matrix, true) => {
            Some(format!(";{}", pairs(&members, "=", ";")))
        }
        (Shape::Object(members), _, false) => Some(pairs(&members, ",", ",")),
        (Shape::Object(members), _, true) => Some(pairs(&members, "=", ",")),
    })
}

/// What stands between the items of a list, as it travels: a space, a pipe and a tab are not legal
/// in a URL. Swagger 2.0 has them in paths and headers too.
fn delimiter(style: Style, escape: Escape) -> &'static str {
    match (style, escape) {
        (Style::SpaceDelimited, Escape::None) => " ",
        (Style::PipeDelimited, Escape::None) => "|",
        (Style::TabDelimited, Escape::None) => "\t",
        (Style::SpaceDelimited, _) => "%20",
        (Style::PipeDelimited, _) => "%7C",
        (Style::TabDelimited, _) => "%09",
        _ => ",",
    }
}

/// The value of a query, cookie or form parameter as escaped `name`, `value` pairs.
pub(super) fn pairs(
    name: &str,
    raw: &RawValue,
    how: &Serialization,
    escape: Escape,
) -> Result<Vec<(String, String)>> {
    let key = escape.key(name);
    let e = |text: &String| escape.text(text);
    if how.style == Style::DeepObject {
        let mut out = Vec::new();
        deep(&key, raw, escape, &mut out)?;
        return Ok(out);
    }
    let delimiter = delimiter(how.style, escape);
    Ok(match Shape::of(raw)? {
        Shape::Null => Vec::new(),
        Shape::Scalar(text) => vec![(key, e(&text))],
        Shape::Array(items) if how.explode => {
            items.iter().map(|item| (key.clone(), e(item))).collect()
        }
        Shape::Array(items) if items.is_empty() => Vec::new(),
        Shape::Array(items) => vec![(key, items.iter().map(e).collect::<Vec<_>>().join(delimiter))],
        Shape::Object(members) if how.explode => members
            .iter()
            .map(|(name, value)| (escape.key(name), e(value)))
            .collect(),
        Shape::Object(members) if members.is_empty() => Vec::new(),
        Shape::Object(members) => {
            let flat = members
                .iter()
                .flat_map(|(name, value)| [escape.key(name), e(value)]);
            vec![(key, flat.collect::<Vec<_>>().join(delimiter))]
        }
    })
}

fn deep(key: &str, raw: &RawValue, escape: Escape, out: &mut Vec<(String, String)>) -> Result<()> {
    match raw.get().as_bytes().first() {
        Some(b'n') => {}
        Some(b'{') => {
            let members: IndexMap<String, &RawValue> = read(raw)?;
            for (name, value) in members {
                // Nesting ends where the reader of the arguments ends it, at 128 levels.
                let key = match escape {
                    Escape::None => format!("{key}[{name}]"),
                    _ => format!("{key}%5B{}%5D", escape.key(&name)),
                };
                deep(&key, value, escape, out)?;
            }
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = read(raw)?;
            for item in items.into_iter().filter(|item| item.get() != "null") {
                out.push((key.to_owned(), escape.text(&scalar(item)?)));
            }
        }
        _ => out.push((key.to_owned(), escape.text(&scalar(raw)?))),
    }
    Ok(())
}

#[cfg(test)]
#[path = "style_tests.rs"]
mod tests;
