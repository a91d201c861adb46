//! The output schema of a tool.

use indexmap::IndexMap;
use mcphub_core::spec::{Operation, Response, Severity};
use mcphub_core::tool::{OutputShape, Profile, Simplification};
use serde_json::{Map, Value, json};

use super::Planning;
use super::accept::is_json;
use super::budget::{Planned, is_partial};
use super::definitions::Form;
use super::draft::Draft;
use super::lenient::lenient;
use super::omission::Omission;
use crate::keyword::{has_type, reference};

/// How deep alternatives and parts of an answer are folded.
const MAX_DEPTH: usize = 8;

/// The most answers, and forms of one member, that are told apart.
const MAX_ALTERNATIVES: usize = 8;

/// What operations answer.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) draft: Draft,
    pub(super) shape: OutputShape,
    /// How many operations answer so.
    pub(super) uses: usize,
    /// Whether it is stated.
    pub(super) kept: bool,
}

impl<'a> Planning<'a> {
    /// Adds what each of the operations answers to its tool.
    ///
    /// Where the list is too large without any of it (`hopeless`), and it is what goes first, none is
    /// made: that takes as long as all else. The tools that would have had some are marked then.
    pub(super) fn outputs(
        &mut self,
        planned: &mut [Planned],
        operations: &[&'a Operation],
        hopeless: bool,
    ) -> Vec<bool> {
        // Every member of an answer may be null, which takes two types or a combinator to say.
        if self.options.choices.profile == Profile::Plain {
            return vec![false; planned.len()];
        }
        if hopeless && goes_first(&self.options.simplify) {
            let operations = operations.iter();
            return operations
                .map(|operation| !answers(&operation.responses).is_empty())
                .collect();
        }
        for (planned, operation) in planned.iter_mut().zip(operations) {
            planned.output = self.output(operation);
        }
        self.reshape_outputs();
        vec![false; planned.len()]
    }

    /// The place of the schema of a successful JSON answer among [`Planning::outputs`]; `None` when
    /// the document describes none.
    fn output(&mut self, operation: &'a Operation) -> Option<usize> {
        let answers = answers(&operation.responses);
        if answers.is_empty() {
            return None;
        }
        let max = self.options.max_output_schema;
        let made = match shared(&answers).and_then(|name| self.definitions.index(name)) {
            Some(index) => match self.answers.get(&index) {
                Some(made) => *made,
                None => {
                    let made = self.answer(&answers, max).map(|output| self.add(output));
                    self.answers.insert(index, made);
                    made
                }
            },
            None => self.answer(&answers, max).map(|output| self.add(output)),
        };
        match made {
            Some(place) => self.outputs[place].uses += 1,
            None => {
                let message =
                    format!("the output schema has more than {max} bytes and is left out");
                self.remark(Severity::Info, "output-schema-left-out", operation, message);
            }
        }
        made
    }

    fn add(&mut self, output: Output) -> usize {
        self.outputs.push(output);
        self.outputs.len() - 1
    }

    /// The schema of these answers; `None` when it is too large.
    fn answer(&mut self, answers: &[&Value], max: usize) -> Option<Output> {
        let forms: Vec<Value> = answers.iter().map(|answer| lenient(answer)).collect();
        let (root, shape) = if forms.iter().all(|form| self.is_object(form, MAX_DEPTH)) {
            (self.object(forms, max)?, OutputShape::Object)
        } else {
            let result = match <[Value; 1]>::try_from(forms) {
                Ok([one]) => one,
                Err(many) => json!({"anyOf": many}),
            };
            let root = Map::from_iter([
                ("type".to_owned(), "object".into()),
                (
                    "properties".to_owned(),
                    Value::Object(Map::from_iter([("result".to_owned(), result)])),
                ),
            ]);
            (root, OutputShape::Wrapped)
        };
        let (size, roots) = self.definitions.measure(&root, Omission::NOTHING);
        let reached = self
            .definitions
            .reach(Form::Lenient, &roots, max.checked_sub(size)?);
        if reached.over {
            return None;
        }
        let entries = reached.found.into_iter();
        let draft = Draft {
            root,
            roots,
            entries: entries.map(|(index, _)| (index, Form::Lenient)).collect(),
            size: size + reached.size,
        };
        Some(Output {
            draft,
            shape,
            uses: 0,
            kept: true,
        })
    }

    /// Whether every value of the schema is an object (or null).
    fn is_object(&self, schema: &Value, depth: usize) -> bool {
        let (Some(schema), Some(depth)) = (
            self.definitions.resolve(schema).as_object(),
            depth.checked_sub(1),
        ) else {
            return false;
        };
        match schema.get("type") {
            Some(Value::String(name)) => return name == "object",
            Some(Value::Array(names)) => {
                return names.iter().all(|name| name == "object" || name == "null")
                    && has_type(schema, "object");
            }
            _ => {}
        }
        if schema.contains_key("properties") || schema.contains_key("additionalProperties") {
            return true;
        }
        let parts = |key: &str| schema.get(key).and_then(Value::as_array);
        let null = |part: &Value| part.get("type").is_some_and(|name| name == "null");
        if parts("allOf").is_some_and(|parts| parts.iter().any(|part| self.is_object(part, depth)))
        {
            return true;
        }
        [parts("anyOf"), parts("oneOf")]
            .into_iter()
            .flatten()
            .any(|parts| {
                parts.iter().any(|part| !null(part))
                    && parts
                        .iter()
                        .all(|part| null(part) || self.is_object(part, depth))
            })
    }

    /// One object that describes all of these.
    fn object(&mut self, mut forms: Vec<Value>, max: usize) -> Option<Map<String, Value>> {
        if let [form] = &mut forms[..] {
            // Most answers are one object or one reference to one: no need to put them together.
            let mut plain = form.take();
            if let Some(source) = shared(&[&plain]).and_then(|name| self.definitions.source(name)) {
                plain = lenient(source);
            }
            match plain {
                Value::Object(mut object)
                    if !["$ref", "allOf", "anyOf"]
                        .iter()
                        .any(|key| object.contains_key(*key)) =>
                {
                    object.insert("type".to_owned(), "object".into());
                    return Some(object);
                }
                other => *form = other,
            }
        }
        let mut fold = Fold {
            room: max,
            ..Fold::default()
        };
        for form in &forms {
            self.fold(form, &mut fold, MAX_DEPTH)?;
        }
        Some(fold.finish())
    }

    /// Adds the members of an object in lenient form, those of its parts and alternatives too:
    /// clients refuse a combinator at the top.
    fn fold(&mut self, schema: &Value, fold: &mut Fold, depth: usize) -> Option<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return Some(());
        };
        let Value::Object(object) = schema else {
            return Some(());
        };
        if let Some(index) = reference(object).and_then(|name| self.definitions.index(name)) {
            // Copied into each tool, so its size counts each time.
            let size = self.definitions.size(Form::Lenient, index)?;
            fold.room = fold.room.checked_sub(size)?;
            let target = self.definitions.get(Form::Lenient, index)?.clone();
            self.fold(&target, fold, depth)?;
        }
        fold.parts += 1;
        for key in ["title", "description"] {
            if let (Some(text), true) = (object.get(key), fold.parts == 1) {
                fold.head.insert(key.to_owned(), text.clone());
            }
        }
        for (name, property) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            fold.add(name, property);
        }
        if let Some(additional) = object.get("additionalProperties") {
            fold.additional = Some(additional.clone());
        }
        for key in ["allOf", "anyOf"] {
            for part in object
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                self.fold(part, fold, depth)?;
            }
        }
        Some(())
    }
}

