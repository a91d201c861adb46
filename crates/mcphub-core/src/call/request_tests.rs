use indexmap::IndexMap;
use url::Url;

use super::*;
use crate::call::needed;
use crate::secret::{Credentials, Grant};
use crate::spec::{Method, SecurityScheme};
use crate::spec::{Serialization, Style};
use crate::tool::OutputShape;
use crate::tool::{BodyBinding, BodyFormat, BodySource, MemberBinding};

fn serialization(style: Style, explode: bool) -> Serialization {
    Serialization {
        style,
        explode,
        allow_reserved: false,
        content: None,
    }
}

fn parameter(name: &str, location: Location, style: Style, explode: bool) -> ParameterBinding {
    let required = location == Location::Path;
    ParameterBinding {
        argument: name.to_owned(),
        name: name.to_owned(),
        location,
        required,
        serialization: serialization(style, explode),
    }
}

fn binding(path: &str, parameters: Vec<ParameterBinding>) -> HttpBinding {
    HttpBinding {
        method: Method::Get,
        path: path.to_owned(),
        server: None,
        parameters,
        body: None,
        security: Vec::new(),
        accept: "application/json".to_owned(),
        presets: Default::default(),
        output: OutputShape::None,
        answer: Default::default(),
    }
}

fn call(binding: &HttpBinding, arguments: &str) -> Result<HttpRequest> {
    binding.request(
        &Url::parse("http://api.test/v1/").unwrap(),
        &Arguments::parse(arguments).unwrap(),
    )
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request
        .headers
        .iter()
        .find(|(header, _)| header == name)
        .map(|(_, value)| value.as_str())
}

#[test]
fn parameters_go_where_they_belong() {
    let binding = binding(
        "/pets/{id}",
        vec![
            parameter("id", Location::Path, Style::Simple, false),
            parameter("tag", Location::Query, Style::Form, true),
            parameter("X-Trace", Location::Header, Style::Simple, false),
            parameter("sid", Location::Cookie, Style::Form, true),
        ],
    );
    let request = call(
        &binding,
        r#"{"id": "a b", "tag": ["x", "y"], "X-Trace": "t", "sid": "1"}"#,
    )
    .unwrap();
    assert_eq!(
        request.url.as_str(),
        "http://api.test/v1/pets/a%20b?tag=x&tag=y"
    );
    assert_eq!(header(&request, "x-trace"), Some("t"));
    assert_eq!(header(&request, "cookie"), Some("sid=1"));
}

