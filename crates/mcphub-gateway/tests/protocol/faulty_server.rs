//! An MCP server that lists its one tool as it should, and answers calls in the wrong way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

/// What an answer says that is somebody else's: no caller may ever see it.
pub const NOT_YOURS: &str = "somebody else's";

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens on its port.
    Dead,
    /// Its connection is closed.
    Closed,
    /// Its connection breaks in the head of the answer.
    BrokenHead,
    /// Its connection breaks in the body of the answer.
    BrokenBody,
    /// Its connection breaks in a stream of events, after one.
    BrokenStream,
    /// Nothing.
    Hanging,
    /// A byte now and then.
    Dripping,
    /// A comment now and then, in a stream of events.
    DrippingStream,
    /// What is no JSON-RPC.
    Garbage,
    /// What is no HTTP.
    NoHttp,
    /// What is no UTF-8.
    BadText,
    /// Arrays in arrays, 100,000 deep.
    Deep,
    /// A message with two results.
    Doubled,
    /// A message of another id.
    WrongId,
    /// The message of the request before, of another caller.
    Swapped,
    /// A body without an end.
    Endless,
    /// An event without an end.
    EndlessEvent,
    /// HTTP 500 with a page.
    Status500,
    /// HTTP 401: the credentials were revoked.
    Revoked,
    /// HTTP 404: what it knew of the caller is forgotten.
    Forgotten,
    /// A redirect to another origin.
    Redirected,
}

impl Fault {
    /// All, each with its name in the table of docs/reliability.md.
    pub const ALL: [(Self, &str); 21] = [
        (Self::Dead, "nobody listens any more"),
        (Self::Closed, "closes the connection"),
        (Self::BrokenHead, "breaks off in the headers"),
        (Self::BrokenBody, "breaks off in the body"),
        (Self::BrokenStream, "breaks off in a stream of events"),
        (Self::Hanging, "says nothing"),
        (Self::Dripping, "sends a byte now and then"),
        (Self::DrippingStream, "sends a comment now and then"),
        (Self::Garbage, "answers no JSON-RPC"),
        (Self::NoHttp, "answers no HTTP"),
        (Self::BadText, "answers no UTF-8"),
        (Self::Deep, "answers 100,000 nested arrays"),
        (Self::Doubled, "answers two results in one message"),
        (Self::WrongId, "answers under another id"),
        (Self::Swapped, "answers another caller's request"),
        (Self::Endless, "answers without an end"),
        (Self::EndlessEvent, "sends an event without an end"),
        (Self::Status500, "answers HTTP 500 with a page"),
        (Self::Revoked, "answers HTTP 401: its token was revoked"),
        (
            Self::Forgotten,
            "answers HTTP 404: the session is forgotten",
        ),
        (Self::Redirected, "redirects to another origin"),
    ];
}

#[derive(Debug)]
pub struct FaultyServer {
    pub url: Url,
    pub calls: AtomicUsize,
    /// Calls are answered as they should.
    pub well: AtomicBool,
    /// Its tool says that it only reads.
    pub reads: AtomicBool,
    /// It has a task with the id `1`.
    pub has_task: AtomicBool,
    fault: Fault,
    /// The id of the call before.
    before: Mutex<Value>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl FaultyServer {
    pub async fn start(fault: Fault) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let server = Arc::new(Self {
            url: url.parse().unwrap(),
            calls: AtomicUsize::new(0),
            well: AtomicBool::new(false),
            reads: AtomicBool::new(false),
            has_task: AtomicBool::new(false),
            fault,
            before: Mutex::new(json!(0)),
            listening: Mutex::default(),
        });
        server.listen(listener);
        server
    }

