//! A virtual environment for one set of dependencies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcphub_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::interpreter::{Interpreter, Version, too_old};
use super::lock::Lock;
use super::tool::{Failure, Tools};
use super::{cannot_write, prune, wipe};

/// Part of every key: grows when environments of an earlier release are no longer fit.
const LAYOUT: &str = "1";
/// Written last.
pub(super) const MARKER: &str = "mcphub-whole";

/// What a project needs.
pub(super) struct Dependencies {
    requirements: Vec<String>,
    minimum_python: Version,
}

/// Whether an environment was finished and its interpreter is still there.
pub(super) fn is_whole(root: &Path, key: &str) -> bool {
    let environment = folder(root, key);
    // `metadata` follows the link to the interpreter, which an upgrade of the system may remove.
    environment.join(MARKER).is_file() && interpreter_of(root, key).metadata().is_ok()
}

/// Says that an environment is used now. Where the folder may not be written it is not pruned either.
pub(super) fn note_use(root: &Path, key: &str) {
    let _ = prune::note_use(&folder(root, key).join(MARKER));
}

/// The interpreter of an environment.
pub(super) fn interpreter_of(root: &Path, key: &str) -> PathBuf {
    folder(root, key).join("bin").join("python")
}

fn folder(root: &Path, key: &str) -> PathBuf {
    root.join("environments").join(key)
}

impl Dependencies {
    /// The order they are written in does not matter.
    pub fn new(mut requirements: Vec<String>, minimum_python: Version) -> Self {
        requirements.sort();
        requirements.dedup();
        Self {
            requirements,
            minimum_python,
        }
    }

    /// Makes the environment unless it is there, and gives its key.
    pub async fn install(&self, root: &Path, tools: &Tools, deadline: Instant) -> Result<String> {
        if let Some(interpreter) = tools
            .interpreter
            .as_ref()
            .filter(|it| it.version < self.minimum_python && tools.uv.is_none())
        {
            return Err(too_old(interpreter, self.minimum_python));
        }
        let interpreter = tools
            .interpreter
            .as_ref()
            .filter(|it| it.version >= self.minimum_python);
        let key = self.key(interpreter);
        let lock = Arc::new(Lock::take(root, &format!("environment-{key}"), deadline).await?);
        if is_whole(root, &key) {
            // Before a build says that it takes it.
            note_use(root, &key);
            return Ok(key);
        }
        let environment = folder(root, &key);
        let requirements = self.requirements.join("\n") + "\n";
        let (prepared, held) = (environment.clone(), Arc::clone(&lock));
        tokio::task::spawn_blocking(move || {
            let _held = held;
            wipe(&prepared)?;
            std::fs::create_dir_all(prepared.parent().unwrap_or(&prepared))
        })
        .await
        .map_err(|error| {
            Error::internal("the clearing of an environment was interrupted").caused_by(error)
        })?
        .map_err(|error| cannot_write(&environment, error))?;

        match (&tools.uv, interpreter) {
            (Some(uv), _) => {
                self.with_uv(
                    tools,
                    uv,
                    interpreter,
                    &environment,
                    &requirements,
                    deadline,
                )
                .await?
            }
            (None, Some(python)) => {
                self.with_pip(tools, python, &environment, &requirements, deadline)
                    .await?
            }
            (None, None) => {
                return Err(Error::internal(
                    "an environment was to be made without uv and without Python",
                ));
            }
        }
        std::fs::write(environment.join(MARKER), requirements)
            .map_err(|error| cannot_write(&environment, error))?;
        Ok(key)
    }

    /// `uv` is told everything that would otherwise depend on the folder it runs in.
    async fn with_uv(
        &self,
        tools: &Tools,
        uv: &Path,
        interpreter: Option<&Interpreter>,
        environment: &Path,
        requirements: &str,
        deadline: Instant,
    ) -> Result<()> {
        let (major, minor) = self.minimum_python;
        let python = match interpreter {
            Some(interpreter) => interpreter.executable.clone().into_os_string(),
            None => format!(">={major}.{minor}").into(),
        };
        tools.report("creating a virtual environment with uv");
        let arguments = [
            "venv".as_ref(),
            "--no-project".as_ref(),
            "--python".as_ref(),
            python.as_os_str(),
            environment.as_os_str(),
        ];
        tools
            .run(uv, arguments, parent(environment), deadline)
            .await
            .map_err(|failure| explain(failure, interpreter))?;
        if self.requirements.is_empty() {
            return Ok(());
        }
        let (file, python) = (
            write_requirements(environment, requirements)?,
            environment.join("bin").join("python"),
        );
        tools.report(&format!(
            "installing {} with uv",
            self.requirements.join(", ")
        ));
        let arguments = [
            "pip".as_ref(),
            "install".as_ref(),
            "--compile-bytecode".as_ref(),
            "--python".as_ref(),
            python.as_os_str(),
            "--requirement".as_ref(),
            file.as_os_str(),
        ];
        tools
            .run(uv, arguments, environment, deadline)
            .await
            .map_err(|failure| explain(failure, interpreter))?;
        Ok(())
    }