#[test]
fn a_path_value_never_changes_the_shape_of_the_path() {
    let binding = binding(
        "/pets/{id}/toys",
        vec![parameter("id", Location::Path, Style::Simple, false)],
    );
    for value in ["..", ".", ""] {
        let error = call(&binding, &serde_json::json!({ "id": value }).to_string()).unwrap_err();
        assert!(error.to_string().contains("argument: id"), "{error}");
    }
    let request = call(&binding, r#"{"id": "../store/inventory?x#y"}"#).unwrap();
    assert_eq!(
        request.url.path(),
        "/v1/pets/..%2Fstore%2Finventory%3Fx%23y/toys"
    );
    let dotted = call(&binding, r#"{"id": "%2e%2e"}"#).unwrap();
    assert_eq!(dotted.url.path(), "/v1/pets/%252e%252e/toys");
}

#[test]
fn a_missing_or_hostile_argument_is_named() {
    let binding = binding(
        "/pets/{id}",
        vec![
            parameter("id", Location::Path, Style::Simple, false),
            parameter("X-Trace", Location::Header, Style::Simple, false),
        ],
    );
    assert!(
        call(&binding, "{}")
            .unwrap_err()
            .to_string()
            .contains("argument: id")
    );
    assert!(
        call(&binding, r#"{"id": null}"#)
            .unwrap_err()
            .to_string()
            .contains("argument: id")
    );
    let error = call(&binding, r#"{"id": 1, "X-Trace": "a\r\nEvil: 1"}"#).unwrap_err();
    assert!(error.to_string().contains("argument: X-Trace"), "{error}");
}

#[test]
fn a_fragment_or_a_query_in_the_path_does_not_swallow_the_query() {
    let tag = || vec![parameter("tag", Location::Query, Style::Form, true)];
    let request = call(&binding("/pets#list", tag()), r#"{"tag": "x"}"#).unwrap();
    assert_eq!(request.url.as_str(), "http://api.test/v1/pets?tag=x");
    let request = call(&binding("/pets?all=1", tag()), r#"{"tag": "x"}"#).unwrap();
    assert_eq!(request.url.as_str(), "http://api.test/v1/pets?all=1&tag=x");
}

fn member(name: &str) -> MemberBinding {
    MemberBinding {
        part: None,
        argument: name.to_owned(),
        name: name.to_owned(),
        serialization: None,
    }
}

#[test]
fn bodies_keep_the_text_of_their_values() {
    let mut json = binding("/pets", Vec::new());
    json.body = Some(BodyBinding {
        media_type: "application/json".to_owned(),
        format: BodyFormat::Json,
        required: false,
        source: BodySource::Members(vec![member("id"), member("price")]),
        xml: None,
        parts: None,
    });
    let body = call(
        &json,
        r#"{"price": 1.10, "id": 123456789012345678901234567890}"#,
    )
    .unwrap()
    .body
    .unwrap();
    assert_eq!(
        body.bytes,
        r#"{"id":123456789012345678901234567890,"price":1.10}"#
    );
    assert_eq!(call(&json, "{}").unwrap().body, None);

    let mut form = json.clone();
    form.body = Some(BodyBinding {
        media_type: "application/x-www-form-urlencoded".to_owned(),
        format: BodyFormat::Form,
        required: true,
        source: BodySource::Members(vec![member("a"), member("o"), member("s")]),
        xml: None,
        parts: None,
    });
    let body = call(&form, r#"{"a": [1, 2], "o": {"k": [1]}, "s": "x&y"}"#)
        .unwrap()
        .body
        .unwrap();
    assert_eq!(body.bytes, "a=1&a=2&o=%7B%22k%22%3A%5B1%5D%7D&s=x%26y");
}

fn schemes() -> IndexMap<String, SecurityScheme> {
    IndexMap::from([
        (
            "q".to_owned(),
            SecurityScheme::ApiKey {
                location: Location::Query,
                name: "key".to_owned(),
            },
        ),
        (
            "c".to_owned(),
            SecurityScheme::ApiKey {
                location: Location::Cookie,
                name: "sid".to_owned(),
            },
        ),
        ("b".to_owned(), SecurityScheme::Bearer),
    ])
}

#[test]
fn credentials_follow_the_operation_and_are_redacted_when_shown() {
    let mut request = call(&binding("/pets", Vec::new()), "{}").unwrap();
    let credentials = Credentials {
        headers: vec![("X-Org".to_owned(), "acme".into())],
        bearer: Some("t0ken".into()),
        schemes: [
            ("q".to_owned(), "k&y".into()),
            ("c".to_owned(), "s1d".into()),
        ]
        .into(),
        ..Credentials::default()
    };
    let both = [vec!["q".to_owned(), "c".to_owned(), "b".to_owned()]];
    request.authorize(&both, &schemes(), &credentials);
    assert_eq!(request.url.query(), Some("key=k%26y"));
    assert_eq!(header(&request, "cookie"), Some("sid=s1d"));
    assert_eq!(header(&request, "authorization"), Some("Bearer t0ken"));
    assert_eq!(header(&request, "x-org"), Some("acme"));
    let shown = format!("{request:?}");
    for secret in ["k%26y", "s1d", "t0ken", "acme"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn an_operation_without_security_gets_explicit_headers_only() {
    let mut request = call(&binding("/pets", Vec::new()), "{}").unwrap();
    let credentials = Credentials {
        bearer: Some("t0ken".into()),
        ..Credentials::default()
    };
    request.authorize(&[], &schemes(), &credentials);
    assert_eq!(header(&request, "authorization"), None);
    request.authorize(&[], &IndexMap::new(), &credentials);
    assert_eq!(header(&request, "authorization"), Some("Bearer t0ken"));
}

#[test]
fn the_first_complete_alternative_is_used() {
    let mut request = call(&binding("/pets", Vec::new()), "{}").unwrap();
    let credentials = Credentials {
        bearer: Some("t0ken".into()),
        ..Credentials::default()
    };
    request.authorize(
        &[vec!["q".to_owned()], vec!["b".to_owned()]],
        &schemes(),
        &credentials,
    );
    assert_eq!(request.url.query(), None);
    assert_eq!(header(&request, "authorization"), Some("Bearer t0ken"));
}

/// The body of a call whose body is the one argument `body`.
#[test]
fn every_kind_of_scheme_counts_in_a_combination() {
    let mut schemes = schemes();
    schemes.insert("user".to_owned(), SecurityScheme::Digest);
    schemes.insert("tls".to_owned(), SecurityScheme::MutualTls);
    schemes.insert(
        "login".to_owned(),
        SecurityScheme::OpenIdConnect { url: None },
    );
    let set = |names: &[&str]| -> Vec<String> { names.iter().map(|it| (*it).to_owned()).collect() };
    let asked = [set(&["user", "tls"]), set(&["login", "q"]), set(&[])];
    let grant = Grant {
        client: "id".into(),
        token_url: "https://login.test/token".parse().unwrap(),
        access_token: "t0ken".into(),
        refresh_token: None,
        expires_at: None,
        scopes: None,
        resource: None,
    };
    let secret = |name: &str| [(name.to_owned(), "s3cret".into())];
    let certified = Credentials {
        schemes: secret("user").into(),
        identity: Some("PEM".into()),
        ..Credentials::default()
    };
    let logged_in = Credentials {
        schemes: secret("q").into(),
        grants: [("login".to_owned(), grant)].into(),
        ..Credentials::default()
    };
    let client = Credentials {
        schemes: secret("q").into(),
        clients: secret("login").into(),
        ..Credentials::default()
    };
    let half = Credentials {
        schemes: secret("user").into(),
        ..Credentials::default()
    };
    assert_eq!(needed(&asked, &schemes, &certified), asked[0]);
    assert_eq!(needed(&asked, &schemes, &logged_in), asked[1]);
    assert_eq!(needed(&asked, &schemes, &client), asked[1]);
    // The third alternative needs nobody.
    assert_eq!(needed(&asked, &schemes, &half), asked[2]);
    assert_eq!(needed(&asked[..2], &schemes, &half), asked[0]);
    let mut request = call(&binding("/pets", Vec::new()), "{}").unwrap();
    request.authorize(&asked, &schemes, &logged_in);
    assert_eq!(header(&request, "authorization"), Some("Bearer t0ken"));
    assert_eq!(request.url.query(), Some("key=s3cret"));
    let mut request = call(&binding("/pets", Vec::new()), "{}").unwrap();
    request.authorize(&asked, &schemes, &certified);
    // A digest answers a question, and a certificate belongs to the connection.
    assert_eq!(header(&request, "authorization"), None);
}

fn whole(format: BodyFormat, media_type: &str, value: &str) -> Result<Body> {
    let mut binding = binding("/pets", Vec::new());
    binding.body = Some(BodyBinding {
        media_type: media_type.to_owned(),
        format,
        required: true,
        source: BodySource::Argument("body".to_owned()),
        xml: None,
        parts: None,
    });
    let request = call(&binding, &format!(r#"{{"body": {value}}}"#))?;
    Ok(request.body.unwrap())
}

#[test]
fn bytes_come_in_base64_and_go_as_they_are() {
    let png = |value| whole(BodyFormat::Binary, "image/png", value);
    for value in [r#""iVBO/w==""#, r#""iVBO/w""#, r#""iVBO\n /w==""#] {
        let body = png(value).unwrap();
        assert_eq!(body.bytes, b"\x89PN\xff"[..], "{value}");
        assert_eq!(body.media_type, "image/png");
    }
    for value in [r#""iVBO_w==""#, "17", r#""a""#] {
        let error = png(value).unwrap_err();
        assert!(error.to_string().contains("argument: body"), "{error}");
        assert!(error.message().contains("base64"), "{error}");
    }
}

#[test]
fn a_list_goes_as_lines() {
    let value = "[{\"a\": \"x y\"},\n null, 1.10]";
    let body = whole(BodyFormat::JsonLines, "application/x-ndjson", value).unwrap();
    assert_eq!(body.bytes, "{\"a\":\"x y\"}\nnull\n1.10\n");
    let body = whole(BodyFormat::JsonLines, "application/json-seq", "[1]").unwrap();
    assert_eq!(body.bytes, "\u{1e}1\n");
    let body = whole(BodyFormat::JsonLines, "application/jsonl", r#"{"a": 1}"#).unwrap();
    assert_eq!(body.bytes, "{\"a\":1}\n");
}

#[test]
fn the_members_of_one_argument_are_parts() {
    let value = r#"{"a": "x", "b": [1, {"c": 2}]}"#;
    let body = whole(BodyFormat::Multipart, "multipart/form-data", value).unwrap();
    let boundary = body.media_type.split_once('=').unwrap().1;
    let text = String::from_utf8(body.bytes.to_vec()).unwrap();
    assert_eq!(text.matches(&format!("--{boundary}\r\n")).count(), 3);
    assert!(text.contains("name=\"b\"\r\nContent-Type: application/json\r\n\r\n{\"c\":2}\r\n"));
    assert!(whole(BodyFormat::Multipart, "multipart/form-data", "[1]").is_err());
}
