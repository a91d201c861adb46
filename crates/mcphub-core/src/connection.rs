//! Register a server that exists already: how an MCP server is reached that mcphub did not make.
//!
//! Such a server is registered like an API, from a [`Document`]: JSON that says where it is and what
//! it listed when it was looked at. So its history, its audit entries and its archive are those of
//! every server. Secrets are no part of the document; they are [`Credentials`].

mod command;
mod limits;
mod listed;
mod remote;
mod replica;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use crate::secret::Credentials;
use crate::server::Serve;
use crate::spec::Document;
use crate::{Error, ErrorKind, Result};

pub use self::command::Command;
pub use self::limits::Limits;
pub(crate) use self::listed::{plan, planned};
pub use self::remote::Remote;
pub use self::replica::{Hedge, Replica, Zone};

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
struct Description<T> {
    connection: Connection,
    /// The definitions of `tools/list`, as the server wrote them.
    #[serde(default)]
    tools: T,
}

impl Connection {
    /// The most arguments of a command.
    pub const MAX_ARGUMENTS: usize = 1_000;

    /// What the credentials of a server at a URL call the login, and the client, of the gateway
    /// itself. Those of a user are called as that user's [`Actor`](crate::tenant::Actor).
    pub const LOGIN: &str = "mcp";

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
            replicas: Vec::new(),
            zone: None,
            hedge: None,
            issuer: None,
            per_user: false,
            limits: Box::default(),
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

    /// The same with these time-outs, and so many connections kept.
    ///
    /// # Errors
    /// `InvalidInput` for what is out of its range, for a program, and for a pause between messages
    /// over HTTP+SSE, whose one stream is of all answers.
    pub fn with_limits(mut self, limits: Limits) -> Result<Self> {
        match &mut self {
            Self::Http(remote) | Self::Sse(remote) => *remote.limits = limits,
            Self::Stdio(_) if limits.is_default() => {}
            Self::Stdio(_) => {
                return Err(Error::invalid(
                    "these time-outs, and connections that are kept, are for servers with a URL",
                ));
            }
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

    /// The same with further addresses, which are sent the credentials of the server.
    ///
    /// # Errors
    /// `InvalidInput` for a program, for an address that the server could not have or has already,
    /// for weights of more than 100 percent, and for more than [`Replica::MAX`].
    pub fn with_replicas(
        mut self,
        replicas: Vec<Replica>,
        zone: Option<Zone>,
        hedge: Option<Hedge>,
    ) -> Result<Self> {
        match &mut self {
            Self::Http(remote) => {
                (remote.replicas, remote.zone, remote.hedge) = (replicas, zone, hedge);
            }
            _ if replicas.is_empty() && zone.is_none() && hedge.is_none() => {}
            _ => {
                return Err(Error::invalid(
                    "replicas and zones are for servers over streamable HTTP",
                ));
            }
        }
        self.check()?;
        Ok(self)
    }

    /// The same, whose access tokens come from this authorization server, and where each user has
    /// one or all share the gateway's.
    ///
    /// # Errors
    /// `InvalidInput` for a program, which is let in by its variables; for an issuer that is no
    /// http(s) URL; and for users' logins over HTTP+SSE, whose connection all share.
    pub fn letting_in(mut self, issuer: Option<Url>, per_user: bool) -> Result<Self> {
        match &mut self {
            Self::Http(remote) | Self::Sse(remote) => {
                remote.issuer = issuer;
                remote.per_user = per_user;
            }
            Self::Stdio(_) if issuer.is_some() || per_user => {
                return Err(Error::invalid(
                    "logins are for servers with a URL; a program takes variables",
                ));
            }
            Self::Stdio(_) => {}
        }
        self.check()?;
        Ok(self)
    }

    /// At how many addresses it is called.
    pub const fn addresses(&self) -> usize {
        match self {
            Self::Http(remote) => 1 + remote.replicas.len(),
            Self::Sse(_) | Self::Stdio(_) => 1,
        }
    }

    /// The server at a URL that it is, if it is one.
    pub const fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Http(remote) | Self::Sse(remote) => Some(remote),
            Self::Stdio(_) => None,
        }
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
        // Whoever asks for this asks it of each server when a gateway starts.
        Ok(describe::<IgnoredAny>(document)?.connection)
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
        if matches!(self, Self::Sse(remote) if remote.per_user) {
            return Err(Error::invalid(
                "users have logins of their own over streamable HTTP; HTTP+SSE is one connection for all",
            ));
        }
        if matches!(self, Self::Sse(remote) if remote.limits.idle_timeout.is_some()) {
            return Err(Error::invalid(
                "over HTTP+SSE all answers come on one stream, which may be silent",
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

/// Where it is, for a person. Holds no secret.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(remote) | Self::Sse(remote) => {
                write!(f, "{}", remote.url)?;
                match remote.replicas.len() {
                    0 => Ok(()),
                    1 => f.write_str(" and 1 replica"),
                    replicas => write!(f, " and {replicas} replicas"),
                }
            }
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

/// The connection that a document describes, and what the server listed.
///
/// # Errors
/// `InvalidDocument` when it describes none.
pub(crate) fn read(document: &Document) -> Result<(Connection, Vec<Box<RawValue>>)> {
    let description = describe::<Vec<_>>(document)?;
    Ok((description.connection, description.tools))
}

fn describe<T: DeserializeOwned + Default>(document: &Document) -> Result<Description<T>> {
    let wrong = || {
        Error::new(
            ErrorKind::InvalidDocument,
            "the document does not describe how an MCP server is reached",
        )
        .with("document", &document.source)
    };
    let description: Description<T> =
        serde_json::from_slice(&document.bytes).map_err(|error| wrong().caused_by(error))?;
    description
        .connection
        .check()
        .map_err(|error| wrong().caused_by(error))?;
    Ok(description)
}
