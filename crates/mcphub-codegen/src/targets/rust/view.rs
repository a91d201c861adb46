//! What the templates of a project need: names resolved, texts made literals.

use indexmap::IndexMap;
use mcphub_core::Result;
use mcphub_core::project::{Purpose, RenderOptions, Variable};
use mcphub_core::tool::ToolSet;
use serde::Serialize;

use super::choice::{Choice, Choices};
use super::literal::{LINE, rust_call, rust_constant, rust_let, rust_list, rust_literal};
use super::lock::lockfile;
use super::names::{Names, TypeNames};
use super::tool::ToolType;
use crate::bundle::manifest::{Kind, Manifest, Server, Setting};
use crate::targets::SchemaFile;
use crate::targets::about::{base_url, instructions, markdown_text, one_line, pretty, tool_count};
use crate::targets::call_example;
use crate::targets::client_config;
use crate::targets::environment::{Environment, Scheme, SchemeKind};
use crate::targets::names::kebab;
use crate::targets::pieces::toml_literal;
use crate::targets::registry::{Package, server_json};
use crate::targets::version::semantic;

/// The longest name of a module in characters.
const MAX_MODULE: usize = 30;
/// The longest name of a package in characters (crates.io takes 64).
const MAX_PACKAGE: usize = 44;

/// A whole project.
#[derive(Debug, Serialize)]
pub(super) struct View {
    /// The name of the package and of its program.
    pub(super) package: String,
    /// The name of its library.
    #[serde(rename = "crate")]
    library: String,
    version: String,
    summary_toml: String,
    title_markdown: String,
    api_version_markdown: String,
    tool_count: String,
    pub(super) variables: Vec<Variable>,
    stdio_config: String,
    http_config: String,
    docker_environment: String,
    // Of `about.rs` and `settings.rs`.
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
    // Of `tools/mod.rs`.
    tools: String,
    module_names: Vec<String>,
    choices: Vec<Choice>,
    /// One for each tag, in order of appearance.
    #[serde(skip)]
    pub(super) modules: Vec<Module>,
    /// The file of each tool, by its stem.
    #[serde(skip)]
    pub(super) schemas: Vec<(String, String)>,
    /// `tests/examples.json`.
    #[serde(skip)]
    pub(super) examples: String,
    #[serde(skip)]
    pub(super) server_json: String,
    #[serde(skip)]
    pub(super) lockfile: String,
    #[serde(skip)]
    pub(super) manifest: String,
}

/// A module of tools.
#[derive(Debug, Serialize)]
pub(super) struct Module {
    pub(super) name: String,
    headline: String,
    /// What it takes of `serde_json`, and of `request`.
    json: String,
    request: String,
    choices: bool,
    style: bool,
    tools: Vec<ToolType>,
}

