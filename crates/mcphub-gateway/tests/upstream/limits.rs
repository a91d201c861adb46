//! Time-outs, connections that are kept, and requests for which there was no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcphub_core::call::Arguments;
use mcphub_core::connection::Limits;
use mcphub_core::deployment::Endpoint;
use mcphub_core::secret::Credentials;
use mcphub_core::{ErrorKind, Result};
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::streamable_http::{McpClient, McpHttp, McpSettings};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::bookshop;
use crate::recording_api::{Recorded, RecordingApi, Reply};

/// No test waits longer, and the defaults are longer.
const BOUND: Duration = Duration::from_secs(4);

/// A modern server that takes its time for all but `server/discover`.
async fn server(slow: bool) -> RecordingApi {
    RecordingApi::start(move |request| {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let result = match body["method"].as_str().unwrap() {
            "server/discover" => {
                json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
            }
            _ if slow => return Reply::Silence(Duration::from_secs(60)),
            _ => json!({"content": []}),
        };
        Reply::json(json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string())
    })
    .await
}

fn limits(text: &str) -> Limits {
    serde_json::from_str(text).unwrap()
}

fn upstream(url: &Url, client: McpClient) -> McpHttp {
    let endpoint = Endpoint {
        url: url.clone(),
        headers: Vec::new(),
    };
    McpHttp::new(endpoint, client)
}

fn client(change: impl FnOnce(&mut McpSettings)) -> McpClient {
    bookshop::install_crypto();
    let mut settings = McpSettings::default();
    change(&mut settings);
    McpClient::new(settings).unwrap()
}

async fn call(upstream: &McpHttp) -> Result<()> {
    let arguments = Arguments::parse("{}").unwrap();
    upstream.call("t", &arguments).await.map(drop)
}

fn calls(requests: &[Recorded]) -> usize {
    let is_call = |request: &&Recorded| request.body.contains("tools/call");
    requests.iter().filter(is_call).count()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = tokio::time::timeout(BOUND, waiting).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen"));
}

#[tokio::test]
async fn a_server_that_does_not_begin_to_answer_is_given_up() {
    let server = server(true).await;
    let client = client(|_| {});
    let limited = client.of_server(
        &Credentials::default(),
        &limits(r#"{"firstByteTimeout":1}"#),
    );
    let upstream = upstream(&server.url, limited.unwrap());
    let begun = Instant::now();
    assert_eq!(
        call(&upstream).await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    assert!((Duration::from_millis(900)..BOUND).contains(&begun.elapsed()));
}

#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    // What nobody accepts fills the queue, and then nothing is answered at all.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let limit = Duration::from_millis(300);
    while let Ok(stream) = tokio::time::timeout(limit, TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
        assert!(waiting.len() < 64, "the queue has no end");
    }
    let url = Url::parse(&format!("http://{address}/mcp")).unwrap();
    let upstream = upstream(&url, client(|settings| settings.connect_timeout = limit));
    let begun = Instant::now();
    let error = call(&upstream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn no_more_connections_are_kept_than_was_said() {
    let server = server(false).await;
    let client = client(|_| {});
    for (text, kept) in [(r#"{"maxIdleConnections":0}"#, 0), ("{}", 1)] {
        let client = client.of_server(&Credentials::default(), &limits(text));
        let upstream = upstream(&server.url, client.unwrap());
        for _ in 0..3 {
            call(&upstream).await.unwrap();
        }
        until(text, || server.open() == kept).await;
    }
}

/// A server behind TLS where some connections, counted from 0, end before they are any.
async fn behind_tls(server: &RecordingApi, ends: fn(usize) -> bool) -> (Url, Credentials) {
    bookshop::install_crypto();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (behind, number) = (server.host(), AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if ends(number.fetch_add(1, Ordering::SeqCst)) {
                continue;
            }
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut server = TcpStream::connect(behind).await.unwrap();
                // Either side may go away.
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            });
        }
    });
    let credentials = Credentials {
        authorities: Some(certificate.pem()),
        ..Credentials::default()
    };
    let url = Url::parse(&format!("https://localhost:{port}/mcp")).unwrap();
    (url, credentials)
}

#[tokio::test]
async fn a_request_without_a_connection_goes_once_more_and_a_third_time_never() {
    for (ends, reconnect, expected) in [
        // The second connection is that of the call: none is kept.
        ((|n| n == 1) as fn(usize) -> bool, true, 1),
        (|n| n == 1, false, 0),
        (|n| n == 1 || n == 2, true, 0),
    ] {
        let server = server(false).await;
        let (url, credentials) = behind_tls(&server, ends).await;
        let client = client(|settings| settings.reconnect = reconnect);
        let none_kept = limits(r#"{"maxIdleConnections":0}"#);
        let upstream = upstream(&url, client.of_server(&credentials, &none_kept).unwrap());
        let answered = call(&upstream).await;
        assert_eq!(answered.is_ok(), expected == 1, "{answered:?}");
        if let Err(error) = answered {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
        assert_eq!(calls(&server.requests()), expected);
    }
}
