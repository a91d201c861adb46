//! The documents whose projects are built and tested in each language: the bundled ones, and with
//! `MCPHUB_CORPUS` real ones of every version.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};

/// Those of the corpus: what they have that others have not stands beside them.
const REAL: [&str; 9] = [
    "petstore_v2.json",            // Swagger 2.0: formData, a file
    "alertmanager.yaml",           // Swagger 2.0: collectionFormat
    "docker_engine.yaml",          // Swagger 2.0, 100 operations: binary answers, header parameters
    "petstore_v3.yaml",            // 3.0: bodies in several media types
    "traccar.yaml",                // 3.0, 90 operations: basic and API key
    "qdrant.json",                 // 3.0: recursive schemas, unions
    "museum.yaml",                 // 3.1: webhooks, type arrays
    "tests31_mega.yaml",           // 3.1: every keyword
    "redocly_oas32_features.yaml", // 3.2: querystring, additional methods
];

/// A project to be.
pub struct Case {
    pub name: String,
    pub tools: ToolSet,
    /// Whether the document is one of ours: every tool of it has example arguments.
    pub bundled: bool,
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let shop = serde_json::from_str(include_str!("../fixtures/shop.tools.json"));
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/specs");
    let bundled = ["bookshop", "parameters", "bodies", "collections"]
        .map(|name| case(name, &specs.join(format!("{name}.yaml")), true));
    let mut cases: Vec<_> = bundled.into();
    cases.push(Case {
        name: "shop".to_owned(),
        tools: shop.expect("the fixture is a tool set"),
        bundled: true,
    });
    if let Some(corpus) = std::env::var_os("MCPHUB_CORPUS") {
        cases.extend(REAL.iter().map(|file| {
            let stem = file.split('.').next().unwrap_or(file);
            case(stem, &Path::new(&corpus).join(file), false)
        }));
    }
    cases
}

/// Runs a check of each project, as many at once as there are processors: most of what checks a
/// project uses one. The first of all is number 0.
pub fn side_by_side(cases: &[Case], check: impl Fn(usize, &Case) + Sync) {
    let next = AtomicUsize::new(0);
    let check_what_is_left = || {
        while let Some((number, case)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            cases.get(number).map(|case| (number, case))
        } {
            check(number, case);
        }
    };
    // A check that fails fails the scope.
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(check_what_is_left);
        }
    });
}

fn case(name: &str, path: &Path, bundled: bool) -> Case {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let document = Document {
        source: path.display().to_string(),
        bytes: bytes.into(),
    };
    let parsed = OpenApiParser::default().parse(&document);
    let plan = ToolPlanner::new().plan(&parsed.expect(name), &PlanOptions::default());
    Case {
        name: name.to_owned(),
        tools: plan.expect(name).tools,
        bundled,
    }
}
