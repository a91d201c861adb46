//! Values become text: OpenAPI 3.0.4 "Style Values" and "Style Examples", RFC 6570.
//!
//! Where the tables say nothing:
//! - `null` and an empty array or object are absent; an empty string is present and empty.
//! - A value that nests below an array's item or an object's member is JSON text, except in
//!   `deepObject`, where members nest as `a[b][c]` and arrays repeat their key.
//! - Exploded cookies are pairs of their own (`a=1; a=2`), not the `&` of the query.
//! - A number that is not an integer literal is written as ECMAScript does (`1`, `0.1`, `1e+21`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::style::{How, Style};

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

/// A value cannot be sent: what is expected of it.
#[derive(Debug)]
pub(crate) struct ValueError(pub(crate) String);

impl From<&str> for ValueError {
    fn from(expected: &str) -> Self {
        Self(expected.to_owned())
    }
}

pub(crate) type Result<T> = std::result::Result<T, ValueError>;

/// A name and a value.
pub(crate) type Pair = (String, String);

/// How text is escaped for its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// As it is: headers, parts, cookies of the style `cookie`.
    None,
    /// All but unreserved characters: path, query, cookie, form.
    Percent,
    /// `allowReserved`: reserved characters and percent-encoded triples pass.
    Reserved,
}

impl Escape {
    /// For a value that becomes pairs.
    pub(crate) fn of(how: &How) -> Self {
        match how.style {
            Some(Style::Cookie) => Self::None,
            _ if how.reserved => Self::Reserved,
            _ => Self::Percent,
        }
    }

    /// Escapes the name of a pair, in which nothing is reserved.
    pub(crate) fn key(self, name: &str) -> String {
        match self {
            Self::None => name.to_owned(),
            Self::Percent | Self::Reserved => percent(name),
        }
    }

    /// Escapes a value.
    pub(crate) fn text(self, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Percent => percent(text),
            Self::Reserved => reserved(text),
        }
    }
}

/// Percent-encodes all but unreserved characters.
pub(crate) fn percent(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn reserved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.extend(utf8_percent_encode(&rest[..at], RESERVED));
        let hex = rest.as_bytes().get(at + 1..at + 3);
        let triple = hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let end = if triple { at + 3 } else { at + 1 };
        out.push_str(if triple { &rest[at..end] } else { "%25" });
        rest = &rest[end..];
    }
    out.extend(utf8_percent_encode(rest, RESERVED));
    out
}

/// The text of one value: a string's content, a number's digits, JSON for what nests.
pub(crate) fn scalar(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => {
            let text = number.to_string();
            if !text.contains(['.', 'e', 'E']) {
                return Ok(text);
            }
            let number = number.as_f64().ok_or("is a number beyond any range")?;
            Ok(ryu_js::Buffer::new().format(number).to_owned())
        }
        other => Ok(other.to_string()),
    }
}

/// The value of a parameter with `content`: JSON text, or the bare text for other media types.
pub(crate) fn content(media_type: &str, value: &Value) -> Result<String> {
    if is_json(media_type) {
        Ok(value.to_string())
    } else {
        scalar(value)
    }
}

/// Whether a media type is JSON: `application/json` or a `+json` suffix (RFC 6839).
pub(crate) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// Refuses what would end a header (RFC 9110, 5.5).
pub(crate) fn header_text(text: &str) -> Result<()> {
    if text.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
        return Err("a header value cannot hold control characters".into());
    }
    Ok(())
}

/// The members of an object.
pub(crate) fn members(value: &Value) -> Result<&Map<String, Value>> {
    value.as_object().ok_or_else(|| "must be an object".into())
}

/// `NAME=VALUE` with a separator between.
pub(crate) fn join(pairs: &[Pair], separator: &str) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join(separator)
}

/// A value, taken apart one level; what is null inside is left out.
enum Shape {
    Null,
    Scalar(String),
    Array(Vec<String>),
    Object(Vec<Pair>),
}

impl Shape {
    fn of(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Array(items) => {
                let items = items.iter().filter(|item| !item.is_null());
                Self::Array(items.map(scalar).collect::<Result<_>>()?)
            }
            Value::Object(members) => {
                let members = members.iter().filter(|(_, value)| !value.is_null());
                let pairs = members.map(|(name, value)| Ok((name.clone(), scalar(value)?)));
                Self::Object(pairs.collect::<Result<_>>()?)
            }
            other => Self::Scalar(scalar(other)?),
        })
    }
}

