//! Tokens that are exchanged for whoever calls (RFC 8693): a gateway, an authorization server that
//! checks what the gateway says by its published keys, and an MCP server and an API behind it.

mod logins;

use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcphub_core::catalog::{
    Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream as Target,
};
use mcphub_core::connection::Connection;
use mcphub_core::principal::{Authenticator, Principal, Refusal};
use mcphub_core::secret::{Credentials, DataKey};
use mcphub_core::server::ServerName;
use mcphub_core::tenant::{Actor, TenantName};
use mcphub_core::{ErrorKind, Result};
use mcphub_gateway::upstream::{Connector, UpstreamSettings};
use mcphub_gateway::{Gateway, Listener, TokenIssuer};
use mcphub_store::memory::{MemoryCache, shared};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::oauth_login::pairs;
use crate::bank;
use crate::recording_api::{Recorded, RecordingApi, Reply};

const SECRET: &str = "cl1ent-s3cret";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// What lies behind the gateway.
#[derive(Default)]
struct World {
    /// Who may say who calls, with its keys.
    trusted: Mutex<(String, Value)>,
    /// Statements that were made before.
    seen: Mutex<HashSet<String>>,
    given: AtomicUsize,
    revoked: Mutex<Vec<String>>,
    /// What exchanges are answered with in place of tokens.
    reply: Mutex<Option<(u16, String)>>,
}

impl World {
    async fn open() -> (RecordingApi, Arc<Self>) {
        let world = Arc::new(Self::default());
        let theirs = Arc::clone(&world);
        let server = RecordingApi::start(move |request| theirs.answer(request)).await;
        (server, world)
    }

    fn answer(&self, request: &Recorded) -> Reply {
        let here = format!("http://{}", request.header("host").unwrap());
        match request.target.as_str() {
            "/.well-known/oauth-protected-resource/mcp" => Reply::json(
                json!({"resource": format!("{here}/mcp"), "authorization_servers": [&here],
                    "scopes_supported": ["all"]})
                .to_string(),
            ),
            "/.well-known/oauth-authorization-server" => Reply::json(
                json!({"issuer": &here, "token_endpoint": format!("{here}/token")}).to_string(),
            ),
            "/token" => self.token(request, &here),
            "/mcp" => self.mcp(request),
            "/whoami" => match self.let_in(request) {
                Some(token) => Reply::json(json!({"token": token}).to_string()),
                None => Reply::Whole(401, "text/plain", Vec::new()),
            },
            _ => Reply::Whole(404, "text/plain", Vec::new()),
        }
    }

