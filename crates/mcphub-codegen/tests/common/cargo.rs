//! Cargo and rustfmt, on generated projects.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcphub_codegen::project::{WriteOptions, write};
use mcphub_core::project::Project;
use tempfile::TempDir;

/// Whether tests that build Rust projects run; says so where not.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub fn wanted() -> bool {
    let wanted = std::env::var_os("MCPHUB_TEST_RUST").is_some_and(|value| value == "1");
    if !wanted {
        eprintln!("not run: set MCPHUB_TEST_RUST=1, which takes some minutes the first time");
    }
    wanted
}

/// Where all generated projects are built, so that what they depend on is built once.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("rust")
}

/// `cargo` in a folder, without what belongs to the build of this test.
pub fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name.as_ref());
        }
    }
    command
        .current_dir(folder)
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_PROFILE_TEST_DEBUG", "false");
    command
}

/// Checks that a project is as rustfmt writes it by default.
pub fn assert_formatted(project: &Project) {
    let folder = TempDir::new().unwrap();
    write(project, folder.path(), &WriteOptions::default()).unwrap();
    // It follows the modules.
    let roots = project.files().map(|(path, _)| path).filter(|path| {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        name.ends_with(".rs") && (folder == "tests" || ["lib.rs", "main.rs"].contains(&name))
    });
    let output = Command::new(Path::new(env!("CARGO")).with_file_name("rustfmt"))
        .args(["--check", "--edition=2024", "--config-path=/dev/null"])
        .args(roots)
        .current_dir(folder.path())
        .output()
        .expect("rustfmt is a component of the toolchain");
    let text = String::from_utf8_lossy(&output.stdout);
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{text}{problems}",
        project.name
    );
}
