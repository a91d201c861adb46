//! An MCP server of either era, word by word, that notes what it is sent.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::wrappers::{BroadcastStream, UnboundedReceiverStream};
use url::Url;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    Modern,
    Legacy,
}

/// A message that the server was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub headers: HeaderMap,
    pub text: String,
    pub body: Value,
}

#[derive(Debug)]
pub struct McpServer {
    pub url: Url,
    pub era: Era,
    sent: Mutex<Vec<Sent>>,
    /// Streams whose reader went away.
    pub dropped: AtomicUsize,
    sessions: AtomicUsize,
    asked: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    /// What the stream of a session, or a subscription, tells.
    told: broadcast::Sender<Value>,
    pub streams: AtomicUsize,
    extra_prompt: Mutex<bool>,
    /// What a session's own stream tells, by its id.
    asides: Mutex<HashMap<String, mpsc::UnboundedSender<Value>>>,
    /// Opens the stream of a session only when it was asked to call a tool.
    pub late: AtomicBool,
    /// Sessions before this one have ended.
    expired: AtomicUsize,
}

pub const TOOLS: [&str; 10] = [
    "echo", "say", "hang", "ask", "link", "wrong", "refuse", "aside", "pause", "task",
];

impl McpServer {
    pub async fn start(era: Era) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let server = Arc::new(Self {
            url: url.parse().unwrap(),
            era,
            sent: Mutex::default(),
            dropped: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            asked: Mutex::default(),
            told: broadcast::Sender::new(16),
            streams: AtomicUsize::new(0),
            extra_prompt: Mutex::new(false),
            asides: Mutex::default(),
            late: AtomicBool::new(false),
            expired: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/mcp", post(receive).get(open).delete(end))
            .with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    /// What it was sent of a method.
    pub fn sent(&self, method: &str) -> Vec<Sent> {
        let sent = self.sent.lock().unwrap();
        sent.iter()
            .filter(|sent| sent.body["method"] == method)
            .cloned()
            .collect()
    }

    /// Forgets all sessions that there are.
    pub fn expire(&self) {
        let sessions = self.sessions.load(Ordering::SeqCst);
        self.expired.store(sessions, Ordering::SeqCst);
        self.asides.lock().unwrap().clear();
    }

    fn has_expired(&self, headers: &HeaderMap) -> bool {
        let session = session(headers).and_then(|id| id.parse::<usize>().ok());
        session.is_some_and(|session| session < self.expired.load(Ordering::SeqCst))
    }

    /// Has one more prompt, and says so.
    pub fn add_prompt(&self) {
        *self.extra_prompt.lock().unwrap() = true;
        self.tell("notifications/prompts/list_changed", json!({}));
    }

    pub fn tell(&self, method: &str, params: Value) {
        let _ = self
            .told
            .send(json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn capabilities(&self) -> Value {
        json!({
            "tools": {"listChanged": true}, "prompts": {"listChanged": true}, "logging": {}, "completions": {},
            "resources": {"listChanged": true, "subscribe": true}, "extensions": {"test/x": {"a": 1}},
        })
    }

    fn result(&self, method: &str, params: &Value) -> Option<Value> {
        Some(match method {
            "server/discover" => json!({
                "supportedVersions": ["2026-07-28"], "capabilities": self.capabilities(), "instructions": "Be kind.",
            }),
            "initialize" => json!({
                "protocolVersion": "2025-11-25", "capabilities": self.capabilities(),
                "serverInfo": {"name": "t", "version": "1"}, "instructions": "Be kind.",
            }),
            "tools/list" => {
                let tool = |name: &&str| {
                    json!({"name": name, "inputSchema": {"type": "object", "properties": {
                        "region": {"type": "string", "x-mcp-header": "Region"}}},
                    "_meta": {"ui": {"resourceUri": "ui://app"}}})
                };
                json!({"tools": TOOLS.iter().map(tool).collect::<Vec<_>>()})
            }
            "prompts/list" => {
                let mut prompts = vec![json!({"name": "greet", "arguments": [{"name": "who"}]})];
                if *self.extra_prompt.lock().unwrap() {
                    prompts.push(json!({"name": "more"}));
                }
                json!({"prompts": prompts})
            }
            "resources/list" if params["cursor"] == "2" => {
                json!({"resources": [{"uri": "ui://app", "name": "b"}]})
            }
            "resources/list" => {
                json!({"resources": [{"uri": "test://a", "name": "a"}], "nextCursor": "2"})
            }
            "resources/templates/list" => {
                json!({"resourceTemplates": [{"uriTemplate": "test://t/{id}", "name": "t"}]})
            }
            "resources/read" => self.resource(params["uri"].as_str().unwrap()),
            "prompts/get" => json!({"messages": [{"role": "user", "content": {
                "type": "resource", "resource": {"uri": "test://a", "text": params.to_string()}}}]}),
            "completion/complete" => json!({"completion": {"values": [params.to_string()]}}),
            "x/echo" => json!({"params": params}),
            "tasks/get" => {
                json!({"resultType": "complete", "taskId": params["taskId"], "status": "working"})
            }
            "tasks/update" | "tasks/cancel" => json!({"resultType": "complete"}),
            "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" | "ping" => {
                json!({})
            }
            _ => return None,
        })
    }

    /// A resource. `test://kept/SCOPE/TTL/NAME` may be kept, and is another one each time.
    fn resource(&self, uri: &str) -> Value {
        let hints = uri.strip_prefix("test://kept/");
        let mut hints = hints.into_iter().flat_map(|hints| hints.split('/'));
        let (Some(scope), Some(ttl)) = (hints.next(), hints.next()) else {
            return json!({"contents": [{"uri": uri, "text": "text"}]});
        };
        let text = format!("read {}", self.sent("resources/read").len());
        json!({"resultType": "complete", "ttlMs": ttl.parse::<i64>().unwrap(), "cacheScope": scope,
            "contents": [{"uri": uri, "text": text}]})
    }

    async fn call(
        self: &Arc<Self>,
        id: Value,
        params: Value,
        out: &mpsc::UnboundedSender<Value>,
    ) -> Value {
        let say = |method: &str, params: Value| {
            let _ = out.send(json!({"jsonrpc": "2.0", "method": method, "params": params}));
        };
        let text = |text: String| json!({"content": [{"type": "text", "text": text}]});
        match params["name"].as_str().unwrap() {
            "say" => {
                let token = &params["_meta"]["progressToken"];
                if !token.is_null() {
                    say(
                        "notifications/progress",
                        json!({"progressToken": token, "progress": 0.5, "x": 1}),
                    );
                }
                for level in ["debug", "warning"] {
                    say(
                        "notifications/message",
                        json!({"level": level, "data": level}),
                    );
                }
                say("notifications/tools/list_changed", json!({}));
                say("notifications/x", json!({"n": 1}));
                text("said".into())
            }
            "hang" => {
                say(
                    "notifications/message",
                    json!({"level": "error", "data": "on it"}),
                );
                out.closed().await;
                self.dropped.fetch_add(1, Ordering::SeqCst);
                Value::Null
            }
            "ask" if self.era == Era::Modern => match params.get("requestState") {
                None => {
                    json!({"resultType": "input_required", "requestState": "s1", "inputRequests": {
                    "name": {"method": "elicitation/create", "params": {"message": "Who?"}},
                    "dirs": {"method": "roots/list", "params": {}}}})
                }
                Some(state) => {
                    text(json!([state, params["inputResponses"], params["arguments"]]).to_string())
                }
            },
            "ask" => {
                let (sender, answer) = oneshot::channel();
                let question = format!("q-{id}");
                self.asked.lock().unwrap().insert(question.clone(), sender);
                let mut asks = json!({"message": "Who?"});
                let token = &params["arguments"]["token"];
                if !token.is_null() {
                    asks["_meta"] = json!({"progressToken": token});
                }
                let _ = out.send(
                    json!({"jsonrpc": "2.0", "id": question, "method": "elicitation/create",
                    "params": asks}),
                );
                text(answer.await.unwrap().to_string())
            }
            "link" => {
                json!({"content": [{"type": "resource_link", "uri": "test://a", "name": "a"}], "taskId": "7"})
            }
            "task" => {
                let task = json!({"taskId": "a:/7", "status": "working"});
                say("notifications/tasks", task.clone());
                let mut made = json!({"resultType": "task"});
                made.as_object_mut()
                    .unwrap()
                    .extend(task.as_object().unwrap().clone());
                made
            }
            _ => text(params.to_string()),
        }
    }
}

fn session(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("mcp-session-id")?.to_str().unwrap().to_owned())
}

async fn end(State(server): State<Arc<McpServer>>, headers: HeaderMap) -> StatusCode {
    let sent = Sent {
        headers,
        text: String::new(),
        body: json!({"method": "DELETE"}),
    };
    server.sent.lock().unwrap().push(sent);
    StatusCode::NO_CONTENT
}

async fn receive(
    State(server): State<Arc<McpServer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let sent = Sent {
        headers: headers.clone(),
        text,
        body: body.clone(),
    };
    server.sent.lock().unwrap().push(sent);
    let Some(method) = body["method"].as_str() else {
        let id = body["id"].as_str().unwrap_or_default();
        let asked = server.asked.lock().unwrap().remove(id);
        let answer = body.get("result").or(body.get("error")).unwrap().clone();
        asked.map(|asked| asked.send(answer));
        return StatusCode::ACCEPTED.into_response();
    };
    let (id, params) = (body["id"].clone(), body["params"].clone());
    if id.is_null() {
        return StatusCode::ACCEPTED.into_response();
    }
    let answered = |member: &str, value: Value| {
        axum::Json(json!({"jsonrpc": "2.0", "id": id, member: value})).into_response()
    };
    let modern = params["_meta"]
        .get("io.modelcontextprotocol/protocolVersion")
        .is_some();
    if modern != (server.era == Era::Modern) {
        let status = StatusCode::BAD_REQUEST;
        return (
            status,
            answered("error", json!({"code": -32600, "message": "no"})),
        )
            .into_response();
    }
    if server.has_expired(&headers) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match method {
        "initialize" => {
            let session = server.sessions.fetch_add(1, Ordering::SeqCst).to_string();
            let result = server.result(method, &params).unwrap();
            ([("mcp-session-id", session)], answered("result", result)).into_response()
        }
        "subscriptions/listen" => open(State(server), headers).await,
        "tools/call" if params["name"] == "refuse" => answered(
            "error",
            json!({"code": -32021, "message": "no", "data": {"requiredCapabilities": {"x": 1.0}}}),
        ),
        "tools/call" if params["name"] == "wrong" => answered("result", json!([])),
        // Asks on the session's own stream, and answers in JSON.
        "tools/call" if params["name"] == "aside" => {
            let stream = session(&headers).unwrap();
            let open = || server.asides.lock().unwrap().get(&stream).cloned();
            while server.late.load(Ordering::SeqCst) && open().is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let Some(stream) = open() else {
                return answered("error", json!({"code": -32000, "message": "no stream"}));
            };
            let (sender, answer) = oneshot::channel();
            let question = format!("aside-{id}");
            server
                .asked
                .lock()
                .unwrap()
                .insert(question.clone(), sender);
            let _ = stream.send(json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "aside"}}));
            let _ = stream.send(json!({"jsonrpc": "2.0", "id": question, "method": "roots/list"}));
            let text = answer.await.unwrap().to_string();
            answered(
                "result",
                json!({"content": [{"type": "text", "text": text}]}),
            )
        }
        // Answers on a stream that is opened after a pause.
        "tools/call" if params["name"] == "pause" => {
            let event = Event::default().id(format!("e{id}")).data("");
            let event = event.retry(std::time::Duration::from_millis(1));
            Sse::new(futures::stream::iter([Ok::<_, Infallible>(event)])).into_response()
        }
        "tools/call" => {
            let (out, messages) = mpsc::unbounded_channel();
            tokio::spawn(async move {
                let result = server.call(id.clone(), params, &out).await;
                let _ = out.send(json!({"jsonrpc": "2.0", "id": 4711, "result": {"not": "yours"}}));
                let _ = out.send(json!({"jsonrpc": "2.0", "id": id, "result": result}));
            });
            let event =
                |message: Value| Ok::<_, Infallible>(Event::default().data(message.to_string()));
            Sse::new(UnboundedReceiverStream::new(messages).map(event)).into_response()
        }
        _ => match server.result(method, &params) {
            Some(result) => answered("result", result),
            None => answered(
                "error",
                json!({"code": -32601, "message": "Method not found"}),
            ),
        },
    }
}

