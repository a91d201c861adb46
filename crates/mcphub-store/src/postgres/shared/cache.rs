//! What is kept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use mcphub_core::Result;
use mcphub_core::shared::cache::{Cache, CacheKey, admit};
use sqlx::Row;

use super::{Server, failure, micros, now};

const GET: &str = concat!(
    "SELECT value FROM shared_cache WHERE key = $1 AND until > ",
    now!(),
);

const PUT: &str = concat!(
    "INSERT INTO shared_cache (key, value, size, until) VALUES ($1, $2, octet_length($2), ",
    now!(),
    " + $3)
     ON CONFLICT (key) DO UPDATE
         SET value = excluded.value, size = excluded.size, until = excluded.until",
);

const REMOVE: &str = "DELETE FROM shared_cache WHERE key = $1";

/// A part of what is over, so that no statement takes long.
const CLEAN: &str = concat!(
    "DELETE FROM shared_cache WHERE key IN (
         SELECT key FROM shared_cache WHERE until <= ",
    now!(),
    " LIMIT 1000)",
);

/// What ends soonest, of what there is no room for.
const SHRINK: &str = "DELETE FROM shared_cache WHERE key IN (
         SELECT key FROM (
             SELECT key, sum(size) OVER (ORDER BY until DESC, key) AS kept FROM shared_cache
         ) AS longest WHERE kept > $1::bigint)";

/// A row for each.
#[derive(Debug)]
pub(super) struct PostgresCache {
    server: Arc<Server>,
}

impl PostgresCache {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    fn key(&self, key: &CacheKey) -> Vec<u8> {
        self.server.key(&key.to_string())
    }
}

#[async_trait]
impl Cache for PostgresCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>> {
        let query = sqlx::query(GET).bind(self.key(key));
        let Some(row) = self.server.row("cache::get", query).await? else {
            return Ok(None);
        };
        let value: Vec<u8> = row.try_get(0).map_err(failure)?;
        Ok(Some(value.into()))
    }

    async fn put(&self, key: &CacheKey, value: Bytes, keep: Duration) -> Result<()> {
        admit(&value, keep)?;
        let query = sqlx::query(PUT)
            .bind(self.key(key))
            .bind(value.to_vec())
            .bind(micros(keep)?);
        self.server.change("cache::put", query).await.map(drop)
    }

    async fn remove(&self, key: &CacheKey) -> Result<()> {
        let query = sqlx::query(REMOVE).bind(self.key(key));
        self.server.change("cache::remove", query).await.map(drop)
    }
}

/// Removes what is over, and what there is no room for.
pub(super) async fn clean(server: &Server, size: u64) -> Result<()> {
    // Bounded also where others put as fast as this removes.
    for _ in 0..1_000 {
        let removed = sqlx::query(CLEAN).execute(&server.pool).await;
        if removed.map_err(failure)?.rows_affected() == 0 {
            break;
        }
    }
    let shrink = sqlx::query(SHRINK).bind(i64::try_from(size).unwrap_or(i64::MAX));
    shrink.execute(&server.pool).await.map_err(failure)?;
    Ok(())
}
