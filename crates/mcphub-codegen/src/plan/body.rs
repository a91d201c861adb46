//! Which of its media types a request body is sent as.

use mcphub_core::spec::{BodyContent, Operation, RequestBody, Severity};
use mcphub_core::tool::BodyFormat;

use super::accept::is_json;
use super::{Planning, Refusal};

/// The body as it will be sent.
pub(super) struct Chosen<'a> {
    pub(super) body: &'a RequestBody,
    pub(super) content: &'a BodyContent,
    pub(super) format: BodyFormat,
    /// The value of `Content-Type`.
    pub(super) media_type: &'a str,
}

impl<'a> Planning<'a> {
    /// JSON before forms before text; `None` when there is no body or it can be left out.
    pub(super) fn body(&mut self, operation: &'a Operation) -> Result<Option<Chosen<'a>>, Refusal> {
        let Some(body) = &operation.body else {
            return Ok(None);
        };
        let best = body
            .content
            .iter()
            .filter_map(|content| format(&content.media_type).map(|f| (f, content)));
        if let Some(((_, format), content)) = best.min_by_key(|((rank, _), _)| *rank) {
            let wildcard = content.media_type.contains('*');
            let media_type = if wildcard {
                "application/json"
            } else {
                content.media_type.as_str()
            };
            return Ok(Some(Chosen {
                body,
                content,
                format,
                media_type,
            }));
        }
        let found: Vec<_> = body
            .content
            .iter()
            .take(4)
            .map(|content| content.media_type.as_str())
            .collect();
        let found = if found.is_empty() {
            "nothing".to_owned()
        } else {
            found.join(", ")
        };
        let message =
            format!("a body of JSON, form fields or text can be sent; the document offers {found}");
        if body.required {
            return Err(Refusal {
                code: "unsupported-body",
                message,
            });
        }
        self.remark(
            Severity::Warning,
            "unsupported-body",
            operation,
            format!("{message}; the tool sends none"),
        );
        Ok(None)
    }
}

/// How a media type is written, with its rank.
fn format(media_type: &str) -> Option<(u8, BodyFormat)> {
    Some(match media_type {
        "application/json" => (0, BodyFormat::Json),
        "application/x-www-form-urlencoded" => (2, BodyFormat::Form),
        "*/*" | "application/*" => (4, BodyFormat::Json),
        other if is_json(other) => (1, BodyFormat::Json),
        other if other.starts_with("text/") && !other.contains('*') => (3, BodyFormat::Text),
        _ => return None,
    })
}
