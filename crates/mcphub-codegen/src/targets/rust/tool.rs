//! A tool becomes a type: its arguments, and the request that they make.

use mcphub_core::spec::{Location, NextPage, Serialization, Style};
use mcphub_core::tool::{
    AnswerBinding, BodyBinding, BodyFormat, BodySource, FieldsBinding, HttpBinding, MemberBinding,
    OutputShape, ParameterBinding, PartBinding, PartHeaderBinding, PartListBinding, Tool,
};
use mcphub_core::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use super::choice::Choices;
use super::kind::Kind;
use super::literal::{
    Expression, LINE, rust_array, rust_attribute, rust_call, rust_let, rust_literal, rust_text,
};
use super::names::Names;
use crate::targets::about::{markdown_text, one_line};
use crate::targets::arguments::{Argument, arguments, member_argument};

/// The indent of the statements of a function, in spaces.
const INDENT: usize = 8;
/// The longest documentation of a field in characters.
const MAX_DOCS: usize = 300;

/// A tool as its template needs it: every text is Rust already.
#[derive(Debug, Serialize)]
pub(super) struct ToolType {
    /// The name of the type.
    pub(super) name: String,
    /// The name of the tool, whose characters are harmless (MCP 2026-07-28, Tool Names).
    tool: String,
    derive: &'static str,
    fields: Vec<Field>,
    /// The members of its definition, each with its comma.
    definition: Vec<String>,
    /// The statement that begins the request.
    begin: String,
    /// The other statements that make the request.
    body: Vec<String>,
}

/// An argument.
#[derive(Debug, Serialize)]
struct Field {
    #[serde(skip)]
    argument: String,
    #[serde(skip)]
    required: bool,
    name: String,
    kind: String,
    attributes: Vec<String>,
}

impl ToolType {
    /// The type of this name for a tool whose schemas are in the file of that stem.
    ///
    /// # Errors
    /// `InvalidInput` for a binding of a newer kind.
    pub(super) fn new(
        name: String,
        stem: &str,
        tool: &Tool,
        choices: &mut Choices,
    ) -> Result<Self> {
        let arguments = arguments(tool);
        let mut names = Names::default();
        let fields: Vec<_> = arguments
            .iter()
            .map(|argument| Field::new(&mut names, tool, argument, choices))
            .collect();
        let mut body = head(tool);
        let writer = Writer {
            binding: &tool.binding,
            fields: &fields,
        };
        for parameter in &tool.binding.parameters {
            body.extend(writer.parameter(parameter));
        }
        if let Some(sent) = &tool.binding.body {
            body.extend(writer.body(sent)?);
        }
        body.extend(writer.answer(&tool.binding.answer)?);
        let endpoint = [
            rust_literal(tool.binding.method.as_str()).into(),
            rust_literal(&tool.binding.path).into(),
        ];
        // What has to be given has no default.
        let optional = fields.iter().all(|field| !field.required);
        Ok(Self {
            name,
            tool: tool.name.as_str().to_owned(),
            derive: match optional {
                true => "#[derive(Debug, Clone, Default, Deserialize)]",
                false => "#[derive(Debug, Clone, Deserialize)]",
            },
            definition: definition(tool, stem, &arguments),
            begin: rust_let("let mut request", "HttpRequest::new", &endpoint, INDENT),
            fields,
            body,
        })
    }

    /// Whether the type of a field has this word.
    pub(super) fn takes(&self, word: &str) -> bool {
        let mut words = self.fields.iter().flat_map(|field| {
            field
                .kind
                .split(|c: char| !c.is_ascii_alphanumeric() && c != ':')
        });
        words.any(|known| known == word || known.starts_with(word) && word.ends_with("::"))
    }

    /// Whether the code has this text outside its literals.
    pub(super) fn says(&self, text: &str) -> bool {
        self.body.iter().any(|line| code(line).contains(text))
    }
}

