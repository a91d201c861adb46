//! Programs that are spoken to over their standard input and output, line by line.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{sink, stream};
use mcphub_core::deployment::LogStream;
use mcphub_core::launch::{Channel, Launch, Launcher};
use mcphub_core::secret::ExposeSecret;
use mcphub_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::environment;
use super::group::{Group, SpokenTo, Start, describe};
use super::output::Output;

/// How many of the last lines of standard error an error shows.
const SHOWN_LINES: usize = 20;

/// How long a program that has closed its output may take to end by itself.
const LINGER: Duration = Duration::from_secs(1);

/// How long the standard error of an ended program is still read.
const DRAIN: Duration = Duration::from_millis(500);

/// How much is read at once, in bytes.
const CHUNK: usize = 16 * 1024;

/// Limits of a [`ProcessLauncher`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LauncherSettings {
    /// The longest line that a program may write, in bytes. Default 64 MiB.
    pub max_line: usize,
    /// How long a program may take to end after its input was closed, and again after SIGTERM,
    /// before it is killed. Default 2 s each.
    pub stop_timeout: Duration,
}

impl Default for LauncherSettings {
    fn default() -> Self {
        Self {
            max_line: 64 * 1024 * 1024,
            stop_timeout: Duration::from_secs(2),
        }
    }
}

/// Starts programs as process groups of this machine, which end with the host. Has to be used within
/// a tokio runtime.
///
/// A program that is to be looked for is looked for on the `PATH` of the host, when it is started. It
/// inherits the variables of [`INHERITED`](super::INHERITED), and those that begin with `LC_`. What it
/// prints to its standard error is traced under `mcphub_deploy::output`.
#[derive(Debug, Clone, Default)]
pub struct ProcessLauncher {
    settings: LauncherSettings,
}

