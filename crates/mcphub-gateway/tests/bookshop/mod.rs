//! The tools of a small API, as a plan has them.

#![allow(dead_code, missing_docs)]

pub mod hub;

use std::sync::{Arc, Once};

use mcphub_core::secret::Credentials;
use mcphub_core::tool::ToolSet;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde_json::{Value, json};
use url::Url;

/// The tools: `get_book`, `add_book`, `order_book`, `find_books`, `open_hours`, `public`, `private`, `either`.
pub fn bookshop() -> Arc<ToolSet> {
    let simple = |name: &str, location: &str, required: bool| {
        let style = if matches!(location, "path" | "header") {
            "simple"
        } else {
            "form"
        };
        json!({"argument": name, "name": name, "in": location, "required": required, "style": style, "explode": style == "form"})
    };
    let object = |properties: Value, required: Value| json!({"root": {"type": "object", "properties": properties, "required": required, "additionalProperties": false}, "uses": []});
    let tool = |name: &str, method: &str, path: &str, input: Value, parameters: Value| {
        json!({
            "name": name, "description": "", "input": input,
            "annotations": {"readOnlyHint": method == "GET", "destructiveHint": false, "idempotentHint": true, "openWorldHint": true},
            "binding": {"method": method, "path": path, "accept": "application/json", "parameters": parameters},
        })
    };
    let with = |mut tool: Value, binding: Value, more: Value| {
        for (key, value) in binding.as_object().unwrap() {
            tool["binding"][key] = value.clone();
        }
        for (key, value) in more.as_object().unwrap() {
            tool[key] = value.clone();
        }
        tool
    };
    let none = || object(json!({}), json!([]));
    let book = json!({"root": {"type": "object", "properties": {"isbn": {"type": "string"}, "price": {"type": "number"}}, "required": ["isbn"]}, "uses": []});
    let address = json!({
        "type": "object", "required": ["zip"], "additionalProperties": false,
        "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "lines": {"type": "array", "items": {"type": "string"}, "maxItems": 2}},
    });
    let set = json!({
        "planVersion": mcphub_core::tool::PLAN_VERSION,
        "api": {"title": "Bookshop", "version": "1", "dialect": "openapi-3.0"},
        "servers": [],
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "query", "name": "api_key"},
            "token": {"type": "bearer"},
        },
        "definitions": [],
        "tools": [
            with(
                tool("get_book", "GET", "/books/{isbn}",
                    object(json!({"isbn": {"type": "string"}, "X-Trace": {"type": "string"}}), json!(["isbn"])),
                    json!([simple("isbn", "path", true), simple("X-Trace", "header", false)])),
                json!({"output": "object"}),
                json!({"title": "Get a book", "output": book}),
            ),
            with(
                tool("add_book", "POST", "/books",
                    object(json!({
                        "isbn": {"type": "string", "minLength": 3},
                        "pages": {"type": "integer", "minimum": 1},
                        "kind": {"enum": ["novel", "poems"]},
                        "address": address,
                        "price": {"anyOf": [{"type": "number"}, {"type": "null"}]},
                    }), json!(["isbn"])),
                    json!([])),
                json!({"body": {"mediaType": "application/json", "format": "json", "required": true, "source": {"members": [
                    {"argument": "isbn", "name": "isbn"}, {"argument": "pages", "name": "pages"}, {"argument": "kind", "name": "kind"},
                    {"argument": "address", "name": "address"}, {"argument": "price", "name": "price"},
                ]}}}),
                json!({}),
            ),
            with(
                tool("order_book", "POST", "/orders/{isbn}",
                    object(json!({"isbn": {"type": "string"}}), json!(["isbn"])),
                    json!([simple("isbn", "path", true)])),
                json!({}),
                json!({"annotations": {"readOnlyHint": false, "destructiveHint": false, "idempotentHint": false, "openWorldHint": true}}),
            ),
            tool("find_books", "GET", "/books",
                object(json!({"tag": {"type": "array", "items": {"type": "string"}}}), json!([])),
                json!([simple("tag", "query", false)])),
            tool("open_hours", "GET", "/hours", none(), json!([])),
            tool("public", "GET", "/public", none(), json!([])),
            with(tool("private", "GET", "/private", none(), json!([])), json!({"security": [["token"]]}), json!({})),
            with(tool("either", "GET", "/either", none(), json!([])), json!({"security": [["key"], ["token"]]}), json!({})),
        ],
    });
    Arc::new(serde_json::from_value(set).unwrap())
}

/// The bookshop at `url`.
pub fn native(url: &Url, credentials: Credentials) -> NativeApi {
    native_with(url, credentials, |_| {})
}

/// The bookshop with other limits.
pub fn native_with(
    url: &Url,
    credentials: Credentials,
    change: impl FnOnce(&mut NativeSettings),
) -> NativeApi {
    install_crypto();
    let mut settings = NativeSettings::default();
    change(&mut settings);
    NativeApi::new(bookshop(), url.clone(), credentials, settings).unwrap()
}

/// What the program does when it starts.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap()
    });
}
