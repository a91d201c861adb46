//! A tool becomes a typed function.

use mcphub_core::spec::{Location, NextPage, Serialization, Style};
use mcphub_core::tool::{
    BodyBinding, BodyFormat, BodySource, FieldsBinding, HttpBinding, MemberBinding, OutputShape,
    ParameterBinding, PartBinding, PartHeaderBinding, PartListBinding, Tool,
};
use mcphub_core::{Error, Result};
use serde::Serialize;

use super::annotation::{annotation, member};
use super::literal::{LINE, ts_call, ts_list, ts_literal, ts_text, ts_value};
use super::names::{is_identifier, pascal};
use crate::targets::arguments::{Argument, arguments, member_argument};

/// The indent of the statements of a function, in spaces.
const INDENT: usize = 4;

/// A function as its template needs it: every text is TypeScript already.
#[derive(Debug, Serialize)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// The stem of its file of schemas.
    #[serde(skip)]
    pub(super) stem: String,
    /// The type of its arguments.
    interface: String,
    /// The members of that type, one a line; none where there are no arguments.
    arguments: Vec<String>,
    /// What the tool is made of, one a line.
    options: Vec<String>,
    parameters: String,
    /// The lines of the body.
    body: Vec<String>,
}

impl Function {
    /// The function of this name for a tool.
    ///
    /// # Errors
    /// `InvalidInput` for a binding of a newer kind.
    pub(super) fn new(name: String, stem: String, tool: &Tool) -> Result<Self> {
        let arguments = arguments(tool);
        let interface = format!("{}Arguments", pascal(&name));
        let parameters = if arguments.is_empty() {
            "api".to_owned()
        } else {
            format!("api, args: {interface}")
        };
        Ok(Self {
            options: options(tool, &stem, &arguments),
            arguments: arguments.iter().map(|a| line(tool, a)).collect(),
            body: body(tool, &stem)?,
            name,
            stem,
            interface,
            parameters,
        })
    }

    /// Whether the type of an argument has this word.
    pub(super) fn takes(&self, word: &str) -> bool {
        self.arguments.iter().any(|line| line.contains(word))
    }

    /// Whether the body has this text.
    pub(super) fn says(&self, text: &str) -> bool {
        self.body.iter().any(|line| line.contains(text))
    }
}

/// A member of the type of a call's arguments.
fn line(tool: &Tool, argument: &Argument<'_>) -> String {
    let room = LINE.saturating_sub(argument.name.len() + 10);
    let annotation = argument.schema.map_or_else(
        || "unknown".to_owned(),
        |schema| annotation(&tool.input, schema, room),
    );
    format!("{};", member(argument.name, argument.required, &annotation))
}