async fn open(State(server): State<Arc<McpServer>>, headers: HeaderMap) -> Response {
    if server.has_expired(&headers) {
        return StatusCode::NOT_FOUND.into_response();
    }
    if let Some(last) = headers.get("last-event-id") {
        let id: u64 = last.to_str().unwrap()[1..].parse().unwrap();
        let result = json!({"content": [{"type": "text", "text": "after a pause"}]});
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
        let event = Event::default().data(answer.to_string());
        return Sse::new(futures::stream::iter([Ok::<_, Infallible>(event)])).into_response();
    }
    while server.late.load(Ordering::SeqCst) && server.sent("tools/call").is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let (aside, asides) = mpsc::unbounded_channel();
    if let Some(session) = session(&headers) {
        server.asides.lock().unwrap().insert(session, aside);
    }
    let told = BroadcastStream::new(server.told.subscribe());
    server.streams.fetch_add(1, Ordering::SeqCst);
    let events = told.filter_map(async |message| {
        Some(Ok::<_, Infallible>(
            Event::default().data(message.ok()?.to_string()),
        ))
    });
    let asides = UnboundedReceiverStream::new(asides)
        .map(|message| Ok(Event::default().data(message.to_string())));
    let events = futures::stream::select(events.boxed(), asides);
    let mut response = Sse::new(events).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, "no-cache".parse().unwrap());
    response
}
