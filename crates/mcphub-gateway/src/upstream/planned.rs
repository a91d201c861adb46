//! Tools as `tools/list` has them, from a plan.

use mcphub_core::schema::Schema;
use mcphub_core::tool::{ToolAnnotations, ToolSet};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{UpstreamTool, one_line};
use crate::members::first_string;

/// The members of MCP's `Tool` (MCP 2026-07-28, Tools).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    input_schema: &'a Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a Schema>,
    annotations: ToolAnnotations,
}

/// Tools as a server listed them before; what has no name is left out.
pub(crate) fn listed_tools(listed: &[Box<RawValue>]) -> Vec<UpstreamTool> {
    let tool = |definition: &RawValue| {
        Some(UpstreamTool {
            name: first_string(definition.get(), "name")?,
            definition: one_line(definition),
        })
    };
    listed.iter().filter_map(|it| tool(it)).collect()
}

/// The definitions of planned tools, in the order of the plan: what a native API lists, and what
/// stands in for a server that has not answered yet.
pub fn planned_tools(set: &ToolSet) -> Vec<UpstreamTool> {
    let tools = set.tools.iter().filter_map(|tool| {
        let definition = to_raw_value(&Definition {
            name: tool.name.as_str(),
            title: tool.title.as_deref(),
            description: &tool.description,
            input_schema: &tool.input,
            output_schema: tool.output.as_ref(),
            annotations: tool.annotations,
        });
        match definition {
            Ok(definition) => Some(UpstreamTool { name: tool.name.as_str().to_owned(), definition }),
            Err(error) => {
                tracing::error!(tool = tool.name.as_str(), %error, "a planned tool cannot be written as JSON");
                None
            }
        }
    });
    tools.collect()
}
