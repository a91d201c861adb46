//! `mcphub login`, against an authorization server on loopback.

mod tracker;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::common::gateway::Gateway;
use crate::common::process::Running;
use crate::common::sandbox::Sandbox;

const PATIENCE: Duration = Duration::from_secs(60);
type Parameters = HashMap<String, String>;

/// What answers on loopback, closed when this is dropped.
struct Site {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A bank with its authorization server.
struct Bank {
    address: SocketAddr,
    world: Arc<World>,
    _site: Site,
}

/// How many tokens there were, and what the token endpoint was asked.
#[derive(Default)]
struct World {
    tokens: AtomicUsize,
    asked: Mutex<Vec<Parameters>>,
}

impl Site {
    fn open(router: Router) -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    ended = axum::serve(listener, router) => panic!("the site closed: {ended:?}"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Bank {
    fn open() -> Self {
        let world = Arc::new(World::default());
        let router = Router::new()
            .route("/balance", get(balance))
            .route("/authorize", get(authorize))
            .route("/device", post(device))
            .route("/token", post(token))
            .with_state(world.clone());
        let site = Site::open(router);
        Self {
            address: site.address,
            world,
            _site: site,
        }
    }

    fn document(&self) -> String {
        let flow = |name: &str, url: &str| json!({name: format!("http://{}{url}", self.address), "tokenUrl": "/token", "scopes": {"read": ""}});
        json!({
            "openapi": "3.2.0", "info": {"title": "Bank", "version": "1"},
            "servers": [{"url": format!("http://{}", self.address)}],
            "paths": {"/balance": {"get": {"operationId": "balance", "security": [{"login": ["read"]}], "responses": {}}}},
            "components": {"securitySchemes": {"login": {"type": "oauth2", "flows": {
                "authorizationCode": flow("authorizationUrl", "/authorize"),
                "deviceAuthorization": flow("deviceAuthorizationUrl", "/device"),
            }}}},
        })
        .to_string()
    }

    fn asked(&self) -> Vec<Parameters> {
        self.world.asked.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn balance(State(world): State<Arc<World>>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let given = headers.get("authorization").and_then(|it| it.to_str().ok());
    let good = format!("Bearer t{}", world.tokens.load(Ordering::SeqCst));
    match given {
        Some(given) if given == good => (StatusCode::OK, Json(json!({"balance": 1}))),
        _ => (
            StatusCode::UNAUTHORIZED,
            Json(json!({"detail": "who are you?"})),
        ),
    }
}

/// The person says yes at once.
async fn authorize(Query(asked): Query<Parameters>) -> Redirect {
    let back = format!(
        "{}?code=c0de&state={}",
        asked["redirect_uri"], asked["state"]
    );
    Redirect::to(&back)
}

async fn device() -> Json<Value> {
    Json(
        json!({"device_code": "d3vice", "user_code": "ABCD", "verification_uri": "https://bank.test/device",
        "expires_in": 60, "interval": 1}),
    )
}

/// Each access token is good for a second; a refresh token is good for one use.
async fn token(
    State(world): State<Arc<World>>,
    Form(asked): Form<Parameters>,
) -> (StatusCode, Json<Value>) {
    world.asked.lock().unwrap().push(asked.clone());
    let before = world.tokens.load(Ordering::SeqCst);
    let get = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
    let good = match get("grant_type") {
        "authorization_code" => get("code") == "c0de" && get("code_verifier").len() >= 43,
        "refresh_token" => get("refresh_token") == format!("r{before}"),
        _ => get("device_code") == "d3vice",
    };
    if !good {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_grant"})),
        );
    }
    let number = world.tokens.fetch_add(1, Ordering::SeqCst) + 1;
    let tokens = json!({"access_token": format!("t{number}"), "token_type": "Bearer", "expires_in": 1,
        "refresh_token": format!("r{number}")});
    (StatusCode::OK, Json(tokens))
}

/// Opens an address as a browser does. What it was shown in the end.
fn browse(url: &str) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build();
        let answer = client.unwrap().get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    })
}

/// Calls until the gateway has taken over what was changed beside it.
fn call_until_it_works(gateway: &Gateway) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let result = gateway.call("bank_balance", &json!({}));
        if result["isError"] != true {
            return;
        }
        assert!(Instant::now() < deadline, "{result}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_login_with_a_browser_lets_calls_in_and_lasts() {
    let (sandbox, bank) = (Sandbox::new(), Bank::open());
    let spec = sandbox.write("bank.json", &bank.document());
    let gateway = Gateway::start(&sandbox, &["up", &spec]);
    assert_eq!(gateway.call("bank_balance", &json!({}))["isError"], true);

    let mut command = sandbox.mcphub();
    command.args(["login", "bank", "--client-id", "me", "--no-browser"]);
    let mut login = Running::start("mcphub login", &mut command, "");
    let deadline = Instant::now() + PATIENCE;
    assert_eq!(login.line(deadline).as_deref(), Some("Log in at"));
    let url = login.line(deadline).unwrap();
    let back = url::Url::parse(&url).unwrap();
    let back = back.query_pairs().find(|(key, _)| key == "redirect_uri");
    let back = back.unwrap().1.into_owned();
    // Something else on this machine tries first.
    let (status, page) = browse(&format!("{back}?code=evil&state=<script>"));
    assert_eq!(status, 400);
    assert!(!page.contains("<script>"), "{page}");
    let (status, page) = browse(&url);
    assert!(
        status == 200 && page.contains("close this window"),
        "{page}"
    );
    let said = login.line(deadline).unwrap();
    assert!(said.starts_with("Logged in to bank (login)"), "{said}");
    assert!(login.wait(PATIENCE).success(), "{}", login.stderr());

    call_until_it_works(&gateway);
    assert_eq!(bank.asked()[0]["client_id"], "me");
    assert!(gateway.stop().success());
    // What came back with a renewal is in the store; it stays when the document is given again.
    let gateway = Gateway::start(&sandbox, &["serve"]);
    call_until_it_works(&gateway);
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&sandbox, &["up", &spec]);
    call_until_it_works(&gateway);
    let codes = bank.asked().into_iter();
    let codes = codes.filter(|asked| asked["grant_type"] == "authorization_code");
    assert_eq!(codes.count(), 1);

