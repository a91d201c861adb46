//! Every tool, called with the arguments of `examples.json`, sends the request that stands there.

mod common;

use common::project::tools;
use common::{examples, json, stubbed};

#[test]
fn every_tool_has_an_example() {
    let tools = tools::all().unwrap();
    let names: Vec<_> = tools
        .iter()
        .map(|tool| tool.listed().name.to_string())
        .collect();
    let examples: Vec<_> = examples().into_iter().map(|example| example.tool).collect();
    assert_eq!(names, examples);
}

#[tokio::test]
async fn every_tool_sends_its_request() {
    let tools = tools::all().unwrap();
    for example in examples() {
        let Some(expected) = example.request else {
            println!(
                "{}: no arguments could be made from the schema",
                example.tool
            );
            continue;
        };
        let answer = example.answer.to_string();
        let (api, stub) = stubbed(move || json(&answer));

        let tool = tools.get(&example.tool).unwrap();
        let result = tool.run(&api, example.arguments.clone()).await;

        assert!(!result.is_error, "{}: {:?}", example.tool, result.content);
        let sent = stub.sent();
        let [sent] = &sent[..] else {
            panic!("{}: {} requests", example.tool, sent.len());
        };
        assert_eq!(
            (&sent.method, &sent.url, &sent.body),
            (
                &expected.method,
                &expected.url,
                &expected.body.unwrap_or_default()
            ),
            "{}",
            example.tool
        );
        for header in expected.headers {
            assert!(
                sent.headers.contains(&header),
                "{}: {header:?}",
                example.tool
            );
        }
    }
}

#[tokio::test]
async fn every_tool_refuses_an_unknown_argument() {
    let tools = tools::all().unwrap();
    for example in examples()
        .into_iter()
        .filter(|example| example.request.is_some())
    {
        let (api, stub) = stubbed(|| json("{}"));
        let mut arguments = example.arguments;
        arguments.insert("no such argument".to_owned(), 1.into());

        let result = tools.get(&example.tool).unwrap().run(&api, arguments).await;

        let text = serde_json::to_string(&result.content).unwrap();
        let problem = "- no such argument: is not an argument of this tool";
        assert!(
            result.is_error && text.contains(problem),
            "{}: {text}",
            example.tool
        );
        assert!(stub.sent().is_empty());
    }
}