/// The value of a path or header parameter as one text; `None` when it is absent.
pub(crate) fn single(
    name: &str,
    value: &Value,
    how: &How,
    escape: Escape,
) -> Result<Option<String>> {
    let e = |text: &String| escape.text(text);
    let join = |items: &[String], separator: &str| {
        let items: Vec<_> = items.iter().map(e).collect();
        items.join(separator)
    };
    let pairs = |members: &[Pair], between: &str, separator: &str| {
        let pairs = members.iter();
        let pairs: Vec<_> = pairs
            .map(|(key, value)| format!("{}{between}{}", e(key), e(value)))
            .collect();
        pairs.join(separator)
    };
    let key = escape.text(name);
    let style = how.style.unwrap_or(Style::Simple);
    let text = match (Shape::of(value)?, style, how.explode) {
        (Shape::Null, ..) => return Ok(None),
        (Shape::Array(items), ..) if items.is_empty() => return Ok(None),
        (Shape::Object(members), ..) if members.is_empty() => return Ok(None),
        (Shape::Scalar(text), Style::Label, _) => format!(".{}", e(&text)),
        (Shape::Scalar(text), Style::Matrix, _) if text.is_empty() => format!(";{key}"),
        (Shape::Scalar(text), Style::Matrix, _) => format!(";{key}={}", e(&text)),
        (Shape::Scalar(text), ..) => e(&text),
        (Shape::Array(items), Style::Label, true) => format!(".{}", join(&items, ".")),
        (Shape::Array(items), Style::Label, false) => format!(".{}", join(&items, ",")),
        (Shape::Array(items), Style::Matrix, true) => {
            let items = items.iter();
            items.map(|item| format!(";{key}={}", e(item))).collect()
        }
        (Shape::Array(items), Style::Matrix, false) => format!(";{key}={}", join(&items, ",")),
        (Shape::Array(items), style, _) => join(&items, delimiter(style, escape)),
        (Shape::Object(members), Style::Label, true) => format!(".{}", pairs(&members, "=", ".")),
        (Shape::Object(members), Style::Label, false) => format!(".{}", pairs(&members, ",", ",")),
        (Shape::Object(members), Style::Matrix, true) => format!(";{}", pairs(&members, "=", ";")),
        (Shape::Object(members), Style::Matrix, false) => {
            format!(";{key}={}", pairs(&members, ",", ","))
        }
        (Shape::Object(members), _, true) => pairs(&members, "=", ","),
        (Shape::Object(members), _, false) => pairs(&members, ",", ","),
    };
    Ok(Some(text))
}

/// What stands between the items of a list, as it travels: a space, a pipe and a tab are not legal
/// in a URL.
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
pub(crate) fn pairs(name: &str, value: &Value, how: &How, escape: Escape) -> Result<Vec<Pair>> {
    let key = escape.key(name);
    if let Some(media_type) = how.content {
        return Ok(vec![(key, escape.text(&content(media_type, value)?))]);
    }
    let e = |text: &String| escape.text(text);
    let style = how.style.unwrap_or(Style::Form);
    if style == Style::DeepObject {
        let mut out = Vec::new();
        deep(&key, value, escape, &mut out)?;
        return Ok(out);
    }
    let delimiter = delimiter(style, escape);
    Ok(match Shape::of(value)? {
        Shape::Null => Vec::new(),
        Shape::Scalar(text) => vec![(key, e(&text))],
        Shape::Array(items) if how.explode => {
            items.iter().map(|item| (key.clone(), e(item))).collect()
        }
        Shape::Array(items) if items.is_empty() => Vec::new(),
        Shape::Array(items) => {
            let items: Vec<_> = items.iter().map(e).collect();
            vec![(key, items.join(delimiter))]
        }
        Shape::Object(members) if how.explode => {
            let members = members.iter();
            members
                .map(|(name, value)| (escape.key(name), e(value)))
                .collect()
        }
        Shape::Object(members) if members.is_empty() => Vec::new(),
        Shape::Object(members) => {
            let flat: Vec<_> = members
                .iter()
                .flat_map(|(name, value)| [escape.key(name), e(value)])
                .collect();
            vec![(key, flat.join(delimiter))]
        }
    })
}

/// Ends where reading ended, at 128 levels.
fn deep(key: &str, value: &Value, escape: Escape, out: &mut Vec<Pair>) -> Result<()> {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                let key = match escape {
                    Escape::None => format!("{key}[{name}]"),
                    _ => format!("{key}%5B{}%5D", escape.key(name)),
                };
                deep(&key, value, escape, out)?;
            }
        }
        Value::Array(items) => {
            for item in items.iter().filter(|item| !item.is_null()) {
                out.push((key.to_owned(), escape.text(&scalar(item)?)));
            }
        }
        other => out.push((key.to_owned(), escape.text(&scalar(other)?))),
    }
    Ok(())
}

/// One field of a form: without a style, an object is JSON text.
pub(crate) fn field(name: &str, value: &Value, how: &How) -> Result<Vec<Pair>> {
    if how.style.is_none() && value.is_object() {
        return Ok(vec![(percent(name), percent(&value.to_string()))]);
    }
    pairs(name, value, how, Escape::of(how))
}

/// The members of an object as a form.
pub(crate) fn form(value: &Value) -> Result<String> {
    let mut all = Vec::new();
    for (name, value) in members(value)? {
        all.extend(field(name, value, &crate::style::field())?);
    }
    Ok(join(&all, "&"))
}
