//! What the templates of a project need: names resolved, texts made literals.

use indexmap::IndexMap;
use mcphub_core::Result;
use mcphub_core::project::{Purpose, RenderOptions, Variable};
use mcphub_core::tool::ToolSet;
use serde::Serialize;

use super::function::Function;
use super::literal::{bracketed, docstring, python_literal, python_text};
use super::lock;
use super::names::Names;
use crate::bundle::manifest::{Kind, Manifest, Server, Setting};
use crate::targets::SchemaFile;
use crate::targets::about::{base_url, instructions, markdown_text, one_line, pretty, tool_count};
use crate::targets::call_example;
use crate::targets::client_config;
use crate::targets::environment::{Environment, Scheme, SchemeKind};
use crate::targets::names::snake;
use crate::targets::pieces::toml_literal;
use crate::targets::registry::{Package, server_json};
use crate::targets::version::semantic;

/// A whole project.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// The name of the Python package.
    pub(super) package: String,
    /// The name of the distribution.
    distribution: String,
    version: String,
    summary_toml: String,
    /// The requirements of the project's lock, as TOML strings.
    pins: Vec<String>,
    title_markdown: String,
    api_version_markdown: String,
    tool_count: String,
    pub(super) variables: Vec<Variable>,
    stdio_config: String,
    http_config: String,
    docker_environment: String,
    // Literals of `server.py` and `settings.py`.
    name: String,
    title: String,
    instructions: String,
    base_url: String,
    schemes: String,
    base_url_name: String,
    base_url_variable: String,
    headers_name: String,
    identity_variable: String,
    identity_name: String,
    authorities_variable: String,
    authorities_name: String,
    headers_variable: String,
    bearer_variable: String,
    // Of `tools/__init__.py`.
    imports: String,
    tools: String,
    /// One for each tag, in order of appearance.
    pub(super) modules: Vec<Module>,
    /// The data file of each function.
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
    pub(super) name: String,
    docstring: String,
    typing: String,
    request: &'static str,
    fields: bool,
    /// Whether an answer may have a rest.
    rest: bool,
    pages: String,
    xml: bool,
    functions: Vec<Function>,
}

impl View {
    pub(super) fn new(tools: &ToolSet, options: &RenderOptions) -> Result<Self> {
        let stem = snake(&options.name, "api");
        let package = if stem.ends_with("_mcp") {
            stem
        } else {
            format!("{stem}_mcp")
        };
        let distribution = package.replace('_', "-");
        let base_url = base_url(tools, options.base_url.as_ref());
        let environment = Environment::new(&options.name, tools, base_url.as_deref());
        let variable = |purpose: Purpose| environment.name(&purpose).to_owned();
        let (base_url_name, headers_name) =
            (variable(Purpose::BaseUrl), variable(Purpose::Headers));
        let version = package_version(&tools.api.version);
        let (functions, modules) = modules(tools);
        let mut sorted: Vec<_> = modules.iter().map(|module| module.name.as_str()).collect();
        sorted.sort_unstable();
        Ok(Self {
            summary_toml: toml_literal(&format!(
                "An MCP server for {}",
                one_line(&tools.api.title, 200)
            )),
            title_markdown: markdown_text(&one_line(&tools.api.title, 200)),
            api_version_markdown: markdown_text(&one_line(&tools.api.version, 100)),
            tool_count: tool_count(tools),
            stdio_config: client_config::stdio(
                &options.name,
                "uv",
                &["run", "--directory", "/path/to/this/folder", &distribution],
                &environment,
                base_url.is_none(),
            )?,
            http_config: client_config::http(&options.name)?,
            docker_environment: client_config::docker_environment(&environment, base_url.is_none()),
            server_json: server_json(
                &Package {
                    registry: "pypi",
                    name: &distribution,
                    version: &version,
                    title: &tools.api.title,
                    needs_base_url: base_url.is_none(),
                },
                &environment,
            )?,
            manifest: Manifest {
                name: &distribution,
                version: &semantic(&tools.api.version),
                tools,
                server: Server {
                    kind: Kind::Uv,
                    entry_point: &format!("src/{package}/__main__.py"),
                    command: "uv",
                    arguments: ["run", "--directory", "${__dirname}", &distribution]
                        .map(str::to_owned)
                        .into(),
                },
                settings: Setting::of(&environment.variables, tools, base_url.as_deref()),
            }
            .to_json()?,
            name: python_literal(&options.name),
            title: python_text(&one_line(&tools.api.title, 200), 0, "TITLE = ".len()),
            instructions: python_text(&instructions(tools), 0, "INSTRUCTIONS = ".len()),
            base_url: base_url
                .as_deref()
                .map_or_else(|| "None".to_owned(), python_literal),
            base_url_variable: python_literal(&base_url_name),
            headers_variable: python_literal(&headers_name),
            identity_variable: python_literal(environment.name(&Purpose::Identity)),
            identity_name: environment.name(&Purpose::Identity).to_owned(),
            authorities_variable: python_literal(environment.name(&Purpose::Authorities)),
            authorities_name: environment.name(&Purpose::Authorities).to_owned(),
            bearer_variable: python_literal(environment.name(&Purpose::Bearer)),
            imports: imports(&sorted),
            pins: Vec::new(),
            tools: list(&functions),
            schemas: schemas(tools, &functions)?,
            examples: call_example::examples(tools)?,
            schemes: schemes(&environment.schemes),
            variables: environment.variables,
            version,
            package,
            distribution,
            base_url_name,
            headers_name,
            modules,
        })
    }

