//! For every tool of the bundled documents and arguments made from its schema, the gateway itself
//! and the generated servers in every language put the same request on the wire and give the same
//! result.
//!
//! Needs Python and a package index, and what `scripts/install-test-clients.sh` installs:
//! `scripts/test.sh` sets `MCPHUB_TEST_PYTHON` and `MCPHUB_TEST_CLIENTS`.

#![allow(clippy::print_stderr, reason = "it says when it does not run")]

mod answers;
#[path = "../../../../crates/mcphub-core/tests/answers/mod.rs"]
mod answers_table;
mod arguments;
#[path = "../../../../crates/mcphub-gateway/tests/authority/mod.rs"]
mod authority;
mod credentials;
mod exact;
mod generated;
mod recorder;
mod rest;
#[path = "../../../../crates/mcphub-core/tests/wire/mod.rs"]
mod table;
mod wire;

use std::path::Path;
use std::sync::Arc;

use generated::Language;
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use recorder::Recorder;
use serde_json::Value;

/// Calls of each tool.
const CASES: u32 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn bookshop_is_called_alike() {
    compare("bookshop.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_style_is_called_alike() {
    compare("parameters.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_is_sent_alike() {
    compare("bodies.yaml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swagger_2_0_is_called_alike() {
    compare("collections.yaml").await;
}

async fn compare(file: &str) {
    let languages = Language::wanted();
    if languages.is_empty() {
        return;
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tools = Arc::new(plan(file));
    let recorder = Recorder::start().await;
    let credentials = credentials(&tools);
    let native = NativeApi::new(
        tools.clone(),
        recorder.url.clone(),
        credentials.clone(),
        NativeSettings::default(),
    )
    .unwrap();
    let mut servers = Vec::new();
    for language in languages {
        let name = file.trim_end_matches(".yaml");
        servers.push(language.start(name, &tools, &recorder, &credentials).await);
    }

    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let mut sent = 0;
    for tool in &tools.tools {
        let strategy = arguments::arguments(&tool.input);
        for case in 0..CASES {
            recorder.answer(recorder::ANSWERS[case as usize % recorder::ANSWERS.len()]);
            let text = strategy
                .new_tree(&mut runner)
                .unwrap()
                .current()
                .to_string();
            let arguments = Arguments::parse(&text).unwrap();
            let ours = call(&native, tool.name.as_str(), &arguments).await;
            let our_requests = recorder.take();
            for server in &servers {
                let theirs = call(&server.upstream, tool.name.as_str(), &arguments).await;
                let their_requests = recorder.take();
                let shown = format!("{file} {:?} {} {text}", server.language, tool.name);
                assert_eq!(our_requests, their_requests, "{shown}");
                assert_eq!(ours, theirs, "{shown}");
            }
            sent += our_requests.len();
        }
    }
    for server in servers {
        server.stop().await;
    }
    // Values that would change the path are refused by all and send nothing; most are sent.
    assert!(
        sent as f64 > 0.8 * f64::from(CASES) * tools.tools.len() as f64,
        "only {sent} requests were sent"
    );
}

async fn call(upstream: &dyn Upstream, tool: &str, arguments: &Arguments<'_>) -> Value {
    let result = upstream.call(tool, arguments).await.unwrap();
    let mut result: Value = serde_json::from_slice(result.as_bytes()).unwrap();
    let members = result.as_object_mut().unwrap();
    // What the protocol adds around a result is not the tool's.
    members.shift_remove("resultType");
    members.shift_remove("_meta");
    if members.get("isError") == Some(&Value::Bool(false)) {
        members.shift_remove("isError");
    }
    result
}

fn plan(file: &str) -> ToolSet {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../specs")
        .join(file);
    let document = Document {
        source: file.to_owned(),
        bytes: std::fs::read(path).unwrap().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    ToolPlanner::default()
        .plan(&parsed, &PlanOptions::default())
        .unwrap()
        .tools
}

/// One secret a scheme, told apart by its name.
fn credentials(tools: &ToolSet) -> Credentials {
    let schemes = tools
        .security_schemes
        .keys()
        .map(|name| (name.clone(), format!("user:{name}&=ü").into()));
    Credentials {
        headers: vec![("X-Every-Call".to_owned(), "yes".into())],
        bearer: Some("t0ken".into()),
        schemes: schemes.filter(|(name, _)| name.len() % 2 == 0).collect(),
        ..Credentials::default()
    }
}
