//! Which of a document's servers is called, and with which variables (OpenAPI 3.0.4, Server Object
//! and Server Variable Object).
//!
//! A choice changes the document before it is read, as an overlay does, so that what is stored and
//! planned is the document as it was chosen. A pure function.

use std::collections::BTreeMap;

use mcphub_core::spec::Document;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use crate::openapi::{ParserSettings, read_value};

/// The longest value of a variable in bytes.
const MAX_VALUE: usize = 2_048;

/// A choice among what a document offers. The default is the document's own: its first server, and
/// the default of each variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerChoice {
    /// One of the document's servers: its number from 1 on, its URL as the document writes it, or
    /// its name (3.2). Path items and operations with servers of their own keep these.
    pub server: Option<String>,
    /// Values of server variables by name, at every level of the document.
    pub variables: BTreeMap<String, String>,
}

impl ServerChoice {
    /// Whether this is the document's own.
    pub fn is_empty(&self) -> bool {
        self.server.is_none() && self.variables.is_empty()
    }
}

/// The document with its servers as chosen: the chosen one is the first of its list, and the values
/// of variables are their defaults.
///
/// # Errors
/// - `InvalidInput`, with what there is to choose from: no such server, no such variable, a value
///   that the variable's `enum` does not have in a server that would be called, or one over 2,048
///   bytes.
/// - `Unsupported` for Swagger 2.0, which has no `servers`.
/// - Those of reading the document.
pub fn choose(
    document: Document,
    choice: &ServerChoice,
    settings: &ParserSettings,
) -> Result<Document> {
    if choice.is_empty() {
        return Ok(document);
    }
    let mut root = read_value(&document.bytes, settings)
        .map_err(|error| error.with("source", &document.source))?;
    if root.get("swagger").is_some() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "Swagger 2.0 has no `servers` to choose from; say where the API is with a base URL",
        ));
    }
    if let Some(wanted) = &choice.server {
        pick(root.get_mut("servers"), wanted)?;
    }
    for (name, value) in &choice.variables {
        set(&mut root, name, value)?;
    }
    let bytes = serde_json::to_vec(&root)
        .map_err(|error| Error::internal("the document cannot be written").caused_by(error))?;
    Ok(Document {
        source: document.source,
        bytes: bytes.into(),
    })
}

/// Moves one server before the others.
fn pick(servers: Option<&mut Value>, wanted: &str) -> Result<()> {
    let no_servers = &mut Vec::new();
    let servers = servers.and_then(Value::as_array_mut).unwrap_or(no_servers);
    let is = |server: &Value, key: &str| server.get(key).and_then(Value::as_str) == Some(wanted);
    let number = wanted.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    let found = number
        .filter(|index| *index < servers.len())
        .or_else(|| servers.iter().position(|server| is(server, "name")))
        .or_else(|| servers.iter().position(|server| is(server, "url")));
    match found {
        Some(index) => {
            servers[..=index].rotate_right(1);
            Ok(())
        }
        None => {
            let offered = servers.iter().enumerate().map(|(index, server)| {
                let url = server.get("url").and_then(Value::as_str);
                format!("{} {}", index + 1, url.unwrap_or_default())
            });
            let error = Error::invalid("the document has no such server").with("server", wanted);
            Err(offers(error, offered.collect()))
        }
    }
}

/// Makes a value the default of every variable of that name that may have it.
fn set(root: &mut Value, name: &str, value: &str) -> Result<()> {
    if value.len() > MAX_VALUE {
        let error = Error::invalid(format!("a server variable has at most {MAX_VALUE} bytes"));
        return Err(error.with("variable", name));
    }
    let mut seen = Seen::default();
    each_list(root, &mut |servers| {
        for (index, server) in servers.iter_mut().enumerate() {
            if let Value::Object(server) = server {
                seen.server(server, index == 0, name, value);
            }
        }
    });
    if seen.found && seen.refused.is_none() {
        return Ok(());
    }
    let error = match seen.refused {
        Some(allowed) => offers(
            Error::invalid("the server variable cannot have this value").with("value", value),
            allowed,
        ),
        None => offers(
            Error::invalid("no server of the document has this variable"),
            seen.names,
        ),
    };
    Err(error.with("variable", name))
}

fn offers(error: Error, mut offered: Vec<String>) -> Error {
    const SHOWN: usize = 20;
    let more = offered.len().saturating_sub(SHOWN);
    offered.truncate(SHOWN);
    if more > 0 {
        offered.push(format!("{more} more"));
    }
    error.with(
        "there is",
        if offered.is_empty() {
            "none".to_owned()
        } else {
            offered.join(", ")
        },
    )
}

/// What was met on the way.
#[derive(Default)]
struct Seen {
    /// Whether the value was set anywhere.
    found: bool,
    /// What a server that would be called allows instead.
    refused: Option<Vec<String>>,
    /// The variables that there are.
    names: Vec<String>,
}

impl Seen {
    fn server(&mut self, server: &mut Map<String, Value>, called: bool, name: &str, value: &str) {
        let url = server.get("url").and_then(Value::as_str);
        let names: Vec<String> = url.into_iter().flat_map(placeholders).collect();
        let used = names.iter().any(|known| known == name);
        for known in names {
            if !self.names.contains(&known) {
                self.names.push(known);
            }
        }
        if !used {
            return;
        }
        let variables = server.entry("variables").or_insert_with(|| json!({}));
        let Value::Object(variables) = variables else {
            return;
        };
        let variable = variables
            .entry(name)
            .or_insert_with(|| json!({"default": value}));
        let allowed: Vec<String> = variable
            .get("enum")
            .and_then(Value::as_array)
            .map(|allowed| allowed.iter().map(text).collect())
            .unwrap_or_default();
        if !allowed.is_empty() && !allowed.iter().any(|allowed| allowed == value) {
            if called {
                self.refused = Some(allowed);
            }
            return;
        }
        if let Value::Object(variable) = variable {
            variable.insert("default".to_owned(), value.into());
            self.found = true;
        }
    }
}

