//! The configuration with which clients start or reach a generated server, for its README.

use mcphub_core::Result;
use mcphub_core::project::{Purpose, Variable};
use serde_json::{Map, Value, json};

use super::about::pretty;
use super::environment::Environment;
use super::names::snake;

/// As a process of the client. The variables are those of secrets, and that of the base URL where
/// `base_url` says that the server does not know one.
pub(super) fn stdio(
    name: &str,
    command: &str,
    arguments: &[&str],
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
    let mut server = json!({ "command": command, "args": arguments });
    if let (false, Value::Object(server)) = (variables.is_empty(), &mut server) {
        server.insert("env".to_owned(), Value::Object(variables));
    }
    config(name, server)
}

/// Over HTTP, at the port that a server listens on by default.
pub(super) fn http(name: &str) -> Result<String> {
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

/// The options with which `docker run` passes on the variables that a call needs.
pub(super) fn docker_environment(environment: &Environment, base_url: bool) -> String {
    let wanted = |variable: &&Variable| {
        matches!(variable.purpose, Purpose::Scheme(_))
            || (base_url && variable.purpose == Purpose::BaseUrl)
    };
    let names = environment.variables.iter().filter(wanted);
    names.map(|v| format!(" -e {}", v.name)).collect()
}
