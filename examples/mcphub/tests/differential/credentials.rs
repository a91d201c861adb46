//! Credentials that take more than a header: the gateway itself and the generated servers in every
//! language are let in alike.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use md5::Md5;
use rustls::ServerConfig;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::authority::Authority;
use crate::call;
use crate::generated::Language;
use crate::recorder::Recorder;

/// A tool for each name, which asks for these schemes.
fn tools(schemes: Value, operations: &[(&str, Value)]) -> Arc<ToolSet> {
    let paths = operations.iter().map(|(name, security)| {
        let operation = json!({"operationId": name, "security": security, "responses": {},
            "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}]});
        (format!("/{name}"), json!({"post": operation}))
    });
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Bank", "version": "1"},
        "paths": Map::from_iter(paths), "components": {"securitySchemes": schemes},
    });
    let document = Document {
        source: "bank.json".to_owned(),
        bytes: document.to_string().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    let plan = ToolPlanner::default().plan(&parsed, &PlanOptions::default());
    Arc::new(plan.unwrap().tools)
}

/// Calls every tool twice from everywhere; `wanted` is what each says.
async fn check(
    name: &str,
    tools: &Arc<ToolSet>,
    url: &Url,
    credentials: &Credentials,
    wanted: &dyn Fn(&str) -> Value,
) {
    let arguments = Arguments::parse(r#"{"q":"a b/ü"}"#).unwrap();
    let settings = NativeSettings::default();
    let native = NativeApi::new(tools.clone(), url.clone(), credentials.clone(), settings).unwrap();
    let mut recorder = Recorder::start().await;
    recorder.url = url.clone();
    let languages = Language::wanted();
    let mut servers = Vec::new();
    for language in languages {
        servers.push(language.start(name, tools, &recorder, credentials).await);
    }
    for tool in &tools.tools {
        let tool = tool.name.as_str();
        for _ in 0..2 {
            let result = call(&native, tool, &arguments).await;
            assert_eq!(result, wanted(tool), "native {tool}");
            for server in &servers {
                let result = call(&server.upstream, tool, &arguments).await;
                assert_eq!(result, wanted(tool), "{:?} {tool}", server.language);
            }
        }
    }
    for server in servers {
        server.stop().await;
    }
}

/// Asks for a digest as the path says, and lets in who answers right (RFC 7616, 3.4.1).
async fn guard(request: Request) -> Response {
    let question = match request.uri().path() {
        "/base/md5" => ", qop=\"auth\"",
        "/base/sha" => ", qop=\"auth, auth-int\", algorithm=SHA-256",
        "/base/session" => ", qop=auth, algorithm=MD5-sess",
        "/base/integrity" => ", qop=\"auth-int\"",
        _ => "",
    };
    // One that is asked of another tool is not this one.
    let nonce = request
        .uri()
        .path()
        .replace("/base/", "7ypf/xlj9XXwfDPEoM4URrv-");
    let header = request.headers().get("authorization");
    let header = header.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let pairs = header
        .strip_prefix("Digest ")
        .unwrap_or_default()
        .split(", ");
    let given: HashMap<_, _> = pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key, value.trim_matches('"')))
        .collect();
    let get = |name: &str| given.get(name).copied().unwrap_or_default();
    let hash = |text: String| -> String {
        let digest = match question.contains("SHA-256") {
            true => Sha256::digest(text).to_vec(),
            false => Md5::digest(text).to_vec(),
        };
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let mut first = hash("Mufasa:bank:Circle: of Life".to_owned());
    if question.contains("-sess") {
        first = hash(format!("{first}:{nonce}:{}", get("cnonce")));
    }
    let target = request.uri().path_and_query().unwrap().as_str();
    let integrity = match question.ends_with("auth-int\"") {
        // The requests have no body.
        true => format!(":{}", hash(String::new())),
        false => String::new(),
    };
    let second = hash(format!("{}:{target}{integrity}", request.method()));
    let middle = match question {
        "" => String::new(),
        _ => format!(":{}:{}:{}", get("nc"), get("cnonce"), get("qop")),
    };
    let right = hash(format!("{first}:{nonce}{middle}:{second}"));
    if get("response") == right && get("uri") == target && get("opaque") == "o" {
        return "let in".into_response();
    }
    let challenge = format!(
        "Basic realm=\"x\", Digest realm=\"bank\", nonce=\"{nonce}\", opaque=\"o\"{question}"
    );
    (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_answered_alike() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let app = Router::new().fallback(guard);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let user = || json!([{"user": []}]);
    let tools = tools(
        json!({"user": {"type": "http", "scheme": "digest"}}),
        &[
            ("md5", user()),
            ("sha", user()),
            ("session", user()),
            ("integrity", user()),
            ("legacy", user()),
        ],
    );
    let credentials = Credentials {
        headers: vec![("X-Every-Call".to_owned(), "yes".into())],
        schemes: [("user".to_owned(), "Mufasa:Circle: of Life".into())].into(),
        ..Credentials::default()
    };
    let wanted = |_: &str| json!({"content": [{"type": "text", "text": "let in"}]});
    check(
        "digest",
        &tools,
        &url.parse().unwrap(),
        &credentials,
        &wanted,
    )
    .await;
}

/// Answers whether a certificate was shown.
async fn serve(config: ServerConfig) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let shown = stream.get_ref().1.peer_certificates().is_some().to_string();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{shown}",
                    shown.len()
                );
                let mut buffer = [0; 8_192];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("https://localhost:{port}/").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_alike() {
    let authority = Authority::new();
    let url = serve(authority.server).await;
    let identity = format!("{}{}", authority.client, authority.client_key);
    let tools = tools(
        json!({"tls": {"type": "mutualTLS"}}),
        &[("public", json!([])), ("private", json!([{"tls": []}]))],
    );
    let credentials = Credentials {
        headers: vec![("X-Every-Call".to_owned(), "yes".into())],
        identity: Some(identity.into()),
        authorities: Some(authority.certificate),
        ..Credentials::default()
    };
    let wanted = |tool: &str| {
        let shown = (tool == "private").to_string();
        json!({"content": [{"type": "text", "text": shown}]})
    };
    check("certificates", &tools, &url, &credentials, &wanted).await;
}
