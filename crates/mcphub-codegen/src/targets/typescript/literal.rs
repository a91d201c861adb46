//! The one way for text to reach TypeScript source: as an escaped literal.

use serde_json::Value;

use super::names::is_identifier;
use crate::targets::pieces::pieces;

/// The largest whole number that a JavaScript number holds exactly, with all below it.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The longest line that generated code aims at, in characters.
pub(super) const LINE: usize = 120;

/// A string literal on one line whose value is `text`.
///
/// Only printable ASCII and letters and digits of any script stand in it as they are, so that no
/// text ends the literal, starts an escape, hides in a formatting character or breaks the line.
/// The quotes are those that the usual formatters prefer.
pub(super) fn ts_literal(text: &str) -> String {
    let quote = if text.matches('"').count() > text.matches('\'').count() {
        '\''
    } else {
        '"'
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
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
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out.push(quote);
    out
}

/// An expression on one line whose value is that of JSON, in which `exact` keeps the text of numbers
/// that JavaScript would write otherwise.
pub(super) fn ts_value(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => {
            let text = number.to_string();
            let plain = match number.as_i64() {
                Some(whole) => whole.unsigned_abs() <= MAX_SAFE_INTEGER,
                None => number.is_f64() && !text.contains(['e', 'E']) && !text.ends_with(".0"),
            };
            if plain {
                text
            } else {
                format!("exact(\"{text}\")")
            }
        }
        Value::String(text) => ts_literal(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(ts_value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, value)| {
                    let name = match name.as_str() {
                        // Bare, it would set the prototype (ECMA-262, B.3.1).
                        "__proto__" => "[\"__proto__\"]".to_owned(),
                        name if is_identifier(name) => name.to_owned(),
                        name => ts_literal(name),
                    };
                    format!("{name}: {}", ts_value(value))
                })
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
    }
}

/// `HEAD: LITERAL` of a member at this indent, or of a constant where `head` ends so: on one line
/// where it fits, else a literal for each line or so of the text, below the head.
pub(super) fn ts_text(head: &str, text: &str, indent: usize) -> String {
    let whole = ts_literal(text);
    // A comma or semicolon follows.
    if indent + head.chars().count() + 1 + whole.chars().count() < LINE {
        return format!("{head} {whole}");
    }
    let inner = " ".repeat(indent + 2);
    let pieces = if inner.len() + whole.chars().count() < LINE {
        vec![text]
    } else {
        pieces(text, LINE - indent - 20)
    };
    let lines: Vec<_> = pieces
        .iter()
        .map(|piece| format!("{inner}{}", ts_literal(piece)))
        .collect();
    format!("{head}\n{}", lines.join(" +\n"))
}

/// A statement that calls with these arguments, and an object of options as the last where there are
/// any: on one line where it fits at this indent, else with one option a line, else with one argument
/// a line.
pub(super) fn ts_call(
    head: &str,
    arguments: &[String],
    options: &[String],
    indent: usize,
) -> String {
    let fits = |text: &str| !text.contains('\n') && indent + text.chars().count() <= LINE;
    let mut all = arguments.to_vec();
    if !options.is_empty() {
        all.push(format!("{{ {} }}", options.join(", ")));
    }
    let line = format!("{head}({});", all.join(", "));
    if fits(&line) {
        return line;
    }
    let object = |indent: usize| {
        let inner = " ".repeat(indent + 2);
        let lines: String = options
            .iter()
            .map(|option| format!("{inner}{option},\n"))
            .collect();
        format!("{{\n{lines}{}}}", " ".repeat(indent))
    };
    if !options.is_empty() {
        let before: String = arguments
            .iter()
            .map(|argument| format!("{argument}, "))
            .collect();
        if fits(&format!("{head}({before}{{")) {
            return format!("{head}({before}{});", object(indent));
        }
        if let Some(last) = all
            .last_mut()
            .filter(|last| last.contains('\n') || last.len() > LINE - indent - 3)
        {
            *last = object(indent + 2);
        }
    }
    let inner = " ".repeat(indent + 2);
    let lines: String = all
        .iter()
        .map(|argument| format!("{inner}{argument},\n"))
        .collect();
    format!("{head}(\n{lines}{});", " ".repeat(indent))
}

