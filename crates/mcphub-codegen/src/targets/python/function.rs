//! A tool becomes a typed function.

use std::collections::HashMap;

use mcphub_core::spec::{Location, NextPage, Serialization, Style};
use mcphub_core::tool::{
    BodyBinding, BodyFormat, BodySource, FieldsBinding, HttpBinding, MemberBinding, OutputShape,
    ParameterBinding, Tool,
};
use serde::Serialize;
use url::Url;

use super::annotation::annotation;
use super::literal::{LINE, bracketed, docstring, python_literal, python_text, python_value};
use super::names::Names;
use super::parts;
use crate::targets::arguments::{arguments, member_argument};

/// A function as its template needs it: every text is Python already.
#[derive(Debug, Serialize)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// The arguments of the decorator, one a line.
    decorator: Vec<String>,
    /// The parameters, one a line, with annotation and default.
    parameters: Vec<String>,
    docstring: String,
    /// The lines of the body.
    body: Vec<String>,
    /// Whether an argument may be left out.
    pub(super) optional: bool,
    /// Whether the body is made into XML.
    #[serde(skip)]
    pub(super) has_xml: bool,
}

impl Function {
    /// The function of this name for a tool.
    pub(super) fn new(name: String, tool: &Tool) -> Self {
        let parameters = Parameters::of(tool);
        let lines = parameters.arguments.iter().map(Parameter::line).collect();
        Self {
            body: body(tool, &name, &parameters),
            has_xml: has_xml(tool),
            name,
            decorator: decorator(tool, &parameters),
            optional: parameters
                .arguments
                .iter()
                .any(|parameter| !parameter.required),
            parameters: lines,
            docstring: docstring(&headline(tool)),
        }
    }

    /// Whether the last statement has this text.
    pub(super) fn says(&self, text: &str) -> bool {
        self.body.last().is_some_and(|line| line.contains(text))
    }

    /// Whether the code has this word.
    pub(super) fn mentions(&self, word: &str) -> bool {
        self.parameters.iter().any(|line| line.contains(word))
    }
}

fn has_xml(tool: &Tool) -> bool {
    let body = tool.binding.body.as_ref();
    body.is_some_and(|body| body.format == BodyFormat::Xml)
}

fn headline(tool: &Tool) -> String {
    let title = tool.title.as_deref().unwrap_or_default();
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() || line.chars().count() > LINE - 12 {
        format!("{} {}", tool.binding.method.as_str(), tool.binding.path)
    } else if line.ends_with(['.', '!', '?']) {
        line
    } else {
        format!("{line}.")
    }
}

fn decorator(tool: &Tool, parameters: &Parameters) -> Vec<String> {
    let mut lines = vec![python_literal(tool.name.as_str())];
    if let Some(title) = &tool.title {
        lines.push(format!("title={}", python_text(title, 4, "title=".len())));
    }
    lines.push(format!(
        "description={}",
        python_text(&tool.description, 4, "description=".len())
    ));
    let hints = tool.annotations;
    for (name, hint) in [
        ("read_only", hints.read_only_hint),
        ("destructive", hints.destructive_hint),
        ("idempotent", hints.idempotent_hint),
        ("open_world", hints.open_world_hint),
    ] {
        lines.push(format!("{name}={}", python_bool(hint)));
    }
    let renamed: Vec<_> = parameters
        .arguments
        .iter()
        .filter(|parameter| parameter.argument != parameter.name)
        .map(|parameter| {
            format!(
                "{}: {}",
                python_literal(&parameter.argument),
                python_literal(&parameter.name)
            )
        })
        .collect();
    if !renamed.is_empty() {
        lines.push(bracketed("arguments={", &renamed, "}", 4));
    }
    lines
}

/// The function's parameters: one for each argument that the binding uses and a client gives.
pub(super) struct Parameters {
    arguments: Vec<Parameter>,
    /// What every call sends, as Python, by argument.
    presets: HashMap<String, String>,
}

struct Parameter {
    /// The name in the tool's input schema.
    argument: String,
    /// The name in Python.
    name: String,
    annotation: String,
    required: bool,
}

impl Parameter {
    fn line(&self) -> String {
        if self.required {
            return format!("{}: {}", self.name, self.annotation);
        }
        let annotation = if self.annotation == "Any" {
            "Any".to_owned()
        } else {
            format!("{} | Unset", self.annotation)
        };
        format!("{}: {annotation} = UNSET", self.name)
    }
}

impl Parameters {
    fn of(tool: &Tool) -> Self {
        let mut names = Names::default();
        let parameters = arguments(tool).into_iter().map(|argument| Parameter {
            argument: argument.name.to_owned(),
            name: names.identifier(argument.name, "arg"),
            annotation: argument
                .schema
                .map_or_else(|| "Any".to_owned(), |p| annotation(&tool.input, p)),
            required: argument.required,
        });
        let presets = tool.binding.presets.iter();
        Self {
            arguments: parameters.collect(),
            presets: presets
                .map(|(argument, value)| (argument.clone(), python_value(value)))
                .collect(),
        }
    }

