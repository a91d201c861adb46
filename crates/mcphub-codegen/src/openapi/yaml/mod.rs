//! YAML 1.2 with the core schema. [`subset`] reads what nearly all documents consist of, and gives a
//! document with anything else whole to [`general`]; where both read one, they read the same.

mod general;
mod scalar;
mod subset;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use mcphub_core::Result;

use super::node::Node;
use crate::json_size;

/// A document of as many bytes as the limit has this many for each node.
const BYTES_OF_NODE: usize = 8;

/// Reads a document that may grow to `limit` bytes.
///
/// # Errors
/// `InvalidDocument` with line and column when it is not YAML, nests deeper than 128 levels, or
/// grows beyond the limit when its aliases are replaced.
pub(super) fn read(text: &str, limit: usize) -> Result<Node<'_>> {
    match subset::read(text, limit / BYTES_OF_NODE) {
        Some(node) => Ok(node),
        None => general::read(text, limit),
    }
}

/// Text of the document where it has nothing to escape, as a [`Node`] wants it.
fn borrowed(text: &str) -> Cow<'_, str> {
    if json_size::string(text) == text.len() + 2 {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_owned())
    }
}
