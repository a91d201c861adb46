//! Example arguments for a tool, made from its input schema.

use jsonschema::Validator;
use mcphub_core::schema::Schema;
use mcphub_core::tool::Tool;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value, json};

use crate::keyword::reference;

/// How deep a schema is followed.
const MAX_DEPTH: usize = 12;
/// How many values are made for one tool; what is left then has none.
const MAX_VALUES: usize = 10_000;
/// The longest text that is made, in bytes, and how many parts of a pattern are read for it.
const MAX_TEXT: usize = 4_096;

/// Arguments that the tool's schema accepts: every argument for which a value could be made.
/// `None` when a required one has no such value, or when the schema does not compile.
pub(crate) fn arguments(tool: &Tool) -> Option<Map<String, Value>> {
    let schema = &tool.input;
    let whole = schema.to_value();
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(false)
        .build(&whole)
        .ok()?;
    let mut maker = Maker::new(schema);
    let mut arguments: Map<String, Value> = schema
        .properties()
        .filter_map(|(name, property)| Some((name.to_owned(), maker.value(property, 0)?)))
        .collect();
    if validator.is_valid(&Value::Object(arguments.clone())) {
        return Some(arguments);
    }
    // Whichever optional argument is in the way is left out.
    for name in arguments_in_the_way(&validator, &arguments) {
        if !schema.requires(&name) {
            arguments.shift_remove(&name);
        }
    }
    if !validator.is_valid(&Value::Object(arguments.clone())) {
        arguments.retain(|name, _| schema.requires(name));
    }
    validator
        .is_valid(&Value::Object(arguments.clone()))
        .then_some(arguments)
}

/// A value of a schema as an answer has it, without what is only for requests; it may not fit
/// every keyword.
pub(crate) fn answer(schema: &Schema) -> Option<Value> {
    let root = Value::Object(schema.root().clone());
    let mut maker = Maker {
        is_answer: true,
        ..Maker::new(schema)
    };
    maker.value(&root, 0)
}

fn arguments_in_the_way(validator: &Validator, arguments: &Map<String, Value>) -> Vec<String> {
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

/// Makes small values of the schemas of one tool; they may not fit every keyword.
struct Maker<'a> {
    schema: &'a Schema,
    /// How many values may still be made.
    left: usize,
    /// Whether members that are only for requests have none.
    is_answer: bool,
}

impl<'a> Maker<'a> {
    fn new(schema: &'a Schema) -> Self {
        Self {
            schema,
            left: MAX_VALUES,
            is_answer: false,
        }
    }

    fn value(&mut self, of: &'a Value, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let Value::Object(object) = of else {
            return (of == &Value::Bool(true)).then(|| json!("example"));
        };
        if depth > MAX_DEPTH {
            return None;
        }
        let list = |key: &str| object.get(key).and_then(Value::as_array);
        if let Some(example) = list("examples").and_then(|examples| examples.first()) {
            return Some(example.clone());
        }
        if let Some(value) = object.get("const").or_else(|| object.get("default")) {
            return Some(value.clone());
        }
        if let Some(values) = list("enum") {
            return values.first().cloned();
        }
        if let Some(name) = reference(object) {
            return self.value(self.definition(name)?, depth + 1);
        }
        if let Some(branches) = list("oneOf").or(list("anyOf")) {
            return branches
                .iter()
                .find_map(|branch| self.value(branch, depth + 1));
        }
        if let Some(parts) = list("allOf") {
            return self.merged(object, parts, depth);
        }
        Some(match kind(object) {
            "string" => Value::String(text(object)),
            "integer" => number(object, 1.0).map_or_else(|| json!(1), |n| json!(n.ceil() as i64)),
            "number" => number(object, 0.5).map_or_else(|| json!(1.5), |n| json!(n)),
            "boolean" => json!(true),
            "array" => self.array(object, depth),
            "object" => Value::Object(self.members(object, depth)),
            _ => Value::Null,
        })
    }

    fn definition(&self, name: &str) -> Option<&'a Value> {
        let mut definitions = self.schema.definitions().iter();
        let found = definitions.find(|definition| *definition.name == *name)?;
        Some(&found.schema)
    }

    /// Whether a member is only for requests.
    fn is_write_only(&self, property: &Value) -> bool {
        let says = |schema: &Value| schema.get("writeOnly") == Some(&Value::Bool(true));
        let referred = property.as_object().and_then(reference);
        says(property)
            || referred
                .and_then(|name| self.definition(name))
                .is_some_and(says)
    }

    fn array(&mut self, object: &'a Map<String, Value>, depth: usize) -> Value {
        let bound = |key: &str| object.get(key).and_then(Value::as_u64);
        let count = bound("minItems")
            .unwrap_or(1)
            .clamp(1, 8)
            .min(bound("maxItems").unwrap_or(u64::MAX));
        let item = |maker: &mut Self| match object.get("items") {
            Some(items) => maker.value(items, depth + 1),
            None => Some(json!("example")),
        };
        (0..count).map_while(|_| item(self)).collect()
    }

    /// All members near the top; below, those that are needed.
    fn members(&mut self, object: &'a Map<String, Value>, depth: usize) -> Map<String, Value> {
        let required = object.get("required").and_then(Value::as_array);
        let required =
            |name: &String| required.is_some_and(|names| names.iter().any(|known| known == name));
        let least = object
            .get("minProperties")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let mut members = Map::new();
        for (name, property) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            if self.is_answer && self.is_write_only(property) {
                continue;
            }
            let needed = depth < 2 || required(name) || (members.len() as u64) < least;
            if let Some(value) = needed.then(|| self.value(property, depth + 1)).flatten() {
                members.insert(name.clone(), value);
            }
        }
        members
    }

    fn merged(
        &mut self,
        object: &'a Map<String, Value>,
        parts: &'a [Value],
        depth: usize,
    ) -> Option<Value> {
        let mut result = object
            .contains_key("properties")
            .then(|| Value::Object(self.members(object, depth)));
        for part in parts {
            match (&mut result, self.value(part, depth + 1)) {
                (Some(Value::Object(all)), Some(Value::Object(more))) => all.extend(more),
                (None, found) => result = found,
                _ => {}
            }
        }
        result
    }
}

