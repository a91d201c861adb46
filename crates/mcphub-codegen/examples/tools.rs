//! From a document to its tools, as MCP lists them.
//!
//! ```sh
//! cargo run -p mcphub-codegen --example tools -- examples/specs/bookshop.yaml
//! ```

use std::io::Write as _;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::schema::Schema;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, Tool, ToolName};
use mcphub_core::{Error, Result};
use mimalloc::MiMalloc;
use serde::Serialize;

/// The one of the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<()> {
    let spec = std::env::args().nth(1);
    let spec = spec.ok_or_else(|| Error::invalid("tools takes a document"))?;
    let unreadable = |error| Error::not_found("the document cannot be read").caused_by(error);
    let document = Document {
        bytes: std::fs::read(&spec).map_err(unreadable)?.into(),
        source: spec,
    };
    let parsed = OpenApiParser::default().parse(&document)?;
    let plan = ToolPlanner::new().plan(&parsed, &PlanOptions::default())?;
    let tools: Vec<Listed<'_>> = plan.tools.tools.iter().map(Listed::from).collect();
    // Whole, because the standard output would be written to in small pieces.
    let mut text = serde_json::to_vec(&tools)
        .map_err(|error| Error::internal("the tools cannot be written").caused_by(error))?;
    text.push(b'\n');
    let _ = std::io::stdout().lock().write_all(&text);
    // What is in memory goes at once, with the process.
    std::process::exit(0)
}

/// A tool as it is listed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    name: &'a ToolName,
    title: Option<&'a str>,
    description: &'a str,
    input_schema: &'a Schema,
    output_schema: Option<&'a Schema>,
}

impl<'a> From<&'a Tool> for Listed<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self {
            name: &tool.name,
            title: tool.title.as_deref(),
            description: &tool.description,
            input_schema: &tool.input,
            output_schema: tool.output.as_ref(),
        }
    }
}
