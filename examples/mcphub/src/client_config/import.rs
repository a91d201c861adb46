//! Servers out of the configuration file of an MCP client.
//!
//! `mcpServers` of Claude Desktop, Claude Code, Cursor, Gemini and others, `servers` of VS Code
//! (`mcp.json`, or below `mcp` in its settings), with comments and trailing commas.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use mcphub_core::connection::Connection;
use mcphub_core::secret::{Credentials, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::{Error, Result};
use serde_json::{Map, Value};
use url::Url;

use crate::credentials;

/// The largest file, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The most servers of one file.
const MAX_SERVERS: usize = 1_000;

/// A server as a file has it.
pub struct Imported {
    /// A legal name, made of the one in the file.
    pub name: ServerName,
    pub connection: Connection,
    pub credentials: Credentials,
    /// What the file says that has no meaning here.
    pub ignored: Vec<String>,
}

/// The servers of a file, in its order. One that cannot be used is an error beside the others, with
/// its name in the file; one that is disabled is left out.
///
/// # Errors
/// `InvalidInput` when the file cannot be read, or is no configuration of a client.
pub fn read(file: &Path) -> Result<Vec<(String, Result<Imported>)>> {
    let wrong = |error: Error| error.with("file", file.display());
    let unreadable =
        |error: std::io::Error| wrong(Error::invalid("the file cannot be read").caused_by(error));
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    let mut text = String::new();
    let read = opened.take(MAX_FILE + 1).read_to_string(&mut text);
    if read.map_err(unreadable)? as u64 > MAX_FILE {
        return Err(wrong(Error::invalid("the file is larger than 4 MiB")));
    }
    parse(&text, &|name| std::env::var(name).ok()).map_err(wrong)
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

fn parse(text: &str, environment: Environment<'_>) -> Result<Vec<(String, Result<Imported>)>> {
    let options = jsonc_parser::ParseOptions::default();
    let whole: Option<Value> = jsonc_parser::parse_to_serde_value(text, &options)
        .map_err(|error| Error::invalid("the file is no JSON").caused_by(error))?;
    let whole = whole.unwrap_or_default();
    let places = ["/mcpServers", "/servers", "/mcp/servers"];
    let servers = places
        .iter()
        .find_map(|place| whole.pointer(place)?.as_object());
    let servers = servers.ok_or_else(|| {
        Error::invalid("the file has neither `mcpServers` nor `servers`, as MCP clients have them")
    })?;
    if servers.len() > MAX_SERVERS {
        return Err(Error::invalid("the file has more than 1,000 servers"));
    }
    let mut taken = Vec::new();
    let mut imported = Vec::new();
    for (title, entry) in servers {
        let entry = entry.as_object().cloned().unwrap_or_default();
        if entry.get("disabled") == Some(&Value::Bool(true)) {
            continue;
        }
        let name = free_name(title, &taken);
        taken.push(name.clone());
        imported.push((title.clone(), server(name, entry, environment)));
    }
    Ok(imported)
}

fn free_name(title: &str, taken: &[ServerName]) -> ServerName {
    let stem = ServerName::new(title).unwrap_or_else(|_| ServerName::from_title(title));
    let numbered = (2..=u32::MAX).map(|number| stem.numbered(number));
    let mut candidates = std::iter::once(stem.clone()).chain(numbered);
    candidates
        .find(|name| !taken.contains(name))
        .unwrap_or(stem)
}

fn server(
    name: ServerName,
    mut entry: Map<String, Value>,
    environment: Environment<'_>,
) -> Result<Imported> {
    let mut credentials = Credentials::default();
    let variables = Variables(environment);
    let kind = text(&mut entry, "type")?.or(text(&mut entry, "transport")?);
    // Gemini says `httpUrl` where others say `url`, Windsurf `serverUrl`.
    let mut url = None;
    for member in ["url", "httpUrl", "serverUrl"] {
        url = url.or(text(&mut entry, member)?);
    }
    let connection = match (url, text(&mut entry, "command")?) {
        (Some(url), None) => {
            for (name, value) in texts(&mut entry, "headers")? {
                let header = credentials::header(&name, &variables.filled(&value)?)?;
                credentials.headers.push(header);
            }
            let url = Url::parse(&variables.filled(&url)?)
                // The text could hold a key.
                .map_err(|_| Error::invalid("the server's `url` is no URL"))?;
            let connection = Connection::http(url, &mut credentials)?;
            match kind.as_deref() {
                Some("sse") => connection.over_sse(),
                _ => connection,
            }
        }
        (None, Some(command)) => {
            let mut words = vec![variables.filled(&command)?];
            for argument in list(&mut entry, "args")? {
                words.push(variables.kept(&argument, &mut credentials.environment)?);
            }
            for (name, value) in texts(&mut entry, "env")? {
                let value = variables.filled(&value)?;
                credentials.environment.insert(name, value.into());
            }
            let folder = text(&mut entry, "cwd")?;
            let folder = folder.map(|folder| variables.filled(&folder)).transpose()?;
            Connection::stdio(words)?.in_directory(folder.map(Into::into))
        }
        _ => {
            return Err(Error::invalid("a server has either a `url` or a `command`"));
        }
    };
    if entry.contains_key("envFile") {
        return Err(Error::invalid(
            "`envFile` is not read; give its variables to `mcphub add` with --env-from",
        ));
    }
    entry.remove("disabled");
    Ok(Imported {
        name,
        connection,
        credentials,
        ignored: entry.into_iter().map(|(member, _)| member).collect(),
    })
}

fn text(entry: &mut Map<String, Value>, member: &str) -> Result<Option<String>> {
    match entry.remove(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(member)),
    }
}

fn list(entry: &mut Map<String, Value>, member: &str) -> Result<Vec<String>> {
    match entry.remove(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong(member)),
            })
            .collect(),
        Some(_) => Err(wrong(member)),
    }
}

