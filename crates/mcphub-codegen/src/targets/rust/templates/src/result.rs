//! The answer of the API becomes a tool result that a model can act on.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::{Map, Value};

use crate::serialization::is_json;

/// The most of an error's body that is shown to the model, in bytes.
pub const MAX_ERROR_BODY: usize = 16 * 1024;
/// A longer answer, in bytes, is not there twice, as text and as structure.
pub const MAX_TWICE: usize = 64 * 1024;
/// How much of it the text shows then, in bytes.
const SHOWN: usize = 1024;

/// How a JSON answer becomes structured content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Not at all.
    None,
    /// As it is: an object.
    Object,
    /// As `{"result": …}`.
    Wrapped,
}

/// What the API answered.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: String,
    /// The value of `Retry-After`.
    pub retry_after: Option<String>,
    /// The values of `Link`, joined by commas.
    pub link: Option<String>,
    /// The decoded body.
    pub body: Vec<u8>,
    /// That the body is a piece of the answer: one line for the model.
    pub note: Option<String>,
}

impl Answer {
    /// The body as JSON; nothing where it is none.
    pub(crate) fn json(&self) -> Option<Value> {
        let text = std::str::from_utf8(&self.body).ok()?;
        serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()
    }
}

/// What a tool gives back.
#[derive(Debug, Clone)]
pub struct ToolResult {
    /// For the model.
    pub content: Vec<ContentBlock>,
    /// The answer as an object, where the API describes one. Its numbers are exact.
    pub structured: Option<Map<String, Value>>,
    /// Whether the call failed.
    pub is_error: bool,
    /// What the API answered, if it did.
    pub answer: Option<Answer>,
}

impl ToolResult {
    /// A failure that the model can read and act on.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            content: vec![ContentBlock::text(text)],
            structured: None,
            is_error: true,
            answer: None,
        }
    }

    /// A call with arguments that do not fit the tool; one line for each problem.
    pub fn invalid_arguments(tool: &str, problems: &[String]) -> Self {
        let lines: String = problems
            .iter()
            .map(|problem| format!("\n- {problem}"))
            .collect();
        Self::error(format!("Invalid arguments for {tool}:{lines}"))
    }

    /// The result of a call that was answered.
    ///
    /// - A status outside 2xx is an error with status, reason and body, cut at 16 KiB.
    /// - JSON and text come as they were sent; images and audio as their content types; other bytes
    ///   as an embedded resource with `uri`.
    /// - With an output, JSON also becomes structured content. `null` and an empty answer become
    ///   `{}` or `{"result": null}`. An answer of another shape is returned whole and flagged, and
    ///   so is a piece of one.
    pub fn from_answer(answer: Answer, output: Output, uri: &str) -> Self {
        if !(200..300).contains(&answer.status) {
            return Self::error(error_text(&answer));
        }
        let essence = answer.content_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        let structured = match output {
            Output::None => Ok(None),
            _ if answer.note.is_some() => Err("that is too long for one result".to_owned()),
            output if is_json(&essence) && !answer.body.is_empty() => {
                structured(&answer.body, output).map(Some)
            }
            output => shaped(Value::Null, output).map(Some),
        };
        let mut result = Self {
            content: vec![content(&answer, &essence, uri)],
            structured: None,
            is_error: false,
            answer: Some(answer),
        };
        match structured {
            Ok(structured) => {
                result.structured = structured;
                result
            }
            Err(why) => result.mismatched(&why),
        }
    }

    /// The result of an answer that is not as promised: whole, after a text that says why, and
    /// flagged.
    #[must_use]
    pub fn mismatched(mut self, why: &str) -> Self {
        let status = self.answer.as_ref().map_or(0, |answer| answer.status);
        let text = format!("The API answered {status}, but {why}. Its answer:");
        self.content.insert(0, ContentBlock::text(text));
        self.structured = None;
        self.is_error = true;
        self
    }

    /// The result with more lines for the model.
    #[must_use]
    pub fn noted(mut self, notes: Vec<String>) -> Self {
        self.content
            .extend(notes.into_iter().map(ContentBlock::text));
        self
    }

    /// How many bytes the answer has.
    pub fn size(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.body.len())
    }
}

