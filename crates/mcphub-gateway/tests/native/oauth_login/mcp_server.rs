//! Logins at MCP servers (MCP 2026-07-28, Authorization), and the tokens that calls carry.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mcphub_core::catalog::{CatalogServer, CatalogVersion, Upstream as Target};
use mcphub_core::connection::Connection;
use mcphub_core::principal::{Permissions, Principal};
use mcphub_core::secret::{Credentials, ExposeSecret, Grant, GrantKeeper};
use mcphub_core::server::{Serve, ServerName};
use mcphub_core::tenant::Actor;
use mcphub_core::tool::{PLAN_VERSION, ToolSet};
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::oauth::{Login, LoginSettings};
use mcphub_gateway::upstream::{Connector, Forward, Said, Upstream, UpstreamSettings};
use serde_json::{Value, json};

use super::{REDIRECT, http, pairs};
use crate::recording_api::{Recorded, RecordingApi, Reply};

/// An MCP server that access tokens let in to, with its authorization server beside it.
#[derive(Default)]
struct World {
    /// How many tokens were given. The last of each name lets in, and no other.
    given: AtomicUsize,
    /// Given tokens that let nobody in any more.
    revoked: Mutex<Vec<String>>,
    /// Whether the server is of the era of `initialize`, with sessions.
    legacy: AtomicBool,
    /// Whether no token is good enough.
    closed: AtomicBool,
}

impl World {
    fn token(&self, form: &str) -> Reply {
        let form = pairs(form);
        let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
        let known = match form["grant_type"].as_str() {
            "authorization_code" => form["code"] == "c0de" && form["code_verifier"].len() >= 43,
            "refresh_token" => form["refresh_token"].starts_with("refresh-"),
            _ => true,
        };
        if !known {
            return Reply::Whole(
                400,
                "application/json",
                br#"{"error":"invalid_grant"}"#.to_vec(),
            );
        }
        let whose = form.get("refresh_token").map_or("", String::as_str);
        let whose = whose.trim_start_matches("refresh-");
        let tokens = json!({"access_token": format!("{whose}{number}"), "token_type": "Bearer",
            "expires_in": 3600, "refresh_token": format!("refresh-{whose}")});
        Reply::json(tokens.to_string())
    }

    fn mcp(&self, request: &Recorded) -> Reply {
        let token = request.header("authorization").unwrap_or_default();
        let token = token.trim_start_matches("Bearer ").to_owned();
        let good = !token.is_empty()
            && !self.revoked.lock().unwrap().contains(&token)
            && !self.closed.load(Ordering::SeqCst);
        if !good {
            let metadata = format!("http://{}/metadata", request.header("host").unwrap());
            let head = format!(
                "HTTP/1.1 401 X\r\nwww-authenticate: Bearer resource_metadata=\"{metadata}\", scope=\"read\"\r\ncontent-length: 0\r\n\r\n"
            );
            return Reply::Raw(head.into_bytes());
        }
        if request.method == "DELETE" {
            return Reply::Whole(204, "", Vec::new());
        }
        let message: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let answer = |result: Value| {
            json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()
        };
        let told = json!({"content": [{"type": "text", "text": token}]});
        if self.legacy.load(Ordering::SeqCst) {
            return match message["method"].as_str() {
                Some("initialize") => {
                    let body = answer(
                        json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                        "serverInfo": {"name": "x", "version": "1"}}),
                    );
                    let head = format!(
                        "HTTP/1.1 200 X\r\ncontent-type: application/json\r\nmcp-session-id: of-{token}\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    Reply::Raw(head.into_bytes())
                }
                Some("notifications/initialized") => Reply::Whole(202, "", Vec::new()),
                Some("tools/call") => Reply::json(answer(told)),
                Some(_) => Reply::Whole(400, "", Vec::new()),
                None => Reply::Whole(405, "", Vec::new()),
            };
        }
        match message["method"].as_str() {
            Some("server/discover") => Reply::json(answer(json!({"resultType": "complete",
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}))),
            Some("tools/list") => Reply::json(answer(json!({"tools": []}))),
            Some("tools/call") => Reply::json(answer(told)),
            _ => Reply::Whole(404, "", Vec::new()),
        }
    }
}

