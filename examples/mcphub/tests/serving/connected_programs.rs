//! `mcphub add NAME -- COMMAND`: programs that nobody here wrote, behind the endpoint.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::common;
use crate::common::gateway::Gateway;
use crate::common::sandbox::{Sandbox, test_environment};

fn installed(path: &str) -> String {
    let path: PathBuf = test_environment().join(path);
    let there = path.exists();
    assert!(
        there,
        "{} is missing; run scripts/install-test-clients.sh",
        path.display()
    );
    path.display().to_string()
}

/// `@modelcontextprotocol/server-everything`, with a mark among its arguments.
fn everything(mark: &str) -> [String; 4] {
    let program = "servers/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    [
        installed("node/node"),
        installed(program),
        "stdio".to_owned(),
        mark.to_owned(),
    ]
}

/// The ids of processes with the mark among their arguments.
fn processes(mark: &str) -> Vec<(i32, String)> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let found = entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        let arguments = std::fs::read(entry.path().join("cmdline")).ok()?;
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
        arguments.contains(mark).then_some((id, arguments))
    });
    found.collect()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_foreign_program_is_met_called_started_again_and_left_nowhere() {
    if !common::clients_wanted() {
        return;
    }
    let (sandbox, mark) = (Sandbox::new(), format!("mark-{}", std::process::id()));
    let command = everything(&mark);
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let flags = ["add", "everything", "--env", "KEY=s3cret-variable", "--"];
    let added = sandbox.run(&[&flags[..], &words].concat());
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(added.stdout.contains("\n  echo\n"), "{added:?}");
    until("the program of the probe ended", || {
        processes(&mark).is_empty()
    });

    let gateway = Gateway::start(&sandbox, &["serve"]);
    let echo = || gateway.call("everything_echo", &json!({"message": "hello"}));
    assert_eq!(echo()["content"][0]["text"], "Echo: hello");
    let environment = gateway.call("everything_get-env", &json!({})).to_string();
    assert!(environment.contains("s3cret-variable"), "{environment}");
    assert!(!environment.contains("MCPHUB_STORE"), "{environment}");

    let server = |(_, arguments): &(i32, String)| !arguments.starts_with("/bin/sh");
    let (id, _) = processes(&mark).into_iter().find(server).expect("it runs");
    kill(Pid::from_raw(id), Signal::SIGKILL).expect("it can be killed");
    until("it is called again", || {
        echo()["content"][0]["text"] == "Echo: hello"
    });
    gateway.running().signal(Signal::SIGKILL);
    until("nothing is left", || processes(&mark).is_empty());
}

#[test]
fn a_client_configuration_is_imported() {
    if !common::clients_wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let [node, program, stdio, _] = everything("");
    let file = sandbox.write(
        "mcp.json",
        &format!(
            "{{ // of a client\n \"mcpServers\": {{\"Every Thing\": {{\"command\": {node:?}, \
             \"args\": [{program:?}, {stdio:?}]}}, \"gone\": {{\"command\": \"no-such-program\"}},}}}}"
        ),
    );
    let imported = sandbox.run(&["add", "--from", &file]);
    assert_eq!(
        imported.code,
        Some(6),
        "one of them is not there: {imported:?}"
    );
    assert!(imported.stdout.contains("every-thing: "), "{imported:?}");
    assert!(imported.stderr.contains("no-such-program"), "{imported:?}");
    let listed = sandbox.run(&["list", "--serve", "stdio"]);
    assert_eq!(listed.stdout.lines().count(), 1, "{listed:?}");
}

/// The official Python SDK, whose server speaks the modern era.
#[test]
fn a_modern_program_is_spoken_to_in_its_era() {
    if !common::clients_wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let program = sandbox.write(
        "server.py",
        "from mcp.server.mcpserver import MCPServer\n\
         server = MCPServer('sums')\n\
         @server.tool()\n\
         def add(a: int, b: int) -> int:\n    return a + b\n\
         server.run('stdio')\n",
    );
    let python = installed("python/bin/python");
    let added = sandbox.run(&["add", "sums", "--", &python, &program]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let gateway = Gateway::start(&sandbox, &["serve"]);
    let sum = gateway.call("sums_add", &json!({"a": 1, "b": 2}));
    assert_eq!(sum["structuredContent"]["result"], 3, "{sum}");
}

#[test]
fn a_program_that_ends_says_why_without_its_secrets() {
    let sandbox = Sandbox::new();
    let script = "echo \"cannot open the vault with $KEY\" >&2; exit 3";
    let flags = ["add", "broken", "--env", "KEY=s3cret-variable", "--"];
    let refused = sandbox.run(&[&flags[..], &["sh", "-c", script]].concat());
    assert_eq!(refused.code, Some(6), "{refused:?}");
    for said in [
        "exited with status 3",
        "cannot open the vault",
        "--no-probe",
    ] {
        assert!(refused.stderr.contains(said), "no {said}: {refused:?}");
    }
    assert!(!refused.stderr.contains("s3cret-variable"), "{refused:?}");
}
