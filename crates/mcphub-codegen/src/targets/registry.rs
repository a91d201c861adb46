//! `server.json`: what the MCP registry wants to know of a server that others install.

use mcphub_core::Result;
use mcphub_core::project::{Purpose, Variable};
use serde_json::{Value, json};

use super::about::{one_line, pretty};
use super::environment::Environment;

/// The schema that the file follows.
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
/// The longest description and title in characters (schema 2025-12-11, ServerDetail).
const MAX_DESCRIPTION: usize = 100;

/// What is published.
#[derive(Debug)]
pub(super) struct Package<'a> {
    /// `npm`, `pypi` or `cargo`.
    pub(super) registry: &'a str,
    /// The name in that registry.
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// The title of the API.
    pub(super) title: &'a str,
    /// Whether the server has to be told where the API is.
    pub(super) needs_base_url: bool,
}

/// The file. Its owner is a placeholder: only the owner of a namespace can publish in it.
pub(super) fn server_json(package: &Package<'_>, environment: &Environment) -> Result<String> {
    let shown = |variable: &&Variable| {
        !matches!(
            variable.purpose,
            Purpose::Transport | Purpose::Host | Purpose::Port | Purpose::ServerToken
        )
    };
    let variables = environment.variables.iter().filter(shown).map(|variable| {
        json!({
            "name": variable.name,
            "description": variable.description.replace('`', ""),
            "isRequired": variable.purpose == Purpose::BaseUrl && package.needs_base_url,
            "isSecret": !matches!(variable.purpose, Purpose::BaseUrl | Purpose::Authorities),
        })
    });
    let title = one_line(package.title, MAX_DESCRIPTION);
    let mut server = json!({
        "$schema": SCHEMA,
        "name": format!("io.github.your-name/{}", package.name),
        "description": one_line(&format!("An MCP server for {title}"), MAX_DESCRIPTION),
        "version": package.version,
        "packages": [{
            "registryType": package.registry,
            "identifier": package.name,
            "version": package.version,
            "transport": { "type": "stdio" },
            "environmentVariables": variables.collect::<Vec<Value>>(),
        }],
    });
    if let (false, Value::Object(server)) = (title.is_empty(), &mut server) {
        server.insert("title".to_owned(), Value::String(title));
    }
    pretty(&server)
}