/// The result as MCP has it, a large answer once.
impl From<ToolResult> for CallToolResult {
    fn from(result: ToolResult) -> Self {
        // What stands in for an answer that is no JSON has nothing of it.
        let has_all = result.structured.as_ref().is_some_and(|structured| {
            let mut members = structured.iter();
            !members.all(|(name, value)| name == "result" && value.is_null())
        });
        let mut content = result.content;
        if has_all {
            content.iter_mut().for_each(shorten);
        }
        let mut made = Self::success(content);
        made.is_error = result.is_error.then_some(true);
        made.structured_content = result.structured.map(Value::Object);
        made
    }
}

/// The beginning of a long text whose whole is in the structure.
fn shorten(content: &mut ContentBlock) {
    let ContentBlock::Text(content) = content else {
        return;
    };
    let size = content.text.len();
    if size > MAX_TWICE {
        content
            .text
            .truncate(content.text.floor_char_boundary(SHOWN));
        let note = format!(
            "\n[cut: {} of {size} bytes shown; `structuredContent` has all of them]",
            content.text.len()
        );
        content.text.push_str(&note);
    }
}

fn content(answer: &Answer, essence: &str, uri: &str) -> ContentBlock {
    if answer.body.is_empty() {
        return ContentBlock::text(status_line(answer.status));
    }
    if let (true, Ok(text)) = (is_text(essence), std::str::from_utf8(&answer.body)) {
        return ContentBlock::text(text);
    }
    let data = STANDARD.encode(&answer.body);
    let media_type = match essence {
        "" => "application/octet-stream",
        other => other,
    };
    match media_type.split('/').next() {
        Some("image") if answer.note.is_none() => ContentBlock::image(data, media_type),
        Some("audio") if answer.note.is_none() => ContentBlock::audio(data, media_type),
        _ => {
            let resource = ResourceContents::blob(data, uri).with_mime_type(media_type);
            ContentBlock::resource(resource)
        }
    }
}

/// Whether answers of a kind are text that a model can read.
pub(crate) fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    is_json(&essence)
        || essence.starts_with("text/")
        || essence.ends_with("+xml")
        || matches!(
            &*essence,
            "" | "application/xml"
                | "application/yaml"
                | "application/javascript"
                | "application/x-ndjson"
                | "application/ndjson"
                | "application/jsonl"
                | "application/x-jsonlines"
                | "application/json-seq"
        )
}

fn structured(body: &[u8], output: Output) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8")?;
    let value = serde_json::from_str(text.trim_start_matches('\u{feff}'));
    let value = value.map_err(|error| {
        if error.to_string().starts_with("recursion limit") {
            "its JSON nests deeper than 127 levels"
        } else {
            "it is not valid JSON"
        }
    })?;
    shaped(value, output)
}

fn shaped(value: Value, output: Output) -> Result<Map<String, Value>, String> {
    match (output, value) {
        (Output::Wrapped, value) => Ok(Map::from_iter([("result".to_owned(), value)])),
        (_, Value::Object(members)) => Ok(members),
        (_, Value::Null) => Ok(Map::new()),
        _ => Err("its document promises a JSON object".to_owned()),
    }
}

pub(crate) fn error_text(answer: &Answer) -> String {
    let mut text = status_line(answer.status);
    if let Some(after) = &answer.retry_after {
        text.push_str(&format!(" (Retry-After: {after})"));
    }
    let body = &answer.body;
    if body.is_empty() {
        return text;
    }
    let shown: Cow<'_, str> = String::from_utf8_lossy(&body[..body.len().min(MAX_ERROR_BODY)]);
    text.push('\n');
    text.push_str(&shown);
    if body.len() > MAX_ERROR_BODY {
        let size = body.len();
        text.push_str(&format!("\n[cut: {MAX_ERROR_BODY} of {size} bytes shown]"));
    }
    text
}

fn status_line(status: u16) -> String {
    let reason = match status {
        // Names of RFC 9110, which are newer than the library's.
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        status => StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or_default(),
    };
    format!("HTTP {status} {reason}").trim_end().to_owned()
}
