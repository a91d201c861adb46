//! The answer of an API becomes a tool result that a model can act on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use memchr::memchr2;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::tool::OutputShape;

/// The most of an error's body that is shown to the model, in bytes.
const MAX_ERROR_BODY: usize = 16 * 1024;

/// A longer answer, in bytes, is not there twice, as text and as structure.
const MAX_TWICE: usize = 64 * 1024;

/// How much of it the text shows then, in bytes.
const SHOWN: usize = 1024;

/// What an API answered, read whole and bounded by whoever read it.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The value of `Content-Type`, if any.
    pub content_type: Option<String>,
    /// The value of `Retry-After`, if any.
    pub retry_after: Option<String>,
    /// The values of `Link`, joined by commas, if any.
    pub link: Option<String>,
    /// That there is more than the body has.
    pub cut: Option<Cut>,
    /// The decoded body.
    pub body: Bytes,
}

/// What an answer is that is not all of what the API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// One line for the model: where it was cut, and how to go on.
    pub note: String,
    /// Whether what is there says nothing by itself, such as half of a JSON text. Lines of a stream
    /// do.
    pub in_pieces: bool,
}

/// The result of a tool call; serialises as MCP's `CallToolResult`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    /// For the model.
    pub content: Vec<Content>,
    /// The answer as JSON on one line, an object, where the tool has an output schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_content: Option<Box<RawValue>>,
    /// Whether the call failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_error: bool,
}

/// One item of a result (MCP 2026-07-28, ContentBlock).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// An image, base64.
    Image {
        /// The bytes in base64.
        data: String,
        /// Such as `image/png`.
        mime_type: String,
    },
    /// Sound, base64.
    Audio {
        /// The bytes in base64.
        data: String,
        /// Such as `audio/mpeg`.
        mime_type: String,
    },
    /// Other bytes.
    Resource {
        /// The bytes and what they are.
        resource: EmbeddedResource,
    },
}

/// Bytes inside a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedResource {
    /// The URL that was asked, without credentials.
    pub uri: String,
    /// Such as `application/pdf`.
    pub mime_type: String,
    /// The bytes in base64.
    pub blob: String,
}

impl HttpAnswer {
    /// Whether it is text that a model can read, by its media type.
    pub fn is_text(&self) -> bool {
        is_text(&essence(self.content_type.as_deref()))
    }

    /// The text of an answer that [`ToolResult::from_answer`] gives as it is, alone or also as the
    /// structure, for those who write the result without one; `None` for any other. With an output
    /// shape it begins and ends as a JSON object on one line, and whether it is one is to be seen.
    pub fn as_it_is(&self, shape: OutputShape) -> Option<&str> {
        if !(200..300).contains(&self.status) || self.body.is_empty() || self.cut.is_some() {
            return None;
        }
        let known = self.content_type.as_deref() == Some("application/json");
        if shape.is_none() {
            let text = known || self.is_text();
            return text.then_some(std::str::from_utf8(&self.body).ok()?);
        }
        let may_be = shape == OutputShape::Object
            && self.body.len() <= MAX_TWICE
            && self.body.starts_with(b"{")
            && self.body.ends_with(b"}")
            && (known || is_json(&essence(self.content_type.as_deref())))
            && memchr2(b'\n', b'\r', &self.body).is_none();
        may_be.then_some(std::str::from_utf8(&self.body).ok()?)
    }

    fn is_piece(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.in_pieces)
    }
}

