//! APIs become tools: one operation, one tool.
//!
//! One file per part of a tool: its `name`, its `description`, its `input` with the
//! `argument` names and the `body`, its `output`. `definitions` holds what they share.
//! Nothing in here knows the dialect of the document.

mod accept;
mod answer;
mod argument;
mod body;
mod budget;
mod definitions;
mod description;
mod draft;
mod inline;
mod input;
mod ladder;
mod lenient;
mod measure;
mod members;
mod name;
mod omission;
mod outline;
mod output;
mod pages;
mod part;
mod part_header;
mod plain;
mod preset;
mod selection;
mod writable;

use std::collections::HashMap;

use mcphub_core::schema::Schema;
use mcphub_core::spec::{Diagnostic, Operation, Parsed, Severity};
use mcphub_core::tool::{
    ApiInfo, HttpBinding, OutputShape, Plan, PlanOptions, Planner, Tool, ToolAnnotations, ToolName,
    ToolSet,
};
use mcphub_core::{Error, Result};

pub(crate) use accept::is_json;
use budget::Planned;
pub(crate) use budget::listed_size;
use definitions::Definitions;
use output::Output;
use selection::Selector;

/// The planner for every API.
///
/// - **Names** come from `operationId`, or from method and path. What is illegal becomes `_`. Where
///   several operations ask for one name, all of them get their path with it, so that no name
///   depends on the order of the document.
/// - **Arguments** are flat: path, query, header and cookie parameters, and the members of a JSON
///   or form body that is a plain object; any other body is the one argument `body`. Bytes are in
///   base64; a file of a form may come with its name and media type. Where names
///   meet, the path's stays and the others get `_query`, `_header`, `_cookie`, `_body`.
/// - **Answers**: where an operation shows how its pages follow one another, an argument says how
///   many to read at once; where `x-mcp` asks for it, another one names the fields that stay.
/// - **Input schemas** are closed, and without what is only for answers. One over [`PlanOptions::max_input_schema`] loses, until it fits:
///   descriptions below `$defs`; examples below `$defs`; of the definitions farthest from the
///   arguments all but types and listed values; descriptions and examples of the arguments; the
///   schemas of the largest arguments.
/// - **Output schemas** describe and never refuse: nothing is required, `null` is always possible.
///   One over [`PlanOptions::max_output_schema`] is left out.
/// - **Schemas have the form** of [`ToolChoices::profile`](mcphub_core::tool::ToolChoices::profile).
/// - **All of them** together have at most [`ToolChoices::list_limit`] bytes in `tools/list`, by
///   default no more than the document. Where they would have more, they lose what
///   [`PlanOptions::simplify`] says, in its order, those first that gain most by it. No argument is
///   lost, nor its type, its listed values, or that it is required.
///
/// - A **selection** is of operations, by [`Criterion`](mcphub_core::tool::Criterion); names do not
///   depend on it.
///
/// [`ToolChoices::list_limit`]: mcphub_core::tool::ToolChoices::list_limit
///
/// # Errors
/// `InvalidInput` when an option is out of its range, or nothing is selected of what there is.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct ToolPlanner;

impl ToolPlanner {
    /// The planner.
    pub const fn new() -> Self {
        Self
    }
}

impl Planner for ToolPlanner {
    fn plan(&self, parsed: &Parsed, options: &PlanOptions) -> Result<Plan> {
        if !(1..=128).contains(&options.max_name_length) {
            return Err(
                Error::invalid("the longest tool name has 1 to 128 characters")
                    .with("max_name_length", options.max_name_length)
                    .during("plan"),
            );
        }
        let spec = &parsed.spec;
        let mut planning = Planning {
            options,
            definitions: Definitions::new(&spec.definitions),
            answers: HashMap::new(),
            outputs: Vec::new(),
            diagnostics: Vec::new(),
        };
        let names = name::names(&spec.operations, options.max_name_length);
        let mut selector = Selector::new(&options.choices.selection);
        let mut planned = Vec::with_capacity(spec.operations.len());
        let mut operations = Vec::with_capacity(spec.operations.len());
        for (operation, name) in spec.operations.iter().zip(names) {
            if !selector.selects(operation, name.as_ref()) {
                continue;
            }
            let tool = match name {
                Some(name) => planning.tool(operation, name),
                None => Err(Refusal {
                    code: "duplicate-name",
                    message: "no name is left for it; allow longer names".to_owned(),
                }),
            };
            match tool {
                Ok(tool) => {
                    planned.push(tool);
                    operations.push(operation);
                }
                Err(refusal) => {
                    let message = format!("skipped: {}", refusal.message);
                    planning.remark(Severity::Error, refusal.code, operation, message);
                }
            }
        }
        planning.diagnostics.extend(selector.finish()?);
        let limit = budget::limit(options.choices.list_limit, spec.document_bytes);
        planning.reshape_inputs(&mut planned);
        let bare = budget::bare_size(&planned);
        let unsaid = planning.outputs(&mut planned, &operations, bare > limit);
        planning.fit(&mut planned, limit, bare, &unsaid);
        let tools = planning.finish(planned);
        Ok(Plan {
            tools: ToolSet {
                api: ApiInfo::from(spec),
                servers: spec.servers.clone(),
                security_schemes: spec.security_schemes.clone(),
                tools,
            },
            diagnostics: planning.diagnostics,
        })
    }
}

/// Why an operation becomes no tool.
struct Refusal {
    code: &'static str,
    message: String,
}

/// One run of the planner.
struct Planning<'a> {
    options: &'a PlanOptions,
    definitions: Definitions<'a>,
    /// What operations answer.
    outputs: Vec<Output>,
    /// Among these, what operations answer with one definition, by that definition.
    answers: HashMap<usize, Option<usize>>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Planning<'a> {
    fn tool(
        &mut self,
        operation: &'a Operation,
        name: ToolName,
    ) -> std::result::Result<Planned, Refusal> {
        let input = self.input(operation)?;
        let tool = Tool {
            name,
            title: operation
                .hints
                .title
                .as_deref()
                .or(operation.summary.as_deref())
                .map(|title| title.trim().to_owned()),
            description: description::description(operation, self.options.max_description),
            // The schemas come last: they depend on each other's size.
            input: Schema::default(),
            output: None,
            annotations: ToolAnnotations::from(operation.method).with(&operation.hints),
            tags: operation.tags.clone(),
            binding: HttpBinding {
                method: operation.method,
                path: operation.path.clone(),
                server: operation.servers.first().cloned(),
                parameters: input.parameters,
                body: input.body,
                presets: input.presets,
                security: operation.security.clone(),
                accept: accept::accept(&operation.responses),
                output: OutputShape::None,
                answer: input.answer,
            },
        };
        Ok(Planned {
            tool,
            input: input.schema,
            output: None,
        })
    }

    fn remark(&mut self, severity: Severity, code: &str, operation: &Operation, message: String) {
        let pointer = operation.pointer.clone();
        self.diagnostics.push(Diagnostic {
            severity,
            code: code.to_owned(),
            pointer,
            message,
        });
    }
}

#[cfg(test)]
mod tests;
