//! MCP servers that exist already: what flags and configuration say of them, and how they are
//! registered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mcphub_core::catalog::{CatalogServer, CatalogVersion, Upstream};
use mcphub_core::connection::{ChangePolicy, Connection, Era, Hedge, Limits, Replica, Zone};
use mcphub_core::platform::{Prepared, PublishRequest};
use mcphub_core::secret::{Credentials, Grant, SecretString, Subject, TokenExchange};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::spec::Document;
use mcphub_core::store::{CredentialStore, DocumentStore, ServerStore};
use mcphub_core::tool::ToolChoices;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::UpstreamTool;
use serde::Deserialize;
use url::Url;

use crate::cli::{Add, ApiArgs, Transport};
use crate::credentials;
use crate::host::{self, Host};

/// A server that is to be registered.
#[derive(Clone)]
pub struct Wanted {
    pub name: ServerName,
    pub connection: Connection,
    pub credentials: Credentials,
}

/// A server that was registered.
pub struct Added {
    pub name: ServerName,
    /// Where it is, for a person.
    pub place: String,
    /// The names of its tools; `None` when it was not asked.
    pub tools: Option<Vec<String>>,
    /// Whether anything differs from what was registered before.
    pub changed: bool,
}

/// A server in the configuration of `mcphub serve`. No `Debug`: values may be secrets.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configured {
    url: Option<Url>,
    headers: BTreeMap<String, String>,
    bearer_env: Option<String>,
    client_env: Option<String>,
    client_scope: Option<String>,
    exchange: Option<String>,
    issuer: Option<Url>,
    per_user: bool,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    ca_cert: Option<PathBuf>,
    command: Option<String>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    env_from: Vec<String>,
    cwd: Option<PathBuf>,
    transport: Transport,
    era: Era,
    per_session: bool,
    timeout: Option<u64>,
    changes: ChangePolicy,
    replicas: Vec<String>,
    zone: Option<Zone>,
    hedge: Option<Hedge>,
    connect_timeout: Option<u64>,
    first_byte_timeout: Option<u64>,
    idle_timeout: Option<u64>,
    total_timeout: Option<u64>,
    max_idle_connections: Option<u32>,
}

/// What can be chosen of how a server is spoken to.
struct Choices<'a> {
    /// The variable that holds an OAuth 2 client.
    client: Option<&'a str>,
    client_scope: Option<&'a str>,
    exchange: Option<TokenExchange>,
    issuer: Option<&'a Url>,
    per_user: bool,
    transport: Transport,
    era: Era,
    per_session: bool,
    timeout: Option<u64>,
    changes: ChangePolicy,
    replicas: Vec<Replica>,
    zone: Option<Zone>,
    hedge: Option<Hedge>,
    limits: Limits,
}

/// The server that the flags of `mcphub add` describe.
///
/// # Errors
/// `InvalidInput` for what does not describe one; no error shows a value.
pub fn from_flags(args: &Add) -> Result<Wanted> {
    let name = args.name.clone();
    let name = name.ok_or_else(|| Error::invalid("give the server a name"))?;
    let access = &args.access;
    let api = ApiArgs {
        headers: access.headers.clone(),
        bearer_env: access.bearer_env.clone(),
        client_cert: access.client_cert.clone(),
        client_key: access.client_key.clone(),
        ca_cert: access.ca_cert.clone(),
        ..ApiArgs::default()
    };
    let program = &args.program;
    let variables = program.variables.iter().cloned().collect();
    wanted(
        name,
        args.url.clone(),
        args.command.clone(),
        &api,
        variables,
        &program.inherited,
        program.cwd.clone(),
    )?
    .choosing(&Choices {
        client: access.client_env.as_deref(),
        client_scope: access.client_scope.as_deref(),
        exchange: access.exchange.clone(),
        issuer: access.issuer.as_ref(),
        per_user: access.per_user,
        transport: access.transport,
        era: args.era.into(),
        per_session: program.per_session,
        timeout: args.timeout,
        changes: args.changes.into(),
        replicas: args.access.replicas.clone(),
        zone: args.access.zone.clone(),
        hedge: args.access.hedge,
        limits: (&args.limits).into(),
    })
}

