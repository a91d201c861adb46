//! Arguments for a tool, made from its input schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::schema::Schema;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

/// How deep generated values nest below an argument.
const DEPTH: u32 = 3;

/// Valid argument objects of a tool: every required argument, and any of the optional ones.
pub fn arguments(input: &Schema) -> BoxedStrategy<Value> {
    let whole = input.to_value();
    let definitions = whole.get("$defs").cloned().unwrap_or(Value::Null);
    object(
        whole.as_object().expect("an input schema is an object"),
        &definitions,
        DEPTH,
    )
}

fn value(schema: &Value, definitions: &Value, depth: u32) -> BoxedStrategy<Value> {
    let Some(schema) = schema.as_object() else {
        return anything();
    };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference
            .strip_prefix("#/$defs/")
            .expect("references are local");
        // Where a recursive model has to end, its nullable or optional members end it.
        return match depth {
            0 => Just(Value::Null).boxed(),
            _ => value(&definitions[name], definitions, depth - 1),
        };
    }
    if let Some(only) = schema.get("const") {
        return Just(only.clone()).boxed();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return prop::sample::select(values.clone()).boxed();
    }
    for combinator in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(combinator).and_then(Value::as_array) {
            let branches = branches
                .iter()
                .map(|branch| value(branch, definitions, depth));
            return Union::new(branches).boxed();
        }
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        let parts: Vec<_> = parts
            .iter()
            .map(|part| value(part, definitions, depth))
            .collect();
        return parts.prop_map(merge).boxed();
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ if schema.contains_key("properties") => vec!["object"],
        _ => return anything(),
    };
    Union::new(
        types
            .into_iter()
            .map(|kind| typed(kind, schema, definitions, depth)),
    )
    .boxed()
}

fn typed(
    kind: &str,
    schema: &Map<String, Value>,
    definitions: &Value,
    depth: u32,
) -> BoxedStrategy<Value> {
    match kind {
        "null" => Just(Value::Null).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => {
            let (low, high) = bounds(schema, -1_000_000.0, 1_000_000.0);
            let step = schema
                .get("multipleOf")
                .and_then(Value::as_i64)
                .unwrap_or(1)
                .max(1);
            let (low, high) = (low.ceil() as i64 / step, high.floor() as i64 / step);
            (low..=high).prop_map(move |n| json!(n * step)).boxed()
        }
        "number" => {
            let (low, high) = bounds(schema, -1e6, 1e6);
            // Quarters are exact in binary, and print alike everywhere; big and small ones do not.
            prop_oneof![
                ((low * 4.0).ceil() as i64..=(high * 4.0).floor() as i64)
                    .prop_map(|n| json!(n as f64 / 4.0)),
                (low..=high).prop_map(|n| json!(n)),
            ]
            .boxed()
        }
        "string" => string(schema),
        "array" => {
            let items = schema.get("items").cloned().unwrap_or(Value::Bool(true));
            let low = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
            let high = schema
                .get("maxItems")
                .and_then(Value::as_u64)
                .map_or(low + 3, |n| (n as usize).min(low + 3));
            let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
            let items = prop::collection::vec(value(&items, definitions, depth), low..=high);
            items
                .prop_filter_map("items are not distinct", move |items| {
                    distinct(items, low, unique)
                })
                .boxed()
        }
        _ => object(schema, definitions, depth),
    }
}

fn distinct(mut items: Vec<Value>, low: usize, unique: bool) -> Option<Value> {
    if unique {
        let mut seen = Vec::new();
        items.retain(|item| {
            !seen.contains(item) && {
                seen.push(item.clone());
                true
            }
        });
    }
    (items.len() >= low).then_some(Value::Array(items))
}

fn bounds(schema: &Map<String, Value>, low: f64, high: f64) -> (f64, f64) {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let above = number("exclusiveMinimum").map(|n| n + 1.0);
    let below = number("exclusiveMaximum").map(|n| n - 1.0);
    let low = number("minimum").or(above).unwrap_or(low);
    let high = number("maximum").or(below).unwrap_or(high.max(low + 10.0));
    (low, high.max(low))
}

