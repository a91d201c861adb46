//! An API whose tools take nothing, and differ in what lets in.

use mcphub_core::call::{Arguments, Content, ToolResult};
use mcphub_core::tool::{PLAN_VERSION, ToolSet};
use mcphub_gateway::upstream::native::NativeApi;
use serde_json::{Value, json};

use crate::recording_api::RecordingApi;

/// Tools by name and `security`, each a GET of its name.
pub fn tools(schemes: &Value, tools: &[(&str, Value)]) -> ToolSet {
    let tools = tools.iter().map(|(name, security)| {
        json!({
            "name": name, "description": "", "input": {"root": {"type": "object", "properties": {}}},
            "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true},
            "binding": {"method": "GET", "path": format!("/{name}"), "accept": "*/*", "security": security},
        })
    });
    let set = json!({
        "planVersion": PLAN_VERSION,
        "api": {"title": "Bank", "version": "1", "dialect": "openapi-3.1"},
        "servers": [], "securitySchemes": schemes, "definitions": [],
        "tools": tools.collect::<Vec<_>>(),
    });
    serde_json::from_value(set).unwrap()
}

pub async fn call(api: &NativeApi, tool: &str) -> ToolResult {
    api.call(tool, &Arguments::default()).await
}

/// What a result says.
pub fn text(result: &ToolResult) -> &str {
    match &result.content[0] {
        Content::Text { text } => text,
        other => panic!("{other:?}"),
    }
}

/// What was asked for.
pub fn targets(server: &RecordingApi) -> Vec<String> {
    let requests = server.requests();
    requests.into_iter().map(|request| request.target).collect()
}
