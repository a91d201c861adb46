//! Rates.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{Decision, Rate, RateLimiter};
use sqlx::Row;

use super::{Server, failure, now};

/// [`Rate::decide`] as a statement, which locks the row of the key before it looks at the time.
/// `$2` is the interval, `$3` the refill. No row where the call is refused.
const TAKE: &str = concat!(
    "INSERT INTO shared_limits AS known (key, due) VALUES ($1, ",
    now!(),
    " + $2)
     ON CONFLICT (key) DO UPDATE
         SET due = least(greatest(known.due, ",
    now!(),
    "), ",
    now!(),
    " + $3) + $2
         WHERE least(greatest(known.due, ",
    now!(),
    "), ",
    now!(),
    " + $3) + $2 - ",
    now!(),
    " <= $3
     RETURNING due - ",
    now!(),
);

/// In how many microseconds one is allowed that was refused.
const WAIT: &str = concat!(
    "SELECT due + $2 - $3 - ",
    now!(),
    " FROM shared_limits WHERE key = $1"
);

/// For a key that is due later than it can be, because the clock was set back: otherwise it would be
/// refused until the clock is where it was.
const MEND: &str = concat!(
    "UPDATE shared_limits SET due = ",
    now!(),
    " + $2 WHERE key = $1 AND due > ",
    now!(),
    " + $2",
);

/// A row for each key. What is refused writes nothing.
#[derive(Debug)]
pub(super) struct PostgresRateLimiter {
    server: Arc<Server>,
}

impl PostgresRateLimiter {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    async fn ask(&self, statement: &'static str, key: &str, rate: Rate) -> Result<Option<u64>> {
        let query = sqlx::query(statement)
            .bind(self.server.key(key))
            .bind(signed(rate.interval_micros()))
            .bind(signed(rate.refill_micros()));
        let Some(row) = self.server.row("limits::take", query).await? else {
            return Ok(None);
        };
        let micros: i64 = row.try_get(0).map_err(failure)?;
        Ok(Some(u64::try_from(micros).unwrap_or(0)))
    }
}

#[async_trait]
impl RateLimiter for PostgresRateLimiter {
    async fn take(&self, key: &str, rate: Rate) -> Result<Decision> {
        if let Some(used) = self.ask(TAKE, key, rate).await? {
            let left = rate.refill_micros().saturating_sub(used) / rate.interval_micros();
            let remaining = u32::try_from(left)
                .unwrap_or(u32::MAX)
                .min(rate.burst() - 1);
            return Ok(Decision::Allowed { remaining });
        }
        // Without a row, the burst became whole meanwhile.
        let wait = self.ask(WAIT, key, rate).await?.unwrap_or(0);
        if wait > rate.interval_micros() {
            let mend = sqlx::query(MEND)
                .bind(self.server.key(key))
                .bind(signed(rate.refill_micros()));
            self.server.change("limits::take", mend).await?;
        }
        let wait = wait.clamp(1, rate.interval_micros());
        Ok(Decision::Limited {
            retry_after: Duration::from_micros(wait),
        })
    }
}

/// Times of a rate are far below the largest that a column holds.
fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}
