//! HTTP digest, against a server that computes for itself (RFC 7616).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcphub_core::call::{Arguments, ToolResult};
use mcphub_core::secret::Credentials;
use mcphub_core::tool::{PLAN_VERSION, ToolSet};
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::recording_api::{Recorded, RecordingApi, Reply};

const PASSWORD: &str = "Circle of: Life";

fn api(url: &Url, password: &str) -> NativeApi {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tool = |name: &str, method: &str, security: Value| {
        json!({
            "name": name, "description": "",
            "input": {"root": {"type": "object", "properties": {"q": {}, "body": {}}}},
            "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true},
            "binding": {
                "method": method, "path": format!("/{name}"), "accept": "*/*", "security": security,
                "parameters": [{"argument": "q", "name": "q", "in": "query", "required": false, "style": "form", "explode": true}],
                "body": {"mediaType": "application/json", "format": "json", "required": false, "source": {"argument": "body"}},
            },
        })
    };
    let set = json!({
        "planVersion": PLAN_VERSION,
        "api": {"title": "Bank", "version": "1", "dialect": "openapi-3.0"},
        "servers": [],
        "securitySchemes": {"user": {"type": "digest"}, "key": {"type": "apiKey", "in": "query", "name": "key"}},
        "definitions": [],
        "tools": [
            tool("balance", "GET", json!([["user"]])),
            tool("pay", "POST", json!([["user", "key"]])),
            tool("rates", "GET", json!([])),
        ],
    });
    let tools: ToolSet = serde_json::from_value(set).unwrap();
    let credentials = Credentials {
        schemes: [
            ("user".to_owned(), format!("Mufasa:{password}").into()),
            ("key".to_owned(), "k3y".into()),
        ]
        .into(),
        ..Credentials::default()
    };
    let settings = NativeSettings::default();
    NativeApi::new(Arc::new(tools), url.clone(), credentials, settings).unwrap()
}

async fn call(api: &NativeApi, tool: &str, arguments: &str) -> ToolResult {
    api.call(tool, &Arguments::parse(arguments).unwrap()).await
}

