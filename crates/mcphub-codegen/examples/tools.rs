//! From a document to its tools, as MCP lists them.
//!
//! ```sh
//! cargo run -p mcphub-codegen --example tools -- examples/specs/bookshop.yaml
//! ```

use std::io::Write as _;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner};
use mcphub_core::{Error, Result};
use serde_json::{Value, json};

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
    let tools: Vec<Value> = plan
        .tools
        .tools
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name,
                "title": tool.title,
                "description": tool.description,
                "inputSchema": tool.input.to_value(),
                "outputSchema": tool.output.as_ref().map(|schema| schema.to_value()),
            })
        })
        .collect();
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &tools)
        .map_err(|error| Error::internal("the tools cannot be written").caused_by(error))?;
    let _ = writeln!(out);
    Ok(())
}
