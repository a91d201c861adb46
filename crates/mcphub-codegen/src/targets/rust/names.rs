//! Names of the document become names of Rust: legal, unique, and nothing's that is there.

use std::collections::HashSet;

use crate::targets::names::{Unique, camel, snake};

/// The longest name that is made, in characters, but for a number after it.
const MAX_LENGTH: usize = 60;

/// That of a type, so that its path fits on a line.
const MAX_TYPE: usize = 54;

/// Words that no name is (The Rust Reference, Keywords) unless it is raw.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Words that cannot even be raw names.
const NEVER_RAW: &[&str] = &["crate", "self", "super"];

/// Types and values that every module knows, or that a module of tools uses itself.
const TYPES: &[&str] = &[
    "ArgumentError",
    "AsMut",
    "AsRef",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Definition",
    "Deserialize",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "Format",
    "From",
    "FromIterator",
    "Future",
    "Hash",
    "HttpRequest",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "Map",
    "None",
    "Number",
    "Ok",
    "Option",
    "Ord",
    "Output",
    "Part",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Send",
    "Serialize",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "Tool",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Value",
    "Vec",
];

/// Names of one scope that are written in snake case, each given once.
#[derive(Debug, Default)]
pub(super) struct Names(Unique);

impl Names {
    /// The name of a field that is close to `text` and not yet taken.
    pub(super) fn field(&mut self, text: &str) -> String {
        let mut name = short(snake(text, "arg"));
        if NEVER_RAW.contains(&name.as_str()) {
            name.push('_');
        }
        let name = self.0.name(name);
        if KEYWORDS.contains(&name.as_str()) {
            format!("r#{name}")
        } else {
            name
        }
    }

    /// The name of a module, which is that of its file.
    pub(super) fn module(&mut self, text: &str) -> String {
        let mut name = short(snake(text, "general"));
        let taken = [
            KEYWORDS,
            NEVER_RAW,
            &["mod", "main", "lib", "test", "std", "core", "alloc"],
        ];
        if taken.iter().any(|words| words.contains(&name.as_str())) {
            name.push_str("_tools");
        }
        self.0.name(name)
    }

    /// The stem of a file.
    pub(super) fn stem(&mut self, text: &str) -> String {
        self.0.name(short(snake(text, "call")))
    }
}

/// Names of types, each given once.
#[derive(Debug, Default)]
pub(super) struct TypeNames(HashSet<String>);

impl TypeNames {
    /// The name of a type that is close to `text` and not yet taken.
    pub(super) fn name(&mut self, text: &str, fallback: &str) -> String {
        let mut stem = pascal(text, fallback);
        if TYPES.contains(&stem.as_str()) {
            stem.push_str("Item");
        }
        self.unique(stem)
    }

    /// The name of a variant, in a scope of its own.
    pub(super) fn variant(&mut self, text: &str) -> String {
        let mut stem = pascal(text, "value");
        if stem == "Self" {
            stem.push_str("Item");
        }
        self.unique(stem)
    }

    fn unique(&mut self, stem: String) -> String {
        let mut name = stem.clone();
        let mut number = 2_usize;
        while !self.0.insert(name.clone()) {
            name = match stem.ends_with(|c: char| c.is_ascii_digit()) {
                true => format!("{stem}N{number}"),
                false => format!("{stem}{number}"),
            };
            number += 1;
        }
        name
    }

    /// Takes a name unless it is taken.
    pub(super) fn take(&mut self, name: &str) -> bool {
        !TYPES.contains(&name) && self.0.insert(name.to_owned())
    }
}

/// `listBooks` becomes `ListBooks`.
pub(super) fn pascal(text: &str, fallback: &str) -> String {
    let mut name = camel(&short(snake(text, fallback)), fallback);
    name.truncate(MAX_TYPE);
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

fn short(mut name: String) -> String {
    name.truncate(MAX_LENGTH);
    name.truncate(name.trim_end_matches('_').len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_raw_and_taken_names_give_way() {
        let mut names = Names::default();
        let given = [
            "type",
            "self",
            "Self",
            "list-books",
            "listBooks",
            "日本",
            "2fa",
            "Type",
        ];
        assert_eq!(
            given.map(|text| names.field(text)),
            [
                "r#type",
                "self_",
                "self_2",
                "list_books",
                "list_books_2",
                "arg",
                "arg_2fa",
                "type_2"
            ]
        );
        let mut modules = Names::default();
        let given = ["mod", "A b", "a-B", "../x", "crate"].map(|text| modules.module(text));
        assert_eq!(given, ["mod_tools", "a_b", "a_b_2", "x", "crate_tools"]);
    }

    #[test]
    fn types_hide_nothing_and_have_no_underscore() {
        let mut names = TypeNames::default();
        let given = [
            "list_books",
            "listBooks",
            "option",
            "Vec",
            "日本",
            "a1",
            "A1",
        ];
        assert_eq!(
            given.map(|text| names.name(text, "call")),
            [
                "ListBooks",
                "ListBooks2",
                "OptionItem",
                "VecItem",
                "Call",
                "A1",
                "A1N2"
            ]
        );
    }

    #[test]
    fn names_are_bounded() {
        let name = Names::default().field(&"Ab".repeat(100));
        assert!(name.len() <= MAX_LENGTH, "{name}");
    }
}