/// What leads from the server to its tokens, changed by `change`: the description of the server, and
/// that of the authorization server.
async fn open(change: fn(&mut Value, &mut Value)) -> (RecordingApi, Arc<World>) {
    let world = Arc::new(World::default());
    let theirs = Arc::clone(&world);
    let server = RecordingApi::start(move |request: &Recorded| {
        let here = format!("http://{}", request.header("host").unwrap());
        let mut resource = json!({"resource": format!("{here}/mcp"),
            "authorization_servers": [format!("{here}/as")], "scopes_supported": ["all", "more"]});
        let mut metadata = json!({"issuer": format!("{here}/as"), "authorization_endpoint": format!("{here}/authorize"),
            "token_endpoint": format!("{here}/token"), "registration_endpoint": format!("{here}/register"),
            "code_challenge_methods_supported": ["S256"], "scopes_supported": ["read", "offline_access"],
            "authorization_response_iss_parameter_supported": true});
        change(&mut resource, &mut metadata);
        match request.target.as_str() {
            "/metadata" => Reply::json(resource.to_string()),
            "/.well-known/openid-configuration/as" => Reply::json(metadata.to_string()),
            "/register" => Reply::json(r#"{"client_id": "c1"}"#),
            "/token" => theirs.token(&request.body),
            "/mcp" => theirs.mcp(request),
            _ => Reply::Whole(404, "", Vec::new()),
        }
    })
    .await;
    (server, world)
}

async fn login(server: &RecordingApi, settings: LoginSettings) -> Result<Login> {
    Login::at_mcp_server(http(), server.url.join("/mcp").unwrap(), settings).await
}

#[tokio::test]
async fn a_login_registers_a_client_and_is_for_this_server() {
    let (server, _) = open(|_, _| {}).await;
    let resource = server.url.join("/mcp").unwrap().to_string();
    let redirect = REDIRECT.parse().unwrap();
    for (issuer, good) in [("as", true), ("other", false), ("", false)] {
        let mut login = login(&server, LoginSettings::unregistered()).await.unwrap();
        login.register(Some(&redirect)).await.unwrap();
        let login = login.with_browser(redirect.clone()).unwrap();
        let asked = pairs(login.url().query().unwrap());
        assert_eq!(
            (
                asked["client_id"].as_str(),
                asked["scope"].as_str(),
                asked["resource"].as_str(),
                asked["code_challenge_method"].as_str(),
            ),
            ("c1", "read offline_access", resource.as_str(), "S256")
        );
        let mut query = format!("code=c0de&state={}", asked["state"]);
        if !issuer.is_empty() {
            query.push_str(&format!("&iss={}{issuer}", server.url));
        }
        let grant = login.finish(&query).await;
        assert_eq!(grant.is_ok(), good, "{issuer}: {grant:?}");
        if let Ok(grant) = grant {
            assert_eq!(grant.resource.as_deref(), Some(resource.as_str()));
            assert_eq!(grant.client.expose_secret(), "c1");
        }
    }
    let requests = server.requests();
    let of = |target: &str| -> Vec<_> {
        let found = requests.iter().filter(|it| it.target == target);
        found.map(|it| it.body.clone()).collect()
    };
    // An answer of another server never reaches the token endpoint (RFC 9207).
    assert_eq!(of("/token").len(), 1);
    assert_eq!(pairs(&of("/token")[0])["resource"], resource);
    let client: Value = serde_json::from_str(&of("/register")[0]).unwrap();
    assert_eq!(client["application_type"], "native");
    assert_eq!(client["redirect_uris"], json!([REDIRECT]));
    assert_eq!(client["token_endpoint_auth_method"], "none");
}

#[tokio::test]
async fn a_client_that_is_known_is_not_registered() {
    let (server, _) = open(|_, _| {}).await;
    let described = "https://client.test/mcphub.json";
    let mut settings = LoginSettings::new(described.into());
    settings.scopes = Some("chosen".to_owned());
    let mut login = login(&server, settings).await.unwrap();
    let redirect = REDIRECT.parse().unwrap();
    login.register(Some(&redirect)).await.unwrap();
    let login = login.with_browser(redirect).unwrap();
    let asked = pairs(login.url().query().unwrap());
    assert_eq!(
        (asked["client_id"].as_str(), asked["scope"].as_str()),
        (described, "chosen")
    );
    let query = format!("code=c0de&state={}&iss={}as", asked["state"], server.url);
    let grant = login.finish(&query).await.unwrap();
    assert_eq!(grant.client.expose_secret(), described);
    let requests = server.requests();
    let last = requests.last().unwrap();
    // It has no password, although there is a colon in it.
    assert_eq!(last.header("authorization"), None);
    assert_eq!(pairs(&last.body)["client_id"], described);
    assert!(requests.iter().all(|request| request.target != "/register"));
}

#[tokio::test]
async fn a_client_of_before_goes_to_its_own_server_alone() {
    type Change = fn(&mut Value, &mut Value);
    let elsewhere: Change = |_, metadata| {
        metadata["token_endpoint"] = "https://evil.test/token".into();
        metadata["registration_endpoint"] = Value::Null;
    };
    let here: Change = |_, metadata| metadata["registration_endpoint"] = Value::Null;
    for (change, good) in [(here, true), (elsewhere, false)] {
        let (server, _) = open(change).await;
        let before = grant(&server, "mcp");
        let login = login(&server, LoginSettings::unregistered()).await.unwrap();
        let mut login = login.as_before(&before);
        let registered = login.register(None).await;
        assert_eq!(registered.is_ok(), good);
        if let Err(error) = registered {
            assert!(error.report().contains("--client-id"), "{}", error.report());
        }
    }
}

#[tokio::test]
async fn a_server_that_leads_astray_is_refused() {
    type Change = fn(&mut Value, &mut Value);
    let changes: [(Change, &str); 6] = [
        (
            |resource, _| resource["resource"] = "https://bank.test/mcp".into(),
            "about another server",
        ),
        (
            |resource, _| resource["authorization_servers"] = json!(["http://evil.test"]),
            "not https",
        ),
        (
            |_, metadata| metadata["issuer"] = "https://honest.test".into(),
            "another issuer",
        ),
        (
            |_, metadata| metadata["token_endpoint"] = "http://evil.test/token".into(),
            "not https",
        ),
        (
            |_, metadata| metadata["registration_endpoint"] = "http://evil.test/".into(),
            "not https",
        ),
        (
            |_, metadata| metadata["code_challenge_methods_supported"] = Value::Null,
            "PKCE",
        ),
    ];
    for (change, word) in changes {
        let (server, _) = open(change).await;
        let error = login(&server, LoginSettings::unregistered())
            .await
            .unwrap_err();
        let said = error.report();
        assert!(said.contains(word), "no `{word}` in {said}");
    }
}

#[tokio::test]
async fn a_server_from_before_descriptions_has_its_tokens_from_its_origin() {
    let server = RecordingApi::start(|request: &Recorded| {
        let here = format!("http://{}", request.header("host").unwrap());
        match request.target.as_str() {
            "/.well-known/oauth-authorization-server" => Reply::json(
                json!({"issuer": here, "authorization_endpoint": format!("{here}/authorize"),
                "token_endpoint": format!("{here}/token"), "code_challenge_methods_supported": ["S256"]})
                .to_string(),
            ),
            _ => Reply::Whole(404, "", Vec::new()),
        }
    })
    .await;
    let login = login(&server, LoginSettings::new("me".into()))
        .await
        .unwrap();
    let login = login.with_browser(REDIRECT.parse().unwrap()).unwrap();
    let asked = pairs(login.url().query().unwrap());
    assert_eq!(asked["resource"], format!("{}mcp", server.url));
    assert!(!asked.contains_key("scope"));
}

/// Keeps no grant, and counts those that it was given.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<(String, Grant)>>);

#[async_trait]
impl GrantKeeper for Kept {
    async fn current(&self, _: &ServerName, _: &str) -> Result<Option<Grant>> {
        Ok(None)
    }

    async fn renew(&self, _: &ServerName, login: &str, _: &Grant, renewed: &Grant) -> Result<bool> {
        let mut kept = self.0.lock().unwrap();
        kept.push((login.to_owned(), renewed.clone()));
        Ok(true)
    }
}

fn grant(server: &RecordingApi, whose: &str) -> Grant {
    Grant {
        client: "me:s3cret".into(),
        token_url: server.url.join("/token").unwrap(),
        access_token: format!("{whose}0").into(),
        refresh_token: Some(format!("refresh-{whose}").into()),
        expires_at: None,
        scopes: None,
        resource: Some("https://mcp.test/mcp".to_owned()),
    }
}

fn connect(
    server: &RecordingApi,
    per_user: bool,
    mut credentials: Credentials,
    kept: &Arc<Kept>,
) -> Arc<dyn Upstream> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = server.url.join("/mcp").unwrap();
    let issuer = server.url.join("/as").unwrap();
    let connection = Connection::http(url, &mut credentials).unwrap();
    let connection = connection.letting_in(Some(issuer), per_user).unwrap();
    let set = json!({"planVersion": PLAN_VERSION, "api": {"title": "x", "version": "1", "dialect": "openapi-3.0"},
        "servers": [], "securitySchemes": {}, "definitions": [], "tools": []});
    assert_eq!(connection.serve(), Serve::Remote);
    let entry = CatalogServer {
        name: ServerName::new("tracker").unwrap(),
        revision: CatalogVersion::default(),
        tools: Arc::new(serde_json::from_value::<ToolSet>(set).unwrap()),
        upstream: Target::Connected {
            connection,
            credentials,
            listed: Default::default(),
        },
    };
    let connector = Connector::new(UpstreamSettings::default()).unwrap();
    connector.keeping(kept.clone()).reach(&entry).unwrap()
}

