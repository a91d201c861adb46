//! Logins: their tokens go with calls, and are renewed before they end (RFC 6749, 6).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::secret::{Credentials, ExposeSecret, Grant, GrantKeeper};
use mcphub_core::server::ServerName;
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde_json::json;
use tokio::sync::Notify;
use url::Url;

use crate::bank::{self, call, targets, text};
use crate::recording_api::{Recorded, RecordingApi, Reply};

/// Keeps one grant, as a store does.
#[derive(Debug, Default)]
struct Kept(Mutex<Option<Grant>>);

#[async_trait]
impl GrantKeeper for Kept {
    async fn current(&self, _: &ServerName, _: &str) -> Result<Option<Grant>> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn renew(&self, _: &ServerName, _: &str, known: &Grant, renewed: &Grant) -> Result<bool> {
        let mut kept = self.0.lock().unwrap();
        let same = kept.as_ref().is_some_and(|kept| kept.same_as(known));
        if same {
            *kept = Some(renewed.clone());
        }
        Ok(same)
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// A login whose access token ends in so many seconds.
fn grant(server: &RecordingApi, number: usize, ends_in: u64) -> Grant {
    Grant {
        client: "me:s3cret".into(),
        token_url: server.url.join("/token").unwrap(),
        access_token: format!("t{number}").into(),
        refresh_token: Some(format!("r{number}").into()),
        expires_at: Some(now() + ends_in),
        scopes: None,
        resource: None,
    }
}

fn api(url: &Url, grant: &Grant, kept: &Arc<Kept>, settings: NativeSettings) -> NativeApi {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let schemes = json!({"login": {"type": "openIdConnect", "url": "https://login.test"}});
    let tools = bank::tools(
        &schemes,
        &[("balance", json!([["login"]])), ("rates", json!([]))],
    );
    *kept.0.lock().unwrap() = Some(grant.clone());
    let credentials = Credentials {
        grants: [("login".to_owned(), grant.clone())].into(),
        ..Credentials::default()
    };
    NativeApi::new(Arc::new(tools), url.clone(), credentials, settings)
        .unwrap()
        .keeping(ServerName::new("bank").unwrap(), kept.clone())
}

fn tokens(number: usize) -> Reply {
    Reply::json(format!(
        r#"{{"access_token": "t{number}", "token_type": "bearer", "expires_in": 3600, "refresh_token": "r{number}"}}"#
    ))
}

fn refusal(status: u16, code: &str) -> Reply {
    let body = format!(r#"{{"error": "{code}"}}"#);
    Reply::Whole(status, "application/json", body.into_bytes())
}

#[tokio::test]
async fn a_login_lasts_until_it_nears_its_end() {
    let server = RecordingApi::start(|_: &Recorded| Reply::json("{}")).await;
    let kept = Arc::default();
    let api = api(
        &server.url,
        &grant(&server, 1, 3_600),
        &kept,
        NativeSettings::default(),
    );
    assert!(!call(&api, "balance").await.is_error);
    assert!(!call(&api, "rates").await.is_error);
    let [balance, rates] = server.requests().try_into().unwrap();
    assert_eq!(balance.header("authorization"), Some("Bearer t1"));
    assert_eq!(rates.header("authorization"), None);
}

#[tokio::test]
async fn a_login_is_renewed_ahead_once_and_what_comes_back_is_kept() {
    let count = AtomicUsize::new(2);
    let server = RecordingApi::start(move |request: &Recorded| match request.target.as_str() {
        "/token" => tokens(count.fetch_add(1, Ordering::SeqCst)),
        _ => Reply::json("{}"),
    })
    .await;
    let kept: Arc<Kept> = Arc::default();
    let api = api(
        &server.url,
        &grant(&server, 1, 20),
        &kept,
        NativeSettings::default(),
    );
    let (one, two) = tokio::join!(call(&api, "balance"), call(&api, "balance"));
    assert!(!one.is_error && !two.is_error, "{one:?} {two:?}");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        requests[0].body,
        "grant_type=refresh_token&refresh_token=r1"
    );
    assert_eq!(
        requests[0].header("authorization"),
        Some("Basic bWU6czNjcmV0")
    );
    assert_eq!(requests[2].header("authorization"), Some("Bearer t2"));
    let kept = kept.0.lock().unwrap().clone().unwrap();
    assert_eq!(kept.refresh_token.unwrap().expose_secret(), "r2");
    assert!(kept.expires_at.unwrap() > now() + 3_000);
}

#[tokio::test]
async fn a_login_is_renewed_also_where_who_called_has_gone() {
    let (asked, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asks, opens) = (asked.clone(), gate.clone());
    let server = RecordingApi::start(move |request: &Recorded| match request.target.as_str() {
        "/token" => {
            asks.notify_one();
            let body = r#"{"access_token": "t2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r2"}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
            Reply::Gated(head.into(), opens.clone(), body.into())
        }
        _ => Reply::json("{}"),
    })
    .await;
    let kept: Arc<Kept> = Arc::default();
    let api = api(
        &server.url,
        &grant(&server, 1, 0),
        &kept,
        NativeSettings::default(),
    );
    tokio::select! {
        result = call(&api, "balance") => panic!("there is no token yet: {result:?}"),
        () = asked.notified() => {}
    }
    // Whoever ends the gateway now waits for it.
    let mut closing = std::pin::pin!(api.close());
    assert!(futures::poll!(&mut closing).is_pending());
    gate.notify_one();
    closing.await;
    let grant = kept.0.lock().unwrap().clone().unwrap();
    assert_eq!(grant.refresh_token.unwrap().expose_secret(), "r2");
    assert!(!call(&api, "balance").await.is_error);
    assert_eq!(targets(&server), ["/token", "/balance"]);
}

#[tokio::test]
async fn what_another_process_renews_is_waited_for() {
    let kept: Arc<Kept> = Arc::default();
    let (keep, other) = (kept.clone(), Arc::new(Mutex::new(None)));
    let with = other.clone();
    let server = RecordingApi::start(move |request: &Recorded| match request.target.as_str() {
        "/token" => {
            let (keep, with) = (keep.clone(), with.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                *keep.0.lock().unwrap() = with.lock().unwrap().take();
            });
            refusal(400, "invalid_grant")
        }
        _ => Reply::json("{}"),
    })
    .await;
    *other.lock().unwrap() = Some(grant(&server, 7, 3_600));
    let settings = NativeSettings::default();
    let api = api(&server.url, &grant(&server, 1, 0), &kept, settings);
    let result = call(&api, "balance").await;
    assert!(!result.is_error, "{result:?}");
    let requests = server.requests();
    assert_eq!(requests[1].header("authorization"), Some("Bearer t7"));
}

#[tokio::test]
async fn a_server_that_turns_no_refresh_token_keeps_the_old_one_good() {
    let server = RecordingApi::start(|request: &Recorded| match request.target.as_str() {
        "/token" => Reply::json(r#"{"access_token": "t2", "token_type": "Bearer"}"#),
        _ => Reply::json("{}"),
    })
    .await;
    let kept: Arc<Kept> = Arc::default();
    let api = api(
        &server.url,
        &grant(&server, 1, 0),
        &kept,
        NativeSettings::default(),
    );
    assert!(!call(&api, "balance").await.is_error);
    let kept = kept.0.lock().unwrap().clone().unwrap();
    assert_eq!(kept.refresh_token.unwrap().expose_secret(), "r1");
    assert_eq!(kept.expires_at, None);
}

#[tokio::test]
async fn what_another_process_renewed_is_used() {
    // Once before asking, once after the server refused what is spent.
    for first in [true, false] {
        let kept: Arc<Kept> = Arc::default();
        let other: Arc<Mutex<Option<Grant>>> = Arc::default();
        let (keep, with) = (kept.clone(), other.clone());
        let server = RecordingApi::start(move |request: &Recorded| match request.target.as_str() {
            "/token" => {
                *keep.0.lock().unwrap() = with.lock().unwrap().clone();
                refusal(400, "invalid_grant")
            }
            _ => Reply::json("{}"),
        })
        .await;
        let renewed = grant(&server, 7, 3_600);
        *other.lock().unwrap() = Some(renewed.clone());
        let api = api(
            &server.url,
            &grant(&server, 1, 0),
            &kept,
            NativeSettings::default(),
        );
        if first {
            *kept.0.lock().unwrap() = Some(renewed);
        }
        let result = call(&api, "balance").await;
        assert!(!result.is_error, "{result:?}");
        let requests = server.requests();
        assert_eq!(requests.len(), if first { 1 } else { 2 });
        let last = requests.last().unwrap();
        assert_eq!(last.header("authorization"), Some("Bearer t7"));
    }
}

#[tokio::test]
async fn what_another_process_renewed_and_let_end_is_renewed_with_what_it_kept() {
    let server = RecordingApi::start(|request: &Recorded| match request.target.as_str() {
        "/token" if request.body.ends_with("refresh_token=r7") => tokens(8),
        "/token" => refusal(400, "invalid_grant"),
        _ => Reply::json("{}"),
    })
    .await;
    let kept: Arc<Kept> = Arc::default();
    let api = api(
        &server.url,
        &grant(&server, 1, 0),
        &kept,
        NativeSettings::default(),
    );
    *kept.0.lock().unwrap() = Some(grant(&server, 7, 0));
    let result = call(&api, "balance").await;
    assert!(!result.is_error, "{result:?}");
    assert_eq!(targets(&server), ["/token", "/balance"]);
    let kept = kept.0.lock().unwrap().clone().unwrap();
    assert_eq!(kept.refresh_token.unwrap().expose_secret(), "r8");
}

#[tokio::test]
async fn a_login_that_ended_says_what_to_do_and_no_secret() {
    let server = RecordingApi::start(|_: &Recorded| refusal(400, "invalid_grant")).await;
    let kept = Arc::default();
    let api_renewable = api(
        &server.url,
        &grant(&server, 1, 0),
        &kept,
        NativeSettings::default(),
    );
    for _ in 0..2 {
        let result = call(&api_renewable, "balance").await;
        let text = text(&result);
        assert!(
            result.is_error && text.contains("`login` has ended") && text.contains("mcphub login"),
            "{text}"
        );
        assert!(!text.contains("r1") && !text.contains("s3cret"), "{text}");
    }
    // What is refused is not asked for again at once.
    assert_eq!(targets(&server), ["/token"]);
    let once = Grant {
        refresh_token: None,
        ..grant(&server, 1, 0)
    };
    let result = call(
        &api(&server.url, &once, &kept, NativeSettings::default()),
        "balance",
    )
    .await;
    assert!(
        text(&result).contains("nothing to renew it with"),
        "{result:?}"
    );
    assert_eq!(targets(&server), ["/token"]);
}

#[tokio::test]
async fn a_token_that_lasts_is_used_while_its_server_is_out_of_order() {
    for broken in [0, 1, 2] {
        let server = RecordingApi::start(move |request: &Recorded| {
            match (request.target.as_str(), broken) {
                ("/token", 0) => Reply::Whole(503, "text/plain", b"later".to_vec()),
                ("/token", 1) => Reply::Endless,
                ("/token", _) => Reply::Raw(b"garbage\r\n\r\n".to_vec()),
                _ => Reply::json("{}"),
            }
        })
        .await;
        let kept = Arc::default();
        let lasting = api(
            &server.url,
            &grant(&server, 1, 20),
            &kept,
            NativeSettings::default(),
        );
        let result = call(&lasting, "balance").await;
        assert!(!result.is_error, "{broken}: {result:?}");
        let ended = api(
            &server.url,
            &grant(&server, 1, 0),
            &kept,
            NativeSettings::default(),
        );
        let result = call(&ended, "balance").await;
        assert!(
            text(&result).contains("could not be renewed"),
            "{broken}: {result:?}"
        );
    }
}

#[tokio::test]
async fn a_slow_server_is_given_up_in_time() {
    let server = RecordingApi::start(|_: &Recorded| Reply::Silence(Duration::from_secs(60))).await;
    let mut settings = NativeSettings::default();
    settings.timeout = Duration::from_millis(300);
    let api = api(
        &server.url,
        &grant(&server, 1, 0),
        &Arc::default(),
        settings,
    );
    let begun = std::time::Instant::now();
    let result = call(&api, "balance").await;
    assert!(
        result.is_error && text(&result).contains("no answer within"),
        "{result:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_token_that_the_api_refuses_is_renewed_and_the_call_made_again() {
    let server = RecordingApi::start(|request: &Recorded| {
        match (request.target.as_str(), request.header("authorization")) {
            ("/token", _) => tokens(2),
            (_, Some("Bearer t2")) => Reply::json("{}"),
            _ => Reply::Whole(401, "text/plain", Vec::new()),
        }
    })
    .await;
    let kept = Arc::default();
    let api = api(
        &server.url,
        &grant(&server, 1, 3_600),
        &kept,
        NativeSettings::default(),
    );
    assert!(!call(&api, "balance").await.is_error);
    assert_eq!(targets(&server), ["/balance", "/token", "/balance"]);
}
