//! A gateway as a person starts it: the binary, on a port that is free.

use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::process::Running;
use super::sandbox::Sandbox;

/// A generated project may have to be installed first.
const START: Duration = Duration::from_secs(300);
const CALL: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const SERVING: &str = "Serving MCP at http://";

/// A running `mcphub`, stopped when this is dropped.
#[derive(Debug)]
pub struct Gateway {
    running: Running,
    address: String,
}

impl Gateway {
    /// Runs `mcphub ARGS --listen 127.0.0.1:0` in the sandbox, until it says that it serves.
    pub fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        Self::start_at(sandbox, args, "127.0.0.1:0")
    }

    /// Like [`Gateway::start`], at a given address.
    pub fn start_at(sandbox: &Sandbox, args: &[&str], address: &str) -> Self {
        let mut command = sandbox.mcphub();
        Self::serving(command.args(args).args(["--listen", address]))
    }

    /// Runs a command until it says that it serves.
    pub fn serving(command: &mut Command) -> Self {
        let running = Running::start("the gateway", command, "");
        let deadline = Instant::now() + START;
        loop {
            let Some(line) = running.line(deadline) else {
                running.fail("ended before it served");
            };
            if let Some(rest) = line.strip_prefix(SERVING) {
                let address = rest.split('/').next().unwrap_or(rest).to_owned();
                return Self { running, address };
            }
        }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The endpoint with the tools of all servers.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The endpoint of one server.
    pub fn server_url(&self, server: &str) -> String {
        format!("http://{}/mcp/{server}", self.address)
    }

    /// The result of one `tools/call` in the era of `initialize`.
    pub fn call(&self, tool: &str, arguments: &Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        self.message_as(None, "tools/call", params).1["result"].clone()
    }

    /// The names that `tools/list` gives, in its order.
    pub fn tools(&self) -> Vec<String> {
        let (_, answer) = self.message_as(None, "tools/list", json!({}));
        let tools = answer["result"]["tools"].as_array();
        let name = |tool: &Value| tool["name"].as_str().expect("a name").to_owned();
        tools.expect("a list of tools").iter().map(name).collect()
    }

    /// The status and the answer of one request in the era of `initialize`, with a bearer token.
    pub fn message_as(&self, token: Option<&str>, method: &str, params: Value) -> (u16, Value) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().timeout(CALL).build();
            let mut request = client
                .expect("a client")
                .post(self.url())
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream")
                .header("mcp-protocol-version", "2025-11-25")
                .body(message.to_string());
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.expect("the gateway answers");
            let status = answer.status().as_u16();
            let body = answer.bytes().await.expect("a whole answer");
            let answer = serde_json::from_slice(&body).expect("an answer in JSON");
            (status, answer)
        })
    }

    /// The status and the answer of a POST of JSON to a path, with these headers besides; `null` for an
    /// empty answer.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().timeout(CALL).build();
            let mut request = client
                .expect("a client")
                .post(format!("http://{}{path}", self.address))
                .body(body.to_string());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.expect("the gateway answers");
            let status = answer.status().as_u16();
            let body = answer.bytes().await.expect("a whole answer");
            (status, serde_json::from_slice(&body).unwrap_or_default())
        })
    }

    /// What `GET /healthz` answers.
    pub fn health(&self) -> Value {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().timeout(CALL).build();
            let request = client
                .expect("a client")
                .get(format!("http://{}/healthz", self.address));
            let answer = request.send().await.expect("the gateway answers");
            let body = answer.bytes().await.expect("a whole answer");
            serde_json::from_slice(&body).expect("an answer in JSON")
        })
    }

    /// The process.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Stops it as Ctrl-C does, and waits until it has ended.
    pub fn stop(mut self) -> ExitStatus {
        self.running.signal(Signal::SIGINT);
        self.running.wait(STOP)
    }
}
