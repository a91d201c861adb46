//! Example arguments for a tool, made from its input schema.

use jsonschema::Validator;
use mcphub_core::schema::Schema;
use mcphub_core::tool::Tool;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value, json};

/// How deep a schema is followed.
const MAX_DEPTH: usize = 12;

/// Arguments that the tool's schema accepts: every argument for which a value could be made.
/// `None` when a required one has no such value, or when the schema does not compile.
pub(super) fn arguments(tool: &Tool) -> Option<Map<String, Value>> {
    let schema = &tool.input;
    let whole = schema.to_value();
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(false)
        .build(&whole)
        .ok()?;
    let mut arguments: Map<String, Value> = schema
        .properties()
        .filter_map(|(name, property)| Some((name.to_owned(), value(schema, property, 0)?)))
        .collect();
    if validator.is_valid(&Value::Object(arguments.clone())) {
        return Some(arguments);
    }
    // Whichever optional argument is in the way is left out.
    for error in bounded_errors(&validator, &arguments) {
        if !schema.requires(&error) {
            arguments.shift_remove(&error);
        }
    }
    if !validator.is_valid(&Value::Object(arguments.clone())) {
        arguments.retain(|name, _| schema.requires(name));
    }
    validator
        .is_valid(&Value::Object(arguments.clone()))
        .then_some(arguments)
}

fn bounded_errors(validator: &Validator, arguments: &Map<String, Value>) -> Vec<String> {
    let value = Value::Object(arguments.clone());
    let first = |error: jsonschema::ValidationError<'_>| {
        let path = error.instance_path().as_str().to_owned();
        Some(
            path.strip_prefix('/')?
                .split('/')
                .next()?
                .replace("~1", "/")
                .replace("~0", "~"),
        )
    };
    validator
        .iter_errors(&value)
        .take(100)
        .filter_map(first)
        .collect()
}

/// A small value of a schema; it may not fit every keyword.
fn value(schema: &Schema, of: &Value, depth: usize) -> Option<Value> {
    let Value::Object(object) = of else {
        return (of == &Value::Bool(true)).then(|| json!("example"));
    };
    if depth > MAX_DEPTH {
        return None;
    }
    if let Some(Value::Array(examples)) = object.get("examples") {
        if let Some(example) = examples.first() {
            return Some(example.clone());
        }
    }
    for key in ["const", "default"] {
        if let Some(value) = object.get(key) {
            return Some(value.clone());
        }
    }
    if let Some(Value::Array(values)) = object.get("enum") {
        return values.first().cloned();
    }
    if let Some(name) = object
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.strip_prefix("#/$defs/"))
    {
        let target = schema
            .definitions()
            .iter()
            .find(|definition| *definition.name == *name)?;
        return value(schema, &target.schema, depth + 1);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(Value::Array(branches)) = object.get(key) {
            return branches
                .iter()
                .find_map(|branch| value(schema, branch, depth + 1));
        }
    }
    if let Some(Value::Array(parts)) = object.get("allOf") {
        return merged(schema, object, parts, depth);
    }
    let kind = match object.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ if object.contains_key("properties") => "object",
        _ if object.contains_key("items") => "array",
        _ => "string",
    };
    Some(match kind {
        "string" => Value::String(text(object)),
        "integer" => number(object, 1.0).map_or_else(|| json!(1), |n| json!(n.ceil() as i64)),
        "number" => number(object, 0.5).map_or_else(|| json!(1.5), |n| json!(n)),
        "boolean" => json!(true),
        "array" => {
            let count = object
                .get("minItems")
                .and_then(Value::as_u64)
                .unwrap_or(1)
                .clamp(1, 8);
            let item = object.get("items").map_or(Some(json!("example")), |items| {
                value(schema, items, depth + 1)
            });
            match item {
                Some(item) if object.get("maxItems").and_then(Value::as_u64) != Some(0) => {
                    (0..count).map(|_| item.clone()).collect()
                }
                _ => json!([]),
            }
        }
        "object" => Value::Object(members(schema, object, depth)),
        _ => Value::Null,
    })
}

/// The required members; all of them where nothing is nested.
fn members(schema: &Schema, object: &Map<String, Value>, depth: usize) -> Map<String, Value> {
    let required: Vec<&str> = object
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = object.get("properties").and_then(Value::as_object);
    let least = object
        .get("minProperties")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let mut members = Map::new();
    for (name, property) in properties.into_iter().flatten() {
        if required.contains(&name.as_str()) || depth < 2 || (members.len() as u64) < least {
            if let Some(value) = value(schema, property, depth + 1) {
                members.insert(name.clone(), value);
            }
        }
    }
    members
}

