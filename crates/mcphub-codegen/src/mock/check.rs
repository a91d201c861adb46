//! Requests held against their operation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use jsonschema::Validator;
use mcphub_core::schema::{Definition, Schema};
use mcphub_core::spec::{
    ApiSpec, Location, Operation, Parameter, RequestBody, SecurityScheme, Style,
};
use serde_json::{Map, Value};

use super::Request;
use super::route::{Found, decoded};
use crate::keyword::DEFS;
use crate::targets::example;

/// How many compiled schemas are kept; more are compiled anew each time.
const MAX_COMPILED: usize = 10_000;

/// The schemas of an API, compiled when they are first needed.
#[derive(Debug)]
pub(super) struct Checks {
    definitions: IndexMap<Arc<str>, Arc<Value>>,
    compiled: Mutex<HashMap<Key, Option<Arc<Validator>>>>,
}

/// An operation and which of its parameters or media types is meant.
type Key = (usize, Part, usize);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Parameter,
    Body,
}

impl Checks {
    pub(super) fn of(spec: &ApiSpec) -> Self {
        Self {
            definitions: spec.definitions.clone(),
            compiled: Mutex::default(),
        }
    }

    /// The problems of the parameters.
    pub(super) fn parameters(
        &self,
        index: usize,
        operation: &Operation,
        found: &Found<'_>,
        request: &Request<'_>,
    ) -> Vec<String> {
        let cookies = request.header("cookie").unwrap_or_default();
        let mut problems = Vec::new();
        for (number, parameter) in operation.parameters.iter().enumerate() {
            let name = &parameter.name;
            let values: Vec<&str> = match parameter.location {
                Location::Path => {
                    let mut values = found.values.iter();
                    let value = values.find(|(known, _)| known == name);
                    value.map(|(_, value)| *value).into_iter().collect()
                }
                Location::Header => request.header(name).into_iter().collect(),
                Location::Cookie => pairs(cookies, ';', name),
                Location::Query => pairs(request.query, '&', name),
                _ => Some(request.query)
                    .filter(|query| !query.is_empty())
                    .into_iter()
                    .collect(),
            };
            if values.is_empty() {
                if parameter.required && !spreads(parameter) {
                    problems.push(format!("{name}: is required"));
                }
                continue;
            }
            if let Some(problem) = self.value(index, number, parameter, &values) {
                problems.push(format!("{name}: {problem}"));
            }
        }
        problems
    }

    /// What is wrong with a value. One that is written as several, or as a structure, is taken as it
    /// is; only plain values and repeated ones are read back.
    fn value(
        &self,
        index: usize,
        number: usize,
        parameter: &Parameter,
        values: &[&str],
    ) -> Option<String> {
        let how = &parameter.serialization;
        let plain = matches!(how.style, Style::Simple | Style::Form) && how.content.is_none();
        let escaped = parameter.location != Location::Header;
        let text = |value: &str| {
            if escaped {
                decoded(value).into_owned()
            } else {
                value.to_owned()
            }
        };
        let lists = self.allows(&parameter.schema, "array");
        if !plain || self.allows(&parameter.schema, "object") || (lists && !how.explode) {
            return None;
        }
        let validator = self.compiled((index, Part::Parameter, number), &parameter.schema)?;
        let candidates = if lists {
            let items = values.iter().map(|value| read(&text(value)));
            let strings = values.iter().map(|value| Value::String(text(value)));
            vec![
                Value::Array(items.collect()),
                Value::Array(strings.collect()),
            ]
        } else {
            let text = text(values.first()?);
            vec![read(&text), Value::String(text)]
        };
        if candidates.iter().any(|value| validator.is_valid(value)) {
            return None;
        }
        let value = candidates.last()?;
        let error = validator
            .iter_errors(candidates.first().unwrap_or(value))
            .next()?;
        Some(error.to_string())
    }

