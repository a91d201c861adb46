//! Events over publish and subscribe.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use mcphub_core::Result;
use redis::Msg;

use super::Server;
use crate::relay::Line;

/// One channel. A connection that subscribes can do nothing else, so it is its own: to any server of a
/// cluster, which tells all others what it is told.
#[derive(Debug)]
pub(super) struct RedisLine {
    server: Arc<Server>,
    channel: String,
    turn: AtomicUsize,
}

impl RedisLine {
    pub(super) fn new(server: Arc<Server>) -> Self {
        let channel = server.key("events", "");
        Self {
            server,
            channel,
            turn: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Line for RedisLine {
    async fn listen(&self) -> Result<BoxStream<'static, Vec<u8>>> {
        // Another one each time: the one before was lost.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let cluster = &self.server.cluster;
        let listened = cluster.node_in_turn(turn)?.listen(&self.channel).await;
        let connection = listened.inspect_err(|error| cluster.failed(error))?;
        let messages = connection.into_on_message();
        Ok(messages
            .map(|message: Msg| message.get_payload_bytes().to_vec())
            .boxed())
    }

    async fn tell(&self, text: String) -> Result<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.channel).arg(text);
        let (cluster, deadline) = (&self.server.cluster, self.server.deadline());
        let told = cluster.send_to_any("events::publish", deadline, &command);
        told.await.map(drop)
    }
}
