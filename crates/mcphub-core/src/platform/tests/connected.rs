//! MCP servers that exist already.

use super::*;
use crate::connection::Connection;
use crate::secret::Credentials;

const URL: &str = "https://mcp.test/mcp";

/// Registers a server at a URL that listed one tool.
fn connect(platform: &Platform, url: &str, tool: &str) -> ServerName {
    let mut credentials = Credentials {
        bearer: Some("t0ken".into()),
        ..Credentials::default()
    };
    let connection = Connection::http(url.parse().unwrap(), &mut credentials).unwrap();
    let tool = format!(r#"{{"name":"{tool}","inputSchema":{{"type":"object"}}}}"#);
    let tool = serde_json::value::RawValue::from_string(tool).unwrap();
    let mut request = request("", "", connection.serve());
    request.document = connection.document(vec![tool]).unwrap();
    request.name = Some(ServerName::new("tracker").unwrap());
    request.credentials = credentials;
    let prepared = platform.prepare(request).unwrap();
    block_on(platform.publish(prepared)).unwrap().name
}

fn served(platform: &Platform) -> Arc<CatalogServer> {
    block_on(platform.catalog()).unwrap().servers[0].clone()
}

#[test]
fn a_registered_server_is_in_the_catalogue_with_what_it_listed_and_its_credentials() {
    let World { platform, .. } = world();
    let name = connect(&platform, URL, "search");
    assert_eq!(upstream(&platform, &name), format!("connected {URL}"));
    let server = served(&platform);
    assert!(server.tools.get("search").is_some());
    let Upstream::Connected { credentials, .. } = &server.upstream else {
        panic!("{server:?}");
    };
    assert!(credentials.bearer.is_some());
    assert!(!format!("{server:?}").contains("t0ken"));
    connect(&platform, URL, "find");
    assert!(served(&platform).tools.get("find").is_some());
}

#[test]
fn it_is_planned_again_after_an_upgrade() {
    let World {
        platform, store, ..
    } = world();
    let name = connect(&platform, URL, "search");
    let version = |version: Option<u32>| {
        let mut rows = store.rows.lock().unwrap();
        let row = rows.get_mut(&name).unwrap();
        row.plan_version = version.unwrap_or(row.plan_version);
        row.plan_version
    };
    version(Some(PLAN_VERSION + 1));
    assert!(served(&platform).tools.get("search").is_some());
    assert_eq!(version(None), PLAN_VERSION);
}

#[test]
fn a_document_of_another_kind_is_refused() {
    let World { platform, .. } = world();
    for serve in [Serve::Remote, Serve::Stdio] {
        let error = platform
            .prepare(request("a.yaml", "Shop", serve))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDocument);
    }
}
