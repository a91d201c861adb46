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

/// What clippy warns of is an error.
const STRICTLY: [&str; 2] = ["--", "--deny=warnings"];

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
    let cases = cases();
    // In the folders that they had the last time: Cargo builds again what changed.
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rust-projects");
    if root.exists() {
        std::fs::remove_dir_all(&root).unwrap();
    }
    for case in &cases {
        let project = render(&case.name, &case.tools);
        write(&project, &root.join(&case.name), &WriteOptions::default()).unwrap();
        // Its lock is whole.
        let metadata = ["metadata", "--quiet", "--locked", "--format-version=1"];
        run(cargo(&root.join(&case.name)).args(metadata));
    }
    // Of most files it is enough to look at one project's.
    let (first, rest) = cases.split_first().unwrap();
    let folder = root.join(&first.name);
    run(cargo(&folder)
        .args(["clippy", "--quiet", "--locked", "--all-targets"])
        .args(STRICTLY));
    tested(first, cargo(&folder).args(["test", "--locked"]));
    // The others share their build, which keeps all processors busy: a project is a workspace of
    // its own, unless that is taken out.
    let members: Vec<_> = rest.iter().map(|case| case.name.as_str()).collect();
    for member in &members {
        let manifest = root.join(member).join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("\n[workspace]\n", "\n")).unwrap();
    }
    let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n");
    std::fs::write(root.join("Cargo.toml"), workspace).unwrap();
    std::fs::copy(folder.join("Cargo.lock"), root.join("Cargo.lock")).unwrap();
    run(cargo(&root)
        .args(["clippy", "--quiet", "--workspace", "--lib"])
        .args(STRICTLY));
    run(cargo(&root).args(["test", "--quiet", "--workspace", "--no-run", "--test=tools"]));
    for case in rest {
        let folder = root.join(&case.name);
        tested(case, cargo(&folder).args(["test", "--test=tools"]));
    }
}

/// Runs a project's tests, and the program.
fn tested(case: &Case, test: &mut Command) {
    let report = run(test.args(["--", "--nocapture"]));
    assert!(
        !case.bundled || !report.contains("no arguments could be made"),
        "{}: every tool has example arguments\n{report}",
        case.name
    );
    let Runtime::Cargo { program } = render(&case.name, &case.tools).runtime else {
        panic!("{}: not a project for Cargo", case.name);
    };
    let program = cargo::target().join("debug").join(program);
    let version = run(Command::new(program).arg("--version"));
    assert!(!version.trim().is_empty());
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
