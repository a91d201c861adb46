//! What the pages show.

use indexmap::IndexMap;
use mcphub_core::spec::SecurityScheme;
use mcphub_core::tool::{Tool, ToolSet};
use serde::Serialize;
use serde_json::{Value, json};

use super::{pretty, schema};
use crate::targets::example;

/// The group of tools without one.
const OTHER: &str = "Other";

#[derive(Debug, Serialize)]
pub(super) struct Page<'a> {
    title: &'a str,
    version: &'a str,
    description: &'a str,
    servers: &'a [String],
    count: usize,
    security: Vec<Scheme<'a>>,
    groups: Vec<Group<'a>>,
    /// What several tools share, once.
    models: Vec<Model<'a>>,
}

#[derive(Debug, Serialize)]
struct Model<'a> {
    name: &'a str,
    schema: String,
}

#[derive(Debug, Serialize)]
struct Scheme<'a> {
    name: &'a str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    name: &'a str,
    tools: Vec<Item<'a>>,
}

#[derive(Debug, Serialize)]
struct Item<'a> {
    name: &'a str,
    title: &'a str,
    description: &'a str,
    method: &'a str,
    path: &'a str,
    read_only: bool,
    destructive: bool,
    arguments: Vec<Argument<'a>>,
    security: Vec<String>,
    example: Option<String>,
    input: String,
    output: Option<String>,
}

#[derive(Debug, Serialize)]
struct Argument<'a> {
    name: &'a str,
    kind: String,
    required: bool,
    description: &'a str,
    notes: Vec<String>,
}

impl<'a> Page<'a> {
    /// The tools by their group, in the order in which the groups appear.
    pub(super) fn of(tools: &'a ToolSet) -> Self {
        let mut groups: IndexMap<&str, Vec<Item<'_>>> = IndexMap::new();
        for tool in &tools.tools {
            let group = tool.group().unwrap_or(OTHER);
            groups.entry(group).or_default().push(Item::of(tool));
        }
        Self {
            title: &tools.api.title,
            version: &tools.api.version,
            description: tools.api.description.as_deref().unwrap_or_default().trim(),
            servers: &tools.servers,
            count: tools.tools.len(),
            security: tools
                .security_schemes
                .iter()
                .map(|(name, scheme)| Scheme {
                    name,
                    text: credential(scheme),
                })
                .collect(),
            models: models(tools),
            groups: groups
                .into_iter()
                .map(|(name, tools)| Group { name, tools })
                .collect(),
        }
    }
}

impl<'a> Item<'a> {
    fn of(tool: &'a Tool) -> Self {
        let arguments = tool.input.properties().map(|(name, value)| Argument {
            name,
            kind: schema::kind(&tool.input, value),
            required: tool.input.requires(name),
            description: schema::description(&tool.input, value),
            notes: schema::notes(&tool.input, value),
        });
        let call = |arguments| json!({"name": tool.name, "arguments": Value::Object(arguments)});
        Self {
            name: tool.name.as_str(),
            title: tool.title.as_deref().unwrap_or_default(),
            description: tool.description.trim(),
            method: tool.binding.method.as_str(),
            path: &tool.binding.path,
            read_only: tool.annotations.read_only_hint,
            destructive: tool.annotations.destructive_hint,
            arguments: arguments.collect(),
            security: tool
                .binding
                .security
                .iter()
                .filter(|schemes| !schemes.is_empty())
                .map(|schemes| schemes.join(" and "))
                .collect(),
            example: example::arguments(tool).map(|arguments| pretty(&call(arguments))),
            input: pretty(tool.input.root()),
            output: tool.output.as_ref().map(|output| pretty(output.root())),
        }
    }
}

/// The definitions by name. Of several forms of one the first counts, which is that of arguments.
fn models(tools: &ToolSet) -> Vec<Model<'_>> {
    let inputs = tools.tools.iter().map(|tool| &tool.input);
    let outputs = tools.tools.iter().filter_map(|tool| tool.output.as_ref());
    let mut found: IndexMap<&str, &Value> = IndexMap::new();
    for schema in inputs.chain(outputs) {
        for definition in schema.definitions() {
            found.entry(&definition.name).or_insert(&definition.schema);
        }
    }
    found.sort_unstable_keys();
    let model = |(name, schema)| Model {
        name,
        schema: pretty(schema),
    };
    found.into_iter().map(model).collect()
}

fn credential(scheme: &SecurityScheme) -> String {
    match scheme {
        SecurityScheme::ApiKey { location, name } => {
            let place = match location {
                mcphub_core::spec::Location::Query => "the query parameter",
                mcphub_core::spec::Location::Cookie => "the cookie",
                _ => "the header",
            };
            format!("an API key in {place} {name}")
        }
        SecurityScheme::Basic => "a user and password (HTTP basic)".to_owned(),
        SecurityScheme::Bearer => "a bearer token".to_owned(),
        SecurityScheme::OAuth2 { .. } => "an OAuth 2 access token".to_owned(),
        SecurityScheme::Digest => "a user and password (HTTP digest)".to_owned(),
        SecurityScheme::MutualTls => "a client certificate".to_owned(),
        SecurityScheme::OpenIdConnect { .. } => "an OpenID Connect token".to_owned(),
        SecurityScheme::Unsupported { scheme } => format!("{scheme}, which is not supported"),
        _ => "a secret".to_owned(),
    }
}
