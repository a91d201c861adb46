//! Text of a hostile document reaches a Rust project as text only, and whatever it is, the project
//! is formatted.

mod common;

use common::cargo::assert_formatted;
use common::hostile::{HOSTILE, tools};
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_core::project::{Project, RenderOptions, Target};
use serde_json::Value;

fn render(hostile: &str) -> Project {
    let options = RenderOptions {
        name: hostile.to_owned(),
        base_url: None,
    };
    RustTarget::new().render(&tools(hostile), &options).unwrap()
}

#[test]
fn text_of_a_document_stands_in_literals_only() {
    for hostile in HOSTILE {
        for (path, contents) in render(hostile).files() {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
            assert!(path.bytes().all(plain), "{path}");
            let text = std::str::from_utf8(contents).unwrap();
            if path.ends_with(".rs") {
                assert!(!code(text).contains("PWNED"), "{path}\n{text}");
            } else if path.ends_with(".json") {
                serde_json::from_str::<Value>(text).unwrap();
            } else if path == "Cargo.toml" {
                let description = text.lines().filter(|line| line.contains("PWNED"));
                assert!(description.count() <= 1, "{text}");
                assert!(!text.contains("\n[tool.PWNED]"), "{text}");
            } else if path != "README.md" {
                assert!(!text.contains("PWNED"), "{path}");
            }
        }
    }
}

/// What of a module is left without its string literals. Comments are code here: no text of a
/// document may stand in them.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let inside = &rest[c.len_utf8()..];
        if rest.starts_with("//") {
            let (comment, after) = rest.split_once('\n').unwrap();
            code.push_str(comment);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("'\"'") {
            rest = after;
        } else if c == '"' {
            rest = after_literal(inside);
        } else {
            code.push(c);
            rest = inside;
        }
    }
    code
}

fn after_literal(text: &str) -> &str {
    let mut chars = text.chars();
    loop {
        match chars.next().expect("a literal ends") {
            '\\' => drop(chars.next()),
            '"' => return chars.as_str(),
            _ => {}
        }
    }
}

#[test]
fn hostile_projects_are_rust_and_formatted() {
    for hostile in HOSTILE {
        assert_formatted(&render(hostile));
    }
}
