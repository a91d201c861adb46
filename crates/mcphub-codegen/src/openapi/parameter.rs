//! Parameter Object.

use std::borrow::Cow;
use std::sync::Arc;

use mcphub_core::spec::{ArgumentHints, Location, Parameter, Serialization, Style};
use serde_json::{Map, Value, json};

use super::media_type::{essence, is_token};
use super::node::{Node, Object};
use super::operation::Surroundings;
use super::place::Place;
use super::reference::Target;
use super::remark::shown;
use super::schema::is_small;
use super::{Skip, Walk};

/// The most parameters of one operation.
const MAX_PARAMETERS: usize = 1_000;

impl<'d> Walk<'d> {
    /// The parameters of an operation, those of its path item first; the operation's own replace
    /// them by name and location. What the path's template needs is there, and nothing that it
    /// does not have.
    pub(super) fn parameters(
        &mut self,
        operation: &'d Object<'d>,
        at: Place<'_>,
        around: &Surroundings<'_, 'd>,
    ) -> Result<Vec<Arc<Parameter>>, Skip> {
        let mut out: Vec<Arc<Parameter>> = Vec::new();
        let mut own_from = 0;
        for (holder, at) in [around.item.with("parameters"), Some((operation, at))]
            .into_iter()
            .flatten()
        {
            let list_at = at.key("parameters");
            for (index, parameter) in self.array(holder, "parameters", at).iter().enumerate() {
                let here = list_at.index(index);
                let Some(parameter) = self.parameter(parameter, here)? else {
                    continue;
                };
                let same = |other: &Arc<Parameter>| {
                    other.location == parameter.location && other.name == parameter.name
                };
                match out.iter().position(same) {
                    Some(place) => {
                        if place >= own_from {
                            self.remarks.warn("duplicate-parameter", here, || {
                                format!(
                                    "{} is there already; the last one counts",
                                    shown(&parameter.name)
                                )
                            });
                        }
                        out[place] = parameter;
                    }
                    None if out.len() == MAX_PARAMETERS => {
                        let message = format!("it has more than {MAX_PARAMETERS} parameters");
                        return Err(Skip::new("too-many", message).at(list_at));
                    }
                    None => out.push(parameter),
                }
            }
            own_from = out.len();
        }
        self.fit_template(around.path, &mut out, at);
        Ok(out)
    }

    fn fit_template(&mut self, path: &str, parameters: &mut Vec<Arc<Parameter>>, at: Place<'_>) {
        let names = template_names(path);
        parameters.retain(|parameter| {
            let used =
                parameter.location != Location::Path || names.contains(&parameter.name.as_str());
            if !used {
                self.remarks.warn("unused-path-parameter", at, || {
                    format!(
                        "the path has no {{{}}}; that parameter is left out",
                        parameter.name
                    )
                });
            }
            used
        });
        for name in names {
            if parameters
                .iter()
                .any(|p| p.location == Location::Path && p.name == name)
            {
                continue;
            }
            self.remarks.warn("undeclared-path-parameter", at, || {
                format!("no parameter describes {{{name}}} of the path; it is taken as a string")
            });
            parameters.push(Arc::new(Parameter {
                name: name.to_owned(),
                location: Location::Path,
                description: None,
                required: true,
                deprecated: false,
                schema: json!({"type": "string"}),
                serialization: Serialization {
                    style: Style::Simple,
                    explode: false,
                    allow_reserved: false,
                    content: None,
                },
                example: None,
                hints: ArgumentHints::default(),
            }));
        }
    }

    /// One parameter; `None` when it is left out. One that is referred to is read once.
    fn parameter(
        &mut self,
        parameter: &'d Node<'d>,
        at: Place<'_>,
    ) -> Result<Option<Arc<Parameter>>, Skip> {
        let target = self.follow(parameter, at)?;
        // A description beside the reference belongs to this use alone.
        let shared = target
            .pointer
            .clone()
            .filter(|_| target.description.is_none());
        let known = shared
            .as_ref()
            .and_then(|pointer| self.shared_parameters.get(pointer));
        let read = match known {
            Some(known) => known.clone(),
            None => {
                let read = self.parameter_at(&target, at)?.map(Arc::new);
                if let Some(pointer) = shared {
                    self.shared_parameters.insert(pointer, read.clone());
                }
                read
            }
        };
        if let (true, Some(parameter)) = (target.shared(), &read) {
            // It is copied into each tool.
            let description = parameter.description.as_ref().map_or(0, String::len);
            self.charge(512 + parameter.name.len() + description)?;
        }
        Ok(read)
    }

