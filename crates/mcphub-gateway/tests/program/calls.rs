//! Calls of a program, and its lists.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mcphub_core::ErrorKind;
use mcphub_gateway::upstream::Upstream;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::stage::{SOON, call, called, enter, stage, text};

#[tokio::test]
async fn each_caller_gets_its_own_answer_through_noise() {
    let (program, mut entering, stage) = stage(|_| {});
    let calls: Vec<_> = (0..10).map(|n| called(&program, n)).collect();
    let mut actor = enter(&mut entering).await;
    actor.meet().await;
    let mut requests = Vec::new();
    for _ in 0..10 {
        requests.push(actor.expect("tools/call").await);
    }
    for noise in [
        "",
        "listening",
        "[]",
        "{\"id\":1,\"id\":2}",
        "{\"id\":99,\"result\":{}}",
    ] {
        actor.say_text(noise);
    }
    actor.say(&json!({"jsonrpc": "2.0", "id": "p", "method": "ping"}));
    actor.say(&json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"}));
    for request in requests.iter().rev() {
        let n = &request["params"]["arguments"]["n"];
        actor.answer(request, &json!({"content": [], "n": n}));
        actor.answer(request, &json!({"content": [], "n": "twice"}));
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(
            text(call.await.expect("no panic")),
            format!("{{\"content\":[],\"n\":{n}}}")
        );
    }
    assert_eq!(actor.hear().await["result"], json!({}));
    assert_eq!(actor.hear().await["error"]["code"], -32601);
    assert_eq!(
        stage.launched.load(Ordering::SeqCst),
        1,
        "one program for all"
    );
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled() {
    let (program, mut entering, _) = stage(|_| {});
    let waiting = called(&program, 1);
    let mut actor = enter(&mut entering).await;
    actor.meet().await;
    let request = actor.expect("tools/call").await;
    waiting.abort();
    let cancelled = actor.expect("notifications/cancelled").await;
    assert_eq!(cancelled["params"]["requestId"], request["id"]);
}

#[tokio::test]
async fn an_end_is_told_to_all_who_wait_and_the_next_call_waits_for_no_pause_but_its_own() {
    let (program, mut entering, stage) = stage(|settings| {
        settings.initial_backoff = Duration::from_millis(300);
    });
    let mut changes = program.changes();
    let calls = [called(&program, 1), called(&program, 2)];
    let mut actor = enter(&mut entering).await;
    actor.meet().await;
    actor.expect("tools/call").await;
    actor.expect("tools/call").await;
    actor.end("the program exited with status 7");
    for call in calls {
        let error = call.await.expect("no panic").expect_err("it ended");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("status 7"), "{error}");
    }
    timeout(SOON, changes.next())
        .await
        .expect("the end is a change");
    let error = call(&program, "{}")
        .await
        .expect_err("it is not started yet");
    assert!(error.to_string().contains("started again in"), "{error}");
    assert_eq!(stage.launched.load(Ordering::SeqCst), 1);
    let again = async {
        loop {
            match call(&program, "{}").await {
                Err(error) if error.to_string().contains("started again in") => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                outcome => return outcome,
            }
        }
    };
    let acting = async {
        let mut actor = enter(&mut entering).await;
        actor.meet().await;
        let request = actor.expect("tools/call").await;
        actor.answer(&request, &json!({"content": []}));
        actor
    };
    let (outcome, _actor) = timeout(SOON, async { tokio::join!(again, acting) })
        .await
        .expect("in time");
    assert_eq!(text(outcome), r#"{"content":[]}"#);
}

#[tokio::test]
async fn one_that_ends_because_it_was_asked_is_started_once_more_and_not_asked() {
    let (program, mut entering, _) = stage(|_| {});
    let waiting = called(&program, 1);
    let mut first = enter(&mut entering).await;
    first.expect("server/discover").await;
    first.end("it does not like questions");
    let mut second = enter(&mut entering).await;
    second.initialize().await;
    let request = second.expect("tools/call").await;
    second.answer(&request, &json!({"content": []}));
    assert_eq!(text(waiting.await.expect("no panic")), r#"{"content":[]}"#);
}

#[tokio::test]
async fn one_that_answers_late_is_still_met_in_its_era() {
    let (program, mut entering, _) = stage(|settings| {
        settings.discover_timeout = Duration::from_millis(50);
    });
    let waiting = called(&program, 1);
    let mut actor = enter(&mut entering).await;
    let discover = actor.expect("server/discover").await;
    actor.expect("initialize").await;
    actor.answer(
        &discover,
        &json!({"supportedVersions": ["2026-07-28"], "capabilities": {}}),
    );
    let mut methods = Vec::new();
    while methods.len() < 2 {
        let request = actor.hear().await;
        methods.push(request["method"].as_str().expect("a request").to_owned());
        let version = &request["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        assert_eq!(*version, "2026-07-28", "{request}");
        if request["method"] == "tools/call" {
            actor.answer(&request, &json!({"resultType": "complete", "content": []}));
        }
    }
    methods.sort();
    assert_eq!(methods, ["subscriptions/listen", "tools/call"]);
    assert_eq!(text(waiting.await.expect("no panic")), r#"{"content":[]}"#);
}

#[tokio::test]
async fn a_start_goes_on_without_who_asked_for_it() {
    let (program, mut entering, stage) = stage(|_| {});
    let waiting = called(&program, 1);
    let mut actor = enter(&mut entering).await;
    actor.expect("server/discover").await;
    waiting.abort();
    let _ = waiting.await;
    let waiting = called(&program, 2);
    let heard = actor.says.unbounded_send(Ok(Bytes::from_static(
        br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no"}}"#,
    )));
    heard.expect("it is listened to");
    actor.initialize().await;
    let request = actor.expect("tools/call").await;
    assert_eq!(request["params"]["arguments"]["n"], 2);
    actor.answer(&request, &json!({"content": []}));
    waiting.await.expect("no panic").expect("a result");
    assert_eq!(stage.launched.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused() {
    let (program, mut entering, _) = stage(|settings| settings.max_in_flight = 2);
    let _waiting = [called(&program, 1), called(&program, 2)];
    let mut actor = enter(&mut entering).await;
    actor.meet().await;
    actor.expect("tools/call").await;
    actor.expect("tools/call").await;
    let error = call(&program, "{}")
        .await
        .expect_err("there are two already");
    assert!(
        error.is_retryable() && error.to_string().contains("too many"),
        "{error}"
    );
}

#[tokio::test]
async fn tools_are_listed_page_by_page_and_changes_heard() {
    let (program, mut entering, _) = stage(|_| {});
    let mut changes = program.changes();
    let listing = tokio::spawn({
        let program = Arc::clone(&program);
        async move { program.tools().await }
    });
    let mut actor = enter(&mut entering).await;
    actor.meet().await;
    for (cursor, next) in [(Value::Null, json!("2")), (json!("2"), Value::Null)] {
        let request = actor.expect("tools/list").await;
        assert_eq!(request["params"]["cursor"], cursor);
        let tool = json!({"name": format!("tool{cursor}"), "inputSchema": {"type": "object"}});
        actor.answer(&request, &json!({"tools": [tool], "nextCursor": next}));
    }
    let tools = listing.await.expect("no panic").expect("a list");
    assert_eq!(tools.len(), 2);
    actor.say(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
    timeout(SOON, changes.next())
        .await
        .expect("it is heard")
        .expect("a change");
    drop(program);
    let rest = timeout(SOON, actor.heard.next()).await.expect("in time");
    assert!(rest.is_none(), "it is left when nobody needs it any more");
}
