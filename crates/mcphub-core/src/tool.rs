//! Plan: an [`ApiSpec`](crate::spec::ApiSpec) becomes a [`ToolSet`].

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::schema::{Definition, Schema};
use crate::spec::{ApiSpec, Dialect, Location, Method, Parsed, SecurityScheme, Serialization};
use crate::{Error, Result};

/// The version of the plan format. A stored tool set of another version is planned anew from its
/// document.
pub const PLAN_VERSION: u32 = 1;

/// Turns APIs into tools. A pure function.
///
/// # Behavior
/// - Every operation becomes exactly one tool or exactly one error diagnostic.
/// - Names are legal, unique and at most [`PlanOptions::max_name_length`] long; they do not change
///   when unrelated operations are added.
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
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            max_name_length: 64,
            max_input_schema: 65_536,
            max_output_schema: 32_768,
            max_description: 2_048,
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

impl From<Method> for ToolAnnotations {
    fn from(method: Method) -> Self {
        Self {
            read_only_hint: method.is_safe(),
            destructive_hint: matches!(method, Method::Put | Method::Patch | Method::Delete),
            idempotent_hint: method.is_idempotent(),
            open_world_hint: true,
        }
    }
}

/// How arguments become an HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpBinding {
    /// The HTTP method.
    pub method: Method,
    /// The path template, such as `/pets/{petId}`.
    pub path: String,
    /// A base URL of this operation alone, before those of the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Parameters outside the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterBinding>,
    /// The body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyBinding>,
    /// Alternatives; each is a set of scheme names needed together. Empty: no credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<Vec<String>>,
    /// The value of the `Accept` header.
    pub accept: String,
    /// How a JSON answer becomes `structuredContent`.
    #[serde(default, skip_serializing_if = "OutputShape::is_none")]
    pub output: OutputShape,
}

/// One argument that goes outside the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParameterBinding {
    /// The name in the tool's input schema.
    pub argument: String,
    /// The name on the wire.
    pub name: String,
    /// Where it goes.
    #[serde(rename = "in")]
    pub location: Location,
    /// Whether a call needs it.
    pub required: bool,
    /// How the value is written.
    #[serde(flatten)]
    pub serialization: Serialization,
}

/// How arguments become the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyBinding {
    /// The value of the `Content-Type` header.
    pub media_type: String,
    /// How the value is written.
    pub format: BodyFormat,
    /// Whether a call needs it.
    pub required: bool,
    /// Where the value comes from.
    pub source: BodySource,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BodyFormat {
    /// `application/json` and `…+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `text/…`: the argument is a string.
    Text,
}

/// Where the value of a body comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum BodySource {
    /// One argument holds the whole value.
    Argument(String),
    /// The body is an object; each member is an argument.
    Members(Vec<MemberBinding>),
}

/// One argument that becomes a member of the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberBinding {
    /// The name in the tool's input schema.
    pub argument: String,
    /// The name in the body.
    pub name: String,
    /// How a form body writes it, where the document says. By default an array repeats the name
    /// and an object is JSON text (OpenAPI 3.0.4, Encoding Object).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serialization: Option<Serialization>,
}

/// How a JSON answer becomes `structuredContent`, which clients before 2026-07-28 accept as an
/// object only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OutputShape {
    /// The tool has no output schema.
    #[default]
    None,
    /// The answer is an object and is passed as it is.
    Object,
    /// The answer is something else and is passed as `{"result": …}`.
    Wrapped,
}

impl OutputShape {
    /// Whether there is no structured answer.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

// The stored form keeps each shared definition once.

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredToolSet {
    plan_version: u32,
    api: ApiInfo,
    servers: Vec<String>,
    security_schemes: IndexMap<String, SecurityScheme>,
    definitions: Vec<(Arc<str>, Arc<Value>)>,
    tools: Vec<StoredTool>,
}

#[derive(Serialize, Deserialize)]
struct StoredTool {
    name: ToolName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    description: String,
    input: StoredSchema,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<StoredSchema>,
    annotations: ToolAnnotations,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    binding: HttpBinding,
}

#[derive(Serialize, Deserialize)]
struct StoredSchema {
    root: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    uses: Vec<usize>,
}

#[derive(Default)]
struct DefinitionTable {
    entries: Vec<(Arc<str>, Arc<Value>)>,
    // Two directions of one model share a name; the address of the shared value tells them apart.
    index: HashMap<*const Value, usize>,
}

impl DefinitionTable {
    fn store(&mut self, schema: &Schema) -> StoredSchema {
        let uses = schema.definitions().iter().map(|definition| {
            *self
                .index
                .entry(Arc::as_ptr(&definition.schema))
                .or_insert_with(|| {
                    self.entries
                        .push((definition.name.clone(), definition.schema.clone()));
                    self.entries.len() - 1
                })
        });
        StoredSchema {
            uses: uses.collect(),
            root: schema.root().clone(),
        }
    }

    fn load(&self, stored: StoredSchema) -> Result<Schema, String> {
        let mut definitions = Vec::with_capacity(stored.uses.len());
        for index in stored.uses {
            let (name, schema) = self
                .entries
                .get(index)
                .ok_or("a tool uses a definition that is not there")?;
            definitions.push(Definition {
                name: name.clone(),
                schema: schema.clone(),
            });
        }
        Ok(Schema::new(stored.root, definitions))
    }
}

impl Serialize for ToolSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = DefinitionTable::default();
        let tools = self.tools.iter().map(|tool| StoredTool {
            name: tool.name.clone(),
            title: tool.title.clone(),
            description: tool.description.clone(),
            input: table.store(&tool.input),
            output: tool.output.as_ref().map(|schema| table.store(schema)),
            annotations: tool.annotations,
            tags: tool.tags.clone(),
            binding: tool.binding.clone(),
        });
        let tools = tools.collect();
        StoredToolSet {
            plan_version: PLAN_VERSION,
            api: self.api.clone(),
            servers: self.servers.clone(),
            security_schemes: self.security_schemes.clone(),
            definitions: table.entries,
            tools,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ToolSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let stored = StoredToolSet::deserialize(deserializer)?;
        if stored.plan_version != PLAN_VERSION {
            return Err(D::Error::custom(format!(
                "plan version {} is not {PLAN_VERSION}",
                stored.plan_version
            )));
        }
        let table = DefinitionTable {
            entries: stored.definitions,
            index: HashMap::new(),
        };
        let tools = stored.tools.into_iter().map(|tool| {
            Ok(Tool {
                name: tool.name,
                title: tool.title,
                description: tool.description,
                input: table.load(tool.input)?,
                output: tool.output.map(|schema| table.load(schema)).transpose()?,
                annotations: tool.annotations,
                tags: tool.tags,
                binding: tool.binding,
            })
        });
        Ok(Self {
            api: stored.api,
            servers: stored.servers,
            security_schemes: stored.security_schemes,
            tools: tools
                .collect::<Result<_, String>>()
                .map_err(D::Error::custom)?,
        })
    }
}
