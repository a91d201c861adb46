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

/// A server whose tools write to its standard error: `fill` 16 MiB, far more than a pipe holds, and
/// `flood` for ever, by a process of its own. Its first argument is a mark.
const LOUD: &str = r#"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  said='"content":[{"type":"text","text":"done"}]'
  case "$line" in
    *'"initialize"'*) result='"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"loud","version":"1"}' ;;
    *'"tools/list"'*) result='"tools":[{"name":"fill","inputSchema":{"type":"object"}},{"name":"flood","inputSchema":{"type":"object"}},{"name":"say","inputSchema":{"type":"object"}}]' ;;
    *'"fill"'*) head -c 16777216 /dev/zero | tr '\0' 'x' >&2; result=$said ;;
    *'"flood"'*) yes "$0" >&2 & result=$said ;;
    *'"say"'*) result=$said ;;
    *'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id"; continue ;;
    *) [ -z "$id" ] && continue; result= ;;
  esac
  printf '{"jsonrpc":"2.0","id":%s,"result":{%s}}\n' "$id" "$result"
done
"#;

/// What `/proc` says of a process under this name, in KiB or in bytes.
fn proc(id: impl std::fmt::Display, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/{file}")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("a number")
}

#[test]
fn a_program_that_fills_its_standard_error_holds_up_nobody_and_is_left_nowhere() {
    let (sandbox, mark) = (Sandbox::new(), format!("loud-{}", std::process::id()));
    let added = sandbox.run(&["add", "loud", "--", "sh", "-c", LOUD, &mark]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let other = ["add", "other", "--", "sh", "-c", LOUD, "other"];
    assert_eq!(sandbox.run(&other).code, Some(0));
    let gateway = Gateway::start(&sandbox, &["serve"]);
    let said = |tool: &str| gateway.call(tool, &json!({}))["content"][0]["text"].clone();
    assert_eq!(said("loud_fill"), "done");

    let hub = gateway.running().id();
    let before = proc(hub, "status", "VmRSS:");
    assert_eq!(said("loud_flood"), "done");
    let floods = |(_, arguments): &(i32, String)| arguments.starts_with("yes ");
    let flood = || processes(&mark).into_iter().find(floods);
    until("it floods", || flood().is_some());
    let (yes, _) = flood().expect("it goes on");
    until("64 MiB are taken", || proc(yes, "io", "wchar:") >= 64 << 20);
    for _ in 0..10 {
        assert_eq!(said("other_say"), "done");
        assert_eq!(said("loud_say"), "done");
    }
    let after = proc(hub, "status", "VmRSS:");
    assert!(
        after < before + (32 << 10),
        "{before} KiB, then {after} KiB"
    );
    gateway.stop();
    until("nothing is left", || processes(&mark).is_empty());
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
