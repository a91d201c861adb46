//! The server, as clients of both eras see it.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use common::project::api::Api;
use common::project::server::Server;
use common::project::settings::{BASE_URL, Settings};
use common::project::{serving, tools};
use common::{PROGRAM, examples, json, settings, stubbed};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves until the test ends, and gives the address.
async fn serve(settings: &Settings) -> String {
    let (api, _) = stubbed(|| json("{}"));
    serve_api(api, settings).await
}

async fn serve_api(api: Api, settings: &Settings) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = serving::router(Server::new(api).unwrap(), settings);
    tokio::spawn(serving::serve(listener, router, std::future::pending()));
    format!("http://{address}")
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// A request of the stateless era, or of the one before.
fn message(modern: bool, method: &str, mut params: Value) -> Value {
    if modern {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        });
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn post(url: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    client()
        .post(url)
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body(body)
}

async fn ask(url: &str, modern: bool, method: &str, params: Value) -> Value {
    let name = params["name"].as_str().map(str::to_owned);
    let message = message(modern, method, params).to_string();
    let mut request = post(&format!("{url}/mcp"), message);
    if modern {
        request = request
            .header("mcp-protocol-version", "2026-07-28")
            .header("mcp-method", method);
        if let Some(name) = name {
            request = request.header("mcp-name", name);
        }
    } else {
        request = request.header("mcp-protocol-version", "2025-11-25");
    }
    let answer = request.send().await.unwrap().text().await.unwrap();
    serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"))
}

#[tokio::test]
async fn tools_are_listed_as_they_are_defined_and_unknown_ones_are_a_protocol_error() {
    let url = serve(&settings()).await;
    let tools = tools::all().unwrap();
    let schemas: Vec<_> = tools
        .iter()
        .map(|tool| serde_json::to_value(&tool.listed().input_schema).unwrap())
        .collect();
    for modern in [true, false] {
        let list = ask(&url, modern, "tools/list", json!({})).await;
        let listed = list["result"]["tools"].as_array().unwrap();
        let listed: Vec<_> = listed.iter().map(|tool| &tool["inputSchema"]).collect();
        assert!(listed.into_iter().eq(&schemas), "{list}");

        let params = json!({"name": "no_such_tool", "arguments": {}});
        let unknown = ask(&url, modern, "tools/call", params).await;
        assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    }
    let discovered = ask(&url, true, "server/discover", json!({})).await;
    let versions = discovered["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2026-07-28"), "{discovered}");
}

#[tokio::test]
async fn clients_hear_of_a_stream() {
    let called = |example: &common::Example| example.request.is_some();
    let Some(example) = examples().into_iter().find(called) else {
        return;
    };
    let (api, _) = stubbed(|| {
        let answer = http::Response::builder().header("content-type", "text/event-stream");
        answer.body(b"data: 1\n\ndata: 2\n\n".to_vec()).unwrap()
    });
    let url = serve_api(api, &settings()).await;
    for (modern, token) in [(true, json!("t")), (false, json!(7)), (false, Value::Null)] {
        let params = json!({"name": example.tool, "arguments": example.arguments});
        let mut message = message(modern, "tools/call", params);
        if !token.is_null() {
            message["params"]["_meta"]["progressToken"] = token.clone();
        }
        let mut request = post(&format!("{url}/mcp"), message.to_string());
        let version = if modern { "2026-07-28" } else { "2025-11-25" };
        request = request.header("mcp-protocol-version", version);
        if modern {
            request = request.header("mcp-method", "tools/call");
            request = request.header("mcp-name", &example.tool);
        }
        let answer = request.send().await.unwrap().text().await.unwrap();
        let messages = answer.lines().filter_map(|line| {
            let data = line.strip_prefix("data:").unwrap_or(line).trim();
            serde_json::from_str::<Value>(data).ok()
        });
        let told: Vec<_> = messages
            .filter(|message| message["method"] == "notifications/progress")
            .map(|mut message| message["params"].take())
            .map(|told| {
                assert_eq!(told["progressToken"], token);
                (told["progress"].as_f64(), told["message"].to_string())
            })
            .collect();
        let expected = [
            (Some(1.0), "\"1\"".to_owned()),
            (Some(2.0), "\"2\"".to_owned()),
        ];
        let expected = if token.is_null() { &[][..] } else { &expected };
        assert_eq!(told, expected, "{answer}");
        assert_eq!(answer.matches("\"result\":{").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn http_asks_for_the_token() {
    let settings = Settings {
        server_token: Some("t0ken".into()),
        ..settings()
    };
    let url = serve(&settings).await;
    let mcp = format!("{url}/mcp");
    let body = message(false, "tools/list", json!({})).to_string();
    for (header, status) in [("", 401), ("Bearer other", 401), ("Bearer t0ken", 200)] {
        let request = post(&mcp, body.clone()).header("authorization", header);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{header}");
    }
    let healthy = client().get(format!("{url}/healthz")).send();
    assert_eq!(healthy.await.unwrap().status(), 200);
}

#[tokio::test]
async fn http_refuses_other_origins_other_paths_and_what_is_too_large() {
    let url = serve(&settings()).await;
    let mcp = format!("{url}/mcp");
    let list = || message(false, "tools/list", json!({})).to_string();
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status();

    let evil = post(&mcp, list()).header("origin", "http://evil.test");
    assert_eq!(status(evil).await, 403);
    let local = post(&mcp, list()).header("origin", "http://localhost:5173");
    assert_eq!(status(local).await, 200);
    assert_eq!(status(post(&format!("{url}/other"), list())).await, 404);
    assert!(status(post(&mcp, "{broken")).await.is_client_error());
    assert_eq!(status(post(&mcp, vec![b' '; 5 << 20])).await, 413);
}

#[test]
fn the_program_speaks_over_standard_input_and_output() {
    let mut program = Command::new(PROGRAM)
        .env(BASE_URL, "http://api.test")
        .env_remove("MCP_TRANSPORT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    for (method, params, member) in [
        ("server/discover", json!({}), "supportedVersions"),
        ("tools/list", json!({}), "tools"),
    ] {
        writeln!(input, "{}", message(true, method, params)).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer["result"][member].is_array(), "{answer}");
    }
    drop(input);
    assert!(program.wait().unwrap().success());
}

#[test]
fn settings_name_what_is_wrong_and_never_its_value() {
    let with = |changed: &'static str, value: &'static str| {
        move |name: &str| match name {
            name if name == changed => Some(value.to_owned()),
            BASE_URL => Some("http://api.test".to_owned()),
            _ => None,
        }
    };
    for (name, value) in [
        ("MCP_TRANSPORT", "s3cret"),
        ("MCP_PORT", "70000"),
        ("MCP_SERVER_TOKEN", ""),
        (BASE_URL, "s3cret"),
    ] {
        let error = Settings::from_environment(with(name, value)).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(name) && !error.contains("s3cret"), "{error}");
    }
    for (name, value) in [
        ("MCP_SERVER_TOKEN", "s3cret"),
        (BASE_URL, "http://a:s3cret@b"),
    ] {
        let settings = Settings::from_environment(with(name, value)).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"), "{name}");
    }
}
