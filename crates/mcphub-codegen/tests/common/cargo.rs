//! Cargo and rustfmt, on generated projects.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// Checks that a file is as rustfmt writes it by default; tells the first line that is not.
pub fn assert_formatted(place: &str, source: &str) {
    let formatted = formatted(source);
    let mut pairs = source.lines().zip(formatted.lines());
    if let Some((is, should)) = pairs.find(|(is, should)| is != should) {
        panic!("{place}\n  is        {is}\n  should be {should}");
    }
    assert_eq!(source, formatted, "{place}");
}

fn formatted(source: &str) -> String {
    let mut rustfmt = Command::new(Path::new(env!("CARGO")).with_file_name("rustfmt"))
        .args(["--edition", "2024", "--config-path", "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rustfmt is a component of the toolchain");
    let mut input = rustfmt.stdin.take().unwrap();
    let source = source.to_owned();
    let writing = std::thread::spawn(move || input.write_all(source.as_bytes()).unwrap());
    let output = rustfmt.wait_with_output().unwrap();
    writing.join().unwrap();
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problems}");
    String::from_utf8(output.stdout).unwrap()
}
