//! A server that is a program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{ChangePolicy, Connection, Era};
use crate::launch::Launch;
use crate::secret::Credentials;
use crate::server::ServerName;
use crate::{Error, Result};

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

    pub(super) fn check(&self) -> Result<()> {
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
