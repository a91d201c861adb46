//! What the templates of a project need: names resolved, texts made literals.

use indexmap::IndexMap;
use mcphub_core::Result;
use mcphub_core::project::{Purpose, RenderOptions, Variable};
use mcphub_core::tool::ToolSet;
use serde::Serialize;

use super::function::Function;
use super::literal::{ts_list, ts_literal, ts_text};
use super::names::Names;
use crate::bundle::manifest::{Kind, Manifest, Server, Setting};
use crate::targets::SchemaFile;
use crate::targets::about::{base_url, instructions, markdown_text, one_line, pretty, tool_count};
use crate::targets::call_example;
use crate::targets::client_config;
use crate::targets::environment::{Environment, Scheme, SchemeKind};
use crate::targets::names::kebab;
use crate::targets::registry::{Package, server_json};
use crate::targets::version::semantic;

/// The longest name of a module in characters.
const MAX_MODULE: usize = 60;
/// The longest name of a package in characters, which npm bounds at 214.
const MAX_PACKAGE: usize = 200;

/// A whole project.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// The name of the npm package.
    package: String,
    version: String,
    summary_json: String,
    title_markdown: String,
    api_version_markdown: String,
    tool_count: String,
    pub(super) variables: Vec<Variable>,
    stdio_config: String,
    http_config: String,
    docker_environment: String,
    // Literals of `about.ts` and `settings.ts`.
    name: String,
    title: String,
    instructions: String,
    base_url: String,
    schemes: String,
    base_url_variable: String,
    headers_variable: String,
    bearer_variable: String,
    identity_variable: String,
    authorities_variable: String,
    // Of `tools/index.ts`.
    tools: String,
    /// One for each tag, in order of appearance.
    pub(super) modules: Vec<Module>,
    /// The file of each function, by its stem.
    #[serde(skip)]
    pub(super) schemas: Vec<(String, String)>,
    /// `tests/examples.json`.
    #[serde(skip)]
    pub(super) examples: String,
    #[serde(skip)]
    pub(super) server_json: String,
    #[serde(skip)]
    pub(super) manifest: String,
}

/// A module of tools.
#[derive(Debug, Serialize)]
pub(super) struct Module {
    /// The stem of its file.
    pub(super) name: String,
    /// Its name where it is imported.
    alias: String,
    headline: String,
    /// What it takes of `exact.ts`.
    exact: &'static str,
    /// Whether it leaves fields of answers.
    fields: bool,
    /// Whether an answer may have a rest.
    rest: bool,
    /// Whether it makes XML.
    xml: bool,
    functions: Vec<Function>,
}

impl View {
    pub(super) fn new(tools: &ToolSet, options: &RenderOptions) -> Result<Self> {
        let package = package_name(&options.name);
        let base_url = base_url(tools, options.base_url.as_ref());
        let environment = Environment::new(&options.name, tools, base_url.as_deref());
        let variable = |purpose: Purpose| ts_literal(environment.name(&purpose));
        let version = semantic(&tools.api.version);
        let title = one_line(&tools.api.title, 200);
        let (order, modules) = modules(tools)?;
        Ok(Self {
            summary_json: serde_json::Value::from(format!("An MCP server for {title}")).to_string(),
            title_markdown: markdown_text(&title),
            api_version_markdown: markdown_text(&one_line(&tools.api.version, 100)),
            tool_count: tool_count(tools),
            stdio_config: client_config::stdio(
                &options.name,
                "node",
                &["/path/to/this/folder/dist/main.js"],
                &environment,
                base_url.is_none(),
            )?,
            http_config: client_config::http(&options.name)?,
            docker_environment: client_config::docker_environment(&environment, base_url.is_none()),
            server_json: server_json(
                &Package {
                    registry: "npm",
                    name: &package,
                    version: &version,
                    title: &tools.api.title,
                    needs_base_url: base_url.is_none(),
                },
                &environment,
            )?,
            manifest: Manifest {
                name: &package,
                version: &version,
                tools,
                server: Server {
                    kind: Kind::Node,
                    entry_point: "dist/main.js",
                    command: "node",
                    arguments: vec!["${__dirname}/dist/main.js".to_owned()],
                },
                settings: Setting::of(&environment.variables, tools, base_url.as_deref()),
            }
            .to_json()?,
            name: ts_literal(&options.name),
            title: ts_literal(&title),
            instructions: ts_text("export const INSTRUCTIONS =", &instructions(tools), 0),
            base_url: base_url
                .as_deref()
                .map_or_else(|| "undefined".to_owned(), ts_literal),
            base_url_variable: variable(Purpose::BaseUrl),
            headers_variable: variable(Purpose::Headers),
            bearer_variable: variable(Purpose::Bearer),
            identity_variable: variable(Purpose::Identity),
            authorities_variable: variable(Purpose::Authorities),
            tools: list(&order),
            schemas: schemas(tools, &order)?,
            examples: call_example::examples(tools)?,
            schemes: schemes(tools, &environment.schemes),
            variables: environment.variables,
            package,
            version,
            modules,
        })
    }
}