    /// Notes what the project's lock pins, which uv is told in another file.
    pub(super) fn pin(&mut self, lock: &str) {
        self.pins = lock::pins(lock).map(toml_literal).collect();
    }
}

/// A version as Python packages have it (PEP 440): that of the API where it is one.
fn package_version(version: &str) -> String {
    let version = version.trim().trim_start_matches('v');
    let numbers = version
        .split('.')
        .all(|part| (1..=9).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    if numbers {
        version.to_owned()
    } else {
        "0.1.0".to_owned()
    }
}

/// Functions with their modules in the order of the tools, and the modules.
fn modules(tools: &ToolSet) -> (Vec<(String, String)>, Vec<Module>) {
    let mut module_names = Names::default();
    let mut function_names = Names::default();
    let mut by_group: IndexMap<Option<&str>, (String, Vec<Function>)> = IndexMap::new();
    let mut order = Vec::new();
    for tool in &tools.tools {
        let group = tool.group();
        let (module, functions) = by_group.entry(group).or_insert_with(|| {
            let name: String = group.unwrap_or("general").chars().take(60).collect();
            (module_names.identifier(&name, "general"), Vec::new())
        });
        let function = function_names.identifier(tool.name.as_str(), "call");
        order.push((module.clone(), function.clone()));
        functions.push(Function::new(function, tool));
    }
    let modules = by_group
        .into_iter()
        .map(|(group, (name, functions))| Module::new(name, group, functions));
    (order, modules.collect())
}

impl Module {
    fn new(name: String, group: Option<&str>, functions: Vec<Function>) -> Self {
        let mentions = |word: &str| functions.iter().any(|function| function.mentions(word));
        let typing: Vec<_> = [("Any", mentions("Any")), ("Literal", mentions("Literal["))]
            .into_iter()
            .filter_map(|(name, used)| used.then_some(name))
            .collect();
        let unset = if functions.iter().any(|function| function.optional) {
            if mentions("Unset") {
                "UNSET, Request, Unset"
            } else {
                "UNSET, Request"
            }
        } else {
            "Request"
        };
        let says = |text: &str| functions.iter().any(|function| function.says(text));
        let pages: Vec<_> = ["Cursor", "Link", "Offset", "Page", "Url"]
            .into_iter()
            .filter(|name| says(&format!("next_page={name}(")))
            .collect();
        let docs = match group {
            Some(group) => format!("Tools of the group {}.", one_line(group, 60)),
            None => "Tools without a group.".to_owned(),
        };
        Self {
            docstring: docstring(&docs),
            typing: typing.join(", "),
            request: unset,
            fields: says("fields=Fields"),
            rest: says("rest=Rest.asked("),
            pages: pages.join(", "),
            xml: functions.iter().any(|function| function.has_xml),
            name,
            functions,
        }
    }
}

fn imports(modules: &[&str]) -> String {
    let line = modules.join(", ");
    if "from . import ".len() + line.len() <= super::literal::LINE {
        return line;
    }
    let lines: String = modules
        .iter()
        .map(|module| format!("    {module},\n"))
        .collect();
    format!("(\n{lines})")
}

/// A Python list with every function on a line of its own.
fn list(functions: &[(String, String)]) -> String {
    if functions.is_empty() {
        return "[]".to_owned();
    }
    let lines: String = functions
        .iter()
        .map(|(module, function)| format!("    {module}.{function},\n"))
        .collect();
    format!("[\n{lines}]")
}

fn schemas(tools: &ToolSet, functions: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let files = tools
        .tools
        .iter()
        .zip(functions)
        .map(|(tool, (_, function))| Ok((function.clone(), pretty(&SchemaFile::of(tool))?)));
    files.collect()
}

/// A Python expression: a dict of schemes by name.
fn schemes(schemes: &[Scheme]) -> String {
    if schemes.is_empty() {
        return "{}".to_owned();
    }
    let lines: String = schemes
        .iter()
        .map(|scheme| {
            let (kind, place) = match &scheme.kind {
                SchemeKind::ApiKey { place, name } => ("apiKey", Some((place, name))),
                SchemeKind::Basic => ("basic", None),
                SchemeKind::Bearer => ("bearer", None),
                SchemeKind::Digest => ("digest", None),
                SchemeKind::Certificate => ("certificate", None),
            };
            let mut arguments = vec![
                python_literal(kind),
                format!("variable={}", python_literal(&scheme.variable)),
            ];
            if let Some((place, name)) = place {
                arguments.push(format!("location={}", python_literal(place)));
                arguments.push(format!("name={}", python_literal(name)));
            }
            let head = format!("{}: Scheme(", python_literal(&scheme.name));
            format!("    {},\n", bracketed(&head, &arguments, ")", 4))
        })
        .collect();
    format!("{{\n{lines}}}")
}