    /// The problems of the body.
    ///
    /// # Errors
    /// The media type is not one that the operation reads.
    pub(super) fn body(
        &self,
        index: usize,
        operation: &Operation,
        request: &Request<'_>,
    ) -> Result<Vec<String>, String> {
        let Some(body) = operation
            .body
            .as_ref()
            .filter(|body| !body.content.is_empty())
        else {
            return Ok(Vec::new());
        };
        if request.body.is_empty() {
            let missing = body.required.then(|| "the body is missing".to_owned());
            return Ok(missing.into_iter().collect());
        }
        let stated = request.header("content-type").unwrap_or_default();
        let essence = stated
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let Some(number) = offered(body, &essence) else {
            let known: Vec<_> = body.content.iter().map(|c| c.media_type.as_str()).collect();
            return Err(format!("The body has to be {}", known.join(" or ")));
        };
        let Some(content) = body.content.get(number) else {
            return Ok(Vec::new());
        };
        let is_json = essence.ends_with("/json") || essence.ends_with("+json");
        if is_json {
            return Ok(self.json((index, Part::Body, number), &content.schema, request.body));
        }
        let text = String::from_utf8_lossy(request.body);
        let has = |name: &str| match essence.as_str() {
            "application/x-www-form-urlencoded" => {
                let escaped =
                    |pair: &str| decoded(pair.split('=').next().unwrap_or_default()).into_owned();
                text.split('&')
                    .any(|pair| escaped(pair).split('[').next() == Some(name))
            }
            "multipart/form-data" => text.contains(&format!("; name=\"{name}\"")),
            _ => true,
        };
        let required = self.resolve(&content.schema).get("required");
        let names = required.and_then(Value::as_array).into_iter().flatten();
        Ok(names
            .filter_map(Value::as_str)
            .filter(|name| !has(name))
            .map(|name| format!("{name}: is required"))
            .collect())
    }

    fn json(&self, key: Key, schema: &Value, body: &[u8]) -> Vec<String> {
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(error) => return vec![format!("the body is not JSON: {error}")],
        };
        let Some(validator) = self.compiled(key, schema) else {
            return Vec::new();
        };
        let said = |error: jsonschema::ValidationError<'_>| {
            let path = error.instance_path().as_str().to_owned();
            format!("{}: {error}", if path.is_empty() { "body" } else { &path })
        };
        validator
            .iter_errors(&value)
            .take(super::MAX_PROBLEMS)
            .map(said)
            .collect()
    }

    /// A value of a schema, as an answer.
    pub(super) fn example(&self, spec: &ApiSpec, schema: &Value) -> Value {
        let root = match schema {
            Value::Object(root) => root.clone(),
            _ => Map::new(),
        };
        let definitions: Vec<Definition> = reach(&spec.definitions, schema)
            .into_iter()
            .map(|(name, schema)| Definition { name, schema })
            .collect();
        example::answer(&Schema::new(root, definitions)).unwrap_or(Value::Null)
    }

    fn compiled(&self, key: Key, schema: &Value) -> Option<Arc<Validator>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = compiled.get(&key) {
            return known.clone();
        }
        let mut whole = writable(&self.definitions, schema);
        let defs: Map<String, Value> = reach(&self.definitions, schema)
            .into_iter()
            .map(|(name, schema)| (name.to_string(), writable(&self.definitions, &schema)))
            .collect();
        if let (Value::Object(whole), false) = (&mut whole, defs.is_empty()) {
            whole.insert("$defs".to_owned(), Value::Object(defs));
        }
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(false)
            .build(&whole)
            .ok()
            .map(Arc::new);
        if compiled.len() < MAX_COMPILED {
            compiled.insert(key, validator.clone());
        }
        validator
    }

    fn resolve<'v>(&'v self, schema: &'v Value) -> &'v Value {
        let name = schema.get("$ref").and_then(Value::as_str);
        let target = name.and_then(|path| self.definitions.get(path.strip_prefix(DEFS)?));
        target.map_or(schema, |target| target)
    }

    /// Whether a schema says that a value may be of a type.
    fn allows(&self, schema: &Value, kind: &str) -> bool {
        let schema = self.resolve(schema);
        let branches = ["anyOf", "oneOf", "allOf"].into_iter();
        let mut branches = branches
            .filter_map(|key| schema.get(key).and_then(Value::as_array))
            .flatten();
        match schema.get("type") {
            Some(Value::String(only)) => only == kind,
            Some(Value::Array(kinds)) => kinds.iter().any(|known| known == kind),
            _ => {
                (kind == "object" && schema.get("properties").is_some())
                    || branches.any(|branch| {
                        // One step: what nests deeper is taken as it is.
                        self.resolve(branch)
                            .get("type")
                            .is_none_or(|known| known == kind)
                    })
            }
        }
    }
}

