use mcphub_core::spec::{Parsed, SpecParser};
use serde_json::json;

use super::*;
use crate::openapi::OpenApiParser;

fn imported(collection: Value) -> (Value, Parsed) {
    let document = Document {
        source: "shop.postman_collection.json".to_owned(),
        bytes: collection.to_string().into(),
    };
    let document = openapi(document, &ParserSettings::default()).unwrap();
    let parsed = OpenApiParser::default().parse(&document).unwrap();
    (serde_json::from_slice(&document.bytes).unwrap(), parsed)
}

fn collection(items: Value) -> Value {
    json!({
        "info": {"name": "Shop", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
        "variable": [{"key": "base", "value": "https://{{host}}/v1"}, {"key": "host", "value": "shop.test"},
            {"key": "loop", "value": "{{loop}}{{loop}}"}, {"key": "edition", "value": "s3cret"}],
        "item": items,
    })
}

#[test]
fn requests_become_operations() {
    let (_, parsed) = imported(collection(json!([{"name": "Books", "item": [
        {"name": "Find books", "request": {"method": "GET", "description": {"content": "Finds."},
            "url": {"raw": "{{base}}/books/:id/{{edition}}?q=sea&token=s3cret",
                "query": [{"key": "q", "value": "sea", "description": "Words."}],
                "variable": [{"key": "id", "value": "7", "description": "Which."}]},
            "header": [{"key": "X-Tenant", "value": "acme"}, {"key": "Authorization", "value": "Bearer s3cret"}]}},
        {"name": "Lend", "request": {"method": "LEND", "url": "other.test/books"}},
        {"name": "Again", "request": {"method": "GET", "url": "{{base}}/books/:id/{{edition}}?page=2"}},
    ]}])));
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(parsed.spec.title, "Shop");
    assert_eq!(parsed.spec.servers, ["https://shop.test"]);
    let [find, lend] = &parsed.spec.operations[..] else {
        panic!("two operations")
    };
    assert_eq!(find.path, "/v1/books/{id}/{edition}");
    assert_eq!(
        (
            find.id.as_deref(),
            find.description.as_deref(),
            find.tags.as_slice()
        ),
        (
            Some("Find books"),
            Some("Finds."),
            &["Books".to_owned()][..]
        )
    );
    let names: Vec<_> = find.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["id", "edition", "q", "token", "X-Tenant", "page"]);
    assert_eq!(find.parameters[0].description.as_deref(), Some("Which."));
    assert_eq!(
        (lend.method.as_str(), lend.servers.as_slice()),
        ("LEND", &["https://other.test".to_owned()][..])
    );
}

#[test]
fn bodies_and_answers_say_their_types_and_no_value() {
    let example = r#"{"title": "s3cret", "price": 1, "tags": [{"a": 1}, {"a": 1.5, "b": null}, {"b": true}], "none": []}"#;
    let (text, parsed) = imported(collection(json!([
        {"name": "a", "request": {"method": "POST", "url": "{{base}}/a", "body": {"mode": "raw", "raw": example}},
            "response": [{"name": "Made", "code": 201, "body": example}, {"code": 404, "body": "no"}]},
        {"name": "b", "request": {"method": "POST", "url": "{{base}}/b", "body": {"mode": "formdata", "formdata": [
            {"key": "photo", "type": "file"}, {"key": "note", "value": "s3cret", "description": "A note."}]}}},
        {"name": "c", "request": {"method": "POST", "url": "{{base}}/c", "body": {"mode": "raw",
            "raw": "{\"id\": {{id}}}", "options": {"raw": {"language": "json"}}}}},
    ])));
    assert!(!text.to_string().contains("s3cret"));
    assert_eq!(parsed.diagnostics, []);
    let operations = &parsed.spec.operations;
    let expected = json!({"type": "object", "properties": {"title": {"type": "string"}, "price": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "boolean"}}}},
        "none": {"type": "array", "items": {}}}});
    let content = |index: usize| &operations[index].body.as_ref().unwrap().content[0];
    assert_eq!(content(0).schema, expected);
    assert_eq!(operations[0].responses[0].content[0].1, expected);
    assert_eq!(content(1).media_type, "multipart/form-data");
    assert_eq!(content(2).media_type, "application/json");
}