impl ToolResult {
    /// A result of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            content: vec![Content::Text { text: text.into() }],
            structured_content: None,
            is_error: false,
        }
    }

    /// A failure that the model can read and act on.
    pub fn error(text: impl Into<String>) -> Self {
        Self {
            is_error: true,
            ..Self::text(text)
        }
    }

    /// The answer to a call of a tool whose output has this shape.
    ///
    /// - A status outside 2xx is an error with status, reason and body, cut at 16 KiB.
    /// - JSON and text come as they were sent; images and audio as their content types; other bytes
    ///   as an embedded resource with `uri`.
    /// - With an output shape, JSON also becomes `structuredContent`. `null` and an empty answer
    ///   become `{}` or `{"result": null}`. An answer that is not of the promised shape is returned
    ///   whole and flagged as an error, because clients refuse a result that breaks its schema. So is
    ///   a piece of an answer, which is never read as JSON; one of an image or of sound comes as bytes.
    pub fn from_answer(answer: &HttpAnswer, shape: OutputShape, uri: &str) -> Self {
        if !(200..300).contains(&answer.status) {
            return Self::error(error_text(answer));
        }
        let essence = essence(answer.content_type.as_deref());
        let json = is_json(&essence);
        let content = content(answer, &essence, uri);
        if shape.is_none() {
            return Self {
                content: vec![content],
                structured_content: None,
                is_error: false,
            };
        }
        if answer.is_piece() {
            return Self {
                content: vec![content],
                structured_content: None,
                is_error: false,
            }
            .mismatched(answer.status, "that is too long for one result");
        }
        let structured = if json && !answer.body.is_empty() {
            structured(&answer.body, shape)
        } else {
            absent(shape)
        };
        match structured {
            Ok(raw) => Self {
                content: vec![content],
                structured_content: Some(raw),
                is_error: false,
            },
            Err(why) => Self {
                content: vec![content],
                structured_content: None,
                is_error: false,
            }
            .mismatched(answer.status, &why),
        }
    }

    /// The result with a large answer in it once: where it is structured, and longer than 64 KiB,
    /// its text is cut at 1 KiB and says so. A shorter one is there as text too, for clients that
    /// know no structure (MCP 2026-07-28, Structured Content).
    #[must_use]
    pub fn once(mut self) -> Self {
        // What stands in for an answer that is no JSON has nothing of it.
        let has_all = |raw: &RawValue| !matches!(raw.get(), "{}" | r#"{"result":null}"#);
        if !self.structured_content.as_deref().is_some_and(has_all) {
            return self;
        }
        for content in &mut self.content {
            if let Content::Text { text } = content
                && text.len() > MAX_TWICE
            {
                let shown = beginning(text, SHOWN);
                *text = format!(
                    "{shown}\n[cut: {} of {} bytes shown; `structuredContent` has all of them]",
                    shown.len(),
                    text.len()
                );
            }
        }
        self
    }

    /// The result with one more line for the model.
    #[must_use]
    pub fn noted(mut self, note: Option<String>) -> Self {
        self.content.extend(note.map(|text| Content::Text { text }));
        self
    }

    /// The result of an answer that is not as promised: whole, after a text that says why, without
    /// `structuredContent`, and flagged as an error. `why` completes "The API answered 200, but …".
    #[must_use]
    pub fn mismatched(mut self, status: u16, why: &str) -> Self {
        let text = format!("The API answered {status}, but {why}. Its answer:");
        self.content.insert(0, Content::Text { text });
        Self {
            content: self.content,
            structured_content: None,
            is_error: true,
        }
    }
}

