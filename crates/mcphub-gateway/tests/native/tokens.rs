//! Access tokens that the gateway gets as an OAuth 2 client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcphub_core::secret::Credentials;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde_json::json;
use url::Url;

use crate::bank::{self, call, targets, text};
use crate::recording_api::{Recorded, RecordingApi, Reply};

const SECRET: &str = "s3cr/t:of+the client";

fn api(url: &Url, token_url: &str) -> NativeApi {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let schemes = json!({"login": {"type": "oAuth2", "tokenUrl": token_url}});
    let tools = bank::tools(
        &schemes,
        &[("balance", json!([["login"]])), ("rates", json!([]))],
    );
    let credentials = Credentials {
        clients: [("login".to_owned(), format!("me:{SECRET}").into())].into(),
        scopes: [("login".to_owned(), "read write".to_owned())].into(),
        ..Credentials::default()
    };
    NativeApi::new(
        Arc::new(tools),
        url.clone(),
        credentials,
        NativeSettings::default(),
    )
    .unwrap()
}

fn token(number: usize, life: u64) -> Reply {
    Reply::json(format!(
        r#"{{"access_token": "t{number}", "token_type": "Bearer", "expires_in": {life}}}"#
    ))
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_only_where_the_operation_needs_it() {
    let server = RecordingApi::start(|request: &Recorded| match request.target.as_str() {
        "/token" => token(1, 3600),
        _ => Reply::json("{}"),
    })
    .await;
    let api = api(&server.url, "/token");
    assert!(!call(&api, "rates").await.is_error);
    let (one, two) = tokio::join!(call(&api, "balance"), call(&api, "balance"));
    assert!(!one.is_error && !two.is_error, "{one:?} {two:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    assert_eq!(requests[0].header("authorization"), None);
    let asked = &requests[1];
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("POST", "/token")
    );
    // RFC 6749, 2.3.1: both halves are escaped as in a form first.
    assert_eq!(
        asked.header("authorization"),
        Some("Basic bWU6czNjciUyRnQlM0FvZiUyQnRoZStjbGllbnQ=")
    );
    assert_eq!(asked.body, "grant_type=client_credentials&scope=read+write");
    for request in &requests[2..] {
        assert_eq!(request.header("authorization"), Some("Bearer t1"));
    }
}

#[tokio::test]
async fn a_token_that_ends_is_replaced_before_it_does() {
    let count = AtomicUsize::new(0);
    let server = RecordingApi::start(move |request: &Recorded| match request.target.as_str() {
        "/token" => token(count.fetch_add(1, Ordering::Relaxed), 0),
        _ => Reply::json("{}"),
    })
    .await;
    let api = api(&server.url, "/token");
    call(&api, "balance").await;
    call(&api, "balance").await;
    assert_eq!(
        targets(&server),
        ["/token", "/balance", "/token", "/balance"]
    );
    assert_eq!(
        server.requests()[3].header("authorization"),
        Some("Bearer t1")
    );
}

#[tokio::test]
async fn a_token_that_the_api_revoked_is_replaced_and_the_call_made_again() {
    let count = AtomicUsize::new(0);
    let server = RecordingApi::start(move |request: &Recorded| {
        match (request.target.as_str(), request.header("authorization")) {
            ("/token", _) => token(count.fetch_add(1, Ordering::Relaxed), 3600),
            (_, Some("Bearer t0")) if count.load(Ordering::Relaxed) == 1 => {
                // Good for one call.
                count.store(2, Ordering::Relaxed);
                Reply::json("{}")
            }
            (_, Some("Bearer t2")) => Reply::json("{}"),
            _ => Reply::Whole(401, "text/plain", Vec::new()),
        }
    })
    .await;
    let api = api(&server.url, "/token");
    assert!(!call(&api, "balance").await.is_error);
    assert!(!call(&api, "balance").await.is_error);
    assert_eq!(
        targets(&server),
        ["/token", "/balance", "/balance", "/token", "/balance"]
    );
}

#[tokio::test]
async fn a_token_that_is_refused_at_once_is_not_asked_for_again() {
    let server = RecordingApi::start(|request: &Recorded| match request.target.as_str() {
        "/token" => token(1, 3600),
        _ => Reply::Whole(401, "text/plain", b"no".to_vec()),
    })
    .await;
    let result = call(&api(&server.url, "/token"), "balance").await;
    assert!(
        result.is_error && text(&result).contains("401"),
        "{result:?}"
    );
    assert_eq!(targets(&server), ["/token", "/balance"]);
}

#[tokio::test]
async fn a_server_that_takes_no_basic_gets_the_password_in_the_form() {
    let server = RecordingApi::start(|request: &Recorded| match request.target.as_str() {
        "/token" if request.header("authorization").is_some() => Reply::Whole(
            401,
            "application/json",
            br#"{"error": "invalid_client"}"#.to_vec(),
        ),
        "/token" => token(1, 3600),
        _ => Reply::json("{}"),
    })
    .await;
    assert!(!call(&api(&server.url, "/token"), "balance").await.is_error);
    let body = &server.requests()[1].body;
    assert!(
        body.ends_with("&client_id=me&client_secret=s3cr%2Ft%3Aof%2Bthe+client"),
        "{body}"
    );
}

#[tokio::test]
async fn a_refusal_is_said_without_the_secret_and_not_repeated_at_once() {
    let server = RecordingApi::start(|_: &Recorded| {
        Reply::Whole(
            400,
            "application/json",
            br#"{"error": "invalid_scope", "error_description": "s3cr/t"}"#.to_vec(),
        )
    })
    .await;
    let api = api(&server.url, "/token");
    for _ in 0..2 {
        let result = call(&api, "balance").await;
        assert!(result.is_error);
        let text = text(&result);
        assert!(
            text.contains("`login`") && text.contains("invalid_scope (HTTP 400)"),
            "{text}"
        );
        assert!(!text.contains("s3cr"), "{text}");
    }
    assert_eq!(targets(&server), ["/token"]);
}

#[tokio::test]
async fn what_is_no_token_is_an_error_and_too_much_is_not_read() {
    for (body, why) in [
        ("[]".to_owned(), "no token"),
        (
            r#"{"access_token": "x", "token_type": "mac"}"#.to_owned(),
            "no bearer token",
        ),
        (
            format!(r#"{{"access_token": "{}"}}"#, "x".repeat(70_000)),
            "too much",
        ),
    ] {
        let server = RecordingApi::start(move |_: &Recorded| Reply::json(body.clone())).await;
        let result = call(&api(&server.url, "/token"), "balance").await;
        assert!(text(&result).contains(why), "{result:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_secret_never_goes_out_in_the_open() {
    let server = RecordingApi::start(|_: &Recorded| Reply::json("{}")).await;
    let api = api(&server.url, "http://auth.example/token");
    let result = call(&api, "balance").await;
    assert!(text(&result).contains("not https"), "{result:?}");
    assert!(server.requests().is_empty());
}