/// The parameters of `Authorization: Digest`.
fn parameters(header: &str) -> HashMap<String, String> {
    let rest = header.strip_prefix("Digest ").unwrap_or_default();
    let pairs = rest.split(", ").filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the answer in a request is right for this nonce.
fn is_right(request: &Recorded, nonce: &str) -> bool {
    let Some(header) = request.header("authorization") else {
        return false;
    };
    let given = parameters(header);
    let get = |name: &str| given.get(name).cloned().unwrap_or_default();
    let algorithm = get("algorithm");
    let hash = |text: String| match algorithm.starts_with("SHA-256") {
        true => hex(&Sha256::digest(text)),
        false => hex(&Md5::digest(text)),
    };
    let mut first = hash(format!("Mufasa:{}:{PASSWORD}", get("realm")));
    if algorithm.ends_with("-sess") {
        first = hash(format!("{first}:{nonce}:{}", get("cnonce")));
    }
    let mut second = format!("{}:{}", request.method, request.target);
    if get("qop") == "auth-int" {
        second = format!("{second}:{}", hash(request.body.clone()));
    }
    let second = hash(second);
    let wanted = hash(format!(
        "{first}:{nonce}:{}:{}:{}:{second}",
        get("nc"),
        get("cnonce"),
        get("qop")
    ));
    get("nonce") == nonce && get("uri") == request.target && get("response") == wanted
}

fn question(nonce: &str, more: &str) -> Reply {
    Reply::Raw(
        format!("HTTP/1.1 401 X\r\nwww-authenticate: Digest realm=\"bank\", nonce=\"{nonce}\", opaque=\"o\"{more}\r\ncontent-length: 0\r\n\r\n")
            .into_bytes(),
    )
}

#[tokio::test]
async fn what_is_asked_is_answered_and_then_known() {
    for more in [
        ", qop=\"auth\"",
        ", qop=\"auth-int,auth\", algorithm=MD5",
        ", qop=\"auth-int\", algorithm=SHA-256",
        ", qop=auth, algorithm=SHA-256-sess",
        ", qop=auth, algorithm=MD5-sess",
    ] {
        let server = RecordingApi::start(move |request| match is_right(request, "n1") {
            true => Reply::json("{}"),
            false => question("n1", more),
        })
        .await;
        let api = api(&server.url, PASSWORD);
        let result = call(&api, "balance", r#"{"q": "a b/c"}"#).await;
        assert!(!result.is_error, "{more}: {result:?}");
        let result = call(&api, "pay", r#"{"body": {"amount": 1.50}}"#).await;
        assert!(!result.is_error, "{more}: {result:?}");
        let requests = server.requests();
        // One question in all; the second call answers it ahead.
        let counts: Vec<_> = requests
            .iter()
            .map(|request| {
                parameters(request.header("authorization").unwrap_or_default()).remove("nc")
            })
            .collect();
        assert_eq!(
            counts[..3],
            [
                None,
                Some("00000001".to_owned()),
                Some("00000002".to_owned())
            ]
        );
        assert_eq!(requests[2].target, "/pay?key=k3y");
    }
}

#[tokio::test]
async fn an_operation_that_asks_for_nobody_gets_nobody() {
    let server = RecordingApi::start(|request| match request.target.as_str() {
        "/rates" => Reply::json("{}"),
        _ if is_right(request, "n1") => Reply::json("{}"),
        _ => question("n1", ", qop=\"auth\""),
    })
    .await;
    let api = api(&server.url, PASSWORD);
    assert!(!call(&api, "balance", "{}").await.is_error);
    assert!(!call(&api, "rates", "{}").await.is_error);
    let requests = server.requests();
    let last = requests.last().unwrap();
    assert_eq!(
        (last.target.as_str(), last.header("authorization")),
        ("/rates", None)
    );
}

#[tokio::test]
async fn an_old_question_is_asked_anew_and_answered() {
    for stale in [", stale=true", ""] {
        let good = Arc::new(AtomicUsize::new(1));
        let now = Arc::clone(&good);
        let server = RecordingApi::start(move |request| {
            let nonce = format!("n{}", now.load(Ordering::SeqCst));
            match is_right(request, &nonce) {
                true => Reply::json("{}"),
                false => question(&nonce, &format!(", qop=\"auth\"{stale}")),
            }
        })
        .await;
        let api = api(&server.url, PASSWORD);
        assert!(!call(&api, "balance", "{}").await.is_error);
        good.store(2, Ordering::SeqCst);
        assert!(!call(&api, "balance", "{}").await.is_error);
        assert_eq!(server.requests().len(), 4);
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_never_shown() {
    let asked = AtomicUsize::new(0);
    let server = RecordingApi::start(move |_| {
        // A nonce for one use each.
        let nonce = asked.fetch_add(1, Ordering::SeqCst);
        question(&format!("n{nonce}"), ", qop=\"auth\"")
    })
    .await;
    let api = api(&server.url, "h4kuna");
    for _ in 0..2 {
        let result = call(&api, "balance", "{}").await;
        let text = serde_json::to_string(&result).unwrap();
        assert!(
            result.is_error && text.contains("401") && !text.contains("h4kuna"),
            "{text}"
        );
    }
    assert_eq!(server.requests().len(), 4);
    assert!(!format!("{api:?}").contains("h4kuna"));
}

#[tokio::test]
async fn a_question_that_nobody_can_answer_is_the_answer() {
    for header in [
        "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-1024",
        "Digest \"",
        "Basic realm=\"x\"",
        "Negotiate",
    ] {
        let server = RecordingApi::start(move |_| {
            Reply::Raw(
                format!(
                    "HTTP/1.1 401 X\r\nwww-authenticate: {header}\r\ncontent-length: 0\r\n\r\n"
                )
                .into_bytes(),
            )
        })
        .await;
        let result = call(&api(&server.url, PASSWORD), "balance", "{}").await;
        assert!(result.is_error, "{header}");
        assert_eq!(server.request().header("authorization"), None);
    }
}
