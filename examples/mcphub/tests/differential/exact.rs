//! Integers beyond 64 bits, digit by digit: from a client to the API and back, from the gateway itself
//! and from the generated servers in every language.

use std::sync::Arc;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::generated::Language;
use crate::recorder::Recorder;

const BIG: &str = "12345678901234567891";
const SMALL: &str = "-98765432109876543211";

/// What the API answers, in no order of an alphabet.
const ANSWER: &str =
    r#"{"n":12345678901234567891,"deep":[{"a":-98765432109876543211}],"half":0.5}"#;

/// Integers in all places of a request, as the document types them.
fn tools() -> Arc<ToolSet> {
    let integer = json!({"type": "integer"});
    let parameter =
        |place: &str| json!({"name": place, "in": place, "required": true, "schema": integer});
    let body = json!({"type": "object", "required": ["n", "list", "deep"], "properties": {
        "n": {"type": "integer", "minimum": 0}, "list": {"type": "array", "items": integer},
        "deep": {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}},
    }});
    let answer = json!({"type": "object", "properties": {
        "n": integer, "deep": {"type": "array", "items": {"type": "object", "properties": {"a": integer}}},
        "half": {"type": "number"},
    }});
    let answers =
        json!({"200": {"description": "", "content": {"application/json": {"schema": answer}}}});
    let post = |name: &str, media_type: &str| {
        json!({"post": {"operationId": name, "responses": answers,
            "requestBody": {"required": true, "content": {media_type: {"schema": body}}}}})
    };
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Exact", "version": "1"}, "x-mcp": {"fields": true},
        "paths": {
            "/at/{path}": {"get": {"operationId": "places", "responses": answers, "parameters": [
                parameter("path"), parameter("query"), parameter("header"), parameter("cookie")]}},
            "/json": post("json", "application/json"),
            "/form": post("form", "application/x-www-form-urlencoded"),
            "/parts": post("parts", "multipart/form-data"),
        },
    });
    let document = Document {
        source: "exact.json".to_owned(),
        bytes: document.to_string().into(),
    };
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    let plan = ToolPlanner::default().plan(&parsed, &PlanOptions::default());
    Arc::new(plan.unwrap().tools)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    content: Vec<Text>,
    structured_content: Box<RawValue>,
    #[serde(default)]
    is_error: bool,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// Calls a tool, holds its result against what the API answered, and gives the request.
async fn request(
    upstream: &dyn Upstream,
    recorder: &Recorder,
    tool: &str,
    arguments: &str,
) -> String {
    let parsed = Arguments::parse(arguments).unwrap();
    let result = upstream.call(tool, &parsed).await.unwrap();
    let text = String::from_utf8(result.as_bytes().to_vec()).unwrap();
    let shown: Shown =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(!shown.is_error, "{text}");
    let expected = match arguments.contains("fields") {
        true => r#"{"n":12345678901234567891}"#,
        false => ANSWER,
    };
    assert_eq!(shown.content[0].text, expected, "{text}");
    assert_eq!(shown.structured_content.get(), expected, "{text}");
    let [request] = &recorder.take()[..] else {
        panic!("not one request: {text}");
    };
    let headers = request.headers.iter();
    let headers = headers.filter(|(name, _)| matches!(name.as_str(), "header" | "cookie"));
    let headers: Vec<_> = headers
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    let body = String::from_utf8_lossy(&request.body.bytes);
    format!("{} {} {body}", request.target, headers.join(" "))
}

async fn check(upstream: &dyn Upstream, recorder: &Recorder, shown: &str) {
    recorder.answer((200, "application/json", ANSWER.as_bytes()));
    let places = format!(r#"{{"path":{BIG},"query":{SMALL},"header":{BIG},"cookie":{SMALL}}}"#);
    let places = request(upstream, recorder, "places", &places).await;
    assert_eq!(
        places.trim(),
        format!("/base/at/{BIG}?query={SMALL} cookie: cookie={SMALL} header: {BIG}"),
        "{shown}"
    );
    let body = format!(r#"{{"n":{BIG},"list":[{SMALL},{BIG}],"deep":{{"n":{SMALL}}}}}"#);
    let json = request(upstream, recorder, "json", &body).await;
    assert_eq!(json, format!("/base/json  {body}"), "{shown}");
    let form = request(upstream, recorder, "form", &body).await;
    let deep = format!("%7B%22n%22%3A{SMALL}%7D");
    let expected = format!("/base/form  n={BIG}&list={SMALL}&list={BIG}&deep={deep}");
    assert_eq!(form, expected, "{shown}");
    let parts = request(upstream, recorder, "parts", &body).await;
    for expected in [format!("\r\n\r\n{BIG}\r\n"), format!("{{\"n\":{SMALL}}}")] {
        assert!(parts.contains(&expected), "{shown}: {parts}");
    }
    let fields = format!(
        r#"{},"fields":["n"]}}"#,
        body.trim_end_matches('}').to_owned() + "}"
    );
    request(upstream, recorder, "json", &fields).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_beyond_64_bits_keep_their_digits() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tools = tools();
    let recorder = Recorder::start().await;
    let none = Credentials::default();
    let settings = NativeSettings::default();
    let native = NativeApi::new(tools.clone(), recorder.url.clone(), none.clone(), settings);
    check(&native.unwrap(), &recorder, "native").await;
    for language in Language::wanted() {
        let server = language.start("exact", &tools, &recorder, &none).await;
        check(&server.upstream, &recorder, &format!("{language:?}")).await;
        server.stop().await;
    }
}
