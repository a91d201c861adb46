//! The input schema of a tool, and how each argument goes on the wire.

use std::borrow::Cow;

use indexmap::IndexMap;
use mcphub_core::spec::{ArgumentHints, Operation, Parameter, Severity};
use mcphub_core::tool::{
    AnswerBinding, BodyBinding, BodyFormat, BodySource, MemberBinding, ParameterBinding,
    PartListBinding,
};
use serde_json::{Map, Value, json};

use super::accept::is_json;
use super::argument::{self, Home};
use super::body::Chosen;
use super::draft::Draft;
use super::members::Members;
use super::part_header::part_headers;
use super::{Planning, Refusal, part};
use crate::keyword::{get, has_type};

/// What a tool takes.
pub(super) struct Input {
    pub(super) schema: Draft,
    pub(super) parameters: Vec<ParameterBinding>,
    pub(super) body: Option<BodyBinding>,
    /// What every call sends, by the name of the argument that there is not.
    pub(super) presets: IndexMap<String, Value>,
    /// What becomes of answers.
    pub(super) answer: AnswerBinding,
}

/// The body as arguments.
pub(super) enum Shape<'v> {
    Members(Members<'v>),
    /// A list of parts.
    Parts(Value, PartListBinding),
    Whole(Cow<'v, Value>),
}

impl<'a> Planning<'a> {
    pub(super) fn input(&mut self, operation: &'a Operation) -> Result<Input, Refusal> {
        let chosen = self.body(operation)?;
        let mut shape = chosen.as_ref().map(|chosen| self.shape(chosen));
        let mut wanted: Vec<(Home, &str)> = operation
            .parameters
            .iter()
            .map(|p| {
                (
                    Home::from(p.location),
                    p.hints.name.as_ref().unwrap_or(&p.name),
                )
            })
            .map(|(home, name)| (home, name.as_str()))
            .collect();
        match (&mut shape, &chosen) {
            (Some(Shape::Members(members)), Some(chosen)) => {
                self.hide(members, chosen, operation);
                let name = |name| hinted(chosen, name).name.as_deref().unwrap_or(name);
                wanted.extend(
                    members
                        .properties
                        .iter()
                        .map(|(wire, _)| (Home::Body, name(wire))),
                );
            }
            (Some(_), _) => wanted.push((Home::Body, "body")),
            (None, _) => {}
        }
        let headers = match (&shape, &chosen) {
            (Some(shape), Some(chosen)) => part_headers(shape, chosen),
            _ => Vec::new(),
        };
        wanted.extend(headers.iter().map(|it| (Home::Body, it.wanted.as_str())));
        let answers = self.answers_wanted(operation);
        wanted.extend(answers.names());
        let mut names = argument::names(&wanted).into_iter();
        let mut root = Root::with_room_for(wanted.len());
        let mut parameters = Vec::with_capacity(operation.parameters.len());
        for (parameter, name) in operation.parameters.iter().zip(names.by_ref()) {
            match &parameter.hints.value {
                Some(value) => root.preset(&name, value, parameter_schema(parameter)),
                None => root.add(&name, parameter_schema(parameter), parameter.required),
            }
            parameters.push(ParameterBinding {
                argument: name,
                name: parameter.name.clone(),
                location: parameter.location,
                required: parameter.required,
                serialization: parameter.serialization.clone(),
            });
        }
        let body = match (chosen, shape) {
            (Some(chosen), Some(shape)) => {
                let mut body = self.body_binding(&chosen, shape, names.by_ref(), &mut root);
                for (header, name) in headers.into_iter().zip(names.by_ref()) {
                    header.bind(name, &mut body, &mut root);
                }
                Some(body)
            }
            _ => None,
        };
        let answer = answers.binding(names, |name, schema| root.add(name, schema, false));
        let presets = std::mem::take(&mut root.presets);
        let preset_schemas = std::mem::take(&mut root.preset_schemas);
        self.check_presets(&presets, preset_schemas, operation);
        for schema in root.properties.values_mut() {
            if let Some(writable) = self.definitions.writable(schema) {
                *schema = writable;
            }
        }
        let schema = self.bounded(root.finish(), operation);
        Ok(Input {
            schema,
            parameters,
            body,
            presets,
            answer,
        })
    }

    /// Takes out the members that `x-mcp` hides.
    fn hide(&mut self, members: &mut Members<'a>, chosen: &Chosen<'a>, operation: &Operation) {
        if chosen.content.hints.is_empty() {
            return;
        }
        let Members {
            properties,
            required,
            ..
        } = members;
        properties.retain(|(name, _)| {
            let hints = hinted(chosen, name);
            let hidden = hints.hidden && hints.value.is_none();
            if hidden && chosen.body.required && required.contains(name) {
                self.remark(
                    Severity::Warning,
                    "required-argument",
                    operation,
                    format!("{name} of the body is required: it is hidden only with a `value`"),
                );
                return true;
            }
            !hidden
        });
    }

    fn shape(&mut self, chosen: &Chosen<'a>) -> Shape<'a> {
        let schema = &chosen.content.schema;
        if chosen.format == BodyFormat::Binary {
            return Shape::Whole(Cow::Owned(part::bytes_schema(
                self.definitions.resolve(schema),
                chosen.media_type,
            )));
        }
        if chosen.format == BodyFormat::JsonLines {
            return Shape::Whole(self.lines(schema));
        }
        if chosen.format == BodyFormat::Text {
            let string = self
                .definitions
                .resolve(schema)
                .as_object()
                .is_some_and(|schema| has_type(schema, "string"));
            return Shape::Whole(if string {
                Cow::Borrowed(schema)
            } else {
                Cow::Owned(json!({"type": "string"}))
            });
        }
        // A form has fields, whatever its schema is.
        if chosen.format == BodyFormat::Multipart
            && chosen.media_type != "multipart/form-data"
            && let Some((schema, parts)) = self.part_list(chosen.content)
        {
            return Shape::Parts(schema, parts);
        }
        match self
            .definitions
            .members(schema, self.options.max_input_schema)
        {
            Some(members) => Shape::Members(members),
            None => Shape::Whole(Cow::Borrowed(schema)),
        }
    }

    /// A list of what each line holds.
    fn lines(&self, schema: &'a Value) -> Cow<'a, Value> {
        let list = self
            .definitions
            .resolve(schema)
            .as_object()
            .is_some_and(|schema| has_type(schema, "array"));
        if list {
            Cow::Borrowed(schema)
        } else {
            Cow::Owned(json!({"type": "array", "items": object(schema)}))
        }
    }

    fn body_binding(
        &self,
        chosen: &Chosen<'_>,
        shape: Shape<'_>,
        mut names: impl Iterator<Item = String>,
        root: &mut Root,
    ) -> BodyBinding {
        let required = chosen.body.required;
        let mut whole = |schema: &Value, root: &mut Root| {
            let name = names.next().unwrap_or_else(|| "body".to_owned());
            let description = chosen.body.description.as_deref();
            root.add(&name, described(schema, description), required);
            BodySource::Argument(name)
        };
        let mut parts = None;
        let source = match shape {
            Shape::Members(members) => {
                let mut bindings = Vec::with_capacity(members.properties.len());
                for ((member, schema), name) in members.properties.iter().zip(names) {
                    let encoding = chosen.content.encoding.get(*member);
                    let serialization =
                        encoding.and_then(|encoding| encoding.serialization.clone());
                    let (schema, part) = if chosen.format == BodyFormat::Multipart {
                        self.part(schema, encoding.and_then(|e| e.media_type.as_deref()))
                    } else {
                        (Cow::Borrowed(schema.as_ref()), None)
                    };
                    let hints = hinted(chosen, member);
                    let required = required && members.required.contains(member);
                    match &hints.value {
                        Some(value) => root.preset(&name, value, object(&schema)),
                        None => {
                            let schema = described(&schema, hints.description.as_deref());
                            root.add(&name, schema, required);
                        }
                    }
                    let form = matches!(chosen.format, BodyFormat::Form | BodyFormat::Multipart);
                    bindings.push(MemberBinding {
                        argument: name,
                        name: (*member).to_owned(),
                        serialization: serialization.filter(|_| form),
                        part,
                    });
                }
                BodySource::Members(bindings)
            }
            Shape::Parts(schema, list) => {
                parts = Some(list).filter(|list| *list != PartListBinding::default());
                whole(&schema, root)
            }
            Shape::Whole(schema) => whole(&schema, root),
        };
        BodyBinding {
            media_type: chosen.media_type.to_owned(),
            format: chosen.format,
            required,
            source,
            xml: chosen
                .content
                .xml
                .clone()
                .filter(|_| chosen.format == BodyFormat::Xml),
            parts,
        }
    }
}

/// The object at the top.
pub(super) struct Root {
    properties: Map<String, Value>,
    required: Vec<Value>,
    presets: IndexMap<String, Value>,
    preset_schemas: Map<String, Value>,
}

impl Root {
    fn with_room_for(arguments: usize) -> Self {
        Self {
            properties: Map::with_capacity(arguments),
            required: Vec::new(),
            presets: IndexMap::new(),
            preset_schemas: Map::new(),
        }
    }

    pub(super) fn preset(&mut self, name: &str, value: &Value, schema: Value) {
        self.presets.insert(name.to_owned(), value.clone());
        self.preset_schemas.insert(name.to_owned(), schema);
    }

    pub(super) fn add(&mut self, name: &str, schema: Value, required: bool) {
        self.properties.insert(name.to_owned(), schema);
        if required {
            self.required.push(name.into());
        }
    }

    fn finish(self) -> Map<String, Value> {
        let mut root = Map::with_capacity(4);
        root.insert("type".to_owned(), "object".into());
        root.insert("properties".to_owned(), Value::Object(self.properties));
        if !self.required.is_empty() {
            root.insert("required".to_owned(), Value::Array(self.required));
        }
        root.insert("additionalProperties".to_owned(), Value::Bool(false));
        root
    }
}

/// What a member of the body says of its argument.
fn hinted<'c>(chosen: &Chosen<'c>, member: &str) -> &'c ArgumentHints {
    static NOTHING: ArgumentHints = ArgumentHints {
        name: None,
        description: None,
        hidden: false,
        value: None,
    };
    chosen.content.hints.get(member).unwrap_or(&NOTHING)
}

fn parameter_schema(parameter: &Parameter) -> Value {
    let text = parameter
        .serialization
        .content
        .as_deref()
        .filter(|media_type| !is_json(media_type));
    let mut schema = match text {
        // The value is text in a format of its own.
        Some(media_type) => described(
            &json!({"type": "string", "contentMediaType": media_type}),
            parameter.description.as_deref(),
        ),
        None => described(&parameter.schema, parameter.description.as_deref()),
    };
    if let Value::Object(schema) = &mut schema {
        if parameter.deprecated {
            schema.insert("deprecated".to_owned(), Value::Bool(true));
        }
        if let (Some(example), false) = (&parameter.example, get(schema, "examples").is_some()) {
            schema.insert("examples".to_owned(), Value::Array(vec![example.clone()]));
        }
    }
    schema
}

/// The schema as an object, with this description instead of its own.
pub(super) fn described(schema: &Value, description: Option<&str>) -> Value {
    let mut schema = object(schema);
    let description = description.map(str::trim).filter(|text| !text.is_empty());
    if let (Value::Object(schema), Some(description)) = (&mut schema, description) {
        schema.insert("description".to_owned(), description.into());
    }
    schema
}

pub(super) fn object(schema: &Value) -> Value {
    match schema {
        Value::Bool(false) => json!({"not": {}}),
        Value::Object(_) => schema.clone(),
        _ => json!({}),
    }
}
