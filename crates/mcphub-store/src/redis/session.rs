//! Ended sessions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::shared::{SessionKey, Sessions};
use redis::Cmd;

use super::{Server, Step, whole_millis};

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
    end: Step,
}

impl RedisSessions {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            end: Step::new(END),
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
        let arguments = |end: &mut Cmd| {
            end.arg(keep);
        };
        let ended = self.server.run("sessions::end", &self.end, &key, arguments);
        ended.await
    }

    async fn has_ended(&self, session: &SessionKey) -> Result<bool> {
        let key = self.key(session);
        let mut command = redis::cmd("EXISTS");
        command.arg(&key);
        let asked = self.server.command("sessions::has_ended", &key, &command);
        asked.await
    }
}