    fn token(&self, request: &Recorded, here: &str) -> Reply {
        let form = pairs(&request.body);
        let number = self.given.fetch_add(1, Ordering::SeqCst) + 1;
        let whose = if form["grant_type"] == EXCHANGE {
            if let Some((status, body)) = self.reply.lock().unwrap().clone() {
                return Reply::Whole(status, "application/json", body.into_bytes());
            }
            let subject = &form["subject_token"];
            match form["subject_token_type"].as_str() {
                "urn:ietf:params:oauth:token-type:jwt" => {
                    let stated = self.subject(subject, &format!("{here}/token"));
                    stated.unwrap_or_else(|why| panic!("{why}"))
                }
                kind => {
                    assert_eq!(kind, "urn:ietf:params:oauth:token-type:access_token");
                    if self.revoked.lock().unwrap().contains(subject) {
                        let body = br#"{"error":"invalid_grant"}"#;
                        return Reply::Whole(400, "application/json", body.to_vec());
                    }
                    format!("user:{}", subject.split('/').nth(1).unwrap())
                }
            }
        } else if let Some(login) = form.get("refresh_token") {
            login.clone()
        } else {
            "gateway".to_owned()
        };
        Reply::json(
            json!({"access_token": format!("{whose}/{number}"), "token_type": "Bearer", "expires_in": 3600,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
            .to_string(),
        )
    }

    /// Who a statement is about, if all of it is in order.
    fn subject(&self, statement: &str, audience: &str) -> Result<String, &'static str> {
        let (issuer, keys) = self.trusted.lock().unwrap().clone();
        let parts: Vec<_> = statement.split('.').collect();
        let read = |at: usize| URL_SAFE_NO_PAD.decode(parts[at]).unwrap();
        let head: Value = serde_json::from_slice(&read(0)).unwrap();
        let claims: Value = serde_json::from_slice(&read(1)).unwrap();
        let mut keys = keys["keys"].as_array().unwrap().iter();
        let key = keys.find(|key| key["kid"] == head["kid"] && key["alg"] == head["alg"]);
        let key = key.ok_or("an unknown key")?;
        let half = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let point = [vec![4], half("x"), half("y")].concat();
        let signed = [parts[0], parts[1]].join(".");
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        let verified = key.verify(signed.as_bytes(), &read(2));
        verified.map_err(|_| "a wrong signature")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let (now, end) = (now.as_secs(), claims["exp"].as_u64().unwrap());
        if claims["iss"] != issuer.as_str() || claims["aud"] != audience {
            return Err("another issuer or audience");
        }
        if end < now || end > now + 61 {
            return Err("a wrong time");
        }
        let id = claims["jti"].as_str().unwrap().to_owned();
        if !self.seen.lock().unwrap().insert(id) {
            return Err("a statement that was made before");
        }
        assert_eq!(claims["tenant"], "default");
        Ok(claims["sub"].as_str().unwrap().to_owned())
    }

    fn let_in(&self, request: &Recorded) -> Option<String> {
        let token = request.header("authorization")?.strip_prefix("Bearer ")?;
        let revoked = self.revoked.lock().unwrap();
        (token.contains('/') && !revoked.contains(&token.to_owned())).then(|| token.to_owned())
    }

    fn mcp(&self, request: &Recorded) -> Reply {
        let Some(token) = self.let_in(request) else {
            return Reply::Whole(401, "text/plain", Vec::new());
        };
        let message: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let result = match message["method"].as_str() {
            Some("server/discover") => json!({"resultType": "complete",
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "resources": {}}}),
            Some("tools/list") => json!({"tools": [{"name": "whoami",
                "description": format!("Listed with {token}"), "inputSchema": {"type": "object"}}]}),
            Some("resources/list") => json!({"resources": []}),
            Some("resources/templates/list") => json!({"resourceTemplates": []}),
            Some("resources/read") => json!({"resultType": "complete", "cacheScope": "public",
                "ttlMs": 600_000, "contents": [{"uri": "who://ami", "text": token}]}),
            Some("tools/call") => json!({"content": [{"type": "text", "text": token}]}),
            _ => return Reply::Whole(404, "", Vec::new()),
        };
        Reply::json(json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string())
    }
}

fn credentials(name: &str, exchange: &str) -> Credentials {
    Credentials {
        clients: [(name.to_owned(), format!("me:{SECRET}").into())].into(),
        exchanges: [(name.to_owned(), exchange.parse().unwrap())].into(),
        ..Credentials::default()
    }
}

fn entry(name: &str, schemes: &Value, upstream: Target) -> Arc<CatalogServer> {
    let tools = bank::tools(schemes, &[("whoami", json!([["login"]]))]);
    Arc::new(CatalogServer {
        name: ServerName::new(name).unwrap(),
        revision: CatalogVersion {
            registry: 1,
            deployments: 0,
        },
        tools: Arc::new(tools),
        upstream,
    })
}

/// An MCP server `tracker`, and an API `bank`.
#[derive(Debug)]
struct Servers(Vec<Arc<CatalogServer>>);

