//! What a schema asks for, in words.

use mcphub_core::schema::Schema;
use serde_json::{Map, Value};

/// How deep a type is described.
const MAX_DEPTH: usize = 4;

/// The most values of an `enum` that are listed.
const MAX_VALUES: usize = 20;

/// The schema itself, or the definition that it refers to.
fn resolve<'s>(schema: &'s Schema, value: &'s Value) -> (Option<&'s str>, &'s Value) {
    let name = value
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.strip_prefix("#/$defs/"));
    let found = name.and_then(|name| {
        let mut definitions = schema.definitions().iter();
        definitions.find(|definition| *definition.name == *name)
    });
    match found {
        Some(definition) => (name, &definition.schema),
        None => (None, value),
    }
}

/// The type of a value, such as `array of string`.
pub(super) fn kind(schema: &Schema, value: &Value) -> String {
    described(schema, value, MAX_DEPTH)
}

fn described(schema: &Schema, value: &Value, depth: usize) -> String {
    let (name, value) = resolve(schema, value);
    let Some(depth) = depth.checked_sub(1) else {
        return name.unwrap_or("any").to_owned();
    };
    let Some(object) = value.as_object() else {
        return "any".to_owned();
    };
    let list = |key: &str| object.get(key).and_then(Value::as_array);
    if let Some(branches) = list("anyOf").or(list("oneOf")) {
        let mut kinds: Vec<_> = branches
            .iter()
            .map(|branch| described(schema, branch, depth))
            .collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    match object.get("type") {
        Some(Value::String(kind)) => one(schema, object, kind, name, depth),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            let kinds: Vec<_> = kinds
                .map(|kind| one(schema, object, kind, name, depth))
                .collect();
            kinds.join(" or ")
        }
        _ if object.contains_key("properties") => name.unwrap_or("object").to_owned(),
        _ if object.contains_key("enum") || object.contains_key("const") => "value".to_owned(),
        _ => name.unwrap_or("any").to_owned(),
    }
}

fn one(
    schema: &Schema,
    object: &Map<String, Value>,
    kind: &str,
    name: Option<&str>,
    depth: usize,
) -> String {
    match kind {
        "array" => match object.get("items") {
            Some(items) => format!("array of {}", described(schema, items, depth)),
            None => "array".to_owned(),
        },
        "object" => name.unwrap_or(kind).to_owned(),
        "string" if object.contains_key("contentEncoding") => "base64".to_owned(),
        _ => kind.to_owned(),
    }
}

/// What else a value has to be.
pub(super) fn notes(schema: &Schema, value: &Value) -> Vec<String> {
    let (_, target) = resolve(schema, value);
    let Some(object) = target.as_object() else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if let Some(values) = object.get("enum").and_then(Value::as_array) {
        let shown: Vec<_> = values
            .iter()
            .take(MAX_VALUES)
            .map(Value::to_string)
            .collect();
        let more = if values.len() > MAX_VALUES {
            format!(" and {} more", values.len() - MAX_VALUES)
        } else {
            String::new()
        };
        notes.push(format!("one of {}{more}", shown.join(", ")));
    }
    for (key, words) in [
        ("const", "always"),
        ("default", "default"),
        ("minimum", "at least"),
        ("exclusiveMinimum", "more than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
        ("minLength", "characters, at least"),
        ("maxLength", "characters, at most"),
        ("minItems", "items, at least"),
        ("maxItems", "items, at most"),
        ("pattern", "matches"),
        ("format", "format"),
    ] {
        match object.get(key) {
            Some(Value::String(text)) if key != "const" && key != "default" => {
                notes.push(format!("{words} {text}"));
            }
            Some(value) => notes.push(format!("{words} {value}")),
            None => {}
        }
    }
    notes
}

/// The description of a value, its own or that of what it refers to.
pub(super) fn description<'s>(schema: &'s Schema, value: &'s Value) -> &'s str {
    let own = value.get("description").and_then(Value::as_str);
    let shared = || {
        let (_, target) = resolve(schema, value);
        target.get("description").and_then(Value::as_str)
    };
    own.or_else(shared).unwrap_or_default().trim()
}