    fn parameter_at(
        &mut self,
        target: &Target<'d>,
        at: Place<'_>,
    ) -> Result<Option<Parameter>, Skip> {
        let at = target.place(at);
        let Some(object) = target.object() else {
            self.remarks
                .wrong_type(at, "a parameter object", target.value);
            return Ok(None);
        };
        let required = self.flag(object, "required", at).unwrap_or_default();
        let name = self.text(object, "name", at).unwrap_or_default();
        let named_location = object.get("in").and_then(Node::as_str).unwrap_or_default();
        if self.is_swagger() && matches!(named_location, "body" | "formData") {
            // These are the body.
            return Ok(None);
        }
        let location = match location_named(named_location) {
            Some(location) if !name.is_empty() => location,
            _ => {
                return self.unusable(
                    required,
                    at,
                    "a parameter has a `name`, and `in` is path, query, querystring, header or cookie",
                );
            }
        };
        match location {
            Location::Header if is_ignored_header(&name) => {
                self.remarks.info("ignored-header", at, || {
                    format!(
                        "the header {name} is not a parameter (OpenAPI 3.0.4, Parameter Object)"
                    )
                });
                return Ok(None);
            }
            Location::Header if !is_token(&name) => {
                return self.unusable(
                    required,
                    at,
                    "the name of a header has no white space or separators",
                );
            }
            _ => {}
        }
        let required = required || location == Location::Path;
        let mut hints = self.argument_hints(object, at);
        if hints.hidden && hints.value.is_none() {
            if !required {
                return Ok(None);
            }
            hints.hidden = false;
            self.needs_value(at);
        }
        let description = match target.description {
            Some(description) => Some(description.to_owned()),
            None => self.text(object, "description", at).map(Cow::into_owned),
        };
        let description = hints.description.take().or(description);
        let (mut schema, content) =
            self.needed(|walk| walk.parameter_schema(object, at, target.shared()))?;
        if location == Location::Query
            && self.flag(object, "allowEmptyValue", at).unwrap_or_default()
        {
            schema = or_empty(schema);
        }
        Ok(Some(Parameter {
            serialization: self.serialization(object, location, content, at),
            example: self.example(object, at),
            deprecated: self.flag(object, "deprecated", at).unwrap_or_default(),
            name: name.into_owned(),
            location,
            description: description.filter(|text| !text.trim().is_empty()),
            required,
            schema,
            hints,
        }))
    }

    /// A parameter that cannot be sent: left out, or with it the operation that needs it.
    fn unusable(
        &mut self,
        required: bool,
        at: Place<'_>,
        why: &str,
    ) -> Result<Option<Parameter>, Skip> {
        if required {
            return Err(Skip::new("invalid-parameter", why).at(at));
        }
        self.remarks
            .warn("invalid-parameter", at, || format!("{why}; it is left out"));
        Ok(None)
    }

    fn parameter_schema(
        &mut self,
        object: &'d Object<'d>,
        at: Place<'_>,
        shared: bool,
    ) -> (Value, Option<String>) {
        if let Some(schema) = object.get("schema") {
            return (self.part_schema(schema, at.key("schema"), shared), None);
        }
        if self.is_swagger() {
            return (self.bare_schema(object, at), None);
        }
        let content_at = at.key("content");
        if let Some((name, media)) = self
            .object(object, "content", at)
            .and_then(|content| content.iter().next())
        {
            let here = content_at.key(name);
            let schema = match media.get("schema") {
                Some(schema) => self.part_schema(schema, here.key("schema"), shared),
                None => Value::Object(Map::new()),
            };
            if let Some(media_type) = essence(name) {
                return (schema, Some(media_type));
            }
            self.remarks.warn("invalid-media-type", here, || {
                format!("{} is no media type", shown(name))
            });
            return (schema, None);
        }
        if object.contains_key("type") {
            self.remarks.warn("missing-schema", at, || {
                "`type` and its kin stand in `schema`; they are read as if they did".to_owned()
            });
            return (self.bare_schema(object, at), None);
        }
        self.remarks.warn("missing-schema", at, || {
            "a parameter has a `schema` or `content`; it is taken as a string".to_owned()
        });
        (json!({"type": "string"}), None)
    }