    fn listen(self: &Arc<Self>, listener: TcpListener) {
        let serving = Arc::clone(self);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&serving);
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        *self.listening.lock().unwrap() = Some(listening);
    }

    /// It listed what it has: the fault begins.
    pub async fn break_down(&self) {
        if self.fault == Fault::Dead {
            let listening = self.listening.lock().unwrap().take().unwrap();
            listening.abort();
            // Its port is free when the task is gone.
            let _ = listening.await;
        }
    }

    /// The fault ends.
    pub async fn mend(self: &Arc<Self>) {
        self.well.store(true, Ordering::SeqCst);
        if self.fault == Fault::Dead {
            let port = self.url.port().unwrap();
            self.listen(TcpListener::bind(("127.0.0.1", port)).await.unwrap());
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request = read(&mut stream).await?;
        let result = match request["method"].as_str()? {
            "server/discover" => {
                json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
            }
            "tools/list" => {
                let annotations = json!({"readOnlyHint": self.reads.load(Ordering::SeqCst)});
                json!({"tools": [{
                    "name": "t", "inputSchema": {"type": "object"}, "annotations": annotations}]})
            }
            "tasks/get" if !self.has_task.load(Ordering::SeqCst) => {
                let unknown = json!({"code": -32602, "message": "no such task"});
                let body = json!({"jsonrpc": "2.0", "id": request["id"], "error": unknown});
                return stream
                    .write_all(answer(&body.to_string()).as_bytes())
                    .await
                    .ok();
            }
            "tasks/get" => json!({"taskId": "1", "status": "working"}),
            "tools/call" => {
                self.calls.fetch_add(1, Ordering::SeqCst);
                if !self.well.load(Ordering::SeqCst) {
                    return self.fail(stream, &request["id"]).await;
                }
                match self.has_task.load(Ordering::SeqCst) {
                    true => json!({"resultType": "task", "taskId": "1", "status": "working"}),
                    false => json!({"content": [{"type": "text", "text": "well"}]}),
                }
            }
            _ => return None,
        };
        let body = message(&request["id"], &result);
        stream.write_all(answer(&body).as_bytes()).await.ok()
    }

    async fn fail(&self, mut stream: TcpStream, id: &Value) -> Option<()> {
        let others = json!({"content": [{"type": "text", "text": NOT_YOURS}]});
        let before = std::mem::replace(&mut *self.before.lock().unwrap(), id.clone());
        let whole = match self.fault {
            Fault::Dead | Fault::Closed => String::new(),
            Fault::BrokenHead => "HTTP/1.1 200 OK\r\ncontent-ty".to_owned(),
            Fault::BrokenBody => {
                let whole = answer(&message(id, &others));
                whole[..whole.len() - 5].to_owned()
            }
            Fault::BrokenStream => format!("{EVENTS}data: {PROGRESS}\n\ndata: {{\"jsonrpc\""),
            Fault::Hanging => std::future::pending().await,
            Fault::Dripping => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
                return drip(stream, head, " ").await;
            }
            Fault::DrippingStream => return drip(stream, EVENTS, ":\n\n").await,
            Fault::Garbage => answer("nonsense"),
            Fault::NoHttp => "+OK ready\r\n".repeat(9),
            Fault::BadText => {
                let head = answer(&"x".repeat(6));
                stream
                    .write_all(head.as_bytes().split_last_chunk::<6>()?.0)
                    .await
                    .ok()?;
                return stream.write_all(b"\"\xff\xfe\xc0\"\"").await.ok();
            }
            Fault::Deep => answer(&"[".repeat(100_000)),
            Fault::Doubled => answer(&format!(
                r#"{{"jsonrpc":"2.0","id":{id},"result":{others},"result":{others}}}"#
            )),
            Fault::WrongId => answer(&message(&json!("another"), &others)),
            Fault::Swapped => answer(&message(&before, &others)),
            Fault::Endless => return drip(stream, ENDLESS, &"x".repeat(1 << 20)).await,
            Fault::EndlessEvent => {
                stream
                    .write_all(format!("{EVENTS}data: ").as_bytes())
                    .await
                    .ok()?;
                return drip(stream, "", &"x".repeat(1 << 20)).await;
            }
            Fault::Status500 => page("500 Internal Server Error", ""),
            Fault::Revoked => page("401 Unauthorized", "www-authenticate: Bearer\r\n"),
            Fault::Forgotten => page("404 Not Found", ""),
            Fault::Redirected => page(
                "307 Temporary Redirect",
                "location: http://127.0.0.2:9/\r\n",
            ),
        };
        stream.write_all(whole.as_bytes()).await.ok()
    }
}

const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const ENDLESS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"on it"}}"#;

async fn drip(mut stream: TcpStream, head: &str, drop: &str) -> Option<()> {
    stream.write_all(head.as_bytes()).await.ok()?;
    loop {
        stream.write_all(drop.as_bytes()).await.ok()?;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn message(id: &Value, result: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn page(status: &str, headers: &str) -> String {
    let body = format!("<h1>{NOT_YOURS}</h1>");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The JSON of one request.
async fn read(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str(body)
        {
            return Some(body);
        }
    }
}