fn kind(object: &Map<String, Value>) -> &str {
    match object.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ if object.contains_key("properties") => "object",
        _ if object.contains_key("items") => "array",
        _ => "string",
    }
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
    let length = |key: &str| {
        object
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    if object
        .get("contentEncoding")
        .is_some_and(|how| how == "base64")
    {
        return "ZXhhbXBsZQ==".to_owned();
    }
    let least = length("minLength").unwrap_or(0).min(MAX_TEXT);
    let pattern = object.get("pattern").and_then(Value::as_str);
    if let Some(hir) = pattern.and_then(|pattern| regex_syntax::parse(pattern).ok()) {
        let mut sample = Sample {
            text: String::new(),
            left: MAX_TEXT,
        };
        sample.add(&hir, least);
        return sample.text;
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
    match length("maxLength") {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    }
}

/// A short text that a pattern matches; look-around is taken as satisfied.
struct Sample {
    text: String,
    /// How many parts of the pattern may still be read.
    left: usize,
}

impl Sample {
    fn add(&mut self, hir: &Hir, least: usize) {
        let Some(left) = self
            .left
            .checked_sub(1)
            .filter(|_| self.text.len() < MAX_TEXT)
        else {
            return;
        };
        self.left = left;
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.text.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(Class::Unicode(class)) => {
                let has = |c: char| {
                    class
                        .ranges()
                        .iter()
                        .any(|range| (range.start()..=range.end()).contains(&c))
                };
                let usual = ['a', 'A', '1', '-', '_', ' '].into_iter().find(|c| has(*c));
                self.text
                    .extend(usual.or_else(|| class.ranges().first().map(|range| range.start())));
            }
            HirKind::Class(Class::Bytes(class)) => {
                self.text.extend(
                    class
                        .ranges()
                        .first()
                        .map(|range| char::from(range.start())),
                );
            }
            HirKind::Repetition(repetition) => {
                let wanted = u32::try_from(least).unwrap_or(u32::MAX).clamp(1, 64);
                let count = repetition
                    .min
                    .max(wanted.min(repetition.max.unwrap_or(u32::MAX)));
                for _ in 0..count {
                    if self.left == 0 {
                        return;
                    }
                    self.add(&repetition.sub, 1);
                }
            }
            HirKind::Capture(capture) => self.add(&capture.sub, least),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.add(part, least)),
            HirKind::Alternation(parts) => {
                parts.iter().take(1).for_each(|part| self.add(part, least))
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
            assert_eq!(Maker::new(&root).value(&of, 0), Some(expected), "{of}");
        }
    }

    #[test]
    fn work_is_bounded() {
        let references: Map<String, Value> = (0..20)
            .map(|n| (format!("p{n}"), json!({"$ref": "#/$defs/Node"})))
            .collect();
        let names: Vec<_> = references.keys().cloned().collect();
        let root = schema(json!({"$defs": {
            "Node": {"type": "object", "required": names, "properties": references},
        }}));
        let node = json!({"type": "array", "minItems": 8, "items": {"$ref": "#/$defs/Node"}});
        let mut maker = Maker::new(&root);
        assert!(maker.value(&node, 0).is_some());
        assert_eq!(maker.left, 0);

        let long = text(
            json!({"pattern": "((a{900}){900}(){900}){900}"})
                .as_object()
                .unwrap(),
        );
        assert!(long.len() <= MAX_TEXT);
    }
}
