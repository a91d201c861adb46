//! MCP servers that exist already.

use super::*;
use crate::catalog::Upstream;
use crate::connection::{ChangePolicy, Connection};
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

fn lists(server: &CatalogServer, tool: &str) -> bool {
    let Upstream::Connected { listed, .. } = &server.upstream else {
        panic!("{server:?}");
    };
    let name = format!(r#""name":"{tool}""#);
    listed.iter().any(|it| it.get().contains(&name))
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
    let Upstream::Connected {
        credentials,
        listed,
        ..
    } = &server.upstream
    else {
        panic!("{server:?}");
    };
    let text = r#"{"name":"search","inputSchema":{"type":"object"}}"#;
    assert!(matches!(&**listed, [only] if only.get() == text));
    assert!(credentials.bearer.is_some());
    assert!(!format!("{server:?}").contains("t0ken"));
    assert!(Arc::ptr_eq(&server, &served(&platform)));
    connect(&platform, URL, "find");
    assert!(lists(&served(&platform), "find"));
}

#[test]
fn one_whose_changes_are_not_taken_over_has_its_plan() {
    let World { platform, .. } = world();
    let mut credentials = Credentials::default();
    let connection = Connection::http(URL.parse().unwrap(), &mut credentials).unwrap();
    let connection = connection.with_changes(ChangePolicy::Pin);
    let tool = serde_json::value::RawValue::from_string(
        r#"{"name":"search","inputSchema":{"type":"object"}}"#.to_owned(),
    );
    let mut request = request("", "", connection.serve());
    request.document = connection.document(vec![tool.unwrap()]).unwrap();
    let prepared = platform.prepare(request).unwrap();
    block_on(platform.publish(prepared)).unwrap();
    let server = served(&platform);
    assert!(server.tools.get("search").is_some() && !lists(&server, "search"));
}

#[test]
fn one_with_a_login_is_read_again_because_that_is_renewed() {
    let World {
        platform, store, ..
    } = world();
    let name = connect(&platform, URL, "search");
    let grants = |grants: &[&str]| {
        let mut rows = store.rows.lock().unwrap();
        let credentials = &mut rows.get_mut(&name).unwrap().registration.credentials;
        let grants = grants
            .iter()
            .map(|scheme| ((*scheme).to_owned(), grant("t0ken")));
        credentials.grants = grants.collect();
    };
    let seen = || match &served(&platform).upstream {
        Upstream::Connected { credentials, .. } => credentials.grants.len(),
        _ => panic!("a server of another kind"),
    };
    grants(&["mcp"]);
    assert_eq!(seen(), 1);
    grants(&["mcp", "key:a"]);
    assert_eq!(seen(), 2);
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
    assert!(lists(&served(&platform), "search"));
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
