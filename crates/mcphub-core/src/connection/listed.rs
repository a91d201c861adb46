//! What a server listed, as a plan.

use std::collections::HashSet;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::describe;
use crate::schema::Schema;
use crate::server::{Serve, ServerName};
use crate::spec::{Dialect, Document, Method};
use crate::tool::{
    AnswerBinding, ApiInfo, HttpBinding, OutputShape, Tool, ToolAnnotations, ToolName, ToolSet,
};
use crate::{Error, Result};

/// The tools that a document says its server listed, for what reads plans: search, and lists while
/// the server does not answer. What a plan has no place for is left out, and a tool without a legal
/// name or an input schema too: a server that answers lists for itself.
pub(crate) fn plan(
    document: &Document,
    name: Option<&ServerName>,
    serve: Serve,
) -> Result<ToolSet> {
    let description = describe::<Vec<Box<RawValue>>>(document)?;
    if description.connection.serve() != serve {
        return Err(Error::invalid(
            "the document describes a server that is reached in another way",
        )
        .with("serve", serve.as_str()));
    }
    let title = name.map_or_else(|| document.source.clone(), ServerName::to_string);
    Ok(planned(title, &description.tools))
}

/// The plan of a server with this title that listed these.
pub(crate) fn planned(title: String, listed: &[Box<RawValue>]) -> ToolSet {
    let mut known = HashSet::with_capacity(listed.len());
    let tools = listed.iter().filter_map(|it| tool(it));
    let tools = tools
        .filter(|tool| known.insert(tool.name.clone()))
        .collect();
    ToolSet {
        api: ApiInfo {
            title,
            version: String::new(),
            dialect: Dialect::default(),
            description: None,
        },
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools,
    }
}

impl Tool {
    /// A tool of a server that exists already, as its plan has it; `None` for a definition that none
    /// can have.
    pub fn listed(definition: &RawValue) -> Option<Self> {
        tool(definition)
    }
}

fn tool(definition: &RawValue) -> Option<Tool> {
    let mut members: Map<String, Value> = serde_json::from_str(definition.get()).ok()?;
    let mut schema = |member: &str| match members.remove(member) {
        Some(Value::Object(object)) => Some(Schema::from_object(object)),
        _ => None,
    };
    let (input, output) = (schema("inputSchema")?, schema("outputSchema"));
    let text = |member: &str| {
        members
            .get(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let annotations = members.get("annotations");
    let hint = |hint: &str, default: bool| {
        let given = annotations.and_then(|it| it.get(hint));
        given.and_then(Value::as_bool).unwrap_or(default)
    };
    Some(Tool {
        name: ToolName::new(text("name")?).ok()?,
        title: text("title"),
        description: text("description").unwrap_or_default(),
        input,
        output,
        // The defaults of MCP 2026-07-28, ToolAnnotations.
        annotations: ToolAnnotations {
            read_only_hint: hint("readOnlyHint", false),
            destructive_hint: hint("destructiveHint", true),
            idempotent_hint: hint("idempotentHint", false),
            open_world_hint: hint("openWorldHint", true),
        },
        tags: Vec::new(),
        binding: unused(),
    })
}

/// A call of such a tool is no HTTP request of ours, but every tool has a binding.
fn unused() -> HttpBinding {
    HttpBinding {
        method: Method::Post,
        path: "/".to_owned(),
        server: None,
        parameters: Vec::new(),
        body: None,
        presets: Default::default(),
        security: Vec::new(),
        accept: "application/json".to_owned(),
        output: OutputShape::default(),
        answer: AnswerBinding::default(),
    }
}