/// A statement without its literals.
fn code(statement: &str) -> String {
    let mut code = String::new();
    let (mut inside, mut escaped) = (false, false);
    for c in statement.chars() {
        if c == '"' && !escaped {
            inside = !inside;
        } else if !inside {
            code.push(c);
        }
        escaped = inside && c == '\\' && !escaped;
    }
    code
}

impl Field {
    fn new(names: &mut Names, tool: &Tool, argument: &Argument<'_>, choices: &mut Choices) -> Self {
        let name = names.field(argument.name);
        let kind = argument
            .schema
            .map_or(Kind::ANY, |schema| Kind::of(&tool.input, schema));
        let mut rust = choices.rust_type(&kind, tool.name.as_str(), argument.name);
        let optional = |rust: String| match argument.required {
            true => rust,
            false => format!("Option<{rust}>"),
        };
        if name.len() + rust.len() + 26 > LINE {
            rust = "Value".to_owned();
        }
        // `Option` alone takes null for nothing.
        let given = !argument.required && (kind.takes_null() || rust == "Value");
        let mut serde = Vec::new();
        if name.trim_start_matches("r#") != argument.name {
            serde.push(format!("rename = {}", rust_literal(argument.name)));
        }
        if given {
            serde.push("default".to_owned());
            serde.push("deserialize_with = \"crate::tool::given\"".to_owned());
        }
        let mut attributes = Vec::new();
        if let Some(docs) = docs(argument.schema) {
            attributes.push(format!("#[doc = {}]", rust_literal(&docs)));
        }
        if !serde.is_empty() {
            attributes.push(rust_attribute("serde", &serde, 4));
        }
        Self {
            argument: argument.name.to_owned(),
            required: argument.required,
            kind: optional(rust),
            name,
            attributes,
        }
    }
}

/// What the document says of an argument, on one line, with nothing that is markup.
fn docs(schema: Option<&Value>) -> Option<String> {
    let text = schema?.get("description")?.as_str()?;
    let text = markdown_text(&one_line(text, MAX_DOCS));
    (!text.is_empty()).then_some(text)
}

/// The members of a definition, each with its comma.
fn definition(tool: &Tool, stem: &str, arguments: &[Argument<'_>]) -> Vec<String> {
    let title = match &tool.title {
        Some(title) => {
            let title = [rust_literal(title).into()];
            rust_call("title: Some", &title, ",", INDENT)
        }
        None => "title: None,".to_owned(),
    };
    let schemas = [rust_literal(&format!("../../schemas/{stem}.json")).into()];
    let output = match tool.binding.output {
        OutputShape::Object => "Object",
        OutputShape::Wrapped => "Wrapped",
        _ => "None",
    };
    let unsaid: Vec<_> = arguments
        .iter()
        .filter(|argument| argument.unsaid)
        .map(|argument| argument.name)
        .collect();
    let hints = tool.annotations;
    vec![
        format!("name: {},", rust_literal(tool.name.as_str())),
        title,
        rust_text("description:", &tool.description, INDENT) + ",",
        rust_call("schemas: include_str!", &schemas, ",", INDENT),
        format!("output: Output::{output},"),
        rust_array("required: ", &unsaid, ",", INDENT),
        format!("read_only: {},", hints.read_only_hint),
        format!("destructive: {},", hints.destructive_hint),
        format!("idempotent: {},", hints.idempotent_hint),
        format!("open_world: {},", hints.open_world_hint),
    ]
}

fn head(tool: &Tool) -> Vec<String> {
    let binding = &tool.binding;
    let statement = |method: &str, text: &str| {
        let head = format!("request.{method}");
        rust_call(&head, &[rust_literal(text).into()], ";", INDENT)
    };
    let mut lines = vec![statement("accept", &binding.accept)];
    let server = binding.server.as_deref();
    lines.extend(server.map(|server| statement("server", server)));
    for names in &binding.security {
        lines.push(rust_array("request.security(", names, ");", INDENT));
    }
    if tool.is_repeatable() != binding.method.is_idempotent() {
        let repeatable = tool.is_repeatable();
        lines.push(format!("request.repeatable({repeatable});"));
    }
    lines
}

/// Writes the statements that put arguments into a request.
struct Writer<'a> {
    binding: &'a HttpBinding,
    fields: &'a [Field],
}