fn principal(actor: &str) -> Arc<Principal> {
    Arc::new(Principal {
        id: Actor::of("key", actor),
        actor: Actor::new(actor).unwrap(),
        permissions: Arc::new(Permissions::default()),
        expires_at: None,
    })
}

/// The token with which a call arrived.
async fn call(upstream: &dyn Upstream, who: Option<&str>) -> Result<String> {
    let mut forward = Forward::default();
    forward.method = "tools/call".to_owned();
    forward.name = Some("whoami".to_owned());
    forward.params = r#""name":"whoami""#.to_owned();
    forward.who = who.map(principal);
    forward.principal = who.map(mcphub_core::shared::SessionKey::of);
    let mut exchange = upstream.relay().unwrap().open(forward.into()).await?;
    match exchange.next().await? {
        Said::Result(result) => {
            let result: Value = serde_json::from_str(result.get()).unwrap();
            Ok(result["content"][0]["text"].as_str().unwrap().to_owned())
        }
        other => Err(Error::internal(format!("{other:?}"))),
    }
}

fn logins(server: &RecordingApi, names: &[&str]) -> Credentials {
    let grants = names.iter().map(|name| {
        let whose = name.trim_start_matches("user:");
        ((*name).to_owned(), grant(server, whose))
    });
    Credentials {
        grants: grants.collect(),
        ..Credentials::default()
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_is_renewed_once_and_the_call_goes_again() {
    let (server, world) = open(|_, _| {}).await;
    let kept = Arc::new(Kept::default());
    let upstream = connect(&server, false, logins(&server, &["mcp"]), &kept);
    assert_eq!(call(&*upstream, None).await.unwrap(), "mcp0");
    assert!(upstream.tools().await.unwrap().is_empty());
    world.revoked.lock().unwrap().push("mcp0".to_owned());
    assert_eq!(call(&*upstream, Some("user:ada")).await.unwrap(), "mcp1");
    let requests = server.requests();
    let renewals: Vec<_> = requests.iter().filter(|it| it.target == "/token").collect();
    assert_eq!(renewals.len(), 1);
    let asked = pairs(&renewals[0].body);
    assert_eq!(asked["resource"], "https://mcp.test/mcp");
    assert_eq!(asked["refresh_token"], "refresh-mcp");
    let (login, renewed) = kept.0.lock().unwrap().remove(0);
    assert_eq!(login, "mcp");
    assert_eq!(renewed.resource.as_deref(), Some("https://mcp.test/mcp"));

    // A server that refuses every token is asked twice, and its refusal told.
    world.closed.store(true, Ordering::SeqCst);
    let before = server.requests().len();
    let error = call(&*upstream, None).await.unwrap_err();
    assert!(error.report().contains("HTTP 401"), "{}", error.report());
    let since = &server.requests()[before..];
    assert_eq!(since.iter().filter(|it| it.target == "/mcp").count(), 2);
    for secret in ["mcp1", "refresh-", "s3cret"] {
        assert!(!error.report().contains(secret), "{}", error.report());
    }
}

#[tokio::test]
async fn a_client_gets_its_tokens_from_its_issuer_for_this_server() {
    let (server, world) = open(|_, _| {}).await;
    let credentials = Credentials {
        clients: [("mcp".to_owned(), "me:s3cret".into())].into(),
        bearer: Some("static".into()),
        ..Credentials::default()
    };
    let upstream = connect(&server, false, credentials, &Arc::default());
    assert_eq!(call(&*upstream, None).await.unwrap(), "1");
    assert_eq!(call(&*upstream, None).await.unwrap(), "1");
    world.revoked.lock().unwrap().push("1".to_owned());
    assert_eq!(call(&*upstream, None).await.unwrap(), "2");
    let requests = server.requests();
    let asked = requests.iter().find(|it| it.target == "/token").unwrap();
    let form = pairs(&asked.body);
    assert_eq!(
        (form["grant_type"].as_str(), form["scope"].as_str()),
        ("client_credentials", "read")
    );
    assert_eq!(form["resource"], format!("{}mcp", server.url));
    assert!(asked.header("authorization").unwrap().starts_with("Basic "));
    // Nobody has shown the client's secret, or a token of its own, to the MCP server.
    let shown = requests.iter().filter(|it| it.target == "/mcp");
    let shown = shown.filter_map(|it| it.header("authorization"));
    assert!(
        shown
            .into_iter()
            .all(|it| ["Bearer 1", "Bearer 2"].contains(&it))
    );
}

#[tokio::test]
async fn each_user_calls_with_their_own_login_and_nobody_with_anothers() {
    for legacy in [false, true] {
        let (server, world) = open(|_, _| {}).await;
        world.legacy.store(legacy, Ordering::SeqCst);
        let known = logins(&server, &["user:ada", "user:bob"]);
        let upstream = connect(&server, true, known, &Arc::default());
        for (who, token) in [
            ("user:ada", "ada0"),
            ("user:bob", "bob0"),
            ("user:ada", "ada0"),
        ] {
            assert_eq!(call(&*upstream, Some(who)).await.unwrap(), token);
        }
        world.revoked.lock().unwrap().push("bob0".to_owned());
        assert_eq!(call(&*upstream, Some("user:bob")).await.unwrap(), "bob1");
        assert_eq!(call(&*upstream, Some("user:ada")).await.unwrap(), "ada0");

        let before = server.requests().len();
        for (who, word) in [
            ("user:eve", "mcphub login tracker --user eve"),
            ("key:ci", "no user's"),
        ] {
            let error = call(&*upstream, Some(who)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
            assert!(error.report().contains(word), "{}", error.report());
        }
        assert_eq!(server.requests().len(), before, "nothing was sent");
        upstream.close().await;
        for request in server.requests().iter().filter(|it| it.target == "/mcp") {
            let session = request.header("mcp-session-id").unwrap_or_default();
            let token = request.header("authorization").unwrap_or("Bearer none");
            let whose = &token["Bearer ".len()..][..3];
            assert!(
                session.is_empty() || session.starts_with(&format!("of-{whose}")),
                "{token} in {session}"
            );
        }
    }
}