impl Servers {
    fn at(server: &RecordingApi, exchange: &str) -> Arc<Self> {
        let mut shown = credentials(Connection::LOGIN, exchange);
        let connection = Connection::http(server.url.join("/mcp").unwrap(), &mut shown).unwrap();
        let connection = connection.letting_in(Some(server.url.clone()), false);
        let tracker = Target::Connected {
            connection: connection.unwrap(),
            credentials: shown,
            listed: Arc::default(),
        };
        let bank = Target::Native {
            base_url: server.url.clone(),
            credentials: credentials("login", exchange),
        };
        let schemes = json!({"login": {"type": "oAuth2", "tokenUrl": "/token"}});
        Arc::new(Self(vec![
            entry("tracker", &json!({}), tracker),
            entry("bank", &schemes, bank),
        ]))
    }
}

#[async_trait]
impl CatalogSource for Servers {
    async fn version(&self) -> Result<CatalogVersion> {
        Ok(CatalogVersion::default())
    }

    async fn catalog(&self) -> Result<Catalog> {
        Ok(Catalog {
            servers: self.0.clone(),
            ..Catalog::default()
        })
    }
}

/// Lets everybody in as the user that they say they are.
#[derive(Debug)]
struct Credulous;

#[async_trait]
impl Authenticator for Credulous {
    async fn authenticate(&self, token: &str) -> Result<Principal, Refusal> {
        Ok(Principal {
            id: Actor::of("key", token),
            actor: Actor::of("user", token),
            permissions: Arc::default(),
            expires_at: None,
        })
    }
}

struct Hub {
    url: String,
    http: reqwest::Client,
    serving: JoinHandle<()>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Hub {
    async fn open(servers: Arc<Servers>, asks: bool, issues: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cache = Arc::new(MemoryCache::new(1 << 20));
        let mut gateway = Gateway::builder(servers).shared(shared().with_cache(cache));
        if asks {
            gateway = gateway.authenticator(Arc::new(Credulous));
        }
        if issues {
            let key = DataKey::new(Box::new([7; 32]));
            let public = url.parse().unwrap();
            let issuer = TokenIssuer::new(&public, TenantName::default(), vec![key]);
            gateway = gateway.issuer(issuer.unwrap());
        }
        let gateway = gateway.build().unwrap();
        gateway.refresh().await.unwrap();
        let listener = Listener::new(listener);
        Self {
            url,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            serving: tokio::spawn(async move { gateway.serve(listener, pending()).await }),
        }
    }

    /// A gateway whose keys the world has fetched.
    async fn trusted(server: &RecordingApi, world: &World, exchange: &str) -> Self {
        let hub = Self::open(Servers::at(server, exchange), true, true).await;
        let keys = hub.http.get(format!("{}/.well-known/jwks.json", hub.url));
        let keys = keys.send().await.unwrap();
        let kind = keys.headers()["content-type"].clone();
        assert_eq!(kind, "application/jwk-set+json");
        assert!(keys.headers().contains_key("cache-control"));
        *world.trusted.lock().unwrap() = (hub.url.clone(), keys.json().await.unwrap());
        hub
    }

    /// What a call of a server's tool gives to this user.
    async fn call(&self, server: &str, user: &str) -> Value {
        let params = json!({"name": "whoami", "arguments": {}});
        self.ask(server, user, ("tools/call", "whoami"), params)
            .await
    }

    /// What a request is answered for this user.
    async fn ask(
        &self,
        server: &str,
        user: &str,
        (method, name): (&str, &str),
        mut params: Value,
    ) -> Value {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
        params["_meta"] = meta;
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self.http.post(format!("{}/mcp/{server}", self.url));
        let request = request
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method)
            .header("mcp-name", name)
            .bearer_auth(user)
            .json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The token with which a call arrived.
    async fn token(&self, server: &str, user: &str) -> String {
        let answer = self.call(server, user).await;
        let text = answer["result"]["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{answer}")).to_owned();
        match serde_json::from_str::<Value>(&text) {
            Ok(told) => told["token"].as_str().unwrap().to_owned(),
            Err(_) => text,
        }
    }
}