    for file in std::fs::read_dir(sandbox.path()).unwrap() {
        let contents = std::fs::read(file.unwrap().path()).unwrap();
        let tokens = bank.world.tokens.load(Ordering::SeqCst);
        let token = format!("\"r{tokens}\"");
        let found = contents
            .windows(token.len())
            .any(|it| it == token.as_bytes());
        assert!(!found, "a token in the clear");
    }
}

#[test]
fn another_device_and_the_client_of_before() {
    let (sandbox, bank) = (Sandbox::new(), Bank::open());
    let spec = sandbox.write("bank.json", &bank.document());
    let gateway = Gateway::start(&sandbox, &["up", &spec]);
    let said = sandbox.run(&["login", &spec, "--device", "--client-id", "me"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("enter ABCD"), "{}", said.stdout);
    call_until_it_works(&gateway);
    let said = sandbox.run(&["login", "bank", "--device"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert_eq!(bank.asked().last().unwrap()["client_id"], "me");
}

#[test]
fn a_call_without_a_gateway_takes_the_login_and_renews_it() {
    let (sandbox, bank) = (Sandbox::new(), Bank::open());
    let spec = sandbox.write("bank.json", &bank.document());
    let call = |more: &[&str]| sandbox.run(&[&["call", &spec, "balance"], more].concat());
    assert_eq!(call(&[]).code, Some(7));
    let store = sandbox.path().join("mcphub.db");
    assert!(!store.exists(), "a call makes no store");
    let gateway = Gateway::start(&sandbox, &["up", &spec]);
    assert_eq!(call(&[]).code, Some(7));
    let said = sandbox.run(&["login", "bank", "--device", "--client-id", "me"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(gateway.stop().success());

    // A token lasts a second, and what renews it is good for one use: it is kept each time.
    for _ in 0..3 {
        let said = call(&[]);
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        assert_eq!(said.stdout, "{\"balance\":1}\n");
    }
    let renewals = bank.asked().into_iter();
    let renewals = renewals.filter(|asked| asked["grant_type"] == "refresh_token");
    assert!(renewals.count() >= 3);

    // The login is for where it was made, and for nobody else.
    let elsewhere = format!("http://localhost:{}", bank.address.port());
    let asked = bank.asked().len();
    assert_eq!(call(&["--base-url", &elsewhere]).code, Some(7));
    let other = sandbox.write("other.json", &bank.document());
    let said = sandbox.run(&["call", &other, "balance"]);
    assert_eq!(said.code, Some(7));
    assert_eq!(bank.asked().len(), asked);
    let dry = call(&["--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    assert_eq!(bank.asked().len(), asked);
}

#[test]
fn what_cannot_be_logged_in_to_is_said() {
    let sandbox = Sandbox::new();
    let refused = |args: &[&str], code: i32, words: &[&str]| {
        let said = sandbox.run(args);
        assert_eq!(said.code, Some(code), "{}", said.stderr);
        for word in words {
            assert!(
                said.stderr.contains(word),
                "no `{word}` in: {}",
                said.stderr
            );
        }
    };
    refused(&["login", "nobody", "--client-id", "me"], 4, &["mcphub up"]);
    let bank = Bank::open();
    let spec = sandbox.write("bank.json", &bank.document());
    let gateway = Gateway::start(&sandbox, &["up", &spec]);
    refused(&["login", "bank"], 2, &["--client-id"]);
    refused(
        &["login", "bank", "--scheme", "key", "--client-id", "me"],
        2,
        &["key"],
    );
    refused(
        &["login", "bank", "--client-env", "MCPHUB_TEST_NOT_SET"],
        2,
        &["MCPHUB_TEST_NOT_SET"],
    );
    assert!(gateway.stop().success());
}
