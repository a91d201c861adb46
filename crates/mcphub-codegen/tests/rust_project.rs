//! Generated Rust projects are formatted, build without warnings, and pass their own tests.
//!
//! Building takes a crate registry and some minutes the first time, so it is done when
//! `MCPHUB_TEST_RUST=1` is set, as `scripts/test.sh` does.

mod common;

use std::path::Path;
use std::process::Command;

use common::cargo::{self, assert_formatted, cargo};
use common::projects::{Case, cases};
use common::{parse, plan, samples};
use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_core::project::{Project, RenderOptions, Runtime, Target};
use mcphub_core::tool::ToolSet;

/// The most tools of a project that rustfmt looks at: with more it takes minutes.
const MOST: usize = 250;

#[test]
fn generated_projects_are_formatted() {
    for case in cases() {
        assert_formatted(&render(&case.name, &case.tools));
    }
    for sample in samples() {
        // Which documents can be read is a test of its own.
        let Ok(parsed) = parse(std::fs::read(&sample.path).unwrap()) else {
            continue;
        };
        let tools = plan(&parsed).tools;
        if tools.tools.len() <= MOST {
            assert_formatted(&render(&sample.name, &tools));
        }
    }
}

#[test]
fn generated_projects_pass_their_tests() {
    if !cargo::wanted() {
        return;
    }
    for (
        at,
        Case {
            name,
            tools,
            bundled,
        },
    ) in cases().into_iter().enumerate()
    {
        let project = render(&name, &tools);
        // In the folder that it had the last time: Cargo builds again what changed.
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rust-projects");
        let folder = root.join(&name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        write(&project, &folder, &WriteOptions::default()).unwrap();
        // Of most files it is enough to look at one project's.
        let (of_clippy, of_test): (&[&str], &[&str]) = match at {
            0 => (&["--all-targets"], &[]),
            _ => (&["--lib"], &["--test=tools"]),
        };
        let clippy = ["clippy", "--quiet", "--locked"];
        let strictly = ["--", "--deny=warnings"];
        run(cargo(&folder).args(clippy).args(of_clippy).args(strictly));
        let test = ["test", "--locked"];
        let shown = ["--", "--nocapture"];
        let report = run(cargo(&folder).args(test).args(of_test).args(shown));
        assert!(
            !bundled || !report.contains("no arguments could be made"),
            "{name}: every tool has example arguments\n{report}"
        );
        let Runtime::Cargo { program } = &project.runtime else {
            panic!("{:?}", project.runtime);
        };
        let program = cargo::target().join("debug").join(program);
        let version = run(Command::new(program).arg("--version"));
        assert!(!version.trim().is_empty());
    }
}

fn render(name: &str, tools: &ToolSet) -> Project {
    let options = RenderOptions {
        name: name.to_owned(),
        base_url: None,
    };
    RustTarget::new().render(tools, &options).unwrap()
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
