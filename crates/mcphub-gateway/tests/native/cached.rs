//! Answers of an API that are kept, and given again without asking it.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use http_body_util::BodyExt;
use mcphub_core::catalog::{
    Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream as Target,
};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::shared::{Cache, CacheKey};
use mcphub_core::tool::ToolSet;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::{Gateway, Listener};
use mcphub_store::memory::{MemoryCache, shared};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;
use url::Url;

use crate::bank;
use crate::bookshop;
use crate::recording_api::{Recorded, RecordingApi, Reply};

/// An API as it is registered, which can be registered otherwise.
#[derive(Debug)]
struct Registered(Mutex<Arc<CatalogServer>>);

#[async_trait]
impl CatalogSource for Registered {
    async fn version(&self) -> Result<CatalogVersion> {
        Ok(self.0.lock().unwrap().revision)
    }

    async fn catalog(&self) -> Result<Catalog> {
        let server = Arc::clone(&self.0.lock().unwrap());
        Ok(Catalog {
            version: server.revision,
            servers: vec![server],
            ..Catalog::default()
        })
    }
}

fn server(name: &str, revision: u64, api: &Url, credentials: Credentials) -> Arc<CatalogServer> {
    Arc::new(CatalogServer {
        name: ServerName::new(name).unwrap(),
        revision: CatalogVersion {
            registry: revision,
            deployments: 0,
        },
        tools: bookshop::bookshop(),
        upstream: Target::Native {
            base_url: api.clone(),
            credentials,
        },
    })
}

struct Hub {
    gateway: Gateway,
    registered: Arc<Registered>,
    url: String,
}

impl Hub {
    async fn open(server: Arc<CatalogServer>, cache: Option<Arc<dyn Cache>>) -> Self {
        bookshop::install_crypto();
        let name = server.name.clone();
        let registered = Arc::new(Registered(Mutex::new(server)));
        let shared = match cache {
            Some(cache) => shared().with_cache(cache),
            None => shared(),
        };
        let gateway = Gateway::builder(registered.clone()).shared(shared);
        let gateway = gateway.build().unwrap();
        gateway.refresh().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp/{name}", listener.local_addr().unwrap());
        let (serving, listener) = (gateway.clone(), Listener::new(listener));
        tokio::spawn(async move { serving.serve(listener, pending()).await });
        Self {
            gateway,
            registered,
            url,
        }
    }

    /// The bookshop as `shop`, with a cache of its own.
    async fn shop(api: &RecordingApi) -> Self {
        Self::open(
            server("shop", 1, &api.url, Credentials::default()),
            memory(),
        )
        .await
    }

    async fn register(&self, server: Arc<CatalogServer>) {
        *self.registered.0.lock().unwrap() = server;
        self.gateway.refresh().await.unwrap();
    }

    /// The text of a result, and whether it is an error.
    async fn call_with(&self, tool: &str, arguments: Value, trace: Option<&str>) -> (String, bool) {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments, "_meta": meta}});
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut request = client
            .post(&self.url)
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", "tools/call")
            .header("mcp-name", tool);
        if let Some(trace) = trace {
            request = request.header("traceparent", trace);
        }
        let answer = request.json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("{answer}")).to_owned();
        (text, result["isError"] == true)
    }

    async fn call(&self, tool: &str) -> String {
        let (text, error) = self.call_with(tool, json!({}), None).await;
        assert!(!error, "{text}");
        text
    }

    /// How often it was looked for answers: those that were there, were still right, were not there.
    async fn lookups(&self) -> [u64; 3] {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = self
            .gateway
            .metrics_router()
            .oneshot(request)
            .await
            .unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        ["hit", "revalidated", "miss"].map(|outcome| {
            let name = self.gateway.servers()[0].name.clone();
            let line =
                format!(r#"mcphub_cache_lookups_total{{server="{name}",outcome="{outcome}"}} "#);
            let found = text.lines().find_map(|it| it.strip_prefix(&*line));
            found.map_or(0, |count| count.parse().unwrap())
        })
    }
}