    /// The Python expression that has the value of an argument.
    pub(super) fn name(&self, argument: &str) -> &str {
        if let Some(preset) = self.presets.get(argument) {
            return preset;
        }
        self.arguments
            .iter()
            .find(|parameter| parameter.argument == argument)
            .map_or("UNSET", |parameter| &parameter.name)
    }
}

fn body(tool: &Tool, function: &str, parameters: &Parameters) -> Vec<String> {
    let binding = &tool.binding;
    let mut arguments = vec![
        python_literal(binding.method.as_str()),
        python_literal(&escaped_path(binding)),
        format!("accept={}", python_literal(&binding.accept)),
    ];
    if let Some(server) = &binding.server {
        arguments.push(format!("server={}", python_literal(server)));
    }
    if !binding.security.is_empty() {
        let alternatives = binding.security.iter().map(|names| {
            format!(
                "[{}]",
                names
                    .iter()
                    .map(|name| python_literal(name))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        });
        arguments.push(format!(
            "security=[{}]",
            alternatives.collect::<Vec<_>>().join(", ")
        ));
    }
    if tool.is_repeatable() != binding.method.is_idempotent() {
        arguments.push(format!("repeatable={}", python_bool(tool.is_repeatable())));
    }
    let mut lines = vec![bracketed("request = Request(", &arguments, ")", 4)];
    for parameter in &binding.parameters {
        lines.push(parameter_call(
            parameter,
            parameters.name(&parameter.argument),
        ));
    }
    if let Some(body) = &binding.body {
        lines.extend(body_calls(body, function, parameters));
    }
    lines.push(answer_call(binding, parameters));
    lines
}

fn answer_call(binding: &HttpBinding, parameters: &Parameters) -> String {
    let mut arguments = vec!["request".to_owned()];
    match binding.output {
        OutputShape::Object => arguments.push("output=\"object\"".to_owned()),
        OutputShape::Wrapped => arguments.push("output=\"wrapped\"".to_owned()),
        _ => {}
    }
    if let Some(pages) = &binding.answer.pages {
        arguments.push(format!("pages={}", parameters.name(&pages.argument)));
        if !pages.items.is_empty() {
            arguments.push(format!("items={}", list(&pages.items)));
        }
        arguments.push(format!("next_page={}", next_page(binding, &pages.next)));
    }
    match &binding.answer.fields {
        Some(FieldsBinding::Only(fields)) => {
            let fields: Vec<_> = fields.iter().map(|field| python_literal(field)).collect();
            arguments.push(bracketed("fields=Fields(", &fields, ")", 8));
        }
        Some(FieldsBinding::Argument(argument)) => {
            let named = own_argument("fields", argument);
            let given = [parameters.name(argument).to_owned()]
                .into_iter()
                .chain(named);
            let given: Vec<_> = given.collect();
            arguments.push(format!("fields=Fields.asked({})", given.join(", ")));
        }
        _ => {}
    }
    if let Some(argument) = &binding.answer.rest {
        let given = [parameters.name(argument).to_owned()];
        let given: Vec<_> = given
            .into_iter()
            .chain(own_argument("rest", argument))
            .collect();
        arguments.push(format!("rest=Rest.asked({})", given.join(", ")));
    }
    bracketed("return await api.call(", &arguments, ")", 4)
}

fn next_page(binding: &HttpBinding, next: &NextPage) -> String {
    let (name, mut arguments) = match next {
        NextPage::Url { at } => ("Url", vec![list(at)]),
        NextPage::Cursor { at, parameter, .. } => {
            ("Cursor", vec![list(at), python_literal(parameter)])
        }
        NextPage::Page {
            parameter, first, ..
        } => {
            let first = (*first != 1).then(|| format!("first={first}"));
            let parameter = python_literal(parameter);
            ("Page", [parameter].into_iter().chain(first).collect())
        }
        NextPage::Offset {
            parameter, first, ..
        } => {
            let first = (*first != 0).then(|| format!("first={first}"));
            let parameter = python_literal(parameter);
            ("Offset", [parameter].into_iter().chain(first).collect())
        }
        _ => ("Link", Vec::new()),
    };
    if let Some(member) = next.body_member() {
        let argument = member_argument(binding, member).unwrap_or_default();
        arguments.push(format!("body={}", python_literal(argument)));
    }
    format!("{name}({})", arguments.join(", "))
}

fn list(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| python_literal(name)).collect();
    format!("[{}]", names.join(", "))
}

