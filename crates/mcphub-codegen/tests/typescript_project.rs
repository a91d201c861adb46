//! Generated TypeScript projects compile, are formatted and free of lint, pass their own tests, and
//! start once built.
//!
//! This needs what `scripts/install-test-clients.sh` installs, so it runs when
//! `MCPHUB_TEST_CLIENTS=1` is set, as `scripts/test.sh` does.

mod common;

use std::path::Path;
use std::process::Command;

use common::node::{self, node};
use common::projects::{Case, cases, side_by_side};
use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::project::{RenderOptions, Target};

/// What differs from project to project; the rest is checked in the first one.
const DIFFERS: [&str; 3] = ["src/tools", "src/settings.ts", "src/about.ts"];

#[test]
fn generated_projects_pass_their_tests() {
    if !node::wanted() {
        return;
    }
    let environment = node::projects();
    // Modules are looked up from where a program lies, upwards.
    let folder = tempfile::tempdir_in(&environment).unwrap();
    let program = |path: &str, at: &Path| {
        let mut command = node(at);
        command.arg(environment.join("node_modules").join(path));
        command
    };
    let cases = cases();
    let mut linted = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        generate(case, &folder.path().join(&case.name));
        match number {
            0 => linted.push(case.name.clone()),
            _ => linted.extend(DIFFERS.map(|path| format!("{}/{path}", case.name))),
        }
    }
    // What a project leaves out, for all of them at once.
    let ignored = folder.path().join("bookshop/.prettierignore");
    let ignored = std::fs::read_to_string(ignored).unwrap();
    let ignored: String = ignored.lines().map(|line| format!("**/{line}\n")).collect();
    std::fs::write(folder.path().join(".prettierignore"), ignored).unwrap();
    run(program("prettier/bin/prettier.cjs", folder.path()).args(["--check", "."]));
    run(program("eslint/bin/eslint.js", folder.path())
        .arg("--max-warnings=0")
        .args(&linted));

    side_by_side(&cases, |number, case| {
        let project = folder.path().join(&case.name);
        run(&mut program("typescript/bin/tsc", &project));
        // The types were just checked.
        run(program("typescript/bin/tsc", &project).args([
            "--noCheck",
            "--project",
            "tsconfig.build.json",
        ]));
        let tests = match number {
            0 => "tests/*.test.ts",
            _ => "tests/tools.test.ts",
        };
        let report = run(node(&project).args(["--test", "--test-reporter=tap", tests]));
        assert!(
            !case.bundled || report.contains("\n# skipped 0\n"),
            "{}: every tool has example arguments\n{report}",
            case.name
        );
        // Nothing makes code of text at run time, schemas included.
        let version = run(node(&project).args([
            "--disallow-code-generation-from-strings",
            "dist/main.js",
            "--version",
        ]));
        assert!(!version.trim().is_empty());
    });
}

fn generate(case: &Case, folder: &Path) {
    let options = RenderOptions {
        name: case.name.clone(),
        base_url: None,
    };
    let target = TypeScriptTarget::new();
    let project = target.render(&case.tools, &options).unwrap();
    write(&project, folder, &WriteOptions::default()).unwrap();
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
