//! Text of a hostile document reaches a Python project as text only.

use std::io::Write as _;
use std::process::{Command, Stdio};

use mcphub_codegen::targets::python::PythonTarget;
use mcphub_core::project::{RenderOptions, Target};
use mcphub_core::tool::ToolSet;
use serde_json::json;

/// Each tries to leave a literal, a docstring, a comment, a template or a TOML string.
const HOSTILE: &[&str] = &[
    "\"); PWNED() #",
    "'); PWNED() #",
    "\"\"\"\nPWNED()\n\"\"\"",
    "\\\"); PWNED() #",
    "\\",
    "\n    PWNED()\n",
    "\rPWNED()",
    "\u{2028}PWNED()\u{c}PWNED()",
    "{{ PWNED() }}{% raw %}{PWNED()}",
    "\"\n[tool.PWNED]\nx = \"",
    "` | PWNED() <script>PWNED()</script>",
    "\0\u{feff}\u{202e}",
];

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

fn tools(hostile: &str) -> ToolSet {
    let set = json!({
        "planVersion": mcphub_core::tool::PLAN_VERSION,
        "api": {"title": hostile, "version": hostile, "description": hostile, "dialect": "openapi-3.0"},
        "servers": [],
        "securitySchemes": {
            hostile: {"type": "apiKey", "in": "header", "name": hostile},
            "q": {"type": "apiKey", "in": "query", "name": hostile},
        },
        "definitions": [],
        "tools": [{
            "name": "x",
            "title": hostile,
            "description": hostile.repeat(20),
            "input": {"root": {
                "type": "object",
                "properties": {
                    hostile: {"type": "string", "enum": [hostile], "default": hostile},
                    "b": {"type": "string", "examples": [hostile]},
                },
                "required": [hostile],
            }},
            "annotations": {"readOnlyHint": false, "destructiveHint": true, "idempotentHint": false, "openWorldHint": true},
            "tags": [hostile],
            "binding": {
                "method": "POST",
                "path": format!("/{hostile}/{{{hostile}}}"),
                "server": hostile,
                "parameters": [
                    {"argument": hostile, "name": hostile, "in": "path", "required": true, "style": "simple", "explode": false},
                    {"argument": "b", "name": hostile, "in": "query", "required": false, "style": "form", "explode": true, "content": hostile},
                ],
                "body": {
                    "mediaType": hostile,
                    "format": "json",
                    "required": false,
                    "source": {"members": [{"argument": hostile, "name": hostile}]},
                },
                "security": [[hostile, "q"]],
                "accept": hostile,
            },
        }],
    });
    serde_json::from_value(set).unwrap()
}

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