    fn serialization(
        &mut self,
        object: &'d Object<'d>,
        location: Location,
        content: Option<String>,
        at: Place<'_>,
    ) -> Serialization {
        let default = default_style(location);
        if self.is_swagger() {
            return self.collection(object, default, at);
        }
        let style = match self.text(object, "style", at) {
            None => default,
            Some(text) => match style_named(&text).filter(|style| is_legal(*style, location)) {
                Some(style) => style,
                None => {
                    self.remarks.warn("invalid-style", at.key("style"), || {
                        format!(
                            "{} is no style here; the default of the location is used",
                            shown(&text)
                        )
                    });
                    default
                }
            },
        };
        let explode = self
            .flag(object, "explode", at)
            .unwrap_or(matches!(style, Style::Form | Style::Cookie));
        let reserved = location == Location::Query
            && self.flag(object, "allowReserved", at).unwrap_or_default();
        Serialization {
            style,
            explode,
            allow_reserved: reserved,
            content,
        }
    }

    /// `example`, or the value of the first of `examples`, when it is short.
    fn example(&mut self, object: &'d Object<'d>, at: Place<'_>) -> Option<Value> {
        let named = || {
            let (_, first) = object.get("examples")?.as_object()?.iter().next()?;
            Some(first)
        };
        let example = match (object.get("example"), named()) {
            (Some(example), _) => Some(example),
            // An Example Object may be a reference.
            (None, Some(first)) => self
                .follow(first, at.key("examples"))
                .ok()
                // 3.2.0, Example Object: `dataValue` is what `value` was for.
                .and_then(|target| {
                    ["value", "dataValue"]
                        .iter()
                        .find_map(|k| target.value.get(k))
                }),
            (None, None) => None,
        };
        example
            .filter(|value| !value.is_null() && is_small(value))
            .map(Node::to_value)
    }
}

/// 3.0.4, Parameter Object, `allowEmptyValue`: a value of the schema, or an empty one (`?name=`).
fn or_empty(schema: Value) -> Value {
    let limits = ["enum", "const", "minLength", "pattern", "format"];
    let any_text = schema.get("type").is_some_and(|kind| kind == "string")
        && !limits.iter().any(|key| schema.get(key).is_some());
    if any_text {
        return schema;
    }
    json!({"anyOf": [schema, {"const": ""}]})
}

/// OpenAPI 3.0.4, Parameter Object: these are described elsewhere.
fn is_ignored_header(name: &str) -> bool {
    ["accept", "content-type", "authorization"]
        .iter()
        .any(|ignored| name.eq_ignore_ascii_case(ignored))
}

fn location_named(name: &str) -> Option<Location> {
    Some(match name {
        "path" => Location::Path,
        "query" => Location::Query,
        "header" => Location::Header,
        "cookie" => Location::Cookie,
        "querystring" => Location::QueryString,
        _ => return None,
    })
}

pub(super) fn style_named(name: &str) -> Option<Style> {
    Some(match name {
        "matrix" => Style::Matrix,
        "label" => Style::Label,
        "simple" => Style::Simple,
        "form" => Style::Form,
        "spaceDelimited" => Style::SpaceDelimited,
        "pipeDelimited" => Style::PipeDelimited,
        "deepObject" => Style::DeepObject,
        "cookie" => Style::Cookie,
        _ => return None,
    })
}

fn default_style(location: Location) -> Style {
    match location {
        Location::Path | Location::Header => Style::Simple,
        _ => Style::Form,
    }
}

/// OpenAPI 3.0.4, Style Values.
fn is_legal(style: Style, location: Location) -> bool {
    match location {
        Location::Path => matches!(style, Style::Matrix | Style::Label | Style::Simple),
        Location::Header => style == Style::Simple,
        Location::Cookie => matches!(style, Style::Form | Style::Cookie),
        _ => matches!(
            style,
            Style::Form | Style::SpaceDelimited | Style::PipeDelimited | Style::DeepObject
        ),
    }
}

/// The names in `{}` of a path template, each once.
fn template_names(path: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = path;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else {
            break;
        };
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
        rest = tail;
    }
    names
}
