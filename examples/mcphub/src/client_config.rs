//! Configurations of MCP clients: those that a person pastes into one, and those that one has.

pub mod import;

use serde_json::{Value, json};

/// For clients that read `mcpServers` with a URL: Claude Code, Cursor and others.
pub fn http(name: &str, url: &str) -> Value {
    json!({ "mcpServers": { name: { "type": "http", "url": url } } })
}

/// Where the token of an API key goes in a configuration with a URL.
pub fn add_key(config: &mut Value, name: &str) {
    if let Some(server) = config.pointer_mut(&format!("/mcpServers/{name}")) {
        server["headers"] = json!({ "Authorization": "Bearer TOKEN" });
    }
}

/// For VS Code (`.vscode/mcp.json`).
pub fn vs_code(name: &str, url: &str) -> Value {
    json!({ "servers": { name: { "type": "http", "url": url } } })
}

/// For desktop clients that start a program: Claude Desktop and others. `options` follow those of
/// every start.
pub fn stdio(name: &str, spec: &str, options: &[String]) -> Value {
    let mut args = vec!["up", spec, "--stdio"];
    args.extend(options.iter().map(String::as_str));
    json!({ "mcpServers": { name: { "command": "mcphub", "args": args } } })
}