fn memory() -> Option<Arc<dyn Cache>> {
    Some(Arc::new(MemoryCache::new(16 << 20)))
}

/// An answer with these headers, which is another one each time.
fn answer(headers: &str, count: usize) -> Reply {
    let body = format!(r#"["answer {count}"]"#);
    Reply::Kept(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

/// An API that gives these headers with each answer, of which no two are the same.
async fn api(headers: &str) -> RecordingApi {
    let (headers, count) = (headers.to_owned(), AtomicUsize::new(0));
    RecordingApi::start(move |_: &Recorded| answer(&headers, count.fetch_add(1, Ordering::SeqCst)))
        .await
}

/// How often an API is asked by two calls that get the same answer, or two.
async fn asked(headers: &str, tool: &str, credentials: Credentials) -> usize {
    let api = api(headers).await;
    let hub = Hub::open(server("shop", 1, &api.url, credentials), memory()).await;
    let (first, second) = (hub.call(tool).await, hub.call(tool).await);
    let asked = api.requests().len();
    assert_eq!(first == second, asked == 1, "{headers:?}");
    asked
}

#[tokio::test]
async fn an_answer_is_given_again_as_long_as_the_api_says() {
    let api = api("cache-control: max-age=600\r\n").await;
    let hub = Hub::shop(&api).await;
    let trace =
        |number: u8| format!("00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b{number}-01");
    let first = hub
        .call_with("open_hours", json!({}), Some(&trace(1)))
        .await;
    for number in 2..5 {
        let trace = trace(number);
        let again = hub.call_with("open_hours", json!({}), Some(&trace)).await;
        assert_eq!(again, first);
    }
    assert_eq!(api.requests().len(), 1);
    assert_eq!(hub.lookups().await, [3, 0, 1]);
    // Another URL has another answer.
    assert_ne!(hub.call("public").await, first.0);
    assert_eq!(api.requests().len(), 2);
}

#[tokio::test]
async fn only_what_any_cache_may_keep_is_kept() {
    for (headers, times) in [
        ("cache-control: max-age=600\r\n", 1),
        ("cache-control: MAX-AGE=600\r\n", 1),
        (
            "cache-control: public\r\ncache-control: max-age=\"600\"\r\n",
            1,
        ),
        ("cache-control: s-maxage=600, max-age=0\r\n", 1),
        ("expires: Fri, 01 Jan 2100 00:00:00 GMT\r\n", 1),
        ("cache-control: max-age=600\r\nage: 30\r\n", 1),
        (
            "cache-control: max-age=600\r\nvary: accept, user-agent\r\n",
            1,
        ),
        // These say that it is not kept, or not for others, or nothing of how long.
        ("", 2),
        ("last-modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n", 2),
        ("cache-control: No-Store, max-age=600\r\n", 2),
        ("cache-control: private, max-age=600\r\n", 2),
        ("cache-control: no-cache, max-age=600\r\n", 2),
        ("cache-control: max-age=600, s-maxage=0\r\n", 2),
        ("cache-control: max-age=600\r\nage: 600\r\n", 2),
        (
            "cache-control: max-age=600\r\nage: 99999999999999999999\r\n",
            2,
        ),
        (
            "cache-control: max-age=600\r\nage: 18446744073709551615\r\n",
            2,
        ),
        ("cache-control: max-age=1, max-age=600\r\n", 2),
        ("cache-control: max-age=600\r\nvary: *\r\n", 2),
        ("cache-control: max-age=600\r\nvary: Traceparent\r\n", 2),
        ("cache-control: max-age=600\r\nset-cookie: a=b\r\n", 2),
        ("expires: 0\r\n", 2),
        ("cache-control: max-age=-1\r\n", 2),
        (
            "pragma: no-cache\r\nexpires: Fri, 01 Jan 2100 00:00:00 GMT\r\n",
            2,
        ),
    ] {
        let asked = asked(headers, "public", Credentials::default()).await;
        assert_eq!(asked, times, "{headers:?}");
    }
}

#[tokio::test]
async fn what_credentials_got_is_kept_only_where_the_api_says_that_it_is_for_all() {
    let key = || Credentials {
        schemes: [("key".to_owned(), "s3cret".into())].into(),
        ..Credentials::default()
    };
    let token = || Credentials {
        schemes: [("token".to_owned(), "s3cret".into())].into(),
        ..Credentials::default()
    };
    let header = || Credentials {
        headers: [("x-key".to_owned(), "s3cret".into())].into(),
        ..Credentials::default()
    };
    for credentials in [key, token, header] {
        for (headers, times) in [
            ("cache-control: max-age=600\r\n", 2),
            ("cache-control: max-age=600, public\r\n", 1),
            ("cache-control: s-maxage=600\r\n", 1),
            ("cache-control: max-age=600, must-revalidate\r\n", 1),
        ] {
            let asked = asked(headers, "either", credentials()).await;
            assert_eq!(asked, times, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn no_answer_is_found_under_another_registration() {
    let (api, other) = (
        api("cache-control: public, max-age=600\r\n").await,
        api("cache-control: public, max-age=600\r\n").await,
    );
    let cache = memory();
    let credentials = |secret: &str| Credentials {
        schemes: [("token".to_owned(), secret.to_owned().into())].into(),
        ..Credentials::default()
    };
    let hub = Hub::open(
        server("shop", 1, &api.url, credentials("one")),
        cache.clone(),
    )
    .await;
    let first = hub.call("private").await;
    assert_eq!(hub.call("private").await, first);
    // The same secret in another registration; another secret; another address.
    for (revision, at, secret) in [(2, &api, "one"), (3, &api, "two"), (4, &other, "two")] {
        let before = at.requests().len();
        let server = server("shop", revision, &at.url, credentials(secret));
        hub.register(server).await;
        hub.call("private").await;
        assert_eq!(at.requests().len(), before + 1, "{revision}");
    }
    // Another server at the same address, whose revision is the same.
    let namesake = Hub::open(
        server("other", 1, &api.url, credentials("one")),
        cache.clone(),
    )
    .await;
    assert_ne!(namesake.call("private").await, first);
    // And even where the registration were the same, another secret finds nothing.
    let doubtful = Hub::open(
        server("shop", 1, &api.url, credentials("two")),
        cache.clone(),
    )
    .await;
    assert_ne!(doubtful.call("private").await, first);
}

#[tokio::test]
async fn a_stale_answer_is_asked_about_and_given_while_it_is_right() {
    let (count, changed) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(1)));
    let version = Arc::clone(&changed);
    let api = RecordingApi::start(move |request: &Recorded| {
        let tag = format!("\"v{}\"", version.load(Ordering::SeqCst));
        let headers = format!("cache-control: no-cache\r\netag: {tag}\r\n");
        if request.header("if-none-match") == Some(&tag) {
            return Reply::Kept(format!("HTTP/1.1 304 X\r\n{headers}\r\n").into_bytes());
        }
        answer(&headers, count.fetch_add(1, Ordering::SeqCst))
    })
    .await;
    let hub = Hub::shop(&api).await;
    let first = hub.call("public").await;
    assert_eq!(hub.call("public").await, first);
    assert_eq!(hub.call("public").await, first);
    assert_eq!(hub.lookups().await, [0, 2, 1]);
    changed.store(2, Ordering::SeqCst);
    let second = hub.call("public").await;
    assert_ne!(second, first);
    assert_eq!(hub.call("public").await, second);
    assert_eq!(hub.lookups().await, [0, 3, 2]);
    assert_eq!(api.requests().len(), 5);
}

#[tokio::test]
async fn an_answer_that_was_confirmed_lasts_as_long_as_the_api_says_then() {
    let api = RecordingApi::start(|request: &Recorded| {
        if request.header("if-modified-since").is_some() {
            let head = "HTTP/1.1 304 X\r\ncache-control: max-age=600\r\n\r\n";
            return Reply::Kept(head.into());
        }
        answer(
            "cache-control: max-age=0\r\nlast-modified: Mon, 01 Jan 2001 00:00:00 GMT\r\n",
            1,
        )
    })
    .await;
    let hub = Hub::shop(&api).await;
    for _ in 0..4 {
        assert_eq!(hub.call("public").await, r#"["answer 1"]"#);
    }
    assert_eq!(api.requests().len(), 2);
    assert_eq!(hub.lookups().await, [2, 1, 1]);
}

#[tokio::test]
async fn a_confirmation_of_another_answer_is_not_taken_for_one() {
    let count = AtomicUsize::new(0);
    let api = RecordingApi::start(move |request: &Recorded| {
        if request.header("if-none-match").is_some() {
            return Reply::Kept(b"HTTP/1.1 304 X\r\netag: \"other\"\r\n\r\n".to_vec());
        }
        let count = count.fetch_add(1, Ordering::SeqCst);
        answer("cache-control: no-cache\r\netag: \"mine\"\r\n", count)
    })
    .await;
    let hub = Hub::shop(&api).await;
    assert_eq!(hub.call("public").await, r#"["answer 0"]"#);
    assert_eq!(hub.call("public").await, r#"["answer 1"]"#);
    assert_eq!(api.requests().len(), 3);
}

#[tokio::test]
async fn what_a_call_changes_is_asked_for_again() {
    let failing = Arc::new(AtomicUsize::new(500));
    let (status, count) = (Arc::clone(&failing), AtomicUsize::new(0));
    let api = RecordingApi::start(move |request: &Recorded| {
        if request.method == "POST" {
            let status = status.load(Ordering::SeqCst);
            return Reply::Whole(
                u16::try_from(status).unwrap(),
                "application/json",
                b"{}".into(),
            );
        }
        let count = count.fetch_add(1, Ordering::SeqCst);
        answer("cache-control: max-age=600\r\n", count)
    })
    .await;
    let hub = Hub::shop(&api).await;
    let first = hub.call("find_books").await;
    let add = async || {
        hub.call_with("add_book", json!({"isbn": "978"}), None)
            .await
    };
    assert!(add().await.1);
    assert_eq!(hub.call("find_books").await, first);
    failing.store(201, Ordering::SeqCst);
    assert!(!add().await.1);
    let second = hub.call("find_books").await;
    assert_ne!(second, first);
    assert_eq!(hub.call("find_books").await, second);
}

#[tokio::test]
async fn arguments_that_are_headers_are_told_apart() {
    let api = api("cache-control: max-age=600\r\n").await;
    let hub = Hub::shop(&api).await;
    for (trace, asked) in [("one", 1), ("one", 1), ("two", 2), ("two", 2), ("one", 3)] {
        let arguments = json!({"isbn": "1", "X-Trace": trace});
        hub.call_with("get_book", arguments, None).await;
        assert_eq!(api.requests().len(), asked, "{trace}");
    }
}

#[tokio::test]
async fn errors_streams_and_redirects_are_not_kept() {
    for reply in [
        || {
            Reply::Kept(
                b"HTTP/1.1 500 X\r\ncache-control: max-age=600\r\ncontent-length: 0\r\n\r\n"
                    .to_vec(),
            )
        },
        || {
            Reply::Kept(
                b"HTTP/1.1 200 X\r\ncache-control: max-age=600\r\ncontent-type: application/x-ndjson\r\ncontent-length: 3\r\n\r\n{}\n"
                    .to_vec(),
            )
        },
    ] {
        let api = RecordingApi::start(move |_: &Recorded| reply()).await;
        let hub = Hub::shop(&api).await;
        for _ in 0..2 {
            hub.call_with("public", json!({}), None).await;
        }
        assert_eq!(api.requests().len(), 2);
    }
    let api = RecordingApi::start(|request: &Recorded| match request.target.as_str() {
        "/public" => Reply::redirect(302, "/elsewhere"),
        _ => answer("cache-control: max-age=600\r\n", 1),
    })
    .await;
    let hub = Hub::shop(&api).await;
    for _ in 0..2 {
        hub.call("public").await;
    }
    assert_eq!(api.requests().len(), 4);
}

#[tokio::test]
async fn what_is_too_large_to_keep_is_given_all_the_same() {
    for (size, asked) in [(300_000, 1), (1_100_000, 2)] {
        let api = RecordingApi::start(move |_: &Recorded| {
            let body = format!("[\"{}\"]", "x".repeat(size));
            let head = format!(
                "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncache-control: max-age=600\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            Reply::Kept([head, body].concat().into_bytes())
        })
        .await;
        let hub = Hub::shop(&api).await;
        let first = hub.call("public").await;
        assert!(first.len() > size);
        assert!(hub.call("public").await == first);
        assert_eq!(api.requests().len(), asked, "{size}");
    }
}

#[tokio::test]
async fn without_a_cache_every_call_is_made() {
    let api = api("cache-control: max-age=600\r\n").await;
    let hub = Hub::open(server("shop", 1, &api.url, Credentials::default()), None).await;
    assert_ne!(hub.call("public").await, hub.call("public").await);
    assert_eq!(hub.lookups().await, [0, 0, 0]);
}

/// Tells nothing, and answers after a while or with an error.
#[derive(Debug)]
enum Broken {
    Away,
    Damaged,
}

#[async_trait]
impl Cache for Broken {
    async fn get(&self, _: &CacheKey) -> Result<Option<Bytes>> {
        match self {
            Self::Away => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Error::new(ErrorKind::Unavailable, "it is away"))
            }
            Self::Damaged => Ok(Some(Bytes::from_static(b"{\"status\":200\nx"))),
        }
    }

    async fn put(&self, _: &CacheKey, _: Bytes, _: Duration) -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "it is away"))
    }

    async fn remove(&self, _: &CacheKey) -> Result<()> {
        Err(Error::new(ErrorKind::Unavailable, "it is away"))
    }
}

#[tokio::test]
async fn calls_go_on_without_a_cache_that_fails() {
    for broken in [Broken::Away, Broken::Damaged] {
        let api = api("cache-control: max-age=600\r\n").await;
        let shop = server("shop", 1, &api.url, Credentials::default());
        let hub = Hub::open(shop, Some(Arc::new(broken))).await;
        for _ in 0..2 {
            hub.call("public").await;
        }
        hub.call_with("add_book", json!({"isbn": "978"}), None)
            .await;
        assert_eq!(api.requests().len(), 3);
        assert_eq!(hub.lookups().await, [0, 0, 2]);
    }
}

#[tokio::test]
async fn nothing_is_kept_where_headers_do_not_say_who_asks() {
    let secret = || [("login".to_owned(), "me:s3cret".into())].into();
    let digest = Credentials {
        schemes: secret(),
        ..Credentials::default()
    };
    let exchange = Credentials {
        clients: secret(),
        exchanges: [("login".to_owned(), "gateway".parse().unwrap())].into(),
        ..Credentials::default()
    };
    for (scheme, credentials) in [
        (json!({"type": "digest"}), digest),
        (json!({"type": "oAuth2", "tokenUrl": "/token"}), exchange),
    ] {
        let api = api("cache-control: public, max-age=600\r\n").await;
        let mut bank = Arc::into_inner(server("bank", 1, &api.url, credentials)).unwrap();
        let schemes = json!({"login": scheme.clone()});
        let rates = [("rates", json!([]))];
        bank.tools = Arc::new(bank::tools(&schemes, &rates));
        let hub = Hub::open(Arc::new(bank), memory()).await;
        assert_ne!(hub.call("rates").await, hub.call("rates").await, "{scheme}");
    }
}

/// A tool that an operator says changes something is called each time, whatever the API allows.
#[tokio::test]
async fn a_get_that_changes_something_is_made_each_time() {
    let api = api("cache-control: max-age=600\r\n").await;
    let mut shop = Arc::into_inner(server("shop", 1, &api.url, Credentials::default())).unwrap();
    let mut tools = ToolSet::clone(&shop.tools);
    for tool in &mut tools.tools {
        tool.annotations.read_only_hint = false;
    }
    shop.tools = Arc::new(tools);
    let hub = Hub::open(Arc::new(shop), memory()).await;
    assert_ne!(hub.call("public").await, hub.call("public").await);
}
