//! One start of a server: from the command to the first answer.

use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use mcphub_core::deployment::LogStream;
use mcphub_core::{Error, ErrorKind, Result};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::group::{Group, describe};
use super::probe;
use super::supervisor::Unit;

/// How many of the last lines an error shows.
const SHOWN_LINES: usize = 20;
/// How long the output of an ended process is still read.
const DRAIN: Duration = Duration::from_millis(500);

/// A process that was started. Dropping it kills it with all that it started.
pub(super) struct Instance {
    group: Group,
    readers: JoinSet<()>,
}

impl Instance {
    /// Starts the unit's command on the unit's port and waits until it answers MCP.
    ///
    /// # Errors
    /// `Upstream` when it ends first, `Timeout` when it takes longer than the spec allows, `Conflict`
    /// when the unit is stopped meanwhile. Nothing of it is left then.
    pub async fn start(unit: &Unit) -> Result<Self> {
        let start = unit.command()?;
        let endpoint = unit.endpoint();
        let mark = unit.output.mark();
        let (group, stdout, stderr) = Group::start(&start).map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "the server's process cannot be started",
            )
            .with("program", start.executable.display())
            .caused_by(error)
        })?;
        let mut readers = JoinSet::new();
        readers.spawn(Arc::clone(&unit.output).read(stdout, LogStream::Stdout));
        readers.spawn(Arc::clone(&unit.output).read(stderr, LogStream::Stderr));
        let mut instance = Self { group, readers };

        let mut last = String::from("it was not asked yet");
        let wait = timeout(
            unit.spec.ready_timeout,
            probe::until_ready(&endpoint, &mut last),
        );
        let problem = tokio::select! {
            biased;
            () = unit.stop.cancelled() => Err(Error::new(ErrorKind::Conflict, "the server was stopped while it started")),
            status = instance.group.ended() => {
                let how = status.map_or_else(|error| format!("cannot be waited for ({error})"), describe);
                Err(Error::new(ErrorKind::Upstream, format!("the server `{}` {how} before it was ready", unit.spec.name)))
            }
            ready = wait => ready.unwrap_or_else(|_| {
                let message = format!("the server `{}` was not ready within {:?}", unit.spec.name, unit.spec.ready_timeout);
                Err(Error::new(ErrorKind::Timeout, message).with("last attempt", &last))
            }),
        };
        // Somebody else may have answered on the port of a process that could not get it.
        let error = match problem {
            Ok(()) if instance.group.is_running() => return Ok(instance),
            Ok(()) => Error::new(
                ErrorKind::Upstream,
                format!("the server `{}` ended before it was ready", unit.spec.name),
            ),
            Err(error) => error,
        };
        instance.kill().await;
        Err(error
            .caused_by(unit.output.tail(mark, SHOWN_LINES))
            .during("deployer::start"))
    }

    /// Waits until the process ends by itself; then nothing of it is left, and its output was read.
    pub async fn ended(&mut self) -> String {
        let how = self.group.ended().await;
        self.kill().await;
        how.map_or_else(
            |error: std::io::Error| error.to_string(),
            |status: ExitStatus| describe(status),
        )
    }

    /// Asks the process to end, kills it after `patience`.
    pub async fn stop(mut self, patience: Duration) {
        self.group.stop(patience).await;
        self.drain().await;
    }

    async fn kill(&mut self) {
        self.group.kill().await;
        self.drain().await;
    }

    /// Somebody who left the group may hold the pipes open for ever.
    async fn drain(&mut self) {
        let rest = async { while self.readers.join_next().await.is_some() {} };
        let _ = timeout(DRAIN, rest).await;
        self.readers.abort_all();
    }
}