impl ProcessLauncher {
    /// A launcher with these limits.
    pub fn new(settings: LauncherSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Launcher for ProcessLauncher {
    async fn launch(&self, launch: Launch) -> Result<Channel> {
        let start = start(&launch)?;
        // Which of the variables is a secret nobody says.
        let secrets = launch.environment.values();
        let printed = Output::new(launch.server.as_str(), 200, secrets.cloned());
        let cannot = |error: io::Error| {
            Error::new(ErrorKind::Unavailable, "the program cannot be started")
                .with("program", &launch.command)
                .caused_by(error)
        };
        let (group, stdin, stdout, stderr): SpokenTo =
            Group::start_spoken_to(&start).map_err(cannot)?;
        let reader = tokio::spawn(Arc::clone(&printed).read(stderr, LogStream::Stderr));
        let (lines, incoming) = mpsc::channel(1);
        let (input_open, input_closed) = mpsc::channel(1);
        let program = Program {
            name: launch.command,
            group,
            stdout,
            unread: BytesMut::new(),
            printed,
            reader,
            settings: self.settings.clone(),
        };
        tokio::spawn(program.run(lines, input_closed));
        Ok(Channel {
            outgoing: Box::pin(sink::unfold(
                (stdin, input_open),
                |(mut stdin, open), line| async {
                    write(&mut stdin, line).await?;
                    Ok((stdin, open))
                },
            )),
            incoming: Box::pin(stream::unfold(incoming, |mut incoming| async {
                incoming.recv().await.map(|line| (line, incoming))
            })),
        })
    }
}

async fn write(stdin: &mut ChildStdin, line: Bytes) -> Result<()> {
    let written = async {
        stdin.write_all(&line).await?;
        stdin.write_all(b"\n").await?;
        stdin.flush().await
    };
    written.await.map_err(|error| {
        Error::new(ErrorKind::Unavailable, "the program takes no more input").caused_by(error)
    })
}

/// A running program, and what of its output was not a whole line yet.
struct Program {
    name: String,
    group: Group,
    stdout: ChildStdout,
    unread: BytesMut,
    printed: Arc<Output>,
    reader: JoinHandle<()>,
    settings: LauncherSettings,
}

impl Program {
    /// Passes lines on until the program ends or nobody listens any more.
    async fn run(mut self, lines: mpsc::Sender<Result<Bytes>>, input: mpsc::Receiver<()>) {
        loop {
            let line = tokio::select! {
                line = self.line() => line,
                () = lines.closed() => break,
            };
            match line {
                Ok(Some(line)) => {
                    if lines.send(Ok(line)).await.is_err() {
                        break;
                    }
                }
                Ok(None) => {
                    let how = self.ended().await;
                    let error = Error::new(ErrorKind::Unavailable, format!("the program {how}"));
                    let _ = lines.send(Err(self.explain(error))).await;
                    return;
                }
                Err(error) => {
                    self.group.kill().await;
                    let _ = lines.send(Err(self.explain(error))).await;
                    return;
                }
            }
        }
        self.stop(input).await;
    }

    /// The next line without its end; `None` when the program has closed its output. May be dropped
    /// and called again.
    async fn line(&mut self) -> Result<Option<Bytes>> {
        let mut searched = 0;
        loop {
            if let Some(found) = memchr(&self.unread[searched..]) {
                let mut line = self.unread.split_to(searched + found + 1);
                line.truncate(searched + found);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                return Ok(Some(line.freeze()));
            }
            searched = self.unread.len();
            if searched > self.settings.max_line {
                return Err(
                    Error::new(ErrorKind::TooLarge, "the program writes too long a line")
                        .with("limit", self.settings.max_line)
                        .set_fault(mcphub_core::Fault::Upstream),
                );
            }
            self.unread.reserve(CHUNK);
            // A stream that fails has ended.
            if !matches!(self.stdout.read_buf(&mut self.unread).await, Ok(1..)) {
                return Ok(None);
            }
        }
    }

    /// How the program ended, which has closed its output. Nothing of it is left then.
    async fn ended(&mut self) -> String {
        let how = match timeout(LINGER, self.group.ended()).await {
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => format!("cannot be waited for ({error})"),
            Err(_) => "has closed its output".to_owned(),
        };
        self.group.kill().await;
        // Somebody who left the group may hold it open for ever.
        let _ = timeout(DRAIN, &mut self.reader).await;
        how
    }

    /// As MCP asks (2025-11-25, Lifecycle, Shutdown): its input is closed, then it is asked to end,
    /// then it is killed.
    async fn stop(mut self, mut input: mpsc::Receiver<()>) {
        let patience = self.settings.stop_timeout;
        // Closed by whoever speaks, who may be late or never do it.
        let by_itself = async {
            let _ = input.recv().await;
            let _ = self.group.ended().await;
        };
        let _ = timeout(patience, by_itself).await;
        self.group.stop(patience).await;
    }

    fn explain(&self, error: Error) -> Error {
        error
            .with("program", &self.name)
            .caused_by(self.printed.tail(0, SHOWN_LINES))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.reader.abort();
        self.printed.close();
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

fn start(launch: &Launch) -> Result<Start> {
    let directory = match &launch.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir().map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the working folder is gone").caused_by(error)
        })?,
    };
    if !directory.is_dir() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "the folder that the program is to be started in is not there",
        )
        .with("folder", directory.display()));
    }
    let arguments = launch.arguments.iter();
    Ok(Start {
        executable: executable(&launch.command, &directory)?,
        arguments: arguments
            .map(|argument| OsString::from(argument.expose_secret()))
            .collect(),
        directory,
        environment: environment::of_program(&launch.environment)?,
    })
}

/// Where a program is: a shell would say it in its own words.
fn executable(command: &str, directory: &Path) -> Result<PathBuf> {
    let found = if command.contains('/') {
        Some(directory.join(command)).filter(|path| path.is_file())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join(command))
            .find(|path| path.is_file())
    };
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            "the program is not installed, or not on PATH",
        )
        .with("program", command)
    })
}
