//! Leases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{Lease, Leases};
use sqlx::Row;

use super::{Server, failure, micros, now};

/// The token is the time, so that it grows also when the server has lost what it knew. No row while
/// another holds the lease.
const ACQUIRE: &str = concat!(
    "INSERT INTO shared_leases AS known (key, token, until)
         VALUES ($1, ",
    now!(),
    ", ",
    now!(),
    " + $2)
     ON CONFLICT (key) DO UPDATE
         SET token = greatest(",
    now!(),
    ", known.token + 1), until = ",
    now!(),
    " + $2
         WHERE known.until <= ",
    now!(),
    "
     RETURNING token",
);

const RENEW: &str = concat!(
    "UPDATE shared_leases SET until = ",
    now!(),
    " + $3
     WHERE key = $1 AND token = $2 AND until > ",
    now!(),
);

/// Lets it run out now, and remembers its token.
const GIVE_BACK: &str = concat!(
    "UPDATE shared_leases SET until = ",
    now!(),
    "
     WHERE key = $1 AND token = $2 AND until > ",
    now!(),
);

/// A row for each name.
#[derive(Debug)]
pub(super) struct PostgresLeases {
    server: Arc<Server>,
}

impl PostgresLeases {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }
}

#[async_trait]
impl Leases for PostgresLeases {
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>> {
        let query = sqlx::query(ACQUIRE)
            .bind(self.server.key(name))
            .bind(micros(time)?);
        let Some(row) = self.server.row("leases::acquire", query).await? else {
            return Ok(None);
        };
        let token: i64 = row.try_get(0).map_err(failure)?;
        Ok(Some(Lease {
            name: name.to_owned(),
            token: u64::try_from(token).unwrap_or(0),
        }))
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool> {
        let query = sqlx::query(RENEW)
            .bind(self.server.key(&lease.name))
            .bind(i64::try_from(lease.token).unwrap_or(-1))
            .bind(micros(time)?);
        let changed = self.server.change("leases::renew", query).await?;
        Ok(changed.rows_affected() == 1)
    }

    async fn give_back(&self, lease: Lease) -> Result<bool> {
        let query = sqlx::query(GIVE_BACK)
            .bind(self.server.key(&lease.name))
            .bind(i64::try_from(lease.token).unwrap_or(-1));
        let changed = self.server.change("leases::give_back", query).await?;
        Ok(changed.rows_affected() == 1)
    }
}
