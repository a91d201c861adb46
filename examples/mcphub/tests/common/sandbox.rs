//! A folder for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::Running;

/// A temporary folder in which `mcphub` is run, with its store and its key.
#[derive(Debug)]
pub struct Sandbox {
    folder: tempfile::TempDir,
}

/// What a command that ended said.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Where the sandbox is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the sandbox and returns its path.
    pub fn write(&self, name: &str, content: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, content).expect("the sandbox can be written");
        path.to_str().expect("a temporary path is UTF-8").to_owned()
    }

    /// The binary, to be run in the sandbox: nothing of the person's own configuration is seen.
    ///
    /// Builds of generated projects are shared by all tests.
    pub fn mcphub(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcphub"));
        command
            .current_dir(self.path())
            .env("MCPHUB_STORE", self.path().join("mcphub.db"))
            .env("MCPHUB_CACHE_DIR", test_environment().join("cache/mcphub"))
            .env_remove("MCPHUB_MASTER_KEY")
            .env_remove("RUST_LOG");
        command
    }

    /// Runs `mcphub` with these arguments to its end, within two minutes.
    pub fn run(&self, args: &[&str]) -> Finished {
        let deadline = std::time::Instant::now() + Duration::from_secs(120);
        let name = format!("mcphub {}", args.join(" "));
        let mut running = Running::start(&name, self.mcphub().args(args), "");
        let mut stdout = String::new();
        while let Some(line) = running.line(deadline) {
            stdout.push_str(&line);
            stdout.push('\n');
        }
        let code = running.wait(Duration::from_secs(10)).code();
        Finished {
            code,
            stdout,
            stderr: running.stderr(),
        }
    }
}

/// Where `scripts/install-test-clients.sh` puts things: `test-env` in cargo's target folder.
pub fn test_environment() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target
        .expect("the folder for temporary files is inside the target folder")
        .join("test-env")
}