fn string(schema: &Map<String, Value>) -> BoxedStrategy<Value> {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
        let texts = prop::string::string_regex(pattern).expect("the pattern of a bundled document");
        // Dialects of regular expressions differ on what is white space or a letter beyond ASCII.
        let texts = texts.prop_map(|text| text.replace(|c: char| !(' '..='~').contains(&c), "~"));
        return within(schema, texts.boxed());
    }
    if schema
        .get("contentEncoding")
        .is_some_and(|how| how == "base64")
    {
        let bytes = prop::collection::vec(any::<u8>(), 0..12);
        return bytes
            .prop_map(|bytes| STANDARD.encode(bytes).into())
            .boxed();
    }
    match schema.get("format").and_then(Value::as_str) {
        Some("date") => return "20[0-9]{2}-0[1-9]-1[0-9]".prop_map(Value::from).boxed(),
        Some("date-time") => {
            return "20[0-9]{2}-0[1-9]-1[0-9]T1[0-9]:00:00Z"
                .prop_map(Value::from)
                .boxed();
        }
        Some("uuid") => {
            return "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}"
                .prop_map(Value::from)
                .boxed();
        }
        Some("email") => {
            return "[a-z]{1,8}@[a-z]{1,8}\\.example"
                .prop_map(Value::from)
                .boxed();
        }
        Some("uri") => {
            return "https://[a-z]{1,8}\\.example/[a-z]{0,8}"
                .prop_map(Value::from)
                .boxed();
        }
        _ => {}
    }
    let hostile = prop::sample::select(vec![
        "a,b", "a b&c=d", "../x", "%2e%2e", "ü/ñ?#", "日本", "a|b", "\"'<>", "+1", "{id}", "a;b=c",
        ".",
    ]);
    within(
        schema,
        prop_oneof![2 => "[ -~]{0,12}", 1 => hostile.prop_map(str::to_owned), 1 => "\\PC{0,6}"]
            .boxed(),
    )
}

fn within(schema: &Map<String, Value>, texts: BoxedStrategy<String>) -> BoxedStrategy<Value> {
    let low = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0) as usize;
    let high = schema
        .get("maxLength")
        .and_then(Value::as_u64)
        .map_or(usize::MAX, |n| n as usize);
    let texts = texts.prop_map(move |text| {
        let mut text: String = text.chars().take(high).collect();
        while text.chars().count() < low {
            text.push('x');
        }
        Value::from(text)
    });
    texts.boxed()
}

fn object(schema: &Map<String, Value>, definitions: &Value, depth: u32) -> BoxedStrategy<Value> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut members: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
    for (name, property) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let name = name.clone();
        let needed = required.contains(&name.as_str());
        let present = if needed {
            Just(true).boxed()
        } else if depth == 0 {
            Just(false).boxed()
        } else {
            any::<bool>().boxed()
        };
        let member = value(property, definitions, depth);
        members.push(
            (present, member)
                .prop_map(move |(present, value)| present.then(|| (name.clone(), value)))
                .boxed(),
        );
    }
    if let Some(extra) = schema
        .get("additionalProperties")
        .filter(|extra| extra.is_object())
    {
        for name in ["extra one", "extra&two"] {
            let member = value(extra, definitions, depth.saturating_sub(1));
            members.push(
                (any::<bool>(), member)
                    .prop_map(move |(yes, value)| yes.then(|| (name.to_owned(), value)))
                    .boxed(),
            );
        }
    }
    members
        .prop_map(|members| Value::Object(members.into_iter().flatten().collect()))
        .boxed()
}

fn merge(parts: Vec<Value>) -> Value {
    let mut merged = Map::new();
    for part in parts {
        match part {
            Value::Object(members) => merged.extend(members),
            other => return other,
        }
    }
    Value::Object(merged)
}

fn anything() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000i64..1000).prop_map(Value::from),
        "[ -~]{0,8}".prop_map(Value::from),
        Just(json!({ "a": [1, "two", null] })),
    ]
    .boxed()
}
