//! The wire table, row by row, from the gateway itself and from the generated servers.

use std::sync::Arc;

use mcphub_core::call::Arguments;
use mcphub_core::schema::Schema;
use mcphub_core::secret::Credentials;
use mcphub_core::spec::Dialect;
use mcphub_core::tool::{ApiInfo, Tool, ToolAnnotations, ToolName, ToolSet};
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde_json::{Map, Value, json};

use crate::call;
use crate::generated::Language;
use crate::recorder::{ANSWERS, Recorder};
use crate::table::{self, Group, Wire};

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_sends_what_the_table_says() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let groups = table::table();
    let recorder = Recorder::start().await;
    let native = NativeApi::new(
        Arc::new(tools(&groups)),
        recorder.url.clone(),
        Credentials::default(),
        NativeSettings::default(),
    );
    check(&native.unwrap(), &recorder, &groups).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_servers_send_what_the_table_says() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let groups = table::table();
    let tools = tools(&groups);
    for language in Language::wanted() {
        let recorder = Recorder::start().await;
        let none = Credentials::default();
        let server = language.start("wire", &tools, &recorder, &none).await;
        check(&server.upstream, &recorder, &groups).await;
        server.stop().await;
    }
}

async fn check(upstream: &dyn Upstream, recorder: &Recorder, groups: &[Group]) {
    recorder.answer(ANSWERS[0]);
    let mut wrong = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        for row in &group.rows {
            let arguments = Arguments::of(&row.arguments).unwrap();
            let result = call(upstream, &name(at), &arguments).await;
            let made = match &recorder.take()[..] {
                [request] => {
                    let headers = request.headers.iter();
                    Ok(Wire::new(
                        request.target.strip_prefix("/base").unwrap(),
                        headers.map(|(name, value)| (name.as_str(), value.as_slice())),
                        Some(&request.body.bytes),
                    ))
                }
                [] => Err(refused(&result)),
                more => panic!("{} requests for one call", more.len()),
            };
            let expected = row.expected.clone().map_err(Option::unwrap_or_default);
            if made != expected {
                wrong.push(format!(
                    "{}\n  expected {expected:?}\n  made     {made:?}\n  {result}",
                    table::shown(group, row)
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    table::count(groups);
}

/// The argument that a tool error names.
fn refused(result: &Value) -> String {
    let text = result["content"][0]["text"].as_str().unwrap();
    let (_, problem) = text.split_once("\n- ").unwrap_or_else(|| panic!("{text}"));
    problem.split(": ").next().unwrap().to_owned()
}

fn name(group: usize) -> String {
    format!("group{group}")
}

/// A tool for each group, whose arguments may be anything: what is sent is the binding's to say.
fn tools(groups: &[Group]) -> ToolSet {
    let tools = groups.iter().enumerate().map(|(at, group)| {
        let arguments = table::arguments(&group.binding).into_iter();
        let properties: Map<_, _> = arguments.map(|name| (name, json!({}))).collect();
        let input =
            json!({"type": "object", "properties": properties, "additionalProperties": false});
        Tool {
            name: ToolName::new(name(at)).unwrap(),
            title: None,
            description: group.name.clone(),
            input: Schema::from_object(input.as_object().unwrap().clone()),
            output: None,
            annotations: ToolAnnotations::from(group.binding.method),
            tags: Vec::new(),
            binding: group.binding.clone(),
        }
    });
    ToolSet {
        api: ApiInfo {
            title: "Wire".to_owned(),
            version: "1".to_owned(),
            dialect: Dialect::OpenApi31,
            description: None,
        },
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools: tools.collect(),
    }
}
