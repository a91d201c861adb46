//! Register a server that exists already: how an MCP server is reached that mcphub did not make.
//!
//! Such a server is registered like an API, from a [`Document`]: JSON that says where it is and what
//! it listed when it was looked at. So its history, its audit entries and its archive are those of
//! every server. Secrets are no part of the document; they are [`Credentials`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use crate::deployment::Endpoint;
use crate::launch::Launch;
use crate::schema::Schema;
use crate::secret::Credentials;
use crate::server::{Serve, ServerName};
use crate::spec::{Dialect, Document, Method};
use crate::tool::{
    AnswerBinding, ApiInfo, HttpBinding, OutputShape, Tool, ToolAnnotations, ToolName, ToolSet,
};
use crate::{Error, ErrorKind, Result};

/// How an MCP server is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Connection {
    /// Over streamable HTTP (MCP 2025-03-26 and later).
    Http(Remote),
    /// Over HTTP with server-sent events (MCP 2024-11-05).
    Sse(Remote),
    /// A program that is started here and speaks over its standard input and output.
    Stdio(Command),
}

/// Which era of MCP a server is spoken to in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Era {
    /// As the server answers: 2026-07-28 where it speaks that.
    #[default]
    Auto,
    /// 2026-07-28, and no other.
    Modern,
    /// `initialize`, up to 2025-11-25: for a server that speaks both, and whose tools ask their client
    /// in the way of before.
    Legacy,
}

impl Era {
    /// All, the default first.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Modern, Self::Legacy];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Modern => "modern",
            Self::Legacy => "legacy",
        }
    }

    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

/// An MCP server at a URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Remote {
    /// Without a query: that is a credential, because it often holds a key.
    pub url: Url,
    /// How long a call may take, in seconds, 1 to 3,600. Default the gateway's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<u64>,
    /// The era that it is spoken to in. Default as it answers.
    #[serde(default, skip_serializing_if = "Era::is_auto")]
    pub era: Era,
    /// What becomes of changed tools. Default they are taken over.
    #[serde(default, skip_serializing_if = "ChangePolicy::is_default")]
    pub changes: ChangePolicy,
}

/// A program that is an MCP server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct Command {
    /// Its name on `PATH`, or its path.
    pub command: String,
    /// Its arguments. `${NAME}` is replaced with the variable that the credentials have under that
    /// name, so that a key which a program takes as an argument is kept as a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Where it is started. Default where the gateway was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// How long a call may take, in seconds, 1 to 3,600. Default the gateway's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_timeout: Option<u64>,
    /// The era that it is spoken to in. Default as it answers.
    #[serde(default, skip_serializing_if = "Era::is_auto")]
    pub era: Era,
    /// Whether each client's session has a program of its own. Default one program for all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub per_session: bool,
    /// What becomes of changed tools. Default they are taken over.
    #[serde(default, skip_serializing_if = "ChangePolicy::is_default")]
    pub changes: ChangePolicy,
}

/// What becomes of tools that a server lists otherwise than when it was registered, which is when
/// somebody saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangePolicy {
    /// They are taken over.
    #[default]
    Follow,
    /// The tools that were registered are listed as they were, until it is registered again.
    Pin,
    /// Tools that are new or changed are left out, until it is registered again.
    Quarantine,
}

impl ChangePolicy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The document of a server that is connected to.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    connection: Connection,
    /// The definitions of `tools/list`, as the server wrote them.
    #[serde(default)]
    tools: Vec<Box<RawValue>>,
}

impl Connection {
    /// The most arguments of a command.
    pub const MAX_ARGUMENTS: usize = 1_000;

    /// The longest call that can be asked for, in seconds.
    pub const MAX_CALL_TIMEOUT: u64 = 3_600;

    /// A server at a URL. A query is taken out of it and put among the credentials.
    ///
    /// # Errors
    /// `InvalidInput` for what is no http(s) URL with a host, or has a user or a fragment.
    pub fn http(mut url: Url, credentials: &mut Credentials) -> Result<Self> {
        if let Some(query) = url.query().filter(|query| !query.is_empty()) {
            credentials.query = Some(query.into());
        }
        url.set_query(None);
        let connection = Self::Http(Remote {
            url,
            call_timeout: None,
            era: Era::Auto,
            changes: ChangePolicy::default(),
        });
        connection.check()?;
        Ok(connection)
    }

