//! The programs that build: run within a time, with bounded output, gone when the build is.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcphub_core::deployment::LogStream;
use mcphub_core::{Error, ErrorKind, Result};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::super::environment;
use super::super::group::{Group, Start, describe};
use super::super::output::{LastOutput, Output};
use super::interpreter::{self, Interpreter};
use super::{Installer, Progress, PythonSettings};

/// How many lines of a tool's output are kept, and how many an error shows.
const KEPT_LINES: usize = 200;
const SHOWN_LINES: usize = 20;

/// What was found on this machine.
pub(super) struct Tools {
    pub uv: Option<PathBuf>,
    /// None: `uv` provides one.
    pub interpreter: Option<Interpreter>,
    search_path: OsString,
    progress: Progress,
}

impl Tools {
    /// Looks for `uv` and for a Python that is new enough.
    ///
    /// # Errors
    /// `Unavailable` when the build could not do with what there is.
    pub async fn find(
        settings: &PythonSettings,
        progress: Progress,
        deadline: Instant,
    ) -> Result<Self> {
        let search_path = settings
            .search_path
            .clone()
            .or_else(|| std::env::var_os("PATH"))
            .unwrap_or_default();
        let mut tools = Self {
            uv: None,
            interpreter: None,
            search_path,
            progress,
        };
        tools.uv = match settings.installer {
            Installer::Pip => None,
            Installer::Auto | Installer::Uv => tools.on_path("uv"),
        };
        if settings.installer == Installer::Uv && tools.uv.is_none() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "`uv` was not found; install it (https://docs.astral.sh/uv/getting-started/installation/) or let pip do its work",
            ));
        }
        tools.interpreter = interpreter::find(&tools, settings.python.as_deref(), deadline).await?;
        Ok(tools)
    }

    /// Says what the build does.
    pub fn report(&self, step: &str) {
        tracing::info!(target: "mcphub_deploy::python", "{step}");
        (self.progress)(step);
    }

    /// The executable of that name, where there is one.
    pub fn on_path(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let executable = |path: &PathBuf| {
            path.is_absolute()
                && path
                    .metadata()
                    .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        std::env::split_paths(&self.search_path)
            .map(|folder| folder.join(name))
            .find(executable)
    }

    /// Runs a program and gives the last lines of its standard output.
    pub async fn run<A: AsRef<OsStr>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        directory: &Path,
        deadline: Instant,
    ) -> Result<Vec<String>, Failure> {
        let mut environment = environment::of_tool();
        environment.push(("PATH".into(), self.search_path.clone()));
        let start = Start {
            executable: program.to_owned(),
            arguments: arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned())
                .collect(),
            directory: directory.to_owned(),
            environment,
        };
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let failure = |how: String, output| Failure {
            program: name.clone(),
            how,
            output,
        };
        let (stdout, stderr) = (
            Output::new(&name, KEPT_LINES, []),
            Output::new(&name, KEPT_LINES, []),
        );
        let (mut group, out, err) = Group::start(&start).map_err(|error| {
            failure(
                format!("cannot be started: {error}"),
                LastOutput(Vec::new()),
            )
        })?;
        let mut readers = JoinSet::new();
        readers.spawn(Arc::clone(&stdout).read(out, LogStream::Stdout));
        readers.spawn(Arc::clone(&stderr).read(err, LogStream::Stderr));
        let ended = timeout_at(deadline, group.ended()).await;
        group.kill().await;
        let _ = timeout(Duration::from_millis(500), async {
            while readers.join_next().await.is_some() {}
        })
        .await;

        let lines = stdout.tail(0, KEPT_LINES).0;
        let how = match ended {
            Ok(Ok(status)) if status.success() => return Ok(lines),
            Ok(Ok(status)) => describe(status),
            Ok(Err(error)) => format!("cannot be waited for: {error}"),
            Err(_) => "did not end in time".to_owned(),
        };
        // What went wrong is on standard error; some say it on the other.
        let mut shown = stderr.tail(0, SHOWN_LINES).0;
        if shown.is_empty() {
            shown = stdout.tail(0, SHOWN_LINES).0;
        }
        Err(failure(
            how,
            LastOutput(shown.iter().map(|line| without_user(line)).collect()),
        ))
    }
}

/// A tool that did not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    pub program: String,
    pub how: String,
    pub output: LastOutput,
}

impl Failure {
    /// Whether it printed any of these, in whatever case.
    pub fn mentions(&self, phrases: &[&str]) -> bool {
        self.output
            .0
            .iter()
            .map(|line| line.to_lowercase())
            .any(|line| phrases.iter().any(|phrase| line.contains(phrase)))
    }

    /// As an error that says what to do.
    pub fn into_error(self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message)
            .with("tool", format!("{} {}", self.program, self.how))
            .caused_by(self.output)
    }
}

/// The line without the user and password of URLs in it: a private package index has them.
fn without_user(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find("://") {
        let (before, url) = rest.split_at(start + 3);
        let end = url
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '\'' | '"' | '?' | '#'))
            .unwrap_or(url.len());
        let host = url[..end].rfind('@').map_or(0, |at| at + 1);
        shown.push_str(before);
        if host > 0 {
            shown.push_str("[redacted]@");
        }
        shown.push_str(&url[host..end]);
        rest = &url[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_of_urls_are_not_shown() {
        for (line, shown) in [
            (
                "from https://joe:s3:cret@pypi.example/simple/x and http://a/",
                "from https://[redacted]@pypi.example/simple/x and http://a/",
            ),
            (
                "'https://t0ken@host' mail@host",
                "'https://[redacted]@host' mail@host",
            ),
            ("://", "://"),
        ] {
            assert_eq!(without_user(line), shown);
        }
    }
}
