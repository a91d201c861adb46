//! Rates.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{Decision, Rate, RateLimiter};
use redis::Cmd;

use super::{Server, Step};

/// [`Rate::decide`] as a script. A double holds these times exactly: they are below 2^53.
const TAKE: &str = r"
local interval, refill = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
if due > now + refill then
    -- The clock was set back.
    due = now + refill
    redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil(refill / 1000))
end
local used = due + interval - now
if used > refill then
    return {0, used - refill}
end
redis.call('SET', KEYS[1], string.format('%.0f', now + used), 'PX', math.ceil(used / 1000))
return {1, math.floor((refill - used) / interval)}
";

/// Counts in Redis.
#[derive(Debug)]
pub(super) struct RedisRateLimiter {
    server: Arc<Server>,
    take: Step,
}

impl RedisRateLimiter {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            take: Step::new(TAKE),
        }
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn take(&self, key: &str, rate: Rate) -> Result<Decision> {
        let key = self.server.key("limit", key);
        let arguments = |take: &mut Cmd| {
            take.arg(rate.interval_micros()).arg(rate.refill_micros());
        };
        let taken = self.server.run("limits::take", &self.take, &key, arguments);
        let (allowed, rest): (bool, u64) = taken.await?;
        Ok(if allowed {
            let remaining = u32::try_from(rest).unwrap_or(u32::MAX);
            Decision::Allowed { remaining }
        } else {
            let retry_after = Duration::from_micros(rest.max(1));
            Decision::Limited { retry_after }
        })
    }
}
