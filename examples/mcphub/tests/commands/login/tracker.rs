//! MCP servers, and an API, that access tokens let in to: `mcphub add`, `mcphub login`, and calls.

mod browser;
mod by_url;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use axum::extract::{Form, Query, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{PATIENCE, Parameters, Site, browse};
use crate::common::gateway::Gateway;
use crate::common::process::Running;
use crate::common::sandbox::{Finished, Sandbox};

/// An MCP server of 2026-07-28 and an API, with their authorization server. Whoever logs in is the
/// person of the moment. Tokens are said to last two seconds, so that each is soon renewed.
struct Tracker {
    world: Arc<World>,
    site: Site,
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Default)]
struct World {
    person: Mutex<String>,
    given: Mutex<Vec<Given>>,
    asked: Mutex<Vec<Parameters>>,
    /// How often somebody who is let in met the server.
    met: AtomicUsize,
    /// Whether clients may describe themselves.
    reads_clients: AtomicBool,
}

#[derive(Clone)]
struct Given {
    token: String,
    person: String,
    until: Instant,
}

impl Tracker {
    fn open() -> Self {
        let world = Arc::new(World::default());
        let router = Router::new()
            .route("/mcp", post(mcp))
            .route("/whoami", get(whoami))
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/register", post(register))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(world.clone());
        Self {
            world,
            site: Site::open(router),
        }
    }

    fn url(&self) -> String {
        format!("http://{}/mcp", self.site.address)
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.site.address)
    }

    fn grants(&self, kind: &str) -> usize {
        let asked = self.world.asked.lock().unwrap();
        asked.iter().filter(|it| it["grant_type"] == kind).count()
    }

    /// Logs a person in with a browser, and gives what was said in the end.
    fn log_in(&self, sandbox: &Sandbox, person: &str, args: &[&str]) -> Vec<String> {
        person.clone_into(&mut self.world.person.lock().unwrap());
        let mut command = sandbox.mcphub();
        command
            .args(["login", "tracker", "--no-browser"])
            .args(args);
        let mut login = Running::start("mcphub login", &mut command, "");
        let deadline = Instant::now() + PATIENCE;
        assert_eq!(login.line(deadline).as_deref(), Some("Log in at"));
        let (status, page) = browse(&login.line(deadline).unwrap());
        assert_eq!(status, 200, "{page}");
        let mut said = Vec::new();
        while let Some(line) = login.line(deadline) {
            said.push(line);
        }
        assert!(login.wait(PATIENCE).success(), "{}", login.stderr());
        said
    }
}

fn here(headers: &HeaderMap) -> String {
    format!("http://{}", headers["host"].to_str().unwrap())
}

async fn resource(headers: HeaderMap) -> Json<Value> {
    let here = here(&headers);
    Json(json!({"resource": format!("{here}/mcp"), "authorization_servers": [here]}))
}

async fn metadata(State(world): State<Arc<World>>, headers: HeaderMap) -> Json<Value> {
    let here = here(&headers);
    Json(
        json!({"issuer": here, "authorization_endpoint": format!("{here}/authorize"),
        "token_endpoint": format!("{here}/token"), "registration_endpoint": format!("{here}/register"),
        "code_challenge_methods_supported": ["S256"],
        "client_id_metadata_document_supported": world.reads_clients.load(Ordering::SeqCst),
        "authorization_response_iss_parameter_supported": true}),
    )
}

async fn register() -> (StatusCode, Json<Value>) {
    (StatusCode::CREATED, Json(json!({"client_id": "c1"})))
}

async fn authorize(headers: HeaderMap, Query(asked): Query<Parameters>) -> Redirect {
    let server = format!("{}/mcp", here(&headers));
    assert!(asked.get("resource").is_none_or(|asked| *asked == server));
    Redirect::to(&format!(
        "{}?code=c0de&state={}&iss={}",
        asked["redirect_uri"],
        asked["state"],
        here(&headers)
    ))
}

async fn token(State(world): State<Arc<World>>, Form(asked): Form<Parameters>) -> Response {
    world.asked.lock().unwrap().push(asked.clone());
    let mut given = world.given.lock().unwrap();
    let person = match asked["grant_type"].as_str() {
        "authorization_code" => world.person.lock().unwrap().clone(),
        "client_credentials" => "gateway".to_owned(),
        EXCHANGE if asked["subject_token_type"] == ACCESS_TOKEN => {
            let shown = |it: &&Given| it.token == asked["subject_token"];
            match given.iter().find(shown) {
                Some(login) => format!("exchanged {}", login.person),
                None => return StatusCode::BAD_REQUEST.into_response(),
            }
        }
        EXCHANGE => stated(&asked),
        // A refresh token is good for one use: it is that of the person's last token.
        _ => {
            let last = |whose: &str| given.iter().rev().find(|it| it.person == whose).cloned();
            let used = asked["refresh_token"].trim_start_matches("r-");
            let known = given.iter().find(|it| it.token == used).cloned();
            match known.filter(|it| last(&it.person).is_some_and(|last| last.token == it.token)) {
                Some(known) => known.person,
                None => {
                    let refusal = Json(json!({"error": "invalid_grant"}));
                    return (StatusCode::BAD_REQUEST, refusal).into_response();
                }
            }
        }
    };
    let token = format!("{person}-{}", given.len());
    given.push(Given {
        token: token.clone(),
        person,
        until: Instant::now() + PATIENCE,
    });
    Json(
        json!({"access_token": token, "token_type": "Bearer", "expires_in": 2,
        "refresh_token": format!("r-{token}")}),
    )
    .into_response()
}

