//! A client of either era, in front of a gateway with MCP servers behind it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::mcp_server::{Era, McpServer};
use crate::support::{Events, Hub, Served, answer, modern_body, quick, serve_hub, until};

/// The capabilities of a client that can be asked for all there is.
pub const ALL: &str = r#"{"elicitation":{"url":{}},"roots":{},"sampling":{}}"#;

pub const ERAS: [Era; 2] = [Era::Modern, Era::Legacy];

pub async fn in_front_of(servers: &[(&str, &Arc<McpServer>)]) -> Served {
    let hub = Arc::new(Hub::default());
    for (name, server) in servers {
        hub.attach(name, &server.url);
    }
    let served = serve_hub(hub, quick()).await;
    until("the first list", async || {
        served
            .gateway
            .servers()
            .iter()
            .all(|server| server.tools > 0)
    })
    .await;
    served
}

pub async fn with_one(era: Era) -> (Served, Arc<McpServer>) {
    let server = McpServer::start(era).await;
    (in_front_of(&[("shop", &server)]).await, server)
}

/// A client of one era at one endpoint.
pub struct Client<'a> {
    served: &'a Served,
    path: &'a str,
    pub session: Option<String>,
    capabilities: Value,
}

impl<'a> Client<'a> {
    pub async fn of(served: &'a Served, path: &'a str, era: Era) -> Self {
        Self::able(served, path, era, ALL).await
    }

    pub async fn able(served: &'a Served, path: &'a str, era: Era, capabilities: &str) -> Self {
        let capabilities: Value = serde_json::from_str(capabilities).unwrap();
        let session = match era {
            Era::Modern => None,
            Era::Legacy => {
                let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                    "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t", "version": "1"}}});
                let response = served
                    .post(path)
                    .body(body.to_string())
                    .send()
                    .await
                    .unwrap();
                Some(
                    response.headers()["mcp-session-id"]
                        .to_str()
                        .unwrap()
                        .to_owned(),
                )
            }
        };
        Self {
            served,
            path,
            session,
            capabilities,
        }
    }

    pub fn request(&self, id: i64, method: &str, mut params: Value) -> reqwest::RequestBuilder {
        match &self.session {
            None => {
                let meta = params["_meta"].take();
                let mut body = modern_body(id, method, {
                    params.as_object_mut().unwrap().remove("_meta");
                    params
                });
                let whole = &mut body["params"]["_meta"];
                whole["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
                for (name, value) in meta.as_object().into_iter().flatten() {
                    whole[name] = value.clone();
                }
                self.served.modern_request(self.path, &body)
            }
            Some(session) => {
                let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
                self.in_session(session).body(body.to_string())
            }
        }
    }

    pub fn in_session(&self, session: &str) -> reqwest::RequestBuilder {
        self.served
            .post(self.path)
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25")
    }

    pub async fn ask(&self, method: &str, params: Value) -> Value {
        answer(self.request(1, method, params)).await.1
    }

    pub async fn result(&self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        answer
            .get("result")
            .unwrap_or_else(|| panic!("{method}: {answer}"))
            .clone()
    }

    pub async fn events(&self, id: i64, method: &str, params: Value) -> Events {
        Events::open(self.request(id, method, params)).await
    }

    /// Says something that has no answer.
    pub async fn tell(&self, method: &str, params: Value) {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params});
        let session = self.session.as_deref().unwrap();
        let (status, _) = answer(self.in_session(session).body(body.to_string())).await;
        assert_eq!(status, 202);
    }

    /// Answers a request that came on a stream.
    pub async fn respond(&self, id: &Value, result: Value) {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
        let session = self.session.as_deref().unwrap();
        let (status, _) = answer(self.in_session(session).body(body.to_string())).await;
        assert_eq!(status, 202);
    }
}

/// What a server got as `params`, which its results repeat as text.
pub fn got(text: &Value) -> Value {
    serde_json::from_str(text.as_str().unwrap()).unwrap()
}
