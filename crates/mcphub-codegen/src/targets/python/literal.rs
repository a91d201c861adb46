//! The one way for text to reach Python source: as an escaped literal.

use serde_json::Value;

use crate::targets::pieces::pieces;

/// The longest line that generated code aims at, in characters.
pub(super) const LINE: usize = 120;

/// A Python string literal on one line whose value is `text`.
///
/// Only printable ASCII and letters and digits of any script stand in it as they are, so that no
/// text ends the literal, starts an escape, hides in a formatting character or breaks the line.
/// The quotes are those that the usual formatters prefer.
pub(super) fn python_literal(text: &str) -> String {
    let quote = if text.matches('"').count() > text.matches('\'').count() {
        '\''
    } else {
        '"'
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    escape(text, quote, &mut out);
    out.push(quote);
    out
}

/// A Python expression on one line whose value is that of JSON.
pub(super) fn python_value(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => python_literal(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(python_value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members = members.iter();
            let members: Vec<_> = members
                .map(|(name, value)| format!("{}: {}", python_literal(name), python_value(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// A docstring on one line whose value is `text`.
pub(super) fn docstring(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 6);
    out.push_str("\"\"\"");
    escape(text, '"', &mut out);
    out.push_str("\"\"\"");
    out
}

/// An expression whose value is `text`, for a place that starts after `used` characters of a line
/// indented by `indent` spaces: one literal where that fits, else one for each line or so of the
/// text, in parentheses.
pub(super) fn python_text(text: &str, indent: usize, used: usize) -> String {
    let whole = python_literal(text);
    // Formatters join what fits on one line, a comma after it included.
    if indent + used + whole.chars().count() < LINE {
        return whole;
    }
    let inner = " ".repeat(indent + 4);
    let pieces = if inner.len() + whole.chars().count() <= LINE {
        vec![text]
    } else {
        pieces(text, LINE - indent - 20)
    };
    let lines: Vec<_> = pieces
        .iter()
        .map(|piece| format!("{inner}{}\n", python_literal(piece)))
        .collect();
    format!("(\n{}{})", lines.concat(), " ".repeat(indent))
}

/// `head` … `tail` on one line where it fits at this indent, else with one item a line.
pub(super) fn bracketed(head: &str, items: &[String], tail: &str, indent: usize) -> String {
    let joined = items.join(", ");
    let width = indent + head.chars().count() + joined.chars().count() + tail.chars().count();
    // A comma may follow.
    if width < LINE {
        return format!("{head}{joined}{tail}");
    }
    let inner = " ".repeat(indent + 4);
    let lines: String = items
        .iter()
        .map(|item| format!("{inner}{item},\n"))
        .collect();
    format!("{head}\n{lines}{}{tail}", " ".repeat(indent))
}

fn escape(text: &str, quote: char, out: &mut String) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() || "–—‘’“”…€£©®°·×→•".contains(c) => {
                out.push(c)
            }
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod tests;