fn options(tool: &Tool, stem: &str, arguments: &[Argument<'_>]) -> Vec<String> {
    let mut lines = vec![format!("name: {}", ts_literal(tool.name.as_str()))];
    lines.extend(
        tool.title
            .as_deref()
            .map(|title| ts_text("title:", title, 2)),
    );
    lines.push(ts_text("description:", &tool.description, 2));
    lines.push(format!("schemas: {}", ts_literal(stem)));
    let hints = tool.annotations;
    for (name, hint) in [
        ("readOnly", hints.read_only_hint),
        ("destructive", hints.destructive_hint),
        ("idempotent", hints.idempotent_hint),
        ("openWorld", hints.open_world_hint),
    ] {
        lines.push(format!("{name}: {hint}"));
    }
    let unsaid: Vec<_> = arguments
        .iter()
        .filter(|a| a.unsaid)
        .map(|a| a.name)
        .collect();
    if !unsaid.is_empty() {
        lines.push(format!("required: {}", list(&unsaid)));
    }
    lines
}

fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| ts_literal(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

fn body(tool: &Tool, stem: &str) -> Result<Vec<String>> {
    let binding = &tool.binding;
    let mut options = vec![ts_text("accept:", &binding.accept, INDENT + 2)];
    options.extend(
        binding
            .server
            .as_deref()
            .map(|server| ts_text("server:", server, INDENT + 2)),
    );
    if !binding.security.is_empty() {
        let alternatives: Vec<_> = binding.security.iter().map(|names| list(names)).collect();
        // As formatters do with rows of more than one column.
        let rows = alternatives.len() > 1 && binding.security.iter().all(|names| names.len() > 1);
        options.push(ts_list("security: ", &alternatives, "", INDENT + 2, rows));
    }
    if tool.is_repeatable() != binding.method.is_idempotent() {
        options.push(format!("repeatable: {}", tool.is_repeatable()));
    }
    let arguments = [
        ts_literal(binding.method.as_str()),
        ts_literal(&binding.path),
    ];
    let mut lines = vec![ts_call(
        "const request = new HttpRequest",
        &arguments,
        &options,
        INDENT,
    )];
    lines.extend(
        binding
            .parameters
            .iter()
            .map(|p| parameter_call(binding, p)),
    );
    if let Some(body) = &binding.body {
        lines.extend(body_calls(binding, body, stem)?);
    }
    lines.push(answer_call(binding));
    Ok(lines)
}

fn answer_call(binding: &HttpBinding) -> String {
    let mut options = Vec::new();
    if let Some(pages) = &binding.answer.pages {
        options.push(format!("pages: {}", value(binding, &pages.argument)));
        if !pages.items.is_empty() {
            options.push(format!("items: {}", list(&pages.items)));
        }
        options.push(next_page(binding, &pages.next));
    }
    match &binding.answer.fields {
        Some(FieldsBinding::Only(fields)) => {
            let fields: Vec<_> = fields.iter().map(|field| ts_literal(field)).collect();
            options.push(ts_list(
                "fields: new Fields(",
                &fields,
                ")",
                INDENT + 2,
                false,
            ));
        }
        Some(FieldsBinding::Argument(argument)) => {
            let own = (argument != "fields").then(|| format!(", {}", ts_literal(argument)));
            let given = value(binding, argument);
            options.push(format!(
                "fields: Fields.asked({given}{})",
                own.unwrap_or_default()
            ));
        }
        _ => {}
    }
    if let Some(argument) = &binding.answer.rest {
        let own = (argument != "rest").then(|| format!(", {}", ts_literal(argument)));
        let given = value(binding, argument);
        options.push(format!(
            "rest: Rest.asked({given}{})",
            own.unwrap_or_default()
        ));
    }
    let output = match binding.output {
        OutputShape::Object => Some("object"),
        OutputShape::Wrapped => Some("wrapped"),
        _ if !options.is_empty() => Some("none"),
        _ => None,
    };
    let output = output.map(|output| format!("\"{output}\""));
    let arguments: Vec<_> = ["request".to_owned()].into_iter().chain(output).collect();
    ts_call("return api.call", &arguments, &options, INDENT)
}

fn next_page(binding: &HttpBinding, next: &NextPage) -> String {
    let parameter = |name: &str| format!("parameter: {}", ts_literal(name));
    let mut members = match next {
        NextPage::Url { at } => vec!["by: \"url\"".to_owned(), format!("at: {}", list(at))],
        NextPage::Cursor {
            at,
            parameter: name,
            ..
        } => vec![
            "by: \"cursor\"".to_owned(),
            format!("at: {}", list(at)),
            parameter(name),
        ],
        NextPage::Page {
            parameter: name,
            first,
            ..
        } => vec![
            "by: \"page\"".to_owned(),
            parameter(name),
            format!("first: {first}"),
        ],
        NextPage::Offset {
            parameter: name,
            first,
            ..
        } => vec![
            "by: \"offset\"".to_owned(),
            parameter(name),
            format!("first: {first}"),
        ],
        _ => vec!["by: \"link\"".to_owned()],
    };
    if let Some(member) = next.body_member() {
        let argument = member_argument(binding, member).unwrap_or_default();
        members.push(format!("body: {}", ts_literal(argument)));
    }
    format!("next: {{ {} }}", members.join(", "))
}

/// `args.isbn`, `args["X-Id"]`, or what every call sends.
fn value(binding: &HttpBinding, argument: &str) -> String {
    if let Some(preset) = binding.presets.get(argument) {
        ts_value(preset)
    } else if is_identifier(argument) {
        format!("args.{argument}")
    } else {
        format!("args[{}]", ts_literal(argument))
    }
}

fn parameter_call(binding: &HttpBinding, parameter: &ParameterBinding) -> String {
    let (method, style, explode) = match parameter.location {
        Location::Path => ("path", Style::Simple, false),
        Location::Header => ("header", Style::Simple, false),
        Location::Cookie => ("cookie", Style::Form, true),
        Location::QueryString if parameter.serialization.content.is_some() => {
            ("queryString", Style::Form, true)
        }
        _ => ("query", Style::Form, true),
    };
    let how = &parameter.serialization;
    let mut options = Vec::new();
    if how.content.is_none() {
        if how.style != style {
            options.push(format!("style: \"{}\"", style_name(how.style)));
        }
        if how.explode != explode {
            options.push(format!("explode: {}", how.explode));
        }
    }
    // Paths and headers have no reserved expansion.
    if matches!(method, "query" | "cookie") && how.allow_reserved {
        options.push("allowReserved: true".to_owned());
    }
    options.extend(content(how));
    options.extend(own_argument(&parameter.name, &parameter.argument));
    let arguments = [
        ts_literal(&parameter.name),
        value(binding, &parameter.argument),
    ];
    ts_call(&format!("request.{method}"), &arguments, &options, INDENT)
}

fn content(how: &Serialization) -> Option<String> {
    how.content
        .as_deref()
        .map(|media_type| format!("content: {}", ts_literal(media_type)))
}

/// Problems name the argument, which is the name on the wire unless told otherwise.
fn own_argument(name: &str, argument: &str) -> Option<String> {
    (name != argument).then(|| format!("argument: {}", ts_literal(argument)))
}

fn body_calls(binding: &HttpBinding, body: &BodyBinding, stem: &str) -> Result<Vec<String>> {
    let media_type = |usual: &str| {
        (body.media_type != usual).then(|| format!("mediaType: {}", ts_literal(&body.media_type)))
    };
    let json = || media_type("application/json");
    let form = || media_type("application/x-www-form-urlencoded");
    let multipart = || media_type("multipart/form-data");
    let xml = || media_type("application/xml");
    let shape = || format!("shape: shape({})", ts_literal(stem));
    let optional = || (!body.required).then(|| "required: false".to_owned());
    Ok(match (&body.source, body.format) {
        (BodySource::Argument(argument), BodyFormat::Multipart) if body.parts.is_some() => {
            let parts = body.parts.clone().unwrap_or_default();
            part_list(binding, argument, &body.media_type, &parts)
        }
        (BodySource::Argument(argument), format) => {
            let (method, media_type) = match format {
                BodyFormat::Json => ("json", json()),
                BodyFormat::Form => ("formValue", form()),
                BodyFormat::Multipart => ("multipartValue", multipart()),
                BodyFormat::Text => ("text", media_type("")),
                BodyFormat::Binary => ("binary", media_type("")),
                BodyFormat::JsonLines => ("jsonLines", media_type("")),
                BodyFormat::Xml => ("xml", xml()),
                _ => return Err(newer()),
            };
            let mut options = vec![format!("argument: {}", ts_literal(argument))];
            options.extend(media_type);
            options.extend((format == BodyFormat::Xml).then(shape));
            let head = format!("request.{method}");
            vec![ts_call(
                &head,
                &[value(binding, argument)],
                &options,
                INDENT,
            )]
        }
        (BodySource::Members(members), BodyFormat::Form) => {
            let options: Vec<_> = optional().into_iter().chain(form()).collect();
            let mut lines = vec![ts_call("const form = request.form", &[], &options, INDENT)];
            lines.extend(members.iter().map(|m| field_call(binding, m)));
            lines
        }
        (BodySource::Members(members), BodyFormat::Multipart) => {
            let options: Vec<_> = optional().into_iter().chain(multipart()).collect();
            let head = "const form = request.multipart";
            let mut lines = vec![ts_call(head, &[], &options, INDENT)];
            let numbered = (1..).zip(members);
            lines.extend(numbered.flat_map(|(number, m)| part_call(binding, m, number)));
            lines
        }
        (BodySource::Members(members), format @ (BodyFormat::Json | BodyFormat::Xml)) => {
            let pairs: Vec<_> = members
                .iter()
                .map(|m| {
                    let pair = [ts_literal(&m.name), value(binding, &m.argument)];
                    ts_list("", &pair, "", INDENT + 2, false)
                })
                .collect();
            let head = "const members: [string, unknown][] = ";
            let mut lines = vec![ts_list(head, &pairs, ";", INDENT, pairs.len() > 1)];
            let (method, media_type, shape) = match format {
                BodyFormat::Xml => ("request.xmlMembers", xml(), Some(shape())),
                _ => ("request.jsonMembers", json(), None),
            };
            let options = optional().into_iter().chain(media_type).chain(shape);
            let options: Vec<_> = options.collect();
            lines.push(ts_call(method, &["members".to_owned()], &options, INDENT));
            lines
        }
        _ => return Err(newer()),
    })
}

fn newer() -> Error {
    Error::invalid("the typescript target does not know this kind of body")
}

fn field_call(binding: &HttpBinding, member: &MemberBinding) -> String {
    let mut options = Vec::new();
    if let Some(how) = &member.serialization {
        if how.content.is_none() {
            options.push(format!("style: \"{}\"", style_name(how.style)));
            options.extend((!how.explode).then(|| "explode: false".to_owned()));
        }
        options.extend(content(how));
        options.extend(how.allow_reserved.then(|| "allowReserved: true".to_owned()));
    }
    options.extend(own_argument(&member.name, &member.argument));
    let arguments = [ts_literal(&member.name), value(binding, &member.argument)];
    ts_call("form.field", &arguments, &options, INDENT)
}

/// A body of parts by their position.
fn part_list(
    binding: &HttpBinding,
    argument: &str,
    media_type: &str,
    parts: &PartListBinding,
) -> Vec<String> {
    let options = [
        format!("argument: {}", ts_literal(argument)),
        format!("mediaType: {}", ts_literal(media_type)),
    ];
    let value = [value(binding, argument)];
    let head = "const parts = request.multipartList";
    let mut lines = vec![ts_call(head, &value, &options, INDENT)];
    let numbered = (1..).zip(&parts.prefix);
    let next = numbered.map(|(number, part)| (format!("part{number}"), "next", part));
    let rest = ("rest".to_owned(), "rest", &parts.items);
    for (name, method, part) in next.chain([rest]) {
        let head = match part.headers.is_empty() {
            true => format!("parts.{method}"),
            false => format!("const {name} = parts.{method}"),
        };
        lines.push(ts_call(&head, &[], &part_options(part), INDENT));
        lines.extend(header_calls(binding, &name, part));
    }
    lines
}

/// How a part is written where its value does not say it.
fn part_options(part: &PartBinding) -> Vec<String> {
    let file = part.file.then(|| "file: true".to_owned());
    let media_type = part.media_type.as_deref();
    let media_type = media_type.map(|name| format!("mediaType: {}", ts_literal(name)));
    file.into_iter().chain(media_type).collect()
}

/// One statement for each header of these parts.
fn header_calls(binding: &HttpBinding, parts: &str, part: &PartBinding) -> Vec<String> {
    let call = |header: &PartHeaderBinding| {
        let mut options = vec![format!("argument: {}", ts_literal(&header.argument))];
        options.extend(header.required.then(|| "required: true".to_owned()));
        options.extend(header.explode.then(|| "explode: true".to_owned()));
        let arguments = [ts_literal(&header.name), value(binding, &header.argument)];
        ts_call(&format!("{parts}.header"), &arguments, &options, INDENT)
    };
    part.headers.iter().map(call).collect()
}

fn part_call(binding: &HttpBinding, member: &MemberBinding, number: usize) -> Vec<String> {
    let mut options = member.part.as_ref().map(part_options).unwrap_or_default();
    // JSON is the one media type that a form takes for a style.
    let how = member.serialization.as_ref();
    if let Some(how) = how.filter(|how| how.content.is_none()) {
        options.push(format!("style: \"{}\"", style_name(how.style)));
        options.extend((!how.explode).then(|| "explode: false".to_owned()));
    }
    options.extend(own_argument(&member.name, &member.argument));
    let arguments = [ts_literal(&member.name), value(binding, &member.argument)];
    let headers = member.part.as_ref().filter(|part| !part.headers.is_empty());
    let Some(part) = headers else {
        return vec![ts_call("form.field", &arguments, &options, INDENT)];
    };
    let name = format!("part{number}");
    let head = format!("const {name} = form.field");
    let mut lines = vec![ts_call(&head, &arguments, &options, INDENT)];
    lines.extend(header_calls(binding, &name, part));
    lines
}

fn style_name(style: Style) -> &'static str {
    match style {
        Style::Matrix => "matrix",
        Style::Label => "label",
        Style::Simple => "simple",
        Style::SpaceDelimited => "spaceDelimited",
        Style::PipeDelimited => "pipeDelimited",
        Style::TabDelimited => "tabDelimited",
        Style::DeepObject => "deepObject",
        Style::Cookie => "cookie",
        _ => "form",
    }
}
