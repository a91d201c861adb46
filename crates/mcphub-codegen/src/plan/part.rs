//! The parts of a multipart body, and bytes as arguments.

use std::borrow::Cow;

use mcphub_core::spec::{BodyContent, Encoding};
use mcphub_core::tool::{PartBinding, PartListBinding};
use serde_json::{Map, Value, json};

use super::Planning;
use super::accept::is_json;
use super::body::is_text;
use crate::keyword::has_type;

/// What is said of bytes where the document says nothing.
const BYTES: &str = "The bytes in base64.";

impl Planning<'_> {
    /// A member of a multipart form: its schema as an argument, and how its part is written where
    /// that is not plain from the value (OpenAPI 3.0.4, Encoding Object, `contentType`).
    pub(super) fn part<'v>(
        &self,
        schema: &'v Value,
        media_type: Option<&str>,
    ) -> (Cow<'v, Value>, Option<PartBinding>) {
        let target = self.definitions.resolve(schema);
        let list = target
            .as_object()
            .filter(|target| has_type(target, "array"));
        let items = list.and_then(|list| list.get("items"));
        let one = items.unwrap_or(target);
        if self.is_bytes(one) || (media_type.is_some_and(is_bytes) && self.may_be_text(one)) {
            let stated = self.definitions.resolve(one).get("contentMediaType");
            let media_type = media_type.or(stated.and_then(Value::as_str));
            let file = file_schema(self.definitions.resolve(one));
            let schema = match list {
                Some(list) => {
                    let mut list = list.clone();
                    list.insert("items".to_owned(), file);
                    Value::Object(list)
                }
                None => file,
            };
            let part = PartBinding {
                file: true,
                media_type: media_type
                    .filter(|name| !name.contains('*'))
                    .map(str::to_owned),
                ..PartBinding::default()
            };
            return (Cow::Owned(schema), Some(part));
        }
        if let Some(text) = media_type.filter(|name| is_text(name) && !self.may_be_text(one)) {
            // Values have no other text than JSON, so a model writes it.
            let schema = json!({"type": "string", "contentMediaType": text});
            let part = PartBinding {
                media_type: Some(text.to_owned()),
                ..PartBinding::default()
            };
            return (Cow::Owned(schema), Some(part));
        }
        let part = media_type.map(|media_type| PartBinding {
            media_type: Some(media_type.to_owned()),
            ..PartBinding::default()
        });
        // What would be written so anyway is not stated again.
        let plain = |part: &PartBinding| {
            part.media_type.as_deref() == Some("text/plain")
                || part
                    .media_type
                    .as_deref()
                    .is_some_and(|name| name.contains('*'))
        };
        (Cow::Borrowed(schema), part.filter(|part| !plain(part)))
    }

    /// The parts of a list, each by its position, and the list as an argument; `None` when the body is
    /// no list (OpenAPI 3.2.0, Encoding By Position).
    pub(super) fn part_list(&self, content: &BodyContent) -> Option<(Value, PartListBinding)> {
        let list = self.definitions.resolve(&content.schema).as_object();
        let mut list = list.filter(|list| has_type(list, "array"))?.clone();
        let any = json!({});
        let (items, item_encoding) = (list.get("items"), content.item_encoding.as_ref());
        let (item_schema, item_part) = self.position(items.unwrap_or(&any), item_encoding);
        let first = list.get("prefixItems").and_then(Value::as_array);
        let first = first.map_or(&[][..], Vec::as_slice);
        let positions = 0..first.len().max(content.prefix_encoding.len());
        let (schemas, prefix): (Vec<_>, Vec<_>) = positions
            .map(|at| {
                let schema = first.get(at).or(items).unwrap_or(&any);
                let encoding = content.prefix_encoding.get(at).or(item_encoding);
                self.position(schema, encoding)
            })
            .unzip();
        if list.get("items").is_some_and(Value::is_object) {
            list.insert("items".to_owned(), item_schema);
        }
        if !schemas.is_empty() {
            list.insert("prefixItems".to_owned(), Value::Array(schemas));
        }
        let parts = PartListBinding {
            prefix,
            items: item_part,
        };
        Some((Value::Object(list), parts))
    }

    /// One position of a list of parts.
    fn position(&self, schema: &Value, encoding: Option<&Encoding>) -> (Value, PartBinding) {
        let media_type = encoding.and_then(|encoding| encoding.media_type.as_deref());
        let target = self.definitions.resolve(schema).as_object();
        if target.is_some_and(|target| has_type(target, "array")) {
            // What is one part is not several: it is JSON.
            let part = PartBinding {
                media_type: media_type.filter(|name| is_json(name)).map(str::to_owned),
                ..PartBinding::default()
            };
            return (schema.clone(), part);
        }
        let (schema, part) = self.part(schema, media_type);
        (schema.into_owned(), part.unwrap_or_default())
    }

    /// Whether a value may be a string.
    fn may_be_text(&self, schema: &Value) -> bool {
        self.definitions
            .resolve(schema)
            .as_object()
            .is_some_and(|schema| !schema.contains_key("type") || has_type(schema, "string"))
    }
}

/// Whether a stated media type is neither text nor JSON.
fn is_bytes(media_type: &str) -> bool {
    !is_json(media_type)
        && !is_text(media_type)
        && media_type != "application/x-www-form-urlencoded"
}

/// Bytes as an argument: a string in base64.
pub(super) fn bytes_schema(source: &Value, media_type: &str) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "string".into());
    schema.insert("contentEncoding".to_owned(), "base64".into());
    schema.insert("contentMediaType".to_owned(), media_type.into());
    schema.insert("description".to_owned(), described(source));
    Value::Object(schema)
}

/// A file as an argument: its bytes in base64, alone or with name and media type.
fn file_schema(source: &Value) -> Value {
    json!({
        "description": described(source),
        "anyOf": [
            {"type": "string", "contentEncoding": "base64"},
            {
                "type": "object",
                "properties": {
                    "data": {"type": "string", "contentEncoding": "base64"},
                    "filename": {"type": "string"},
                    "contentType": {"type": "string"},
                },
                "required": ["data"],
                "additionalProperties": false,
            },
        ],
    })
}

fn described(source: &Value) -> Value {
    let said = source.get("description").and_then(Value::as_str);
    match said.map(str::trim).filter(|said| !said.is_empty()) {
        Some(said) => format!("{said} ({})", BYTES.trim_end_matches('.')).into(),
        None => BYTES.into(),
    }
}