impl Configured {
    /// The server.
    ///
    /// # Errors
    /// As [`from_flags`].
    pub fn wanted(&self, name: &ServerName) -> Result<Wanted> {
        let headers = self.headers.iter();
        let api = ApiArgs {
            headers: headers
                .map(|(name, value)| format!("{name}: {value}"))
                .collect(),
            bearer_env: self.bearer_env.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            ca_cert: self.ca_cert.clone(),
            ..ApiArgs::default()
        };
        let command = self.command.iter().chain(&self.args).cloned().collect();
        let wanted = wanted(
            name.clone(),
            self.url.clone(),
            command,
            &api,
            self.env.clone(),
            &self.env_from,
            self.cwd.clone(),
        );
        let replicas = self.replicas.iter().map(|text| text.parse());
        let replicas = replicas.collect::<Result<_>>();
        let exchange = self.exchange.as_deref().map(str::parse).transpose();
        let choices = Choices {
            replicas: replicas.map_err(|error| error.with("server", name))?,
            zone: self.zone.clone(),
            hedge: self.hedge,
            limits: self.limits(),
            client: self.client_env.as_deref(),
            client_scope: self.client_scope.as_deref(),
            exchange: exchange.map_err(|error: Error| error.with("server", name))?,
            issuer: self.issuer.as_ref(),
            per_user: self.per_user,
            transport: self.transport,
            era: self.era,
            per_session: self.per_session,
            timeout: self.timeout,
            changes: self.changes,
        };
        let wanted = wanted.and_then(|wanted| wanted.choosing(&choices));
        wanted.map_err(|error| error.with("server", name))
    }
}

impl Configured {
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.connect_timeout = self.connect_timeout;
        limits.first_byte_timeout = self.first_byte_timeout;
        limits.idle_timeout = self.idle_timeout;
        limits.total_timeout = self.total_timeout;
        limits.max_idle_connections = self.max_idle_connections;
        limits
    }
}

impl Wanted {
    fn choosing(mut self, choices: &Choices<'_>) -> Result<Self> {
        self.credentials.clients = client(choices)?;
        if let Some(exchange) = &choices.exchange {
            if choices.transport == Transport::Sse {
                return Err(Error::invalid("tokens are exchanged over streamable HTTP"));
            }
            if choices.per_user != (exchange.subject == Subject::Login) {
                return Err(Error::invalid(
                    "an exchange for `login` takes the logins of --per-user, and one for `gateway` none",
                ));
            }
            let exchange = (Connection::LOGIN.to_owned(), exchange.clone());
            self.credentials.exchanges = [exchange].into();
        }
        if let Some(scopes) = choices.client_scope {
            let scopes = (Connection::LOGIN.to_owned(), scopes.to_owned());
            self.credentials.scopes = [scopes].into();
        }
        let connection = match (choices.transport, self.connection) {
            (Transport::Sse, Connection::Stdio(_)) => {
                return Err(Error::invalid(
                    "a program speaks over its input and output; a transport is for a server with a URL",
                ));
            }
            (Transport::Sse, connection) => connection.over_sse(),
            (Transport::Http, connection) => connection,
        };
        Ok(Self {
            connection: connection
                .in_era(choices.era)?
                .per_session(choices.per_session)?
                .with_call_timeout(choices.timeout)?
                .with_replicas(
                    choices.replicas.clone(),
                    choices.zone.clone(),
                    choices.hedge,
                )?
                .with_limits(choices.limits)?
                .with_changes(choices.changes)
                .letting_in(choices.issuer.cloned(), choices.per_user)?,
            ..self
        })
    }
}

/// The OAuth 2 client of the gateway itself.
fn client(choices: &Choices<'_>) -> Result<BTreeMap<String, SecretString>> {
    let Some(variable) = choices.client else {
        return match (choices.client_scope, &choices.exchange) {
            (None, None) => Ok(BTreeMap::new()),
            _ => Err(Error::invalid(
                "scopes and an exchange belong to a client: name it, too",
            )),
        };
    };
    if choices.issuer.is_none() {
        return Err(Error::invalid(
            "a client needs the issuer that it is registered with: its secret goes to no other",
        ));
    }
    let client = credentials::variable_value("the client", variable)?.into();
    credentials::check_client(&client, choices.exchange.is_some())
        .map_err(|error| error.with("variable", variable))?;
    Ok([(Connection::LOGIN.to_owned(), client)].into())
}

