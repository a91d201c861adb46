//! Generated Rust projects are formatted, build without warnings, and pass their own tests.
//!
//! Building takes a crate registry and some minutes the first time, so it is done when
//! `MCPHUB_TEST_RUST=1` is set, as `scripts/test.sh` does.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::cargo::{self, assert_formatted, cargo};
use common::samples;
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_core::project::{Project, RenderOptions, Target};
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};

const PROJECTS: [&str; 5] = ["bookshop", "parameters", "bodies", "collections", "shop"];

#[test]
fn generated_projects_are_formatted() {
    assert_formatted(&render("shop", &shop()));
    for sample in samples() {
        let tools = tools(&sample.path);
        assert_formatted(&render(&sample.name, &tools));
    }
}

#[test]
fn generated_projects_pass_their_tests() {
    if !cargo::wanted() {
        return;
    }
    for (at, name) in PROJECTS.into_iter().enumerate() {
        let folder = written(name);
        // Of most files it is enough to look at one project's.
        let (of_clippy, of_test): (&[&str], &[&str]) = match at {
            0 => (&["--all-targets"], &[]),
            _ => (&["--lib"], &["--test=tools"]),
        };
        let clippy = ["clippy", "--quiet", "--locked"];
        let strictly = ["--", "--deny=warnings"];
        run(cargo(&folder).args(clippy).args(of_clippy).args(strictly));
        let test = ["test", "--locked"];
        let report = run(cargo(&folder)
            .args(test)
            .args(of_test)
            .args(["--", "--nocapture"]));
        assert!(
            !report.contains("no arguments could be made"),
            "{name}: every tool has example arguments\n{report}"
        );
        let program = cargo::target().join(format!("debug/{name}-mcp"));
        let version = run(Command::new(program).arg("--version"));
        assert!(!version.trim().is_empty());
    }
}

/// A project in the folder that it had the last time: Cargo builds again what changed.
fn written(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rust-projects/{name}"));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    let tools = match name {
        "shop" => shop(),
        name => {
            let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/specs");
            tools(&specs.join(name).with_extension("yaml"))
        }
    };
    write(&render(name, &tools), &folder, &WriteOptions::default()).unwrap();
    folder
}

fn render(name: &str, tools: &ToolSet) -> Project {
    let options = RenderOptions {
        name: name.to_owned(),
        base_url: None,
    };
    RustTarget::new().render(tools, &options).unwrap()
}

fn shop() -> ToolSet {
    serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap()
}

fn tools(path: &Path) -> ToolSet {
    let document = Document {
        source: path.display().to_string(),
        bytes: std::fs::read(path).unwrap().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    let plan = ToolPlanner::new().plan(&parsed, &PlanOptions::default());
    plan.unwrap().tools
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
