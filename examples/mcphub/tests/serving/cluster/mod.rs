//! MCP servers behind the services of a cluster, found by their labels.
//!
//! The API server is a small one of the tests' own; `real` runs against one that somebody names.

mod api_server;
mod real;

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::api_server::ApiServer;
use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

const SERVICES: &str = "services";
const SLICES: &str = "endpointslices";
const ENDPOINTS: &str = "endpoints";

/// The bookshop as an MCP server at `/mcp/bookshop`.
struct Books {
    _sandbox: Sandbox,
    _shop: Bookshop,
    gateway: Gateway,
}

impl Books {
    fn open() -> Self {
        let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
        let spec = sandbox.write("bookshop.yaml", Bookshop::document());
        let gateway = Gateway::start(&sandbox, &["up", &spec, "--base-url", &shop.url()]);
        Self {
            _sandbox: sandbox,
            _shop: shop,
            gateway,
        }
    }

    fn port(&self) -> u16 {
        let address: SocketAddr = self.gateway.address().parse().expect("an address");
        address.port()
    }

    /// A service that leads there.
    fn service(&self, name: &str) -> Value {
        json!({
            "metadata": {
                "labels": { "io.mcphub.server": name },
                "annotations": { "io.mcphub.path": "/mcp/bookshop" },
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {
                "clusterIP": "127.0.0.1",
                "ports": [{ "name": "mcp", "port": self.port(), "targetPort": "web" }],
            },
        })
    }

    /// A slice with this as the only pod behind a service.
    fn slice(&self, service: &str, ready: bool) -> Value {
        json!({
            "metadata": {
                "labels": { "io.mcphub.server": "shop", "kubernetes.io/service-name": service },
            },
            "addressType": "IPv4",
            "ports": [{ "name": "mcp", "port": self.port(), "protocol": "TCP" }],
            "endpoints": [{ "addresses": ["127.0.0.1"], "conditions": { "ready": ready } }],
        })
    }
}

/// A sandbox that knows the cluster, with a configuration.
fn sandbox(address: SocketAddr, discover: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("kubeconfig", &ApiServer::kubeconfig(address));
    sandbox.write("mcphub.toml", &format!("[[discover]]\n{discover}\n"));
    sandbox
}

/// The binary as it runs beside a kubeconfig.
fn mcphub(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.mcphub();
    command
        .args(args)
        .env("KUBECONFIG", sandbox.path().join("kubeconfig"))
        .env_remove("KUBERNETES_SERVICE_HOST");
    command
}

fn serve(sandbox: &Sandbox) -> Gateway {
    Gateway::serving(&mut mcphub(sandbox, &["serve", "--listen", "127.0.0.1:0"]))
}

/// What `mcphub discover` with these arguments gives: the exit code, what it found, what it said.
fn discover(sandbox: &Sandbox, args: &[&str]) -> (Option<i32>, Value, String) {
    let args = [&["discover", "--kubernetes", "--format", "json"], args].concat();
    let output = mcphub(sandbox, &args).output().expect("it runs");
    let found = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("s3cret"), "{said}");
    (output.status.code(), found, said)
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
fn servers_come_and_go_with_their_services() {
    let (cluster, books) = (ApiServer::start(), Books::open());
    // Nobody looks for an hour: it is found by what the cluster tells.
    let config = "kubernetes = \"default\"\nevery = 3600\ngrace = 0";
    let sandbox = sandbox(cluster.address(), config);
    let gateway = serve(&sandbox);
    let tool = "shop_listBooks";
    assert!(!lists(&gateway, tool));

    cluster.put(SERVICES, "other", "shop", books.service("other"));
    cluster.put(SERVICES, "team", "shop", books.service("shop"));
    until("the server is found", || lists(&gateway, tool));
    assert!(!lists(&gateway, "other_listBooks"), "not its namespace");
    let answer = gateway.call(tool, &json!({ "limit": 1 }));
    assert!(answer["structuredContent"]["items"].is_array(), "{answer}");
    cluster.put(SERVICES, "team", "shop", books.service("renamed"));
    until("it has another name", || {
        lists(&gateway, "renamed_listBooks")
    });
    cluster.remove(SERVICES, "team", "shop");
    until("it is gone", || !lists(&gateway, "renamed_listBooks"));

    // What breaks off is taken up again.
    cluster.fail(Some((503, "going down")));
    cluster.put(SERVICES, "team", "shop", books.service("shop"));
    cluster.fail(None);
    until("it is found again", || lists(&gateway, tool));
}

#[test]
fn pods_are_reached_while_they_are_ready() {
    let (cluster, books) = (ApiServer::start(), Books::open());
    let config = "kubernetes = \"test\"\nreach = \"pods\"\nevery = 3600\ngrace = 0";
    let sandbox = sandbox(cluster.address(), config);
    // Nothing answers at the service itself.
    let mut service = books.service("shop");
    service["spec"]["clusterIP"] = json!("None");
    service["spec"]["ports"][0]["port"] = json!(80);
    cluster.put(SERVICES, "team", "shop", service);
    let gateway = serve(&sandbox);
    let tool = "shop_listBooks";
    cluster.put(SLICES, "team", "shop-1", books.slice("shop", true));
    until("the pod is found", || lists(&gateway, tool));
    let answer = gateway.call(tool, &json!({ "limit": 1 }));
    assert!(answer["structuredContent"]["items"].is_array(), "{answer}");
    cluster.put(SLICES, "team", "shop-1", books.slice("shop", false));
    until("no pod is ready", || !lists(&gateway, tool));
    cluster.put(SLICES, "team", "shop-2", books.slice("shop", true));
    until("another pod is", || lists(&gateway, tool));
}

#[test]
fn an_api_server_without_slices_tells_endpoints() {
    let (cluster, books) = (ApiServer::start(), Books::open());
    cluster.is_old();
    cluster.put(SERVICES, "team", "shop", books.service("shop"));
    let config = "kubernetes = \"default\"\nreach = \"pods\"\nevery = 3600\ngrace = 0";
    let sandbox = sandbox(cluster.address(), config);
    let gateway = serve(&sandbox);
    let endpoints = json!({
        "metadata": { "labels": { "io.mcphub.server": "shop" } },
        "subsets": [{
            "addresses": [{ "ip": "127.0.0.1" }],
            "ports": [{ "name": "mcp", "port": books.port() }],
        }],
    });
    cluster.put(ENDPOINTS, "team", "shop", endpoints);
    until("the pod is found", || lists(&gateway, "shop_listBooks"));
    cluster.remove(ENDPOINTS, "team", "shop");
    until("it is gone", || !lists(&gateway, "shop_listBooks"));
}

#[test]
fn services_are_shown_and_registered() {
    let (cluster, books) = (ApiServer::start(), Books::open());
    let sandbox = sandbox(cluster.address(), "docker = \"default\"");
    for n in 1..=5 {
        let mut late = books.service("shop");
        late["metadata"]["creationTimestamp"] = json!(format!("2026-02-0{n}T00:00:00Z"));
        cluster.put(SERVICES, &format!("late-{n}"), "shop", late);
    }
    cluster.put(SERVICES, "team", "shop", books.service("shop"));
    let mut wrong = books.service("wrong");
    wrong["metadata"]["annotations"]["io.mcphub.port"] = json!("none");
    cluster.put(SERVICES, "team", "wrong", wrong);

    let (code, found, said) = discover(&sandbox, &[]);
    assert_eq!(
        (code, found.as_array().map(Vec::len)),
        (Some(0), Some(1)),
        "{said}"
    );
    assert_eq!(found[0]["place"], "service team/shop");
    assert_eq!(found[0]["registered"], false);
    assert!(
        said.contains("service team/wrong is left out: the service has no such"),
        "{said}"
    );
    // All of them, over several pages: the oldest has the name.
    let (_, found, said) = discover(&sandbox, &["--all-namespaces"]);
    assert_eq!(found[0]["place"], "service team/shop");
    for n in 1..=5 {
        let left = format!("service late-{n}/shop is left out: a service of another namespace");
        assert!(said.contains(&left), "{said}");
    }
    let (_, found, _) = discover(
        &sandbox,
        &["--namespace", "late-1", "--namespace", "late-2"],
    );
    assert_eq!(found[0]["place"], "service late-1/shop");
    let (_, found, _) = discover(&sandbox, &["--add"]);
    assert_eq!(found[0]["registered"], true);
    let list = sandbox.run(&["list"]);
    assert!(list.stdout.contains("shop\t"), "{list:?}");
}

#[test]
fn a_cluster_that_cannot_be_asked_is_said_once_and_tried_again() {
    let (cluster, books) = (ApiServer::start(), Books::open());
    cluster.put(SERVICES, "team", "shop", books.service("shop"));
    let config = "kubernetes = \"default\"\nevery = 1\ngrace = 0";
    let sandbox = sandbox(cluster.address(), config);
    for (code, message, exit, says) in [
        (
            403,
            "services is forbidden: User \"u\" cannot list",
            5,
            "docs/discovery.md",
        ),
        (401, "Unauthorized", 5, "does not know these credentials"),
        (503, "apiserver is shutting down", 6, "cannot answer now"),
    ] {
        cluster.fail(Some((code, message)));
        let (exited, _, said) = discover(&sandbox, &[]);
        assert!(said.contains(says) && said.contains(message), "{said}");
        assert_eq!(exited, Some(exit), "{said}");
    }
    let gateway = serve(&sandbox);
    assert!(!lists(&gateway, "shop_listBooks"));
    let before = cluster.asked().len();
    until("it is asked again and again", || {
        cluster.asked().len() > before + 3
    });
    let said = gateway.running().stderr();
    let times = said.matches("servers cannot be discovered").count();
    assert_eq!(times, 1, "{said}");
    assert!(!said.contains("kube_client"), "{said}");
    cluster.fail(None);
    until("the server is found", || lists(&gateway, "shop_listBooks"));
    // What it said last holds.
    cluster.fail(Some((503, "gone again")));
    let before = cluster.asked().len();
    until("it is asked again and again", || {
        cluster.asked().len() > before + 3
    });
    assert!(lists(&gateway, "shop_listBooks"));
}

#[test]
fn a_gateway_without_a_cluster_serves_what_it_has() {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let sandbox = sandbox(nobody, "kubernetes = \"default\"\nevery = 1");
    let (code, _, said) = discover(&sandbox, &[]);
    assert_eq!(code, Some(6), "{said}");
    assert!(
        said.contains("the API server of the cluster does not answer"),
        "{said}"
    );
    let gateway = serve(&sandbox);
    assert!(gateway.tools().is_empty());

    std::fs::remove_file(sandbox.path().join("kubeconfig")).expect("it is there");
    let (code, _, said) = discover(&sandbox, &[]);
    assert_eq!(code, Some(6), "{said}");
    assert!(
        said.contains("this needs the service account of a pod, or a kubeconfig"),
        "{said}"
    );
    assert!(gateway.tools().is_empty());
}