    /// A program with its arguments.
    ///
    /// # Errors
    /// `InvalidInput` when there is no program.
    pub fn stdio(command: Vec<String>) -> Result<Self> {
        let mut words = command.into_iter();
        let connection = Self::Stdio(Command {
            command: words.next().unwrap_or_default(),
            args: words.collect(),
            directory: None,
            call_timeout: None,
            era: Era::Auto,
            per_session: false,
            changes: ChangePolicy::default(),
        });
        connection.check()?;
        Ok(connection)
    }

    /// The same server over HTTP with server-sent events.
    #[must_use]
    pub fn over_sse(self) -> Self {
        match self {
            Self::Http(remote) => Self::Sse(remote),
            other => other,
        }
    }

    /// The same, spoken to in this era.
    ///
    /// # Errors
    /// `InvalidInput` for the modern era over HTTP+SSE, which is of the other.
    pub fn in_era(mut self, wanted: Era) -> Result<Self> {
        match &mut self {
            Self::Http(remote) | Self::Sse(remote) => remote.era = wanted,
            Self::Stdio(command) => command.era = wanted,
        }
        self.check()?;
        Ok(self)
    }

    /// The same with a program for each session of a client, or one for all.
    ///
    /// # Errors
    /// `InvalidInput` for a server at a URL, which has sessions of its own.
    pub fn per_session(mut self, wanted: bool) -> Result<Self> {
        match &mut self {
            Self::Stdio(command) => command.per_session = wanted,
            _ if wanted => {
                return Err(Error::invalid(
                    "a program for each session is for programs; a server with a URL keeps sessions apart itself",
                ));
            }
            _ => {}
        }
        Ok(self)
    }

    /// The era that it is spoken to in.
    pub const fn era(&self) -> Era {
        match self {
            Self::Http(remote) | Self::Sse(remote) => remote.era,
            Self::Stdio(command) => command.era,
        }
    }

    /// The same with a limit for calls, in seconds.
    ///
    /// # Errors
    /// `InvalidInput` beyond [`Connection::MAX_CALL_TIMEOUT`], and for 0.
    pub fn with_call_timeout(mut self, seconds: Option<u64>) -> Result<Self> {
        match &mut self {
            Self::Http(remote) | Self::Sse(remote) => remote.call_timeout = seconds,
            Self::Stdio(command) => command.call_timeout = seconds,
        }
        self.check()?;
        Ok(self)
    }

    /// The same with another policy for changed tools.
    #[must_use]
    pub fn with_changes(mut self, policy: ChangePolicy) -> Self {
        match &mut self {
            Self::Http(remote) | Self::Sse(remote) => remote.changes = policy,
            Self::Stdio(command) => command.changes = policy,
        }
        self
    }

    /// What becomes of changed tools.
    pub const fn changes(&self) -> ChangePolicy {
        match self {
            Self::Http(remote) | Self::Sse(remote) => remote.changes,
            Self::Stdio(command) => command.changes,
        }
    }

    /// The same, started in a folder. Of a server at a URL nothing changes.
    #[must_use]
    pub fn in_directory(mut self, directory: Option<PathBuf>) -> Self {
        if let Self::Stdio(command) = &mut self {
            command.directory = directory;
        }
        self
    }

    /// How calls of such a server are made.
    pub const fn serve(&self) -> Serve {
        match self {
            Self::Http(_) | Self::Sse(_) => Serve::Remote,
            Self::Stdio(_) => Serve::Stdio,
        }
    }

