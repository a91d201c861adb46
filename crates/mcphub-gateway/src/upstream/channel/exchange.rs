//! One request of any method, and what the server says until it is answered.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::dial::{Line, Met};
use super::lines::Lease;
use super::link::Link;
use super::meeting::Era;
use crate::upstream::events::broken;
use crate::upstream::pending::Inbox;
use crate::upstream::{Exchange, Response, Said, Tell, message, one_line};

/// How long a server may take to take what it is told.
const TELLING: Duration = Duration::from_secs(2);

/// A request on its way.
pub(super) struct ChannelExchange {
    pub(super) line: Arc<Line>,
    pub(super) met: Arc<Met>,
    pub(super) id: u64,
    pub(super) inbox: Inbox,
    /// Whether its answer was given, or cannot come.
    pub(super) over: bool,
    /// Frees the connection for others.
    pub(super) _lease: Option<Lease>,
}

impl ChannelExchange {
    async fn hear(&mut self) -> Result<Said> {
        if self.over {
            return Err(broken("there is nothing after the answer"));
        }
        // What was said before the answer came before it, and is given before it.
        tokio::select! {
            biased;
            Some(heard) = self.inbox.said.recv() => Ok(heard.said),
            answer = &mut self.inbox.answer => {
                self.over = true;
                match answer {
                    Ok(Ok(result)) => Ok(Said::Result(one_line(&result))),
                    Ok(Err(failure)) => Ok(Said::Failure(failure)),
                    Err(_) => Err(self.met.link.end()),
                }
            }
        }
    }
}

#[async_trait]
impl Exchange for ChannelExchange {
    /// Ends within [`ChannelSettings::call_timeout`](super::ChannelSettings::call_timeout), which
    /// begins anew with each message.
    async fn next(&mut self) -> Result<Said> {
        let line = Arc::clone(&self.line);
        line.within(line.settings.call_timeout, self.hear()).await
    }

    async fn answer(&mut self, id: &RawValue, answer: Response) -> Result<()> {
        if self.met.era == Era::Modern {
            let message = "a server of this revision asks with a result";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let told = self.met.link.notify(message::response(id, &answer));
        self.line
            .within(self.line.settings.call_timeout, told)
            .await
    }

    fn teller(&self) -> Option<Arc<dyn Tell>> {
        let link = Arc::downgrade(&self.met.link);
        let legacy = self.met.era != Era::Modern;
        legacy.then(|| Arc::new(LinkTeller(link)) as Arc<dyn Tell>)
    }
}

/// Tells the server something, as long as the connection lasts.
struct LinkTeller(Weak<Link>);

#[async_trait]
impl Tell for LinkTeller {
    async fn tell(&self, method: &str, params: &RawValue) -> Result<()> {
        let Some(link) = self.0.upgrade() else {
            return Ok(());
        };
        let telling = link.notify(message::told(method, params));
        timeout(TELLING, telling).await.unwrap_or_else(|_| {
            let message = "the MCP server takes no messages";
            Err(Error::new(ErrorKind::Timeout, message))
        })
    }
}

impl fmt::Debug for LinkTeller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkTeller").finish_non_exhaustive()
    }
}

impl Drop for ChannelExchange {
    fn drop(&mut self) {
        if !self.over {
            self.met.link.give_up(self.id);
        }
    }
}

impl fmt::Debug for ChannelExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelExchange")
            .field("server", &self.line.name())
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
