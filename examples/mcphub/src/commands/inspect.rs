//! `mcphub inspect`: what a document becomes.

use std::process::ExitCode;

use indexmap::IndexMap;
use mcphub_codegen::doctor;
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::Result;
use mcphub_core::schema::Schema;
use mcphub_core::spec::{Diagnostic, Document, Severity, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, Tool, ToolAnnotations, ToolChoices, ToolSet};
use serde::Serialize;

use crate::cli::{Format, Inspect};
use crate::{document, host, output, progress};

/// A document that was parsed and planned.
pub struct Inspected {
    /// Operations that the document has, offered or not.
    pub operations: usize,
    /// The tools.
    pub tools: ToolSet,
    /// What the document gets wrong, and what planning left out.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses and plans a document.
///
/// # Errors
/// Those of the parser and the planner.
pub async fn inspect(document: Document, choices: ToolChoices) -> Result<Inspected> {
    let work = host::blocking(move || {
        let parsed = OpenApiParser::default().parse(&document)?;
        let plan = ToolPlanner::default().plan(&parsed, &options(choices))?;
        let mut diagnostics = parsed.diagnostics;
        // What the parser skips is not among the operations.
        let skipped = diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .count();
        diagnostics.extend(plan.diagnostics);
        Ok(Inspected {
            operations: parsed.spec.operations.len() + skipped,
            tools: plan.tools,
            diagnostics,
        })
    });
    progress::during("reading the document", work).await
}

/// The default options with these choices.
fn options(choices: ToolChoices) -> PlanOptions {
    let mut options = PlanOptions::default();
    options.choices = choices;
    options
}

pub async fn run(args: Inspect) -> Result<ExitCode> {
    let document = document::load(&args.spec, &args.document);
    let document = progress::during("fetching the document", document).await?;
    if args.doctor {
        return examine(document, args.tools.choices(), args.format).await;
    }
    let inspected = inspect(document, args.tools.choices()).await?;
    match args.format {
        Format::Json => output::json(&Report::from(&inspected))?,
        Format::Text => output::line(&text(&inspected))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn examine(document: Document, choices: ToolChoices, format: Format) -> Result<ExitCode> {
    let work = host::blocking(move || {
        let parsed = OpenApiParser::default().parse(&document)?;
        let plan = ToolPlanner::default().plan(&parsed, &options(choices))?;
        Ok(doctor::examine(&parsed, &plan))
    });
    let report = progress::during("examining the document", work).await?;
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::line(&advice(&report))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The report for a person.
fn advice(report: &doctor::Report) -> String {
    const SHOWN: usize = 10;
    let mut lines = vec![format!(
        "{} tools, about {} tokens in a model's context",
        report.tools, report.tokens
    )];
    if !report.largest.is_empty() {
        lines.push("\nLargest:".to_owned());
        let costs = report.largest.iter();
        lines.extend(costs.map(|cost| format!("  {:>7}  {}", cost.tokens, cost.tool)));
    }
    if !report.skipped.is_empty() {
        lines.push("\nNo tools:".to_owned());
        let skipped = report.skipped.iter();
        lines.extend(skipped.map(|d| format!("  {}: {}", d.pointer, d.message)));
    }
    lines.push(if report.findings.is_empty() {
        "\nNothing to mend.".to_owned()
    } else {
        "\nTo mend:".to_owned()
    });
    for finding in &report.findings {
        let count = finding.tools.len();
        let of = if count == 0 {
            String::new()
        } else {
            format!("{count} of them: ")
        };
        lines.push(format!("  [{}] {of}{}", finding.code, finding.message));
        let mut names = finding
            .tools
            .iter()
            .take(SHOWN)
            .cloned()
            .collect::<Vec<_>>();
        if count > SHOWN {
            names.push(format!("{} more", count - SHOWN));
        }
        if !names.is_empty() {
            lines.push(format!("      {}", names.join(", ")));
        }
    }
    lines.join("\n")
}

#[derive(Serialize)]
struct Report<'a> {
    api: Api<'a>,
    operations: usize,
    tools: Vec<ToolReport<'a>>,
    diagnostics: &'a [Diagnostic],
}

#[derive(Serialize)]
struct Api<'a> {
    title: &'a str,
    version: &'a str,
    dialect: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolReport<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    description: &'a str,
    input_schema: &'a Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a Schema>,
    annotations: ToolAnnotations,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    operation: Operation<'a>,
}

#[derive(Serialize)]
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
}

impl<'a> From<&'a Inspected> for Report<'a> {
    fn from(inspected: &'a Inspected) -> Self {
        let api = &inspected.tools.api;
        Self {
            api: Api {
                title: &api.title,
                version: &api.version,
                dialect: api.dialect.as_str(),
            },
            operations: inspected.operations,
            tools: inspected.tools.tools.iter().map(ToolReport::from).collect(),
            diagnostics: &inspected.diagnostics,
        }
    }
}

impl<'a> From<&'a Tool> for ToolReport<'a> {
    fn from(tool: &'a Tool) -> Self {
        Self {
            name: tool.name.as_str(),
            title: tool.title.as_deref(),
            description: &tool.description,
            input_schema: &tool.input,
            output_schema: tool.output.as_ref(),
            annotations: tool.annotations,
            group: tool.group(),
            operation: Operation {
                method: tool.binding.method.as_str(),
                path: &tool.binding.path,
            },
        }
    }
}

fn text(inspected: &Inspected) -> String {
    let api = &inspected.tools.api;
    let tools = &inspected.tools.tools;
    let mut lines = vec![format!(
        "{} {} ({})",
        api.title,
        api.version,
        api.dialect.as_str()
    )];
    lines.push(format!(
        "{} operations, {} tools",
        inspected.operations,
        tools.len()
    ));
    let mut groups: IndexMap<Option<&str>, Vec<&Tool>> = IndexMap::new();
    for tool in tools {
        groups.entry(tool.group()).or_default().push(tool);
    }
    for (group, tools) in groups {
        lines.push(format!("\n{}:", group.unwrap_or("Without a group")));
        tools
            .into_iter()
            .for_each(|tool| describe(tool, &mut lines));
    }
    if !inspected.diagnostics.is_empty() {
        lines.push(String::new());
        lines.push("Diagnostics:".to_owned());
    }
    for diagnostic in &inspected.diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            _ => "info",
        };
        lines.push(format!(
            "  {severity} [{}] {}",
            diagnostic.code, diagnostic.message
        ));
        lines.push(format!("      at {}", diagnostic.pointer));
    }
    lines.join("\n")
}

fn describe(tool: &Tool, lines: &mut Vec<String>) {
    let (method, path) = (tool.binding.method.as_str(), &tool.binding.path);
    lines.push(format!("  {}  {method} {path}", tool.name));
    let title = tool.title.as_deref();
    let summary = title.or(tool.description.lines().next());
    if let Some(summary) = summary.filter(|text| !text.is_empty()) {
        lines.push(format!("      {summary}"));
    }
    let arguments = tool.input.properties();
    let arguments: Vec<_> = arguments.map(|(name, _)| argument(tool, name)).collect();
    if !arguments.is_empty() {
        lines.push(format!("      arguments: {}", arguments.join(", ")));
    }
}

fn argument(tool: &Tool, name: &str) -> String {
    if tool.input.requires(name) {
        format!("{name} (required)")
    } else {
        name.to_owned()
    }
}
