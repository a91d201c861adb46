//! Requests that name another host than the gateway's.

use std::net::SocketAddr;
use std::sync::Arc;

use mcphub_gateway::{Gateway, GatewaySettings, Listener};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{BOUND, Hub, Served, Server, answer, builder, quick, serve, serve_gateway};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Every route that answers, and how it is asked.
const ROUTES: [&str; 11] = [
    "POST /mcp",
    "GET /mcp",
    "DELETE /mcp",
    "OPTIONS /mcp",
    "POST /mcp/shop",
    "GET /mcp/shop",
    "GET /sse",
    "GET /sse/shop",
    "POST /messages",
    "GET /healthz",
    "GET /nowhere",
];

/// The status line and what came with it of a request with these lines of headers.
async fn ask(address: SocketAddr, line: &str, hosts: &str) -> String {
    let body = if line.starts_with("POST") { PING } else { "" };
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\n{hosts}accept: application/json, text/event-stream\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let whole = async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut buffer = [0; 4096];
            let read = socket.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{line} {hosts:?} was not answered");
            answer.extend_from_slice(&buffer[..read]);
        }
    };
    tokio::time::timeout(BOUND, whole).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn status(address: SocketAddr, line: &str, hosts: &str) -> u16 {
    let answer = ask(address, line, hosts).await;
    answer[9..12].parse().unwrap()
}

async fn shop(settings: GatewaySettings) -> Served {
    serve(&[("shop", &Server::with(&["echo"]))], settings).await
}

#[tokio::test]
async fn every_route_refuses_a_name_that_is_not_the_gateways() {
    let hub = shop(quick()).await;
    for route in ROUTES {
        for host in ["evil.example", "localhost.evil.example:80", "10.0.0.1"] {
            let refused = ask(hub.address, route, &format!("host: {host}\r\n")).await;
            assert!(
                refused.starts_with("HTTP/1.1 403 "),
                "{route} {host}: {refused}"
            );
            assert!(!refused.contains("shop"), "{refused}");
        }
        for hosts in [
            "",
            "host: localhost\r\nhost: localhost\r\n",
            "host: a b\r\n",
            "host:\r\n",
        ] {
            assert_eq!(
                status(hub.address, route, hosts).await,
                400,
                "{route} {hosts:?}"
            );
        }
        for host in ["localhost", "127.0.0.1:1", "[::1]:8000"] {
            let taken = ask(hub.address, route, &format!("host: {host}\r\n")).await;
            let refusal = ["not served here", "one valid Host"];
            assert!(
                !refusal.iter().any(|text| taken.contains(text)),
                "{route} {host}: {taken}"
            );
        }
    }
    let loopback = "host: localhost\r\n";
    assert_eq!(status(hub.address, "POST /mcp", loopback).await, 200);
    assert_eq!(
        status(
            hub.address,
            "POST http://localhost/mcp",
            "host: evil.example\r\n"
        )
        .await,
        200
    );
    assert_eq!(
        status(hub.address, "POST http://evil.example/mcp", loopback).await,
        403
    );
}

#[tokio::test]
async fn a_refusal_says_what_allows_the_name() {
    let hub = shop(quick()).await;
    let request = hub
        .post("/mcp")
        .header("host", "hub.example.com")
        .body(PING);
    let (status, body) = answer(request).await;
    assert_eq!(status, 403);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("allowed_hosts") && message.contains("--allow-host"),
        "{message}"
    );
}

#[tokio::test]
async fn names_that_the_settings_have_are_taken() {
    let mut settings = quick();
    settings.allowed_hosts = vec!["hub.example.com:8443".parse().unwrap()];
    settings.public_url = Some("https://public.example.com/hub".parse().unwrap());
    settings.allowed_origins = vec!["https://chat.example.com".into(), "no URL".into()];
    let hub = shop(settings).await;
    for (host, expected) in [
        ("hub.example.com:8443", 200),
        ("hub.example.com", 403),
        ("public.example.com", 200),
        ("public.example.com:80", 200),
        ("chat.example.com", 200),
        ("evil.example", 403),
    ] {
        let found = status(hub.address, "POST /mcp", &format!("host: {host}\r\n")).await;
        assert_eq!(found, expected, "{host}");
    }
}

#[tokio::test]
async fn http_2_names_its_host_in_the_target() {
    let mut settings = quick();
    settings.allowed_hosts = vec!["hub.test".parse().unwrap()];
    let hub = shop(settings).await;
    let h2 = |host: &str| {
        let client = reqwest::Client::builder()
            .no_proxy()
            .http2_prior_knowledge()
            .resolve(host, hub.address);
        let url = format!("http://{host}:{}/mcp", hub.address.port());
        let request = client.build().unwrap().post(url).body(PING);
        let request = request.header("content-type", "application/json");
        async move { request.send().await.unwrap() }
    };
    let taken = h2("hub.test").await;
    assert_eq!(
        (taken.status().as_u16(), taken.version()),
        (200, reqwest::Version::HTTP_2)
    );
    let refused = h2("evil.test").await;
    assert_eq!(
        (refused.status().as_u16(), refused.version()),
        (403, reqwest::Version::HTTP_2)
    );
}

#[tokio::test]
async fn beyond_loopback_any_name_is_taken_unless_some_are_set() {
    let served_at_all = async |gateway: Gateway| {
        gateway.refresh().await.unwrap();
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = async move {
            let listener = Listener::new(listener);
            gateway.serve(listener, std::future::pending()).await;
        };
        tokio::spawn(serving);
        SocketAddr::from(([127, 0, 0, 1], port))
    };
    let hub = Arc::new(Hub::default());
    let open = served_at_all(builder(&hub, quick()).build().unwrap()).await;
    assert_eq!(
        status(open, "POST /mcp", "host: any.example\r\n").await,
        200
    );
    assert_eq!(status(open, "POST /mcp", "").await, 400);
    let mut settings = quick();
    settings.allowed_hosts = vec!["hub.example.com".parse().unwrap()];
    let limited = served_at_all(builder(&hub, settings).build().unwrap()).await;
    assert_eq!(
        status(limited, "POST /mcp", "host: any.example\r\n").await,
        403
    );
    assert_eq!(
        status(limited, "POST /mcp", "host: hub.example.com\r\n").await,
        200
    );
}

#[tokio::test]
async fn metrics_on_loopback_are_for_names_of_loopback() {
    let hub = Arc::new(Hub::default());
    let served = serve_gateway(Arc::clone(&hub), builder(&hub, quick()).build().unwrap()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let gateway = served.gateway.clone();
    let serving = tokio::spawn(async move { gateway.serve_metrics(Listener::new(listener)).await });
    for route in ["GET /metrics", "GET /healthz"] {
        assert_eq!(status(address, route, "host: evil.example\r\n").await, 403);
        assert_eq!(status(address, route, "").await, 400);
        assert_eq!(status(address, route, "host: localhost\r\n").await, 200);
    }
    serving.abort();
}