    /// How long a call may take, where somebody said it.
    pub fn call_timeout(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Http(remote) | Self::Sse(remote) => remote.call_timeout,
            Self::Stdio(command) => command.call_timeout,
        };
        seconds.map(Duration::from_secs)
    }

    /// The document of a server that is reached so and listed these tools.
    ///
    /// # Errors
    /// `InvalidInput` when the connection has something that none can have.
    pub fn document(&self, tools: Vec<Box<RawValue>>) -> Result<Document> {
        self.check()?;
        let description = Description {
            connection: self.clone(),
            tools,
        };
        let text = serde_json::to_vec_pretty(&description)
            .map_err(|error| Error::internal("a connection cannot be written").caused_by(error))?;
        Ok(Document {
            source: self.to_string(),
            bytes: Bytes::from(text),
        })
    }

    /// The connection that a document describes.
    ///
    /// # Errors
    /// `InvalidDocument` when it describes none.
    pub fn from_document(document: &Document) -> Result<Self> {
        Ok(describe(document)?.connection)
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Http(remote) | Self::Sse(remote) => remote.check()?,
            Self::Stdio(command) => command.check()?,
        }
        if matches!(self, Self::Sse(remote) if remote.era == Era::Modern) {
            return Err(Error::invalid(
                "HTTP+SSE is of revision 2024-11-05, and the modern era has streamable HTTP only",
            ));
        }
        let seconds = self.call_timeout().map(|limit| limit.as_secs());
        match seconds.filter(|seconds| !(1..=Self::MAX_CALL_TIMEOUT).contains(seconds)) {
            None => Ok(()),
            Some(seconds) => {
                Err(Error::invalid("a call takes 1 to 3,600 seconds").with("seconds", seconds))
            }
        }
    }
}

impl Remote {
    /// Where it answers, with what is sent in order to be let in.
    pub fn endpoint(&self, credentials: &Credentials) -> Endpoint {
        let mut url = self.url.clone();
        if let Some(query) = &credentials.query {
            url.set_query(Some(query.expose_secret()));
        }
        let mut headers = credentials.headers.clone();
        if let Some(token) = &credentials.bearer {
            let value = format!("Bearer {}", token.expose_secret());
            headers.push(("authorization".to_owned(), value.into()));
        }
        Endpoint { url, headers }
    }

    fn check(&self) -> Result<()> {
        let url = &self.url;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::invalid(
                "an MCP server has an http(s) URL, such as https://mcp.example.com/mcp",
            )
            .with("scheme", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid(
                "a URL with a user is not taken, because URLs are shown; give an `Authorization` header",
            ));
        }
        if url.fragment().is_some() || url.query().is_some() {
            return Err(Error::invalid("the URL of an MCP server has no `#…`"));
        }
        Ok(())
    }
}

impl Command {
    /// What is started, with the variables of the credentials.
    ///
    /// # Errors
    /// `InvalidInput` for an argument that names a variable which is not given.
    pub fn launch(&self, server: &ServerName, credentials: &Credentials) -> Result<Launch> {
        let variables = &credentials.environment;
        let arguments = self.args.iter().map(|argument| fill(argument, variables));
        Ok(Launch {
            server: server.clone(),
            command: self.command.clone(),
            arguments: arguments.collect::<Result<_>>()?,
            directory: self.directory.clone(),
            environment: variables.clone(),
        })
    }

    fn check(&self) -> Result<()> {
        let texts = || std::iter::once(&self.command).chain(&self.args);
        if self.command.trim().is_empty() {
            return Err(Error::invalid("a local server needs a command to start"));
        }
        if texts().any(|text| text.contains('\0')) {
            return Err(Error::invalid("no program takes a zero character"));
        }
        if self.args.len() > Connection::MAX_ARGUMENTS {
            return Err(Error::invalid("a command has at most 1,000 arguments"));
        }
        Ok(())
    }
}

/// Where it is, for a person. Holds no secret.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(remote) | Self::Sse(remote) => write!(f, "{}", remote.url),
            Self::Stdio(command) => {
                f.write_str(&command.command)?;
                command.args.iter().try_for_each(|argument| {
                    let plain = !argument.is_empty() && !argument.contains(char::is_whitespace);
                    if plain {
                        write!(f, " {argument}")
                    } else {
                        write!(f, " {argument:?}")
                    }
                })
            }
        }
    }
}

