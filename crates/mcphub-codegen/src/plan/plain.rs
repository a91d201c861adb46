//! Schemas without combinators: one type each, members and bounds, and nothing that a client would
//! have to work out. What is lost makes them accept more, never less, but for `null`.

use serde_json::{Map, Value, json};

use crate::keyword::has_type;

/// A root without references, in plain form.
pub(super) fn root(root: &Map<String, Value>) -> Map<String, Value> {
    match plain(&Value::Object(root.clone())) {
        Value::Object(root) => root,
        _ => Map::new(),
    }
}

fn plain(schema: &Value) -> Value {
    let Value::Object(source) = schema else {
        return json!({});
    };
    let mut out = Map::with_capacity(source.len());
    for (key, value) in source {
        match (key.as_str(), value) {
            ("type", value) => {
                if let Some(one) = one_type(value) {
                    out.insert(key.clone(), one.clone());
                }
            }
            ("enum", Value::Array(values)) => listed(values.iter(), &mut out),
            ("const", value) => listed([value].into_iter(), &mut out),
            ("properties", Value::Object(properties)) => {
                let properties = properties.iter();
                let properties = properties.map(|(name, property)| (name.clone(), plain(property)));
                merge(
                    &mut out,
                    json!({"properties": properties.collect::<Map<_, _>>()}),
                );
            }
            ("items", value) => {
                out.insert(key.clone(), plain(value));
            }
            ("additionalProperties", Value::Object(_)) => {
                out.insert(key.clone(), plain(value));
            }
            ("required", value) => merge(&mut out, json!({"required": value})),
            ("default", Value::Null) => {}
            (
                "description"
                | "title"
                | "default"
                | "examples"
                | "deprecated"
                | "minimum"
                | "maximum"
                | "multipleOf"
                | "minLength"
                | "maxLength"
                | "pattern"
                | "minItems"
                | "maxItems"
                | "uniqueItems"
                | "minProperties"
                | "maxProperties"
                | "additionalProperties"
                | "readOnly"
                | "writeOnly"
                | "contentEncoding"
                | "contentMediaType",
                value,
            ) => {
                out.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    for part in parts(source, "allOf") {
        merge(&mut out, plain(part));
    }
    for key in ["anyOf", "oneOf"] {
        let null = |part: &&Value| part.get("type").is_some_and(|name| name == "null");
        let alternatives = parts(source, key).filter(|part| !null(part));
        let alternatives: Vec<Value> = alternatives.map(plain).collect();
        match <[Value; 1]>::try_from(alternatives) {
            Ok([one]) => merge(&mut out, one),
            Err(many) => merge(&mut out, Value::Object(common(&many))),
        }
    }
    if let Some(format) = source.get("format").and_then(Value::as_str) {
        let said = out
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let said = format!("{said} (format: {format})");
        out.insert("description".to_owned(), said.trim_start().into());
    }
    complete(&mut out);
    Value::Object(out)
}

fn parts<'s>(schema: &'s Map<String, Value>, key: &str) -> impl Iterator<Item = &'s Value> {
    schema
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Clients refuse arrays that do not say what they hold.
fn complete(schema: &mut Map<String, Value>) {
    if has_type(schema, "array") && !schema.contains_key("items") {
        schema.insert("items".to_owned(), json!({}));
    }
}

/// The type, if there is one beside `null`.
fn one_type(types: &Value) -> Option<&Value> {
    let Value::Array(many) = types else {
        return Some(types).filter(|one| *one != "null");
    };
    let mut others = many.iter().filter(|one| *one != "null");
    let one = others.next()?;
    others.next().is_none().then_some(one)
}

/// Adds the values that one has to be of.
fn listed<'v>(values: impl Iterator<Item = &'v Value>, out: &mut Map<String, Value>) {
    let values: Vec<Value> = values.filter(|value| !value.is_null()).cloned().collect();
    if !values.is_empty() {
        out.insert("enum".to_owned(), Value::Array(values));
    }
}

/// Adds what a part says, where the schema itself does not.
fn merge(out: &mut Map<String, Value>, part: Value) {
    let Value::Object(part) = part else { return };
    for (key, value) in part {
        match (key.as_str(), out.get_mut(&key), value) {
            ("properties", Some(Value::Object(members)), Value::Object(more)) => {
                for (name, schema) in more {
                    members.entry(name).or_insert(schema);
                }
            }
            ("required", Some(Value::Array(names)), Value::Array(more)) => {
                for name in more {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            (_, None, value) => {
                out.insert(key, value);
            }
            _ => {}
        }
    }
}

/// What holds for a value of any of these.
fn common(alternatives: &[Value]) -> Map<String, Value> {
    let mut out = Map::new();
    let Some(first) = alternatives.first() else {
        return out;
    };
    let all = |key: &str| {
        alternatives
            .iter()
            .map(|one| one.get(key))
            .collect::<Option<Vec<_>>>()
    };
    let Some(types) = all("type").filter(|types| types.windows(2).all(|two| two[0] == two[1]))
    else {
        return out;
    };
    out.extend(
        types
            .first()
            .map(|one| ("type".to_owned(), Value::clone(one))),
    );
    if let Some(enums) = all("enum") {
        let mut values: Vec<&Value> = Vec::new();
        for value in enums.into_iter().filter_map(Value::as_array).flatten() {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        listed(values.into_iter(), &mut out);
    }
    let mut properties = Map::new();
    for (name, schema) in alternatives
        .iter()
        .filter_map(|one| one.get("properties")?.as_object())
        .flatten()
    {
        match properties.get_mut(name) {
            None => {
                properties.insert(name.clone(), schema.clone());
            }
            Some(known) if known == schema => {}
            Some(known) => *known = Value::Object(common(&[known.clone(), schema.clone()])),
        }
    }
    if !properties.is_empty() {
        out.insert("properties".to_owned(), Value::Object(properties));
    }
    let required = |one: &Value, name: &Value| {
        one.get("required")
            .and_then(Value::as_array)
            .is_some_and(|names| names.contains(name))
    };
    let names = first
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let names = names.filter(|name| alternatives.iter().all(|one| required(one, name)));
    let names: Vec<Value> = names.cloned().collect();
    if !names.is_empty() {
        out.insert("required".to_owned(), Value::Array(names));
    }
    if let Some(items) = first.get("items").filter(|items| {
        alternatives
            .iter()
            .all(|one| one.get("items") == Some(items))
    }) {
        out.insert("items".to_owned(), items.clone());
    }
    complete(&mut out);
    out
}
