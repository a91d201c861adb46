//! What an operator reads.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use mcphub_gateway::{CallAudit, Gateway};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::audit::noting;
use super::support::*;

/// The names that are documented.
const DOCUMENTED: &str = include_str!("../../../../docs/metrics.md");

async fn read(gateway: &Gateway, path: &str) -> (String, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = gateway.metrics_router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let media_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (media_type, String::from_utf8(body.to_vec()).unwrap())
}

async fn metrics(gateway: &Gateway) -> String {
    read(gateway, "/metrics").await.1
}

/// The value of a sample; 0 where there is none.
fn value(text: &str, sample: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

fn requests(text: &str, kind: &str, outcome: &str) -> f64 {
    let sample =
        format!(r#"mcphub_requests_total{{server="shop",kind="{kind}",outcome="{outcome}"}}"#);
    value(text, &sample)
}

#[tokio::test]
async fn calls_are_counted_by_how_they_ended_and_while_they_run() {
    let (served, _) = shop().await;
    let call = async |tool: &str| {
        let params = json!({"name": format!("shop_{tool}"), "arguments": {}});
        served.modern("tools/call", params).await
    };
    for tool in ["echo", "echo", "unreachable", "bug"] {
        call(tool).await;
    }
    let params = json!({"name": "shop_hang", "arguments": {}});
    let hanging = served.modern_request("/mcp", &modern_body(1, "tools/call", params));
    let hanging = tokio::spawn(hanging.send());
    let running = r#"mcphub_requests_running{server="shop"}"#;
    until("a call runs", async || {
        value(&metrics(&served.gateway).await, running) == 1.0
    })
    .await;
    hanging.abort();
    until("the client is gone", async || {
        requests(&metrics(&served.gateway).await, "read", "abandoned") == 1.0
    })
    .await;

    let text = metrics(&served.gateway).await;
    assert_eq!(requests(&text, "read", "ok"), 2.0, "{text}");
    assert_eq!(requests(&text, "read", "unanswered"), 2.0, "{text}");
    assert_eq!(value(&text, running), 0.0);
    let of = r#"{server="shop",kind="read"}"#;
    assert_eq!(
        value(&text, &format!("mcphub_request_seconds_count{of}")),
        5.0
    );
    let last = r#"mcphub_request_seconds_bucket{le="+Inf",server="shop",kind="read"}"#;
    assert_eq!(value(&text, last), 5.0, "{text}");
    assert!(value(&text, &format!("mcphub_request_seconds_sum{of}")) > 0.0);
    assert_eq!(value(&text, r#"mcphub_server_up{server="shop"}"#), 1.0);
    assert_eq!(value(&text, r#"mcphub_server_tools{server="shop"}"#), 6.0);
    assert_eq!(value(&text, r#"mcphub_servers{state="ready"}"#), 1.0);
    assert!(
        value(
            &text,
            r#"mcphub_server_lists_total{server="shop",outcome="ok"}"#
        ) >= 1.0
    );
    assert!(value(&text, "mcphub_snapshots_total") >= 1.0);
    assert!(value(&text, "mcphub_snapshot_making_seconds_total") > 0.0);
    assert!(value(&text, "mcphub_catalogs_total") >= 1.0);
    assert!(value(&text, "mcphub_catalog_reading_seconds_total") > 0.0);
    assert_eq!(value(&text, "mcphub_catalog_readable"), 1.0);
    if cfg!(target_os = "linux") {
        assert!(value(&text, "process_resident_memory_bytes") > 1e6);
        assert!(value(&text, "process_open_fds") > 3.0);
    }
}

#[tokio::test]
async fn a_circuit_that_opens_is_seen_and_what_it_refuses_is_counted() {
    let (served, _) = shop().await;
    let params = json!({"name": "shop_unreachable", "arguments": {}});
    for _ in 0..7 {
        served.modern("tools/call", params.clone()).await;
    }
    let text = metrics(&served.gateway).await;
    assert_eq!(requests(&text, "read", "unanswered"), 5.0, "{text}");
    assert_eq!(requests(&text, "read", "refused"), 2.0);
    assert_eq!(value(&text, r#"mcphub_circuit_state{server="shop"}"#), 2.0);
    let turns = r#"mcphub_circuit_turns_total{server="shop",to="open"}"#;
    assert_eq!(value(&text, turns), 1.0);
}

#[tokio::test]
async fn answers_sessions_and_streams_are_counted() {
    let (served, _) = shop().await;
    let (session, _) = served.initialize("2025-11-25").await;
    served.names().await;
    let evil = served
        .post("/mcp")
        .header("origin", "https://evil.example")
        .body("{}");
    assert_eq!(answer(evil).await.0, 403);
    assert_eq!(answer(served.post("/mcp").body("{")).await.0, 400);
    let stream = served
        .client
        .get(served.url("/mcp"))
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &session);
    let open = Events::open(stream).await;
    let text = metrics(&served.gateway).await;
    assert_eq!(value(&text, "mcphub_streams_open"), 1.0, "{text}");
    assert_eq!(value(&text, "mcphub_sessions_begun_total"), 1.0);
    for (code, count) in [("200", 3.0), ("403", 1.0), ("400", 1.0)] {
        let sample = format!(r#"mcphub_http_answers_total{{code="{code}"}}"#);
        assert_eq!(value(&text, &sample), count, "{text}");
    }
    drop(open);
    let delete = served.client.delete(served.url("/mcp"));
    let delete = delete.header("mcp-session-id", &session).send().await;
    assert_eq!(delete.unwrap().status(), 204);
    until("the stream is closed", async || {
        value(&metrics(&served.gateway).await, "mcphub_streams_open") == 0.0
    })
    .await;
    let text = metrics(&served.gateway).await;
    assert_eq!(value(&text, "mcphub_sessions_ended_total"), 1.0);
}

#[tokio::test]
async fn nothing_that_a_client_sends_becomes_a_label() {
    let (served, _) = shop().await;
    let params = json!({"name": "shop_echo", "arguments": {"secret": "told-nobody"}});
    served.modern("tools/call", params).await;
    served
        .modern("tools/call", json!({"name": "told-nobody"}))
        .await;
    served.modern("told-nobody", json!({})).await;
    answer(served.post("/mcp/told-nobody").body("{}")).await;
    let text = metrics(&served.gateway).await;
    assert_eq!(requests(&text, "read", "ok"), 1.0, "{text}");
    assert!(!text.contains("told-nobody"), "{text}");
}

#[tokio::test]
async fn what_is_documented_is_what_there_is() {
    let (served, ..) = noting(CallAudit::default()).await;
    let (media_type, text) = read(&served.gateway, "/metrics").await;
    assert_eq!(
        media_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
    let declared = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let declared: BTreeSet<String> = declared
        .map(|line| {
            let (name, of) = line.split_once(' ').unwrap();
            let total = if of == "counter" { "_total" } else { "" };
            format!("{name}{total} {of}")
        })
        .collect();
    let rows = DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| {
            let (name, rest) = row.split_once("` | ")?;
            let of = rest.split(" | ").next()?;
            let known = ["counter", "gauge", "histogram"].contains(&of);
            known.then(|| format!("{name} {of}"))
        })
        .collect();
    let elsewhere = |name: &&String| name.starts_with("process_") && !cfg!(target_os = "linux");
    let missing: Vec<_> = documented
        .difference(&declared)
        .filter(|it| !elsewhere(it))
        .collect();
    let unsaid: Vec<_> = declared.difference(&documented).collect();
    assert!(
        missing.is_empty() && unsaid.is_empty(),
        "{missing:?} {unsaid:?}"
    );
}

#[tokio::test]
async fn operators_see_all_servers() {
    let (served, _) = shop().await;
    let health: Value = serde_json::from_str(&read(&served.gateway, "/healthz").await.1).unwrap();
    assert_eq!(health["servers"][0]["name"], "shop");
}