/// Whom the gateway says that it asks for. The gateway's own tests check signatures.
fn stated(asked: &Parameters) -> String {
    let claims = asked["subject_token"].split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(claims["iss"], "https://hub.test");
    assert_eq!(asked["audience"], "tracker");
    claims["sub"].as_str().unwrap().to_owned()
}

impl World {
    /// Whose token a request shows.
    fn who(&self, headers: &HeaderMap) -> Option<String> {
        let token = headers.get("authorization")?.to_str().ok()?;
        let token = token.strip_prefix("Bearer ")?;
        let given = self.given.lock().unwrap();
        let good = |it: &&Given| it.token == token && Instant::now() < it.until;
        given.iter().find(good).map(|it| it.person.clone())
    }
}

async fn whoami(State(world): State<Arc<World>>, headers: HeaderMap) -> (StatusCode, String) {
    match world.who(&headers) {
        Some(person) => (StatusCode::OK, format!("{person:?}")),
        None => (StatusCode::UNAUTHORIZED, String::new()),
    }
}

async fn mcp(
    State(world): State<Arc<World>>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    let Some(person) = world.who(&headers) else {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")]).into_response();
    };
    let result = match asked["method"].as_str() {
        Some("server/discover") => {
            world.met.fetch_add(1, Ordering::SeqCst);
            json!({"resultType": "complete",
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
        }
        Some("tools/list") => {
            json!({"tools": [{"name": "whoami", "inputSchema": {"type": "object"}}]})
        }
        Some("tools/call") => json!({"content": [{"type": "text", "text": person}]}),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    Json(json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).into_response()
}

fn done(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

/// What the server says of who calls, once the gateway has taken over what was changed beside it.
fn caller(gateway: &Gateway, token: Option<&str>, wanted: &str) {
    let deadline = Instant::now() + PATIENCE;
    let params = json!({"name": "tracker_whoami", "arguments": {}});
    loop {
        let (_, answer) = gateway.message_as(token, "tools/call", params.clone());
        if answer.to_string().contains(wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "no `{wanted}` in {answer}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_login_to_an_mcp_server_lasts_through_renewals_restarts_and_registrations() {
    let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
    let url = tracker.url();
    let refused = sandbox.run(&["add", "tracker", &url]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    done(sandbox.run(&["add", "tracker", &url, "--no-probe"]));
    let gateway = Gateway::start(&sandbox, &["serve"]);
    let said = tracker.log_in(&sandbox, "ada", &[]);
    assert!(
        said[0].starts_with("Logged in to tracker (mcp)"),
        "{said:?}"
    );
    assert_eq!(said[1], "tracker: 1 tools");
    caller(&gateway, None, "\"ada\"");
    // Longer than a token lasts.
    let renewed = tracker.grants("refresh_token");
    let deadline = Instant::now() + PATIENCE;
    while tracker.grants("refresh_token") < renewed + 2 {
        assert!(Instant::now() < deadline, "the login is not renewed");
        caller(&gateway, None, "\"ada\"");
    }
    assert!(gateway.stop().success());
    // What renews it is kept, and stays when the server is added again, which it is met for.
    done(sandbox.run(&["add", "tracker", &url, "--timeout", "30"]));
    let gateway = Gateway::start(&sandbox, &["serve"]);
    caller(&gateway, None, "\"ada\"");
    assert_eq!(tracker.grants("authorization_code"), 1);
    let wrong = sandbox.run(&["login", "tracker", "--user", "bob"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.stderr.contains("--per-user"), "{wrong:?}");
    for file in std::fs::read_dir(sandbox.path()).unwrap() {
        let contents = std::fs::read(file.unwrap().path()).unwrap();
        let found = contents.windows(6).any(|it| it == b"r-ada-");
        assert!(!found, "a token in the clear");
    }
}

#[test]
fn a_client_of_the_configuration_lets_the_gateway_in() {
    let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
    let config = format!(
        "[servers.tracker]\nurl = \"{}\"\nclient_env = \"TRACKER_CLIENT\"\nissuer = \"{}\"\n",
        tracker.url(),
        tracker.issuer()
    );
    sandbox.write("mcphub.toml", &config);
    let mut command = sandbox.mcphub();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let gateway = Gateway::serving(command.env("TRACKER_CLIENT", "me:s3cret"));
    caller(&gateway, None, "\"gateway\"");
    let asked = tracker.world.asked.lock().unwrap()[0].clone();
    assert_eq!(asked["resource"], tracker.url());
    let without = sandbox.run(&["add", "x", &tracker.url(), "--client-env", "PATH"]);
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(without.stderr.contains("--issuer"), "{without:?}");
}

#[test]
fn tokens_are_exchanged_for_whoever_calls() {
    let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
    let config = format!(
        "public_url = \"https://hub.test\"\n[servers.tracker]\nurl = \"{}\"\nclient_env = \"TRACKER_CLIENT\"\nissuer = \"{}\"\nexchange = \"gateway,audience=tracker\"\n",
        tracker.url(),
        tracker.issuer()
    );
    sandbox.write("mcphub.toml", &config);
    let [ada] = users(&sandbox, ["ada"]);
    let ci = done(sandbox.run(&["key", "create", "ci"]));
    let mut command = sandbox.mcphub();
    command.args(["serve", "--auth", "keys", "--listen", "127.0.0.1:0"]);
    let gateway = Gateway::serving(command.env("TRACKER_CLIENT", "me:s3cret"));
    caller(&gateway, Some(&ada), "\"user:ada\"");
    caller(&gateway, Some(ci.trim_end()), "\"key:ci\"");
    assert!(gateway.stop().success());

    // Without a configuration, by the command alone.
    sandbox.write("mcphub.toml", "");
    let (url, issuer) = (tracker.url(), tracker.issuer());
    let add = [
        "add",
        "tracker",
        &url,
        "--client-env",
        "TRACKER_CLIENT",
        "--issuer",
        &issuer,
    ];
    let mut command = sandbox.mcphub();
    command
        .args(add)
        .args(["--exchange", "gateway,audience=tracker"]);
    let added = command.env("TRACKER_CLIENT", "me:s3cret").output().unwrap();
    assert!(added.status.success(), "{added:?}");
    let serve = [
        "serve",
        "--auth",
        "keys",
        "--public-url",
        "https://hub.test",
    ];
    let gateway = Gateway::start(&sandbox, &serve);
    caller(&gateway, Some(&ada), "\"user:ada\"");
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&sandbox, &["serve"]);
    caller(&gateway, None, "--auth keys");
    let both = sandbox.run(&["add", "x", &url, "--exchange", "gateway"]);
    assert_eq!(both.code, Some(2), "{both:?}");
}

/// Users of these names, each with a key.
fn users<const N: usize>(sandbox: &Sandbox, names: [&str; N]) -> [String; N] {
    done(sandbox.run(&["role", "set", "staff"]));
    names.map(|user| {
        done(sandbox.run(&["user", "add", user]));
        done(sandbox.run(&["member", "set", user, "--role", "staff"]));
        let token = done(sandbox.run(&["key", "create", user, "--user", user]));
        token.trim_end().to_owned()
    })
}

#[test]
fn each_users_login_is_exchanged_and_goes_to_no_server() {
    let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
    let (url, issuer) = (tracker.url(), tracker.issuer());
    let [ada, bob] = users(&sandbox, ["ada", "bob"]);
    let add = ["add", "tracker", &url, "--per-user", "--client-env"];
    let how = ["TRACKER_CLIENT", "--issuer", &issuer, "--exchange", "login"];
    let mut command = sandbox.mcphub();
    command.args(add).args(how);
    let added = command.env("TRACKER_CLIENT", "me:s3cret").output().unwrap();
    assert!(added.status.success(), "{added:?}");
    let gateway = Gateway::start(&sandbox, &["serve", "--auth", "keys"]);
    caller(&gateway, Some(&ada), "mcphub login tracker --user ada");
    let said = tracker.log_in(&sandbox, "Ada", &["--user", "ada"]);
    assert!(said[0].contains("(user:ada)"), "{said:?}");
    caller(&gateway, Some(&ada), "\"exchanged Ada\"");
    caller(&gateway, Some(&bob), "mcphub login tracker --user bob");
    // It outlives the gateway, and the tokens that it was exchanged for.
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&sandbox, &["serve", "--auth", "keys"]);
    caller(&gateway, Some(&ada), "\"exchanged Ada\"");
    assert_eq!(tracker.grants("authorization_code"), 1);
    assert!(tracker.grants(EXCHANGE) >= 2);
    done(sandbox.run(&["logout", "tracker", "--user", "ada"]));
    caller(&gateway, Some(&ada), "mcphub login tracker --user ada");
    let alone = sandbox.run(&[
        "add",
        "x",
        &url,
        "--client-env",
        "PATH",
        "--issuer",
        &issuer,
        "--exchange",
        "login",
    ]);
    assert_eq!(alone.code, Some(2), "{alone:?}");
    assert!(alone.stderr.contains("--per-user"), "{alone:?}");
}

#[test]
fn tokens_for_an_api_are_exchanged_for_whoever_calls() {
    let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Tracker", "version": "1"},
        "servers": [{"url": tracker.issuer()}],
        "paths": {"/whoami": {"get": {"operationId": "whoami", "security": [{"login": []}], "responses": {}}}},
        "components": {"securitySchemes": {"login": {"type": "oauth2", "flows": {
            "clientCredentials": {"tokenUrl": "/token", "scopes": {}},
        }}}},
    });
    let spec = sandbox.write("tracker.json", &document.to_string());
    sandbox.write("mcphub.toml", "public_url = \"https://hub.test\"\n");
    let [ada] = users(&sandbox, ["ada"]);
    let ci = done(sandbox.run(&["key", "create", "ci"]));
    let up = [
        "up",
        &spec,
        "--auth",
        "keys",
        "--client-env",
        "login=TRACKER_CLIENT",
    ];
    let exchange = ["--exchange", "login=gateway,audience=tracker"];
    let mut command = sandbox.mcphub();
    command
        .args(up)
        .args(exchange)
        .args(["--listen", "127.0.0.1:0"]);
    let gateway = Gateway::serving(command.env("TRACKER_CLIENT", "me:s3cret"));
    caller(&gateway, Some(&ada), "user:ada");
    caller(&gateway, Some(ci.trim_end()), "key:ci");
    assert!(gateway.stop().success());
    // What it needs is in the store.
    let gateway = Gateway::start(&sandbox, &["serve", "--auth", "keys"]);
    caller(&gateway, Some(&ada), "user:ada");
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&sandbox, &["serve"]);
    caller(&gateway, None, "--auth keys");
    assert_eq!(tracker.grants("client_credentials"), 0);
}

#[test]
fn each_user_logs_in_for_their_own_calls() {
    let (sandbox, tracker) = (Sandbox::new(), Tracker::open());
    let add = ["add", "tracker", &tracker.url(), "--no-probe", "--per-user"];
    done(sandbox.run(&add));
    let keys = users(&sandbox, ["ada", "bob"]);
    let nobody = done(sandbox.run(&["key", "create", "ci"]));
    let gateway = Gateway::start(&sandbox, &["serve", "--auth", "keys"]);
    let adam = sandbox.run(&["login", "tracker", "--user", "adam"]);
    assert_eq!(adam.code, Some(4), "{adam:?}");
    assert!(adam.stderr.contains("no such user"), "{adam:?}");
    let said = tracker.log_in(&sandbox, "Ada", &["--user", "ada"]);
    assert!(said[0].contains("(user:ada)"), "{said:?}");
    assert_eq!(said[1], "tracker: 1 tools");
    caller(&gateway, Some(&keys[0]), "\"Ada\"");
    caller(&gateway, Some(&keys[1]), "mcphub login tracker --user bob");
    caller(&gateway, Some(nobody.trim_end()), "no user's");
    let met = || tracker.world.met.load(Ordering::SeqCst);
    let before = met();
    tracker.log_in(&sandbox, "Bob", &["--user", "bob"]);
    caller(&gateway, Some(&keys[1]), "\"Bob\"");
    caller(&gateway, Some(&keys[0]), "\"Ada\"");
    assert_eq!(met(), before, "one user's login is nothing to the others");
    // A login takes the place of the one before.
    tracker.log_in(&sandbox, "Bobby", &["--user", "bob"]);
    caller(&gateway, Some(&keys[1]), "\"Bobby\"");
    assert_eq!(met(), before);
    // One is forgotten, and the others go on.
    let out = done(sandbox.run(&["logout", "tracker", "--user", "bob"]));
    assert_eq!(out, "Logged out of tracker (user:bob)\n");
    caller(&gateway, Some(&keys[1]), "mcphub login tracker --user bob");
    caller(&gateway, Some(&keys[0]), "\"Ada\"");
    assert_eq!(met(), before);
    let log = done(sandbox.run(&[
        "audit",
        "list",
        "--target",
        "server:tracker",
        "--format",
        "json",
    ]));
    let log: Value = serde_json::from_str(&log).unwrap();
    let kept = log[0]["detail"]["credentials"].to_string();
    assert!(
        kept.contains("user:ada") && !kept.contains("user:bob"),
        "{log}"
    );
    let again = sandbox.run(&["logout", "tracker", "--user", "bob"]);
    assert_eq!(again.code, Some(4), "{again:?}");
}
