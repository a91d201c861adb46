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
    pub(super) fn key<'a>(self, name: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        match self {
            Self::None => name.into(),
            Self::Percent | Self::Reserved => Self::Percent.text(name),
        }
    }

    /// Escapes a value. What has nothing to escape is not copied.
    pub(super) fn text<'a>(self, text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
        let text = text.into();
        let escaped = match self {
            Self::None => None,
            Self::Percent => match Cow::from(utf8_percent_encode(&text, UNRESERVED)) {
                // One escaped character alone is borrowed as well.
                Cow::Borrowed(escaped) if escaped.len() == text.len() => None,
                escaped => Some(escaped.into_owned()),
            },
            Self::Reserved => Some(reserved(&text)),
        };
        escaped.map_or(text, Cow::Owned)
    }
}

/// The escaped name and value of a query, a form or a cookie.
pub(super) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

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
pub(super) enum Shape<'a> {
    Null,
    Scalar(Cow<'a, str>),
    Array(Vec<Cow<'a, str>>),
    Object(Vec<Pair<'a>>),
}

impl<'a> Shape<'a> {
    pub(super) fn of(raw: &'a RawValue) -> Result<Self> {
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
                        .map(|(name, value)| Ok((name.into(), scalar(value)?)))
                        .collect::<Result<_>>()?,
                )
            }
            _ => Self::Scalar(scalar(raw)?),
        })
    }
}

/// The text of one value: a string's content, a number's digits, JSON for what nests.
pub(super) fn scalar(raw: &RawValue) -> Result<Cow<'_, str>> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => match text.get(1..text.len() - 1) {
            Some(content) if !content.contains('\\') => Ok(content.into()),
            _ => read::<String>(raw).map(Cow::Owned),
        },
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => {
            let number: f64 = read(raw)?;
            Ok(ryu_js::Buffer::new().format(number).to_owned().into())
        }
        Some(b'[' | b'{') => Ok(compact(raw).into()),
        _ => Ok(text.into()),
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
pub(super) fn single<'a>(
    name: &str,
    raw: &'a RawValue,
    how: &Serialization,
    escape: Escape,
) -> Result<Option<Cow<'a, str>>> {
    let e = |text: &Cow<'_, str>| escape.text(&**text).into_owned();
    let join =
        |items: &[Cow<'_, str>], separator| items.iter().map(e).collect::<Vec<_>>().join(separator);
    let pairs = |members: &[Pair<'_>], between: &str, separator| {
        let pairs = members
            .iter()
            .map(|(key, value)| [&e(key), between, &e(value)].concat());
        pairs.collect::<Vec<_>>().join(separator)
    };
    let key = escape.text(name);
    let text = match (Shape::of(raw)?, how.style, how.explode) {
        (Shape::Null, ..) => return Ok(None),
        (Shape::Array(items), ..) if items.is_empty() => return Ok(None),
        (Shape::Object(members), ..) if members.is_empty() => return Ok(None),
        (Shape::Scalar(text), Style::Label, _) => format!(".{}", e(&text)),
        (Shape::Scalar(text), Style::Matrix, _) if text.is_empty() => format!(";{key}"),
        (Shape::Scalar(text), Style::Matrix, _) => format!(";{key}={}", e(&text)),
        (Shape::Scalar(text), ..) => return Ok(Some(escape.text(text))),
        (Shape::Array(items), Style::Label, explode) => {
            format!(".{}", join(&items, if explode { "." } else { "," }))
        }
        (Shape::Array(items), Style::Matrix, false) => format!(";{key}={}", join(&items, ",")),
        (Shape::Array(items), Style::Matrix, true) => items
            .iter()
            .map(|item| format!(";{key}={}", e(item)))
            .collect(),
        (Shape::Array(items), style, _) => join(&items, delimiter(style, escape)),
        (Shape::Object(members), Style::Label, false) => format!(".{}", pairs(&members, ",", ",")),
        (Shape::Object(members), Style::Label, true) => format!(".{}", pairs(&members, "=", ".")),
        (Shape::Object(members), Style::Matrix, false) => {
            format!(";{key}={}", pairs(&members, ",", ","))
        }
        (Shape::Object(members), Style::Matrix, true) => {
            format!(";{}", pairs(&members, "=", ";"))
        }
        (Shape::Object(members), _, false) => pairs(&members, ",", ","),
        (Shape::Object(members), _, true) => pairs(&members, "=", ","),
    };
    Ok(Some(text.into()))
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

/// The value of a query, cookie or form parameter as escaped pairs.
pub(super) fn pairs<'a>(
    name: &'a str,
    raw: &'a RawValue,
    how: &Serialization,
    escape: Escape,
) -> Result<Vec<Pair<'a>>> {
    let key = escape.key(name);
    let e = |text| escape.text(text);
    if how.style == Style::DeepObject {
        let mut out = Vec::new();
        deep(&key, raw, escape, &mut out)?;
        return Ok(out);
    }
    let delimiter = delimiter(how.style, escape);
    Ok(match Shape::of(raw)? {
        Shape::Null => Vec::new(),
        Shape::Scalar(text) => vec![(key, e(text))],
        Shape::Array(items) if how.explode => items
            .into_iter()
            .map(|item| (key.clone(), e(item)))
            .collect(),
        Shape::Array(items) if items.is_empty() => Vec::new(),
        Shape::Array(items) => {
            let items: Vec<_> = items.into_iter().map(e).collect();
            vec![(key, items.join(delimiter).into())]
        }
        Shape::Object(members) if how.explode => members
            .into_iter()
            .map(|(name, value)| (escape.key(name), e(value)))
            .collect(),
        Shape::Object(members) if members.is_empty() => Vec::new(),
        Shape::Object(members) => {
            let flat = members
                .into_iter()
                .flat_map(|(name, value)| [escape.key(name), e(value)]);
            vec![(key, flat.collect::<Vec<_>>().join(delimiter).into())]
        }
    })
}

fn deep<'a>(key: &str, raw: &'a RawValue, escape: Escape, out: &mut Vec<Pair<'a>>) -> Result<()> {
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
                out.push((key.to_owned().into(), escape.text(scalar(item)?)));
            }
        }
        _ => out.push((key.to_owned().into(), escape.text(scalar(raw)?))),
    }
    Ok(())
}

#[cfg(test)]
#[path = "style_tests.rs"]
mod tests;