/// Values may be numbers and booleans, as people write them.
fn texts(entry: &mut Map<String, Value>, member: &str) -> Result<BTreeMap<String, String>> {
    let members = match entry.remove(member) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(wrong(member)),
    };
    let texts = members.into_iter().map(|(name, value)| match value {
        Value::String(text) => Ok((name, text)),
        Value::Number(number) => Ok((name, number.to_string())),
        Value::Bool(value) => Ok((name, value.to_string())),
        _ => Err(wrong(member)),
    });
    texts.collect()
}

fn wrong(member: &str) -> Error {
    Error::invalid("a member of the server has another type than clients give it")
        .with("member", member)
}

/// What clients replace: `${NAME}`, `${NAME:-default}` and `${env:NAME}`.
struct Variables<'a>(Environment<'a>);

impl Variables<'_> {
    /// The text with the variables of this program's environment in place.
    fn filled(&self, text: &str) -> Result<String> {
        each(text, |variable| self.value(variable))
    }

    /// The text with `${NAME}` for each variable, whose value is kept with the server's.
    fn kept(&self, text: &str, kept: &mut BTreeMap<String, SecretString>) -> Result<String> {
        each(text, |variable| {
            let value = self.value(variable)?;
            let name = name(variable);
            kept.entry(name.to_owned()).or_insert_with(|| value.into());
            Ok(format!("${{{name}}}"))
        })
    }

    fn value(&self, variable: &str) -> Result<String> {
        if variable.starts_with("input:") {
            return Err(Error::invalid(
                "the client asks its user for a value; put it into a variable of the environment, and write ${env:NAME}",
            )
            .with("value", variable));
        }
        let default = variable.split_once(":-").map(|(_, default)| default);
        let name = name(variable);
        let known = match name {
            "userHome" => (self.0)("HOME"),
            _ => (self.0)(name),
        };
        known.or(default.map(str::to_owned)).ok_or_else(|| {
            Error::invalid("the server needs a variable that the environment does not have")
                .with("variable", name)
        })
    }
}

fn name(variable: &str) -> &str {
    let name = variable.strip_prefix("env:").unwrap_or(variable);
    name.split_once(":-").map_or(name, |(name, _)| name)
}

