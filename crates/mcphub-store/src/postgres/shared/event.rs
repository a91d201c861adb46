//! Events over `LISTEN` and `NOTIFY`.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::Result;
use sqlx::postgres::PgListener;

use super::{Server, failure};
use crate::digest::Digested;
use crate::relay::Line;

/// One channel of the database, which belongs to the schema.
#[derive(Debug)]
pub(super) struct PostgresLine {
    server: Arc<Server>,
    channel: String,
}

impl PostgresLine {
    pub(super) fn new(server: Arc<Server>) -> Self {
        // A channel's name has at most 63 bytes, as a schema's has already.
        let channel = Digested::within(&server.tenant, &server.schema).hex();
        let channel = format!("mcphub_{channel}");
        Self { server, channel }
    }
}

#[async_trait]
impl Line for PostgresLine {
    async fn listen(&self) -> Result<BoxStream<'static, Vec<u8>>> {
        let Server {
            listening, options, ..
        } = &*self.server;
        // A pool for each connection: one that hangs keeps its place in the pool for as long as it
        // hangs, and the next has to find one.
        let place = listening.clone().connect_lazy_with(options.clone());
        let listening = PgListener::connect_with(&place).await;
        let mut listener = listening.map_err(failure)?;
        // Connecting again is the relay's: it tells subscribers what they missed.
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await.map_err(failure)?;
        let next = async |mut listener: PgListener| {
            let told = listener.try_recv().await.ok().flatten()?;
            Some((told.payload().as_bytes().to_vec(), listener))
        };
        Ok(stream::unfold(listener, next).boxed())
    }

    async fn tell(&self, text: String) -> Result<()> {
        let query = sqlx::query("SELECT pg_notify($1, $2)")
            .bind(&self.channel)
            .bind(text);
        self.server.change("events::publish", query).await.map(drop)
    }
}
