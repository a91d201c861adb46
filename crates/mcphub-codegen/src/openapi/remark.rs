//! What the walk has to say about the document.

use std::collections::HashSet;

use mcphub_core::spec::{Diagnostic, Severity};

use super::node::Node;
use super::place::Place;

/// The most warnings and infos that are kept, and the bytes that they may have together: the
/// place of each can be as long as the document.
const MAX_REMARKS: usize = 1_000;
const MAX_BYTES: usize = 1 << 20;

/// Collects diagnostics. An error is kept always, once per operation; the rest within a bound, and
/// once per place, because shared parts of a document are walked from several sides.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    kept: Vec<Diagnostic>,
    seen: HashSet<(&'static str, String)>,
    bytes: usize,
    left_out: usize,
}

impl Remarks {
    pub(super) fn error(&mut self, code: &'static str, at: Place<'_>, message: impl Into<String>) {
        self.kept.push(diagnostic(
            Severity::Error,
            code,
            at.pointer(),
            message.into(),
        ));
    }

    pub(super) fn warn(
        &mut self,
        code: &'static str,
        at: Place<'_>,
        message: impl FnOnce() -> String,
    ) {
        self.add(Severity::Warning, code, at, message);
    }

    pub(super) fn info(
        &mut self,
        code: &'static str,
        at: Place<'_>,
        message: impl FnOnce() -> String,
    ) {
        self.add(Severity::Info, code, at, message);
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        at: Place<'_>,
        message: impl FnOnce() -> String,
    ) {
        if self.seen.len() >= MAX_REMARKS || self.bytes >= MAX_BYTES {
            self.left_out += 1;
            return;
        }
        let pointer = at.pointer();
        if self.seen.insert((code, pointer.clone())) {
            let message = message();
            self.bytes += pointer.len() + message.len();
            self.kept.push(diagnostic(severity, code, pointer, message));
        }
    }

    /// A value that is not what it should be and is left out.
    pub(super) fn wrong_type(&mut self, at: Place<'_>, expected: &str, found: &Node<'_>) {
        self.warn("wrong-type", at, || {
            format!("expected {expected}, found {}; it is left out", kind(found))
        });
    }

    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        if self.left_out > 0 {
            let message = format!("{} further remarks are not shown", self.left_out);
            self.kept.push(diagnostic(
                Severity::Info,
                "more-diagnostics",
                String::new(),
                message,
            ));
        }
        self.kept
    }
}

fn diagnostic(severity: Severity, code: &str, pointer: String, message: String) -> Diagnostic {
    Diagnostic {
        severity,
        code: code.to_owned(),
        pointer,
        message,
    }
}

/// What a value is, for a message.
pub(super) fn kind(value: &Node<'_>) -> &'static str {
    match value {
        Node::Null => "null",
        Node::Bool(_) => "a boolean",
        Node::Number(_) => "a number",
        Node::String(_) => "a string",
        Node::Array(_) => "an array",
        Node::Object(_) => "an object",
    }
}

/// Text from the document, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const MAX: usize = 120;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
