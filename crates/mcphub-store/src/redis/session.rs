//! Ended sessions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{SessionKey, Sessions};
use redis::Script;

use super::{Server, whole_millis};

/// Never shortens what is there. `PTTL` is negative for a key that is not.
const END: &str = r"
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
end
";

/// A key for each.
#[derive(Debug)]
pub(super) struct RedisSessions {
    server: Arc<Server>,
    end: Script,
}

impl RedisSessions {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            end: Script::new(END),
        }
    }

    fn key(&self, session: &SessionKey) -> String {
        format!("{}:ended:{session}", self.server.prefix)
    }
}

#[async_trait]
impl Sessions for RedisSessions {
    async fn end(&self, session: &SessionKey, keep: Duration) -> Result<()> {
        let (key, keep) = (self.key(session), whole_millis(keep)?);
        let prepare = |script: &mut redis::ScriptInvocation<'_>| {
            script.key(key).arg(keep);
        };
        self.server.run("sessions::end", &self.end, prepare).await
    }

    async fn has_ended(&self, session: &SessionKey) -> Result<bool> {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.key(session));
        self.server.command("sessions::has_ended", &command).await
    }
}
