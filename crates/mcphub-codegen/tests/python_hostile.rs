//! Text of a hostile document reaches a Python project as text only.

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};

use common::hostile::{HOSTILE, tools};
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_core::project::{RenderOptions, Target};

/// Parses every file; names of Python are made in lower case, so `PWNED` is one only when text became
/// code. The only thing of a document that may be code is a literal.
const CHECK: &str = "
import ast, json, sys
try:
    import tomllib
except ImportError:
    tomllib = None
for path, text in json.load(sys.stdin).items():
    if path.endswith('.py'):
        for node in ast.walk(ast.parse(text, path)):
            name = getattr(node, 'id', None) or getattr(node, 'attr', None) or getattr(node, 'name', None)
            assert name != 'PWNED', path
    elif path.endswith('.json'):
        json.loads(text)
    elif path.endswith('.toml') and tomllib:
        assert 'PWNED' not in tomllib.loads(text)['tool'], path
    elif path.endswith('/Dockerfile'):
        assert 'PWNED' not in text
print('clean')
";

#[test]
fn text_of_a_document_is_never_code() {
    let mut files = serde_json::Map::new();
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let options = RenderOptions {
            name: (*hostile).to_owned(),
            base_url: None,
        };
        let project = PythonTarget::new()
            .render(&tools(hostile), &options)
            .unwrap();
        for (path, contents) in project.files() {
            assert!(
                path.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b)),
                "{path}"
            );
            files.insert(
                format!("{number}/{path}"),
                std::str::from_utf8(contents).unwrap().into(),
            );
        }
    }

    let mut python = Command::new("python3")
        .args(["-X", "utf8", "-W", "error", "-c", CHECK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3");
    let mut input = python.stdin.take().unwrap();
    input
        .write_all(&serde_json::to_vec(&files).unwrap())
        .unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();

    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "clean");
}