fn wanted(
    name: ServerName,
    url: Option<Url>,
    command: Vec<String>,
    api: &ApiArgs,
    variables: BTreeMap<String, String>,
    inherited: &[String],
    directory: Option<PathBuf>,
) -> Result<Wanted> {
    let mut credentials = credentials::from_flags(api)?;
    for (name, value) in variables {
        credentials.environment.insert(name, value.into());
    }
    for from in inherited {
        let (name, variable) = from.split_once('=').unwrap_or((from, from));
        let value = credentials::variable_value("--env-from", variable)?;
        credentials
            .environment
            .insert(name.to_owned(), value.into());
    }
    let for_program = !credentials.environment.is_empty() || directory.is_some();
    let connection = match (url, command.is_empty()) {
        (Some(_), _) if for_program => {
            return Err(Error::invalid(
                "variables and a working folder are for programs; a server with a URL takes headers",
            ));
        }
        (Some(url), true) => Connection::http(url, &mut credentials)?,
        (None, false) if is_for_url(&credentials) => {
            return Err(Error::invalid(
                "headers and tokens are for servers with a URL; a program takes variables",
            ));
        }
        (None, false) => {
            // Named by variables of the environment, perhaps, for whoever takes them.
            (credentials.identity, credentials.authorities) = (None, None);
            let directory = directory.map(|folder| std::path::absolute(&folder).unwrap_or(folder));
            Connection::stdio(command)?.in_directory(directory)
        }
        _ => {
            return Err(Error::invalid(
                "a server has either a URL or a command, such as `mcphub add files -- npx server`",
            ));
        }
    };
    Ok(Wanted {
        name,
        connection,
        credentials,
    })
}

fn is_for_url(credentials: &Credentials) -> bool {
    !credentials.headers.is_empty() || credentials.bearer.is_some()
}

/// Registers a server, by default after it was met.
///
/// # Errors
/// `Conflict` when an API has the name; those of meeting the server and of the store.
pub async fn add(host: &Host, wanted: Wanted, probe: bool) -> Result<Added> {
    // Before it is met, which can take its time.
    refuse_api(host, &wanted.name).await?;
    let tools = match probe {
        true => {
            let mut met = wanted.clone();
            let document = met.connection.document(Vec::new())?;
            // Logins of before stay, while the server is where it was. Meeting it may renew them, and
            // then what is kept is newer: so they are no part of what is registered here.
            met.credentials.grants = host.platform.logins_at(&met.name, &document).await?;
            Some(tools(host, &met).await?)
        }
        false => None,
    };
    register(host, wanted, tools).await
}

/// Registers a server with the tools that it listed; `None` where it was not asked.
///
/// # Errors
/// `Conflict` when an API has the name; those of the store.
pub async fn register(
    host: &Host,
    wanted: Wanted,
    tools: Option<Vec<UpstreamTool>>,
) -> Result<Added> {
    refuse_api(host, &wanted.name).await?;
    let place = wanted.connection.to_string();
    let tools = tools.as_deref();
    let definitions = tools.unwrap_or_default().iter();
    let definitions = definitions.map(|tool| tool.definition.clone()).collect();
    let request = request(&wanted, wanted.connection.document(definitions)?);
    let platform = host.platform.clone();
    let prepared = host::blocking(move || platform.prepare(request)).await?;
    let published = host.platform.publish(prepared).await?;
    Ok(Added {
        name: published.name,
        place,
        tools: tools.map(|tools| tools.iter().map(|tool| tool.name.clone()).collect()),
        changed: published.changed,
    })
}