#[test]
fn credentials_are_what_the_collection_asks_for() {
    let mut collection = collection(json!([
        {"name": "a", "request": {"url": "{{base}}/a"}},
        {"name": "b", "request": {"url": "{{base}}/b", "auth": {"type": "noauth"}}},
        {"name": "c", "request": {"url": "{{base}}/c", "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "s3cret"}]}}},
    ]));
    collection["auth"] = json!({"type": "apikey", "apikey": [{"key": "key", "value": "X-Key"}, {"key": "value", "value": "s3cret"}]});
    let (text, parsed) = imported(collection);
    assert!(!text.to_string().contains("s3cret"));
    let security: Vec<_> = parsed
        .spec
        .operations
        .iter()
        .map(|o| o.security.concat())
        .collect();
    assert_eq!(security, [vec!["apikey"], vec![], vec!["bearer"]]);
}

#[test]
fn what_is_hostile_ends() {
    let (_, parsed) = imported(collection(json!([
        {"name": "a", "request": {"url": "{{loop}}/a"}}, {"request": 7}, {"item": {}}, 5,
        {"request": {"url": {"raw": "{{base}}/%zz/../:/{{"}, "method": "A B", "body": {"mode": "raw"}, "auth": 3}},
    ])));
    assert!(parsed.spec.operations.len() <= 2);
}

#[test]
fn any_other_document_is_left_alone() {
    let text = r#"{"openapi": "3.0.0",  "x-note": "schema.getpostman.com/json/collection/v2"}"#;
    let document = Document {
        source: "a.json".to_owned(),
        bytes: text.into(),
    };
    let same = openapi(document, &ParserSettings::default()).unwrap();
    assert_eq!(same.bytes, text);
}

#[test]
fn what_a_browser_sent_becomes_operations_of_the_origin_that_has_data() {
    let entry = |method: &str, url: &str, mime: &str| {
        json!({"request": {"method": method, "url": url, "headers": [{"name": "Authorization", "value": "Bearer s3cret"}]},
            "response": {"status": 200, "content": {"mimeType": mime, "text": r#"{"token": "s3cret", "n": 1}"#}}})
    };
    let mut made = entry(
        "POST",
        "https://api.test/orders",
        "application/json; charset=utf-8",
    );
    made["request"]["postData"] =
        json!({"mimeType": "application/json", "text": r#"{"note": "s3cret"}"#});
    let (text, parsed) = imported(json!({"log": {"version": "1.2", "entries": [
        entry("GET", "https://shop.test/", "text/html"),
        entry("GET", "https://spy.test/collect", "application/json"),
        entry("GET", "https://api.test/orders/17/lines/6ba7b810-9dad-11d1-80b4-00c04fd430c8?key=s3cret", "application/json"),
        entry("GET", "https://api.test/orders/18/lines/6ba7b811-9dad-11d1-80b4-00c04fd430c8?page=2", "application/json"),
        made, {"request": 1}, 7,
    ]}}));
    assert!(!text.to_string().contains("s3cret"));
    assert_eq!(parsed.diagnostics, []);
    assert_eq!(
        (parsed.spec.title.as_str(), parsed.spec.servers.as_slice()),
        ("api.test", &["https://api.test".to_owned()][..])
    );
    let [lines, order] = &parsed.spec.operations[..] else {
        panic!("two operations")
    };
    assert_eq!(lines.path, "/orders/{id}/lines/{id2}");
    let names: Vec<_> = lines.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["id", "id2", "key", "page"]);
    assert_eq!(lines.security, [["bearer"]]);
    assert_eq!(
        order.body.as_ref().unwrap().content[0].schema,
        json!({"type": "object", "properties": {"note": {"type": "string"}}})
    );
}