fn exchanges(server: &RecordingApi) -> Vec<Recorded> {
    let requests = server.requests().into_iter();
    let exchange = |it: &Recorded| it.target == "/token" && it.body.contains("token-exchange");
    requests.filter(exchange).collect()
}

#[tokio::test]
async fn each_caller_has_a_token_about_them_and_nobody_anothers() {
    let (server, world) = World::open().await;
    let hub = Hub::trusted(&server, &world, "gateway").await;
    for place in ["tracker", "bank"] {
        let (ada, bob, again) = tokio::join!(
            hub.token(place, "ada"),
            hub.token(place, "bob"),
            hub.token(place, "ada")
        );
        assert!(ada.starts_with("user:ada/") && bob.starts_with("user:bob/"));
        assert_eq!(ada, again, "asked for once, by two calls at once");
        assert_eq!(hub.token(place, "bob").await, bob);
    }
    let made = exchanges(&server);
    assert_eq!(made.len(), 4);
    for exchange in &made {
        let basic = exchange.header("authorization").unwrap();
        assert!(basic.starts_with("Basic "), "{basic}");
    }
    // An MCP server's tokens are for it; of an API nobody says so.
    let of = |at: usize, name: &str| pairs(&made[at].body).get(name).cloned();
    let resource = server.url.join("/mcp").unwrap().to_string();
    assert_eq!(of(0, "resource"), Some(resource));
    assert_eq!(of(0, "scope").as_deref(), Some("all"));
    assert_eq!(of(2, "resource"), None);
    // What a caller or the client showed goes nowhere else.
    for request in server.requests() {
        let shown = request.header("authorization").unwrap_or_default();
        assert!(!shown.starts_with("Bearer ada") && !shown.starts_with("Bearer bob"));
        let for_calls = matches!(request.target.as_str(), "/mcp" | "/whoami");
        assert!(!for_calls || !shown.starts_with("Basic "));
    }
}

#[tokio::test]
async fn lists_are_read_with_the_clients_own_token() {
    let (server, world) = World::open().await;
    let hub = Hub::trusted(&server, &world, "gateway").await;
    hub.token("tracker", "ada").await;
    let requests = server.requests();
    let lists = requests.iter().filter(|it| it.body.contains("tools/list"));
    let shown: Vec<_> = lists.filter_map(|it| it.header("authorization")).collect();
    assert!(!shown.is_empty());
    assert!(
        shown.iter().all(|it| it.starts_with("Bearer gateway/")),
        "{shown:?}"
    );
}

