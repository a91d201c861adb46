//! Changes to a document that its owner did not make: the Overlay Specification 1.0, 1.1 and 1.2.
//!
//! An overlay is applied before the document is read, so that what is stored, parsed and planned
//! is the changed document. A pure function; the host brings the bytes.

mod action;
mod merge;

use mcphub_core::spec::{Diagnostic, Document, Severity};
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value};

use crate::openapi::{ParserSettings, read_value};
use action::Action;

/// The most actions of one overlay.
const MAX_ACTIONS: usize = 10_000;

/// A document with overlays applied.
#[derive(Debug, Clone)]
pub struct Overlaid {
    /// The changed document: JSON, from the same source.
    pub document: Document,
    /// One for each action that selects nothing: this is allowed (Overlay 1.1.0, Action Object),
    /// and often a mistake. Pointers lead into the overlay.
    pub diagnostics: Vec<Diagnostic>,
}

/// Applies overlays to a document, in order.
///
/// Where the versions differ, all are read as the newest: an array that updates an array is added
/// to it, `update` and `copy` may replace a plain value. An update of `null` leaves an object or
/// array as it is. `extends` is not compared with the document's source.
///
/// # Errors
/// - `InvalidDocument`, with the overlay's source and the action: it is no overlay, a JSONPath
///   (RFC 9535) is not valid, what it selects cannot be merged with the update.
/// - `Unsupported` for other versions than 1.x.
/// - `TooLarge` for a document, or a result, over [`ParserSettings::max_document`]; for more than
///   10,000 actions; for a JSONPath over 1,024 bytes or with more than two `..`.
pub fn apply(
    document: &Document,
    overlays: &[Document],
    settings: &ParserSettings,
) -> Result<Overlaid> {
    let mut value = read_value(&document.bytes, settings)
        .map_err(|error| error.with("source", &document.source))?;
    let mut room = settings.max_document;
    let mut diagnostics = Vec::new();
    for overlay in overlays {
        let one = |error: Error| error.during("overlay").with("source", &overlay.source);
        let content = read_value(&overlay.bytes, settings).map_err(one)?;
        for (index, action) in actions(&content).map_err(one)?.iter().enumerate() {
            let told = |error: Error| one(error.with("action", index));
            let action = Action::read(action, &content).map_err(told)?;
            let changed = action.apply(&mut value, &mut room).map_err(told)?;
            if changed == 0 {
                diagnostics.push(Diagnostic {
                    severity: Severity::Warning,
                    code: "overlay-target".to_owned(),
                    pointer: format!("/actions/{index}/target"),
                    message: format!("{} selects nothing in the document", action.target()),
                });
            }
        }
    }
    let bytes = serde_json::to_vec(&value)
        .map_err(|error| Error::internal("the document cannot be written").caused_by(error))?;
    Ok(Overlaid {
        document: Document {
            source: document.source.clone(),
            bytes: bytes.into(),
        },
        diagnostics,
    })
}

/// The actions of an overlay of a version that is read.
fn actions(overlay: &Value) -> Result<&[Value]> {
    let version = overlay.get("overlay");
    let version = match version {
        Some(Value::String(text)) => text.clone(),
        // YAML makes a number of `1.0`.
        Some(Value::Number(number)) => number.to_string(),
        _ => {
            return Err(invalid(
                "this is not an overlay: it has no member `overlay` with a version",
            ));
        }
    };
    if version != "1" && !version.starts_with("1.") {
        let version: String = version.chars().take(40).collect();
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("Overlay {version} is not read; 1.0, 1.1 and 1.2 are"),
        ));
    }
    match overlay.get("actions") {
        Some(Value::Array(actions)) if actions.len() <= MAX_ACTIONS => Ok(actions),
        Some(Value::Array(_)) => Err(Error::new(
            ErrorKind::TooLarge,
            format!("an overlay has at most {MAX_ACTIONS} actions"),
        )),
        _ => Err(invalid("an overlay has an array of `actions`")),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidDocument, message)
}

/// A member of an object, if it is one.
fn member<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    object.get(key).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests;
