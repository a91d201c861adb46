//! Leases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{Lease, Leases};
use redis::Cmd;

use super::{Server, Step, whole_millis};

/// What all scripts begin with: the time, and the lease that is there.
const BEGIN: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', KEYS[1], 'token', 'until')
local token, lasts = tonumber(known[1] or 0), tonumber(known[2] or 0)
local function lend(token, micros)
    redis.call('HSET', KEYS[1], 'token', string.format('%.0f', token),
        'until', string.format('%.0f', now + micros))
    -- The token is remembered for longer than the lease, so that the next one is larger even if the
    -- clock is set back meanwhile.
    redis.call('PEXPIRE', KEYS[1], math.ceil(micros / 1000) + 86400000)
end
";

/// The token is the time, so that it grows also when the server has lost what it knew.
const ACQUIRE: &str = r"
if lasts > now then
    return 0
end
local next = math.max(now, token + 1)
lend(next, ARGV[1] * 1000)
return next
";

const RENEW: &str = r"
if token ~= tonumber(ARGV[1]) or lasts <= now then
    return 0
end
lend(token, ARGV[2] * 1000)
return 1
";

/// A hash for each name.
#[derive(Debug)]
pub(super) struct RedisLeases {
    server: Arc<Server>,
    acquire: Step,
    renew: Step,
}

impl RedisLeases {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            acquire: Step::new(format!("{BEGIN}{ACQUIRE}")),
            renew: Step::new(format!("{BEGIN}{RENEW}")),
        }
    }

    /// Another end for a lease that is held.
    async fn last(&self, operation: &'static str, lease: &Lease, millis: u64) -> Result<bool> {
        let key = self.server.key("lease", &lease.name);
        let arguments = |renew: &mut Cmd| {
            renew.arg(lease.token).arg(millis);
        };
        let renewed = self.server.run(operation, &self.renew, &key, arguments);
        renewed.await
    }
}

#[async_trait]
impl Leases for RedisLeases {
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>> {
        let (key, time) = (self.server.key("lease", name), whole_millis(time)?);
        let arguments = |acquire: &mut Cmd| {
            acquire.arg(time);
        };
        let (operation, step) = ("leases::acquire", &self.acquire);
        let token: u64 = self.server.run(operation, step, &key, arguments).await?;
        Ok((token > 0).then(|| Lease {
            name: name.to_owned(),
            token,
        }))
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool> {
        self.last("leases::renew", lease, whole_millis(time)?).await
    }

    async fn give_back(&self, lease: Lease) -> Result<bool> {
        self.last("leases::give_back", &lease, 0).await
    }
}
