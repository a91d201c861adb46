//! Long texts in lines, and texts in TOML, as more than one language has them.

/// The text in pieces that end at a line end or at a space, or hard at the limit.
pub(super) fn pieces(text: &str, limit: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    for line in text.split_inclusive('\n') {
        let mut rest = line;
        while let Some((hard, _)) = rest.char_indices().nth(limit) {
            let end = rest[..hard].rfind(' ').map_or(hard, |space| space + 1);
            pieces.push(&rest[..end]);
            rest = &rest[end..];
        }
        if !rest.is_empty() {
            pieces.push(rest);
        }
    }
    pieces
}

/// A TOML basic string (TOML 1.0, String) whose value is `text`.
pub(super) fn toml_literal(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_at_lines_and_words_and_lose_nothing() {
        let text = "one two\nthree fourfive";
        assert_eq!(pieces(text, 6), ["one ", "two\n", "three ", "fourfi", "ve"]);
        assert_eq!(pieces(text, 6).concat(), text);
    }

    #[test]
    fn toml_has_its_own_escapes() {
        assert_eq!(
            toml_literal("a\"b\\\n\u{7f}"),
            r#""a\"b\\\U0000000A\U0000007F""#
        );
    }
}