fn parameter_call(parameter: &ParameterBinding, value: &str) -> String {
    let (method, style, explode) = match parameter.location {
        Location::Path => ("path", Style::Simple, false),
        Location::Header => ("header", Style::Simple, false),
        Location::Cookie => ("cookie", Style::Form, true),
        Location::QueryString if parameter.serialization.content.is_some() => {
            ("query_string", Style::Form, true)
        }
        _ => ("query", Style::Form, true),
    };
    let how = &parameter.serialization;
    let mut arguments = vec![python_literal(&parameter.name), value.to_owned()];
    if how.content.is_none() {
        if how.style != style {
            arguments.push(format!("style={}", style_literal(how.style)));
        }
        if how.explode != explode {
            arguments.push(format!("explode={}", python_bool(how.explode)));
        }
    }
    // Paths and headers have no reserved expansion.
    if matches!(method, "query" | "cookie") {
        arguments.extend(how.allow_reserved.then(|| "allow_reserved=True".to_owned()));
    }
    arguments.extend(
        how.content
            .as_deref()
            .map(|media_type| format!("content={}", python_literal(media_type))),
    );
    arguments.extend(own_argument(&parameter.name, &parameter.argument));
    bracketed(&format!("request.{method}("), &arguments, ")", 4)
}

/// Problems name the argument, which is the name on the wire unless told otherwise.
pub(super) fn own_argument(name: &str, argument: &str) -> Option<String> {
    (name != argument).then(|| format!("argument={}", python_literal(argument)))
}

fn body_calls(body: &BodyBinding, function: &str, parameters: &Parameters) -> Vec<String> {
    let media_type = |usual: &str| {
        (body.media_type != usual)
            .then(|| format!("media_type={}", python_literal(&body.media_type)))
    };
    let optional = (!body.required).then(|| "required=False".to_owned());
    match (&body.source, body.format) {
        (BodySource::Argument(argument), format) => {
            let mut arguments = vec![
                parameters.name(argument).to_owned(),
                format!("argument={}", python_literal(argument)),
            ];
            let method = match format {
                BodyFormat::Form => {
                    arguments.extend(media_type("application/x-www-form-urlencoded"));
                    "form_value"
                }
                BodyFormat::Text => {
                    arguments.push(format!("media_type={}", python_literal(&body.media_type)));
                    "text"
                }
                BodyFormat::Binary | BodyFormat::JsonLines => {
                    arguments.push(format!("media_type={}", python_literal(&body.media_type)));
                    if format == BodyFormat::Binary {
                        "binary"
                    } else {
                        "json_lines"
                    }
                }
                BodyFormat::Multipart => {
                    if let Some(list) = &body.parts {
                        return parts::list(body, list, arguments, parameters);
                    }
                    arguments.extend(media_type("multipart/form-data"));
                    "multipart_value"
                }
                BodyFormat::Xml => {
                    arguments.push(shape(function));
                    arguments.extend(media_type("application/xml"));
                    "xml_value"
                }
                _ => {
                    arguments.extend(media_type("application/json"));
                    "json"
                }
            };
            vec![bracketed(&format!("request.{method}("), &arguments, ")", 4)]
        }
        (BodySource::Members(members), BodyFormat::Form) => {
            let arguments: Vec<_> = optional
                .into_iter()
                .chain(media_type("application/x-www-form-urlencoded"))
                .collect();
            let mut lines = vec![bracketed("form = request.form(", &arguments, ")", 4)];
            lines.extend(
                members
                    .iter()
                    .map(|member| field_call(member, parameters.name(&member.argument))),
            );
            lines
        }
        (BodySource::Members(members), BodyFormat::Multipart) => {
            let media_type = media_type("multipart/form-data");
            let arguments: Vec<_> = optional.into_iter().chain(media_type).collect();
            let mut lines = vec![bracketed("form = request.multipart(", &arguments, ")", 4)];
            lines.extend(members.iter().flat_map(|m| parts::field(m, parameters)));
            lines
        }
        (BodySource::Members(members), format) => {
            let mut lines = vec!["members = {".to_owned()];
            for member in members {
                lines.push(format!(
                    "    {}: {},",
                    python_literal(&member.name),
                    parameters.name(&member.argument)
                ));
            }
            lines.push("}".to_owned());
            let is_xml = format == BodyFormat::Xml;
            let (method, usual) = if is_xml {
                ("xml_members", "application/xml")
            } else {
                ("json_members", "application/json")
            };
            let arguments: Vec<_> = ["members".to_owned()]
                .into_iter()
                .chain(is_xml.then(|| shape(function)))
                .chain(optional)
                .chain(media_type(usual))
                .collect();
            lines.push(bracketed(&format!("request.{method}("), &arguments, ")", 4));
            lines
        }
        _ => Vec::new(),
    }
}

/// How the body of the function of that name becomes XML.
fn shape(function: &str) -> String {
    format!("shape=shape({})", python_literal(function))
}

