//! Logins of a person, against an authorization server that is good, and one that is not.

mod mcp_server;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcphub_core::secret::{ExposeSecret, Grant};
use mcphub_core::spec::{OAuthFlow, SecurityScheme};
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::native::{NativeClient, NativeSettings};
use mcphub_gateway::upstream::oauth::{BrowserLogin, Login, LoginSettings};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Url, form_urlencoded};

use crate::recording_api::{Recorded, RecordingApi, Reply};

const REDIRECT: &str = "http://127.0.0.1:9/callback";

fn http() -> NativeClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut settings = NativeSettings::default();
    settings.timeout = Duration::from_secs(2);
    NativeClient::new(settings).unwrap()
}

fn settings(client: &str) -> LoginSettings {
    let mut settings = LoginSettings::new(client.into());
    settings.slow_down = Duration::from_millis(10);
    settings
}

fn scheme() -> SecurityScheme {
    let flow = |url: &str| OAuthFlow {
        url: url.to_owned(),
        token_url: "/token".to_owned(),
        refresh_url: Some("/refresh".to_owned()),
        scopes: Vec::new(),
    };
    SecurityScheme::OAuth2 {
        token_url: None,
        authorization_code: Some(Box::new(flow("/authorize?tenant=1"))),
        device: Some(Box::new(flow("/device"))),
        metadata_url: None,
    }
}

async fn login(server: &RecordingApi, client: &str) -> Result<Login> {
    let mut settings = settings(client);
    settings.scopes = Some("read write".to_owned());
    Login::discover(http(), server.url.clone(), &scheme(), settings).await
}

async fn browser(server: &RecordingApi, client: &str) -> BrowserLogin {
    let login = login(server, client).await.unwrap();
    login.with_browser(REDIRECT.parse().unwrap()).unwrap()
}

pub fn pairs(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes())
        .into_owned()
        .collect()
}

fn tokens() -> Reply {
    Reply::json(
        r#"{"access_token": "t1", "token_type": "Bearer", "expires_in": "60", "refresh_token": "r1"}"#,
    )
}

fn assert_tokens(grant: &Grant) {
    assert_eq!(grant.access_token.expose_secret(), "t1");
    assert_eq!(grant.refresh_token.as_ref().unwrap().expose_secret(), "r1");
    assert!(
        grant
            .remaining()
            .is_some_and(|left| left > Duration::from_secs(50))
    );
}