impl Writer<'_> {
    /// A value as an `Option`, and the statement that has to come before it.
    fn value(&self, argument: &str) -> (Option<String>, Expression) {
        let (before, value, required) = self.reference(argument);
        let value = match required {
            true => format!("Some({value})").into(),
            false => Expression::from(value.trim_start_matches('&')).link("as_ref()"),
        };
        (before, value)
    }

    /// A reference to a value, whether it is always there, and the statement before it.
    fn reference(&self, argument: &str) -> (Option<String>, String, bool) {
        if let Some(preset) = self.binding.presets.get(argument) {
            let json = [rust_literal(&preset.to_string()).into()];
            let before = rust_let("let value", "preset", &json, INDENT);
            return (Some(before), "&value".to_owned(), true);
        }
        let mut fields = self.fields.iter();
        match fields.find(|field| field.argument == argument) {
            Some(field) => (None, format!("&self.{}", field.name), field.required),
            // Every argument that a binding uses has a field.
            None => (None, "&None::<bool>".to_owned(), false),
        }
    }

    fn parameter(&self, parameter: &ParameterBinding) -> Vec<String> {
        let how = how(&parameter.serialization, parameter.location);
        let how = own_argument(how, &parameter.name, &parameter.argument);
        let (method, (before, value)) = match parameter.location {
            Location::Path => {
                let (before, value, _) = self.reference(&parameter.argument);
                ("path", (before, value.into()))
            }
            location => {
                let method = match location {
                    Location::Header => "header",
                    Location::Cookie => "cookie",
                    Location::QueryString if parameter.serialization.content.is_some() => {
                        "query_string"
                    }
                    _ => "query",
                };
                (method, self.value(&parameter.argument))
            }
        };
        let arguments = [rust_literal(&parameter.name).into(), value, how];
        let head = format!("request.{method}");
        let call = rust_call(&head, &arguments, "?;", INDENT);
        before.into_iter().chain([call]).collect()
    }

    /// What is wanted of answers.
    fn answer(&self, answer: &AnswerBinding) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        if let Some(pages) = &answer.pages {
            lines.push("let pages = request.pages();".to_owned());
            lines.extend(self.asked("pages.wanted", &pages.argument));
            if !pages.items.is_empty() {
                lines.push(rust_array("pages.items(", &pages.items, ");", INDENT));
            }
            lines.extend(next_page(&pages.next)?);
            if let Some(member) = pages.next.body_member() {
                let argument = member_argument(self.binding, member).unwrap_or_default();
                let argument = [rust_literal(argument).into()];
                lines.push(rust_call("pages.in_body", &argument, ";", INDENT));
            }
        }
        match &answer.fields {
            Some(FieldsBinding::Argument(argument)) => {
                lines.extend(self.asked("request.fields", argument));
            }
            Some(FieldsBinding::Only(fields)) => {
                lines.push(rust_array("request.only(", fields, ")?;", INDENT));
            }
            _ => {}
        }
        if let Some(argument) = &answer.rest {
            lines.extend(self.asked("request.rest", argument));
        }
        Ok(lines)
    }

    /// A call with the name and the value of an argument.
    fn asked(&self, head: &str, argument: &str) -> Vec<String> {
        let (before, value) = self.value(argument);
        let arguments = [rust_literal(argument).into(), value];
        let call = rust_call(head, &arguments, "?;", INDENT);
        before.into_iter().chain([call]).collect()
    }

    fn body(&self, body: &BodyBinding) -> Result<Vec<String>> {
        let media_type = rust_literal(&body.media_type);
        let members = match &body.source {
            BodySource::Argument(argument) => {
                if let Some(parts) = &body.parts {
                    return Ok(self.part_list(body, parts, argument));
                }
                let (before, value) = self.value(argument);
                let arguments = [
                    value,
                    format(body.format)?.into(),
                    media_type.into(),
                    rust_literal(argument).into(),
                ];
                let call = rust_call("request.body", &arguments, "?;", INDENT);
                return Ok(before.into_iter().chain([call]).collect());
            }
            BodySource::Members(members) => members,
            _ => return Err(newer()),
        };
        let (variable, method, arguments) = match body.format {
            BodyFormat::Form => ("form", "form", vec![media_type.into()]),
            BodyFormat::Multipart => ("parts", "multipart", vec![media_type.into()]),
            other @ (BodyFormat::Json | BodyFormat::Xml) => {
                let arguments = vec![format(other)?.into(), media_type.into()];
                ("body", "object", arguments)
            }
            _ => return Err(newer()),
        };
        let used = !members.is_empty() || !body.required;
        let head = format!("request.{method}");
        let begin = match used {
            true => rust_let(&format!("let {variable}"), &head, &arguments, INDENT),
            false => rust_call(&head, &arguments, ";", INDENT),
        };
        let mut lines = vec![begin];
        if !body.required {
            lines.push(format!("{variable}.optional();"));
        }
        for member in members {
            let (before, value) = self.value(&member.argument);
            lines.extend(before);
            let mut arguments = vec![rust_literal(&member.name).into(), value];
            let method = match body.format {
                BodyFormat::Form => {
                    let how = match &member.serialization {
                        Some(how_written) => how(how_written, Location::Query),
                        None => "style::field()".into(),
                    };
                    arguments.push(own_argument(how, &member.name, &member.argument));
                    "field"
                }
                BodyFormat::Multipart => {
                    let (method, how) = part(member);
                    arguments.push(own_argument(how, &member.name, &member.argument));
                    method
                }
                _ => "member",
            };
            let head = format!("{variable}.{method}");
            lines.push(rust_call(&head, &arguments, "?;", INDENT));
            for header in member.part.iter().flat_map(|part| &part.headers) {
                lines.extend(self.part_header(header));
            }
        }
        Ok(lines)
    }

    /// A body of parts by their position.
    fn part_list(&self, body: &BodyBinding, list: &PartListBinding, argument: &str) -> Vec<String> {
        let media_type = [rust_literal(&body.media_type).into()];
        let mut lines = vec![rust_let(
            "let parts",
            "request.multipart",
            &media_type,
            INDENT,
        )];
        if !body.required {
            lines.push("parts.optional();".to_owned());
        }
        let (before, value) = self.value(argument);
        lines.extend(before);
        let arguments = [value, rust_literal(argument).into()];
        lines.push(rust_call("parts.list", &arguments, "?;", INDENT));
        let next = list.prefix.iter().map(|part| ("parts.next", part));
        for (head, part) in next.chain([("parts.rest", &list.items)]) {
            let how = own_argument(part_options(part), "body", argument);
            lines.push(rust_call(head, &[how], "?;", INDENT));
            for header in &part.headers {
                lines.extend(self.part_header(header));
            }
        }
        lines
    }

    /// A header of the parts that were added last.
    fn part_header(&self, header: &PartHeaderBinding) -> Vec<String> {
        let mut how = Expression::from("style::simple()");
        if header.explode {
            how = how.link("explode(true)");
        }
        let how = own_argument(how, &header.name, &header.argument);
        let (before, value) = self.value(&header.argument);
        let arguments = [rust_literal(&header.name).into(), value, how];
        let head = match header.required {
            true => "parts.required_header",
            false => "parts.header",
        };
        let call = rust_call(head, &arguments, "?;", INDENT);
        before.into_iter().chain([call]).collect()
    }
}

