//! What is kept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mcphub_core::Result;
use mcphub_core::shared::cache::{Cache, CacheKey, admit};

use super::{Server, whole_millis};

/// A string for each, which ends by itself.
#[derive(Debug)]
pub(super) struct RedisCache {
    server: Arc<Server>,
}

impl RedisCache {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    fn key(&self, key: &CacheKey) -> String {
        self.server.key("cache", &key.to_string())
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        let key = self.key(key);
        let mut command = redis::cmd("GET");
        command.arg(&key);
        let asked = self.server.command("cache::get", &key, &command);
        let value: Option<Vec<u8>> = asked.await?;
        Ok(value.map(Bytes::from))
    }

    async fn put(&self, key: &CacheKey, value: Bytes, keep: Duration) -> Result<()> {
        admit(&value, keep)?;
        let key = self.key(key);
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(&value[..]);
        command.arg("PX").arg(whole_millis(keep)?);
        self.server.command("cache::put", &key, &command).await
    }

    async fn remove(&self, key: &CacheKey) -> Result<()> {
        let key = self.key(key);
        let mut command = redis::cmd("DEL");
        command.arg(&key);
        self.server.command("cache::remove", &key, &command).await
    }
}