/// An argument with its variables in place.
fn fill(argument: &str, variables: &BTreeMap<String, SecretString>) -> Result<SecretString> {
    let mut filled = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        let value = variables.get(name).ok_or_else(|| {
            Error::invalid("an argument of the server names a variable that it is not given")
                .with("variable", name)
        })?;
        filled.push_str(before);
        filled.push_str(value.expose_secret());
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled.into())
}

fn describe(document: &Document) -> Result<Description> {
    let wrong = || {
        Error::new(
            ErrorKind::InvalidDocument,
            "the document does not describe how an MCP server is reached",
        )
        .with("document", &document.source)
    };
    let description: Description =
        serde_json::from_slice(&document.bytes).map_err(|error| wrong().caused_by(error))?;
    description
        .connection
        .check()
        .map_err(|error| wrong().caused_by(error))?;
    Ok(description)
}

/// The tools that a document says its server listed, for what reads plans: search, and lists while
/// the server does not answer. What a plan has no place for is left out, and a tool without a legal
/// name or an input schema too: a server that answers lists for itself.
pub(crate) fn plan(
    document: &Document,
    name: Option<&ServerName>,
    serve: Serve,
) -> Result<ToolSet> {
    let description = describe(document)?;
    if description.connection.serve() != serve {
        return Err(Error::invalid(
            "the document describes a server that is reached in another way",
        )
        .with("serve", serve.as_str()));
    }
    let title = name.map_or_else(|| document.source.clone(), ServerName::to_string);
    let mut tools: Vec<Tool> = Vec::with_capacity(description.tools.len());
    for definition in &description.tools {
        if let Some(tool) = tool(definition).filter(|it| tools.iter().all(|t| t.name != it.name)) {
            tools.push(tool);
        }
    }
    Ok(ToolSet {
        api: ApiInfo {
            title,
            version: String::new(),
            dialect: Dialect::default(),
            description: None,
        },
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools,
    })
}

impl Tool {
    /// A tool of a server that exists already, as its plan has it; `None` for a definition that none
    /// can have.
    pub fn listed(definition: &RawValue) -> Option<Self> {
        tool(definition)
    }
}

