//! What the tests of this crate share: fixture servers and projects, and what runs of them.
// Each test program uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use mcphub_core::artifact::{Artifact, Program};
use mcphub_core::project::{Project, Purpose, Runtime, Variable};
use mcphub_deploy::process::{PythonBuilder, PythonSettings};
use tempfile::TempDir;

/// The real interpreter: what is on PATH may be a script that starts another one.
pub static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = std::process::Command::new("python3")
        .args(["-c", "import sys; print(sys.executable, end='')"])
        .output()
        .expect("these tests need python3 on PATH");
    assert!(output.status.success(), "python3 on PATH does not work");
    String::from_utf8(output.stdout).expect("a path").into()
});

/// A text that no other process has in its arguments.
pub fn new_mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "mcphub-test-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// `tests/fixtures/server.py`, with all the variables a project has.
pub fn fixture(behaviour: &str, mark: &str) -> Artifact {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let variable = |name: &str, purpose| Variable {
        name: name.into(),
        purpose,
        description: String::new(),
    };
    Artifact {
        digest: behaviour.to_owned(),
        program: Program::Command {
            executable: PYTHON.clone(),
            arguments: vec!["server.py".into(), behaviour.into(), mark.into()],
            directory: folder,
        },
        environment: vec![
            variable("FIXTURE_TRANSPORT", Purpose::Transport),
            variable("FIXTURE_HOST", Purpose::Host),
            variable("FIXTURE_PORT", Purpose::Port),
            variable("FIXTURE_TOKEN", Purpose::ServerToken),
            variable("API_KEY", Purpose::Bearer),
        ],
    }
}

/// The arguments of every process that has the mark among them, zombies excepted.
pub fn processes_with(mark: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc");
    let arguments =
        processes.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    arguments
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|arguments| arguments.contains(mark))
        .collect()
}

/// A builder below `root` that uses [`PYTHON`], which is quicker to ask than what is on PATH.
pub fn builder(root: &TempDir, change: impl FnOnce(&mut PythonSettings)) -> PythonBuilder {
    let mut settings = PythonSettings::new(root.path());
    settings.python = Some(PYTHON.clone());
    change(&mut settings);
    PythonBuilder::new(settings)
}

/// A project whose module `sample` is that code.
pub fn project(code: &str, dependencies: &[&str]) -> Project {
    let mut project = Project::new(
        "sample",
        Runtime::Python {
            module: "sample".into(),
        },
        Vec::new(),
    );
    let pyproject =
        format!("[project]\nname = 'sample'\nversion = '1.5'\ndependencies = {dependencies:?}\n");
    for (path, contents) in [
        ("pyproject.toml", pyproject.as_str()),
        ("src/sample/__init__.py", ""),
        ("src/sample/__main__.py", code),
    ] {
        project
            .add(path, contents.to_owned())
            .expect("a legal path");
    }
    project
}

/// Runs an artifact to its end. What it printed.
pub async fn run(artifact: &Artifact) -> Result<String, String> {
    let Program::Command {
        executable,
        arguments,
        directory,
    } = &artifact.program
    else {
        return Err("not a command".into());
    };
    let output = tokio::process::Command::new(executable)
        .args(arguments)
        .current_dir(directory)
        .output()
        .await;
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
