//! What makes a typed request a tool.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use rmcp::model::{Tool as Listed, ToolAnnotations};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::api::Api;
use crate::request::{ArgumentError, HttpRequest};
use crate::result::{Output, ToolResult};
use crate::validation::Check;

/// The largest answer that is held against the output schema, in bytes.
pub const MAX_CHECKED_OUTPUT: usize = 256 * 1024;

/// What MCP clients see of a tool.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// The name.
    pub name: &'static str,
    /// For people.
    pub title: Option<&'static str>,
    /// For the model.
    pub description: &'static str,
    /// JSON: `inputSchema` and, where the API describes an answer, `outputSchema`.
    pub schemas: &'static str,
    /// How an answer becomes structured content.
    pub output: Output,
    /// Arguments without which no request can be made although the schema does not say so.
    pub required: &'static [&'static str],
    /// The call asks for no change.
    pub read_only: bool,
    /// The call may destroy something.
    pub destructive: bool,
    /// The same call twice is as good as once.
    pub idempotent: bool,
    /// The call reaches a world outside the model's.
    pub open_world: bool,
}

/// The arguments of a tool, which become a request.
pub trait Tool: DeserializeOwned + Sync {
    /// What clients see.
    const DEFINITION: Definition;

    /// The request. Fails when an argument cannot be sent.
    fn request(&self) -> Result<HttpRequest, ArgumentError>;

    /// Calls the API. Arguments and answer are not held against their schemas.
    fn call(&self, api: &Api) -> impl Future<Output = Result<ToolResult, ArgumentError>> + Send {
        async { api.call(self.request()?, Self::DEFINITION.output).await }
    }
}

/// An optional argument that may be null: `Some(None)` is null, and is sent.
pub fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Makes a tool: [`AnyTool::of`] of its type.
pub type Make = fn() -> serde_json::Result<AnyTool>;

/// The tools by name, in the order in which clients see them.
#[derive(Debug)]
pub struct Tools {
    all: Vec<AnyTool>,
    by_name: HashMap<&'static str, usize>,
}

impl Tools {
    /// These tools. Fails when the schemas of one cannot be read.
    pub fn of(all: &[Make]) -> serde_json::Result<Self> {
        let all: Vec<_> = all.iter().map(|make| make()).collect::<Result<_, _>>()?;
        let names = all.iter().map(|tool| tool.definition.name);
        let by_name = names.enumerate().map(|(at, name)| (name, at)).collect();
        Ok(Self { all, by_name })
    }

    /// The tool of that name.
    pub fn get(&self, name: &str) -> Option<&AnyTool> {
        self.all.get(*self.by_name.get(name)?)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &AnyTool> {
        self.all.iter()
    }
}

/// A tool whatever its arguments are.
#[derive(Debug)]
pub struct AnyTool {
    definition: Definition,
    listed: Listed,
    request: fn(Value) -> Result<HttpRequest, ArgumentError>,
    input: OnceLock<Check>,
    output: OnceLock<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Schemas {
    input_schema: Map<String, Value>,
    output_schema: Option<Map<String, Value>>,
}

impl AnyTool {
    /// The tool of a type. Fails when its schemas cannot be read.
    pub fn of<T: Tool>() -> serde_json::Result<Self> {
        let definition = T::DEFINITION;
        let schemas: Schemas = serde_json::from_str(definition.schemas)?;
        let annotations = ToolAnnotations::new()
            .read_only(definition.read_only)
            .destructive(definition.destructive)
            .idempotent(definition.idempotent)
            .open_world(definition.open_world);
        let input = Arc::new(schemas.input_schema);
        let mut listed = Listed::new(definition.name, definition.description, input)
            .with_annotations(annotations);
        listed.title = definition.title.map(str::to_owned);
        listed.output_schema = schemas.output_schema.map(Arc::new);
        Ok(Self {
            definition,
            listed,
            request: |arguments| {
                let arguments = serde_json::from_value::<T>(arguments);
                // What is wrong with them may be a secret.
                arguments
                    .map_err(|_| ArgumentError::new("arguments", "have a type that is not sent"))?
                    .request()
            },
            input: OnceLock::new(),
            output: OnceLock::new(),
        })
    }

    /// As clients see it.
    pub fn listed(&self) -> &Listed {
        &self.listed
    }

    /// Checks a client's arguments, calls the API, and checks its answer.
    pub async fn run(&self, api: &Api, arguments: Map<String, Value>) -> ToolResult {
        let name = self.definition.name;
        let arguments = Value::Object(arguments);
        let wrong = self.problems(&arguments);
        if !wrong.is_empty() {
            return ToolResult::invalid_arguments(name, &wrong);
        }
        let called = match (self.request)(arguments) {
            Ok(request) => api.call(request, self.definition.output).await,
            Err(error) => Err(error),
        };
        match called {
            Ok(result) => self.checked(result),
            Err(error) => ToolResult::invalid_arguments(name, &[error.to_string()]),
        }
    }

    fn problems(&self, arguments: &Value) -> Vec<String> {
        let check = self
            .input
            .get_or_init(|| Check::new(&self.listed.input_schema));
        let wrong = check.problems(arguments);
        if !wrong.is_empty() {
            return wrong;
        }
        let required = self.definition.required.iter();
        required
            .filter(|name| arguments.get(**name).is_none())
            .map(|name| format!("{name}: is required"))
            .collect()
    }

    /// Clients refuse a result that breaks the tool's output schema, so such a one is flagged
    /// instead.
    fn checked(&self, mut result: ToolResult) -> ToolResult {
        let Some(schema) = &self.listed.output_schema else {
            return result;
        };
        if result.size() > MAX_CHECKED_OUTPUT {
            return result;
        }
        let Some(structured) = result.structured.take() else {
            return result;
        };
        let structured = Value::Object(structured);
        let check = self.output.get_or_init(|| Check::new(schema));
        if let Some(problem) = check.first_problem(&structured) {
            let why = format!("its document promises something else ({problem})");
            return result.mismatched(&why);
        }
        if let Value::Object(structured) = structured {
            result.structured = Some(structured);
        }
        result
    }
}
