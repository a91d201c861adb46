//! `manifest.json` of a bundle (MCPB manifest specification 0.4).

use mcphub_core::Result;
use mcphub_core::project::{Purpose, Variable};
use mcphub_core::spec::SecurityScheme;
use mcphub_core::tool::ToolSet;
use serde_json::{Map, Value, json};

use crate::targets::about::{instructions, one_line, pretty};

/// Its name in a bundle, and in a generated project.
pub(crate) const MANIFEST: &str = "manifest.json";
const VERSION: &str = "0.4";
/// The longest description of a tool, and the longest title, in characters.
const MAX_DESCRIPTION: usize = 200;
const MAX_TITLE: usize = 100;

/// What a bundle is, and how it is started.
#[derive(Debug)]
pub(crate) struct Manifest<'a> {
    pub(crate) name: &'a str,
    /// Semantic Versioning 2.0.0.
    pub(crate) version: &'a str,
    pub(crate) tools: &'a ToolSet,
    pub(crate) server: Server<'a>,
    pub(crate) settings: Vec<Setting>,
}

/// How a client starts it. `${__dirname}` is where the bundle was unpacked.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) entry_point: &'a str,
    pub(crate) command: &'a str,
    pub(crate) arguments: Vec<String>,
}

/// What runs it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind<'a> {
    /// uv, which the client brings, as it brings Python and the dependencies.
    Uv,
    /// Node.js, which the client brings.
    Node,
    /// Itself, on one platform: `darwin`, `linux` or `win32`; `None` until it is built.
    Binary(Option<&'a str>),
}

/// What the client asks its user for.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) key: String,
    /// The environment variable that the server gets it in; `None` where an argument has it.
    pub(crate) variable: Option<String>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) required: bool,
    pub(crate) secret: bool,
    /// What it is when nothing is said.
    pub(crate) default: String,
}

impl Setting {
    /// What a generated project reads from its environment, as far as a user of a desktop client has
    /// to do with it.
    pub(crate) fn of(variables: &[Variable], tools: &ToolSet, base_url: Option<&str>) -> Vec<Self> {
        let bearer = tools.security_schemes.is_empty();
        let mut schemes = tools.security_schemes.values();
        let certificates = schemes.any(|scheme| matches!(scheme, SecurityScheme::MutualTls));
        let settings = variables.iter().filter_map(|variable| {
            let (title, required, secret) = match &variable.purpose {
                Purpose::BaseUrl => ("Base URL".to_owned(), base_url.is_none(), false),
                Purpose::Headers => ("Headers".to_owned(), false, true),
                Purpose::Bearer if bearer => ("Bearer token".to_owned(), false, true),
                Purpose::Scheme(name) => (one_line(name, MAX_TITLE), false, true),
                Purpose::Identity if certificates => ("Client certificate".to_owned(), false, true),
                _ => return None,
            };
            let default = match variable.purpose {
                Purpose::BaseUrl => base_url.unwrap_or_default(),
                _ => "",
            };
            Some(Self {
                key: variable.name.to_ascii_lowercase(),
                variable: Some(variable.name.clone()),
                title,
                description: variable.description.replace('`', ""),
                required,
                secret,
                default: default.to_owned(),
            })
        });
        settings.collect()
    }

    /// How arguments and variables refer to it.
    pub(crate) fn reference(&self) -> String {
        format!("${{user_config.{}}}", self.key)
    }

    /// A setting without a default would reach the server as the text of the reference.
    fn to_value(&self) -> Value {
        let mut setting = json!({
            "type": "string",
            "title": self.title,
            "description": self.description,
            "required": self.required,
            "sensitive": self.secret,
        });
        if let (false, Value::Object(setting)) = (self.required, &mut setting) {
            setting.insert("default".to_owned(), self.default.clone().into());
        }
        setting
    }
}

impl Manifest<'_> {
    /// The file. Its author is a placeholder: nobody knows who will publish it.
    pub(crate) fn to_json(&self) -> Result<String> {
        let title = one_line(&self.tools.api.title, MAX_TITLE);
        let (kind, compatibility) = match self.server.kind {
            Kind::Uv => (
                "uv",
                json!({"platforms": ["darwin", "win32", "linux"], "runtimes": {"python": ">=3.10"}}),
            ),
            Kind::Node => (
                "node",
                json!({"platforms": ["darwin", "win32", "linux"], "runtimes": {"node": ">=22.18.0"}}),
            ),
            Kind::Binary(platform) => {
                let platforms: Vec<_> = platform.into_iter().collect();
                ("binary", json!({ "platforms": platforms }))
            }
        };
        let variables: Map<String, Value> = self
            .settings
            .iter()
            .filter_map(|setting| Some((setting.variable.clone()?, setting.reference().into())))
            .collect();
        let settings: Map<String, Value> = self
            .settings
            .iter()
            .map(|setting| (setting.key.clone(), setting.to_value()))
            .collect();
        let tools = self.tools.tools.iter().map(|tool| {
            json!({
                "name": tool.name,
                "description": one_line(tool.description.lines().next().unwrap_or_default(), MAX_DESCRIPTION),
            })
        });
        pretty(&json!({
            "manifest_version": VERSION,
            "name": self.name,
            "display_name": if title.is_empty() { self.name } else { &title },
            "version": self.version,
            "description": format!("An MCP server for {title}").trim_end(),
            "long_description": instructions(self.tools),
            "author": { "name": "your-name" },
            "server": {
                "type": kind,
                "entry_point": self.server.entry_point,
                "mcp_config": {
                    "command": self.server.command,
                    "args": self.server.arguments,
                    "env": variables,
                },
            },
            "tools": tools.collect::<Vec<_>>(),
            "compatibility": compatibility,
            "user_config": settings,
        }))
    }
}
