//! Every kind of server in a catalogue becomes an upstream.

use mcphub_core::ErrorKind;
use mcphub_core::call::Arguments;
use mcphub_core::catalog::{CatalogServer, CatalogVersion, Upstream as Target};
use mcphub_core::deployment::Endpoint;
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_gateway::upstream::{Connect, Connector, UpstreamSettings};
use serde_json::Value;

use crate::bookshop;
use crate::recording_api::{RecordingApi, Reply};

fn connector() -> Connector {
    bookshop::install_crypto();
    Connector::new(UpstreamSettings::default()).unwrap()
}

fn server(upstream: Target) -> CatalogServer {
    CatalogServer {
        name: ServerName::new("shop").unwrap(),
        revision: CatalogVersion::default(),
        tools: bookshop::bookshop(),
        upstream,
    }
}

#[tokio::test]
async fn a_native_server_calls_its_api() {
    let api = RecordingApi::start(|_| Reply::json("{}")).await;
    let target = Target::Native {
        base_url: api.url.clone(),
        credentials: Credentials::default(),
    };
    let upstream = connector().connect(&server(target));
    assert_eq!(
        upstream.tools().await.unwrap().len(),
        bookshop::bookshop().tools.len()
    );
    upstream
        .call("public", &Arguments::default())
        .await
        .unwrap();
    assert_eq!(api.request().target, "/public");
}

#[tokio::test]
async fn an_mcp_server_is_asked_for_its_own_tools() {
    let api = RecordingApi::start(|_| Reply::Whole(503, "", Vec::new())).await;
    let endpoint = Endpoint {
        url: api.url.clone(),
        headers: Vec::new(),
    };
    let upstream = connector().connect(&server(Target::Mcp(endpoint)));
    assert!(api.requests().is_empty(), "connecting asks nothing");
    assert!(upstream.tools().await.is_err());
    assert_eq!(api.request().header("mcp-method"), Some("server/discover"));
}

#[tokio::test]
async fn a_server_that_is_down_lists_its_tools_and_says_why_when_called() {
    let upstream = connector().connect(&server(Target::Down(
        "its process ended with status 1".to_owned(),
    )));
    assert_eq!(
        upstream.tools().await.unwrap().len(),
        bookshop::bookshop().tools.len()
    );
    let result = upstream
        .call("public", &Arguments::default())
        .await
        .unwrap();
    let result: Value = serde_json::from_slice(result.as_bytes()).unwrap();
    assert_eq!(result["isError"], true);
    assert_eq!(
        result["content"][0]["text"],
        "The server of this tool is down: its process ended with status 1"
    );
    assert_eq!(
        upstream
            .call("burn", &Arguments::default())
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}
