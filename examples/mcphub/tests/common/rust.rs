//! A server that is generated in Rust, built and running.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::demo::Bookshop;
use super::process::Running;
use super::sandbox::Sandbox;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);

/// Whether generated Rust projects are to be built; says so when they are not.
#[allow(clippy::print_stdout, reason = "a test has no other way to say it")]
pub fn wanted() -> bool {
    let wanted = std::env::var_os("MCPHUB_TEST_RUST").is_some();
    if !wanted {
        println!("not run: set MCPHUB_TEST_RUST=1, which takes some minutes the first time");
    }
    wanted
}

/// The program of a generated bookshop server, which calls this shop.
pub fn bookshop(sandbox: &Sandbox, shop: &Bookshop) -> Command {
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // In the same place each time, so that it is built again when it changed.
    let folder = root.join("rust-projects/clients");
    let out = folder.to_str().expect("a path of UTF-8");
    let generated = sandbox.run(&[
        "generate", &spec, "--target", "rust", "--name", "bookshop", "--out", out, "--force",
    ]);
    assert_eq!(generated.code, Some(0), "{}", generated.stderr);
    let program = built(&folder, &root.join("rust"));
    let (name, value) = Bookshop::key_header()
        .split_once(": ")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .expect("a header");
    let mut command = Command::new(program);
    command
        .env("BOOKSHOP_BASE_URL", shop.url())
        .env("BOOKSHOP_HEADERS", json!({ name: value }).to_string());
    command
}

/// Builds a project beside all others: what they depend on is built once.
fn built(folder: &Path, target: &Path) -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--target-dir"])
        .arg(target)
        .current_dir(folder)
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .status();
    assert!(built.expect("cargo starts").success());
    target.join("debug/bookshop-mcp")
}

/// Starts a program as an HTTP server, and waits until it listens; gives its endpoint.
pub fn serve(command: &mut Command) -> (Running, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("a bound listener has one");
    drop(listener);
    command
        .env("MCP_TRANSPORT", "http")
        .env("MCP_PORT", address.port().to_string());
    let running = Running::start("the generated server", command, "");
    let deadline = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            running.fail("does not listen");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (running, format!("http://{address}/mcp"))
}