impl View {
    pub(super) fn new(tools: &ToolSet, options: &RenderOptions) -> Result<Self> {
        let package = package_name(&options.name);
        let base_url = base_url(tools, options.base_url.as_ref());
        let environment = Environment::new(&options.name, tools, base_url.as_deref());
        let variable = |constant: &str, purpose: Purpose| {
            let head = format!("pub const {constant}: &str");
            rust_constant(&head, environment.name(&purpose))
        };
        let version = semantic(&tools.api.version);
        let title = one_line(&tools.api.title, 200);
        let Parts {
            order,
            stems,
            modules,
            choices,
        } = Parts::of(tools)?;
        let mut module_names: Vec<_> = modules.iter().map(|m| m.name.clone()).collect();
        module_names.sort_unstable();
        Ok(Self {
            library: package.replace('-', "_"),
            summary_toml: toml_literal(&format!("An MCP server for {title}")),
            title_markdown: markdown_text(&title),
            api_version_markdown: markdown_text(&one_line(&tools.api.version, 100)),
            tool_count: tool_count(tools),
            stdio_config: client_config::stdio(
                &options.name,
                &format!("/path/to/this/folder/target/release/{package}"),
                &[],
                &environment,
                base_url.is_none(),
            )?,
            http_config: client_config::http(&options.name)?,
            docker_environment: client_config::docker_environment(&environment, base_url.is_none()),
            server_json: server_json(
                &Package {
                    registry: "cargo",
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
                    kind: Kind::Binary(None),
                    entry_point: &format!("target/release/{package}"),
                    command: &format!("${{__dirname}}/target/release/{package}"),
                    arguments: Vec::new(),
                },
                settings: Setting::of(&environment.variables, tools, base_url.as_deref()),
            }
            .to_json()?,
            name: rust_constant("pub const NAME: &str", &options.name),
            title: rust_constant("pub const TITLE: &str", &title),
            instructions: rust_constant("pub const INSTRUCTIONS: &str", &instructions(tools)),
            base_url: match &base_url {
                Some(url) => default_base_url(url),
                None => "pub const DEFAULT_BASE_URL: Option<&str> = None;".to_owned(),
            },
            base_url_variable: variable("BASE_URL", Purpose::BaseUrl),
            headers_variable: variable("HEADERS", Purpose::Headers),
            bearer_variable: variable("BEARER", Purpose::Bearer),
            identity_variable: variable("IDENTITY", Purpose::Identity),
            authorities_variable: variable("AUTHORITIES", Purpose::Authorities),
            schemas: schemas(tools, stems)?,
            examples: call_example::examples(tools)?,
            schemes: schemes(tools, &environment.schemes),
            lockfile: lockfile(&package, &version),
            variables: environment.variables,
            tools: list(&order),
            package,
            version,
            module_names,
            choices,
            modules,
        })
    }
}

fn default_base_url(url: &str) -> String {
    let arguments = [rust_literal(url).into()];
    rust_let(
        "pub const DEFAULT_BASE_URL: Option<&str>",
        "Some",
        &arguments,
        0,
    )
}

fn package_name(name: &str) -> String {
    let stem: String = kebab(name, "api").chars().take(MAX_PACKAGE).collect();
    let stem = stem.trim_end_matches('-');
    if stem.ends_with("-mcp") {
        stem.to_owned()
    } else {
        format!("{stem}-mcp")
    }
}

/// The tools in their modules.
struct Parts {
    /// The path of each type, in the order of the tools.
    order: Vec<String>,
    /// The stems of their files of schemas.
    stems: Vec<String>,
    modules: Vec<Module>,
    choices: Vec<Choice>,
}

impl Parts {
    fn of(tools: &ToolSet) -> Result<Self> {
        let (mut files, mut stems) = (Names::default(), Names::default());
        let (mut types, mut choices) = (TypeNames::default(), Choices::default());
        let mut by_group: IndexMap<Option<&str>, Module> = IndexMap::new();
        let (mut order, mut all_stems) = (Vec::new(), Vec::new());
        for tool in &tools.tools {
            let group = tool.group();
            let module = by_group.entry(group).or_insert_with(|| {
                let text: String = group
                    .unwrap_or("general")
                    .chars()
                    .take(MAX_MODULE)
                    .collect();
                Module::new(files.module(&text), group.is_some())
            });
            let stem = stems.stem(tool.name.as_str());
            let name = types.name(tool.name.as_str(), "call");
            order.push(format!("{}::{name}", module.name));
            let tool = ToolType::new(name, &stem, tool, &mut choices)?;
            module.tools.push(tool);
            all_stems.push(stem);
        }
        by_group.values_mut().for_each(Module::take);
        Ok(Self {
            order,
            stems: all_stems,
            modules: by_group.into_values().collect(),
            choices: choices.into_all(),
        })
    }
}

impl Module {
    fn new(name: String, grouped: bool) -> Self {
        Self {
            headline: match grouped {
                true => format!("Tools of the group `{name}`."),
                false => "Tools without a group.".to_owned(),
            },
            name,
            json: String::new(),
            request: String::new(),
            choices: false,
            style: false,
            tools: Vec::new(),
        }
    }

