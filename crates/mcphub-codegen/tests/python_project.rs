//! Generated Python projects are typed, free of lint, formatted, and pass their own tests, in one
//! environment for all of them.
//!
//! This needs `python3` 3.10 or later and a package index, so it runs when `MCPHUB_TEST_PYTHON=1`
//! is set. `scripts/test.sh`, which is the whole test run, always sets it; without it the tests
//! say that they did not run.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::projects::{Case, cases, side_by_side};
use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_core::project::{RenderOptions, Target};
use tempfile::TempDir;

#[test]
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn generated_projects_pass_their_tests() {
    if std::env::var_os("MCPHUB_TEST_PYTHON").is_none_or(|value| value != "1") {
        eprintln!(
            "not run: set MCPHUB_TEST_PYTHON=1 to install and test generated Python projects"
        );
        return;
    }
    let root = TempDir::new().unwrap();
    let python = environment(root.path());
    let cases = cases();
    for case in &cases {
        generate(case, &root.path().join("projects").join(&case.name));
    }
    let projects = root.path().join("projects");
    for check in [&["check"][..], &["format", "--check"]] {
        let mut ruff = Command::new(&python);
        ruff.args(["-m", "ruff"])
            .args(check)
            .args(["--no-cache", "."]);
        run(ruff.current_dir(&projects));
    }
    // All the packages at once; the tests are the same everywhere but for names.
    let bookshop = projects.join("bookshop");
    run(Command::new(&python)
        .args(["-m", "mypy", "--strict"])
        .current_dir(&bookshop));
    let mut mypy = Command::new(&python);
    mypy.args(["-m", "mypy", "--strict", "--config-file"])
        .arg(bookshop.join("pyproject.toml"))
        .args(cases.iter().map(|case| format!("{}/src", case.name)));
    run(mypy.current_dir(&projects));
    side_by_side(&cases, |number, case| {
        let tests: &[&str] = match number {
            0 => &["tests"],
            _ => &["tests/test_tools.py", "tests/test_server.py"],
        };
        let report = run(Command::new(&python)
            .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
            .args(tests)
            .current_dir(projects.join(&case.name)));
        assert!(
            !case.bundled || !report.contains("skipped"),
            "{}: every tool has example arguments\n{report}",
            case.name
        );
    });
    // Installed, one starts from anywhere.
    install(&python, &[bookshop.to_str().unwrap(), "--no-deps"]);
    let version = run(Command::new(&python)
        .args(["-m", "bookshop_mcp", "--version"])
        .current_dir(root.path()));
    assert!(!version.trim().is_empty());
}

fn generate(case: &Case, folder: &Path) {
    let options = RenderOptions {
        name: case.name.clone(),
        base_url: None,
    };
    let project = PythonTarget::new().render(&case.tools, &options).unwrap();
    write(&project, folder, &WriteOptions::default()).unwrap();
}

/// An environment with all that the projects and the checks need.
fn environment(root: &Path) -> PathBuf {
    let folder = root.join("venv");
    if has_uv() {
        run(Command::new("uv").args(["venv", "--quiet"]).arg(&folder));
    } else {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
    }
    let python = folder.join("bin/python");
    install(
        &python,
        &["mcp>=2.3,<3", "hatchling", "mypy", "pytest", "ruff"],
    );
    python
}

fn install(python: &Path, what: &[&str]) {
    if has_uv() {
        run(Command::new("uv")
            .args(["pip", "install", "--quiet", "--python"])
            .arg(python)
            .args(what));
    } else {
        run(Command::new(python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(what));
    }
}

fn has_uv() -> bool {
    Command::new("uv")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// What a command printed.
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}\n{text}");
    text
}
