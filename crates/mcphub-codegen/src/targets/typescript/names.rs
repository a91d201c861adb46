//! Names of the document become names of TypeScript: legal, unique, and nothing's that is there.

use crate::targets::names::{Unique, camel, kebab};

/// Words that a name must not be (ECMA-262, Reserved Words, strict mode), and those with a meaning
/// of their own.
const RESERVED: &[&str] = &[
    "arguments",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "infinity",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "of",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "type",
    "typeof",
    "undefined",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

/// Names that a module of tools, or the list of them, uses itself.
const OWN: &[&str] = &[
    "api", "args", "exact", "form", "members", "index", "request", "tool", "tools",
];

/// Names of one scope, each given once.
#[derive(Debug, Default)]
pub(super) struct Names(Unique);

impl Names {
    /// The name of a function or module that is close to `text` and not yet taken.
    pub(super) fn identifier(&mut self, text: &str, fallback: &str) -> String {
        let mut name = camel(text, fallback);
        if [RESERVED, OWN]
            .iter()
            .any(|words| words.contains(&name.as_str()))
        {
            name.push('_');
        }
        self.0.name(name)
    }

    /// The stem of a file that is close to `text` and not yet taken, also where case does not count.
    pub(super) fn stem(&mut self, text: &str, fallback: &str) -> String {
        let mut name = kebab(text, fallback);
        if name == "index" {
            name.push_str("-tools");
        }
        self.0.name(name)
    }
}

/// Whether a text can stand after a dot, or before the colon of a member.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

/// `listBooks` becomes `ListBooks`.
pub(super) fn pascal(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_taken_names_give_way() {
        let mut names = Names::default();
        let given: Vec<_> = [
            "class",
            "list-books",
            "listBooks",
            "tool",
            "日本",
            "2fa",
            "Class",
        ]
        .map(|text| names.identifier(text, "call"))
        .into();
        assert_eq!(
            given,
            [
                "class_",
                "listBooks",
                "listBooks_2",
                "tool_",
                "call",
                "call2fa",
                "class_2"
            ]
        );
        let mut stems = Names::default();
        let given = ["index", "A b", "a-B", "../x"].map(|text| stems.stem(text, "general"));
        assert_eq!(given, ["index-tools", "a-b", "a-b_2", "x"]);
    }

    #[test]
    fn only_ascii_names_stand_bare() {
        for (text, bare) in [
            ("a", true),
            ("$top", true),
            ("X-Id", false),
            ("1a", false),
            ("é", false),
            ("", false),
        ] {
            assert_eq!(is_identifier(text), bare, "{text}");
        }
    }
}
