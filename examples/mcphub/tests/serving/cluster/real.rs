//! The same against an API server that somebody names, with the role of the documentation and no more.

use std::io::Write;
use std::net::{IpAddr, UdpSocket};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{discover, lists, serve, until};
use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const DOCUMENTED: &str = include_str!("../../../../../docs/discovery.md");

/// The kubeconfig of the cluster to test with; says so when there is none.
fn wanted() -> Option<String> {
    let wanted = std::env::var("MCPHUB_TEST_KUBERNETES").ok();
    if wanted.is_none() {
        println!("not run: MCPHUB_TEST_KUBERNETES names the kubeconfig of a cluster");
    }
    wanted
}

/// A namespace of the test's own, deleted when this is dropped.
struct Namespace {
    kubeconfig: String,
    name: String,
}

impl Namespace {
    fn make(kubeconfig: String) -> Self {
        let name = format!("mcphub-test-{}", std::process::id());
        let made = Self { kubeconfig, name };
        made.apply(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": made.name },
        }));
        made
    }

    /// Runs `kubectl` to its end, and gives what it printed.
    fn kubectl(&self, args: &[&str], input: &str) -> String {
        let mut kubectl = Command::new("kubectl")
            .args(["--kubeconfig", &self.kubeconfig, "--namespace", &self.name])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl can be run");
        let mut stdin = kubectl.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("it reads");
        drop(stdin);
        let output = kubectl.wait_with_output().expect("it ends");
        let (stdout, stderr) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {args:?}: {stderr}");
        String::from_utf8_lossy(&stdout).into_owned()
    }

    fn apply(&self, object: &Value) {
        self.kubectl(&["apply", "-f", "-"], &object.to_string());
    }

    /// A kubeconfig of the service account of the documentation.
    fn account(&self) -> String {
        let view = ["config", "view", "--raw", "--minify", "-o", "json"];
        let mut config: Value =
            serde_json::from_str(&self.kubectl(&view, "")).expect("a kubeconfig");
        let account = format!("system:serviceaccount:{}:mcphub", self.name);
        config["users"][0]["user"]["as"] = json!(account);
        config["contexts"][0]["context"]["namespace"] = json!(self.name);
        config.to_string()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("kubectl")
            .args(["--kubeconfig", &self.kubeconfig, "delete", "namespace"])
            .args([&self.name, "--wait=false"])
            .output();
    }
}

/// The role in the documentation, for this namespace.
fn role(namespace: &str) -> String {
    let role = DOCUMENTED
        .split("```yaml\n")
        .filter_map(|it| it.split("```").next())
        .find(|it| it.contains("kind: RoleBinding"));
    let role = role.expect("the documentation has a role");
    role.replace("namespace: team", &format!("namespace: {namespace}"))
}

/// An address of this machine that is not loopback, which no endpoint may be.
fn address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // Nothing is sent.
    socket.connect("192.0.2.1:9").expect("a route");
    socket.local_addr().expect("an address").ip()
}

#[test]
fn a_real_api_server_tells_what_is_ready() {
    let Some(kubeconfig) = wanted() else {
        return;
    };
    let namespace = Namespace::make(kubeconfig);
    namespace.kubectl(&["apply", "-f", "-"], &role(&namespace.name));
    let sandbox = Sandbox::new();
    sandbox.write("kubeconfig", &namespace.account());
    let config = "kubernetes = \"default\"\nreach = \"pods\"\nevery = 3600\ngrace = 0";
    sandbox.write("mcphub.toml", &format!("[[discover]]\n{config}\n"));

    let (shop, served) = (Bookshop::open(), Sandbox::new());
    let spec = served.write("bookshop.yaml", Bookshop::document());
    let up = ["up", &spec, "--base-url", &shop.url()];
    let books = Gateway::start_at(&served, &up, "0.0.0.0:0");
    let port: u16 = books.address().rsplit(':').next().unwrap().parse().unwrap();

    let gateway = serve(&sandbox);
    let tool = "shop_listBooks";
    let labels = json!({ "io.mcphub.server": "shop" });
    let ports = json!([{ "name": "mcp", "port": port, "protocol": "TCP" }]);
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "shop", "labels": labels,
            "annotations": { "io.mcphub.path": "/mcp/bookshop" },
        },
        "spec": { "ports": ports },
    }));
    // Without a selector nobody but the test says what is behind it.
    let endpoints = |ready: bool| {
        let addresses = if ready {
            "addresses"
        } else {
            "notReadyAddresses"
        };
        namespace.apply(&json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": { "name": "shop", "labels": labels },
            "subsets": [{ addresses: [{ "ip": address() }], "ports": ports }],
        }));
    };
    endpoints(true);
    until("the server is found", || lists(&gateway, tool));
    let answer = gateway.call(tool, &json!({ "limit": 1 }));
    assert!(answer["structuredContent"]["items"].is_array(), "{answer}");
    let (code, found, said) = discover(&sandbox, &["--reach", "pods"]);
    assert_eq!(code, Some(0), "{said}");
    let place = format!("service {}/shop", namespace.name);
    assert_eq!(found[0]["place"], json!(place), "{said}");

    endpoints(false);
    until("it is not ready", || !lists(&gateway, tool));
    endpoints(true);
    until("it is ready again", || lists(&gateway, tool));
    namespace.kubectl(&["delete", "service", "shop"], "");
    until("it is gone", || !lists(&gateway, tool));

    // The role is of one namespace, and needed.
    let (code, _, said) = discover(&sandbox, &["--all-namespaces"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("docs/discovery.md"), "{said}");
}
