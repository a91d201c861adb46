//! An answer that is too long for one result, piece by piece: the gateway itself and the generated
//! servers in every language give the same ones.

use std::sync::Arc;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde_json::{Value, json};

use crate::call;
use crate::generated::Language;
use crate::recorder::Recorder;

/// A file, and data whose document wants a rest of it.
fn tools() -> Arc<ToolSet> {
    let answers = |media_type: &str| json!({"200": {"description": "", "content": {media_type: {"schema": {"type": "object"}}}}});
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Long", "version": "1"},
        "paths": {
            "/export": {"get": {"operationId": "export", "responses": answers("text/csv")}},
            "/data": {"get": {"operationId": "data", "responses": answers("application/json"), "x-mcp": {"rest": true},
                "parameters": [{"name": "rest", "in": "query", "schema": {"type": "string"}}]}},
        },
    });
    let document = Document {
        source: "long.json".to_owned(),
        bytes: document.to_string().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    let plan = ToolPlanner::default().plan(&parsed, &PlanOptions::default());
    Arc::new(plan.unwrap().tools)
}

/// All pieces of an answer, each as the result of one call.
async fn pieces(upstream: &dyn Upstream, tool: &str, argument: &str) -> Vec<Value> {
    let mut arguments = json!({});
    let mut pieces = Vec::new();
    loop {
        let text = arguments.to_string();
        let result = call(upstream, tool, &Arguments::parse(&text).unwrap()).await;
        let note = result["content"].as_array().unwrap().last().unwrap()["text"].clone();
        pieces.push(result);
        let how = format!("; for the rest call again with the same arguments and {argument}=");
        let Some((_, place)) = note.as_str().unwrap().split_once(&how) else {
            return pieces;
        };
        arguments[argument] = place.trim_end_matches(']').into();
        assert!(pieces.len() < 5, "it ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_comes_in_the_same_pieces() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tools = tools();
    let rows: &'static str = "4711,Ümläute,€,🦀\n".repeat(500_000).leak();
    let json: &'static str = format!("{{\"rows\":\"{}\"}}", "x".repeat(11 << 20)).leak();
    let none = Credentials::default();
    let settings = NativeSettings::default();
    let recorder = Recorder::start().await;
    let native = NativeApi::new(tools.clone(), recorder.url.clone(), none.clone(), settings);
    let native = native.unwrap();
    let files =
        |kind: &'static str, text: &'static str| recorder.answer((200, kind, text.as_bytes()));

    files("text/csv; charset=utf-8", rows);
    let ours = pieces(&native, "export", "rest").await;
    let texts = ours
        .iter()
        .map(|piece| piece["content"][0]["text"].as_str().unwrap());
    assert!(ours.len() == 2 && texts.collect::<String>() == rows);
    files("application/json", json);
    let structured = pieces(&native, "data", "rest_answer").await;
    assert_eq!(
        (structured.len(), &structured[0]["isError"]),
        (2, &json!(true))
    );

    for language in Language::wanted() {
        let server = language.start("long", &tools, &recorder, &none).await;
        files("text/csv; charset=utf-8", rows);
        assert!(
            pieces(&server.upstream, "export", "rest").await == ours,
            "{language:?}"
        );
        files("application/json", json);
        let theirs = pieces(&server.upstream, "data", "rest_answer").await;
        assert!(theirs == structured, "{language:?}");

        files("text/csv", "another file");
        let place = ours[0]["content"][1]["text"].as_str().unwrap();
        let place = place.rsplit_once('=').unwrap().1.trim_end_matches(']');
        for place in [place, "x"] {
            let arguments = json!({"rest": place}).to_string();
            let arguments = Arguments::parse(&arguments).unwrap();
            let theirs = call(&server.upstream, "export", &arguments).await;
            assert_eq!(theirs["isError"], true);
            assert_eq!(
                theirs,
                call(&native, "export", &arguments).await,
                "{language:?}"
            );
        }
        server.stop().await;
    }
}
