//! What a server tells of resources that somebody watches.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use mcphub_core::Result;
use reqwest::StatusCode;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::changes::{LISTEN, MAX_EVENT};
use super::wire::{Era, Wire};
use crate::upstream::events::{Events, broken, is_events};
use crate::upstream::message::{Call, Incoming, Params};
use crate::upstream::updated::{UPDATED, Update, uri};

/// The URI of one of these resources each time it may have changed. Begins anew when it breaks off,
/// and then gives all of them, because what was told meanwhile is lost. Never ends.
pub(super) fn updates(wire: Arc<Wire>, uris: Vec<String>) -> BoxStream<'static, String> {
    let watcher = Watcher {
        backoff: wire.client.settings.initial_backoff,
        wire,
        uris,
        source: Source::None,
        told: Vec::new(),
        lost: false,
    };
    stream::unfold(watcher, |mut watcher| async move {
        let uri = watcher.next().await;
        Some((uri, watcher))
    })
    .boxed()
}

struct Watcher {
    wire: Arc<Wire>,
    uris: Vec<String>,
    source: Source,
    /// To be given next, last first.
    told: Vec<String>,
    backoff: Duration,
    /// Whether there was a source before.
    lost: bool,
}

enum Source {
    None,
    /// A stream of the modern era.
    Listening(Box<Events>),
    /// A subscription in the session that is shared.
    Subscribed {
        updates: broadcast::Receiver<Update>,
        /// Ends what was asked of the server.
        _until: Subscription,
    },
}

impl Watcher {
    async fn next(&mut self) -> String {
        loop {
            if let Some(uri) = self.told.pop() {
                return uri;
            }
            match self.watch().await {
                Ok(Some(uri)) => {
                    self.backoff = self.wire.client.settings.initial_backoff;
                    if self.uris.contains(&uri) {
                        return uri;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(server = %self.wire.host, error = %error.report(), "no updates of resources");
                    self.lost |= !matches!(self.source, Source::None);
                    self.source = Source::None;
                    tokio::time::sleep(self.backoff).await;
                    self.backoff = (self.backoff * 2).min(self.wire.client.settings.max_backoff);
                }
            }
        }
    }

    async fn watch(&mut self) -> Result<Option<String>> {
        match &mut self.source {
            Source::None => {
                let limit = self.wire.client.settings.list_timeout;
                let opening = open(&self.wire, &self.uris);
                self.source = self.wire.within(limit, opening).await?;
                if std::mem::take(&mut self.lost) {
                    self.told.clone_from(&self.uris);
                }
                Ok(None)
            }
            Source::Listening(events) => {
                let Some(data) = events.next().await? else {
                    return Err(broken("the stream of updates ended"));
                };
                events.forget_read();
                let message = serde_json::from_str::<Incoming<'_>>(&data).ok();
                let updated = message.filter(|message| message.method.as_deref() == Some(UPDATED));
                Ok(updated.and_then(|message| uri(message.params?)))
            }
            Source::Subscribed { updates, .. } => match updates.recv().await {
                Ok(Update::Of(uri)) => Ok(Some(uri.to_string())),
                Ok(Update::Lost) | Err(RecvError::Lagged(_)) => Err(broken("updates were missed")),
                // The wire, which has the sender, lives as long as this.
                Err(RecvError::Closed) => std::future::pending().await,
            },
        }
    }
}

async fn open(wire: &Arc<Wire>, uris: &[String]) -> Result<Source> {
    let era = wire.era().await?;
    if let Era::Legacy(_) = era {
        // Before asking, so that nothing is missed.
        let updates = wire.updated.subscribe();
        let subscription = Subscription::begin(wire, uris);
        for uri in uris {
            wire.request(&Call::new("resources/subscribe", Params::resource(uri)))
                .await?;
        }
        return Ok(Source::Subscribed {
            updates,
            _until: subscription,
        });
    }
    let call = Call::new(LISTEN, Params::listen_to(uris));
    let response = wire.post(&era, &call, wire.id(), None).await?;
    let status = response.status();
    if status.is_success() && is_events(&response) {
        return Ok(Source::Listening(Box::new(Events::new(
            response, MAX_EVENT,
        ))));
    }
    if matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
        wire.forget_era();
    }
    Err(wire.status(status))
}

/// Resources that are watched in the shared session. The last who watches one ends it.
struct Subscription {
    wire: Arc<Wire>,
    uris: Vec<String>,
}

impl Subscription {
    fn begin(wire: &Arc<Wire>, uris: &[String]) -> Self {
        wire.updated.watch(uris);
        Self {
            wire: Arc::clone(wire),
            uris: uris.to_vec(),
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let ended = self.wire.updated.unwatch(self.uris.drain(..));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let wire = Arc::clone(&self.wire);
        runtime.spawn(async move {
            for uri in ended {
                // Somebody may have begun to watch it again.
                if wire.updated.is_watched(&uri) {
                    continue;
                }
                let call = Call::new("resources/unsubscribe", Params::resource(&uri));
                let limit = wire.client.settings.list_timeout;
                if let Err(error) = wire.within(limit, wire.request(&call)).await {
                    tracing::debug!(server = %wire.host, error = %error.report(), "a resource is still watched");
                }
            }
        });
    }
}
