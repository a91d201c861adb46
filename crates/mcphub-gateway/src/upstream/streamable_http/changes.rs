//! The stream of a server's announcements that its lists changed.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::StatusCode;

use super::wire::{Era, Wire};
use crate::upstream::events::{Events, is_events};
use crate::upstream::message::{self, Call, Incoming, Params};
use crate::upstream::updated::UPDATED;

/// The method that opens a stream of the modern era.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// The largest event of such a stream, in bytes.
pub(super) const MAX_EVENT: usize = 1024 * 1024;

/// An item for each announced change, and one each time a broken stream is open again, because what
/// was announced meanwhile is lost. Never ends; a server without announcements gives no item.
pub(super) fn changes(wire: Arc<Wire>) -> BoxStream<'static, ()> {
    let state = Listener {
        backoff: wire.client.settings.initial_backoff,
        wire,
        events: None,
        lost: false,
    };
    stream::unfold(state, |mut state| async move {
        state.next().await;
        Some(((), state))
    })
    .boxed()
}

struct Listener {
    wire: Arc<Wire>,
    events: Option<Events>,
    backoff: Duration,
    /// Whether a stream was open before.
    lost: bool,
}

impl Listener {
    /// Returns when the tools may have changed.
    async fn next(&mut self) {
        loop {
            match self.listen().await {
                Ok(()) => return,
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    tracing::debug!(server = %self.wire.host, "the server announces no changes");
                    std::future::pending::<()>().await;
                }
                Err(error) => {
                    tracing::debug!(server = %self.wire.host, error = %error.report(), "no stream of changes");
                    self.lost |= self.events.take().is_some();
                    tokio::time::sleep(self.backoff).await;
                    self.backoff = (self.backoff * 2).min(self.wire.client.settings.max_backoff);
                }
            }
        }
    }

    /// Opens the stream if need be and waits for a change on it.
    async fn listen(&mut self) -> Result<()> {
        if self.events.is_none() {
            // Boxed, here and below: this waits for ever, and most servers have no such stream.
            self.events = Some(Box::pin(open(&self.wire)).await?);
            if std::mem::take(&mut self.lost) {
                self.wire.updated.lost();
                return Ok(());
            }
        }
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        while let Some(data) = events.next().await? {
            events.forget_read();
            self.backoff = self.wire.client.settings.initial_backoff;
            let message = serde_json::from_str::<Incoming<'_>>(&data);
            let Some((method, id, params)) = message
                .ok()
                .and_then(|message| Some((message.method?, message.id, message.params)))
            else {
                continue;
            };
            if let Some(id) = id {
                // Nobody in particular is here; a server that asks is answered all the same.
                let answer = message::unasked(id, &method);
                Box::pin(self.wire.reply(answer)).await;
                continue;
            }
            match &*method {
                "notifications/tools/list_changed"
                | "notifications/prompts/list_changed"
                | "notifications/resources/list_changed" => return Ok(()),
                UPDATED => self.wire.updated.tell(params),
                _ => {}
            }
        }
        Err(Error::new(
            ErrorKind::Upstream,
            "the stream of changes ended",
        ))
    }
}

async fn open(wire: &Wire) -> Result<Events> {
    let opening = async {
        let era = wire.era().await?;
        let about = wire.about();
        let call = Call::new(LISTEN, Params::listen(about.prompts, about.resources));
        let response = match &era {
            Era::Modern => wire.post(&era, &call, wire.id(), None).await?,
            Era::Legacy(_) => wire.get(&era, None).await?,
        };
        Ok((era, response))
    };
    let limit = wire.client.settings.list_timeout;
    let (era, response) = wire.within(limit, opening).await?;
    let status = response.status();
    if status.is_success() && is_events(&response) {
        return Ok(Events::new(response, MAX_EVENT));
    }
    // 405 is how the legacy era says that there is no such stream, 404 the modern one; to the
    // legacy era that is a session that the server has forgotten.
    match (era, status) {
        (Era::Modern, StatusCode::NOT_FOUND) | (_, StatusCode::METHOD_NOT_ALLOWED) => {}
        (_, status) if status.is_success() => {}
        (_, status) => {
            if matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
                wire.forget_era();
            }
            return Err(wire.status(status));
        }
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        "the server has no stream of changes",
    ))
}
