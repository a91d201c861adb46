//! What the templates of a project need: names resolved, texts made literals.

use indexmap::IndexMap;
use mcphub_core::call::{Arguments, Body, HttpRequest};
use mcphub_core::project::{Purpose, RenderOptions, Variable};
use mcphub_core::secret::{Credentials, SecretString};
use mcphub_core::tool::{OutputShape, Tool, ToolSet};
use mcphub_core::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::environment::{Environment, supported};
use super::function::Function;
use super::literal::{docstring, markdown_text, python_literal, python_text, toml_literal};
use super::names::{Names, snake};
use crate::targets::example;

/// The longest instructions in characters.
const MAX_INSTRUCTIONS: usize = 2_000;

/// A whole project.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// The name of the Python package.
    pub(super) package: String,
    /// The name of the distribution.
    distribution: String,
    version: String,
    summary_toml: String,
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
}

/// A module of tools.
#[derive(Debug, Serialize)]
pub(super) struct Module {
    pub(super) name: String,
    docstring: String,
    typing: String,
    request: &'static str,
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
        let base_url = base_url(tools, options);
        let environment = Environment::new(&options.name, tools, base_url.as_deref());
        let variable = |purpose: &Purpose| {
            let found = environment
                .variables
                .iter()
                .find(|variable| variable.purpose == *purpose);
            found
                .map(|variable| variable.name.clone())
                .unwrap_or_default()
        };
        let api_variables = environment
            .variables
            .iter()
            .filter(|v| matches!(v.purpose, Purpose::Bearer | Purpose::Scheme(_)));
        let (base_url_name, headers_name) =
            (variable(&Purpose::BaseUrl), variable(&Purpose::Headers));
        let (functions, modules) = modules(tools);
        let mut sorted: Vec<_> = modules.iter().map(|module| module.name.as_str()).collect();
        sorted.sort_unstable();
        Ok(Self {
            version: package_version(&tools.api.version),
            summary_toml: toml_literal(&format!(
                "An MCP server for {}",
                one_line(&tools.api.title, 200)
            )),
            title_markdown: markdown_text(&one_line(&tools.api.title, 200)),
            api_version_markdown: markdown_text(&one_line(&tools.api.version, 100)),
            tool_count: match tools.tools.len() {
                1 => "one tool".to_owned(),
                count => format!("{count} tools"),
            },
            stdio_config: stdio_config(
                &options.name,
                &distribution,
                &environment,
                base_url.is_none(),
            )?,
            http_config: http_config(&options.name)?,
            docker_environment: docker_environment(
                api_variables,
                base_url.is_none().then_some(&base_url_name),
            ),
            name: python_literal(&options.name),
            title: python_text(&one_line(&tools.api.title, 200), 0, "TITLE = ".len()),
            instructions: python_text(&instructions(tools), 0, "INSTRUCTIONS = ".len()),
            base_url: base_url
                .as_deref()
                .map_or_else(|| "None".to_owned(), python_literal),
            base_url_variable: python_literal(&base_url_name),
            headers_variable: python_literal(&headers_name),
            bearer_variable: python_literal(&variable(&Purpose::Bearer)),
            imports: imports(&sorted),
            tools: list(&functions),
            schemas: schemas(tools, &functions)?,
            examples: examples(tools)?,
            schemes: environment.schemes,
            variables: environment.variables,
            package,
            distribution,
            base_url_name,
            headers_name,
            modules,
        })
    }
}

