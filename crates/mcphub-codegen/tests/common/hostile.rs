//! A document whose every text tries to become code.

use mcphub_core::tool::ToolSet;
use serde_json::json;

/// Each tries to leave a literal, a docstring, a comment, a template or a TOML string.
pub const HOSTILE: &[&str] = &[
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

/// One tool of which every text is this one.
pub fn tools(hostile: &str) -> ToolSet {
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