/// `HEAD[ITEM, ITEM]TAIL` on one line where it fits at this indent and `broken` does not ask for
/// more, else one item a line.
pub(super) fn ts_list(
    head: &str,
    items: &[String],
    tail: &str,
    indent: usize,
    broken: bool,
) -> String {
    let line = format!("{head}[{}]{tail}", items.join(", "));
    if !broken && indent + line.chars().count() <= LINE {
        return line;
    }
    let inner = " ".repeat(indent + 2);
    let lines: String = items
        .iter()
        .map(|item| format!("{inner}{item},\n"))
        .collect();
    format!("{head}[\n{lines}{}]{tail}", " ".repeat(indent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_look_as_people_write_them() {
        for (text, literal) in [
            ("plain", r#""plain""#),
            ("it's", r#""it's""#),
            (r#"say "hi""#, r#"'say "hi"'"#),
            ("a\nb\tc\\ `${x}`", r#""a\nb\tc\\ `${x}`""#),
            ("größe 東京", r#""größe 東京""#),
            (
                "\0\u{85}\u{2028}\u{202e}\u{e0001}",
                r#""\x00\x85\u2028\u202e\u{e0001}""#,
            ),
        ] {
            assert_eq!(ts_literal(text), literal);
        }
    }

    #[test]
    fn json_is_written_as_typescript() {
        let value = serde_json::json!({
            "a": [null, true, 1, 1.5, 1.0, 9_007_199_254_740_993_u64, "it's"], "X-b\"": {}, "__proto__": -1,
        });
        assert_eq!(
            ts_value(&value),
            r#"{ a: [null, true, 1, 1.5, exact("1.0"), exact("9007199254740993"), "it's"], 'X-b"': {}, ["__proto__"]: -1 }"#
        );
    }

    #[test]
    fn long_text_is_one_literal_a_line() {
        let text = format!("{}\nshort", "word ".repeat(40));
        let code = ts_text("description:", &text, 2);
        let lines: Vec<_> = code.lines().collect();
        assert_eq!(lines[0], "description:");
        assert!(
            lines.len() > 3 && lines.iter().all(|line| line.chars().count() <= LINE),
            "{code}"
        );
    }

    #[test]
    fn long_calls_have_a_line_for_each_option() {
        let options = vec![
            "accept: \"a\"".to_owned(),
            format!("server: \"{}\"", "x".repeat(100)),
        ];
        let code = ts_call("new X", &["\"GET\"".to_owned()], &options, 4);
        assert!(
            code.starts_with("new X(\"GET\", {\n      accept: \"a\",\n"),
            "{code}"
        );
        assert_eq!(
            ts_call("f", &["1".to_owned()], &["a: 2".to_owned()], 4),
            "f(1, { a: 2 });"
        );
    }

    proptest! {
        /// The value of a literal, read as ECMA-262 12.9.4 says.
        #[test]
        fn every_text_is_read_back(text in prop_oneof![any::<String>(), "[\\PC\n\"'\\\\`$*/]{0,200}"]) {
            for code in [ts_literal(&text), ts_text("x:", &text, 4).trim_start_matches("x:").to_owned()] {
                prop_assert_eq!(read_back(&code), Some(text.clone()), "{}", code);
            }
        }
    }

    /// The value of literals joined by `+`; `None` for anything else.
    fn read_back(code: &str) -> Option<String> {
        let mut text = String::new();
        let mut chars = code.trim().chars().peekable();
        loop {
            let quote = chars.next().filter(|c| matches!(c, '"' | '\''))?;
            loop {
                match chars.next()? {
                    c if c == quote => break,
                    '\n' | '\r' | '\u{2028}' | '\u{2029}' => return None,
                    '\\' => text.push(match chars.next()? {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'x' => hex(&chars.by_ref().take(2).collect::<String>())?,
                        'u' if chars.peek() == Some(&'{') => {
                            chars.next();
                            hex(&chars.by_ref().take_while(|c| *c != '}').collect::<String>())?
                        }
                        'u' => hex(&chars.by_ref().take(4).collect::<String>())?,
                        c if matches!(c, '"' | '\'' | '\\') => c,
                        _ => return None,
                    }),
                    c => text.push(c),
                }
            }
            let between: String =
                std::iter::from_fn(|| chars.next_if(|c| !matches!(c, '"' | '\''))).collect();
            match between.trim() {
                "" if chars.peek().is_none() => return Some(text),
                "+" => {}
                _ => return None,
            }
        }
    }

    fn hex(digits: &str) -> Option<char> {
        u32::from_str_radix(digits, 16)
            .ok()
            .and_then(char::from_u32)
    }
}
