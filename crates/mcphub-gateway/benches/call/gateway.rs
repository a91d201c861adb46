//! The gateway that is compared with a proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::catalog::{Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolSet;
use mcphub_gateway::{Gateway, Listener};
use serde_json::json;
use tokio::net::TcpListener;
use url::Url;

/// A gateway with one native server, `shop`, as `mcphub serve` serves it.
pub async fn start(api: SocketAddr) -> SocketAddr {
    let server = CatalogServer {
        name: ServerName::new("shop").expect("a name"),
        revision: CatalogVersion::default(),
        tools: Arc::new(tools()),
        upstream: Upstream::Native {
            base_url: Url::parse(&format!("http://{api}/")).expect("a URL"),
            credentials: Credentials::default(),
        },
    };
    let source = Fixed(Catalog {
        version: CatalogVersion::default(),
        servers: vec![Arc::new(server)],
        ..Catalog::default()
    });
    let gateway = Gateway::builder(Arc::new(source))
        .build()
        .expect("a gateway");
    gateway.refresh().await.expect("a catalogue");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let never = std::future::pending();
        gateway.serve(Listener::new(listener), never).await;
    });
    address
}

#[derive(Debug)]
struct Fixed(Catalog);

#[async_trait]
impl CatalogSource for Fixed {
    async fn version(&self) -> Result<CatalogVersion> {
        Ok(self.0.version)
    }

    async fn catalog(&self) -> Result<Catalog> {
        Ok(self.0.clone())
    }
}

fn tools() -> ToolSet {
    let object = |properties: serde_json::Value, required: serde_json::Value| json!({"root": {"type": "object", "properties": properties, "required": required, "additionalProperties": false}});
    let annotations = json!({"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true});
    let isbn = json!({"argument": "isbn", "name": "isbn", "in": "path", "required": true, "style": "simple", "explode": false});
    let fields = json!({"argument": "fields", "name": "fields", "in": "query", "required": false, "style": "form", "explode": true});
    let strings = json!({"type": "array", "items": {"type": "string"}});
    let text = json!({"type": "string"});
    let number = json!({"type": "number"});
    let book =
        json!({"isbn": text, "title": text, "authors": strings, "price": number, "tags": strings});
    let answer = json!({"root": {"type": "object", "required": ["isbn"], "properties": {
        "isbn": text, "title": text, "authors": strings, "price": number, "tags": strings,
        "publisher": {"type": "object", "properties": {"name": text, "founded": {"type": "integer"}}},
        "reviews": {"type": "array", "items": {"type": "object", "properties": {"by": text, "stars": {"type": "integer"}, "text": text}}},
    }}});
    let members = ["isbn", "title", "authors", "price", "tags"]
        .map(|name| json!({"argument": name, "name": name}));
    let set = json!({
        "planVersion": mcphub_core::tool::PLAN_VERSION,
        "api": {"title": "Shop", "version": "1", "dialect": "openapi-3.0"},
        "servers": [], "securitySchemes": {}, "definitions": [],
        "tools": [
            {"name": "get_book", "description": "A book", "annotations": annotations,
             "input": object(json!({"isbn": text, "fields": strings}), json!(["isbn"])),
             "binding": {"method": "GET", "path": "/books/{isbn}", "accept": "application/json", "parameters": [isbn, fields]}},
            {"name": "get_typed_book", "description": "A book", "annotations": annotations,
             "input": object(json!({"isbn": text}), json!(["isbn"])), "output": answer,
             "binding": {"method": "GET", "path": "/books/{isbn}", "accept": "application/json", "parameters": [isbn], "output": "object"}},
            {"name": "add_book", "description": "A new book", "annotations": annotations,
             "input": object(book, json!(["isbn", "title"])),
             "binding": {"method": "POST", "path": "/books", "accept": "application/json", "parameters": [],
                         "body": {"mediaType": "application/json", "format": "json", "required": true, "source": {"members": members}}}},
        ],
    });
    serde_json::from_value(set).expect("a tool set")
}
