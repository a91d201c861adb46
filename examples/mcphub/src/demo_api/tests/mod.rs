//! The shop, asked through its router. Each answer is also held against the document.

mod reading;
mod refusing;
mod writing;

use std::sync::LazyLock;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{API_KEY, DOCUMENT, DemoApi};

static OPENAPI: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(DOCUMENT).expect("the document is YAML"));

/// One request, in the making.
struct Ask {
    api: DemoApi,
    operation: Operation,
    request: Request<Body>,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    /// Null when the answer has no body.
    body: Value,
}

#[derive(Clone)]
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// As in the document; a shared parameter is not needed here.
    object: Value,
}

/// Every operation of the document.
fn operations() -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in OPENAPI["paths"].as_object().expect("paths") {
        for (method, object) in item.as_object().expect("a path item") {
            let Some(id) = object["operationId"].as_str() else {
                continue;
            };
            operations.push(Operation {
                id: id.to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                object: object.clone(),
            });
        }
    }
    operations
}

/// Asks for an operation at `target`, a path with an optional query.
fn ask(api: &DemoApi, operation: &str, target: &str) -> Ask {
    let mut found = operations()
        .into_iter()
        .filter(|candidate| candidate.id == operation);
    let operation = found.next().expect("an operation of the document");
    let request = Request::builder().method(&operation.method).uri(target);
    let request = request.body(Body::empty()).expect("a request");
    Ask {
        api: api.clone(),
        operation,
        request,
    }
}

impl Ask {
    fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = value.parse().expect("a header value");
        self.request.headers_mut().append(name, value);
        self
    }

    fn with_key(self) -> Self {
        self.header("x-api-key", API_KEY)
    }

    fn body(mut self, media_type: &str, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self.header("content-type", media_type)
    }

    fn json(self, body: Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends the request and checks that the document promises such an answer.
    async fn send(self) -> Answer {
        let answer = send(&self.api, self.request).await;
        let status = answer.status.to_string();
        let responses = &self.operation.object["responses"];
        let response = resolve(&responses[&status]);
        let id = &self.operation.id;
        assert!(
            response.is_object(),
            "{id} answers {status}, which is not documented"
        );
        match response["content"]
            .as_object()
            .and_then(|content| content.iter().next())
        {
            Some((media_type, media)) => {
                assert_eq!(
                    answer.headers["content-type"],
                    media_type.as_str(),
                    "{id} {status}"
                );
                assert_conforms(&media["schema"], &answer.body);
            }
            None => assert_eq!(answer.body, Value::Null, "{id} {status}"),
        }
        answer
    }
}

impl Answer {
    /// The `(in, name)` of each violation.
    fn violations<'a>(&'a self) -> Vec<(&'a str, &'a str)> {
        let errors = self.body["errors"].as_array().expect("errors");
        let text = |error: &'a Value, member| error[member].as_str().expect("text");
        errors
            .iter()
            .map(|error| (text(error, "in"), text(error, "name")))
            .collect()
    }
}

async fn send(api: &DemoApi, request: Request<Body>) -> Answer {
    let response = api
        .clone()
        .router()
        .oneshot(request)
        .await
        .expect("infallible");
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a short body");
    let body = match body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&body).expect("JSON"),
    };
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

/// Follows a local reference.
fn resolve(value: &Value) -> &Value {
    match value["$ref"]
        .as_str()
        .and_then(|reference| reference.strip_prefix('#'))
    {
        Some(pointer) => OPENAPI.pointer(pointer).expect("a reference to something"),
        None => value,
    }
}

fn assert_conforms(schema: &Value, body: &Value) {
    let mut root = schema.clone();
    root["components"] = OPENAPI["components"].clone();
    allow_null(&mut root);
    let validator = jsonschema::draft202012::new(&root).expect("a schema");
    if let Err(error) = validator.validate(body) {
        panic!("{error} at {} in {body}", error.instance_path());
    }
}

/// Writes `nullable` of OpenAPI 3.0 (Schema Object) as JSON Schema has it.
fn allow_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(allow_null),
        Value::Object(members) => {
            members.values_mut().for_each(allow_null);
            if members.get("nullable") == Some(&Value::Bool(true)) {
                let kind = members["type"].take();
                members.insert("type".to_owned(), json!([kind, "null"]));
            }
        }
        _ => {}
    }
}