/// What of the credentials that an operation asks for is missing.
pub(super) fn credentials(
    spec: &ApiSpec,
    operation: &Operation,
    request: &Request<'_>,
) -> Option<String> {
    if operation.security.is_empty() {
        return None;
    }
    let authorization = request.header("authorization").unwrap_or_default();
    let scheme = authorization.split(' ').next().unwrap_or_default();
    let shown = |name: &String| match spec.security_schemes.get(name) {
        Some(SecurityScheme::ApiKey { location, name }) => match location {
            Location::Query => !pairs(request.query, '&', name).is_empty(),
            Location::Cookie => {
                !pairs(request.header("cookie").unwrap_or_default(), ';', name).is_empty()
            }
            _ => request.header(name).is_some(),
        },
        Some(SecurityScheme::Basic) => scheme.eq_ignore_ascii_case("basic"),
        Some(known) if known.is_bearer() => scheme.eq_ignore_ascii_case("bearer"),
        _ => true,
    };
    let enough = |alternative: &Vec<String>| alternative.iter().all(shown);
    if operation.security.iter().any(enough) {
        return None;
    }
    let wanted = operation.security.iter().map(|all| all.join(" and "));
    Some(format!("needs {}", wanted.collect::<Vec<_>>().join(" or ")))
}

/// Whether an object's members are parameters of their own.
fn spreads(parameter: &Parameter) -> bool {
    let how = &parameter.serialization;
    how.style == Style::DeepObject
        || (how.explode
            && parameter.location != Location::Path
            && how.style == Style::Form
            && parameter
                .schema
                .get("type")
                .is_none_or(|kind| kind == "object"))
}

/// The values of a name, escaped.
fn pairs<'t>(text: &'t str, separator: char, name: &str) -> Vec<&'t str> {
    text.split(separator)
        .map(|pair| pair.trim().split_once('=').unwrap_or((pair.trim(), "")))
        .filter(|(known, _)| !known.is_empty() && decoded(known) == name)
        .map(|(_, value)| value)
        .collect()
}

/// A value as JSON has it, where it is a number or a boolean.
fn read(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

fn offered(body: &RequestBody, essence: &str) -> Option<usize> {
    let range = essence.split_once('/').map(|(kind, _)| format!("{kind}/*"));
    [Some(essence), range.as_deref(), Some("*/*")]
        .into_iter()
        .flatten()
        .find_map(|name| {
            body.content
                .iter()
                .position(|content| content.media_type == name)
        })
}

/// The definitions that a schema reaches.
fn reach(
    definitions: &IndexMap<Arc<str>, Arc<Value>>,
    schema: &Value,
) -> Vec<(Arc<str>, Arc<Value>)> {
    fn collect(
        value: &Value,
        definitions: &IndexMap<Arc<str>, Arc<Value>>,
        found: &mut IndexMap<Arc<str>, Arc<Value>>,
    ) {
        match value {
            Value::Array(items) => items
                .iter()
                .for_each(|item| collect(item, definitions, found)),
            Value::Object(members) => {
                let name = members.get("$ref").and_then(Value::as_str);
                let name = name.and_then(|path| path.strip_prefix(DEFS));
                if let Some((name, target)) = name.and_then(|name| definitions.get_key_value(name))
                {
                    found.entry(name.clone()).or_insert_with(|| target.clone());
                }
                members
                    .values()
                    .for_each(|value| collect(value, definitions, found));
            }
            _ => {}
        }
    }
    let mut found = IndexMap::new();
    collect(schema, definitions, &mut found);
    let mut next = 0;
    while let Some((_, schema)) = found.get_index(next) {
        let schema = schema.clone();
        collect(&schema, definitions, &mut found);
        next += 1;
    }
    found.into_iter().collect()
}

/// A schema for requests: what is only for answers is not required (OpenAPI 3.0.4, `readOnly`).
fn writable(definitions: &IndexMap<Arc<str>, Arc<Value>>, schema: &Value) -> Value {
    let read_only = |property: &Value| {
        let target = property
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| definitions.get(path.strip_prefix(DEFS)?));
        [Some(property), target.map(|target| target.as_ref())]
            .into_iter()
            .flatten()
            .any(|schema| schema.get("readOnly") == Some(&Value::Bool(true)))
    };
    match schema {
        Value::Array(items) => items
            .iter()
            .map(|item| writable(definitions, item))
            .collect(),
        Value::Object(members) => {
            let properties = members.get("properties").and_then(Value::as_object);
            let is_answer = |name: &Value| {
                let name = name.as_str().unwrap_or_default();
                properties
                    .and_then(|all| all.get(name))
                    .is_some_and(read_only)
            };
            let member = |(key, value): (&String, &Value)| {
                let value = match (key.as_str(), value) {
                    ("required", Value::Array(names)) => names
                        .iter()
                        .filter(|name| !is_answer(name))
                        .cloned()
                        .collect(),
                    _ => writable(definitions, value),
                };
                (key.clone(), value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}