/// As much of a text as has at most this many bytes.
fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A media type without its parameters, in lower case.
fn essence(content_type: Option<&str>) -> String {
    let media_type = content_type.unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

fn is_text(essence: &str) -> bool {
    is_json(essence)
        || essence.is_empty()
        || essence.starts_with("text/")
        || essence.ends_with("+xml")
        || matches!(
            essence,
            "application/xml"
                | "application/yaml"
                | "application/javascript"
                | "application/x-ndjson"
                | "application/ndjson"
                | "application/jsonl"
                | "application/x-jsonlines"
                | "application/json-seq"
        )
}

fn content(answer: &HttpAnswer, essence: &str, uri: &str) -> Content {
    if answer.body.is_empty() {
        return Content::Text {
            text: format!("HTTP {} {}", answer.status, reason(answer.status))
                .trim_end()
                .to_owned(),
        };
    }
    if let (true, Ok(text)) = (is_text(essence), std::str::from_utf8(&answer.body)) {
        return Content::Text {
            text: text.to_owned(),
        };
    }
    let data = STANDARD.encode(&answer.body);
    let mime_type = if essence.is_empty() {
        "application/octet-stream".to_owned()
    } else {
        essence.to_owned()
    };
    match essence.split('/').next() {
        Some("image") if !answer.is_piece() => Content::Image { data, mime_type },
        Some("audio") if !answer.is_piece() => Content::Audio { data, mime_type },
        _ => Content::Resource {
            resource: EmbeddedResource {
                uri: uri.to_owned(),
                mime_type,
                blob: data,
            },
        },
    }
}

/// The structured form of a JSON body, on one line, so that it fits a stdio message and an SSE
/// frame.
fn structured(body: &[u8], shape: OutputShape) -> Result<Box<RawValue>, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let raw: &RawValue = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|_| "it is not valid JSON".to_owned())?;
    let text = raw.get();
    let has_line_ends = memchr2(b'\n', b'\r', text.as_bytes()).is_some();
    if shape == OutputShape::Object && text.starts_with('{') && !has_line_ends {
        // The usual case, which needs no second reading.
        return Ok(raw.to_owned());
    }
    // In JSON a line end is always insignificant white space; a string holds it escaped.
    let one_line = if has_line_ends {
        std::borrow::Cow::Owned(text.replace(['\n', '\r'], " "))
    } else {
        std::borrow::Cow::Borrowed(text)
    };
    let first = one_line.as_bytes().first().copied();
    let json = match (shape, first) {
        (OutputShape::Wrapped, _) => format!(r#"{{"result":{one_line}}}"#),
        (_, Some(b'{')) => one_line.into_owned(),
        (_, Some(b'n')) => "{}".to_owned(),
        _ => return Err("its document promises a JSON object".to_owned()),
    };
    RawValue::from_string(json).map_err(|_| "it is not valid JSON".to_owned())
}

fn absent(shape: OutputShape) -> Result<Box<RawValue>, String> {
    let json = if shape == OutputShape::Wrapped {
        r#"{"result":null}"#
    } else {
        "{}"
    };
    RawValue::from_string(json.to_owned()).map_err(|error| error.to_string())
}

fn error_text(answer: &HttpAnswer) -> String {
    let mut text = format!("HTTP {} {}", answer.status, reason(answer.status))
        .trim_end()
        .to_owned();
    if let Some(after) = &answer.retry_after {
        text.push_str(&format!(" (Retry-After: {after})"));
    }
    if answer.body.is_empty() {
        return text;
    }
    let shown =
        String::from_utf8_lossy(&answer.body[..answer.body.len().min(MAX_ERROR_BODY)]).into_owned();
    text.push('\n');
    text.push_str(&shown);
    if answer.body.len() > MAX_ERROR_BODY {
        text.push_str(&format!(
            "\n[cut: {MAX_ERROR_BODY} of {} bytes shown]",
            answer.body.len()
        ));
    }
    text
}

