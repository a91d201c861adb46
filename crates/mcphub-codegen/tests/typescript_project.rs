//! Generated TypeScript projects compile, are formatted and free of lint, pass their own tests, and
//! start once built.
//!
//! This needs what `scripts/install-test-clients.sh` installs, so it runs when
//! `MCPHUB_TEST_CLIENTS=1` is set, as `scripts/test.sh` does.

mod common;

use std::process::Command;

use common::node::{self, node};
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_codegen::project::{WriteOptions, write};
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::project::{RenderOptions, Target};
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};

/// Programs of the installation and their arguments, run in a project.
type Checks = &'static [(&'static str, &'static [&'static str])];

const EVERYTHING: Checks = &[
    ("typescript/bin/tsc", &[]),
    ("eslint/bin/eslint.js", &["--max-warnings=0", "."]),
    ("prettier/bin/prettier.cjs", &["--check", "."]),
    ("typescript/bin/tsc", &["--project", "tsconfig.build.json"]),
];

/// The same of those files that differ from project to project.
const WHAT_DIFFERS: Checks = &[
    ("typescript/bin/tsc", &[]),
    (
        "eslint/bin/eslint.js",
        &[
            "--max-warnings=0",
            "src/tools",
            "src/settings.ts",
            "src/about.ts",
        ],
    ),
    ("prettier/bin/prettier.cjs", &["--check", "."]),
    ("typescript/bin/tsc", &["--project", "tsconfig.build.json"]),
];

#[test]
fn generated_projects_pass_their_tests() {
    if !node::wanted() {
        return;
    }
    let projects = node::projects();
    let shop: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    for (name, tools, checks, tests) in [
        ("bookshop", plan("bookshop"), EVERYTHING, "tests/*.test.ts"),
        (
            "parameters",
            plan("parameters"),
            WHAT_DIFFERS,
            "tests/tools.test.ts",
        ),
        (
            "bodies",
            plan("bodies"),
            WHAT_DIFFERS,
            "tests/tools.test.ts",
        ),
        (
            "collections",
            plan("collections"),
            WHAT_DIFFERS,
            "tests/tools.test.ts",
        ),
        ("shop", shop, WHAT_DIFFERS, "tests/tools.test.ts"),
    ] {
        // Modules are looked up from where a program lies, upwards.
        let folder = tempfile::Builder::new()
            .prefix(name)
            .tempdir_in(&projects)
            .unwrap();
        let options = RenderOptions {
            name: name.to_owned(),
            base_url: None,
        };
        let project = TypeScriptTarget::new().render(&tools, &options).unwrap();
        write(&project, folder.path(), &WriteOptions::default()).unwrap();
        for (program, arguments) in checks {
            let program = projects.join("node_modules").join(program);
            run(node(folder.path()).arg(program).args(*arguments));
        }
        let report = run(node(folder.path()).args(["--test", "--test-reporter=tap", tests]));
        assert!(
            report.contains("\n# skipped 0\n"),
            "{name}: every tool has example arguments\n{report}"
        );
        // Nothing makes code of text at run time, schemas included.
        let version = run(node(folder.path()).args([
            "--disallow-code-generation-from-strings",
            "dist/main.js",
            "--version",
        ]));
        assert!(!version.trim().is_empty());
    }
}

fn plan(name: &str) -> ToolSet {
    let path = format!(
        "{}/../../examples/specs/{name}.yaml",
        env!("CARGO_MANIFEST_DIR")
    );
    let document = Document {
        source: path.clone(),
        bytes: std::fs::read(&path).unwrap().into(),
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
