//! Events over publish and subscribe.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt};
use mcphub_core::Result;
use redis::Msg;

use super::{Server, failure};
use crate::relay::Line;

/// One channel. A connection that subscribes can do nothing else, so it is its own.
#[derive(Debug)]
pub(super) struct RedisLine {
    server: Arc<Server>,
    channel: String,
}

impl RedisLine {
    pub(super) fn new(server: Arc<Server>) -> Self {
        let channel = server.key("events", "");
        Self { server, channel }
    }
}

#[async_trait]
impl Line for RedisLine {
    async fn listen(&self) -> Result<BoxStream<'static, Vec<u8>>> {
        let mut connection = self
            .server
            .client
            .get_async_pubsub()
            .await
            .map_err(failure)?;
        connection.subscribe(&self.channel).await.map_err(failure)?;
        let messages = connection.into_on_message();
        Ok(messages
            .map(|message: Msg| message.get_payload_bytes().to_vec())
            .boxed())
    }

    async fn tell(&self, text: String) -> Result<()> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.channel).arg(text);
        self.server.command("events::publish", &command).await
    }
}