/// An object being put together.
#[derive(Default)]
struct Fold {
    head: Map<String, Value>,
    properties: IndexMap<String, Vec<Value>>,
    additional: Option<Value>,
    parts: usize,
    room: usize,
}

impl Fold {
    fn add(&mut self, name: &str, property: &Value) {
        let forms = self.properties.entry(name.to_owned()).or_default();
        // One more than are told apart says that there are too many.
        if forms.len() <= MAX_ALTERNATIVES && !forms.contains(property) {
            forms.push(property.clone());
        }
    }

    fn finish(self) -> Map<String, Value> {
        let mut root = self.head;
        root.insert("type".to_owned(), "object".into());
        let properties = self.properties.into_iter().map(|(name, forms)| {
            let schema = match <[Value; 1]>::try_from(forms) {
                Ok([one]) => one,
                Err(many) if many.len() <= MAX_ALTERNATIVES => json!({"anyOf": many}),
                Err(_) => json!({}),
            };
            (name, schema)
        });
        root.insert("properties".to_owned(), Value::Object(properties.collect()));
        // What one part says of further members does not hold for the members of another.
        if let (Some(additional), 1) = (self.additional, self.parts) {
            root.insert("additionalProperties".to_owned(), additional);
        }
        root
    }
}

/// Whether all output schemas go before anything else does.
fn goes_first(order: &[Simplification]) -> bool {
    let mut order = order.iter().filter(|step| !is_partial(**step));
    order.next() == Some(&Simplification::Output)
}

/// The distinct schemas of successful JSON answers, the likeliest first.
fn answers(responses: &[Response]) -> Vec<&Value> {
    let mut success: Vec<&Response> = responses
        .iter()
        .filter(|response| response.is_success())
        .collect();
    success.sort_by_key(|response| rank(&response.status));
    let mut out: Vec<&Value> = Vec::new();
    for response in success {
        let json = |exact: bool| {
            let mut content = response.content.iter();
            content.find(|(media_type, _)| {
                if exact {
                    media_type == "application/json"
                } else {
                    is_json(media_type)
                }
            })
        };
        let wildcard = || {
            response
                .content
                .iter()
                .find(|(media_type, _)| media_type == "*/*")
        };
        let Some((_, schema)) = json(true).or_else(|| json(false)).or_else(wildcard) else {
            continue;
        };
        if says_something(schema) && !out.contains(&schema) && out.len() < MAX_ALTERNATIVES {
            out.push(schema);
        }
    }
    out
}

/// The definition that the one answer refers to: many operations answer alike.
fn shared<'v>(answers: &[&'v Value]) -> Option<&'v str> {
    let [answer] = answers else { return None };
    answer
        .as_object()
        .filter(|answer| answer.len() == 1)
        .and_then(reference)
}

fn rank(status: &str) -> u8 {
    match status {
        "200" => 0,
        "201" => 1,
        "202" => 2,
        "203" => 3,
        "2XX" => 4,
        _ => 5,
    }
}

fn says_something(schema: &Value) -> bool {
    schema.as_object().is_some_and(|schema| !schema.is_empty())
}
