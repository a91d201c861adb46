//! One request of any method, and what the server says until it is answered.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;

use super::wire::{Era, Wire};
use crate::upstream::events::{Events, broken, nonsense};
use crate::upstream::message::{self, Incoming};
use crate::upstream::{Exchange, Response, Said, one_line};

/// A request on its way.
pub(super) struct HttpExchange {
    pub(super) wire: Arc<Wire>,
    pub(super) era: Era,
    pub(super) id: u64,
    pub(super) source: Source,
}

/// Where the answer comes from.
pub(super) enum Source {
    /// It is here.
    Whole(Box<Said>),
    /// It is in a stream, after other messages.
    Events(Box<Events>),
    /// It was given.
    Over,
}

impl HttpExchange {
    async fn next_event(&mut self) -> Result<Said> {
        let Source::Events(events) = &mut self.source else {
            return Err(broken("there is nothing after the answer"));
        };
        while let Some(data) = events.next().await? {
            events.forget_read();
            let said = said(data.as_bytes(), self.id)
                .map_err(|error| nonsense("it is no JSON-RPC message").caused_by(error))?;
            // The answer to another request is nobody's.
            if let Some(said) = said {
                return Ok(said);
            }
        }
        Err(broken("the stream ended before the answer"))
    }
}

#[async_trait]
impl Exchange for HttpExchange {
    /// Ends within [`McpSettings::call_timeout`](super::McpSettings::call_timeout), which begins
    /// anew with each message.
    async fn next(&mut self) -> Result<Said> {
        let wire = Arc::clone(&self.wire);
        let said = match std::mem::replace(&mut self.source, Source::Over) {
            Source::Whole(said) => Ok(*said),
            source => {
                self.source = source;
                let limit = wire.client.settings.call_timeout;
                wire.within(limit, self.next_event()).await
            }
        };
        if matches!(said, Ok(Said::Result(_) | Said::Failure(_))) {
            self.source = Source::Over;
        }
        said.map_err(|error| error.with("server", &wire.host))
    }

    async fn answer(&mut self, id: &RawValue, answer: Response) -> Result<()> {
        if matches!(self.era, Era::Modern) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a server of this revision asks with a result",
            ));
        }
        let limit = self.wire.client.settings.call_timeout;
        let message = message::response(id, &answer);
        self.wire
            .within(limit, self.wire.tell(&self.era, message))
            .await
    }
}

impl Drop for HttpExchange {
    /// In the modern era the closed stream says it. Before, a message has to
    /// (2025-11-25, Cancellation).
    fn drop(&mut self) {
        let waiting = matches!(self.source, Source::Events(_));
        let (true, Era::Legacy { .. }) = (waiting, &self.era) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (wire, era, id) = (Arc::clone(&self.wire), self.era.clone(), self.id);
        runtime.spawn(async move {
            let limit = wire.client.settings.list_timeout;
            let told = wire.tell(&era, message::cancelled(id));
            if let Err(error) = wire.within(limit, told).await {
                tracing::debug!(server = %wire.host, error = %error.report(), "a cancellation did not arrive");
            }
        });
    }
}

/// A message of the server to request `id`; `None` for the answer to another one. An error without
/// an id is about this request: no other is on its way here.
pub(super) fn said(text: &[u8], id: u64) -> serde_json::Result<Option<Said>> {
    let message: Incoming<'_> = serde_json::from_slice(text)?;
    let ours = message
        .id
        .is_some_and(|found| found.get() == id.to_string());
    let unnamed = message.id.is_none_or(|found| found.get() == "null");
    let params = || match message.params {
        Some(params) => one_line(params),
        None => message::empty(),
    };
    Ok(match (message.method, message.id) {
        (Some(method), None) => Some(Said::Notification {
            method: method.into_owned(),
            params: params(),
        }),
        (Some(method), Some(id)) => Some(Said::Request {
            id: one_line(id),
            method: method.into_owned(),
            params: params(),
        }),
        (None, _) => match (message.result, message.error) {
            (_, Some(failure)) if ours || unnamed => Some(Said::Failure(failure)),
            (Some(result), None) if ours => Some(Said::Result(one_line(result))),
            _ => None,
        },
    })
}

impl fmt::Debug for HttpExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpExchange")
            .field("server", &self.wire.host)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
