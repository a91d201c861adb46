//! The stage on which a test plays a program: both ends of its channel.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::mpsc;
use futures::{SinkExt, StreamExt};
use mcphub_core::call::Arguments;
use mcphub_core::launch::{Channel, Launch, Launcher};
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::channel::{ChannelSettings, McpChannel};
use mcphub_gateway::upstream::{CallResult, Upstream};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

pub const SOON: Duration = Duration::from_secs(20);

/// Gives the other end of each channel to the test.
#[derive(Debug)]
pub struct Stage {
    pub actors: UnboundedSender<Actor>,
    pub launched: AtomicUsize,
}

/// The server's end of a channel.
#[derive(Debug)]
pub struct Actor {
    pub heard: mpsc::UnboundedReceiver<Bytes>,
    pub says: mpsc::UnboundedSender<Result<Bytes>>,
}

#[async_trait]
impl Launcher for Stage {
    async fn launch(&self, _: Launch) -> Result<Channel> {
        self.launched.fetch_add(1, Ordering::SeqCst);
        let (outgoing, heard) = mpsc::unbounded();
        let (says, incoming) = mpsc::unbounded();
        self.actors
            .send(Actor { heard, says })
            .expect("the test takes it");
        let gone = |_| Error::new(ErrorKind::Unavailable, "the actor left");
        Ok(Channel {
            outgoing: Box::pin(outgoing.sink_map_err(gone)),
            incoming: incoming.boxed(),
        })
    }
}

impl Actor {
    pub async fn hear(&mut self) -> Value {
        let line = timeout(SOON, self.heard.next()).await.expect("in time");
        let line = line.expect("it is still spoken to");
        assert!(!line.contains(&b'\n'), "a message is one line");
        serde_json::from_slice(&line).expect("a message")
    }

    pub async fn expect(&mut self, method: &str) -> Value {
        let heard = self.hear().await;
        assert_eq!(heard["method"], method, "{heard}");
        heard
    }

    pub fn say(&self, message: &Value) {
        self.say_text(&message.to_string());
    }

    pub fn say_text(&self, text: &str) {
        let line = Bytes::copy_from_slice(text.as_bytes());
        self.says
            .unbounded_send(Ok(line))
            .expect("it is listened to");
    }

    pub fn answer(&self, request: &Value, result: &Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    }

    pub fn refuse(&self, request: &Value) {
        let error = json!({"code": -32601, "message": "Method not found"});
        self.say(&json!({"jsonrpc": "2.0", "id": request["id"], "error": error}));
    }

    /// Plays the handshake of the legacy era.
    pub async fn initialize(&mut self) {
        let initialize = self.expect("initialize").await;
        assert!(initialize["params"]["_meta"].is_null(), "{initialize}");
        self.answer(
            &initialize,
            &json!({"protocolVersion": "2025-06-18", "capabilities": {}}),
        );
        self.expect("notifications/initialized").await;
    }

    pub async fn meet(&mut self) {
        let discover = self.expect("server/discover").await;
        self.refuse(&discover);
        self.initialize().await;
    }

    pub fn end(self, why: &str) {
        let error = Error::new(ErrorKind::Unavailable, why.to_owned());
        self.says
            .unbounded_send(Err(error))
            .expect("it is listened to");
    }
}

pub fn stage(
    change: impl FnOnce(&mut ChannelSettings),
) -> (Arc<McpChannel>, UnboundedReceiver<Actor>, Arc<Stage>) {
    let (actors, entering) = unbounded_channel();
    let stage = Arc::new(Stage {
        actors,
        launched: AtomicUsize::new(0),
    });
    let launch = Launch {
        server: "played".parse().expect("a name"),
        command: "played".to_owned(),
        arguments: Vec::new(),
        directory: None,
        environment: BTreeMap::new(),
    };
    let mut settings = ChannelSettings::default();
    change(&mut settings);
    let program = McpChannel::program(launch, stage.clone(), settings);
    (Arc::new(program), entering, stage)
}

pub async fn enter(entering: &mut UnboundedReceiver<Actor>) -> Actor {
    let actor = timeout(SOON, entering.recv()).await.expect("in time");
    actor.expect("a channel")
}

pub async fn call(program: &McpChannel, arguments: &str) -> Result<CallResult> {
    program.call("tool", &Arguments::parse(arguments)?).await
}

pub fn called(program: &Arc<McpChannel>, n: u32) -> tokio::task::JoinHandle<Result<CallResult>> {
    let program = Arc::clone(program);
    tokio::spawn(async move { call(&program, &format!("{{\"n\":\n{n}}}")).await })
}

pub fn text(result: Result<CallResult>) -> String {
    String::from_utf8(result.expect("a result").as_bytes().to_vec()).expect("text")
}
