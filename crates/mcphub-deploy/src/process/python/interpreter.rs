//! Which Python builds and runs a project.

use std::path::{Path, PathBuf};

use mcphub_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::time::{Duration, Instant};

use super::tool::Tools;

/// Major and minor.
pub(super) type Version = (u32, u32);

/// The oldest Python that the official MCP SDK runs on.
pub(super) const OLDEST: Version = (3, 10);

/// How long an interpreter may take to say what it is.
const QUESTION: Duration = Duration::from_secs(20);

const CANDIDATES: [&str; 7] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python",
];

const INSTALL: &str = "install it (Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python) or install uv, which downloads one";

/// Asked instead of believed: what is on PATH may be a script that chooses another one. The base
/// is what an environment is made from, also when this one is itself in an environment.
const QUESTION_CODE: &str = "\
import importlib.util as u, json, platform, sys
print(json.dumps({
    'executable': getattr(sys, '_base_executable', None) or sys.executable,
    'version': [sys.version_info[0], sys.version_info[1]],
    'build': sys.version + ' ' + platform.machine(),
    'has_pip': u.find_spec('venv') is not None and u.find_spec('ensurepip') is not None,
}))";

/// An interpreter that answered.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Interpreter {
    pub executable: PathBuf,
    pub version: Version,
    /// Differs between two that cannot share an environment.
    pub build: String,
    /// Whether it can make an environment that has pip.
    pub has_pip: bool,
}

/// The wanted interpreter, or the first one that is new enough. Nothing when there is none and
/// `uv` can get one.
///
/// # Errors
/// `Unavailable` when there is none and no `uv`, or the wanted one does not answer or is too old.
pub(super) async fn find(
    tools: &Tools,
    wanted: Option<&Path>,
    deadline: Instant,
) -> Result<Option<Interpreter>> {
    if let Some(wanted) = wanted {
        return match ask(tools, wanted, deadline).await {
            Ok(interpreter) if interpreter.version >= OLDEST => Ok(Some(interpreter)),
            Ok(interpreter) => Err(too_old(&interpreter, OLDEST)),
            Err(error) => Err(error),
        };
    }
    let mut unfit = None;
    for candidate in CANDIDATES.iter().filter_map(|name| tools.on_path(name)) {
        match ask(tools, &candidate, deadline).await {
            Ok(interpreter) if interpreter.version >= OLDEST => return Ok(Some(interpreter)),
            Ok(interpreter) => unfit = unfit.or(Some(too_old(&interpreter, OLDEST))),
            Err(error) => unfit = unfit.or(Some(error)),
        }
    }
    match unfit {
        _ if tools.uv.is_some() => Ok(None),
        Some(error) => Err(error),
        None => Err(Error::new(
            ErrorKind::Unavailable,
            format!("Python 3.10 or newer was not found; {INSTALL}"),
        )),
    }
}

/// The error for an interpreter that is older than `minimum`.
pub(super) fn too_old(interpreter: &Interpreter, minimum: Version) -> Error {
    let ((major, minor), (needed_major, needed_minor)) = (interpreter.version, minimum);
    let message = format!(
        "Python {major}.{minor} is too old, {needed_major}.{needed_minor} or newer is needed; {INSTALL}"
    );
    Error::new(ErrorKind::Unavailable, message).with("python", interpreter.executable.display())
}

async fn ask(tools: &Tools, program: &Path, deadline: Instant) -> Result<Interpreter> {
    let deadline = deadline.min(Instant::now() + QUESTION);
    let answer = tools
        .run(
            program,
            ["-I", "-c", QUESTION_CODE],
            Path::new("/"),
            deadline,
        )
        .await
        .map_err(|failure| {
            failure
                .into_error(
                    ErrorKind::Unavailable,
                    &format!("the Python that was found does not work; {INSTALL}"),
                )
                .with("python", program.display())
        })?;
    answer
        .last()
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                format!("the Python that was found does not say what it is; {INSTALL}"),
            )
            .with("python", program.display())
        })
}
