//! Ended sessions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{SessionKey, Sessions};

use super::{Server, micros, now};

/// Never shortens what is there.
const END: &str = concat!(
    "INSERT INTO shared_ended_sessions AS known (key, until) VALUES ($1, ",
    now!(),
    " + $2)
     ON CONFLICT (key) DO UPDATE SET until = greatest(known.until, excluded.until)",
);

const HAS_ENDED: &str = concat!(
    "SELECT 1 FROM shared_ended_sessions WHERE key = $1 AND until > ",
    now!(),
);

/// A row for each.
#[derive(Debug)]
pub(super) struct PostgresSessions {
    server: Arc<Server>,
}

impl PostgresSessions {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }
}

#[async_trait]
impl Sessions for PostgresSessions {
    async fn end(&self, session: &SessionKey, keep: Duration) -> Result<()> {
        let query = sqlx::query(END)
            .bind(&session.as_bytes()[..])
            .bind(micros(keep)?);
        self.server.change("sessions::end", query).await.map(drop)
    }

    async fn has_ended(&self, session: &SessionKey) -> Result<bool> {
        let query = sqlx::query(HAS_ENDED).bind(&session.as_bytes()[..]);
        let row = self.server.row("sessions::has_ended", query).await?;
        Ok(row.is_some())
    }
}
