//! Bytes become a value: JSON by `serde_json`, anything else as YAML 1.2.

use mcphub_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::ParserSettings;
use super::node::{Node, read_json};
use super::yaml;

/// Reads a document to a value that can be changed.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_value(bytes: &[u8], settings: &ParserSettings) -> Result<Value> {
    read(bytes, settings).map(|(node, _)| node.to_value())
}

/// Reads a document, and how many bytes it has as JSON without white space.
///
/// # Errors
/// `TooLarge` over the limit, before anything is read; `InvalidDocument` with line and column when
/// it is neither JSON nor YAML, nests deeper than 128 levels, or grows beyond the limit when its
/// YAML aliases are replaced.
pub(super) fn read<'d>(bytes: &'d [u8], settings: &ParserSettings) -> Result<(Node<'d>, usize)> {
    if bytes.len() > settings.max_document {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the document has {} bytes; at most {} are read",
                bytes.len(),
                settings.max_document
            ),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        invalid("the document is not UTF-8 text")
            .with("byte", error.valid_up_to())
            .caused_by(error)
    })?;
    let text = text.trim_start_matches('\u{feff}');
    match text.trim_start().as_bytes().first() {
        None => Err(invalid("the document is empty")),
        Some(b'{' | b'[') => match read_json(text) {
            Ok(read) => Ok(read),
            // YAML's flow style begins like JSON.
            Err(error) => yaml::read(text, settings.max_document)
                .map(measured)
                .map_err(|_| not_json(error)),
        },
        Some(b'<') => Err(invalid(
            "the document is HTML or XML; expected an OpenAPI document in JSON or YAML",
        )),
        Some(_) => yaml::read(text, settings.max_document).map(measured),
    }
}

fn measured(node: Node<'_>) -> (Node<'_>, usize) {
    let size = node.size();
    (node, size)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidDocument, message)
}

fn not_json(error: serde_json::Error) -> Error {
    invalid("the document is not valid JSON")
        .with("line", error.line())
        .with("column", error.column())
        .caused_by(error)
}
