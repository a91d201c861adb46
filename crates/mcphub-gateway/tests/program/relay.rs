//! All of MCP with a program.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use mcphub_core::Result;
use mcphub_core::shared::SessionKey;
use mcphub_gateway::upstream::channel::McpChannel;
use mcphub_gateway::upstream::{Exchange, Forward, Response, Said, Upstream};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::stage::{Actor, SOON, enter, stage};

fn forward(method: &str, params: &str, session: Option<&str>) -> Forward {
    let mut forward = Forward::default();
    method.clone_into(&mut forward.method);
    params.clone_into(&mut forward.params);
    forward.progress = true;
    forward.session = session.map(SessionKey::of);
    forward
}

type Opened = tokio::task::JoinHandle<Result<Box<dyn Exchange>>>;

fn opened(program: &Arc<McpChannel>, forward: Forward) -> Opened {
    let program = Arc::clone(program);
    tokio::spawn(async move { program.relay().expect("a relay").open(forward.into()).await })
}

async fn exchange(opened: Opened) -> Box<dyn Exchange> {
    opened.await.expect("no panic").expect("it is sent")
}

async fn said(exchange: &mut Box<dyn Exchange>) -> Said {
    let said = timeout(SOON, exchange.next()).await.expect("in time");
    said.expect("something")
}

/// Plays a program of the legacy era that has everything.
async fn meet_with_everything(actor: &mut Actor) {
    let discover = actor.expect("server/discover").await;
    actor.refuse(&discover);
    let initialize = actor.expect("initialize").await;
    let capabilities = &initialize["params"]["capabilities"];
    for ability in ["roots", "sampling", "elicitation"] {
        assert!(capabilities[ability].is_object(), "{initialize}");
    }
    actor.answer(
        &initialize,
        &json!({"protocolVersion": "2025-06-18", "instructions": "Be kind.", "capabilities": {
            "tools": {}, "prompts": {}, "resources": {"subscribe": true}, "logging": {}}}),
    );
    actor.expect("notifications/initialized").await;
}