#[tokio::test]
async fn a_code_becomes_tokens_with_proof_of_who_began() {
    for (client, basic) in [("me:s3cret", Some("Basic bWU6czNjcmV0")), ("public", None)] {
        let server = RecordingApi::start(|_: &Recorded| tokens()).await;
        let login = browser(&server, client).await;
        let asked = pairs(login.url().query().unwrap());
        let id = client.split(':').next().unwrap();
        for (key, value) in [
            ("tenant", "1"),
            ("response_type", "code"),
            ("client_id", id),
            ("redirect_uri", REDIRECT),
            ("code_challenge_method", "S256"),
            ("scope", "read write"),
        ] {
            assert_eq!(asked[key], value, "{key}");
        }
        assert!(!login.url().as_str().contains("s3cret"));
        let state = asked["state"].clone();
        assert!(state.len() >= 43 && !format!("{login:?}").contains(&state));
        let grant = login
            .finish(&format!("code=c%2F1&state={state}"))
            .await
            .unwrap();
        assert_tokens(&grant);
        assert_eq!(grant.token_url.path(), "/refresh");
        assert_eq!(grant.scopes.as_deref(), Some("read write"));
        let request = server.request();
        assert_eq!(request.header("authorization"), basic);
        let sent = pairs(&request.body);
        assert_eq!(sent["grant_type"], "authorization_code");
        assert_eq!(sent["code"], "c/1");
        assert_eq!(sent["redirect_uri"], REDIRECT);
        assert_eq!(
            sent.get("client_id").map(String::as_str),
            basic.is_none().then_some(id)
        );
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&sent["code_verifier"]));
        assert_eq!(challenge, asked["code_challenge"]);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_ours_brings_no_code_anywhere() {
    let server = RecordingApi::start(|_: &Recorded| tokens()).await;
    let state = |login: &BrowserLogin| pairs(login.url().query().unwrap())["state"].clone();
    for query in ["code=c&state=other", "code=c", "", "state=&code=c"] {
        let login = browser(&server, "me").await;
        assert!(!login.is_answer(query));
        let error = login.finish(query).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Upstream, "{query}");
    }
    let twice = browser(&server, "me").await;
    let right = state(&twice);
    assert!(!twice.is_answer(&format!("state={right}&state=other")));
    let login = browser(&server, "me").await;
    let query = format!("error=access_denied&state={}", state(&login));
    let error = login.finish(&query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("access_denied"), "{error}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_refuses_a_code_is_told_without_secrets() {
    for (reply, word) in [
        (refusal(400, "invalid_grant"), "invalid_grant (HTTP 400)"),
        (Reply::json("[]"), "no token"),
        (Reply::Endless, "too much"),
        (Reply::Silence(Duration::from_secs(60)), "no answer within"),
        (Reply::Raw(Vec::new()), "cannot be reached"),
        (
            Reply::json(r#"{"access_token": "t", "token_type": "mac"}"#),
            "no bearer token",
        ),
    ] {
        let reply = std::sync::Mutex::new(Some(reply));
        let server = RecordingApi::start(move |_: &Recorded| {
            let reply = reply.lock().unwrap().take();
            reply.unwrap_or(Reply::Raw(Vec::new()))
        })
        .await;
        let login = browser(&server, "me:s3cret").await;
        let state = pairs(login.url().query().unwrap())["state"].clone();
        let error = login
            .finish(&format!("code=c0de&state={state}"))
            .await
            .unwrap_err();
        let report = error.report();
        assert!(report.contains(word), "no `{word}` in {report}");
        assert!(
            !report.contains("s3cret") && !report.contains("c0de"),
            "{report}"
        );
    }
}

fn refusal(status: u16, code: &str) -> Reply {
    let body = format!(r#"{{"error": "{code}", "error_description": "s3cret"}}"#);
    Reply::Whole(status, "application/json", body.into_bytes())
}

/// An authorization server that describes itself.
async fn described(
    path: &'static str,
    change: impl Fn(&mut Value) + Send + Sync + 'static,
) -> RecordingApi {
    RecordingApi::start(move |request: &Recorded| {
        let origin = format!("http://{}", request.header("host").unwrap());
        if request.target == path {
            let mut metadata = json!({
                "issuer": origin, "authorization_endpoint": format!("{origin}/authorize"),
                "token_endpoint": format!("{origin}/token"),
                "device_authorization_endpoint": format!("{origin}/device"),
                "code_challenge_methods_supported": ["plain", "S256"],
                "authorization_response_iss_parameter_supported": true,
            });
            change(&mut metadata);
            return Reply::json(metadata.to_string());
        }
        match request.target.as_str() {
            "/token" => tokens(),
            _ => Reply::Whole(404, "text/plain", Vec::new()),
        }
    })
    .await
}

fn openid(server: &RecordingApi) -> SecurityScheme {
    let url = server
        .url
        .join("/.well-known/openid-configuration")
        .unwrap();
    SecurityScheme::OpenIdConnect {
        url: Some(url.into()),
    }
}

async fn discovered(server: &RecordingApi, scheme: &SecurityScheme) -> Result<Login> {
    Login::discover(http(), server.url.clone(), scheme, settings("me")).await
}

#[tokio::test]
async fn a_server_says_where_to_log_in_and_who_it_is() {
    let server = described("/.well-known/openid-configuration", |_| {}).await;
    for (issuer, good) in [
        (server.url.as_str().trim_end_matches('/'), true),
        ("http://evil.test", false),
        ("", false),
    ] {
        let login = discovered(&server, &openid(&server)).await.unwrap();
        assert!(login.has_browser() && login.has_device());
        let login = login.with_browser(REDIRECT.parse().unwrap()).unwrap();
        let asked = pairs(login.url().query().unwrap());
        assert_eq!(
            (login.url().path(), asked["scope"].as_str()),
            ("/authorize", "openid")
        );
        let mut query = format!("code=c&state={}", asked["state"]);
        if !issuer.is_empty() {
            query.push_str(&format!("&iss={issuer}"));
        }
        let before = server.requests().len();
        let grant = login.finish(&query).await;
        assert_eq!(grant.is_ok(), good, "{issuer}: {grant:?}");
        assert_eq!(server.requests().len() - before, usize::from(good));
    }
}

#[tokio::test]
async fn an_issuer_is_found_at_either_of_its_places() {
    for place in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ] {
        let server = described(place, |_| {}).await;
        let mut settings = settings("me");
        settings.issuer = Some(server.url.clone());
        let api = Url::parse("https://api.test").unwrap();
        let login = Login::discover(http(), api, &scheme(), settings)
            .await
            .unwrap();
        let login = login.with_browser(REDIRECT.parse().unwrap()).unwrap();
        assert_eq!(login.url().port(), server.url.port());
    }
}

#[tokio::test]
async fn a_description_that_leads_astray_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(Change, &str); 5] = [
        (
            |it| it["issuer"] = "https://evil.test".into(),
            "another issuer",
        ),
        (
            |it| it["token_endpoint"] = "http://evil.test/token".into(),
            "not https",
        ),
        (
            |it| it["authorization_endpoint"] = "javascript:alert(1)".into(),
            "not https",
        ),
        (
            |it| {
                it["code_challenge_methods_supported"] = json!(["plain"]);
                it["device_authorization_endpoint"] = Value::Null;
            },
            "PKCE",
        ),
        (|it| it["token_endpoint"] = Value::Null, "--issuer"),
    ];
    for (change, word) in changes {
        let server = described("/.well-known/openid-configuration", change).await;
        let error = discovered(&server, &openid(&server)).await.unwrap_err();
        assert!(
            error.report().contains(word),
            "no `{word}` in {}",
            error.report()
        );
    }
    let server = RecordingApi::start(|_: &Recorded| Reply::Endless).await;
    let error = discovered(&server, &openid(&server)).await.unwrap_err();
    assert!(error.report().contains("too much"), "{}", error.report());
    let error = discovered(&server, &SecurityScheme::Bearer)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// A device login whose token endpoint answers with these codes, then with tokens.