/// The statement that says what leads to the next page; none where the header `Link` does.
fn next_page(next: &NextPage) -> Result<Option<String>> {
    let by = |method: &str, parameter: &str, more: String| {
        let arguments = [rust_literal(parameter).into(), more.into()];
        rust_call(&format!("pages.{method}"), &arguments, ";", INDENT)
    };
    Ok(match next {
        NextPage::Link => None,
        NextPage::Url { at } => Some(rust_array("pages.by_url(", at, ");", INDENT)),
        NextPage::Cursor { at, parameter, .. } => {
            let at: Vec<_> = at.iter().map(|name| rust_literal(name)).collect();
            let at = format!("&[{}]", at.join(", "));
            Some(by("by_cursor", parameter, at))
        }
        NextPage::Page {
            parameter, first, ..
        } => Some(by("by_number", parameter, first.to_string())),
        NextPage::Offset {
            parameter, first, ..
        } => Some(by("by_offset", parameter, first.to_string())),
        _ => {
            return Err(Error::invalid(
                "the rust target does not know this way from page to page",
            ));
        }
    })
}

fn format(format: BodyFormat) -> Result<&'static str> {
    Ok(match format {
        BodyFormat::Json => "Format::Json",
        BodyFormat::Form => "Format::Form",
        BodyFormat::Text => "Format::Text",
        BodyFormat::Multipart => "Format::Multipart",
        BodyFormat::Binary => "Format::Binary",
        BodyFormat::JsonLines => "Format::JsonLines",
        BodyFormat::Xml => "Format::Xml(Self::DEFINITION.schemas)",
        _ => return Err(newer()),
    })
}

