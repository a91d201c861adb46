//! MCP clients that nobody here wrote, driven by the programs under `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::process::Running;
use super::sandbox::{Sandbox, test_environment};

/// Longer than the bounds of the client programs themselves, which say better what is wrong.
const PATIENCE: Duration = Duration::from_secs(90);
/// How soon clients must have heard of a change that a gateway serves.
const HEARD: Duration = Duration::from_secs(10);

/// A client and the mode that its program asks it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// PyPI `mcp`: `auto`, `legacy` or a revision.
    Python(&'static str),
    /// npm `@modelcontextprotocol/client`: `auto` or `default`.
    Node(&'static str),
}

impl Client {
    /// Every client in every mode.
    pub const ALL: [Self; 5] = [
        Self::Python("auto"),
        Self::Python("legacy"),
        Self::Python("2026-07-28"),
        Self::Node("auto"),
        Self::Node("default"),
    ];

    /// The revision that the client and a gateway agree on.
    pub fn revision(self) -> &'static str {
        match self {
            Self::Python("legacy") | Self::Node("default") => "2025-11-25",
            _ => "2026-07-28",
        }
    }

    /// Lists the tools at `url` and makes the calls.
    pub fn report(self, url: &str, calls: &[ToolCall]) -> Report {
        self.start(&["--url", url], None, calls).finish(PATIENCE)
    }

    /// Like [`Client::report`], with a bearer token.
    pub fn report_as(self, url: &str, token: &str, calls: &[ToolCall]) -> Report {
        self.start(&["--url", url, "--bearer", token], None, calls)
            .finish(PATIENCE)
    }

    /// Connects to `url`, and returns when the client is told of list changes.
    pub fn watch(self, url: &str) -> Session {
        self.start(&["--watch", "--url", url], None, &[]).ready()
    }

    /// Has the client start `command`, and speaks to it over standard input and output.
    pub fn report_stdio(self, sandbox: &Sandbox, command: &Command, calls: &[ToolCall]) -> Report {
        self.start(&[], Some((sandbox, command)), calls)
            .finish(PATIENCE)
    }

    /// Like [`Client::report_stdio`], with the meaning of [`Client::watch`].
    pub fn watch_stdio(self, sandbox: &Sandbox, command: &Command) -> Session {
        self.start(&["--watch"], Some((sandbox, command)), &[])
            .ready()
    }

    fn start(
        self,
        args: &[&str],
        stdio: Option<(&Sandbox, &Command)>,
        calls: &[ToolCall],
    ) -> Session {
        let mut command = self.program();
        command.args(args);
        if let Some((sandbox, server)) = stdio {
            let environment = server
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?)));
            command.current_dir(sandbox.path()).envs(environment);
            command
                .arg("--stdio")
                .arg(server.get_program())
                .args(server.get_args());
        }
        let calls: Vec<Value> = calls.iter().map(ToolCall::to_json).collect();
        let input = Value::Array(calls).to_string();
        Session {
            running: Running::start(&format!("the client {self:?}"), &mut command, &input),
        }
    }

    fn program(self) -> Command {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
        let (program, script, mode) = match self {
            Self::Python(mode) => (
                installed("python/bin/python"),
                sources.join("python/client.py"),
                mode,
            ),
            Self::Node(mode) => (installed("node/node"), installed("node/client.js"), mode),
        };
        let mut command = Command::new(program);
        if let Self::Node(_) = self {
            command.arg("--preserve-symlinks-main");
        }
        command.arg(script).args(["--mode", mode]);
        command
    }
}

fn installed(path: &str) -> PathBuf {
    let path = test_environment().join(path);
    assert!(
        path.exists(),
        "{} is missing; run scripts/install-test-clients.sh",
        path.display()
    );
    path
}

/// A call that a client is asked to make.
#[derive(Debug, Clone)]
pub struct ToolCall {
    pub tool: String,
    pub arguments: Value,
    /// Whether the client asks for the progress of the call.
    pub progress: bool,
}

impl ToolCall {
    pub fn new(tool: &str, arguments: Value) -> Self {
        Self {
            tool: tool.to_owned(),
            arguments,
            progress: false,
        }
    }

    /// The same, by a client that wants to hear of its progress.
    pub fn with_progress(self) -> Self {
        let progress = true;
        Self { progress, ..self }
    }

    fn to_json(&self) -> Value {
        json!({ "tool": self.tool, "arguments": self.arguments, "progress": self.progress })
    }
}

/// What a client saw.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub protocol_version: String,
    /// The definitions, as listed.
    pub tools: Vec<Value>,
    /// One for each call, in their order.
    pub calls: Vec<Outcome>,
    /// What it heard of the progress of the calls that ask for it.
    #[serde(default)]
    pub progress: Vec<String>,
    /// The definitions after the list changed; `None` when it was not watched.
    pub tools_after: Option<Vec<Value>>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    Result(ToolResult),
    /// A protocol error.
    Error {
        code: i64,
        message: String,
    },
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolResult {
    pub content: Vec<Value>,
    pub structured_content: Option<Value>,
    #[serde(default)]
    pub is_error: bool,
}

impl Outcome {
    /// The structured content of a call that went well.
    #[track_caller]
    pub fn structured(&self) -> &Value {
        match self {
            Self::Result(ToolResult {
                is_error: false,
                structured_content: Some(content),
                ..
            }) => content,
            other => panic!("not a good result with structured content: {other:?}"),
        }
    }

    /// The text of a tool error.
    #[track_caller]
    pub fn error_text(&self) -> &str {
        match self {
            Self::Result(ToolResult {
                is_error: true,
                content,
                ..
            }) => content
                .first()
                .and_then(|block| block["text"].as_str())
                .expect("a tool error has a text"),
            other => panic!("not a tool error: {other:?}"),
        }
    }

    /// The code of a protocol error.
    #[track_caller]
    pub fn error_code(&self) -> i64 {
        match self {
            Self::Error { code, .. } => *code,
            other => panic!("not a protocol error: {other:?}"),
        }
    }
}

/// The names of definitions, as listed.
pub fn names(tools: &[Value]) -> Vec<&str> {
    tools
        .iter()
        .map(|tool| tool["name"].as_str().expect("a tool has a name"))
        .collect()
}

/// A client that is at work.
#[derive(Debug)]
pub struct Session {
    running: Running,
}

impl Session {
    fn ready(self) -> Self {
        let line = self.running.line(Instant::now() + PATIENCE);
        if line.as_deref() != Some("READY") {
            self.running
                .fail("ended before it was told of list changes");
        }
        self
    }

    /// Waits for the report of a client that was told of a list change, at most 10 s from now.
    pub fn after_change(self) -> Report {
        self.finish(HEARD)
    }

    fn finish(mut self, patience: Duration) -> Report {
        let Some(line) = self.running.line(Instant::now() + patience) else {
            self.running.fail("gave no report");
        };
        let report = serde_json::from_str(&line).unwrap_or_else(|error| {
            self.running
                .fail(&format!("gave no report but {line}: {error}"))
        });
        let status = self.running.wait(PATIENCE);
        assert!(
            status.success(),
            "the client ended with {status}: {}",
            self.running.stderr()
        );
        report
    }
}
