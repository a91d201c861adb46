//! Launch: a program that speaks MCP over its standard input and output.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Sink;
use futures::stream::BoxStream;
use secrecy::SecretString;

use crate::server::ServerName;
use crate::{Error, Result};

/// Starts programs, and carries lines to them and from them. What the lines mean is for the gateway.
///
/// # Behavior
/// - `launch` of a program that is not there, or cannot be started, is an error that names it.
/// - Lines arrive whole and in order, in both directions.
/// - A line that is longer than the launcher takes ends the program, with an error that tells the
///   limit.
/// - When a program ends, `incoming` gives what it had written, then an error that says how it ended
///   with the last that it printed to its standard error, and then ends.
/// - When `incoming` is dropped, the program and all that it started ends: politely first, by force
///   if it takes too long.
/// - A program gets the variables given, those of the host that programs commonly need, and no other.
/// - No value of a variable shows in an error, though the program prints it.
/// - When the host ends in whatever way, so do its programs.
#[async_trait]
pub trait Launcher: Send + Sync + Debug + 'static {
    /// Starts a program. That it was started does not mean that it works.
    async fn launch(&self, launch: Launch) -> Result<Channel>;
}

/// What to start. `Debug` shows no argument and no value, which may be secrets.
#[derive(Clone)]
pub struct Launch {
    /// The server that it is.
    pub server: ServerName,
    /// A name that is looked for on `PATH`, or a path.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<SecretString>,
    /// Where it is started. Default where the host was started.
    pub directory: Option<PathBuf>,
    /// Variables for it.
    pub environment: BTreeMap<String, SecretString>,
}

impl Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("server", &self.server)
            .field("command", &self.command)
            .field("arguments", &self.arguments.len())
            .field("directory", &self.directory)
            .field("environment", &self.environment.keys())
            .finish()
    }
}

/// Lines to a peer and from it, without their line ends.
pub struct Channel {
    /// To the peer. A send is over when the peer's side has taken the line.
    pub outgoing: Pin<Box<dyn Sink<Bytes, Error = Error> + Send>>,
    /// From the peer. Dropping it ends the peer.
    pub incoming: BoxStream<'static, Result<Bytes>>,
}

impl Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}
