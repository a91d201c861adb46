//! MCP servers in containers, found by their labels.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

/// Whether the tests with containers are asked for; says so when they are not. Where they are, a
/// missing daemon fails the test.
fn wanted() -> bool {
    let wanted = std::env::var_os("MCPHUB_TEST_DOCKER").is_some();
    if !wanted {
        println!("not run: scripts/test-docker.sh run cargo test …");
    }
    wanted
}

/// Runs `docker` to its end, and gives what it printed.
fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output();
    let output = output.expect("the docker client can be run");
    let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "docker {args:?}: {stderr}");
    String::from_utf8_lossy(&stdout).trim().to_owned()
}

/// An image with the binary, what it is linked to, and a document: nothing is pulled.
fn image() -> &'static str {
    const NAME: &str = "mcphub-test-server";
    static IMAGE: OnceLock<()> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        let copy = |from: &Path, to: &str| {
            let to = root.join(to.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            std::fs::copy(from, to).expect("the file is copied");
        };
        let binary = Path::new(env!("CARGO_BIN_EXE_mcphub"));
        copy(binary, "mcphub");
        let linked = Command::new("ldd").arg(binary).output().expect("ldd runs");
        let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
        for library in linked
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            copy(Path::new(library), library);
        }
        // A server wants to know whom to trust, also when it asks nobody.
        let authorities = "/etc/ssl/certs/ca-certificates.crt";
        copy(Path::new(authorities), authorities);
        std::fs::write(root.join("bookshop.yaml"), Bookshop::document()).expect("it is written");
        std::fs::create_dir(root.join("tmp")).expect("a folder");
        let mut packed = Command::new("tar")
            .arg("-C")
            .arg(root)
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar runs");
        let import = Command::new("docker")
            .args(["import", "-", NAME])
            .stdin(packed.stdout.take().expect("the archive"))
            .stdout(Stdio::null())
            .status();
        assert!(import.expect("the docker client can be run").success());
        assert!(packed.wait().expect("tar has ended").success());
    });
    NAME
}

/// A container that is removed when this is dropped.
struct Container(String);

impl Container {
    /// The bookshop as an MCP server at `/mcp/books`, with these labels.
    fn start(labels: &[&str]) -> Self {
        let image = image();
        let labels = labels.iter().flat_map(|label| ["--label", label]);
        let mut args = vec!["run", "--detach"];
        args.extend(labels);
        let server = [image, "/mcphub", "up", "/bookshop.yaml", "--name", "books"];
        args.extend(server);
        args.extend([
            "--base-url",
            "http://127.0.0.1:9",
            "--listen",
            "0.0.0.0:8000",
        ]);
        args.extend(["--store", "sqlite::memory:"]);
        Self(docker(&args))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rm", "--force", &self.0])
            .output();
    }
}

fn lists(gateway: &Gateway, tool: &str) -> bool {
    gateway.tools().iter().any(|name| name == tool)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn servers_come_and_go_with_their_containers() {
    if !wanted() {
        return;
    }
    let config = |grace: u64| {
        let sandbox = Sandbox::new();
        let text = format!("[[discover]]\ndocker = \"default\"\nevery = 3600\ngrace = {grace}\n");
        sandbox.write("mcphub.toml", &text);
        sandbox
    };
    let (patient, strict) = (config(3_600), config(0));
    let patiently = Gateway::start(&patient, &["serve"]);
    let strictly = Gateway::start(&strict, &["serve"]);
    let tool = "comes-and-goes_listBooks";
    assert!(!lists(&patiently, tool));

    // It is found by what the daemon tells: nobody looks for an hour.
    let labels = [
        "io.mcphub.server=comes-and-goes",
        "io.mcphub.port=8000",
        "io.mcphub.path=/mcp/books",
    ];
    let container = Container::start(&labels);
    for gateway in [&patiently, &strictly] {
        until("the server is found", || lists(gateway, tool));
    }
    let id = container.0.clone();
    let restart = std::thread::spawn(move || docker(&["restart", "--time", "0", &id]));
    while !restart.is_finished() {
        assert!(lists(&patiently, tool), "a restart drops nothing");
    }
    restart.join().expect("it was restarted");
    assert!(lists(&patiently, tool), "a restart drops nothing");
    until("it is back", || {
        patiently.health()["servers"].as_array().is_some_and(|all| {
            let server = all.iter().find(|it| it["name"] == "comes-and-goes");
            server.is_some_and(|it| it["state"] == "ready")
        })
    });
    until("it is found again", || lists(&strictly, tool));

    drop(container);
    until("it is gone", || !lists(&strictly, tool));
    assert!(lists(&patiently, tool), "its time is not over");
}

#[test]
fn containers_are_shown_and_registered() {
    if !wanted() {
        return;
    }
    let sandbox = Sandbox::new();
    let _server = Container::start(&[
        "io.mcphub.server=true",
        "io.mcphub.name=shown",
        "io.mcphub.port=8000",
        "io.mcphub.path=/mcp/books",
    ]);
    let _wrong = Container::start(&["io.mcphub.server=wrong", "io.mcphub.port=none"]);
    let discover = ["discover", "--docker", "--format", "json"];
    let mut found = Value::Null;
    until("the server answers", || {
        let shown = sandbox.run(&discover);
        let all: Value = serde_json::from_str(&shown.stdout).unwrap_or_default();
        assert!(shown.stderr.contains("a port is 1 to 65535"), "{shown:?}");
        let servers = all.as_array().into_iter().flatten();
        found = servers
            .filter(|it| it["name"] == "shown")
            .cloned()
            .collect();
        found[0]["tools"].as_u64() > Some(0)
    });
    assert_eq!(found[0]["registered"], false, "{found}");
    until("it is registered", || {
        let added = sandbox.run(&["discover", "--docker", "--add"]);
        // It may be too busy to answer in time, as may all that there are.
        assert!(matches!(added.code, Some(0 | 4)), "{added:?}");
        sandbox.run(&["list"]).stdout.contains("shown\t")
    });

    // A container takes no name from what is registered.
    let taken = sandbox.run(&["add", "late", "http://127.0.0.1:9/mcp", "--no-probe"]);
    assert_eq!(taken.code, Some(0), "{taken:?}");
    let _late = Container::start(&[
        "io.mcphub.server=late",
        "io.mcphub.port=8000",
        "io.mcphub.path=/mcp/books",
    ]);
    until("it is refused", || {
        let added = sandbox.run(&["discover", "--docker", "--add"]);
        added.stderr.contains("late is not registered")
    });
    let list = sandbox.run(&["list"]);
    assert!(list.stdout.contains("http://127.0.0.1:9/mcp"), "{list:?}");
}