/// The reason phrase of RFC 9110, 15, or nothing.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn answer(status: u16, content_type: &str, body: &str) -> HttpAnswer {
        HttpAnswer {
            status,
            content_type: Some(content_type.into()),
            retry_after: None,
            link: None,
            cut: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    fn result(answer: &HttpAnswer, shape: OutputShape) -> Value {
        serde_json::to_value(ToolResult::from_answer(answer, shape, "http://api/x")).unwrap()
    }

    #[test]
    fn json_becomes_text_and_structure_on_one_line() {
        let json = answer(200, "application/json; charset=utf-8", "{\n \"a\": 1\n}");
        let value = result(&json, OutputShape::Object);
        assert_eq!(value["content"][0]["text"], "{\n \"a\": 1\n}");
        assert_eq!(value["structuredContent"]["a"], 1);
        let text = serde_json::to_string(&ToolResult::from_answer(&json, OutputShape::Object, ""))
            .unwrap();
        assert!(!text.contains('\n'));
        let list = result(
            &answer(200, "application/json", "[1]"),
            OutputShape::Wrapped,
        );
        assert_eq!(list["structuredContent"]["result"][0], 1);
    }

    #[test]
    fn a_piece_is_neither_structure_nor_image() {
        let piece = |content_type, body: &str| {
            let mut piece = answer(200, content_type, body);
            piece.cut = Some(Cut {
                note: String::new(),
                in_pieces: true,
            });
            piece
        };
        let json = result(&piece("application/json", "{}"), OutputShape::Object);
        assert_eq!(json["isError"], true);
        assert_eq!(
            json["content"][0]["text"],
            "The API answered 200, but that is too long for one result. Its answer:"
        );
        assert_eq!(json["content"][1]["text"], "{}");
        assert!(json.get("structuredContent").is_none());
        let image = result(&piece("image/png", "x"), OutputShape::None);
        assert_eq!(image["content"][0]["type"], "resource");
        assert!(image.get("isError").is_none());
    }

    #[test]
    fn a_large_answer_is_not_there_twice() {
        let body = |size: usize| format!(r#"{{"a":"{}"}}"#, "ü".repeat(size / 2));
        let result = |body: &str, shape| {
            let json = answer(200, "application/json", body);
            let result = ToolResult::from_answer(&json, shape, "").once();
            serde_json::to_value(result).unwrap()
        };
        let small = body(60_000);
        assert_eq!(
            result(&small, OutputShape::Object)["content"][0]["text"],
            small
        );
        let plain = answer(200, "text/plain", &small.repeat(2));
        for shape in [OutputShape::Object, OutputShape::Wrapped] {
            let result = ToolResult::from_answer(&plain, shape, "").once();
            let value = serde_json::to_value(result).unwrap();
            assert_eq!(value["content"][0]["text"], small.repeat(2));
        }
        let large = body(70_000);
        let value = result(&large, OutputShape::Object);
        assert_eq!(value["structuredContent"].to_string(), large);
        let text = value["content"][0]["text"].as_str().unwrap();
        let note = format!(
            "\n[cut: 1024 of {} bytes shown; `structuredContent` has all of them]",
            large.len()
        );
        assert_eq!(text, format!("{}{note}", &large[..1024]));
        let whole = result(&large, OutputShape::None);
        assert_eq!(whole["content"][0]["text"], large, "there is no structure");
        let flagged = result(&format!("[{large}]"), OutputShape::Object);
        assert_eq!(flagged["isError"], true);
        assert!(flagged["content"][1]["text"].as_str().unwrap().len() > 70_000);
    }

    #[test]
    fn errors_say_status_reason_and_body_and_are_cut() {
        let value = result(
            &answer(404, "application/json", "{\"detail\":\"no such pet\"}"),
            OutputShape::Object,
        );
        assert_eq!(value["isError"], true);
        assert_eq!(
            value["content"][0]["text"],
            "HTTP 404 Not Found\n{\"detail\":\"no such pet\"}"
        );
        let long = result(
            &answer(500, "text/plain", &"x".repeat(20_000)),
            OutputShape::None,
        );
        let text = long["content"][0]["text"].as_str().unwrap();
        assert!(text.ends_with("[cut: 16384 of 20000 bytes shown]") && text.len() < 17_000);
    }

    #[test]
    fn an_empty_success_is_no_error() {
        let value = result(&answer(204, "", ""), OutputShape::Object);
        assert_eq!(value["content"][0]["text"], "HTTP 204 No Content");
        assert_eq!(value["structuredContent"], serde_json::json!({}));
        assert!(value.get("isError").is_none());
    }

    #[test]
    fn an_answer_of_another_shape_is_returned_and_flagged() {
        for (body, word) in [
            ("{broken", "not valid JSON"),
            ("[1]", "promises a JSON object"),
        ] {
            let value = result(&answer(200, "application/json", body), OutputShape::Object);
            assert_eq!(value["isError"], true);
            assert!(value["content"][0]["text"].as_str().unwrap().contains(word));
            assert_eq!(value["content"][1]["text"], body);
        }
    }

    #[test]
    fn bytes_become_their_content_types() {
        let png = result(&answer(200, "image/png", "\u{1}"), OutputShape::None);
        assert_eq!(png["content"][0]["type"], "image");
        assert_eq!(png["content"][0]["mimeType"], "image/png");
        let pdf = result(&answer(200, "application/pdf", "x"), OutputShape::None);
        assert_eq!(pdf["content"][0]["resource"]["mimeType"], "application/pdf");
        assert_eq!(pdf["content"][0]["resource"]["uri"], "http://api/x");
    }
}