#[tokio::test]
async fn what_is_asked_for_is_said_as_it_was_written() {
    let (server, world) = World::open().await;
    let kind = "urn:ietf:params:oauth:token-type:jwt";
    let exchange = format!("gateway,audience=billing,resource=https://api.test,type={kind}");
    let hub = Hub::trusted(&server, &world, &exchange).await;
    for place in ["tracker", "bank"] {
        hub.token(place, "ada").await;
    }
    for exchange in exchanges(&server) {
        let form = pairs(&exchange.body);
        assert_eq!(form["audience"], "billing");
        assert_eq!(form["resource"], "https://api.test");
        assert_eq!(form["requested_token_type"], kind);
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_is_exchanged_anew_once_within_the_call() {
    let (server, world) = World::open().await;
    let hub = Hub::trusted(&server, &world, "gateway").await;
    for place in ["tracker", "bank"] {
        let first = hub.token(place, "ada").await;
        let bob = hub.token(place, "bob").await;
        world.revoked.lock().unwrap().push(first.clone());
        let before = exchanges(&server).len();
        let second = hub.token(place, "ada").await;
        assert!(second.starts_with("user:ada/") && second != first);
        assert_eq!(exchanges(&server).len(), before + 1);
        assert_eq!(hub.token(place, "bob").await, bob, "another's goes on");
    }
}

#[tokio::test]
async fn what_the_authorization_server_refuses_is_told_with_what_mends_it() {
    let (server, world) = World::open().await;
    let hub = Hub::trusted(&server, &world, "gateway").await;
    let error = |code: &str| (400, json!({ "error": code }).to_string());
    let token = |more: Value| {
        let mut token = json!({"access_token": "x/t0ken", "token_type": "Bearer"});
        token
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        (200, token.to_string())
    };
    let of_refresh = "urn:ietf:params:oauth:token-type:refresh_token";
    for (number, (reply, word)) in [
        (error("invalid_grant"), "/.well-known/jwks.json"),
        (error("invalid_target"), "audience"),
        (error("invalid_scope"), "scopes"),
        (error("access_denied"), "let the client exchange"),
        (error("unauthorized_client"), "let the client exchange"),
        (error("invalid_client"), "its secret"),
        (error("unsupported_grant_type"), "RFC 8693"),
        (error("anything"), "says anything"),
        (token(json!({"token_type": "N_A"})), "no bearer token"),
        (
            token(json!({"issued_token_type": of_refresh})),
            "another type",
        ),
        (token(json!({"access_token": 7})), "no token"),
        ((200, "<html>".to_owned()), "no token"),
        ((200, format!("\"{}\"", "x".repeat(70_000))), "too much"),
        ((500, String::new()), "HTTP 500"),
    ]
    .into_iter()
    .enumerate()
    {
        *world.reply.lock().unwrap() = Some(reply);
        for place in ["tracker", "bank"] {
            let before = server.requests().len();
            let answer = hub.call(place, &format!("user{number}")).await.to_string();
            assert!(answer.contains(word), "{place} {word}: {answer}");
            for secret in [SECRET, "eyJ", "x/t0ken"] {
                assert!(!answer.contains(secret), "{answer}");
            }
            let since = &server.requests()[before..];
            let called = since
                .iter()
                .any(|it| it.body.contains("tools/call") || it.target == "/whoami");
            assert!(!called, "no call goes without a token");
        }
    }
}

#[tokio::test]
async fn what_one_caller_reads_is_not_given_to_another_whatever_the_server_says_of_it() {
    let (server, world) = World::open().await;
    let hub = Hub::trusted(&server, &world, "gateway").await;
    for user in ["ada", "bob", "ada"] {
        let params = json!({"uri": "who://ami"});
        let asked = ("resources/read", "who://ami");
        let answer = hub.ask("tracker", user, asked, params).await;
        let text = answer["result"]["contents"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{answer}"));
        assert!(text.starts_with(&format!("user:{user}/")), "{text}");
    }
}

#[tokio::test]
async fn a_call_of_nobody_in_particular_is_refused() {
    let (server, _) = World::open().await;
    for (asks, issues, word) in [(false, true, "--auth keys"), (true, false, "--public-url")] {
        let hub = Hub::open(Servers::at(&server, "gateway"), asks, issues).await;
        for place in ["tracker", "bank"] {
            let answer = hub.call(place, "ada").await.to_string();
            assert!(answer.contains(word), "{place}: {answer}");
        }
        let keys = hub.http.get(format!("{}/.well-known/jwks.json", hub.url));
        let published = keys.send().await.unwrap().status() == 200;
        assert_eq!(published, issues);
    }
    assert!(exchanges(&server).is_empty());
    let calls = server.requests();
    assert!(
        !calls
            .iter()
            .any(|it| it.body.contains("tools/call") || it.target == "/whoami")
    );
}

#[tokio::test]
async fn a_connection_that_all_share_has_no_callers_token() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut credentials = credentials(Connection::LOGIN, "gateway");
    let url = "http://127.0.0.1:1/sse".parse().unwrap();
    let connection = Connection::http(url, &mut credentials).unwrap().over_sse();
    let target = Target::Connected {
        connection,
        credentials,
        listed: Arc::default(),
    };
    let connector = Connector::new(UpstreamSettings::default()).unwrap();
    let error = connector
        .reach(&entry("old", &json!({}), target))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