fn field_call(member: &MemberBinding, value: &str) -> String {
    let mut arguments = vec![python_literal(&member.name), value.to_owned()];
    match &member.serialization {
        Some(Serialization {
            content: Some(media_type),
            ..
        }) => {
            arguments.push(format!("content={}", python_literal(media_type)));
        }
        Some(how) => {
            arguments.push(format!("style={}", style_literal(how.style)));
            if !how.explode {
                arguments.push("explode=False".to_owned());
            }
        }
        None => {}
    }
    if member
        .serialization
        .as_ref()
        .is_some_and(|how| how.allow_reserved)
    {
        arguments.push("allow_reserved=True".to_owned());
    }
    arguments.extend(own_argument(&member.name, &member.argument));
    bracketed("form.field(", &arguments, ")", 4)
}

fn python_bool(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}

pub(super) fn style_literal(style: Style) -> &'static str {
    match style {
        Style::Matrix => "\"matrix\"",
        Style::Label => "\"label\"",
        Style::Simple => "\"simple\"",
        Style::SpaceDelimited => "\"spaceDelimited\"",
        Style::PipeDelimited => "\"pipeDelimited\"",
        Style::TabDelimited => "\"tabDelimited\"",
        Style::DeepObject => "\"deepObject\"",
        Style::Cookie => "\"cookie\"",
        _ => "\"form\"",
    }
}

/// The path template with its fixed text as a URL parser leaves it, so that nothing is left to
/// escape at run time but values.
fn escaped_path(binding: &HttpBinding) -> String {
    let names: Vec<_> = binding
        .parameters
        .iter()
        .filter(|p| p.location == Location::Path)
        .map(|p| &p.name)
        .collect();
    let mut token = "value".to_owned();
    while binding.path.contains(&token) {
        token.push('x');
    }
    let mut path = binding.path.clone();
    for (at, name) in names.iter().enumerate() {
        path = path.replace(&format!("{{{name}}}"), &format!("{token}{at}end"));
    }
    // A path that does not begin with `/` continues the last part of the base, as text.
    let Ok(mut url) = Url::parse(&format!("http://host/base{path}")) else {
        return binding.path.clone();
    };
    url.set_fragment(None);
    let mut path = url[url::Position::BeforePath..].to_owned();
    if let Some(rest) = path.strip_prefix("/base") {
        path = rest.to_owned();
    }
    for (at, name) in names.iter().enumerate() {
        path = path.replace(&format!("{token}{at}end"), &format!("{{{name}}}"));
    }
    path
}

#[cfg(test)]
mod tests {
    use mcphub_core::spec::{Document, SpecParser};
    use mcphub_core::tool::{PlanOptions, Planner};

    use super::*;
    use crate::openapi::OpenApiParser;
    use crate::plan::ToolPlanner;

    #[test]
    fn what_every_call_sends_is_no_parameter() {
        let document = serde_json::json!({"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": [
            {"name": "limit", "in": "query", "schema": {"type": "integer"}, "x-mcp": {"value": 50}},
            {"name": "q", "in": "query", "schema": {"type": "string"}, "x-mcp": {"name": "text"}},
        ]}}}});
        let document = Document {
            source: "a.json".into(),
            bytes: document.to_string().into(),
        };
        let parsed = OpenApiParser::default().parse(&document).unwrap();
        let plan = ToolPlanner::new().plan(&parsed, &PlanOptions::default());
        let function = Function::new("f".into(), &plan.unwrap().tools.tools[0]);
        assert_eq!(function.parameters, ["text: str | Unset = UNSET"]);
        assert_eq!(
            function.body[1..3],
            [
                "request.query(\"limit\", 50)",
                "request.query(\"q\", text, argument=\"text\")"
            ]
        );
    }

    #[test]
    fn fixed_text_of_a_path_is_escaped_and_placeholders_stay() {
        let parameter = |name: &str| ParameterBinding {
            argument: "a".into(),
            name: name.into(),
            location: Location::Path,
            required: true,
            serialization: Serialization {
                style: Style::Simple,
                explode: false,
                allow_reserved: false,
                content: None,
            },
        };
        let mut binding = HttpBinding {
            method: mcphub_core::spec::Method::Get,
            path: "/größe/{the id}/v{v} b?fixed=1'#gone".into(),
            server: None,
            parameters: vec![parameter("the id"), parameter("v")],
            body: None,
            security: Vec::new(),
            accept: "*/*".into(),
            presets: Default::default(),
            output: OutputShape::None,
            answer: Default::default(),
        };
        assert_eq!(
            escaped_path(&binding),
            "/gr%C3%B6%C3%9Fe/{the id}/v{v}%20b?fixed=1%27"
        );
        binding.path = "/base/{v}/value0end".into();
        assert_eq!(escaped_path(&binding), "/base/{v}/value0end");
    }
}