/// The text of a value that documents write as a number, too.
fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The names in braces.
fn placeholders(url: &str) -> Vec<String> {
    let after = url.split('{').skip(1);
    let names = after.filter_map(|rest| rest.split_once('}').map(|(name, _)| name.to_owned()));
    names.collect()
}

/// Visits the servers of the document, of its path items and of their operations.
fn each_list(root: &mut Value, visit: &mut dyn FnMut(&mut Vec<Value>)) {
    of(root, visit);
    if let Some(Value::Object(paths)) = root.get_mut("paths") {
        items(paths, visit);
    }
    if let Some(Value::Object(shared)) = root.pointer_mut("/components/pathItems") {
        items(shared, visit);
    }
}

fn items(items: &mut Map<String, Value>, visit: &mut dyn FnMut(&mut Vec<Value>)) {
    for (_, item) in items.iter_mut() {
        of(item, visit);
        let Value::Object(item) = item else { continue };
        for (key, member) in item.iter_mut() {
            // 3.2.0, Path Item Object: methods that have no member of their own.
            if key == "additionalOperations" {
                let operations = member.as_object_mut().into_iter().flatten();
                operations.for_each(|(_, operation)| of(operation, visit));
            } else {
                of(member, visit);
            }
        }
    }
}

fn of(holder: &mut Value, visit: &mut dyn FnMut(&mut Vec<Value>)) {
    if let Some(Value::Array(servers)) = holder.get_mut("servers") {
        visit(servers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::OpenApiParser;
    use mcphub_core::spec::SpecParser;

    fn api() -> Value {
        json!({
            "openapi": "3.2.0", "info": {"title": "A", "version": "1"},
            "servers": [
                {"url": "https://{region}.a.test:{port}/v1", "variables": {
                    "region": {"default": "eu", "enum": ["eu", "us"]}, "port": {"default": 443, "enum": [443, 8443]}}},
                {"name": "test", "url": "https://sandbox.a.test/{tenant}"},
            ],
            "paths": {"/x": {
                "servers": [{"url": "https://{region}.files.test", "variables": {"region": {"default": "eu"}}}],
                "get": {"operationId": "x", "responses": {}},
                "put": {"operationId": "y", "responses": {}, "servers": [
                    {"url": "https://y.test/{region}", "variables": {"region": {"enum": ["eu", "us"]}}}]},
            }},
        })
    }

    fn chosen(
        value: &Value,
        server: Option<&str>,
        variables: &[(&str, &str)],
    ) -> Result<Vec<String>> {
        let choice = ServerChoice {
            server: server.map(str::to_owned),
            variables: variables
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        let document = Document {
            source: "api.json".to_owned(),
            bytes: value.to_string().into(),
        };
        let document = choose(document, &choice, &ParserSettings::default())?;
        let spec = OpenApiParser::default().parse(&document)?.spec;
        let operations = spec
            .operations
            .iter()
            .flat_map(|operation| &operation.servers);
        Ok(spec
            .servers
            .iter()
            .take(1)
            .chain(operations)
            .cloned()
            .collect())
    }

    #[test]
    fn a_variable_is_set_at_every_level_that_has_it() {
        let before = chosen(&api(), None, &[]).unwrap();
        assert_eq!(
            before,
            [
                "https://eu.a.test:443/v1",
                "https://eu.files.test",
                "https://y.test/eu"
            ]
        );
        let after = chosen(&api(), None, &[("region", "us"), ("port", "8443")]).unwrap();
        assert_eq!(
            after,
            [
                "https://us.a.test:8443/v1",
                "https://us.files.test",
                "https://y.test/us"
            ]
        );
    }

    #[test]
    fn a_server_is_chosen_by_number_url_or_name() {
        for server in ["2", "test", "https://sandbox.a.test/{tenant}"] {
            let urls = chosen(&api(), Some(server), &[("tenant", "acme")]).unwrap();
            assert_eq!(urls[0], "https://sandbox.a.test/acme", "{server}");
        }
        for server in ["0", "3", "https://a.test"] {
            let error = chosen(&api(), Some(server), &[]).unwrap_err().to_string();
            assert!(
                error.contains("2 https://sandbox.a.test/{tenant}"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_there_is_not_is_refused_with_what_there_is() {
        let refused = |name, value| {
            chosen(&api(), None, &[(name, value)])
                .unwrap_err()
                .to_string()
        };
        let error = refused("regoin", "us");
        assert!(
            error.contains("regoin") && error.contains("region, port, tenant"),
            "{error}"
        );
        let error = refused("region", "mars");
        assert!(
            error.contains("mars") && error.contains("eu, us"),
            "{error}"
        );
        let error = refused("tenant", &"x".repeat(3_000));
        assert!(error.contains("2048"), "{error}");
        let swagger =
            json!({"swagger": "2.0", "info": {"title": "A", "version": "1"}, "paths": {}});
        let error = chosen(&swagger, Some("1"), &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_value_that_only_an_uncalled_server_refuses_is_fine() {
        let value = json!({
            "openapi": "3.0.4", "info": {"title": "A", "version": "1"}, "paths": {},
            "servers": [
                {"url": "https://a.test/{v}"},
                {"url": "https://b.test/{v}", "variables": {"v": {"default": "1", "enum": ["1"]}}},
            ],
        });
        assert_eq!(
            chosen(&value, None, &[("v", "2")]).unwrap(),
            ["https://a.test/2"]
        );
    }
}