fn merged(
    schema: &Schema,
    object: &Map<String, Value>,
    parts: &[Value],
    depth: usize,
) -> Option<Value> {
    let own =
        (object.contains_key("properties")).then(|| Value::Object(members(schema, object, depth)));
    let mut result = own;
    for part in parts {
        match (&mut result, value(schema, part, depth + 1)) {
            (Some(Value::Object(all)), Some(Value::Object(more))) => all.extend(more),
            (None, found) => result = found,
            _ => {}
        }
    }
    result
}

fn number(object: &Map<String, Value>, step: f64) -> Option<f64> {
    let get = |key: &str| object.get(key).and_then(Value::as_f64);
    let low = get("minimum").or_else(|| get("exclusiveMinimum").map(|low| low + step));
    let high = get("maximum").or_else(|| get("exclusiveMaximum").map(|high| high - step));
    let value = match (low, high) {
        (Some(low), _) => low,
        (None, Some(high)) => high.min(1.0),
        (None, None) => get("multipleOf")?,
    };
    match get("multipleOf") {
        Some(unit) if unit > 0.0 => Some((value / unit).ceil() * unit),
        _ => Some(value),
    }
}

fn text(object: &Map<String, Value>) -> String {
    let length = |key: &str| object.get(key).and_then(Value::as_u64);
    let least = usize::try_from(length("minLength").unwrap_or(0).min(4096)).unwrap_or(0);
    if let Some(pattern) = object.get("pattern").and_then(Value::as_str) {
        if let Ok(hir) = regex_syntax::parse(pattern) {
            let mut out = String::new();
            sample(&hir, least, &mut out);
            return out;
        }
    }
    let mut text = match object.get("format").and_then(Value::as_str) {
        Some("date") => "2026-01-31",
        Some("date-time") => "2026-01-31T12:00:00Z",
        Some("time") => "12:00:00Z",
        Some("email") => "ada@example.org",
        Some("uuid") => "123e4567-e89b-42d3-a456-426614174000",
        Some("uri" | "url") => "https://example.org/",
        Some("hostname") => "example.org",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        _ => "example",
    }
    .to_owned();
    while text.chars().count() < least {
        text.push('x');
    }
    match length("maxLength").and_then(|most| usize::try_from(most).ok()) {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    }
}

/// A short text that a pattern matches; look-around is taken as satisfied.
fn sample(hir: &Hir, least: usize, out: &mut String) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(&String::from_utf8_lossy(&literal.0)),
        HirKind::Class(Class::Unicode(class)) => {
            let has = |c: char| {
                class
                    .ranges()
                    .iter()
                    .any(|range| (range.start()..=range.end()).contains(&c))
            };
            let usual = ['a', 'A', '1', '-', '_', ' '].into_iter().find(|c| has(*c));
            out.extend(usual.or_else(|| class.ranges().first().map(|range| range.start())));
        }
        HirKind::Class(Class::Bytes(class)) => {
            out.extend(
                class
                    .ranges()
                    .first()
                    .map(|range| char::from(range.start())),
            );
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX);
            let wanted = u32::try_from(least).unwrap_or(u32::MAX).clamp(1, 64);
            for _ in 0..repetition.min.max(wanted.min(most)).min(4096) {
                sample(&repetition.sub, 1, out);
            }
        }
        HirKind::Capture(capture) => sample(&capture.sub, least, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| sample(part, least, out)),
        HirKind::Alternation(parts) => {
            if let Some(part) = parts.first() {
                sample(part, least, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(root: Value) -> Schema {
        Schema::from_object(root.as_object().unwrap().clone())
    }

    #[test]
    fn patterns_have_samples() {
        for (pattern, expected) in [
            ("^[0-9]{3}$", "111"),
            ("^tok_[a-z0-9]{4,32}$", "tok_aaaa"),
            ("^(a|b)+x?$", "ax"),
            ("[^@\\s]@b", "a@b"),
        ] {
            assert_eq!(
                text(json!({"pattern": pattern}).as_object().unwrap()),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn values_follow_references_bounds_and_examples() {
        let root = schema(json!({"$defs": {
            "Id": {"type": "integer", "minimum": 10},
            "Node": {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/Node"}}},
        }}));
        for (of, expected) in [
            (json!({"$ref": "#/$defs/Id"}), json!(10)),
            (json!({"type": "string", "examples": ["x"]}), json!("x")),
            (
                json!({"type": "array", "items": {"$ref": "#/$defs/Id"}, "minItems": 2}),
                json!([10, 10]),
            ),
            (
                json!({"type": ["null", "string"], "maxLength": 2}),
                json!("ex"),
            ),
            (
                json!({"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
                json!(true),
            ),
        ] {
            assert_eq!(value(&root, &of, 0), Some(expected), "{of}");
        }
        // A model without an end has no value, and does not hang.
        let _ = value(&root, &json!({"$ref": "#/$defs/Node"}), 0);
    }
}