fn tool(definition: &RawValue) -> Option<Tool> {
    let mut members: Map<String, Value> = serde_json::from_str(definition.get()).ok()?;
    let mut schema = |member: &str| match members.remove(member) {
        Some(Value::Object(object)) => Some(Schema::from_object(object)),
        _ => None,
    };
    let (input, output) = (schema("inputSchema")?, schema("outputSchema"));
    let text = |member: &str| {
        members
            .get(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let annotations = members.get("annotations");
    let hint = |hint: &str, default: bool| {
        let given = annotations.and_then(|it| it.get(hint));
        given.and_then(Value::as_bool).unwrap_or(default)
    };
    Some(Tool {
        name: ToolName::new(text("name")?).ok()?,
        title: text("title"),
        description: text("description").unwrap_or_default(),
        input,
        output,
        // The defaults of MCP 2026-07-28, ToolAnnotations.
        annotations: ToolAnnotations {
            read_only_hint: hint("readOnlyHint", false),
            destructive_hint: hint("destructiveHint", true),
            idempotent_hint: hint("idempotentHint", false),
            open_world_hint: hint("openWorldHint", true),
        },
        tags: Vec::new(),
        binding: unused(),
    })
}

/// A call of such a tool is no HTTP request of ours, but every tool has a binding.
fn unused() -> HttpBinding {
    HttpBinding {
        method: Method::Post,
        path: "/".to_owned(),
        server: None,
        parameters: Vec::new(),
        body: None,
        presets: Default::default(),
        security: Vec::new(),
        accept: "application/json".to_owned(),
        output: OutputShape::default(),
        answer: AnswerBinding::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_query_is_a_secret_and_goes_with_every_request() {
        let mut credentials = Credentials {
            bearer: Some("t0ken".into()),
            ..Credentials::default()
        };
        let connection = Connection::http(
            url("https://mcp.example.com/mcp?key=s3cret"),
            &mut credentials,
        );
        let connection = connection.unwrap();
        let document = connection.document(Vec::new()).unwrap();
        let shown = format!("{connection} {connection:?} {document:?} {credentials:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        let Connection::Http(remote) = &connection else {
            panic!("{connection:?}");
        };
        let endpoint = remote.endpoint(&credentials);
        assert_eq!(endpoint.url.query(), Some("key=s3cret"));
        let (name, value) = &endpoint.headers[0];
        assert_eq!(
            (name.as_str(), value.expose_secret()),
            ("authorization", "Bearer t0ken")
        );
        assert_eq!(Connection::from_document(&document).unwrap(), connection);
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for wrong in [
            "ftp://example.com/mcp",
            "https://user:s3cret@example.com/mcp",
            "https://example.com/mcp#part",
        ] {
            let error = Connection::http(url(wrong), &mut Credentials::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
            assert!(!error.report().contains("s3cret"), "{}", error.report());
        }
        assert!(Connection::stdio(Vec::new()).is_err());
        assert!(Connection::stdio(words(&["a\0b"])).is_err());
        let server = Connection::stdio(words(&["server"])).unwrap();
        assert!(server.clone().with_call_timeout(Some(0)).is_err());
        assert!(server.with_call_timeout(Some(3_601)).is_err());
    }

    #[test]
    fn what_was_chosen_is_kept_and_what_was_not_leaves_no_trace() {
        let server = Connection::stdio(words(&["server"])).unwrap();
        let plain = server.document(Vec::new()).unwrap();
        let text = String::from_utf8(plain.bytes.to_vec()).unwrap();
        assert!(
            !text.contains("era") && !text.contains("perSession"),
            "{text}"
        );
        let server = server.in_era(Era::Legacy).unwrap();
        let server = server.per_session(true).unwrap();
        let kept = Connection::from_document(&server.document(Vec::new()).unwrap());
        assert_eq!(kept.unwrap(), server);
        assert_eq!(server.era(), Era::Legacy);
        let remote = Connection::http(url("https://a.test/sse"), &mut Credentials::default());
        let remote = remote.unwrap().over_sse();
        assert!(remote.clone().per_session(true).is_err());
        assert!(remote.clone().in_era(Era::Modern).is_err());
        assert!(remote.in_era(Era::Legacy).is_ok());
    }

    #[test]
    fn an_argument_takes_a_variable_of_the_server_and_no_other() {
        let launch = |argument: &str| {
            let credentials = Credentials {
                environment: [("KEY".to_owned(), "s3cret".into())].into(),
                ..Credentials::default()
            };
            let connection = Connection::stdio(words(&["server", argument])).unwrap();
            let Connection::Stdio(command) = connection else {
                panic!("{connection:?}");
            };
            command.launch(&ServerName::new("x").unwrap(), &credentials)
        };
        let launched = launch("--key=${KEY}!").unwrap();
        assert_eq!(launched.arguments[0].expose_secret(), "--key=s3cret!");
        assert!(!format!("{launched:?}").contains("s3cret"));
        assert_eq!(
            launch("$KEY ${").unwrap().arguments[0].expose_secret(),
            "$KEY ${"
        );
        let error = launch("${PATH}").unwrap_err();
        assert!(error.report().contains("PATH"), "{}", error.report());
    }

    #[test]
    fn listed_tools_are_planned_and_bad_ones_left_out() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let connection = Connection::stdio(words(&["server"])).unwrap();
        let document = connection.document(vec![
            raw(
                r#"{"name":"add","inputSchema":{"type":"object","$defs":{"N":{"type":"number"}}},
                "annotations":{"readOnlyHint":true,"destructiveHint":false}}"#,
            ),
            raw(r#"{"name":"add","inputSchema":{}}"#),
            raw(r#"{"name":"no schema"}"#),
            raw("7"),
        ]);
        let document = document.unwrap();
        let set = plan(&document, None, Serve::Stdio).unwrap();
        assert_eq!(set.tools.len(), 1);
        assert!(set.tools[0].annotations.read_only_hint);
        assert!(set.tools[0].annotations.open_world_hint);
        assert_eq!(set.tools[0].input.definitions().len(), 1);
        let error = plan(&document, None, Serve::Remote).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}