fn package_name(name: &str) -> String {
    let stem: String = kebab(name, "api").chars().take(MAX_PACKAGE).collect();
    if stem.ends_with("-mcp") {
        stem
    } else {
        format!("{stem}-mcp")
    }
}

/// Where each tool is, in their order.
struct Place {
    alias: String,
    function: String,
    stem: String,
}

fn modules(tools: &ToolSet) -> Result<(Vec<Place>, Vec<Module>)> {
    let (mut files, mut aliases) = (Names::default(), Names::default());
    let (mut functions, mut stems) = (Names::default(), Names::default());
    let mut by_group: IndexMap<Option<&str>, Module> = IndexMap::new();
    let mut order = Vec::new();
    for tool in &tools.tools {
        let group = tool.group();
        let module = by_group.entry(group).or_insert_with(|| {
            let text: String = group
                .unwrap_or("general")
                .chars()
                .take(MAX_MODULE)
                .collect();
            let name = files.stem(&text, "general");
            Module {
                alias: aliases.identifier(&name, "general"),
                headline: match group {
                    Some(_) => format!("Tools of the group `{name}`."),
                    None => "Tools without a group.".to_owned(),
                },
                name,
                exact: "",
                fields: false,
                rest: false,
                xml: false,
                functions: Vec::new(),
            }
        });
        let function = Function::new(
            functions.identifier(tool.name.as_str(), "call"),
            stems.stem(tool.name.as_str(), "call"),
            tool,
        )?;
        order.push(Place {
            alias: module.alias.clone(),
            function: function.name.clone(),
            stem: function.stem.clone(),
        });
        module.functions.push(function);
    }
    for module in by_group.values_mut() {
        let numeric = module
            .functions
            .iter()
            .any(|function| function.takes("Numeric"));
        let exact = module
            .functions
            .iter()
            .any(|function| function.says("exact("));
        module.xml = module
            .functions
            .iter()
            .any(|function| function.says("shape("));
        module.rest = module
            .functions
            .iter()
            .any(|function| function.says("Rest.asked("));
        module.fields = module
            .functions
            .iter()
            .any(|function| function.says("fields: Fields.") || function.says("new Fields("));
        module.exact = match (exact, numeric) {
            (true, true) => "import { exact, type Numeric } from",
            (true, false) => "import { exact } from",
            (false, true) => "import type { Numeric } from",
            (false, false) => "",
        };
    }
    Ok((order, by_group.into_values().collect()))
}

/// The statement of the list of tools.
fn list(order: &[Place]) -> String {
    let places: Vec<_> = order
        .iter()
        .map(|place| format!("{}.{}", place.alias, place.function))
        .collect();
    let head = "export const TOOLS: readonly AnyTool[] = ";
    ts_list(head, &places, ";", 0, false)
}

fn schemas(tools: &ToolSet, order: &[Place]) -> Result<Vec<(String, String)>> {
    let files = tools
        .tools
        .iter()
        .zip(order)
        .map(|(tool, place)| Ok((place.stem.clone(), pretty(&SchemaFile::of(tool))?)));
    files.collect()
}

/// The statement of the schemes by name; those that no secret is for are known, too, because an API
/// without any scheme takes the bearer token everywhere.
fn schemes(tools: &ToolSet, schemes: &[Scheme]) -> String {
    let head = "export const SCHEMES: ReadonlyMap<string, Scheme> = new Map<string, Scheme>(";
    if tools.security_schemes.is_empty() {
        return format!("{head});");
    }
    let names = tools.security_schemes.keys();
    let entries: Vec<_> = names
        .map(|name| {
            let scheme = schemes.iter().find(|scheme| scheme.name == *name);
            let members = scheme.map_or_else(|| "kind: \"unsupported\"".to_owned(), members);
            let parts = [ts_literal(name), format!("{{ {members} }}")];
            ts_list("", &parts, "", 2, false)
        })
        .collect();
    ts_list(head, &entries, ");", 0, entries.len() > 1)
}

fn members(scheme: &Scheme) -> String {
    let variable = ts_literal(&scheme.variable);
    match &scheme.kind {
        SchemeKind::ApiKey { place, name } => format!(
            "kind: \"apiKey\", variable: {variable}, in: \"{place}\", name: {}",
            ts_literal(name)
        ),
        SchemeKind::Basic => format!("kind: \"basic\", variable: {variable}"),
        SchemeKind::Bearer => format!("kind: \"bearer\", variable: {variable}"),
        SchemeKind::Digest => format!("kind: \"digest\", variable: {variable}"),
        SchemeKind::Certificate => format!("kind: \"certificate\", variable: {variable}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_npm() {
        for (name, package) in [("shop", "shop-mcp"), ("My MCP", "my-mcp"), ("…", "api-mcp")] {
            assert_eq!(package_name(name), package);
        }
    }
}