/// The first absolute URL of those that the project may use by default.
fn base_url(tools: &ToolSet, options: &RenderOptions) -> Option<String> {
    let own = tools
        .servers
        .iter()
        .filter_map(|server| Url::parse(server).ok());
    let mut urls = options.base_url.iter().cloned().chain(own);
    urls.find(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .map(String::from)
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

fn one_line(text: &str, limit: usize) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(limit)
        .collect()
}

fn instructions(tools: &ToolSet) -> String {
    let mut text = format!("Tools of the HTTP API {}.", one_line(&tools.api.title, 200));
    if let Some(description) = &tools.api.description {
        text.push_str("\n\n");
        text.extend(description.trim().chars().take(MAX_INSTRUCTIONS));
    }
    text
}

/// Functions with their modules in the order of the tools, and the modules.
fn modules(tools: &ToolSet) -> (Vec<(String, String)>, Vec<Module>) {
    let mut module_names = Names::default();
    let mut function_names = Names::default();
    let mut by_tag: IndexMap<Option<&str>, (String, Vec<Function>)> = IndexMap::new();
    let mut order = Vec::new();
    for tool in &tools.tools {
        let tag = tool.tags.first().map(String::as_str);
        let (module, functions) = by_tag.entry(tag).or_insert_with(|| {
            let name: String = tag.unwrap_or("general").chars().take(60).collect();
            (module_names.identifier(&name, "general"), Vec::new())
        });
        let function = function_names.identifier(tool.name.as_str(), "call");
        order.push((module.clone(), function.clone()));
        functions.push(Function::new(function, tool));
    }
    let modules = by_tag
        .into_iter()
        .map(|(tag, (name, functions))| Module::new(name, tag, functions));
    (order, modules.collect())
}

impl Module {
    fn new(name: String, tag: Option<&str>, functions: Vec<Function>) -> Self {
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
        let docs = match tag {
            Some(tag) => format!("Tools with the tag {}.", one_line(tag, 60)),
            None => "Tools without a tag.".to_owned(),
        };
        Self {
            docstring: docstring(&docs),
            typing: typing.join(", "),
            request: unset,
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

fn pretty(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::internal("JSON cannot be written").caused_by(error))?;
    Ok(text + "\n")
}

fn schemas(tools: &ToolSet, functions: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let files = tools
        .tools
        .iter()
        .zip(functions)
        .map(|(tool, (_, function))| {
            let mut file = IndexMap::from([("inputSchema", &tool.input)]);
            file.extend(tool.output.as_ref().map(|output| ("outputSchema", output)));
            Ok((function.clone(), pretty(&file)?))
        });
    files.collect()
}

fn stdio_config(
    name: &str,
    distribution: &str,
    environment: &Environment,
    base_url: bool,
) -> Result<String> {
    let mut variables = Map::new();
    for variable in &environment.variables {
        match variable.purpose {
            Purpose::Scheme(_) => variables.insert(variable.name.clone(), json!("…")),
            Purpose::BaseUrl if base_url => {
                variables.insert(variable.name.clone(), json!("https://…"))
            }
            _ => None,
        };
    }
    let mut server = json!({
        "command": "uv",
        "args": ["run", "--directory", "/path/to/this/folder", distribution],
    });
    if let (false, Value::Object(server)) = (variables.is_empty(), &mut server) {
        server.insert("env".to_owned(), Value::Object(variables));
    }
    config(name, server)
}

fn http_config(name: &str) -> Result<String> {
    config(
        name,
        json!({"type": "http", "url": "http://127.0.0.1:8000/mcp", "headers": {"Authorization": "Bearer …"}}),
    )
}

fn config(name: &str, server: Value) -> Result<String> {
    let servers = Map::from_iter([(snake(name, "api"), server)]);
    Ok(pretty(&json!({ "mcpServers": servers }))?
        .trim_end()
        .to_owned())
}

fn docker_environment<'a>(
    secrets: impl Iterator<Item = &'a Variable>,
    base_url: Option<&String>,
) -> String {
    let scheme = secrets
        .filter(|variable| matches!(variable.purpose, Purpose::Scheme(_)))
        .map(|v| &v.name);
    base_url
        .into_iter()
        .chain(scheme)
        .map(|name| format!(" -e {name}"))
        .collect()
}

/// What a tool sends for example arguments, as `tests/test_tools.py` expects it.
#[derive(Serialize)]
struct Example {
    tool: String,
    arguments: Map<String, Value>,
    /// A body that the tool's output schema accepts.
    answer: Value,
    /// Absent where no arguments could be made.
    request: Option<ExpectedRequest>,
}

#[derive(Serialize)]
struct ExpectedRequest {
    method: &'static str,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

fn examples(tools: &ToolSet) -> Result<String> {
    let supported = tools
        .security_schemes
        .iter()
        .filter(|(_, scheme)| supported(scheme));
    let credentials = Credentials {
        schemes: supported
            .enumerate()
            .map(|(n, (name, _))| (name.clone(), secret(n)))
            .collect(),
        ..Credentials::default()
    };
    let examples: Vec<_> = tools
        .tools
        .iter()
        .map(|tool| example(tools, tool, &credentials))
        .collect();
    pretty(&examples)
}

/// As `tests/conftest.py` makes them.
fn secret(number: usize) -> SecretString {
    format!("secret {number}").into()
}

fn example(tools: &ToolSet, tool: &Tool, credentials: &Credentials) -> Example {
    let arguments = example::arguments(tool);
    let request = arguments
        .as_ref()
        .and_then(|arguments| request(tools, tool, arguments, credentials).ok());
    let answer = match tool.binding.output {
        OutputShape::Wrapped => Value::Null,
        _ => json!({}),
    };
    Example {
        tool: tool.name.as_str().to_owned(),
        arguments: arguments.unwrap_or_default(),
        answer,
        request: request.map(|request| ExpectedRequest {
            method: request.method,
            url: request.url.to_string(),
            headers: request.headers,
            body: request
                .body
                .map(|Body { bytes, .. }| String::from_utf8_lossy(&bytes).into_owned()),
        }),
    }
}

fn request(
    tools: &ToolSet,
    tool: &Tool,
    arguments: &Map<String, Value>,
    credentials: &Credentials,
) -> Result<HttpRequest> {
    let invalid = |error| Error::invalid("an example cannot be sent").caused_by(error);
    let text = Value::Object(arguments.clone()).to_string();
    let base = Url::parse("http://api.test/base").map_err(invalid)?;
    let own = tool
        .binding
        .server
        .as_deref()
        .map(|server| base.join(server))
        .transpose()
        .map_err(invalid)?;
    let mut request = tool
        .binding
        .request(own.as_ref().unwrap_or(&base), &Arguments::parse(&text)?)?;
    request.authorize(&tool.binding.security, &tools.security_schemes, credentials);
    Ok(request)
}