fn each(text: &str, mut replace: impl FnMut(&str) -> Result<String>) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((variable, after)) = after.split_once('}') else {
            break;
        };
        filled.push_str(before);
        filled.push_str(&replace(variable)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use mcphub_core::secret::ExposeSecret;
    use mcphub_core::server::Serve;

    use super::*;

    fn parsed(text: &str) -> Vec<(String, Result<Imported>)> {
        let environment = |name: &str| match name {
            "TOKEN" => Some("s3cret".to_owned()),
            "HOME" => Some("/home/me".to_owned()),
            _ => None,
        };
        parse(text, &environment).unwrap()
    }

    fn only(text: &str) -> Result<Imported> {
        parsed(text).remove(0).1
    }

    #[test]
    fn servers_of_several_clients_are_read() {
        let imported = parsed(
            r#"{
              // of a desktop client
              "mcpServers": {
                "My Files": {"command": "npx", "args": ["-y", "files", "${userHome}"], "env": {"N": 1}},
                "remote": {"type": "http", "url": "https://a.test/mcp?k=${TOKEN}", "headers": {"X-Key": "${env:TOKEN}"}},
                "old": {"type": "sse", "url": "https://a.test/sse"},
                "gemini": {"httpUrl": "https://a.test/mcp", "trust": true,},
                "off": {"command": "x", "disabled": true},
              },
            }"#,
        );
        let servers: Vec<Imported> = imported.into_iter().map(|(_, it)| it.unwrap()).collect();
        let shown: Vec<String> = servers
            .iter()
            .map(|it| {
                format!(
                    "{} {} {}",
                    it.name,
                    it.connection.serve().as_str(),
                    it.connection
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "my-files stdio npx -y files ${userHome}",
                "remote remote https://a.test/mcp",
                "old remote https://a.test/sse",
                "gemini remote https://a.test/mcp",
            ]
        );
        let files = &servers[0].credentials.environment;
        assert_eq!(files["userHome"].expose_secret(), "/home/me");
        assert_eq!(files["N"].expose_secret(), "1");
        let remote = &servers[1].credentials;
        assert_eq!(remote.headers[0].1.expose_secret(), "s3cret");
        assert_eq!(remote.query.as_ref().unwrap().expose_secret(), "k=s3cret");
        assert!(matches!(servers[2].connection, Connection::Sse(_)));
        assert_eq!(servers[3].ignored, ["trust"]);
    }

    #[test]
    fn vs_code_has_other_places_and_asks_its_user() {
        let text = r#"{"mcp": {"servers": {"a": {"type": "stdio", "command": "a"}}}}"#;
        assert_eq!(only(text).unwrap().connection.serve(), Serve::Stdio);
        let text = r#"{"servers": {"a": {"command": "a", "args": ["${input:key}"]}}}"#;
        let error = only(text).err().unwrap();
        assert!(error.report().contains("input:key"), "{}", error.report());
    }

    #[test]
    fn what_is_wrong_with_one_server_does_not_keep_others_out() {
        let imported = parsed(
            r#"{"mcpServers": {
              "neither": {},
              "both": {"url": "https://a.test", "command": "a"},
              "unset": {"command": "a", "env": {"K": "${NOWHERE}"}},
              "default": {"command": "a", "args": ["${NOWHERE:-b}"]},
              "typed": {"command": ["a"]},
              "header": {"url": "https://a.test", "headers": {"X": "s3cret\nY: 1"}}
            }}"#,
        );
        let fine: Vec<bool> = imported.iter().map(|(_, it)| it.is_ok()).collect();
        assert_eq!(fine, [false, false, false, true, false, false]);
        for (_, outcome) in &imported {
            let error = outcome
                .as_ref()
                .err()
                .map(Error::report)
                .unwrap_or_default();
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(parse("{}", &|_| None).is_err());
        assert!(parse("nothing", &|_| None).is_err());
    }

    #[test]
    fn names_are_legal_and_different() {
        let imported = parsed(
            r#"{"mcpServers": {"a b": {"command": "x"}, "A_B": {"command": "x"}, "a-b": {"command": "x"}}}"#,
        );
        let names: Vec<String> = imported
            .into_iter()
            .map(|(_, it)| it.unwrap().name.to_string())
            .collect();
        assert_eq!(names, ["a-b", "a-b-2", "a-b-3"]);
    }
}
