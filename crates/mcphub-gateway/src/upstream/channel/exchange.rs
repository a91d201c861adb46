//! One request of any method, and what the server says until it is answered.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;

use super::dial::{Line, Met};
use super::lines::Lease;
use super::meeting::Era;
use crate::upstream::events::broken;
use crate::upstream::pending::Inbox;
use crate::upstream::{Exchange, Response, Said, message, one_line};

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