async fn device(expires_in: u64, codes: &'static [&'static str]) -> (RecordingApi, Result<Grant>) {
    let asked = AtomicUsize::new(0);
    let server = RecordingApi::start(move |request: &Recorded| match request.target.as_str() {
        "/device" => Reply::json(format!(
            r#"{{"device_code": "d3vice", "user_code": "ABCD-EFGH", "verification_uri": "https://login.test/device",
                "verification_uri_complete": "https://login.test/device?c=ABCD-EFGH", "expires_in": {expires_in}, "interval": 1}}"#
        )),
        _ => match codes.get(asked.fetch_add(1, Ordering::SeqCst)) {
            Some(&"") => Reply::Whole(500, "text/plain", Vec::new()),
            Some(code) => refusal(400, code),
            None => tokens(),
        },
    })
    .await;
    let login = login(&server, "me:s3cret").await.unwrap();
    let login = login.with_device().await.unwrap();
    assert_eq!(
        (login.url().as_str(), login.code()),
        ("https://login.test/device", "ABCD-EFGH")
    );
    assert!(login.complete_url().is_some() && !format!("{login:?}").contains("d3vice"));
    let grant = login.finish().await;
    (server, grant)
}

#[tokio::test]
async fn a_device_waits_for_the_person() {
    let (server, grant) = device(60, &["authorization_pending", "slow_down"]).await;
    assert_tokens(&grant.unwrap());
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    let asked = pairs(&requests[0].body);
    assert_eq!(
        (asked["client_id"].as_str(), asked["scope"].as_str()),
        ("me", "read write")
    );
    let sent = pairs(&requests[1].body);
    assert_eq!(
        sent["grant_type"],
        "urn:ietf:params:oauth:grant-type:device_code"
    );
    assert_eq!(sent["device_code"], "d3vice");
}

#[tokio::test]
async fn a_device_login_ends_when_it_is_refused_late_or_broken() {
    let failed = |grant: Result<Grant>| -> Error { grant.unwrap_err() };
    let error = failed(device(60, &["access_denied"]).await.1);
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let error = failed(device(60, &["expired_token"]).await.1);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let (server, grant) = device(0, &[]).await;
    assert_eq!(failed(grant).kind(), ErrorKind::Timeout);
    assert_eq!(server.requests().len(), 1);
    let error = failed(device(60, &["invalid_client", "invalid_client"]).await.1);
    assert!(error.report().contains("invalid_client") && !error.report().contains("s3cret"));
    // One stumble is forgiven.
    assert_tokens(&device(60, &[""]).await.1.unwrap());
}

#[tokio::test]
async fn a_code_that_cannot_be_shown_is_refused() {
    for answer in [
        r#"{"device_code": "d", "user_code": "A\u001b[2J", "verification_uri": "https://a.test", "expires_in": 9}"#,
        r#"{"device_code": "d", "user_code": "A", "verification_uri": "file:///etc/passwd", "expires_in": 9}"#,
        "{}",
    ] {
        let server = RecordingApi::start(move |_: &Recorded| Reply::json(answer)).await;
        let login = login(&server, "me").await.unwrap();
        assert_eq!(
            login.with_device().await.unwrap_err().kind(),
            ErrorKind::Upstream
        );
    }
}
