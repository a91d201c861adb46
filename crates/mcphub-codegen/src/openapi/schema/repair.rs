//! Values of keywords that documents get wrong in ways that leave no doubt about what is meant.

use serde_json::{Number, Value};

use super::super::node::{Node, Object};

const TYPES: [&str; 7] = [
    "string", "integer", "number", "boolean", "object", "array", "null",
];

/// The value of `type`.
pub(super) fn types(value: &Node<'_>) -> Result<Value, &'static str> {
    const EXPECTED: &str = "expected a type of JSON Schema";
    match value {
        Node::String(name) => type_named(name).map(Value::from).ok_or(EXPECTED),
        Node::Array(names) => {
            let mut out: Vec<Value> = Vec::with_capacity(names.len());
            for name in names.iter().filter_map(|name| type_named(name.as_str()?)) {
                if out.iter().all(|other| other != name) {
                    out.push(name.into());
                }
            }
            if out.is_empty() {
                Err(EXPECTED)
            } else {
                Ok(Value::Array(out))
            }
        }
        Node::Null => Ok("null".into()),
        _ => Err(EXPECTED),
    }
}

fn type_named(name: &str) -> Option<&'static str> {
    if let Some(exact) = TYPES.into_iter().find(|exact| *exact == name) {
        return Some(exact);
    }
    let name = name.trim().to_ascii_lowercase();
    if let Some(exact) = TYPES.into_iter().find(|exact| *exact == name) {
        return Some(exact);
    }
    Some(match name.as_str() {
        "int" | "int32" | "int64" | "long" => "integer",
        "float" | "double" | "decimal" => "number",
        "bool" => "boolean",
        "str" | "text" | "file" | "binary" | "date" | "datetime" | "date-time" | "uuid" => "string",
        "dict" | "map" => "object",
        "list" => "array",
        _ => return None,
    })
}

/// Whether 3.0's boolean beside `minimum` or `maximum` makes it exclusive.
pub(super) fn is_exclusive(key: &str, source: &Object<'_>) -> bool {
    let flag = match key {
        "minimum" => "exclusiveMinimum",
        "maximum" => "exclusiveMaximum",
        _ => return false,
    };
    matches!(source.get(flag), Some(Node::Bool(true)))
}

pub(super) fn number(value: &Node<'_>) -> Option<Value> {
    match value {
        Node::Number(number) => Some(Value::Number(number.clone())),
        Node::String(text) => text.trim().parse::<Number>().ok().map(Value::Number),
        _ => None,
    }
}

pub(super) fn positive(value: &Node<'_>) -> Option<Value> {
    number(value).filter(|number| number.as_f64().is_some_and(|number| number > 0.0))
}

pub(super) fn count(value: &Node<'_>) -> Option<Value> {
    /// The integers that a double holds exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number = number(value)?;
    if number.is_u64() {
        return Some(number);
    }
    let float = number.as_f64()?;
    // The range makes the conversion exact.
    ((0.0..=EXACT).contains(&float) && float.fract() == 0.0).then(|| Value::from(float as u64))
}

pub(super) fn flag(value: &Node<'_>) -> Option<Value> {
    match value {
        Node::Bool(flag) => Some(Value::Bool(*flag)),
        Node::String(text) => text
            .trim()
            .to_ascii_lowercase()
            .parse()
            .ok()
            .map(Value::Bool),
        _ => None,
    }
}

pub(super) fn text(value: &Node<'_>) -> Option<Value> {
    match value {
        Node::String(text) => Some(text.as_ref().into()),
        Node::Number(number) => Some(number.to_string().into()),
        Node::Bool(flag) => Some(flag.to_string().into()),
        _ => None,
    }
}

pub(super) fn names(value: &Node<'_>) -> Option<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for name in value.as_array()?.iter().filter_map(Node::as_str) {
        if seen.insert(name) {
            out.push(name.into());
        }
    }
    Some(Value::Array(out))
}

pub(super) fn names_by_name(value: &Node<'_>) -> Option<Value> {
    let members = value.as_object()?.iter();
    Some(Value::Object(
        members
            .filter_map(|(key, value)| Some((key.to_owned(), names(value)?)))
            .collect(),
    ))
}