#[tokio::test]
async fn a_request_of_any_method_is_sent_and_what_is_said_before_its_answer_is_heard() {
    let (program, mut entering, _) = stage(|_| {});
    let mut reading = forward("resources/read", r#""uri":"x:1""#, None);
    reading.log_level = Some("info".to_owned());
    reading.meta = r#""traceparent":"00-1""#.to_owned();
    let opening = opened(&program, reading);
    let mut actor = enter(&mut entering).await;
    meet_with_everything(&mut actor).await;
    let level = actor.expect("logging/setLevel").await;
    actor.answer(&level, &json!({}));
    let request = actor.expect("resources/read").await;
    let id = &request["id"];
    assert_eq!(
        request["params"],
        json!({"uri": "x:1", "_meta": {"progressToken": id, "traceparent": "00-1"}})
    );
    let mut exchange = exchange(opening).await;
    let progress = json!({"progressToken": id, "progress": 1});
    let tell = |method: &str, params: &Value| {
        actor.say(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    };
    tell("notifications/progress", &json!({"progressToken": 99}));
    tell("notifications/progress", &progress);
    tell(
        "notifications/message",
        &json!({"level": "info", "data": "x"}),
    );
    actor.say(&json!({"jsonrpc": "2.0", "id": 5, "method": "elicitation/create", "params": {"message": "?"}}));
    for wanted in ["notifications/progress", "notifications/message"] {
        match said(&mut exchange).await {
            Said::Notification { method, .. } => assert_eq!(method, wanted),
            other => panic!("{other:?}"),
        }
    }
    let Said::Request { id: asked, .. } = said(&mut exchange).await else {
        panic!("it asks");
    };
    let teller = exchange.teller().expect("it is a program of before");
    let params = RawValue::from_string(r#"{"progressToken": 1}"#.to_owned()).expect("JSON");
    let told = teller.tell("notifications/progress", &params).await;
    told.expect("it is sent");
    let heard = actor.expect("notifications/progress").await;
    assert_eq!(heard["params"], json!({"progressToken": 1}));
    let answer = RawValue::from_string(r#"{"action": "decline"}"#.to_owned()).expect("JSON");
    let answered = exchange.answer(&asked, Response::Result(answer)).await;
    answered.expect("it is sent");
    let answer = actor.hear().await;
    assert_eq!(
        (&answer["id"], &answer["result"]["action"]),
        (&json!(5), &json!("decline"))
    );
    actor.answer(&request, &json!({"contents": []}));
    let Said::Result(result) = said(&mut exchange).await else {
        panic!("it is answered");
    };
    assert_eq!(result.get(), r#"{"contents":[]}"#);
    drop(exchange);
    drop(program);
    let told = teller.tell("notifications/x", &params).await;
    told.expect("whoever has gone is told nothing");
    let rest = timeout(SOON, actor.heard.next()).await.expect("in time");
    assert!(
        rest.is_none(),
        "what is answered is not cancelled: {rest:?}"
    );
}

#[tokio::test]
async fn what_a_program_asks_of_one_client_is_never_asked_of_another() {
    let (program, mut entering, _) = stage(|_| {});
    let first = opened(&program, forward("x/a", "", Some("a")));
    let mut actor = enter(&mut entering).await;
    actor.meet().await;
    let a = actor.expect("x/a").await;
    let mut first = exchange(first).await;
    let second = opened(&program, forward("x/b", "", Some("b")));
    let b = actor.expect("x/b").await;
    let mut second = exchange(second).await;
    let ask = |id: i32| json!({"jsonrpc": "2.0", "id": id, "method": "elicitation/create"});
    actor.say(&ask(1));
    let refusal = actor.hear().await;
    assert_eq!(
        (&refusal["id"], &refusal["error"]["code"]),
        (&json!(1), &json!(-32601))
    );
    actor.answer(&b, &json!({}));
    assert!(matches!(said(&mut second).await, Said::Result(_)));
    actor.say(&ask(2));
    assert!(matches!(said(&mut first).await, Said::Request { .. }));
    drop(first);
    let cancelled = actor.expect("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], a["id"]);
    actor.end("it ended");
    let error = timeout(SOON, second.next()).await.expect("in time");
    assert!(error.is_err(), "nothing comes after the answer");
}

#[tokio::test]
async fn an_exchange_ends_with_its_program() {
    let (program, mut entering, _) = stage(|_| {});
    let opening = opened(&program, forward("x/a", "", None));
    let mut actor = enter(&mut entering).await;
    actor.meet().await;
    actor.expect("x/a").await;
    let mut exchange = exchange(opening).await;
    actor.end("the program exited with status 7");
    let error = timeout(SOON, exchange.next()).await.expect("in time");
    let error = error.expect_err("it ended");
    assert!(error.to_string().contains("status 7"), "{error}");
}

#[tokio::test]
async fn everything_that_a_program_has_is_listed() {
    let (program, mut entering, _) = stage(|_| {});
    let listing = tokio::spawn({
        let program = Arc::clone(&program);
        async move { program.inventory().await }
    });
    let mut actor = enter(&mut entering).await;
    meet_with_everything(&mut actor).await;
    // One that has no tools may not know the method.
    let tools = actor.expect("tools/list").await;
    actor.refuse(&tools);
    for _ in 0..3 {
        let request = actor.hear().await;
        match request["method"].as_str() {
            Some("prompts/list") => {
                actor.answer(&request, &json!({"prompts": [{"name": "greet"}]}));
            }
            Some("resources/list") => {
                actor.answer(
                    &request,
                    &json!({"resources": [{"uri": "x:1", "name": "a"}]}),
                );
            }
            _ => actor.refuse(&request),
        }
    }
    let all = listing.await.expect("no panic").expect("lists");
    assert_eq!(all.tools.len() + all.templates.len(), 0);
    assert_eq!(all.prompts[0].name, "greet");
    assert_eq!(all.resources[0].name, "x:1");
    assert_eq!(all.about.instructions.as_deref(), Some("Be kind."));
}

#[tokio::test]
async fn a_watched_resource_is_told_of_and_again_after_a_new_start() {
    let (program, mut entering, _) = stage(|settings| {
        settings.initial_backoff = Duration::from_millis(10);
    });
    let relay = program.relay().expect("a relay");
    let mut updates = relay.updates(vec!["x:1".to_owned()]);
    let hearing = tokio::spawn(async move {
        let first = updates.next().await;
        let second = updates.next().await;
        (first, second, updates)
    });
    let mut actor = enter(&mut entering).await;
    meet_with_everything(&mut actor).await;
    let subscribe = actor.expect("resources/subscribe").await;
    assert_eq!(subscribe["params"]["uri"], "x:1");
    actor.answer(&subscribe, &json!({}));
    for uri in ["x:2", "x:1"] {
        actor.say(&json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}));
    }
    actor.end("it ended");
    let mut actor = enter(&mut entering).await;
    meet_with_everything(&mut actor).await;
    let subscribe = actor.expect("resources/subscribe").await;
    actor.answer(&subscribe, &json!({}));
    let (first, second, updates) = timeout(SOON, hearing)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(first.as_deref(), Some("x:1"));
    assert_eq!(
        second.as_deref(),
        Some("x:1"),
        "what was told meanwhile is lost"
    );
    drop(updates);
    let ended = actor.expect("resources/unsubscribe").await;
    assert_eq!(ended["params"]["uri"], "x:1");
}

#[tokio::test]
async fn a_modern_program_is_asked_for_updates_in_its_way() {
    let (program, mut entering, _) = stage(|_| {});
    let relay = program.relay().expect("a relay");
    let mut updates = relay.updates(vec!["x:1".to_owned()]);
    let hearing = tokio::spawn(async move { (updates.next().await, updates) });
    let mut actor = enter(&mut entering).await;
    let discover = actor.expect("server/discover").await;
    actor.answer(
        &discover,
        &json!({"supportedVersions": ["2026-07-28"], "capabilities": {"resources": {"subscribe": true}}}),
    );
    let calling = opened(&program, forward("x/a", "", None));
    let (mut watched, mut call) = (Value::Null, Value::Null);
    for _ in 0..3 {
        let request = actor.hear().await;
        if request["method"] == "x/a" {
            call = request;
            continue;
        }
        let listen = request;
        assert_eq!(listen["method"], "subscriptions/listen", "{listen}");
        let filter = &listen["params"]["notifications"];
        if filter["resourceSubscriptions"].is_array() {
            watched = listen["id"].clone();
        } else {
            assert_eq!(filter["resourcesListChanged"], true, "{listen}");
        }
    }
    actor.say(
        &json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
        "notifications": {}, "_meta": {"io.modelcontextprotocol/subscriptionId": watched}}}),
    );
    actor.answer(&call, &json!({}));
    let first = said(&mut exchange(calling).await).await;
    assert!(
        matches!(first, Said::Result(_)),
        "it is about no call: {first:?}"
    );
    actor.say(
        &json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {
        "uri": "x:1", "_meta": {"io.modelcontextprotocol/subscriptionId": watched}}}),
    );
    let (uri, updates) = timeout(SOON, hearing)
        .await
        .expect("in time")
        .expect("no panic");
    assert_eq!(uri.as_deref(), Some("x:1"));
    drop(updates);
    let cancelled = actor.expect("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], watched);
}
