//! Names of the document become names of Python: legal, unique, and nothing's that is there.

use crate::targets::names::{Unique, snake};

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
    "form_part",
    "members",
    "request",
    "self",
    "tool",
    "tools",
];

/// Names of one scope, each given once.
#[derive(Debug, Default)]
pub(super) struct Names(Unique);

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
        self.0.name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
