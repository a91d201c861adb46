//! Names of the document become names of Python: legal, unique, and nothing's that is there.

use std::collections::HashSet;

/// Words that a name in Python must not be (The Python Language Reference, 2.3.1 and 2.3.2).
const KEYWORDS: &[&str] = &[
    "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "match", "nonlocal", "not", "or", "pass", "raise", "return", "try", "type", "while",
    "with", "yield",
];

/// Lower-case built-ins, which a name should not hide.
const BUILTINS: &[&str] = &[
    "abs",
    "aiter",
    "all",
    "anext",
    "any",
    "ascii",
    "bin",
    "bool",
    "breakpoint",
    "bytearray",
    "bytes",
    "callable",
    "chr",
    "classmethod",
    "compile",
    "complex",
    "copyright",
    "credits",
    "delattr",
    "dict",
    "dir",
    "divmod",
    "enumerate",
    "eval",
    "exec",
    "exit",
    "filter",
    "float",
    "format",
    "frozenset",
    "getattr",
    "globals",
    "hasattr",
    "hash",
    "help",
    "hex",
    "id",
    "input",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "license",
    "list",
    "locals",
    "map",
    "max",
    "memoryview",
    "min",
    "next",
    "object",
    "oct",
    "open",
    "ord",
    "pow",
    "print",
    "property",
    "quit",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "staticmethod",
    "str",
    "sum",
    "super",
    "tuple",
    "vars",
    "zip",
];

/// Names that a module of tools uses itself.
const OWN: &[&str] = &[
    "annotations",
    "api",
    "form",
    "members",
    "request",
    "self",
    "tool",
    "tools",
];

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

/// Names of one scope, each given once.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// A name for a function, parameter or module that is close to `text` and not yet taken.
    pub(super) fn identifier(&mut self, text: &str, fallback: &str) -> String {
        let mut name = snake(text, fallback);
        let reserved = |name: &str| {
            [KEYWORDS, BUILTINS, OWN]
                .iter()
                .any(|words| words.contains(&name))
        };
        if reserved(&name) {
            name.push('_');
        }
        self.unique(name, "_")
    }

    /// The name of an environment variable that is close to `text` and not yet taken.
    pub(super) fn variable(&mut self, text: &str) -> String {
        self.unique(text.to_owned(), "_")
    }

    fn unique(&mut self, name: String, separator: &str) -> String {
        let mut candidate = name.clone();
        let mut number = 2_usize;
        while !self.0.insert(candidate.clone()) {
            candidate = format!("{}{separator}{number}", name.trim_end_matches('_'));
            number += 1;
        }
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_python() {
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
    fn keywords_builtins_and_taken_names_give_way() {
        let mut names = Names::default();
        let given: Vec<_> = ["class", "id", "list", "api", "a-b", "a_b", "A.B", "Class"]
            .map(|t| names.identifier(t, "x"))
            .into();
        assert_eq!(
            given,
            [
                "class_", "id_", "list_", "api_", "a_b", "a_b_2", "a_b_3", "class_2"
            ]
        );
    }
}
