//! Text of a hostile document reaches a TypeScript project as text only.

mod common;

use std::io::Write as _;
use std::process::Stdio;

use common::hostile::{HOSTILE, tools};
use common::node;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::project::{Project, RenderOptions, Target};
use serde_json::{Map, Value};

fn render(hostile: &str) -> Project {
    let options = RenderOptions {
        name: hostile.to_owned(),
        base_url: None,
    };
    TypeScriptTarget::new()
        .render(&tools(hostile), &options)
        .unwrap()
}

#[test]
fn text_of_a_document_stands_in_literals_only() {
    for hostile in HOSTILE {
        let project = render(hostile);
        for (path, contents) in project.files() {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
            assert!(path.bytes().all(plain), "{path}");
            let text = std::str::from_utf8(contents).unwrap();
            if ["src/tools/", "src/about.ts", "src/settings.ts"]
                .iter()
                .any(|place| path.starts_with(place))
            {
                assert!(!code(text).contains("PWNED"), "{path}\n{text}");
            } else if path.ends_with(".json") {
                serde_json::from_str::<Value>(text).unwrap();
            } else if path != "README.md" {
                assert!(!text.contains("PWNED"), "{path}");
            }
        }
    }
}

/// What of a module is left without its string literals; panics where one does not end on its line.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = match c {
            '/' if rest.starts_with("/*") => "*/",
            '/' if rest.starts_with("//") => "\n",
            '`' => "`",
            '"' | '\'' => {
                rest = after_literal(&rest[1..], c);
                continue;
            }
            _ => "",
        };
        // Comments and templates are code here: no text of a document may stand in them.
        let inside = &rest[c.len_utf8()..];
        let length = inside.find(end).expect("it ends") + end.len() + c.len_utf8();
        code.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    code
}

fn after_literal(text: &str, quote: char) -> &str {
    let mut chars = text.chars();
    loop {
        match chars.next() {
            Some('\\') => drop(chars.next()),
            Some(end) if end == quote => return chars.as_str(),
            Some('\n' | '\r' | '\u{2028}' | '\u{2029}') | None => {
                panic!("a literal does not end on its line: {text}")
            }
            Some(_) => {}
        }
    }
}

/// Parses every file as the compiler does; names are made of a document in camel case, so `PWNED` is
/// one only when text became code.
const CHECK: &str = "
import { text } from 'node:stream/consumers';
import ts from 'typescript';
for (const [path, source] of Object.entries(JSON.parse(await text(process.stdin)))) {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true);
  if (file.parseDiagnostics.length > 0) throw new Error(path + ts.flattenDiagnosticMessageText(file.parseDiagnostics[0].messageText));
  const visit = (node) => {
    if (ts.isIdentifier(node) && node.text === 'PWNED') throw new Error(path);
    ts.forEachChild(node, visit);
  };
  visit(file);
}
console.log('clean');
";

#[test]
fn the_compiler_reads_hostile_projects() {
    if !node::wanted() {
        return;
    }
    let mut files = Map::new();
    for (number, hostile) in HOSTILE.iter().enumerate() {
        for (path, contents) in render(hostile).files() {
            if path.ends_with(".ts") {
                let text = std::str::from_utf8(contents).unwrap();
                files.insert(format!("{number}/{path}"), text.into());
            }
        }
    }

    let mut node = node::node(&node::projects())
        .args(["--input-type=module", "--eval", CHECK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = node.stdin.take().unwrap();
    input
        .write_all(&serde_json::to_vec(&files).unwrap())
        .unwrap();
    drop(input);
    let output = node.wait_with_output().unwrap();

    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "clean");
}
