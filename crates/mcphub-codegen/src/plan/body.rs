//! Which of its media types a request body is sent as.

use mcphub_core::spec::{BodyContent, Operation, RequestBody, Severity};
use mcphub_core::tool::BodyFormat;
use serde_json::Value;

use super::accept::is_json;
use super::{Planning, Refusal};
use crate::keyword::has_type;

/// The body as it will be sent.
pub(super) struct Chosen<'a> {
    pub(super) body: &'a RequestBody,
    pub(super) content: &'a BodyContent,
    pub(super) format: BodyFormat,
    /// The value of `Content-Type`.
    pub(super) media_type: &'a str,
}

impl<'a> Planning<'a> {
    /// JSON before forms, XML with a structure, lines, text and bytes; `None` when there is no body or it can be left out.
    pub(super) fn body(&mut self, operation: &'a Operation) -> Result<Option<Chosen<'a>>, Refusal> {
        let Some(body) = &operation.body else {
            return Ok(None);
        };
        let offered = body.content.iter();
        let offered = offered.map(|content| (self.form(content), content));
        if let Some((form, content)) = offered.min_by_key(|(form, _)| form.rank) {
            return Ok(Some(Chosen {
                body,
                content,
                format: form.format,
                media_type: form.media_type,
            }));
        }
        let message = "its body has no media type".to_owned();
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

    /// How a media type is written.
    fn form(&self, content: &'a BodyContent) -> Form<'a> {
        let name = content.media_type.as_str();
        let (rank, format) = match name {
            "application/json" => (0, BodyFormat::Json),
            // A file is only in a multipart form whole.
            "application/x-www-form-urlencoded" if self.has_file(&content.schema) => {
                (4, BodyFormat::Form)
            }
            "application/x-www-form-urlencoded" => (2, BodyFormat::Form),
            "multipart/form-data" => (3, BodyFormat::Multipart),
            "*/*" | "application/*" if !self.is_bytes(&content.schema) => {
                return Form {
                    rank: 6,
                    format: BodyFormat::Json,
                    media_type: "application/json",
                };
            }
            "multipart/*" => {
                return Form {
                    rank: 3,
                    format: BodyFormat::Multipart,
                    media_type: "multipart/form-data",
                };
            }
            "text/*" => {
                return Form {
                    rank: 8,
                    format: BodyFormat::Text,
                    media_type: "text/plain",
                };
            }
            name if name.starts_with("multipart/") => (3, BodyFormat::Multipart),
            name if name.contains('*') => {
                return Form {
                    rank: 9,
                    format: BodyFormat::Binary,
                    media_type: "application/octet-stream",
                };
            }
            name if is_json(name) => (1, BodyFormat::Json),
            _ if content.xml.is_some() && self.has_structure(&content.schema) => {
                (5, BodyFormat::Xml)
            }
            name if is_lines(name) => (7, BodyFormat::JsonLines),
            name if is_text(name) => (8, BodyFormat::Text),
            _ => (9, BodyFormat::Binary),
        };
        Form {
            rank,
            format,
            media_type: name,
        }
    }

    /// Whether a schema describes more than a text: XML is then made from values.
    fn has_structure(&self, schema: &Value) -> bool {
        let schema = self.definitions.resolve(schema);
        let keys = [
            "properties",
            "items",
            "allOf",
            "oneOf",
            "anyOf",
            "additionalProperties",
        ];
        keys.iter().any(|key| schema.get(key).is_some())
    }

    /// Whether a member of an object is a file, or a list of files.
    fn has_file(&self, schema: &Value) -> bool {
        let schema = self.definitions.resolve(schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut properties = properties.into_iter().flatten();
        properties.any(|(_, property)| {
            let property = self.definitions.resolve(property);
            self.is_bytes(property.get("items").unwrap_or(property))
        })
    }

    /// Whether a schema says that its value is bytes (OpenAPI 3.0.4 and 3.1.1, Considerations for
    /// File Uploads).
    pub(super) fn is_bytes(&self, schema: &Value) -> bool {
        let Some(schema) = self.definitions.resolve(schema).as_object() else {
            return false;
        };
        if schema.contains_key("type") && !has_type(schema, "string") {
            return false;
        }
        let media_type = schema.get("contentMediaType").and_then(Value::as_str);
        schema
            .get("format")
            .is_some_and(|format| format == "binary")
            || (media_type.is_some_and(|name| !is_json(name) && !is_text(name))
                && !schema.contains_key("contentEncoding"))
    }
}

/// How one media type would be sent.
struct Form<'a> {
    /// The lowest is chosen.
    rank: u8,
    format: BodyFormat,
    media_type: &'a str,
}

/// Lists of JSON texts.
fn is_lines(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/jsonlines"
            | "application/json-seq"
    )
}

/// Whether a media type is text that a model can write.
pub(super) fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/")
        || media_type.ends_with("+xml")
        || media_type.ends_with("+yaml")
        || matches!(
            media_type,
            "application/xml"
                | "application/yaml"
                | "application/x-yaml"
                | "application/toml"
                | "application/sql"
                | "application/graphql"
                | "application/javascript"
                | "application/ecmascript"
                | "application/sparql-query"
                | "application/sparql-update"
                | "application/n-triples"
                | "application/trig"
        )
}
