//! A clock that a test can set back, for programs that it starts.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

/// The file that says how far from the right time the clock is, in seconds.
const OFFSET: &str = "MCPHUB_TEST_CLOCK";

/// A time of day that programs can be started with.
pub struct Clock {
    offset: PathBuf,
    /// Gone with the test that made it.
    own: Option<TempDir>,
}

impl Clock {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As root, PostgreSQL runs as another user.
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let offset = folder.path().join("offset");
        fs::write(&offset, 0_i64.to_ne_bytes()).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/clock.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
        compiler.arg(folder.path().join("clock.so")).arg(source);
        assert!(compiler.status().unwrap().success(), "cc");
        Self {
            offset,
            own: Some(folder),
        }
    }

    /// That of this process, if it was started with one.
    pub fn of_this_process() -> Option<Self> {
        let offset = std::env::var_os(OFFSET)?.into();
        Some(Self { offset, own: None })
    }

    /// Lets a program, and what it starts, have this clock.
    pub fn given_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let own = self.own.as_ref().expect("the one that made it gives it");
        command
            .env(OFFSET, &self.offset)
            .env("LD_PRELOAD", own.path().join("clock.so"))
    }

    /// Zero sets it right again.
    pub fn set_back(&self, by: Duration) {
        let file = fs::OpenOptions::new().write(true).open(&self.offset);
        let seconds = -i64::try_from(by.as_secs()).unwrap();
        let written = file.unwrap().write_at(&seconds.to_ne_bytes(), 0);
        assert_eq!(written.unwrap(), 8);
    }
}