    /// Settles what it takes of other modules.
    fn take(&mut self) {
        let takes = |word: &str| self.tools.iter().any(|tool| tool.takes(word));
        let says = |text: &str| self.tools.iter().any(|tool| tool.says(text));
        let named = |names: &[(&str, bool)]| {
            let names = names.iter().filter(|(_, used)| *used);
            names.map(|(name, _)| (*name).to_owned()).collect()
        };
        let json: Vec<String> = named(&[
            ("Map", takes("Map")),
            ("Number", takes("Number")),
            ("Value", takes("Value")),
        ]);
        let request: Vec<String> = named(&[
            ("ArgumentError", true),
            ("Format", says("Format::")),
            ("HttpRequest", true),
            ("Part", says("Part::")),
            ("preset", says("preset(")),
        ]);
        let braced = |names: &[String]| match names {
            [one] => one.clone(),
            more => format!("{{{}}}", more.join(", ")),
        };
        let (choices, style) = (takes("choices::"), says("style::"));
        (self.choices, self.style) = (choices, style);
        self.request = braced(&request);
        if !json.is_empty() {
            self.json = braced(&json);
        }
    }
}

/// The statement of the list of tools.
fn list(order: &[String]) -> String {
    let makers: Vec<_> = order
        .iter()
        .map(|path| match path.len() {
            // As rustfmt breaks it, which does not count what comes after the path.
            length if length + 18 > LINE => format!("AnyTool::of::<\n        {path},\n    >"),
            _ => format!("AnyTool::of::<{path}>"),
        })
        .collect();
    rust_list("const ALL: &[Make] = ", &makers, ";", 0)
}

fn schemas(tools: &ToolSet, stems: Vec<String>) -> Result<Vec<(String, String)>> {
    let files = tools.tools.iter().zip(stems);
    files
        .map(|(tool, stem)| Ok((stem, pretty(&SchemaFile::of(tool))?)))
        .collect()
}

/// The statement of the schemes; those that no secret is for are known, too, because an API without
/// any scheme takes the bearer token everywhere.
fn schemes(tools: &ToolSet, schemes: &[Scheme]) -> String {
    let head = "pub const SCHEMES: &[Scheme] = &[";
    let names: Vec<_> = tools.security_schemes.keys().collect();
    let indent = if names.len() > 1 { 4 } else { 0 };
    let entries: Vec<_> = names
        .iter()
        .map(|name| {
            let scheme = schemes.iter().find(|scheme| scheme.name == **name);
            entry(name, scheme, indent)
        })
        .collect();
    match entries.as_slice() {
        [] => format!("{head}];"),
        [one] => format!("{head}{one}];"),
        more => {
            let lines: String = more.iter().map(|entry| format!("    {entry},\n")).collect();
            format!("{head}\n{lines}];")
        }
    }
}

fn entry(name: &str, scheme: Option<&Scheme>, indent: usize) -> String {
    let place = |place: &str, name: &str| {
        let head = format!("kind: Kind::{place}");
        let name = [rust_literal(name).into()];
        rust_call(&head, &name, "", indent + 4)
    };
    let kind = match scheme.map(|scheme| &scheme.kind) {
        Some(SchemeKind::ApiKey { place: at, name }) => match *at {
            "query" => place("Query", name),
            "cookie" => place("Cookie", name),
            _ => place("Header", name),
        },
        Some(SchemeKind::Basic) => "kind: Kind::Basic".to_owned(),
        Some(SchemeKind::Bearer) => "kind: Kind::Bearer".to_owned(),
        Some(SchemeKind::Digest) => "kind: Kind::Digest".to_owned(),
        Some(SchemeKind::Certificate) => "kind: Kind::Certificate".to_owned(),
        None => "kind: Kind::Unsupported".to_owned(),
    };
    let variable = scheme.map_or("", |scheme| scheme.variable.as_str());
    let members = [
        format!("name: {}", rust_literal(name)),
        format!("variable: {}", rust_literal(variable)),
        kind,
    ];
    let inner = " ".repeat(indent + 4);
    let lines: String = members
        .iter()
        .map(|member| format!("{inner}{member},\n"))
        .collect();
    format!("Scheme {{\n{lines}{}}}", " ".repeat(indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_cargo() {
        for (name, package) in [
            ("shop", "shop-mcp"),
            ("My MCP", "my-mcp"),
            ("2fa", "api-2fa-mcp"),
            ("…", "api-mcp"),
        ] {
            assert_eq!(package_name(name), package);
        }
    }
}
