//! `@modelcontextprotocol/server-everything` behind the gateway, over each of its transports, for a
//! client that can be asked everything.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common;
use crate::common::gateway::Gateway;
use crate::common::process::Running;
use crate::common::sandbox::{Sandbox, test_environment};

const PATIENCE: Duration = Duration::from_secs(120);

fn installed(path: &str) -> String {
    let path = test_environment().join(path);
    let there = path.exists();
    assert!(
        there,
        "{} is missing; run scripts/install-test-clients.sh",
        path.display()
    );
    path.display().to_string()
}

/// The server's command but its transport.
fn everything() -> [String; 2] {
    let program = "servers/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    [installed("node/node"), installed(program)]
}

/// What the client of `tests/clients/python/everything.py` sees after these steps.
fn seen(arguments: &[&str], steps: &Value) -> Value {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients");
    let mut command = Command::new(installed("python/bin/python"));
    command.arg(sources.join("python/everything.py"));
    command.args(arguments);
    let mut running = Running::start("the client", &mut command, &steps.to_string());
    let Some(line) = running.line(Instant::now() + PATIENCE) else {
        running.fail("gave no report");
    };
    assert!(running.wait(PATIENCE).success(), "{}", running.stderr());
    serde_json::from_str(&line).expect("a report")
}

/// What becomes of the updates of resources, which the server tells every five seconds while they
/// are switched on, for all connections of one kind.
#[derive(Clone, Copy, PartialEq)]
enum Updates {
    /// They are switched on, and heard.
    Begin,
    /// They are heard.
    Hear,
    /// They are told to the session that switched them on alone, in which nobody watches.
    None,
}

/// Everything works through the gateway at these arguments of the client.
fn assert_everything(arguments: &[&str], updates: Updates) {
    let mut steps = json!([
        {"call": "all_echo", "arguments": {"message": "hello"}},
        {"read": "demo://all/resource/dynamic/text/7"},
        {"prompt": "all_args-prompt", "arguments": {"city": "Paris"}},
        {"complete": "all_completable-prompt", "argument": {"name": "department", "value": "S"}},
        {"call": "all_trigger-long-running-operation", "arguments": {"duration": 0.2, "steps": 4}},
        {"call": "all_trigger-elicitation-request"},
        {"call": "all_trigger-sampling-request", "arguments": {"prompt": "say something", "maxTokens": 9}},
        {"call": "all_no-such-tool"},
    ]);
    if updates == Updates::Begin {
        let toggle = json!({"call": "all_toggle-subscriber-updates"});
        steps.as_array_mut().expect("an array").push(toggle);
    }
    let watched = "demo://all/resource/dynamic/text/1";
    if updates != Updates::None {
        let watch = json!({"watch": watched});
        steps.as_array_mut().expect("an array").push(watch);
    }
    let report = seen(arguments, &steps);
    let has = |list: &str, wanted: &str| {
        let list = report[list].as_array().expect("a list");
        list.iter().any(|it| it == wanted)
    };
    for tool in [
        "all_echo",
        "all_trigger-elicitation-request",
        "all_get-roots-list",
    ] {
        assert!(has("tools", tool), "no {tool}: {}", report["tools"]);
    }
    assert!(has("prompts", "all_args-prompt"), "{}", report["prompts"]);
    assert!(
        has("templates", "demo://all/resource/dynamic/text/{resourceId}"),
        "{}",
        report["templates"]
    );
    assert!(
        report["resources"]
            .as_array()
            .is_some_and(|it| !it.is_empty())
    );
    let steps = report["steps"].as_array().expect("steps");
    let text = |at: usize| steps[at]["content"][0]["text"].as_str().unwrap_or_default();
    assert_eq!(text(0), "Echo: hello", "{report}");
    let read = &steps[1]["contents"][0];
    assert_eq!(
        read["uri"], "demo://all/resource/dynamic/text/7",
        "{report}"
    );
    let prompt = &steps[2]["messages"][0]["content"]["text"];
    assert_eq!(prompt, "What's weather in Paris?", "{report}");
    assert_eq!(
        steps[3]["completion"]["values"],
        json!(["Sales", "Support"]),
        "{report}"
    );
    assert!(text(4).contains("completed"), "{report}");
    assert_eq!(report["progress"], 4, "{report}");
    assert!(steps[5].to_string().contains("Ada"), "{report}");
    assert!(steps[6].to_string().contains("sampled text"), "{report}");
    // In a session that begins with a call it asks for the roots, too, if it is still there by then.
    let asked = report["asked"].as_array().expect("a list").iter();
    let asked: Vec<_> = asked.filter(|method| *method != "roots/list").collect();
    assert_eq!(
        asked,
        ["elicitation/create", "sampling/createMessage"],
        "{report}"
    );
    assert_eq!(steps[7]["error"]["code"], -32602, "{report}");
    if updates != Updates::None {
        let heard = &steps.last().expect("steps")["updated"];
        assert_eq!(*heard, watched, "{report}");
    }
}

