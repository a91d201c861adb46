//! Connections, their checks and their documents.

use secrecy::ExposeSecret;

use super::*;
use crate::secret::Credentials;
use crate::server::ServerName;

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_query_is_a_secret_and_goes_with_every_request() {
    let mut credentials = Credentials {
        bearer: Some("t0ken".into()),
        ..Credentials::default()
    };
    let connection = Connection::http(
        url("https://mcp.example.com/mcp?key=s3cret"),
        &mut credentials,
    );
    let connection = connection.unwrap();
    let document = connection.document(Vec::new()).unwrap();
    let shown = format!("{connection} {connection:?} {document:?} {credentials:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let Connection::Http(remote) = &connection else {
        panic!("{connection:?}");
    };
    let endpoint = remote.endpoint(&credentials);
    assert_eq!(endpoint.url.query(), Some("key=s3cret"));
    let (name, value) = &endpoint.headers[0];
    assert_eq!(
        (name.as_str(), value.expose_secret()),
        ("authorization", "Bearer t0ken")
    );
    assert_eq!(Connection::from_document(&document).unwrap(), connection);
}

#[test]
fn what_is_no_server_is_refused() {
    for wrong in [
        "ftp://example.com/mcp",
        "https://user:s3cret@example.com/mcp",
        "https://example.com/mcp#part",
    ] {
        let error = Connection::http(url(wrong), &mut Credentials::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
        assert!(!error.report().contains("s3cret"), "{}", error.report());
    }
    assert!(Connection::stdio(Vec::new()).is_err());
    assert!(Connection::stdio(words(&["a\0b"])).is_err());
    let server = Connection::stdio(words(&["server"])).unwrap();
    assert!(server.clone().with_call_timeout(Some(0)).is_err());
    assert!(server.with_call_timeout(Some(3_601)).is_err());
}

#[test]
fn what_was_chosen_is_kept_and_what_was_not_leaves_no_trace() {
    let server = Connection::stdio(words(&["server"])).unwrap();
    let plain = server.document(Vec::new()).unwrap();
    let text = String::from_utf8(plain.bytes.to_vec()).unwrap();
    assert!(
        !text.contains("era") && !text.contains("perSession"),
        "{text}"
    );
    let server = server.in_era(Era::Legacy).unwrap();
    let server = server.per_session(true).unwrap();
    let kept = Connection::from_document(&server.document(Vec::new()).unwrap());
    assert_eq!(kept.unwrap(), server);
    assert_eq!(server.era(), Era::Legacy);
    let remote = Connection::http(url("https://a.test/sse"), &mut Credentials::default());
    let remote = remote.unwrap().over_sse();
    assert!(remote.clone().per_session(true).is_err());
    assert!(remote.clone().in_era(Era::Modern).is_err());
    assert!(remote.in_era(Era::Legacy).is_ok());
}

#[test]
fn replicas_share_the_credentials_and_are_other_addresses() {
    let mut credentials = Credentials::default();
    let server = Connection::http(url("https://a.test/mcp?key=s3cret"), &mut credentials);
    let server = server.unwrap();
    let with = |texts: &[&str]| {
        let replicas = texts.iter().map(|text| text.parse().unwrap());
        server
            .clone()
            .with_replicas(replicas.collect(), None, Some(Hedge::Slowest))
    };
    let two = with(&["https://b.test/mcp", "https://c.test/mcp,weight=100"]).unwrap();
    let kept = Connection::from_document(&two.document(Vec::new()).unwrap());
    assert_eq!((kept.unwrap(), two.addresses()), (two.clone(), 3));
    assert_eq!(two.to_string(), "https://a.test/mcp and 2 replicas");
    let Connection::Http(remote) = &two else {
        panic!("{two:?}");
    };
    let endpoints = remote.replica_endpoints(&credentials);
    assert_eq!(endpoints[0].url.as_str(), "https://b.test/mcp?key=s3cret");
    let many: Vec<_> = (0..16).map(|n| format!("https://b{n}.test/")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for wrong in [
        &[][..],
        &["https://a.test/mcp"],
        &["https://b.test/", "https://b.test/"],
        &["https://b.test/?key=1"],
        &["https://b.test/,weight=0"],
        &["https://b.test/,weight=60", "https://c.test/,weight=41"],
        &many,
    ] {
        assert!(with(wrong).is_err(), "{wrong:?}");
    }
    let program = Connection::stdio(words(&["server"])).unwrap();
    let replicas = vec!["https://b.test/".parse().unwrap()];
    assert!(program.with_replicas(replicas, None, None).is_err());
}

#[test]
fn logins_are_for_servers_at_a_url() {
    let server = |text: &str| Connection::http(url(text), &mut Credentials::default()).unwrap();
    let issuer = || Some(url("https://login.test/tenant"));
    let kept = server("https://a.test/mcp").letting_in(issuer(), true);
    let kept = kept.unwrap();
    let again = Connection::from_document(&kept.document(Vec::new()).unwrap());
    assert_eq!(again.unwrap(), kept);
    let remote = kept.remote().unwrap();
    assert!(remote.per_user && remote.issuer == issuer());
    for wrong in ["ftp://a.test", "https://a.test?x=1", "https://u:p@a.test"] {
        let server = server("https://a.test/mcp");
        assert!(
            server.letting_in(Some(url(wrong)), false).is_err(),
            "{wrong}"
        );
    }
    let sse = server("https://a.test/sse").over_sse();
    assert!(sse.clone().letting_in(issuer(), false).is_ok());
    assert!(sse.letting_in(None, true).is_err());
    let program = Connection::stdio(words(&["server"])).unwrap();
    assert!(program.clone().letting_in(None, false).is_ok());
    assert!(program.letting_in(None, true).is_err());
}

#[test]
fn an_argument_takes_a_variable_of_the_server_and_no_other() {
    let launch = |argument: &str| {
        let credentials = Credentials {
            environment: [("KEY".to_owned(), "s3cret".into())].into(),
            ..Credentials::default()
        };
        let connection = Connection::stdio(words(&["server", argument])).unwrap();
        let Connection::Stdio(command) = connection else {
            panic!("{connection:?}");
        };
        command.launch(&ServerName::new("x").unwrap(), &credentials)
    };
    let launched = launch("--key=${KEY}!").unwrap();
    assert_eq!(launched.arguments[0].expose_secret(), "--key=s3cret!");
    assert!(!format!("{launched:?}").contains("s3cret"));
    assert_eq!(
        launch("$KEY ${").unwrap().arguments[0].expose_secret(),
        "$KEY ${"
    );
    let error = launch("${PATH}").unwrap_err();
    assert!(error.report().contains("PATH"), "{}", error.report());
}

#[test]
fn listed_tools_are_planned_and_bad_ones_left_out() {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let connection = Connection::stdio(words(&["server"])).unwrap();
    let document = connection.document(vec![
        raw(
            r#"{"name":"add","inputSchema":{"type":"object","$defs":{"N":{"type":"number"}}},
            "annotations":{"readOnlyHint":true,"destructiveHint":false}}"#,
        ),
        raw(r#"{"name":"add","inputSchema":{}}"#),
        raw(r#"{"name":"no schema"}"#),
        raw("7"),
    ]);
    let document = document.unwrap();
    let set = plan(&document, None, Serve::Stdio).unwrap();
    assert_eq!(set.tools.len(), 1);
    assert!(set.tools[0].annotations.read_only_hint);
    assert!(set.tools[0].annotations.open_world_hint);
    assert_eq!(set.tools[0].input.definitions().len(), 1);
    let error = plan(&document, None, Serve::Remote).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn limits_are_checked_and_kept() {
    let server = || {
        let url = "https://example.com/mcp".parse().unwrap();
        Connection::http(url, &mut Credentials::default()).unwrap()
    };
    let limits = |text: &str| serde_json::from_str::<Limits>(text).unwrap();
    let whole = limits(
        r#"{"connectTimeout":60,"firstByteTimeout":1,"idleTimeout":3600,"totalTimeout":3600,"maxIdleConnections":0}"#,
    );
    let kept = server().with_limits(whole).unwrap();
    let document = kept.document(Vec::new()).unwrap();
    assert_eq!(Connection::from_document(&document).unwrap(), kept);
    let plain = server().document(Vec::new()).unwrap();
    assert!(!String::from_utf8_lossy(&plain.bytes).contains("limits"));
    for (text, name) in [
        (r#"{"connectTimeout":61}"#, "connect timeout"),
        (r#"{"connectTimeout":0}"#, "connect timeout"),
        (r#"{"firstByteTimeout":0}"#, "first byte timeout"),
        (r#"{"idleTimeout":3601}"#, "idle timeout"),
        (r#"{"totalTimeout":3601}"#, "total timeout"),
        (r#"{"maxIdleConnections":1025}"#, "1,024 connections"),
    ] {
        let error = server().with_limits(limits(text)).unwrap_err();
        assert!(error.to_string().contains(name), "{text}: {error}");
    }
    let idle = limits(r#"{"idleTimeout":9}"#);
    assert!(server().over_sse().with_limits(idle).is_err());
    let program = Connection::stdio(words(&["server"])).unwrap();
    assert!(program.clone().with_limits(Limits::default()).is_ok());
    assert!(program.with_limits(idle).is_err());
}
