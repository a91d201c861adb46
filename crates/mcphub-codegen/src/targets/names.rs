//! Names of the document become names of programs: ASCII, and each given once in its scope.

use std::collections::HashSet;

/// `listBooks`, `list-books` and `List books` become `list_books`. Only ASCII letters, digits and
/// `_`; starts with a letter; `fallback` where nothing is left.
pub(super) fn snake(text: &str, fallback: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = text.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            if !out.is_empty() && !out.ends_with('_') {
                out.push('_');
            }
            continue;
        }
        let after_word =
            at > 0 && (chars[at - 1].is_ascii_lowercase() || chars[at - 1].is_ascii_digit());
        let ends_acronym = at > 0
            && chars[at - 1].is_ascii_uppercase()
            && chars.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (after_word || ends_acronym) && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    let name = out.trim_end_matches('_');
    match name.chars().next() {
        None => fallback.to_owned(),
        Some(first) if first.is_ascii_digit() => format!("{fallback}_{name}"),
        Some(_) => name.to_owned(),
    }
}

/// `listBooks`, `list-books` and `List books` become `listBooks`: [`snake`], joined with capitals.
pub(super) fn camel(text: &str, fallback: &str) -> String {
    let words = snake(text, fallback);
    let mut out = String::with_capacity(words.len());
    let mut capital = false;
    for c in words.chars() {
        if c == '_' {
            capital = true;
            continue;
        }
        out.push(if capital { c.to_ascii_uppercase() } else { c });
        capital = false;
    }
    out
}

/// `listBooks` and `list-books` become `list-books`: [`snake`], joined with hyphens.
pub(super) fn kebab(text: &str, fallback: &str) -> String {
    snake(text, fallback).replace('_', "-")
}

/// Names of one scope, each given once.
#[derive(Debug, Default)]
pub(super) struct Unique(HashSet<String>);

impl Unique {
    /// The name, or where it is taken the name and a number after `_`.
    pub(super) fn name(&mut self, name: String) -> String {
        let mut candidate = name.clone();
        let mut number = 2_usize;
        while !self.0.insert(candidate.clone()) {
            candidate = format!("{}_{number}", name.trim_end_matches('_'));
            number += 1;
        }
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ascii_words() {
        for (text, name) in [
            ("listBooks", "list_books"),
            ("HTTPServer", "http_server"),
            ("X-Request-Id", "x_request_id"),
            ("$top", "top"),
            ("1st", "arg_1st"),
            ("größe", "gr_e"),
            ("__init__", "init"),
            ("", "arg"),
            ("ünï", "n"),
            ("\"); import os", "import_os"),
        ] {
            assert_eq!(snake(text, "arg"), name, "{text}");
        }
    }

    #[test]
    fn words_are_joined_as_a_language_does() {
        assert_eq!(camel("list_HTTP-books", "x"), "listHttpBooks");
        assert_eq!(camel("2 books", "x"), "x2Books");
        assert_eq!(kebab("My Books!", "x"), "my-books");
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Unique::default();
        let given = ["a", "a", "a_2", "class_", "class_"].map(|name| names.name(name.to_owned()));
        assert_eq!(given, ["a", "a_2", "a_2_2", "class_", "class_2"]);
    }
}