    async fn with_pip(
        &self,
        tools: &Tools,
        interpreter: &Interpreter,
        environment: &Path,
        requirements: &str,
        deadline: Instant,
    ) -> Result<()> {
        let needs_pip = !self.requirements.is_empty();
        if needs_pip && !interpreter.has_pip {
            let (major, minor) = interpreter.version;
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("Python {major}.{minor} cannot create virtual environments with pip; install the rest of it \
                         (Debian, Ubuntu: apt-get install python3-venv) or install uv"),
            )
            .with("python", interpreter.executable.display()));
        }
        tools.report("creating a virtual environment");
        let mut arguments = vec!["-I".as_ref(), "-m".as_ref(), "venv".as_ref()];
        if !needs_pip {
            arguments.push("--without-pip".as_ref());
        }
        arguments.push(environment.as_os_str());
        tools
            .run(
                &interpreter.executable,
                arguments,
                parent(environment),
                deadline,
            )
            .await
            .map_err(|failure| explain(failure, Some(interpreter)))?;
        if !needs_pip {
            return Ok(());
        }
        let (file, python) = (
            write_requirements(environment, requirements)?,
            environment.join("bin").join("python"),
        );
        tools.report(&format!(
            "installing {} with pip (uv would be quicker)",
            self.requirements.join(", ")
        ));
        let arguments = [
            "-m".as_ref(),
            "pip".as_ref(),
            "install".as_ref(),
            "--requirement".as_ref(),
            file.as_os_str(),
        ];
        tools
            .run(&python, arguments, environment, deadline)
            .await
            .map_err(|failure| explain(failure, Some(interpreter)))?;
        Ok(())
    }

    fn key(&self, interpreter: Option<&Interpreter>) -> String {
        let python = match interpreter {
            Some(it) => format!("{} {}", it.executable.display(), it.build),
            None => format!("uv {:?}", self.minimum_python),
        };
        let mut hash = Sha256::new();
        for part in [LAYOUT, &python]
            .into_iter()
            .chain(self.requirements.iter().map(String::as_str))
        {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn write_requirements(environment: &Path, requirements: &str) -> Result<PathBuf> {
    let file = environment.join("requirements.txt");
    std::fs::write(&file, requirements).map_err(|error| cannot_write(&file, error))?;
    Ok(file)
}

/// What to do about a tool that failed, from what it printed.
fn explain(failure: Failure, interpreter: Option<&Interpreter>) -> Error {
    const TLS: [&str; 3] = [
        "certificate verify failed",
        "unknownissuer",
        "invalid peer certificate",
    ];
    const NETWORK: [&str; 13] = [
        "failed to fetch",
        "could not fetch url",
        "connection refused",
        "connection error",
        "connection broken",
        "newconnectionerror",
        "failed to establish a new connection",
        "name resolution",
        "name or service not known",
        "dns error",
        "error sending request",
        "timed out",
        "(from versions: none)",
    ];
    let (kind, message) = if failure.mentions(&["no space left"]) {
        (
            ErrorKind::Unavailable,
            "the disk is full; make room and try again",
        )
    } else if failure.mentions(&["ensurepip is not"]) {
        (
            ErrorKind::Unavailable,
            "this Python has no venv; install it (Debian, Ubuntu: apt-get install python3-venv) or install uv",
        )
    } else if failure.mentions(&TLS) {
        (
            ErrorKind::Unavailable,
            "the certificate of the package index is not trusted; set SSL_CERT_FILE (uv) or PIP_CERT (pip) to your CA bundle",
        )
    } else if failure.mentions(&NETWORK) {
        (
            ErrorKind::Unavailable,
            "the package index cannot be reached; check the network, HTTPS_PROXY, and UV_DEFAULT_INDEX (uv) or PIP_INDEX_URL (pip)",
        )
    } else if failure.how.contains("in time") {
        (
            ErrorKind::Timeout,
            "the dependencies were not installed in time; try again, or give the build more time",
        )
    } else if interpreter.is_none() {
        (
            ErrorKind::Unavailable,
            "Python was not found and uv could not download one; install Python 3.10 or newer",
        )
    } else {
        (
            ErrorKind::Unavailable,
            "the dependencies of the project cannot be installed; the output says why",
        )
    };
    failure
        .into_error(kind, message)
        .set_retryable(kind == ErrorKind::Timeout)
}

#[cfg(test)]
mod tests {
    use super::super::super::output::LastOutput;
    use super::*;

    #[test]
    fn what_a_tool_prints_becomes_what_to_do() {
        let python = Interpreter {
            executable: "/p".into(),
            version: (3, 12),
            build: String::new(),
            has_pip: true,
        };
        for (line, advice) in [
            (
                "OSError: [Errno 28] No space left on device",
                "disk is full",
            ),
            (
                "ERROR: Could not find a version that satisfies the requirement mcp (from versions: none)",
                "PIP_INDEX_URL",
            ),
            (
                "error: Failed to fetch: `https://index.example/simple/mcp/`",
                "UV_DEFAULT_INDEX",
            ),
            (
                "Caused by: invalid peer certificate: UnknownIssuer",
                "SSL_CERT_FILE",
            ),
            ("ERROR: ResolutionImpossible", "the output says why"),
        ] {
            let failure = Failure {
                program: "x".into(),
                how: "exited with status 1".into(),
                output: LastOutput(vec![line.into()]),
            };
            let error = explain(failure, Some(&python));
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.message().contains(advice), "{error}");
            assert!(error.report().contains(line));
        }
    }

    #[test]
    fn keys_differ_by_dependency_and_interpreter_only() {
        let python = |build: &str| Interpreter {
            executable: "/p".into(),
            version: (3, 12),
            build: build.into(),
            has_pip: true,
        };
        let key = |names: &[&str], build| {
            Dependencies::new(
                names.iter().map(|name| (*name).to_owned()).collect(),
                (3, 10),
            )
            .key(Some(&python(build)))
        };
        assert_eq!(key(&["a", "b"], "1"), key(&["b", "a", "b"], "1"));
        assert_ne!(key(&["a", "b"], "1"), key(&["ab"], "1"));
        assert_ne!(key(&["a"], "1"), key(&["a"], "2"));
    }
}
