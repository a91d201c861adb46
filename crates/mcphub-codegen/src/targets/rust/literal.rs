//! The one way for text to reach Rust source: as an escaped literal; and how expressions are broken
//! into lines, as rustfmt does it.

use unicode_width::UnicodeWidthStr as _;

use crate::targets::pieces::pieces;

/// The longest line, as rustfmt has it by default.
pub(super) const LINE: usize = 100;
/// The longest arguments of a call, or items of an array, that stay on one line.
const SHORT: usize = 60;
/// The longest items of an array that share a line once it is broken.
const TINY: usize = 10;
/// The longest arguments of an attribute that stay on one line.
const ATTRIBUTE: usize = 70;

/// How many columns a text takes, as rustfmt counts them.
fn width(text: &str) -> usize {
    text.width()
}

/// A string literal on one line whose value is `text`.
///
/// Only printable ASCII and letters and digits of any script stand in it as they are, so that no
/// text ends the literal, starts an escape, hides in a formatting character or breaks the line.
pub(super) fn rust_literal(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() || "–—‘’“”…€£©®°·×→•".contains(c) => {
                out.push(c)
            }
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out
}

/// `HEAD LITERAL` of a field at this indent, where a comma follows: on one line where it fits, else
/// a line of the literal for each line or so of the text.
pub(super) fn rust_text(head: &str, text: &str, indent: usize) -> String {
    let whole = rust_literal(text);
    if indent + width(head) + 1 + width(&whole) < LINE {
        return format!("{head} {whole}");
    }
    format!("{head} {}", lines(text, indent))
}

/// The statement of a constant, at the margin.
pub(super) fn rust_constant(head: &str, text: &str) -> String {
    let whole = rust_literal(text);
    let length = width(&whole) + 1;
    if width(head) + 3 + length <= LINE {
        format!("{head} = {whole};")
    } else if 4 + length <= LINE {
        format!("{head} =\n    {whole};")
    } else {
        format!("{head} = {};", lines(text, 0))
    }
}

/// A literal whose lines are continued (The Rust Reference, String continuation escapes).
fn lines(text: &str, indent: usize) -> String {
    let inner = format!("\\\n{}", " ".repeat(indent + 4));
    let pieces: Vec<_> = pieces(text, LINE - indent - 20)
        .into_iter()
        .enumerate()
        .map(|(at, piece)| match piece.strip_prefix(' ') {
            // White space at the beginning of a continued line is no part of the literal.
            Some(rest) if at > 0 => format!("\\x20{}", escaped(rest)),
            _ => escaped(piece),
        })
        .collect();
    format!("\"{}\"", pieces.join(&inner))
}

/// An argument of a call: an expression, and the methods that are called on it.
#[derive(Debug)]
pub(super) struct Expression {
    head: String,
    links: Vec<String>,
}

impl Expression {
    /// A method that is called on all before.
    pub(super) fn link(mut self, link: impl Into<String>) -> Self {
        self.links.push(link.into());
        self
    }

    fn whole(&self) -> String {
        let links = self.links.iter().map(|link| format!(".{link}"));
        format!("{}{}", self.head, links.collect::<String>())
    }

    /// Where a comma follows.
    fn broken(&self, indent: usize) -> String {
        let whole = self.whole();
        let length = width(&whole);
        // A field of `self` is a link, too, which stays beside it.
        let links = self.links.len() + usize::from(self.head.starts_with("self."));
        if self.links.is_empty() || (indent + length < LINE && (links == 1 || length <= SHORT)) {
            return whole;
        }
        let inner = " ".repeat(indent + 4);
        let links = self.links.iter().map(|link| format!("\n{inner}.{link}"));
        format!("{}{}", self.head, links.collect::<String>())
    }
}

impl<T: Into<String>> From<T> for Expression {
    fn from(head: T) -> Self {
        Self {
            head: head.into(),
            links: Vec::new(),
        }
    }
}

/// A call and what comes after it: on one line where it fits at this indent, else an argument a
/// line.
pub(super) fn rust_call(head: &str, arguments: &[Expression], tail: &str, indent: usize) -> String {
    let wholes: Vec<_> = arguments.iter().map(Expression::whole).collect();
    let joined = wholes.join(", ");
    let line = format!("{head}({joined}){tail}");
    let short = arguments.len() == 1 || width(&joined) <= SHORT;
    if short && indent + width(&line) <= LINE {
        return line;
    }
    let inner = " ".repeat(indent + 4);
    let lines: Vec<_> = arguments
        .iter()
        .map(|argument| format!("{inner}{}", argument.broken(indent + 4)))
        .collect();
    // A macro may take no comma at the end.
    let comma = if head.ends_with('!') { "" } else { "," };
    format!(
        "{head}(\n{}{comma}\n{}){tail}",
        lines.join(",\n"),
        " ".repeat(indent)
    )
}

/// `LET = CALL;`: on one line where it fits at this indent, else below `LET =` where it fits there,
/// else an argument a line.
pub(super) fn rust_let(
    variable: &str,
    head: &str,
    arguments: &[Expression],
    indent: usize,
) -> String {
    let first = rust_call(&format!("{variable} = {head}"), arguments, ";", indent);
    let below = rust_call(head, arguments, ";", indent + 4);
    if first.contains('\n') && !below.contains('\n') {
        return format!("{variable} =\n{}{below}", " ".repeat(indent + 4));
    }
    first
}

/// `HEAD&[TEXT, TEXT]TAIL`, as [`rust_list`].
pub(super) fn rust_array<T: AsRef<str>>(
    head: &str,
    texts: &[T],
    tail: &str,
    indent: usize,
) -> String {
    let items: Vec<_> = texts.iter().map(|t| rust_literal(t.as_ref())).collect();
    rust_list(head, &items, tail, indent)
}

/// `HEAD&[ITEM, ITEM]TAIL`: on one line where it fits at this indent.
pub(super) fn rust_list(head: &str, items: &[String], tail: &str, indent: usize) -> String {
    let joined = items.join(", ");
    let line = format!("{head}&[{joined}]{tail}");
    if width(&joined) <= SHORT && indent + width(&line) <= LINE {
        return line;
    }
    let tiny = items.iter().all(|item| width(item) <= TINY);
    let inner = " ".repeat(indent + 4);
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        let room = LINE - inner.len() - width(item).min(LINE / 2) - 2;
        match lines.last_mut() {
            Some(last) if tiny && width(last) <= room => {
                last.push_str(&format!(" {item},"));
            }
            _ => lines.push(format!("{item},")),
        }
    }
    let lines: String = lines
        .iter()
        .map(|line| format!("{inner}{line}\n"))
        .collect();
    format!("{head}&[\n{lines}{}]{tail}", " ".repeat(indent))
}

/// `#[NAME(PART, PART)]`: on one line where it fits at this indent.
pub(super) fn rust_attribute(name: &str, parts: &[String], indent: usize) -> String {
    let joined = parts.join(", ");
    let line = format!("#[{name}({joined})]");
    let short = parts.len() == 1 || width(&joined) <= ATTRIBUTE;
    if short && indent + width(&line) <= LINE {
        return line;
    }
    let inner = " ".repeat(indent + 4);
    let lines: Vec<_> = parts.iter().map(|part| format!("{inner}{part}")).collect();
    let end = " ".repeat(indent);
    format!("#[{name}(\n{}\n{end})]", lines.join(",\n"))
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod tests;