/// A server that is registered, with what it lists now, ready to be registered again.
///
/// # Errors
/// `InvalidDocument` when the server is no MCP server elsewhere; those of meeting it and of the store.
pub async fn meet_again(host: &Host, name: &ServerName) -> Result<Prepared> {
    let document = host.store.document(name).await?;
    let document = document.ok_or_else(|| {
        Error::internal("the document of a registered server is gone").with("server", name)
    })?;
    let mut wanted = Wanted {
        name: name.clone(),
        connection: Connection::from_document(&document)?,
        credentials: host.store.credentials(name).await?,
    };
    let tools = tools(host, &wanted).await?;
    // They may have been renewed, and stay as they are kept.
    wanted.credentials.grants.clear();
    let definitions = tools.into_iter().map(|tool| tool.definition).collect();
    let request = request(&wanted, wanted.connection.document(definitions)?);
    let platform = host.platform.clone();
    host::blocking(move || platform.prepare(request)).await
}

/// Registers the tools that a server without any lists to who has this login, and gives their number.
///
/// # Errors
/// As [`meet_again`], and those of the store.
pub async fn meet_first(host: &Host, name: &ServerName, login: Grant) -> Result<usize> {
    let document = host.store.document(name).await?;
    let document = document.ok_or_else(|| Error::not_found("the server was removed"))?;
    let connection = Connection::from_document(&document)?;
    let issuer = connection.remote().and_then(|remote| remote.issuer.clone());
    let mut credentials = host.store.credentials(name).await?;
    // As they are kept: a gateway may renew them meanwhile.
    credentials.grants.clear();
    let mut shown = credentials.clone();
    shown.clients.clear();
    shown.exchanges.clear();
    shown.bearer = Some(login.access_token);
    let met = Wanted {
        name: name.clone(),
        connection: connection.clone().letting_in(issuer, false)?,
        credentials: shown,
    };
    let tools = tools(host, &met).await?;
    let wanted = Wanted {
        name: name.clone(),
        connection,
        credentials,
    };
    let number = tools.len();
    let definitions = tools.into_iter().map(|tool| tool.definition).collect();
    let request = request(&wanted, wanted.connection.document(definitions)?);
    let platform = host.platform.clone();
    let prepared = host::blocking(move || platform.prepare(request)).await?;
    host.platform.publish(prepared).await?;
    Ok(number)
}

/// Whether the server is registered just so, whatever it listed.
///
/// # Errors
/// Those of the store.
pub async fn is_registered(host: &Host, wanted: &Wanted) -> Result<bool> {
    let document = host.store.document(&wanted.name).await?;
    let known = document.and_then(|document| Connection::from_document(&document).ok());
    let mut credentials = host.store.credentials(&wanted.name).await?;
    // Nobody configures a login.
    credentials.grants.clear();
    Ok(known.as_ref() == Some(&wanted.connection) && credentials.same_as(&wanted.credentials))
}

/// An API has a document that somebody may want to keep.
async fn refuse_api(host: &Host, name: &ServerName) -> Result<()> {
    let known = match host.store.get(name).await {
        Ok(known) => known.map(|record| record.serve),
        // Planned by another version: nobody knows here what it is.
        Err(error) if error.kind() == ErrorKind::Conflict => None,
        Err(error) => return Err(error),
    };
    match known {
        Some(Serve::Native | Serve::Process) => Err(Error::new(
            ErrorKind::Conflict,
            "an API is registered under this name; choose another, or `mcphub remove` it first",
        )
        .with("name", name)),
        _ => Ok(()),
    }
}

/// The tools that a server lists, which is not registered for that.
///
/// # Errors
/// Those of meeting it.
pub async fn tools(host: &Host, wanted: &Wanted) -> Result<Vec<UpstreamTool>> {
    let empty = request(wanted, wanted.connection.document(Vec::new())?);
    let empty = host.platform.prepare(empty)?;
    let server = CatalogServer {
        name: wanted.name.clone(),
        revision: CatalogVersion::default(),
        tools: Arc::clone(empty.tools()),
        upstream: Upstream::Connected {
            connection: wanted.connection.clone(),
            credentials: wanted.credentials.clone(),
            listed: Default::default(),
        },
    };
    host.connector()?.reach(&server)?.tools().await
}

fn request(wanted: &Wanted, document: Document) -> PublishRequest {
    PublishRequest {
        document,
        name: Some(wanted.name.clone()),
        serve: wanted.connection.serve(),
        base_url: None,
        credentials: wanted.credentials.clone(),
        choices: ToolChoices::default(),
    }
}
