//! Collections of requests become OpenAPI documents.
//!
//! What people sent tells less than what an API documents: types come from examples, everything
//! but the path is optional, and no value but the fixed parts of paths is taken over, because it may
//! be a secret.

mod har;
mod infer;
mod paths;
mod postman;

use mcphub_core::spec::Document;
use mcphub_core::{Error, Result};
use serde_json::Value;

use crate::openapi::{ParserSettings, read_value};

/// The bytes in which an archive says that it is one.
const HEAD: usize = 256;

/// A Postman collection (2.0 or 2.1) or an HTTP archive (HAR 1.2) as an OpenAPI 3.2 document from the
/// same source. Any other document comes back as it is, byte for byte.
///
/// # Errors
/// `TooLarge` over [`ParserSettings::max_document`]; `InvalidDocument` for what looks like a
/// collection and cannot be read.
pub fn openapi(document: Document, settings: &ParserSettings) -> Result<Document> {
    let head = document.bytes.get(..HEAD).unwrap_or(&document.bytes);
    let (postman, har) = (
        mentions(&document.bytes, postman::SCHEMA),
        mentions(head, "\"log\""),
    );
    if !postman && !har {
        return Ok(document);
    }
    let value = read_value(&document.bytes, settings)
        .map_err(|error| error.during("import").with("source", &document.source))?;
    let Some(converted) = postman::openapi(&value).or_else(|| har::openapi(&value)) else {
        return Ok(document);
    };
    let bytes = serde_json::to_vec(&converted)
        .map_err(|error| Error::internal("the document cannot be written").caused_by(error))?;
    Ok(Document {
        bytes: bytes.into(),
        ..document
    })
}

fn mentions(text: &[u8], word: &str) -> bool {
    memchr::memmem::find(text, word.as_bytes()).is_some()
}

/// A member that is text which says something.
fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    let text = value.get(key)?.as_str()?.trim();
    Some(text).filter(|text| !text.is_empty())
}

/// A member's items, if it is an array.
fn items<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests;
