//! Generated Python projects pass their own tests, in an environment of their own.
//!
//! This needs `python3` 3.10 or later and a package index, so it runs when `MCPHUB_TEST_PYTHON=1`
//! is set. `scripts/test.sh`, which is the whole test run, always sets it; without it the tests
//! say that they did not run.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_core::project::{Project, RenderOptions, Target};
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};
use tempfile::TempDir;

/// Checks beyond a project's own tests: it is typed, and formatted as its settings say.
const CHECKS: [&[&str]; 4] = [
    &["-m", "pytest", "-q", "-p", "no:cacheprovider"],
    &["-m", "mypy"],
    &["-m", "ruff", "check", "--no-cache"],
    &["-m", "ruff", "format", "--check", "--no-cache"],
];

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
    let shop: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    for (name, tools) in [
        ("bookshop", plan("bookshop")),
        ("parameters", plan("parameters")),
        ("bodies", plan("bodies")),
        ("collections", plan("collections")),
        ("shop", shop),
    ] {
        let folder = root.path().join(name);
        let project = render(&tools, name);
        write(&project, &folder, &WriteOptions::default()).unwrap();
        install(&python, &[folder.to_str().unwrap(), "--no-deps"]);
        for check in CHECKS {
            run(Command::new(&python).args(check).current_dir(&folder));
        }
        assert!(
            !skipped(&python, &folder),
            "{name}: every tool has example arguments"
        );
        let module = format!("{name}_mcp");
        let version = run(Command::new(&python)
            .args(["-m", &module, "--version"])
            .current_dir(root.path()));
        assert!(!version.trim().is_empty());
    }
}

/// Whether a test was left out.
fn skipped(python: &Path, folder: &Path) -> bool {
    let report = run(Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .current_dir(folder));
    report.contains("skipped")
}

fn plan(name: &str) -> ToolSet {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/specs/{name}.yaml"));
    let document = Document {
        source: path.display().to_string(),
        bytes: std::fs::read(&path).unwrap().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    ToolPlanner::new()
        .plan(&parsed, &PlanOptions::default())
        .unwrap()
        .tools
}

fn render(tools: &ToolSet, name: &str) -> Project {
    PythonTarget::new()
        .render(
            tools,
            &RenderOptions {
                name: name.to_owned(),
                base_url: None,
            },
        )
        .unwrap()
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
