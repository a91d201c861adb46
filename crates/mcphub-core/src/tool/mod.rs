//! Plan: an [`ApiSpec`] becomes a [`ToolSet`].

mod answer;
mod binding;
mod choice;
mod difference;
mod group;
mod kind;
mod profile;
mod size;
mod stored;

use std::fmt::{self, Debug};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

pub use answer::{AnswerBinding, FieldsBinding, MAX_PAGES, PagesBinding};
pub use binding::{
    BodyBinding, BodyFormat, BodySource, HttpBinding, MemberBinding, OutputShape, ParameterBinding,
    PartBinding, PartHeaderBinding, PartListBinding,
};
pub use choice::{Criterion, Facet, Selection, ToolChoices};
pub use difference::{Change, ToolDifference};
pub use kind::ToolKind;
pub use profile::Profile;
pub use size::{ListLimit, Simplification};

use crate::schema::Schema;
use crate::spec::{ApiSpec, Dialect, Method, Parsed, SecurityScheme, ToolHints};
use crate::{Error, Result};

/// The version of the plan format. A stored tool set of another version is planned anew from its
/// document.
pub const PLAN_VERSION: u32 = 5;

/// Turns APIs into tools. A pure function.
///
/// # Behavior
/// - Every operation that is selected becomes exactly one tool or exactly one error diagnostic.
/// - Names are legal, unique and at most [`PlanOptions::max_name_length`] long; they do not change
///   when unrelated operations are added or not selected.
/// - Input schemas are JSON Schema 2020-12, self-contained, with an object at the top.
/// - The same input gives the same output.
pub trait Planner: Send + Sync + Debug + 'static {
    /// Plans one API. Diagnostics are added to those of `parsed`.
    fn plan(&self, parsed: &Parsed, options: &PlanOptions) -> Result<Plan>;
}

/// Options of [`Planner::plan`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PlanOptions {
    /// The longest tool name, 1 to 128 characters. Default 64, because clients refuse more.
    pub max_name_length: usize,
    /// The largest input schema in bytes of JSON; a larger one is simplified. Default 65,536.
    pub max_input_schema: usize,
    /// The largest output schema in bytes of JSON; a larger one is left out. Default 32,768.
    pub max_output_schema: usize,
    /// The longest description in characters. Default 2,048.
    pub max_description: usize,
    /// What is left out, step by step, of tools that are too large together. Default
    /// [`Simplification::ORDER`].
    pub simplify: Vec<Simplification>,
    /// What somebody chooses for this API.
    pub choices: ToolChoices,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            max_name_length: 64,
            max_input_schema: 65_536,
            max_output_schema: 32_768,
            max_description: 2_048,
            simplify: Simplification::ORDER.to_vec(),
            choices: ToolChoices::default(),
        }
    }
}

/// What planning gives.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The tools.
    pub tools: ToolSet,
    /// What planning had to leave out or change.
    pub diagnostics: Vec<crate::spec::Diagnostic>,
}

/// The tools of one API with all that is needed to call them.
///
/// Serialises compactly: every shared definition once.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSet {
    /// What the tools were made from.
    pub api: ApiInfo,
    /// Base URLs in order of preference, possibly relative to the document's source.
    pub servers: Vec<String>,
    /// By name.
    pub security_schemes: IndexMap<String, SecurityScheme>,
    /// In document order.
    pub tools: Vec<Tool>,
}

/// What an API says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiInfo {
    /// `info.title`.
    pub title: String,
    /// `info.version`.
    pub version: String,
    /// The dialect of the document.
    pub dialect: Dialect,
    /// `info.description`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl From<&ApiSpec> for ApiInfo {
    fn from(spec: &ApiSpec) -> Self {
        Self {
            title: spec.title.clone(),
            version: spec.version.clone(),
            dialect: spec.dialect,
            description: spec.description.clone(),
        }
    }
}

impl ToolSet {
    /// Forgets the base URLs of single operations: whoever says where the API is means all of it.
    pub fn ignore_operation_servers(&mut self) {
        for tool in &mut self.tools {
            tool.binding.server = None;
        }
    }

    /// The tool of that name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name.as_str() == name)
    }
}

/// One MCP tool, and how its call becomes an HTTP request.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Unique in its set.
    pub name: ToolName,
    /// For people.
    pub title: Option<String>,
    /// For the model.
    pub description: String,
    /// Arguments: an object, flat, closed.
    pub input: Schema,
    /// The structured answer: an object, lenient. Absent where the document describes none.
    pub output: Option<Schema>,
    /// Hints from the HTTP method.
    pub annotations: ToolAnnotations,
    /// For grouping and selection.
    pub tags: Vec<String>,
    /// How a call is made.
    pub binding: HttpBinding,
}

impl Tool {
    /// Whether the same request twice is as good as once (RFC 9110, 9.2.2), by the method or by what
    /// the document says of the tool.
    pub fn is_repeatable(&self) -> bool {
        self.annotations.is_repeatable()
    }
}

/// A legal MCP tool name: 1 to 128 of `[A-Za-z0-9_.-]` (MCP 2026-07-28, Tool Names).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ToolName(Arc<str>);

impl ToolName {
    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidInput` when it is empty, longer than 128 or has another character.
    pub fn new(name: impl AsRef<str>) -> Result<Self> {
        let name = name.as_ref();
        let legal = name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if legal && (1..=128).contains(&name.len()) {
            return Ok(Self(name.into()));
        }
        Err(Error::invalid(
            "a tool name has 1 to 128 characters of A-Z, a-z, 0-9, `_`, `.` and `-`",
        )
        .with("name", name.chars().take(160).collect::<String>()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for ToolName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for ToolName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(name).map_err(serde::de::Error::custom)
    }
}

/// Hints for clients (MCP 2026-07-28, ToolAnnotations).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolAnnotations {
    /// The call asks for no change.
    pub read_only_hint: bool,
    /// The call may destroy something.
    pub destructive_hint: bool,
    /// The same call twice is as good as once.
    pub idempotent_hint: bool,
    /// The call reaches a world outside the model's.
    pub open_world_hint: bool,
}

impl ToolAnnotations {
    /// Whether the same request twice is as good as once.
    pub fn is_repeatable(self) -> bool {
        self.read_only_hint || self.idempotent_hint
    }

    /// These, where the operation says nothing else.
    pub fn with(self, hints: &ToolHints) -> Self {
        Self {
            read_only_hint: hints.read_only.unwrap_or(self.read_only_hint),
            destructive_hint: hints.destructive.unwrap_or(self.destructive_hint),
            idempotent_hint: hints.idempotent.unwrap_or(self.idempotent_hint),
            open_world_hint: hints.open_world.unwrap_or(self.open_world_hint),
        }
    }
}

impl From<Method> for ToolAnnotations {
    fn from(method: Method) -> Self {
        Self {
            read_only_hint: method.is_safe(),
            // Of a method that nobody knows the worst is assumed, as clients do without hints.
            destructive_hint: matches!(
                method,
                Method::Put | Method::Patch | Method::Delete | Method::Other(_)
            ),
            idempotent_hint: method.is_idempotent(),
            open_world_hint: true,
        }
    }
}