fn newer() -> Error {
    Error::invalid("the rust target does not know this kind of body")
}

fn part(member: &MemberBinding) -> (&'static str, Expression) {
    // JSON is the one media type that a form takes for a style.
    let how_written = member.serialization.as_ref();
    if let Some(how_written) = how_written.filter(|how| how.content.is_none()) {
        return ("styled", how(how_written, Location::Query));
    }
    let part = member.part.as_ref();
    (
        "part",
        part_options(part.unwrap_or(&PartBinding::default())),
    )
}

/// `Part::new().file()`.
fn part_options(binding: &PartBinding) -> Expression {
    let mut part = Expression::from("Part::new()");
    if binding.file {
        part = part.link("file()");
    }
    if let Some(media_type) = &binding.media_type {
        part = part.link(format!("media_type({})", rust_literal(media_type)));
    }
    part
}

/// Problems name the argument, which is the name on the wire unless told otherwise.
fn own_argument(how: Expression, name: &str, argument: &str) -> Expression {
    if name == argument {
        how
    } else {
        how.link(format!("argument({})", rust_literal(argument)))
    }
}

/// `style::form().explode(false)`.
fn how(how: &Serialization, location: Location) -> Expression {
    // Paths and headers have no reserved expansion.
    let reserved = how.allow_reserved && !matches!(location, Location::Path | Location::Header);
    let expression = match &how.content {
        Some(media_type) => {
            Expression::from(format!("style::content({})", rust_literal(media_type)))
        }
        None => {
            let (style, explode) = style(how.style);
            let expression = Expression::from(format!("style::{style}()"));
            match how.explode == explode {
                true => expression,
                false => expression.link(format!("explode({})", how.explode)),
            }
        }
    };
    match reserved {
        true => expression.link("reserved()"),
        false => expression,
    }
}

/// The function for a style, and whether it explodes.
fn style(style: Style) -> (&'static str, bool) {
    match style {
        Style::Simple => ("simple", false),
        Style::Matrix => ("matrix", false),
        Style::Label => ("label", false),
        Style::SpaceDelimited => ("space_delimited", false),
        Style::PipeDelimited => ("pipe_delimited", false),
        Style::TabDelimited => ("tab_delimited", false),
        Style::DeepObject => ("deep_object", true),
        Style::Cookie => ("cookie", true),
        _ => ("form", true),
    }
}
