//! Node.js, and what generated TypeScript projects need, as `scripts/install-test-clients.sh`
//! installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether tests that need Node run; says so where not.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub fn wanted() -> bool {
    let wanted = std::env::var_os("MCPHUB_TEST_CLIENTS").is_some_and(|value| value == "1");
    if !wanted {
        eprintln!("not run: set MCPHUB_TEST_CLIENTS=1, after scripts/install-test-clients.sh");
    }
    wanted
}

/// The folder below which a project finds what it imports.
pub fn projects() -> PathBuf {
    let folder = environment().join("typescript");
    assert!(
        folder.join("node_modules/typescript").is_dir(),
        "{} is not there: run scripts/install-test-clients.sh",
        folder.display()
    );
    folder
}

/// `node` in a folder.
pub fn node(folder: &Path) -> Command {
    let mut command = Command::new(environment().join("node/node"));
    command.current_dir(folder).env_remove("NODE_OPTIONS");
    command
}

fn environment() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target
        .expect("the folder for temporary files is inside the target folder")
        .join("test-env")
}