/// A gateway over the sandbox's store, once its only server has listed everything.
fn serve(sandbox: &Sandbox) -> Gateway {
    let gateway = Gateway::start(sandbox, &["serve"]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = gateway.health();
        if health["servers"][0]["state"] == "ready" {
            return gateway;
        }
        assert!(Instant::now() < deadline, "{health}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn all_of_a_program_is_there_for_clients_of_both_eras() {
    if !common::clients_wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let command = everything();
    let added = sandbox.run(&["add", "all", "--", &command[0], &command[1], "stdio"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let gateway = serve(&sandbox);
    for (mode, updates) in [("legacy", Updates::Begin), ("2026-07-28", Updates::Hear)] {
        assert_everything(&["--mode", mode, "--url", &gateway.url()], updates);
    }
}
/// The server over one of its transports over HTTP, on a port of its own.
fn everything_over(transport: &str) -> (Running, String) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let [node, program] = everything();
    let mut command = Command::new(node);
    command
        .args([&program, transport])
        .env("PORT", port.to_string());
    let running = Running::start("server-everything", &mut command, "");
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
    (running, format!("http://127.0.0.1:{port}"))
}

#[test]
fn all_of_a_server_over_http_with_events_is_there_for_clients_of_both_eras_and_of_2024() {
    if !common::clients_wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let (_server, url) = everything_over("sse");
    let url = format!("{url}/sse");
    let added = sandbox.run(&["add", "all", &url, "--transport", "sse"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let gateway = serve(&sandbox);
    let own = format!("http://{}/sse", gateway.address());
    for arguments in [
        ["--mode", "legacy", "--url", &gateway.url()],
        ["--mode", "2026-07-28", "--url", &gateway.url()],
        ["--mode", "legacy", "--sse", &own],
    ] {
        assert_everything(&arguments, Updates::None);
    }
}

#[test]
fn all_of_a_server_over_streamable_http_is_there_for_clients_of_both_eras() {
    if !common::clients_wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let (_server, url) = everything_over("streamableHttp");
    let added = sandbox.run(&["add", "all", &format!("{url}/mcp")]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let gateway = serve(&sandbox);
    for mode in ["legacy", "2026-07-28"] {
        assert_everything(&["--mode", mode, "--url", &gateway.url()], Updates::None);
    }
}

/// The official Python SDK, whose server speaks both eras, and whose `ctx.elicit` is of the older one.
#[test]
fn a_server_of_both_eras_that_asks_in_the_way_of_before_is_spoken_to_so() {
    if !common::clients_wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let program = sandbox.write(
        "server.py",
        "from mcp.server.mcpserver import Context, MCPServer\n\
         from pydantic import BaseModel\n\
         class Who(BaseModel):\n    name: str\n\
         server = MCPServer('asks')\n\
         @server.tool()\n\
         async def greet(ctx: Context) -> str:\n    \
             return f'hello {(await ctx.elicit(\"Who?\", Who)).data.name}'\n\
         server.run('stdio')\n",
    );
    let python = installed("python/bin/python");
    let added = sandbox.run(&["add", "asks", "--era", "legacy", "--", &python, &program]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let gateway = serve(&sandbox);
    for mode in ["legacy", "2026-07-28"] {
        let arguments = ["--mode", mode, "--url", &gateway.url()];
        let report = seen(&arguments, &json!([{"call": "asks_greet"}]));
        assert_eq!(report["asked"], json!(["elicitation/create"]), "{report}");
        let text = &report["steps"][0]["content"][0]["text"];
        assert_eq!(text, "hello Ada", "{report}");
    }
}
