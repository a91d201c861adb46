use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_core::spec::SpecParser;
use mcphub_core::tool::{PlanOptions, Planner};
use url::Url;

use super::*;
use crate::openapi::OpenApiParser;
use crate::plan::ToolPlanner;
use crate::targets::example;

fn mock(text: &str) -> Mock {
    let document = Document {
        source: "/test.yaml".to_owned(),
        bytes: text.to_owned().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    Mock::new(&document, parsed).unwrap()
}

fn ask(
    mock: &Mock,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let answer = mock.answer(&Request {
        method,
        path,
        query,
        headers: &headers,
        body: body.as_bytes(),
    });
    let body = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    (answer.status, body)
}

fn pets() -> Mock {
    mock(&json!({
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1"},
        "servers": [{"url": "https://pets.test/v1/"}],
        "security": [{"key": []}],
        "paths": {
            "/pets": {
                "get": {"security": [], "parameters": [
                    {"name": "limit", "in": "query", "required": true, "schema": {"type": "integer", "maximum": 9}},
                    {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}},
                ], "responses": {
                    "200": {"content": {"application/json": {"examples": {"one": {"$ref": "#/components/examples/Two"}}}}},
                    "404": {"content": {"application/json": {"schema": {"type": "object", "properties": {"why": {"type": "string"}}}}}},
                }},
                "post": {"requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}},
                    "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}}},
            },
            "/pets/mine": {"get": {"security": [], "responses": {"204": {}}}},
            "/pets/{id}.{ending}": {"get": {"security": [], "responses": {"200": {"content": {"text/plain": {"example": "plain"}}}}}},
            "/pets/{id}": {"get": {"security": [], "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}],
                "responses": {"default": {}}}},
        },
        "components": {
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
            "examples": {"Two": {"value": [1, 2]}},
            "schemas": {"Pet": {"type": "object", "required": ["id", "name"], "properties": {
                "id": {"type": "integer", "readOnly": true}, "name": {"type": "string", "maxLength": 5},
                "secret": {"type": "string", "writeOnly": true}, "key": {"$ref": "#/components/schemas/Key"},
                "parent": {"$ref": "#/components/schemas/Pet"}}},
                "Key": {"type": "string", "writeOnly": true}},
        },
    })
    .to_string())
}

#[test]
fn paths_and_methods_are_those_of_the_document() {
    let mock = pets();
    for (method, target, status) in [
        ("GET", "/v1/pets?limit=3", 200),
        ("GET", "/pets?limit=3", 200),
        ("GET", "/v1/pets/mine", 204),
        ("GET", "/v1/pets/7.txt", 200),
        ("GET", "/v1/pets/7", 200),
        ("GET", "/v1/pets/", 404),
        ("GET", "/v1/pets/7/8", 404),
        ("PUT", "/v1/pets", 405),
    ] {
        assert_eq!(
            ask(&mock, method, target, &[], "").0,
            status,
            "{method} {target}"
        );
    }
    let headers = [];
    let put = Request {
        method: "PUT",
        path: "/pets",
        query: "",
        headers: &headers,
        body: b"",
    };
    assert_eq!(mock.answer(&put).allow.as_deref(), Some("GET, POST"));
}

#[test]
fn examples_come_before_what_is_made_of_a_schema() {
    let mock = pets();
    assert_eq!(ask(&mock, "GET", "/pets?limit=1", &[], "").1, json!([1, 2]));
    let key = [("x-key", "k"), ("content-type", "application/json")];
    let (status, pet) = ask(&mock, "POST", "/pets", &key, r#"{"name": "Rex"}"#);
    assert_eq!(status, 201);
    assert!(pet["name"].is_string() && pet["id"].is_number(), "{pet}");
    // What is only for requests is in no answer.
    assert!(pet["secret"].is_null() && pet["key"].is_null(), "{pet}");
    assert_eq!(
        ask(&mock, "POST", "/pets", &key, r#"{"name": "Rex"}"#).1,
        pet
    );
}

#[test]
fn every_problem_of_a_request_is_told() {
    let mock = pets();
    let problems = |method: &str, target: &str, headers: &[(&str, &str)], body: &str| {
        let (status, body) = ask(&mock, method, target, headers, body);
        (
            status,
            body["detail"].as_str().unwrap_or_default().to_owned(),
        )
    };
    for (target, said) in [
        ("/pets", "limit: is required"),
        ("/pets?limit=many", "limit: \"many\" is not of type"),
        ("/pets?limit=10", "limit: 10 is greater than"),
        ("/pets?limit=1&tag=a&tag=c", "tag: \"c\" is not one of"),
        ("/pets/x", "id: \"x\" is not of type"),
    ] {
        let (status, told) = problems("GET", target, &[], "");
        assert_eq!(status, 400, "{target}");
        assert!(told.contains(said), "{target}: {told}");
    }
    let (status, told) = problems("POST", "/pets", &[], "{}");
    assert!(status == 401 && told == "needs key", "{told}");
    let json = [("x-key", "k"), ("content-type", "application/json")];
    for (headers, body, status, said) in [
        (&json[..], "", 400, "the body is missing"),
        (&json[..], "{", 400, "not JSON"),
        (
            &json[..],
            r#"{"parent": {"name": "longer"}}"#,
            400,
            "/parent/name",
        ),
        (&json[..], "{}", 400, "\"name\" is a required property"),
        (&json[..1], "x", 415, ""),
    ] {
        let (found, told) = problems("POST", "/pets", headers, body);
        assert_eq!(found, status, "{body}");
        assert!(told.contains(said), "{body}: {told}");
    }
}

#[test]
fn a_preferred_answer_is_given_whatever_was_asked() {
    let mock = pets();
    let (status, body) = ask(&mock, "GET", "/pets", &[("Prefer", "code=404")], "");
    assert_eq!(status, 404);
    assert!(body["why"].is_string());
    assert_eq!(
        ask(&mock, "GET", "/pets", &[("Prefer", "code=503")], "").0,
        503
    );
}

/// What the tools of a document send is what its mock takes.
#[test]
fn the_calls_of_every_tool_are_right() {
    for source in [
        include_str!("../../../../examples/specs/bookshop.yaml"),
        include_str!("../../../../examples/specs/parameters.yaml"),
        include_str!("../../../../examples/specs/bodies.yaml"),
        include_str!("../../../../examples/specs/collections.yaml"),
    ] {
        let mock = mock(source);
        let plan = ToolPlanner::new()
            .plan(&mock.parsed, &PlanOptions::default())
            .unwrap();
        let base = Url::parse(&format!("http://mock.test{}", mock.base_path())).unwrap();
        let mut credentials = Credentials::default();
        for name in plan.tools.security_schemes.keys() {
            credentials
                .schemes
                .insert(name.clone(), "user:secret".into());
        }
        for tool in &plan.tools.tools {
            let arguments = Value::Object(example::arguments(tool).unwrap());
            let text = arguments.to_string();
            let arguments = Arguments::parse(&text).unwrap();
            let mut request = tool.binding.request(&base, &arguments).unwrap();
            request.authorize(
                &tool.binding.security,
                &plan.tools.security_schemes,
                &credentials,
            );
            let answer = mock.answer(&Request {
                method: request.method.as_str(),
                path: request.url.path(),
                query: request.url.query().unwrap_or_default(),
                headers: &request.headers,
                body: request.body.as_ref().map_or(&[], |body| &body.bytes),
            });
            let told = String::from_utf8_lossy(&answer.body);
            assert!((200..300).contains(&answer.status), "{}: {told}", tool.name);
            if let (Some(output), mcphub_core::tool::OutputShape::Object) =
                (&tool.output, tool.binding.output)
            {
                let value: Value = serde_json::from_slice(&answer.body).unwrap();
                let validator = jsonschema::validator_for(&output.to_value()).unwrap();
                assert!(validator.is_valid(&value), "{}: {value}", tool.name);
            }
        }
    }
}
